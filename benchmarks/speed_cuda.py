"""Speed of diffusion on a GPU relative to its memory: python benchmarks/speed_cuda.py [-o FILE.md]

Pixels per second of an explicit iteration by Triton's kernel and by PyTorch's operations, beside the
limit by copying, since a step reads and writes each pixel at least once. Medians of the repeats after
a warm-up. Without a GPU this is a rehearsal on the CPU, with tiny images and PyTorch's operations
only; its numbers mean nothing.
"""

import argparse
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import torch
from scripting import describe, medians, table, write_report

from difffilter.benchmark.machine import machine
from difffilter.pde.backends import torch_schemes
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion

SHAPES = {"1024²": (1, 1, 1024, 1024), "4096²": (1, 1, 4096, 4096), "256³": (1, 256, 256, 256),
          "2048², 3 channels": (3, 1, 2048, 2048)}  # fmt: skip
REHEARSAL = {"64²": (1, 1, 64, 64), "16³": (1, 16, 16, 16)}

# Name: diffusivity and presmoothing.
DIFFUSIONS = {"rational": ("rational", 0.0), "exponential": ("exponential", 0.0),
              "rational, presmoothed by 0.5": ("rational", 0.5)}  # fmt: skip
DTYPES = {"float32": torch.float32, "float64": torch.float64}
ITERATIONS = 64


def seconds(run, device, repeats):
    """The median duration of a call."""

    def synchronised():
        run()
        if device == "cuda":
            torch.cuda.synchronize()

    return medians({"": synchronised}, repeats)[""]


def rate(shape, dtype, diffusivity, presmooth, device, iterations, repeats):
    """Mpixel·iterations/s; colour counts each channel's pixels."""
    u = torch.rand((1, *shape), dtype=dtype, device=device)
    diffusion = Diffusion(DIFFUSIVITIES[diffusivity], 0.1, presmooth=presmooth)
    time = iterations * diffusion.largest_step(shape[1:])
    taken = seconds(lambda: torch_schemes.evolve(diffusion, u, time), device, repeats)
    return u.numel() * iterations / taken / 1e6


def copying(device, repeats, size):
    """Bytes/s, read and written, of copying `size` bytes."""
    a = torch.ones(size // 4, device=device)
    b = torch.empty_like(a)
    return 2 * size / seconds(lambda: b.copy_(a), device, repeats)


def implementations(device):
    names = {"PyTorch": "torch_steps"}
    if device == "cuda" and find_spec("triton"):
        names = {"Triton": "triton_steps"} | names
    return {
        name: import_module(f"difffilter.pde.backends.{module}") for name, module in names.items()
    }


def report(device, repeats):
    shapes, iterations = (SHAPES, ITERATIONS) if device == "cuda" else (REHEARSAL, 4)
    bandwidth = copying(device, repeats, 1 << 30 if device == "cuda" else 1 << 20)
    lines = [
        f"Mpixel·iterations/s on {device}, {iterations} explicit iterations. Copying runs at "
        f"{bandwidth / 1e9:.0f} GB/s (read and written).",
        "",
        f"{machine()['device']}; {describe('torch', 'triton', 'difffilter')}; {date.today()}",
    ]
    for dtype_name, dtype in DTYPES.items():
        limit = bandwidth / (2 * dtype.itemsize) / 1e6
        rows = []
        for name, module in implementations(device).items():
            for what, (diffusivity, presmooth) in DIFFUSIONS.items():
                with patch.object(torch_schemes, "implementation", return_value=module):
                    rates = [
                        rate(s, dtype, diffusivity, presmooth, device, iterations, repeats)
                        for s in shapes.values()
                    ]
                rows.append([f"{name}, {what}", *(f"{r:.0f} ({r / limit:.0%})" for r in rates)])
        rows.append(["a copy, from memory", *[f"{limit:.0f}"] * len(shapes)])
        lines += ["", f"## {dtype_name}", "", *table(["", *shapes], rows)]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="write the tables to a file")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    write_report([report(device, options.repeats)], options.output)


if __name__ == "__main__":
    main()
