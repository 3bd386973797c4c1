"""The speed and the memory of harmonic filling, beside pyamg and scikit-image.

    python -m pip install 'difffilter[peers]'
    python benchmarks/inpainting_speed.py -o benchmarks/results/inpainting_speed.md

Holes look like text and cover a tenth of the image, or are four fifths of the pixels at random. pyamg
(Ruge-Stüben, conjugate gradients) solves the same system; its time includes the matrix, as ours does.
Tolerances are such that errors are about the same. scikit-image's biharmonic filling solves its equations
directly.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyamg
from peers.inpainting import harmonic_system
from PIL import Image, ImageDraw, ImageFont
from scripting import describe, medians, table, write_report
from skimage import data
from skimage.restoration import inpaint_biharmonic
from skimage.transform import resize

import difffilter as df

SHARE = 0.1
MISSING = 0.8
TOLERANCE = 1e-6  # of pyamg, relative, of the residual
TEXT = "The quick brown fox jumps over the lazy dog. "


def text_mask(shape, share=SHARE, size=28):
    """A mask (H, W) of lines of text that covers a share of the pixels."""
    height, width = shape
    page = Image.new("L", (width, height))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size)
    line = TEXT * (2 + width * 3 // (size * len(TEXT)))
    for y in range(0, height, size + 4):
        draw.text((-(37 * y) % 200 - 200, y), line, fill=255, font=font, stroke_width=0)
    mask = np.asarray(page) > 127
    # The last lines are left out until the share is right.
    rows = np.cumsum(mask.sum(axis=1)) <= share * mask.size
    return mask & rows[:, None]


def by_pyamg(image, mask, tolerance=TOLERANCE):
    """Harmonic filling by pyamg."""
    matrix, rhs = harmonic_system(image, mask)
    solver = pyamg.ruge_stuben_solver(matrix)
    result = image.copy()
    result[mask] = solver.solve(rhs, tol=tolerance, accel="cg")
    return result


def ours(image, mask):
    return df.inpaint(image, mask, "harmonic")


def plates(image, mask):
    return df.inpaint(image, mask, "biharmonic")


HARMONIC = {"difffilter": ours, "pyamg": by_pyamg}
WAYS = HARMONIC | {"biharmonic": plates, "scikit-image": inpaint_biharmonic}
LABELS = {
    "difffilter": ("harmonic", "difffilter"),
    "pyamg": ("harmonic", "pyamg"),
    "biharmonic": ("biharmonic", "difffilter"),
    "scikit-image": ("biharmonic", "scikit-image"),
}

PEAK = """
from pathlib import Path

import numpy as np
from inpainting_speed import ours, text_mask

def peak():
    [line] = [x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x]
    return 1024 * int(line.split()[1])

image = np.random.default_rng(0).random(({side}, {side}), np.float32)
mask = text_mask(image.shape)
ours(image[:64, :64], mask[:64, :64])
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = peak()
ours(image, mask)
print((peak() - before) / image.nbytes)
"""


def most_memory(side):
    """The largest memory of a process beyond that with an image and a mask alone, in images."""
    folder = Path(__file__).parent
    command = [sys.executable, "-c", PEAK.format(side=side)]
    return float(subprocess.check_output(command, cwd=folder, text=True))


def case(side, kind):
    """A photograph (side, side), and the mask of its holes."""
    image = resize(data.camera() / 255, (side, side)).astype(np.float32)
    if kind == "text":
        return image, text_mask(image.shape)
    return image, np.random.default_rng(0).random(image.shape) < MISSING


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument(
        "--small", type=int, default=1024, help="a smaller side, for random pixels too"
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    side, small = arguments.side, arguments.small
    cases = {
        (n, kind): case(n, kind) for n, kind in ((side, "text"), (small, "text"), (small, "random"))
    }

    image, mask = cases[side, "text"]
    exact = by_pyamg(image.astype(float), mask, 1e-12)
    errors = {name: np.abs(way(image, mask) - exact).max() for name, way in HARMONIC.items()}
    memory = most_memory(side)
    taken = medians(
        {
            (*key, name): partial(way, *pair)
            for key, pair in cases.items()
            for name, way in WAYS.items()
        },
        arguments.repeats,
        patience=120,
    )
    rows = [
        [
            f"{n}²",
            kind,
            equation,
            library,
            f"{spent:.3f}",
            f"{taken[n, kind, 'scikit-image'] / spent:.1f}",
        ]
        for (n, kind, name), spent in taken.items()
        for equation, library in [LABELS[name]]
    ]
    times = taken[side, "text", "pyamg"] / taken[side, "text", "difffilter"]
    lines = [
        "# The speed of filling in",
        "",
        f"`python benchmarks/inpainting_speed.py`: holes like text over {mask.mean():.3f} of the image, or",
        f"{100 * MISSING:.0f} % of the pixels at random. {describe('numpy', 'pyamg', 'scikit-image')};",
        f"{date.today()}.",
        "",
        *table(["image", "holes", "equation", "library", "seconds", "× scikit-image"], rows),
        "",
        f"Ours, harmonic, {side}², is {times:.1f} times as fast as pyamg; the largest error is",
        f"{errors['difffilter']:.1e}, pyamg's {errors['pyamg']:.1e}. It takes {memory:.1f} images of memory,",
        "the result included.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
