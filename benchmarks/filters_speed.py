"""Throughput of the other PDEs against their peers: python benchmarks/filters_speed.py [-o FILE.md]

Iterations on float32 noise; the libraries take turns, and the median of the repeats counts. An
iteration of tensor diffusion makes the tensor anew.
"""

import argparse
import statistics
import time
from datetime import date
from pathlib import Path

import diplib
import numpy as np
import SimpleITK as sitk
from machine import describe

import difffilter as df
from difffilter.files import replacing


def itk(function, *arguments):
    return lambda image: function(sitk.GetImageFromArray(image), *arguments)


# Name: iterations, and a function that does them.
RUNS = {
    "coherence_enhancing": (
        4,
        lambda u: df.coherence_enhancing(u, 0.4, 0.01, presmooth=1, integration=3, step=0.1),
    ),
    "DIPlib, CoherenceEnhancingDiffusion": (
        2,
        lambda u: diplib.CoherenceEnhancingDiffusion(u, 1, 3, 2),
    ),
    "edge_enhancing": (4, lambda u: df.edge_enhancing(u, 0.4, 0.1, presmooth=1, step=0.1)),
    "curvature_motion": (30, lambda u: df.curvature_motion(u, 1.5, step=0.05)),
    "SimpleITK, CurvatureFlow": (10, itk(sitk.CurvatureFlow, 0.05, 10)),
    "SimpleITK, CurvatureAnisotropicDiffusion": (
        5,
        itk(sitk.CurvatureAnisotropicDiffusion, 0.05, 1.0, 1, 5),
    ),
    "forward_backward": (30, lambda u: df.forward_backward(u, 1.5, 0.1, step=0.05)),
    "tv_flow": (10, lambda u: df.tv_flow(u, 0.05)),
}


def rates(shape, repeats):
    """Mpixel·iterations/s of every run."""
    image = np.random.default_rng(0).random(shape, np.float32)
    seconds = {name: [] for name in RUNS}
    for repeat in range(repeats + 1):  # the first one warms up
        for name, (_, run) in RUNS.items():
            start = time.perf_counter()
            run(image)
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {
        name: image.size * RUNS[name][0] / 1e6 / statistics.median(times)
        for name, times in seconds.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    shapes = [(512, 512), (1024, 1024), (64, 64, 64)]
    table = [rates(shape, options.repeats) for shape in shapes]
    lines = [
        "# Speed of the other PDEs",
        "",
        f"{describe('numba', 'diplib', 'SimpleITK')}; {date.today()}.",
        f"Mpixel·iterations/s, float32, medians of {options.repeats} interleaved repeats.",
        "",
        "| | " + " | ".join("×".join(map(str, shape)) for shape in shapes) + " |",
        "|---" * (len(shapes) + 1) + "|",
    ]
    for name in RUNS:
        lines.append(f"| {name} | " + " | ".join(f"{row[name]:.3g}" for row in table) + " |")
    if options.output:
        with replacing(options.output) as temporary:
            temporary.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
