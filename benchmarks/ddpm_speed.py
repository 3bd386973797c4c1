"""What makes the DDPM fast on this machine: python benchmarks/ddpm_speed.py [-o FILE.md]

Seconds for a photograph of 512² pixels, one choice changed at a time, and what it costs in PSNR.
All take turns in one run; medians count.
"""

import argparse
import statistics
import time
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import torch
from machine import describe
from skimage import data

from difffilter.ddpm import DDPM
from difffilter.ddpm.denoiser import load
from difffilter.io.files import replacing
from difffilter.metrics import psnr
from difffilter.noise.models import add_noise

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


def variants(weights, device):
    """Name to (DDPM, what else holds while it runs)."""
    usual = {"weights": weights, "device": device}
    net, one = load(weights, device).net, torch.contiguous_format
    found = {"as it comes": (DDPM(**usual), None)}
    for dtype in ("float32", "bfloat16", "float16"):
        if not (dtype == "float16" and device == "cpu"):
            found[dtype] = DDPM(**usual, dtype=dtype), None
    for tile in (64, 96, 160, 192, 256, 512):
        found[f"tiles of {tile}"] = DDPM(**usual, tile=tile), None
    for batch in (4, 16):
        found[f"{batch} tiles at once"] = DDPM(**usual, batch=batch), None
    if device == "cpu":
        found["one thread"] = DDPM(**usual), lambda: threads(1)
    found["NCHW in memory"] = DDPM(**usual), lambda: layout(net, one)
    found["torch.compile"] = DDPM(**usual), lambda: compiled(net)
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
    runs = variants(options.weights, options.device)
    for repeat in range(options.repeats + 1):  # the first one warms up
        for name, (denoise, held) in runs.items():
            with held() if held else threads(torch.get_num_threads()):
                if held and repeat:
                    denoise(noisy, SIGMA)  # what it needs first: memory, code
                start = time.perf_counter()
                result = denoise(noisy, SIGMA)
                taken = time.perf_counter() - start
            if repeat:
                seconds.setdefault(name, []).append(taken)
            scores[name] = psnr(clean, result.clip(0, 1))
    base = statistics.median(seconds["as it comes"])
    lines = [
        "# What makes the DDPM fast",
        "",
        f"{options.weights} on {options.device}; {describe('torch')}; {date.today()}. "
        f"Camera, 512², σ·255 = 25; medians of {options.repeats} interleaved repeats. "
        "benchmarks/ddpm_speed.py.",
        "",
        "| | seconds | times as long | PSNR / dB |",
        "|---|---|---|---|",
    ]
    for name, taken in seconds.items():
        taken = statistics.median(taken)
        lines.append(f"| {name} | {taken:.3f} | {taken / base:.2f} | {scores[name]:.3f} |")
    if options.output:
        with replacing(options.output) as temporary:
            temporary.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
