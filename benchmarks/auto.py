"""The default against each of the methods it chooses from, on images of many kinds.

    python benchmarks/auto.py FOLDER -o benchmarks/results/auto.md [--every 60]

Photographs are every 60th of FOLDER; the other images are scikit-image's, or drawn. PSNR in dB, and
the processor's time of `auto` relative to edge_enhancing.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np
from skimage import color, data, draw

import difffilter as df
from difffilter.io.files import read, replacing

LEVELS = (5, 15, 25, 50)
METHODS = ("edge_enhancing", "perona_malik", "tv_flow")


def screenshot():
    """Windows with frames and rows of small marks, like text."""
    rng = np.random.default_rng(1)
    image = np.full((320, 400), 0.85)
    for top, left, grey in ((20, 20, 1.0), (120, 150, 0.95)):
        image[top : top + 170, left : left + 220] = grey
        image[top : top + 16, left : left + 220] = 0.3
        for row in range(top + 28, top + 160, 12):
            marks = rng.random((7, 200)) < 0.4
            image[row : row + 7, left + 10 : left + 210] = np.where(marks, 0.1, grey)
    return image


def drawing():
    """Discs and polygons of equal intensity."""
    rng, image = np.random.default_rng(2), np.full((300, 300), 0.9)
    for _ in range(14):
        row, column = rng.integers(20, 280, 2)
        where = draw.disk((row, column), rng.integers(8, 50), shape=image.shape)
        image[where] = rng.random()
    return image


def images(folder, every):
    """Names, kinds and images in [0, 1]."""
    for file in sorted(folder.glob("*.jpg"))[::every]:
        yield file.stem, "photograph", color.rgb2gray(read(file).pages[0])
    for name in ("camera", "coins", "moon", "clock", "page", "text", "cell"):
        kind = {"page": "scanned text", "text": "scanned text", "cell": "micrograph"}
        yield name, kind.get(name, "photograph"), getattr(data, name)()[:400, :400] / 255
    yield "Shepp–Logan", "phantom", data.shepp_logan_phantom()
    yield "screenshot", "screenshot", screenshot()
    yield "drawing", "drawing", drawing()
    for name in ("astronaut", "coffee", "chelsea"):
        yield name, "colour", getattr(data, name)()[:300, :300] / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=60)
    arguments = parser.parse_args()
    rows, losses, seconds = [], {}, {"auto": 0.0, "edge_enhancing": 0.0}
    for name, kind, clean in images(arguments.folder, arguments.every):
        axis = -1 if clean.ndim == 3 else None
        clean = clean.astype(np.float32)
        for level in LEVELS:
            rng = np.random.default_rng(level)
            noisy = clean + np.float32(level / 255) * rng.standard_normal(clean.shape, np.float32)
            scores = {}
            for method in ("auto", *METHODS):
                start = time.process_time()
                result = df.denoise(noisy, method=method, channel_axis=axis)
                if method in seconds:
                    seconds[method] += time.process_time() - start
                scores[method] = df.psnr(clean, np.clip(result, 0, 1))
            best = max(METHODS, key=scores.get)
            loss = scores["auto"] - scores[best]
            losses.setdefault(kind, []).append(loss)
            rows.append(
                f"| {name} | {kind} | {level} | "
                + " | ".join(f"{scores[m]:.2f}" for m in ("auto", *METHODS))
                + f" | {loss:+.2f} |"
            )
            print(rows[-1], flush=True)
    every = [loss for each in losses.values() for loss in each]
    lines = [
        "# The default against the methods it chooses from",
        "",
        f"`python benchmarks/auto.py FOLDER --every {arguments.every}`, on {platform.machine()}.",
        "",
        f"Mean difference from the best of the three: {np.mean(every):+.3f} dB; below −0.1 dB in "
        f"{sum(loss < -0.1 for loss in every)} of {len(every)} cases. Processor's time: "
        f"{seconds['auto'] / seconds['edge_enhancing']:.2f} of edge_enhancing's.",
        "",
        "| kind | mean difference, dB | least |",
        "|---|---|---|",
        *(f"| {kind} | {np.mean(each):+.3f} | {min(each):+.2f} |" for kind, each in losses.items()),
        "",
        f"| image | kind | σ·255 | auto | {' | '.join(METHODS)} | difference |",
        "|---|---|---|" + "---|" * (len(METHODS) + 2),
        *rows,
    ]
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
