"""Quality of the automatic choice of parameters: python benchmarks/automatic.py FOLDER -o FILE.md

Grey images with white Gaussian noise, neither clipped nor rounded; results clipped to [0, 1]; PSNR
averaged over images. The automatic choice is compared with oracles that see the clean image: the best
diffusivity, κ and time without presmoothing, and the best with it as well.
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, table, write_report
from tqdm import tqdm

import difffilter as df
from difffilter.image import as_float
from difffilter.io.files import read
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion
from difffilter.pde.solve.stability import SAFETY
from difffilter.pde.solve.state import as_state

LEVELS = (15, 25, 50)
PLAIN = [(name, 0.0, k) for name in DIFFUSIVITIES for k in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)]
PRESMOOTHED = [("rational", blur, k) for blur in (0.5, 0.7) for k in (0.07, 0.1, 0.15, 0.3)]


def psnr(clean, image):
    return df.psnr(clean, np.clip(image, 0, 1))


def best_psnr(clean, noisy, sigma, candidates):
    """The highest PSNR along all evolutions."""
    best = 0.0
    for name, blur, multiple in candidates:
        flow = Diffusion(DIFFUSIVITIES[name], multiple * sigma, presmooth=blur)
        u = as_state(noisy, None)
        done, top = 0, (0.0, 0)
        while done < 400 and done < 1.5 * top[1] + 5:
            more = max(1, done // 12)
            flow.explicit(u, more, SAFETY / 4)
            done += more
            score = psnr(clean, u[0, 0, 0])
            top = max(top, (score, done))
        best = max(best, top[0])
    return best


def measure(case):
    """Scores of one case (file, number, level)."""
    file, number, level = case
    sigma, rng = level / 255, np.random.default_rng([number, level])
    clean = as_float(read(file).pages[0]).astype(np.float64)
    noisy = (clean + rng.normal(0, sigma, clean.shape)).astype(np.float32)
    plain = best_psnr(clean, noisy, sigma, PLAIN)
    return {
        "estimated σ·255": 255 * df.estimate_sigma(noisy),
        "noisy": df.psnr(clean, noisy),
        "heat": psnr(clean, df.denoise(noisy, method="heat")),
        "automatic": psnr(clean, df.denoise(noisy)),
        "automatic, σ known": psnr(clean, df.denoise(noisy, sigma=sigma)),
        "oracle, no presmoothing": plain,
        "oracle": max(plain, best_psnr(clean, noisy, sigma, PRESMOOTHED)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="use every n-th image only")
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.png"))[:: options.every]
    cases = [(file, number, level) for level in LEVELS for number, file in enumerate(files)]
    os.environ["NUMBA_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        scores = list(tqdm(pool.map(measure, cases), total=len(cases)))
    rows = {
        level: {
            key: np.array(
                [s[key] for s, case in zip(scores, cases, strict=True) if case[2] == level]
            )
            for key in scores[0]
        }
        for level in LEVELS
    }
    names = list(scores[0])
    cells = []
    for level, row in rows.items():
        gain = (row["automatic"] - row["noisy"]).mean()
        loss = (row["oracle, no presmoothing"] - row["automatic"]).mean()
        means = [row[name].mean() for name in names]
        cells.append([str(level), *(f"{value:.2f}" for value in (*means, gain, loss))])
    estimates = "; ".join(
        f"{level} → {row[names[0]].mean():.2f} ± {row[names[0]].std():.2f}"
        for level, row in rows.items()
    )
    lines = [
        f"# The automatic choice on {options.folder.name}, {len(files)} images",
        "",
        f"{describe('numpy', 'numba')}; {date.today()}. Mean PSNR in dB.",
        "",
        *table(
            ["σ·255", *names, "gain over noisy", "automatic below oracle, no presmoothing"], cells
        ),
        "",
        f"Estimated σ·255: {estimates} (mean ± standard deviation over images).",
    ]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
