"""Throughput of Perona–Malik against its peers: python benchmarks/speed.py [-o FILE.md]

The same number of iterations on the same float32 image; the libraries take turns, and the median
of the repeats counts.
"""

import argparse
import statistics
import time
from datetime import date
from pathlib import Path

import numpy as np
from machine import describe

import difffilter as df
from difffilter.files import replacing

ITERATIONS = 50
KAPPA = 0.1


def ours(diffusivity, dtype=np.float32):
    def run(image):
        df.perona_malik(image.astype(dtype, copy=False), 0.1 * ITERATIONS, KAPPA,
                        diffusivity=diffusivity, step=0.1)  # fmt: skip

    return run


def diplib(name):
    import diplib

    def run(image):
        diplib.PeronaMalikDiffusion(
            image, iterations=ITERATIONS, K=KAPPA, stepSizeLambda=0.1, g=name
        )

    return run


def medpy(option):
    from medpy.filter.smoothing import anisotropic_diffusion

    def run(image):
        anisotropic_diffusion(image, niter=ITERATIONS, kappa=KAPPA, gamma=0.1, option=option)

    return run


def simpleitk():
    import SimpleITK as sitk

    def run(image):
        sitk.GradientAnisotropicDiffusion(sitk.GetImageFromArray(image), 0.06, KAPPA, 1, ITERATIONS)

    return run


def contestants():
    """Name to function; a library that is missing is reported."""
    makers = {
        "difffilter, exponential": lambda: ours("exponential"),
        "difffilter, rational": lambda: ours("rational"),
        "difffilter, exponential, float64": lambda: ours("exponential", np.float64),
        "DIPlib, exponential": lambda: diplib("Gauss"),
        "DIPlib, rational": lambda: diplib("quadratic"),
        "medpy, exponential": lambda: medpy(1),
        "medpy, rational": lambda: medpy(2),
        "SimpleITK, exponential": simpleitk,
    }
    found = {}
    for name, make in makers.items():
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name}: not measured, {error}")
    return found


def rates(shape, repeats):
    """Mpixel·iterations/s of every contestant."""
    image = np.random.default_rng(0).random(shape, np.float32)
    functions = contestants()
    for run in functions.values():
        run(image)
    seconds = {name: [] for name in functions}
    for _ in range(repeats):
        for name, run in functions.items():
            start = time.perf_counter()
            run(image)
            seconds[name].append(time.perf_counter() - start)
    return {
        name: image.size * ITERATIONS / 1e6 / statistics.median(times)
        for name, times in seconds.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    shapes = [(512, 512), (1024, 1024), (2048, 2048), (96, 96, 96)]
    table = [rates(shape, options.repeats) for shape in shapes]
    lines = [
        "# Speed of Perona–Malik diffusion",
        "",
        f"{describe('numba', 'diplib', 'medpy', 'SimpleITK')}; {date.today()}.",
        f"Mpixel·iterations/s, {ITERATIONS} iterations, float32, medians of {options.repeats} "
        "interleaved repeats.",
        "",
        "| | " + " | ".join("×".join(map(str, shape)) for shape in shapes) + " |",
        "|---" * (len(shapes) + 1) + "|",
    ]
    for name in table[0]:
        lines.append(f"| {name} | " + " | ".join(f"{row[name]:.0f}" for row in table) + " |")
    peers = [name for name in table[0] if not name.startswith("difffilter")]
    for kind in ("exponential", "rational"):
        for others, what in (
            (peers, "all"),
            ([p for p in peers if p.endswith(kind)], "those " + kind),
        ):
            if others:
                ratios = [row[f"difffilter, {kind}"] / max(row[p] for p in others) for row in table]
                times = " | ".join(f"{ratio:.1f}" for ratio in ratios)
                lines.append(f"| difffilter, {kind} / the fastest peer of {what} | {times} |")
    if options.output:
        with replacing(options.output) as temporary:
            temporary.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
