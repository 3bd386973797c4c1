"""Seconds to a solution of Perona–Malik's equation: python benchmarks/solutions.py [-o FOLDER]

Time steps are as large as the tolerance of the error allows. Medians over interleaved repeats; writes
solutions.md to the folder.
"""

import argparse
import math
import os
from datetime import date
from functools import partial
from pathlib import Path

import numba
import numpy as np
from scripting import describe, medians, table, write_report
from skimage import data
from speed import KAPPA, PATIENCE, contestants

import difffilter as df

TOLERANCE = 0.5 / 255
TIMES = (2.0, 10.0, 50.0)

# Most cycles to try, from one up, to find the longest that meets the tolerance.
MOST_CYCLES = 40


def noisy_photograph():
    photo = np.pad(data.camera() / 255, ((0, 512), (0, 512)), mode="symmetric")
    noise = np.random.default_rng(0).normal(0, 25 / 255, photo.shape)
    return (photo + noise).astype(np.float32)


def distance(a, b):
    """Root mean square without the border, where DIPlib leaks."""
    return float(np.sqrt(np.mean(np.square(a - b, dtype=np.float64)[64:-64, 64:-64])))


def contestants_of(diffusivity, image, exact, time):
    """For each contestant its run to a time, its error, and its scheme and number of steps."""
    for scheme in ("auto", "explicit", "fsi", "aos"):
        yield f"difffilter, {scheme}", *ours(image, exact, time, diffusivity, scheme, tol=TOLERANCE)
    for cycles in range(1, MOST_CYCLES + 1):
        found = ours(image, exact, time, diffusivity, "fsi", step=time / cycles)
        if found[1] <= TOLERANCE:
            break
    yield "difffilter, fsi, longest cycle", *found
    for name, (run, set_threads) in contestants(image.shape).items():
        if name.startswith("difffilter") or not name.endswith(diffusivity):
            continue
        set_threads(numba.config.NUMBA_NUM_THREADS)
        for step in (0.125,) if name.startswith("SimpleITK") else (0.25, 0.2, 0.1, 0.05):
            iterations = math.ceil(time / step - 1e-9)
            error = distance(run(image, iterations, step), exact)
            if error <= TOLERANCE:
                break
        yield (name.split(",")[0], partial(run, image, iterations, step), error,
               f"{iterations} steps")  # fmt: skip


def ours(image, exact, time, diffusivity, scheme, **options):
    """A run, its error, and its scheme and number of steps."""
    run = partial(df.perona_malik, image, time, KAPPA, diffusivity=diffusivity, scheme=scheme,
                  full_output=True, **options)  # fmt: skip
    result, chosen = run()
    return run, distance(result, exact), f"{chosen['scheme']}, {chosen['steps']} steps"


def solutions(diffusivity, repeats):
    """For each contestant and time: seconds to get within the tolerance, error, steps."""
    image = noisy_photograph()
    runs, about = {}, {}
    for time in TIMES:
        exact = df.perona_malik(
            image, time, kappa=KAPPA, diffusivity=diffusivity, presmooth=0.0, step=0.01
        )
        for name, run, error, how in contestants_of(diffusivity, image, exact, time):
            runs[name, time], about[name, time] = run, (error, how)
    taken = medians(runs, repeats, warm_up=False, patience=PATIENCE)
    return {key: (taken[key], *about[key]) for key in runs}


def table_of(diffusivity, found):
    """Seconds of each contestant, and the fastest peer relative to difffilter."""
    rows = []
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for t in TIMES:
            taken, error, how = found[name, t]
            mark = "" if error <= TOLERANCE else "**not reached**, "
            cells.append(f"{taken:.4f} ({how}; {mark}error {255 * error:.2f}/255)")
        rows.append([name, *cells])
    for name in ("difffilter, auto", "difffilter, fsi, longest cycle"):
        cells = []
        for t in TIMES:
            peers = [taken for (who, at), (taken, error, _) in found.items()
                     if at == t and error <= TOLERANCE and not who.startswith("difffilter")]  # fmt: skip
            reached = peers and found[name, t][1] <= TOLERANCE
            cells.append(f"{min(peers) / found[name, t][0]:.1f}" if reached else "–")
        rows.append([f"**fastest peer that reaches it / {name}**", *cells])
    return table([diffusivity, *(f"T = {t:g}" for t in TIMES)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="folder for solutions.md")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    tables = []
    for diffusivity in ("rational", "exponential"):
        tables += ["", *table_of(diffusivity, solutions(diffusivity, options.repeats))]
    lines = [
        "# Seconds to a solution of Perona–Malik's equation",
        "",
        f"{describe('numba', 'diplib', 'medpy', 'SimpleITK')}; {date.today()}; load of the machine "
        f"at the end {os.getloadavg()[0]:.1f}. float32, all threads; medians of {options.repeats} "
        "interleaved repeats. benchmarks/solutions.py.",
        "",
        "Camera, mirrored to 1024×1024, with noise of 25/255; κ = 0.1. The error of the time steps must be "
        "at most 0.5/255 (root mean square without the border) relative to explicit steps of 0.01. Peers "
        "are given the largest step that achieves it, and so is the row of the longest cycle; the other "
        "rows of difffilter find it themselves, which is part of their time.",
        *tables,
    ]
    write_report(lines, options.output and options.output / "solutions.md")


if __name__ == "__main__":
    main()
