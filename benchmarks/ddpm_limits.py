"""Limits of the DDPM's weights: python benchmarks/ddpm_limits.py [-o FILE.md]

On the central 256² pixels of images that scikit-image ships: very weak and very strong noise, images
that are not photographs, wrong σ, noise that is not Gaussian, and flat areas. For comparison
edge-enhancing diffusion and BM3D, which were not trained.
"""

import argparse
import warnings
from datetime import date
from pathlib import Path

import numpy as np
from peers import BM3D
from scripting import describe, table, write_report
from skimage import data
from tqdm import tqdm

import difffilter as df
from difffilter.metrics import psnr
from difffilter.noise.kinds import add_noise

SIDE = 256
IMAGES = {
    "camera (photograph)": data.camera,
    "brick (texture)": data.brick,
    "moon": data.moon,
    "cell (microscopy)": data.cell,
    "page (print)": data.page,
    "horse (drawing)": data.horse,
    "checkerboard": data.checkerboard,
}
LEVELS = (2, 5, 10, 15, 25, 35, 50, 75, 100)
METHODS = {"ddpm": df.make("ddpm"), "edge_enhancing": df.make("edge_enhancing"), "BM3D": BM3D()}


def middle(image):
    """The central 256² pixels, in [0, 1]."""
    top, left = (max(0, extent - SIDE) // 2 for extent in image.shape)
    image = image[top : top + SIDE, left : left + SIDE]
    return (image / (1 if image.dtype == bool else 255)).astype(np.float32)


def correlated(clean, sigma, rng):
    """Correlated noise: white noise after a Gaussian of 0.8 pixels."""
    noise = df.heat(rng.normal(size=clean.shape), 0.8**2 / 2)
    return clean + sigma * noise / noise.std()


def uniform(clean, sigma, rng):
    """White noise, uniform."""
    return clean + sigma * np.sqrt(12) * (rng.random(clean.shape) - 0.5)


def kind(name):
    return lambda clean, sigma, rng: add_noise(clean, sigma, name, rng=rng)


NOISES = {
    "white, Gaussian": kind("gaussian"),
    "white, uniform": uniform,
    "Poisson": kind("poisson"),
    "speckle": kind("speckle"),
    "salt and pepper": kind("salt_and_pepper"),
    "correlated over 0.8 pixels": correlated,
}


def score(method, clean, noisy, sigma):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # σ is outside the trained range on purpose
        return psnr(clean, np.clip(METHODS[method](noisy, sigma), 0, 1))


def row(name, values):
    return [name, *(f"{value:.2f}" for value in values)]


def levels(images):
    """PSNR of each image, method and σ."""
    rows = []
    for name, clean in tqdm(images.items(), disable=None, leave=False):
        noisy = {
            level: add_noise(clean, level / 255, rng=np.random.default_rng(level))
            for level in LEVELS
        }
        for method in METHODS:
            scores = [score(method, clean, noisy[level], level / 255) for level in LEVELS]
            rows.append(row(f"{name}, {method}", scores))
    return table(["image, method", *map(str, LEVELS)], rows)


def misstated(images):
    """The mean loss if the σ given to a method is wrong."""
    rows = []
    for level in (15, 25, 50):
        sigma = level / 255
        for method in METHODS:
            cells = []
            for factor in (0.7, 0.85, 1.0, 1.15, 1.3):
                cells.append(np.mean([
                    score(method, clean, add_noise(clean, sigma, rng=np.random.default_rng(level)),
                          factor * sigma)
                    for clean in images.values()
                ]))  # fmt: skip
            rows.append(row(f"σ·255 = {level}, {method}", np.array(cells) - cells[2]))
    return table(["", "−30 %", "−15 %", "right", "+15 %", "+30 %"], rows)


def other_noise(images):
    """Mean PSNR with other kinds of noise; σ·255 = 25 is given."""
    sigma, rows = 25 / 255, []
    for name, noise in NOISES.items():
        noisy = {k: noise(clean, sigma, np.random.default_rng(0)) for k, clean in images.items()}
        rows.append(row(name, [
            np.mean([score(method, images[k], noisy[k].astype(np.float32), sigma) for k in images])
            for method in METHODS
        ]))  # fmt: skip
    return table(["noise", *METHODS], rows)


def flat():
    """255 times the standard deviation of the result on flat images."""
    rows = []
    for grey in (0.1, 0.5, 0.9):
        clean = np.full((SIDE, SIDE), grey, np.float32)
        cells = []
        for level in (15, 25, 50):
            noisy = add_noise(clean, level / 255, rng=np.random.default_rng(level))
            cells += [255 * METHODS[method](noisy, level / 255).std() for method in METHODS]
        rows.append(row(f"{grey:g}", cells))
    head = [f"{method}, σ·255 = {level}" for level in (15, 25, 50) for method in METHODS]
    return table(["grey", *head], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    images = {name: middle(load()) for name, load in IMAGES.items()}
    lines = [
        "# Limits of the DDPM",
        "",
        f"{describe('torch', 'bm3d', 'scikit-image')}; {date.today()}. benchmarks/ddpm_limits.py.",
        f"The central {SIDE}² pixels of images that scikit-image ships; PSNR in dB; σ is given.",
        "",
        "## PSNR by σ·255",
        "",
        *levels(images),
        "",
        "## Wrong σ",
        "",
        "Mean change in dB over the images.",
        "",
        *misstated(images),
        "",
        "## Other noise than Gaussian",
        "",
        "σ·255 = 25 is given; mean PSNR over the images.",
        "",
        *other_noise(images),
        "",
        "## Flat areas",
        "",
        "255 times the standard deviation of the result.",
        "",
        *flat(),
    ]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
