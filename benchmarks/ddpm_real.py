"""Real noise: the noise of a camera, JPEG and blur, removed by weights for white and for real noise.

    python benchmarks/ddpm_real.py FOLDER [--every 8] -o benchmarks/results/ddpm-real.md

Photographs go through a camera in numbers (`difffilter.noise.camera`); PSNR in dB against the
photograph, the mean over every eighth of the folder. Other methods are told nothing, as the networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

import difffilter as df
from difffilter.io.files import read, replacing
from difffilter.noise.camera import Camera, compress

METHODS = {
    "input": "identity",
    "auto": "auto",
    "natural-color": "ddpm",
    "natural-color-real": "ddpm(weights='natural-color-real')",
}

# Shot and read noise, and the quality of the JPEG.
CAMERAS = [
    (0.002, 1e-5, None),
    (0.002, 1e-5, 90),
    (0.008, 1e-4, None),
    (0.008, 1e-4, 90),
    (0.02, 6e-4, None),
]


def from_camera(photo, rng, shot, variance, quality):
    noisy = np.clip(photo + Camera().noise_of(photo, shot, variance, rng), 0, 1)
    return noisy if quality is None else compress(noisy, quality)


def white(photo, rng, level):
    return photo + level / 255 * rng.standard_normal(photo.shape)


def blurred(photo, rng, level):
    noise = gaussian_filter(rng.standard_normal(photo.shape), (0.85, 0.85, 0))
    return photo + level / 255 / noise.std() * noise


def cases():
    """The name of each kind of noise, and a function that adds it."""
    for shot, variance, quality in CAMERAS:
        name = f"camera, shot {shot}, read {variance:g}" + (f", JPEG {quality}" if quality else "")
        yield name, lambda x, rng, a=(shot, variance, quality): from_camera(x, rng, *a)
    for level in (10, 25):
        yield f"white, σ = {level}/255", lambda x, rng, s=level: white(x, rng, s)
    for level in (10, 25):
        yield (f"blurred (FWHM 2 pixels), σ = {level}/255",
               lambda x, rng, s=level: blurred(x, rng, s))  # fmt: skip
    yield "JPEG 40 alone", lambda x, rng: compress(x, 40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=8)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.png"))[:: arguments.every]
    photos = [read(file).pages[0].astype(np.float32) / 255 for file in files]
    lines = [
        f"# Real noise: PSNR in dB on {len(photos)} images of {arguments.folder.name}",
        "",
        f"`python benchmarks/ddpm_real.py FOLDER --every {arguments.every}`",
        "",
        f"| noise | {' | '.join(METHODS)} |",
        "|---|" + "---|" * len(METHODS),
    ]
    for name, noise in cases():
        scores = {method: [] for method in METHODS}
        for number, photo in enumerate(photos):
            noisy = noise(photo, np.random.default_rng(number)).astype(np.float32)
            for method, text in METHODS.items():
                result = df.denoise(noisy, method=text, channel_axis=-1)
                scores[method].append(df.psnr(photo, np.clip(result, 0, 1)))
        row = [f"{np.mean(each):.2f}" for each in scores.values()]
        lines.append(f"| {name} | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
