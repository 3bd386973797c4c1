"""The automatic choice of each PDE against an oracle: filters_automatic.py FOLDER -o FILE.md

Grey images, white Gaussian noise that is neither clipped nor rounded, σ estimated, results clipped
to [0, 1], PSNR averaged over images. The oracle looks at the clean image for the best time and,
where there are others, the best of the parameters that the choice has and of some around them.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from machine import describe
from tqdm import tqdm

import difffilter as df
from difffilter.files import read, replacing
from difffilter.image import as_float

LEVELS = (15, 25, 50)
TIMES = 0.1 * 1.2 ** np.arange(36)  # in units of length squared

# What the oracle chooses from, besides the time, given σ; and the unit of that.
ORACLES = {
    "heat": lambda s: ([df.Heat()], 1),
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


def best_psnr(clean, noisy, methods, unit):
    """The best score along all evolutions."""
    best = 0.0
    for method in methods:
        top = 0.0
        for image in df.scale_space(noisy, method, unit * TIMES):
            score = psnr(clean, image)
            top = max(top, score)
            if score < top - 0.2:
                break
        best = max(best, top)
    return best


def measure(case):
    """(oracle, automatic) of every method for one case (file, number, level)."""
    file, number, level = case
    sigma, rng = level / 255, np.random.default_rng([number, level])
    clean = as_float(read(file).pages[0]).astype(np.float64)
    noisy = (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)
    scores = {"perona_malik": (np.nan, psnr(clean, df.denoise(noisy)))}
    for name, oracle in ORACLES.items():
        automatic = psnr(clean, df.denoise(noisy, method=name))
        scores[name] = best_psnr(clean, noisy, *oracle(sigma)), automatic
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take each n-th image")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.png"))[:: options.every]
    cases = [(file, number, level) for level in LEVELS for number, file in enumerate(files)]
    os.environ["NUMBA_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = list(tqdm(pool.map(measure, cases), total=len(cases)))
    lines = [
        f"# The automatic choice of each PDE on {options.folder.name}, {len(files)} images",
        "",
        f"{describe('numpy', 'numba')}; {date.today()}. Mean PSNR in dB: automatic (oracle), and how "
        "much the automatic choice loses.",
        "",
        "| method | " + " | ".join(f"σ·255 = {level}" for level in LEVELS) + " | loses |",
        "|---" * (len(LEVELS) + 2) + "|",
    ]
    for name in scores[0]:
        pairs = np.array([score[name] for score in scores]).reshape(len(LEVELS), -1, 2)
        cells = [f"{auto:.2f} ({oracle:.2f})" for oracle, auto in pairs.mean(axis=1)]
        loss = (pairs[..., 0] - pairs[..., 1]).mean()
        row = " | ".join(cells).replace(" (nan)", "")
        lines.append(f"| {name} | {row} | {'' if np.isnan(loss) else f'{loss:.2f}'} |")
    with replacing(options.output) as temporary:
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
