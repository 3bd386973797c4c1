r"""The DDPM's network in PyTorch, ONNX Runtime and OpenVINO: seconds for a tile, in one thread.

    python benchmarks/runtimes.py -o benchmarks/results/runtimes.md
    python benchmarks/runtimes.py --weights bias-free-gray -o benchmarks/results/runtimes-bias-free.md

A tile is what `denoise` gives to each thread; here it is the middle of scikit-image's photograph of a cat,
in grey, with white noise. Runtimes that are not installed are left out: pip install openvino.
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
from skimage import data

from difffilter.ddpm import export_onnx, load
from difffilter.image import grey
from difffilter.metrics import psnr

SIGMAS = (15 / 255, 25 / 255, 50 / 255)


def inputs(clean, sigma):
    """What the network takes, by name, of a clean tile (H, W)."""
    noise = np.random.default_rng(0).standard_normal(clean.shape, np.float32)
    return {"noisy": (clean + sigma * noise)[None, None], "sigma": np.full(1, sigma, np.float32)}


def in_pytorch(estimate, dtype, noisy, sigma):
    noisy, sigma = torch.from_numpy(noisy), torch.from_numpy(sigma)
    with (
        torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16),
    ):
        last = noisy.contiguous(memory_format=torch.channels_last)
        return estimate(last, sigma).float().numpy()


def runtimes(weights, folder):
    """Functions of the inputs that denoise a tile, by the names of their runtimes."""
    from difffilter.ddpm.export import Estimate

    estimate = Estimate(load(weights)).eval().to(memory_format=torch.channels_last)
    found = {
        f"PyTorch, {name}": partial(in_pytorch, estimate, dtype)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    path = export_onnx(weights, folder / "single.onnx")
    if find_spec("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        eight = export_onnx(weights, folder / "eight.onnx", eight_bits=True)
        for name, file in (("float32", path), ("eight bits", eight)):
            session = onnxruntime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
            found[f"ONNX Runtime, {name}"] = partial(in_onnx_runtime, session)
    if find_spec("openvino"):
        import openvino

        for name, hint in (("float32", "f32"), ("bfloat16", "bf16")):
            options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": 1}
            model = openvino.Core().compile_model(path, "CPU", options)
            found[f"OpenVINO, {name}"] = partial(in_openvino, model)
    return found


def in_onnx_runtime(session, noisy, sigma):
    return session.run(None, {"noisy": noisy, "sigma": sigma})[0]


def in_openvino(model, noisy, sigma):
    return model({"noisy": noisy, "sigma": sigma})[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--weights", default="natural-gray")
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photo = grey(data.chelsea() / 255).astype(np.float32)
    side = load(arguments.weights).net.config.tile
    top, left = ((extent - side) // 2 for extent in photo.shape)
    tile = photo[top : top + side, left : left + side]
    with tempfile.TemporaryDirectory() as folder:
        found = runtimes(arguments.weights, Path(folder))
        usual = inputs(tile, SIGMAS[1])
        taken = medians(
            {name: partial(call, **usual) for name, call in found.items()}, arguments.repeats
        )
        quality = {
            name: [psnr(tile, call(**inputs(tile, s))[0, 0].clip(0, 1)) for s in SIGMAS]
            for name, call in found.items()
        }
    own = taken["PyTorch, bfloat16"]
    rows = [
        [
            name,
            f"{1e3 * seconds:.1f}",
            f"{own / seconds:.2f}",
            *(f"{db:.2f}" for db in quality[name]),
        ]
        for name, seconds in taken.items()
    ]
    levels = [f"PSNR / dB at {255 * sigma:.0f}/255" for sigma in SIGMAS]
    lines = [
        "# Runtimes for the DDPM",
        "",
        f"`python benchmarks/runtimes.py`: {arguments.weights}, one tile of {side}×{side} pixels in one "
        f"thread, medians of {arguments.repeats} interleaved calls.",
        f"{describe('torch', *(name for name in ('onnxruntime', 'openvino') if find_spec(name)))}; "
        f"{date.today()}.",
        "",
        *table(["runtime", "ms", "speed, PyTorch in bfloat16 = 1", *levels], rows),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
