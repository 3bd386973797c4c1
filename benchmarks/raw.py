"""Camera raw files: noise removed before demosaicing or from the developed photograph.

    python benchmarks/raw.py FOLDER [--every 9] -o benchmarks/results/raw.md

Photographs go back to raw values and through a camera in numbers (`difffilter.noise.camera`), with
noise and without; PSNR in dB against the photograph that the same camera makes without noise.
These photographs were shrunk and are sharper than what a lens and its low-pass filter leave for a
sensor, so that the camera without noise makes false colours, which a denoiser may remove as well.
Hence the second table: the photographs blurred first.

Before demosaicing, the noise of raw values x is white, with variance shot·x + read. There the four
planes of the Bayer mosaic are filtered between a variance-stabilising transform and its inverse,
each on its own or together as the four channels of an image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scripting import table

import difffilter as df
from difffilter.io.files import read, replacing
from difffilter.noise.camera import Camera, demosaic, exposed, mosaic

LEVELS = [(0.002, 1e-5), (0.008, 1e-4)]
BLURS = {"as they are": 0.0, "blurred, σ = 0.8 pixels": 0.8}
AFTER = {"`auto`": "auto", "`natural-color-real`": "ddpm(weights='natural-color-real')"}
BEFORE = {"`auto`": "auto", "`natural-gray`": "ddpm(weights='natural-gray')"}
PLANES = [(row, column) for row in (0, 1) for column in (0, 1)]


def developed(sensor):
    return Camera().process(demosaic(sensor))


def planes_apart(sensor, method):
    result = np.empty_like(sensor)
    for row, column in PLANES:
        plane = np.ascontiguousarray(sensor[row::2, column::2])
        result[row::2, column::2] = method(plane)
    return np.clip(result, 0, 1)


def planes_together(sensor, method):
    planes = np.stack([sensor[row::2, column::2] for row, column in PLANES], axis=-1)
    result = np.empty_like(sensor)
    for (row, column), plane in zip(PLANES, np.moveaxis(method(planes, channel_axis=-1), -1, 0),
                                    strict=True):  # fmt: skip
        result[row::2, column::2] = plane
    return np.clip(result, 0, 1)


def ways(sensor, shot, variance):
    """The name of each way and the photograph that it makes of the noisy mosaic."""
    photo = developed(sensor)
    yield "no filter", photo
    for name, text in AFTER.items():
        yield f"after: {name}", df.denoise(photo, method=text, channel_axis=-1)
    for name, text in BEFORE.items():
        unknown = df.Stabilized(method=text, read=None)
        known = df.Stabilized(method=text, sigma=shot**0.5, read=variance**0.5)
        yield f"before, planes apart: {name}", developed(planes_apart(sensor, unknown))
        yield f"… shot and read given: {name}", developed(planes_apart(sensor, known))
        if text == "auto":
            yield f"before, planes together: {name}", developed(planes_together(sensor, unknown))
            yield (
                f"… shot and read given, together: {name}",
                developed(planes_together(sensor, known)),
            )


def measured(scenes, shot, variance):
    """The mean PSNR of each way."""
    scores: dict[str, list[float]] = {}
    for number, scene in enumerate(scenes):
        height, width = (n - n % 2 for n in scene.shape[:2])
        sensor = mosaic(Camera().unprocess(scene[:height, :width]))
        noisy = exposed(sensor, shot, variance, np.random.default_rng(number))
        for name, result in ways(noisy, shot, variance):
            score = df.psnr(developed(sensor), np.clip(result, 0, 1))
            scores.setdefault(name, []).append(score)
            print(shot, number, name, f"{score:.2f}", flush=True)
    return {name: float(np.mean(each)) for name, each in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=9)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.glob("*.[pj][np]g"))[:: arguments.every]
    photos = [read(file).pages[0].astype(np.float32) / 255 for file in files]
    lines = [
        f"# Camera raw files: PSNR in dB on {len(photos)} images of {arguments.folder.name}",
        "",
        f"`python benchmarks/raw.py FOLDER --every {arguments.every}`",
    ]
    for title, blur in BLURS.items():
        scenes = [gaussian_filter(photo, (blur, blur, 0)) for photo in photos]
        columns = [measured(scenes, shot, variance) for shot, variance in LEVELS]
        head = ["noise removed", *(f"shot {shot}, read {read:g}" for shot, read in LEVELS)]
        rows = [[name, *(f"{column[name]:.2f}" for column in columns)] for name in columns[0]]
        lines += ["", f"Photographs {title}:", "", *table(head, rows)]
    with replacing(arguments.output) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
