"""Options that affect the speed of the DDPM: python benchmarks/ddpm_speed.py [-o FILE.md]

Seconds and PSNR for a photograph of 512² pixels, with one option changed at a time: medians over
interleaved repeats.
"""

import argparse
import statistics
import tempfile
import time
from contextlib import contextmanager
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from scripting import describe, table, write_report
from skimage import data

from difffilter.ddpm import DDPM, available, card, export_onnx
from difffilter.ddpm.loading import load
from difffilter.metrics import psnr
from difffilter.noise.kinds import add_noise

SIGMA = 25 / 255


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@contextmanager
def layout(net, memory_format):
    net.to(memory_format=memory_format)
    yield
    net.to(memory_format=torch.channels_last)


@contextmanager
def compiled(net):
    forward = net.forward
    net.forward = torch.compile(forward)
    yield
    net.forward = forward


def variants(weights, device, folder):
    """Name to (DDPM, context manager to run it in or None)."""
    usual = {"weights": weights, "device": device}
    net, one = load(weights, device).net, torch.contiguous_format
    found = {"default": (DDPM(**usual), None)}
    for dtype in ("float32", "bfloat16", "float16"):
        if not (dtype == "float16" and device == "cpu"):
            found[dtype] = DDPM(**usual, dtype=dtype), None
    for tile in (64, 96, 128, 160, 192, 256, 288, 320, 384, 512):
        found[f"tiles of {tile}"] = DDPM(**usual, tile=tile), None
    for batch in (4, 16):
        found[f"{batch} tiles at once"] = DDPM(**usual, batch=batch), None
    if device == "cpu":
        found["one thread"] = DDPM(**usual), lambda: threads(1)
    if device == "cpu" and find_spec("onnxruntime"):
        path = export_onnx(weights, folder / "eight.onnx", eight_bits=True)
        found["eight bits, in ONNX Runtime"] = DDPM(weights=path), None
    found["NCHW in memory"] = DDPM(**usual), lambda: layout(net, one)
    found["torch.compile"] = DDPM(**usual), lambda: compiled(net)
    for name in available():
        other = card(name)
        if name != weights and other["channels"] == 1 and "blind" not in other:
            found[f"weights {name}"] = DDPM(weights=name, device=device), None
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--weights", default="natural-gray")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    clean = (data.camera() / 255).astype(np.float32)
    noisy = add_noise(clean, SIGMA)
    seconds, scores = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        runs = variants(options.weights, options.device, Path(folder))
        for repeat in range(options.repeats + 1):  # the first warms up
            for name, (denoise, held) in runs.items():
                with held() if held else threads(torch.get_num_threads()):
                    if held and repeat:
                        denoise(noisy, SIGMA)  # warms up: memory, compiled code
                    start = time.perf_counter()
                    result = denoise(noisy, SIGMA)
                    taken = time.perf_counter() - start
                if repeat:
                    seconds.setdefault(name, []).append(taken)
                scores[name] = psnr(clean, result.clip(0, 1))
    middles = {name: statistics.median(each) for name, each in seconds.items()}
    base = middles["default"]
    lines = [
        "# Speed of the DDPM",
        "",
        f"{options.weights} on {options.device}; {describe('torch')}; {date.today()}. "
        f"Camera, 512², σ·255 = 25; medians of {options.repeats} interleaved repeats. "
        "benchmarks/ddpm_speed.py.",
        "",
        *table(
            ["", "seconds", "relative to the default", "PSNR / dB"],
            [
                [name, f"{taken:.3f}", f"{taken / base:.2f}", f"{scores[name]:.3f}"]
                for name, taken in middles.items()
            ],
        ),
    ]
    write_report(lines, options.output)


if __name__ == "__main__":
    main()
