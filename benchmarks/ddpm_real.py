"""Real noise: that of a camera, JPEG and blur, removed by weights for white and for real noise.

    python benchmarks/ddpm_real.py FOLDER [--every 8] -o benchmarks/results/ddpm-real.md

PSNR in dB, the mean over every eighth photograph of the folder. Methods are told nothing.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

import difffilter as df
from difffilter.image import as_float
from difffilter.io.files import read, replacing

# Shot and read noise, and the quality of the JPEG.
CAMERAS = [
    (0.002, 1e-5, None),
    (0.002, 1e-5, 90),
    (0.008, 1e-4, None),
    (0.008, 1e-4, 90),
    (0.02, 6e-4, None),
]


def methods(channel_axis):
    white = "natural-gray" if channel_axis is None else "natural-color"
    return {
        "input": "identity",
        "auto": "auto",
        "ddpm": "ddpm",
        white: f"ddpm(weights={white!r})",
        f"{white}-real": f"ddpm(weights='{white}-real')",
    }


def cases():
    """The name of each kind of noise, and its σ and kind for `add_noise`."""
    for shot, variance, quality in CAMERAS:
        name = f"camera, shot {shot}, read {variance:g}" + (f", JPEG {quality}" if quality else "")
        yield name, math.sqrt(shot), f"camera(read={variance}, quality={quality})"
    for level in (10, 25):
        yield f"white, σ = {level}/255", level / 255, "gaussian"
    for level in (10, 25):
        yield f"blurred (FWHM 2 pixels), σ = {level}/255", level / 255, "correlated"
    yield "JPEG 40 alone", 0.0, "jpeg(quality=40)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=8)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.png"))[:: arguments.every]
    pictures = [read(file) for file in files]
    channel_axis = pictures[0].channel_axis
    photos = [as_float(picture.pages[0], channel_axis) for picture in pictures]
    compared = methods(channel_axis)
    lines = [
        f"# Real noise: PSNR in dB on {len(photos)} images of {arguments.folder.name}",
        "",
        f"`python benchmarks/ddpm_real.py FOLDER --every {arguments.every}`",
        "",
        "`ddpm` is the default, which takes the weights for real noise if the noise is not white.",
        "",
        f"| noise | {' | '.join(compared)} |",
        "|---|" + "---|" * len(compared),
    ]
    for name, sigma, kind in cases():
        scores = {method: [] for method in compared}
        for number, photo in enumerate(photos):
            noisy = df.add_noise(photo, sigma, kind, number, channel_axis=channel_axis)
            for method, text in compared.items():
                result = df.denoise(noisy, method=text, channel_axis=channel_axis)
                scores[method].append(df.psnr(photo, np.clip(result, 0, 1)))
        row = [f"{np.mean(each):.2f}" for each in scores.values()]
        lines.append(f"| {name} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
