"""The speed and the memory of harmonic filling, beside pyamg and scikit-image.

    python -m pip install 'difffilter[peers]'
    python benchmarks/inpainting_speed.py -o benchmarks/results/inpainting_speed.md

Holes look like text and cover a tenth of the image. pyamg (Ruge-Stüben, conjugate gradients) solves the same
system; its time includes the matrix, as ours does. Tolerances are such that errors are about the same.
scikit-image's biharmonic filling solves its larger equations directly, and is given a smaller image.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import date
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--small", type=int, default=1024, help="side for scikit-image")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    camera = data.camera() / 255

    def case(side):
        image = resize(camera, (side, side)).astype(np.float32)
        return image, text_mask(image.shape)

    image, mask = case(arguments.side)
    small = case(arguments.small)
    exact = by_pyamg(image.astype(float), mask, 1e-12)
    errors = {
        "difffilter": np.abs(ours(image, mask) - exact).max(),
        "pyamg": np.abs(by_pyamg(image, mask) - exact).max(),
    }
    memory = most_memory(arguments.side)
    taken = medians(
        {
            "difffilter": lambda: ours(image, mask),
            "pyamg": lambda: by_pyamg(image, mask),
            "difffilter, small": lambda: ours(*small),
            "difffilter, small, biharmonic": lambda: df.inpaint(*small, "biharmonic"),
            "scikit-image, small, biharmonic": lambda: inpaint_biharmonic(*small),
        },
        arguments.repeats,
        patience=120,
    )
    side, less = arguments.side, arguments.small
    rows = [
        [f"{side}²", "harmonic", "difffilter", taken["difffilter"], errors["difffilter"]],
        [f"{side}²", "harmonic", "pyamg", taken["pyamg"], errors["pyamg"]],
        [f"{less}²", "harmonic", "difffilter", taken["difffilter, small"], None],
        [f"{less}²", "biharmonic", "difffilter", taken["difffilter, small, biharmonic"], None],
        [f"{less}²", "biharmonic", "scikit-image", taken["scikit-image, small, biharmonic"], None],
    ]
    times = taken["pyamg"] / taken["difffilter"]
    of_plates = taken["scikit-image, small, biharmonic"] / taken["difffilter, small"]
    lines = [
        "# The speed of filling in",
        "",
        f"`python benchmarks/inpainting_speed.py`: holes like text over {mask.mean():.3f} of the image.",
        f"{describe('numpy', 'pyamg', 'scikit-image')}; {date.today()}.",
        "",
        *table(
            ["image", "equation", "library", "seconds", "largest error"],
            [
                [*names, f"{spent:.3f}", "" if error is None else f"{error:.1e}"]
                for *names, spent, error in rows
            ],
        ),
        "",
        f"Ours, harmonic, is {times:.1f} times as fast as pyamg, and {of_plates:.0f} times as fast as",
        f"scikit-image's biharmonic filling; it takes {memory:.1f} images of memory, the result included.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
