r"""The DDPM's network in PyTorch, ONNX Runtime and OpenVINO: seconds for a tile, in one thread.

    python benchmarks/runtimes.py -o benchmarks/results/runtimes.md

A tile of 128×128 pixels is what `denoise` gives to each thread. Runtimes that are not installed are left
out: pip install onnxruntime openvino.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from scripting import describe, medians, table, write_report

from difffilter.ddpm import export_onnx, load

SIDE, SIGMA = 128, 25 / 255


def in_pytorch(estimate, dtype, noisy, sigma):
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16),
    ):
        return estimate(noisy, sigma).float().numpy()


def calls(path, weights):
    """Functions of an image and σ, by the names of their runtimes."""
    from difffilter.ddpm.export import Estimate

    noisy, sigma = torch.rand(1, 1, SIDE, SIDE), torch.tensor([SIGMA])
    estimate = Estimate(load(weights)).eval().to(memory_format=torch.channels_last)
    last = noisy.contiguous(memory_format=torch.channels_last)
    found = {
        f"PyTorch, {name}": partial(in_pytorch, estimate, dtype, last, sigma)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    inputs = {"noisy": noisy.numpy(), "sigma": sigma.numpy()}
    if find_spec("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        found["ONNX Runtime, float32"] = lambda: session.run(None, inputs)[0]
    if find_spec("openvino"):
        import openvino

        for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
            options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
            model = openvino.Core().compile_model(path, "CPU", options)
            found[f"OpenVINO, {name}"] = lambda model=model: model(inputs)[0]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--weights", default="natural-gray")
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(arguments.weights, Path(folder) / "net.onnx")
        found = calls(path, arguments.weights)
        exact = found["PyTorch, float32"]()
        taken = medians(found, arguments.repeats)
        errors = {name: np.sqrt(np.square(call() - exact).mean()) for name, call in found.items()}
    usual = taken["PyTorch, bfloat16"]
    rows = [
        [name, f"{1e3 * seconds:.1f}", f"{usual / seconds:.2f}", f"{errors[name]:.1e}"]
        for name, seconds in taken.items()
    ]
    lines = [
        "# Runtimes for the DDPM",
        "",
        f"`python benchmarks/runtimes.py`: {arguments.weights}, one tile of {SIDE}×{SIDE} pixels in one "
        f"thread, medians of {arguments.repeats} interleaved calls.",
        f"{describe('torch', *(name for name in ('onnxruntime', 'openvino') if find_spec(name)))}; "
        f"{date.today()}.",
        "",
        *table(["runtime", "ms", "speed, PyTorch in bfloat16 = 1", "RMS from float32"], rows),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
