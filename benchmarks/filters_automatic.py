"""The automatic choice of each PDE compared with an oracle: filters_automatic.py FOLDER -o FILE.md

Grey images; noise of known kind and estimated σ, neither clipped nor rounded; results clipped to
[0, 1]; PSNR averaged over images. The oracle is given σ and the clean image; it takes the best time
and the best of the other parameters, from those that the choice considers and some around them. For
Poisson noise and speckle both work on the variance-stabilised image.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, write_report
from tqdm import tqdm

import difffilter as df
from difffilter.image import as_float
from difffilter.io.files import read

LEVELS = (15, 25, 50)
KINDS = ("gaussian", "poisson", "speckle")
TIMES = 0.02 * 1.3 ** np.arange(31)  # in units of length squared

# The candidates of the oracle given σ, and the unit of time.
ORACLES = {
    "heat": lambda s: ([df.Heat()], 1),
    "perona_malik": lambda s: (
        [
            df.PeronaMalik(kappa=m * s, time=None, diffusivity=name, presmooth=blur, scheme="explicit")
            for name, blur, multiples in (
                ("rational", 0.0, (0.5, 0.7, 1.0, 1.4)), ("exponential", 0.0, (1.0, 1.4, 2.0)),
                ("tukey", 0.0, (1.4, 2.0, 2.8)), ("charbonnier", 0.0, (0.5, 1.0)),
                ("weickert", 0.0, (1.0, 2.0)), ("rational", 0.5, (0.07, 0.1, 0.15, 0.3, 0.7)),
                ("rational", 0.7, (0.05, 0.07, 0.1, 0.15)), ("rational", 1.0, (0.15, 0.3)),
            )
            for m in multiples
        ],
        1,
    ),
    "edge_enhancing": lambda s: (
        [
            df.EdgeEnhancing(kappa=m * s, presmooth=blur)
            for blur, multiples in (
                (0.5, (0.3, 0.4, 0.55, 0.8)), (0.7, (0.2, 0.3, 0.4)), (1.0, (0.1, 0.2, 0.3)),
                (1.5, (0.1, 0.2)),
            )
            for m in multiples
        ],
        1,
    ),
    "coherence_enhancing": lambda s: (
        [
            df.CoherenceEnhancing(kappa=m * s, integration=reach)
            for reach in (1.0, 1.6, 2.5)
            for m in (0.03, 0.05, 0.1)
        ],
        1,
    ),
    "tv_flow": lambda s: ([df.TVFlow()], s),
    "curvature_motion": lambda s: ([df.CurvatureMotion()], 1),
    "forward_backward": lambda s: (
        [df.ForwardBackward(kappa=m * s) for m in (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)],
        1,
    ),
}  # fmt: skip


def psnr(clean, image):
    return df.psnr(clean, np.clip(image, 0, 1))


# Filters for a single kind of noise.
OWN = {
    "srad": (
        "speckle",
        lambda s: ([df.SRAD(q0=m * s) for m in (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)], 1),
    )
}


def best_psnr(clean, noisy, methods, unit, back=lambda image: image):
    """The highest PSNR along all evolutions, after the inverse transform `back`."""
    best = 0.0
    for method in methods:
        top = 0.0
        for image in df.scale_space(noisy, method, unit * TIMES):
            score = psnr(clean, back(image))
            top = max(top, score)
            if score < top - 0.2:
                break
        best = max(best, top)
    return best


def middle(image, crop):
    top, left = (max(0, (n - crop) // 2) if crop else 0 for n in image.shape)
    return image[top:, left:][: crop or None, : crop or None]


def measure(case):
    """(oracle, automatic) of every method for one case (file, number, level, kind, crop)."""
    file, number, level, kind, crop = case
    sigma, rng = level / 255, np.random.default_rng([number, level])
    clean = middle(as_float(read(file).pages[0]), crop).astype(np.float64)
    noisy = df.add_noise(clean, sigma, kind, rng).astype(np.float32)
    even, back, strength = noisy, lambda image: image, sigma
    if kind != "gaussian":
        transform = df.Stabilized(noise=kind).transform(noisy, sigma)
        even, back = transform.forward(noisy).astype(np.float32), transform.inverse
        strength = transform.sigma
    scores = {}
    for name, oracle in ORACLES.items():
        automatic = psnr(clean, df.denoise(noisy, method=name, noise=kind))
        scores[name] = best_psnr(clean, even, *oracle(strength), back), automatic
    for name, (own, oracle) in OWN.items():
        if own == kind:
            automatic = psnr(clean, df.denoise(noisy, method=name))
            scores[name] = best_psnr(clean, noisy, *oracle(sigma)), automatic
    return scores


def table(scores):
    """Lines of Markdown: one row for each method."""
    yield "| method | " + " | ".join(f"σ·255 = {level}" for level in LEVELS) + " | loses |"
    yield "|---" * (len(LEVELS) + 2) + "|"
    for name in scores[0]:
        pairs = np.array([score[name] for score in scores]).reshape(len(LEVELS), -1, 2)
        cells = [f"{auto:.2f} ({oracle:.2f})" for oracle, auto in pairs.mean(axis=1)]
        loss = (pairs[..., 0] - pairs[..., 1]).mean()
        yield f"| {name} | {' | '.join(cells)} | {loss:.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="use every n-th image only")
    parser.add_argument(
        "--crop", type=int, help="side of the square taken from the middle, in pixels"
    )
    parser.add_argument("--jobs", type=int, help="number of processes (default: one for each core)")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.png"))[:: options.every]
    what = f"{len(files)} images" + (f", {options.crop}² pixels each" if options.crop else "")
    lines = [
        f"# The automatic choice of each PDE on {options.folder.name}, {what}",
        "",
        f"{describe('numpy', 'numba')}; {date.today()}. Mean PSNR in dB: automatic (oracle), and how "
        "much the automatic choice loses. For Poisson noise and speckle, σ is the strength where the "
        "image is 1.",
    ]
    os.environ["NUMBA_NUM_THREADS"] = "1"
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=spawn) as pool:
        for kind in KINDS:
            cases = [
                (file, number, level, kind, options.crop)
                for level in LEVELS
                for number, file in enumerate(files)
            ]
            scores = list(tqdm(pool.map(measure, cases), total=len(cases), desc=kind))
            lines += ["", f"## {kind}", "", *table(scores)]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
