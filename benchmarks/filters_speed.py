"""Throughput of the other PDEs and their peers: python benchmarks/filters_speed.py [-o FILE.md]

Iterations on float32 noise, medians over interleaved repeats. An iteration of tensor diffusion
computes the tensor anew. No library has edge-enhancing diffusion, forward-and-backward diffusion,
total-variation flow or SRAD; they are compared with the nearest filter: tensor diffusion with other
eigenvalues, Perona–Malik diffusion (which SRAD is with another diffusivity), and ITK's
div(c ∇u/|∇u|) |∇u|.
"""

import argparse
from datetime import date
from pathlib import Path

import diplib
import numba
import numpy as np
import SimpleITK as sitk
from scripting import describe, medians, table, write_report

import difffilter as df


def itk(function, *arguments):
    return lambda image: function(sitk.GetImageFromArray(image), *arguments)


# Name to the number of iterations and a function that runs them.
RUNS = {
    "coherence_enhancing": (
        4,
        lambda u: df.coherence_enhancing(u, 0.4, kappa=0.01, presmooth=1, integration=3, step=0.1),
    ),
    "edge_enhancing": (4, lambda u: df.edge_enhancing(u, 0.4, kappa=0.1, presmooth=1, step=0.1)),
    "DIPlib, CoherenceEnhancingDiffusion": (
        2,
        lambda u: diplib.CoherenceEnhancingDiffusion(u, 1, 3, 2),
    ),
    "curvature_motion": (30, lambda u: df.curvature_motion(u, 1.5, step=0.05)),
    "SimpleITK, CurvatureFlow": (10, itk(sitk.CurvatureFlow, 0.05, 10)),
    "tv_flow": (10, lambda u: df.tv_flow(u, 0.05)),
    "SimpleITK, CurvatureAnisotropicDiffusion": (
        5,
        itk(sitk.CurvatureAnisotropicDiffusion, 0.05, 1.0, 1, 5),
    ),
    "forward_backward": (30, lambda u: df.forward_backward(u, 1.5, kappa=0.1, step=0.05)),
    "srad": (30, lambda u: df.srad(u, 1.5, q0=0.2, step=0.05)),
    "DIPlib, PeronaMalikDiffusion": (
        10,
        lambda u: diplib.PeronaMalikDiffusion(u, 10, 0.1, 0.05, "quadratic"),
    ),
    "SimpleITK, GradientAnisotropicDiffusion": (
        5,
        itk(sitk.GradientAnisotropicDiffusion, 0.05, 1.0, 1, 5),
    ),
}

# The peers of each filter; the fastest counts.
PEERS = {
    "coherence_enhancing": ["DIPlib, CoherenceEnhancingDiffusion"],
    "edge_enhancing": ["DIPlib, CoherenceEnhancingDiffusion"],
    "curvature_motion": ["SimpleITK, CurvatureFlow"],
    "tv_flow": ["SimpleITK, CurvatureAnisotropicDiffusion"],
    "forward_backward": [
        "DIPlib, PeronaMalikDiffusion",
        "SimpleITK, GradientAnisotropicDiffusion",
    ],
    "srad": ["DIPlib, PeronaMalikDiffusion", "SimpleITK, GradientAnisotropicDiffusion"],
}


def rates(shape, repeats):
    """Mpixel·iterations/s of every run."""
    image = np.random.default_rng(0).random(shape, np.float32)
    runs = {name: (lambda run=run: run(image)) for name, (_, run) in RUNS.items()}
    return {
        name: image.size * RUNS[name][0] / 1e6 / taken
        for name, taken in medians(runs, repeats).items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    diplib.SetNumberOfThreads(options.threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    shapes = [(512, 512), (1024, 1024), (64, 64, 64)]
    found = [rates(shape, options.repeats) for shape in shapes]
    rows = [[name, *(f"{rate[name]:.3g}" for rate in found)] for name in RUNS]
    for name, peers in PEERS.items():
        ratios = [rate[name] / max(rate[peer] for peer in peers) for rate in found]
        against = f"{name} / the faster" if len(peers) > 1 else f"{name} / {peers[0]}"
        rows.append([f"**{against}**", *(f"{ratio:.1f}" for ratio in ratios)])
    lines = [
        "# Speed of the other PDEs",
        "",
        f"{describe('numba', 'diplib', 'SimpleITK')}; {date.today()}.",
        f"Mpixel·iterations/s, float32, threads: {options.threads}; medians of {options.repeats} "
        "interleaved repeats. benchmarks/filters_speed.py.",
        "",
        *table(["", *("×".join(map(str, shape)) for shape in shapes)], rows),
    ]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
