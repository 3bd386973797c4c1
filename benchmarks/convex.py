"""The guarantees of the convex learned diffusion, measured on photographs.

    python benchmarks/convex.py -o benchmarks/results/convex.md

From ten random starts each: how far apart the results are, and whether the energy rose at any step. The
Lipschitz constant is that of the derivative of the result in the image, by power iteration.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, table, write_report
from skimage import color, data, img_as_float32

from difffilter.pde.solve.banks import CELL, MARGIN
from difffilter.pde.weights import load

IMAGES = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "clock",
    "coffee",
    "coins",
    "grass",
    "moon",
    "rocket",
)
SIDE, SIGMA, STARTS, ITERATIONS = 96, 25 / 255, 10, 8
# The margin counts for the residual, but not for the distance.
WITH_MARGIN = (SIDE + 2 * CELL * MARGIN) / SIDE
# (The derivative is a difference of two minima, which float32 lets us find to about 1e-5.)
TIGHT, DISTANCE = 1e-5, 4.0


def photograph(name):
    """The middle of a photograph, in grey, in [0, 1]."""
    image = img_as_float32(getattr(data, name)())
    if image.ndim == 3:
        image = color.rgb2gray(image)
    top, left = ((extent - SIDE) // 2 for extent in image.shape)
    return image[top : top + SIDE, left : left + SIDE]


def lipschitz(energy, f, rng):
    """The factor by which the change of the image that matters most is passed on."""
    best = energy.minimum(f, tolerance=TIGHT).u
    way = rng.standard_normal(f.shape).astype(np.float32)
    for _ in range(ITERATIONS):
        way *= DISTANCE / np.linalg.norm(way)
        way = energy.minimum(f + way, start=best, tolerance=TIGHT).u - best
    return np.linalg.norm(way) / DISTANCE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--weights", default="convex-gray")
    arguments = parser.parse_args()
    energy, rows, rises = load(arguments.weights), [], 0
    for name in IMAGES:
        rng = np.random.default_rng(0)
        noisy = photograph(name) + rng.normal(0, SIGMA, (SIDE, SIDE))
        f = (noisy / SIGMA).astype(np.float32)[None, None]
        usual = energy.minimum(f)
        ends = []
        for _ in range(STARTS):
            start = f + rng.uniform(0, 20) * rng.standard_normal(f.shape).astype(np.float32)
            found = energy.minimum(f, start=start, tolerance=TIGHT)
            ends.append(SIGMA * found.u)
            changes = np.diff(found.energies[:, 0])
            rises += int((changes > 1e-6 * found.energies[:-1, 0]).sum())
        error = np.sqrt(np.square(SIGMA * usual.u - ends[0]).mean())
        rows.append(
            [
                name,
                str(len(usual.energies) - 1),
                f"{np.ptp(ends, axis=0).max():.1e}",
                f"{error:.1e}",
                f"{SIGMA * WITH_MARGIN * usual.residual[0] / energy.convexity:.1e}",
                f"{lipschitz(energy, f, rng):.2f}",
            ]
        )
    lines = [
        "# The guarantees of the convex learned diffusion",
        "",
        f"`python benchmarks/convex.py`: {arguments.weights}, {len(IMAGES)} photographs of {SIDE}² pixels",
        f"with white noise of σ = 25/255. {describe('numba', 'numpy')}; {date.today()}.",
        "",
        f"The Hessian of the energy lies between {energy.convexity:.3f} and {energy.steepness:.1f} for",
        f"images of every size, so that the Lipschitz constant is at most {1 / energy.convexity:.0f}.",
        "",
        *table(
            [
                "image",
                "steps",
                f"spread from {STARTS} starts",
                "distance to the minimum, rms",
                "its bound",
                "Lipschitz constant",
            ],
            rows,
        ),
        "",
        "Steps and distance are those of a call with the usual tolerance, from the usual start; spread",
        "and distance are in units of an image in [0, 1], the spread is the largest of any pixel. In all",
        f"{STARTS * len(IMAGES)} descents the energy rose by more than its rounding at {rises} steps.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
