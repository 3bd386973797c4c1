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

import difffilter as df
from difffilter.pde.weights import load

SIDE, REPEATS, SIGMA = 512, 15, 25 / 255
MATRIX = 1024


def products(learned):
    """Multiply-adds for each pixel, without those for the margins of blocks."""
    return sum(
        (2 * stage.filters.size + stage.mixing.size + stage.influence.size) / stage.cell**2
        for stage in learned.stages
    )


def peak(image):
    """The largest memory in use beyond the image, in images."""
    tracemalloc.start()
    df.learned(image, sigma=SIGMA)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / image.nbytes


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    image = rng.random((SIDE, SIDE), np.float32)
    matrix = rng.random((MATRIX, MATRIX), np.float32)
    learned = load("deep-gray")
    methods = {name: df.make(name) for name in ("learned", "edge_enhancing", "perona_malik")}
    runs = {name: lambda method=method: method(image, SIGMA) for name, method in methods.items()}
    taken = medians(runs, REPEATS)
    # (Apart from the others, since its threads stay awake for a while.)
    taken |= medians({"matrices": lambda: matrix @ matrix}, REPEATS)
    bm3d = df.make("peers:BM3D")
    taken |= medians({"BM3D": lambda: bm3d(image, SIGMA)}, 3, warm_up=False)

    work = 2 * products(learned)
    speed = work * SIDE**2 / taken["learned"] / 1e9
    ceiling = 2 * MATRIX**3 / taken["matrices"] / 1e9
    steps, copies = len(learned.stages), peak(rng.random((2048, 2048), np.float32))
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
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
