"""Noise of a sensor, stronger where an image is brighter, removed by several weights of the DDPM.

    python benchmarks/ddpm_maps.py ../data/train -o benchmarks/results/ddpm-maps.md

Of the photographs of the folder, every third of those that training sets aside is taken, its central 256²
pixels in grey. The variance of the noise is a x + b at intensity x; noisy pixels are clipped.
"""

import argparse
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, table, write_report
from tqdm import tqdm

from difffilter import estimate_noise
from difffilter.ddpm import DDPM
from difffilter.metrics import psnr
from difffilter.training import PRESETS
from difffilter.training.data import read_photos, signed

NOISES = ((0.002, 1e-5), (0.008, 1e-4), (0.02, 6e-4))
SIDE = 256


def scores(clean, shot, read, seed):
    """PSNR in dB by weights and by what they are given."""
    sigma = np.sqrt(shot * clean + read)
    noise = sigma * np.random.default_rng(seed).standard_normal(clean.shape)
    noisy = (clean + noise).clip(0, 1).astype(np.float32)
    strength, model = float(np.sqrt(np.mean(sigma**2))), estimate_noise(noisy)
    results = {
        "noisy": noisy,
        "natural-gray-real, nothing given": DDPM(weights="natural-gray-real")(noisy),
    }
    for name in ("natural-gray", "bias-free-gray"):
        results[f"{name}, σ given"] = DDPM(weights=name)(noisy, strength)
        results[f"{name}, map given"] = DDPM(weights=name)(noisy, sigma)
    results["bias-free-gray, model estimated"] = DDPM(weights="bias-free-gray")(noisy, model)
    return {name: psnr(clean, result.clip(0, 1)) for name, result in results.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    photos = read_photos(options.folder, PRESETS["gray-small"])[1][::3]
    means = []
    for shot, read in NOISES:
        rows = []
        for seed, photo in enumerate(tqdm(photos, disable=None)):
            top, left = ((extent - min(SIDE, extent)) // 2 for extent in photo.shape[1:])
            clean = (signed(photo)[0, top : top + SIDE, left : left + SIDE] + 1) / 2
            rows.append(scores(clean, shot, read, seed))
        means.append({name: np.mean([row[name] for row in rows]) for name in rows[0]})
    lines = [
        "# Noise that grows with the intensity",
        "",
        f"`python benchmarks/ddpm_maps.py`: PSNR in dB, the mean of {len(photos)} photographs, by the",
        f"variance of the noise at intensity x. {describe('torch', 'numpy')}; {date.today()}.",
        "",
        *table(
            ["", *(f"{shot:g} x + {read:g}" for shot, read in NOISES)],
            [[name, *(f"{mean[name]:.2f}" for mean in means)] for name in means[0]],
        ),
    ]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
