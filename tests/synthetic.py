"""A results folder as a study leaves it behind, made up: for the tests of the report."""

import csv
import json
import re

import numpy as np
from PIL import Image
from skimage import data, filters

from difffilter.benchmark.report.summary import Results
from difffilter.benchmark.report.svg import inline

HEADER = ["image", "noise", "sigma", "seed", "denoiser", "metric", "value"]
IMAGES = ["camera", "coins", "moon", "page", "brick", "grass"]

# label: what makes it, gain over noisy at σ·255 = 25 in dB, texture distance, seconds
METHODS = {
    "identity": ("identity", 0.0, 0.31, 1e-5),
    "heat": ("heat", 6.5, 0.14, 0.004),
    "perona_malik": ("perona_malik", 7.6, 0.09, 0.06),
    "oracle(perona_malik)": ("oracle(perona_malik)", 7.7, 0.085, 9.0),
    "ddpm": ("ddpm", 9.0, 0.07, 0.9),
    "ddpm sample": ("ddpm(mode='sample')", 6.2, 0.012, 21.0),
    "ddpm average": ("ddpm(mode='average')", 8.4, 0.055, 160.0),
    "bm3d": ("bm3d", 8.4, 0.075, 2.6),
    "tv": ("skimage_tv", 7.3, 0.1, 0.03),
    "wavelet": ("skimage_wavelet", 6.9, 0.08, 0.02),
}


def write_results(
    folder,
    *,
    images=IMAGES,
    levels=(15, 25, 50),
    noises=("gaussian",),
    methods=METHODS,
    failed=(),
    missing=None,
    examples=(),
    title="Quick study",
    seeds=(0,),
):
    """Write rows.csv, study.json and, for the images in `examples`, pictures.

    `failed` holds (image, level, label) triples. Returns the values, keyed by
    (noise, level, label, metric, image, seed).
    """
    rng = np.random.default_rng(3)
    hardness = dict(zip(images, rng.normal(0, 2.5, len(images)), strict=True))
    rows, values = [], {}
    for noise in noises:
        for level in levels:
            for image in images:
                for seed in seeds:
                    for label, (_, gain, texture, seconds) in methods.items():
                        case = (image, noise, level / 255, seed, label)
                        if (image, level, label) in failed:
                            rows.append((*case, "error", "ValueError: NaN in the result <b>"))
                            continue
                        gained = gain * (0.55 + 0.45 * level / 25)
                        noisy = -20 * np.log10(level / 255)
                        easy = hardness[image] * (gain > 0)
                        psnr = noisy + gained + easy + rng.normal(0, 0.15) * (gain > 0)
                        scores = {
                            "psnr": psnr,
                            "ssim": 1 / (1 + np.exp(-(psnr - 22) / 4)),
                            "texture": texture * (level / 25) * rng.uniform(0.9, 1.1),
                            "seconds": seconds * rng.uniform(0.8, 1.3),
                            "peak_memory": 2e8 + 1e8 * gain,
                        }
                        for metric, value in scores.items():
                            rows.append((*case, metric, float(value)))
                            values[noise, level, label, metric, image, seed] = float(value)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "rows.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([HEADER, *rows])
    study = {
        "name": "quick",
        "title": title,
        "denoisers": {label: text for label, (text, *_) in methods.items()},
        "oracles": [label for label in methods if label.startswith("oracle")],
        "missing": missing or {},
        "noises": list(noises),
        "sigmas": [level / 255 for level in levels],
        "seeds": list(seeds),
        "images": list(images),
        "metrics": ["psnr", "ssim", "texture", "seconds", "peak_memory"],
        "protocol": "Noise is neither clipped nor quantised; results are clipped to [0, 1].",
        "machine": {"processor": "Imaginary 9000", "cores": 2, "device": "cpu", "system": "Linux"},
        "versions": {"numpy": "2.4.6", "difffilter": "0.1.0"},
        "commit": "0123abc",
        "date": "2026-11-21",
    }
    (folder / "study.json").write_text(json.dumps(study), "utf-8")
    for image in examples:
        for noise in noises:
            for level in levels:
                _write_example(folder / "examples" / image / f"{noise}-{level:g}-0", level, methods)
    return values


def _write_example(folder, level, methods):
    folder.mkdir(parents=True)
    clean = data.camera()[100:292, 150:406] / 255
    noisy = clean + np.random.default_rng(0).normal(0, level / 255, clean.shape)
    pictures = {"clean.png": ("clean", clean)}
    for number, (label, (_, gain, *_)) in enumerate(methods.items()):
        pictures[f"{number}.png"] = (label, filters.gaussian(noisy, gain / 6))
    labels = {}
    for name, (label, picture) in pictures.items():
        pixels = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
        if name != "clean.png":
            labels[name] = label
    (folder / "labels.json").write_text(json.dumps(labels), "utf-8")


def table(markdown, heading):
    """The Markdown table under a heading, as a dict of rows of cells."""
    part = re.split(rf"^### {re.escape(heading)}$", markdown, flags=re.M)[1]
    rows = re.findall(r"^\|(.*)\|$", part.split("###")[0], re.M)
    cells = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    return {row[0]: row[1:] for row in cells if not row[0].startswith("---")}


def results_of(psnrs, level=25.0, **study):
    """Results with these PSNRs: {label: {image: value}}."""
    values = {
        ("gaussian", level, label, "psnr"): {(image, 0): value for image, value in images.items()}
        for label, images in psnrs.items()
    }
    return Results(study, values)


def chart_text(figure):
    """A chart as the page's SVG."""
    return inline(figure, "x-", {})
