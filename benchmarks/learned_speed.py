"""The speed of learned diffusion, and how near it comes to what the processor can do.

    python benchmarks/learned_speed.py -o benchmarks/results/learned_speed.md

Times are medians of interleaved calls. The ceiling is the speed of NumPy's product of two matrices of
1024×1024 float32 numbers, measured in the same run.
"""

from __future__ import annotations

import argparse
import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, medians, table, write_report
from skimage import data
from skimage.transform import resize

import difffilter as df
from difffilter.pde.solve.banks import CELL
from difffilter.pde.weights import load

SIDE, REPEATS, SIGMA = 512, 15, 25 / 255
MATRIX = 1024
CONVEX = "learned(weights='convex-gray')"
METHODS = ("learned", CONVEX, "edge_enhancing", "perona_malik")


def products(learned):
    """Multiply-adds for each pixel, without those for the margins of blocks."""
    return sum(
        (2 * stage.filters.size + stage.mixing.size + stage.influence.size) / stage.cell**2
        for stage in learned.stages
    )


def evaluations(energy):
    """Multiply-adds for each pixel in one evaluation of a convex energy and its gradient."""
    _, rows, _, _, outputs, *_ = energy.matrices
    return ((rows[:, 1] * rows[:, 2]).sum() + 4 * outputs[:, 0].sum()) / CELL**2


def peak(image, method="learned"):
    """The largest memory in use beyond the image, in images."""
    tracemalloc.start()
    df.denoise(image, sigma=SIGMA, method=method)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / image.nbytes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    image = df.add_noise(resize(data.camera() / 255, (SIDE, SIDE)), SIGMA).astype(np.float32)
    matrix = rng.random((MATRIX, MATRIX), np.float32)
    learned = load("deep-gray")
    methods = {name: df.make(name) for name in METHODS}
    runs = {name: lambda method=method: method(image, SIGMA) for name, method in methods.items()}
    taken = medians(runs, REPEATS)
    # (Apart from the others, since its threads stay awake for a while.)
    taken |= medians({"matrices": lambda: matrix @ matrix}, REPEATS)
    bm3d = df.make("peers:BM3D")
    taken |= medians({"BM3D": lambda: bm3d(image, SIGMA)}, 3, warm_up=False)

    work = 2 * products(learned)
    speed = work * SIDE**2 / taken["learned"] / 1e9
    ceiling = 2 * MATRIX**3 / taken["matrices"] / 1e9
    large = rng.random((2048, 2048), np.float32)
    steps, copies = len(learned.stages), peak(large)
    energy = load("convex-gray")
    _, found = df.learned(image, weights="convex-gray", sigma=SIGMA, full_output=True)
    convex = 2 * evaluations(energy) * (found["steps"] + 1)
    reached = convex * SIDE**2 / taken[CONVEX] / 1e9
    rows = [
        [name, f"{taken[name] * 1e3:.0f}", f"{taken[name] / taken['learned']:.2f}"]
        for name in (*methods, "BM3D")
    ]
    lines = [
        "# The speed of learned diffusion",
        "",
        f"`python benchmarks/learned_speed.py`: {SIDE}² pixels, grey, float32, σ given and everything else",
        f"chosen; medians of {REPEATS} interleaved calls, of BM3D 3. {describe('numba', 'numpy', 'bm3d')};",
        f"{date.today()}.",
        "",
        *table(["method", "ms", "of learned"], rows),
        "",
        f"Learned diffusion takes {work / 1e3:.1f} thousand floating-point operations for each pixel in",
        f"{steps} steps, {speed:.0f} GFLOP/s; a product of matrices reaches {ceiling:.0f}, so that is",
        f"{speed / ceiling:.2f} of it. Beyond the bands that stay in cache it reads {8 * steps} and writes",
        f"{4 * steps} bytes for each pixel. Of an image of 2048² pixels, at most {copies:.1f} copies are in",
        "memory beside it.",
        "",
        f"The convex one takes {found['steps']} steps to a residual of {found['residual']:.1e} σ and",
        f"{convex / 1e3:.0f} thousand operations for each pixel, {reached:.0f} GFLOP/s; of the large image",
        f"it keeps {peak(large, CONVEX):.1f} copies.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
