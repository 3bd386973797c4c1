"""Quality and cost of weights of the DDPM, on folders of clean images at σ·255 = 15, 25 and 50.

    python benchmarks/ddpm_weights.py natural-gray ../data/bsd68 ../data/set12 --write

The noise is neither clipped nor quantised, the output is clipped to [0, 1], PSNR has data range 1
and is averaged over the images of a folder.
"""

import argparse
import json
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scripting import medians
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from difffilter.benchmark.machine import machine
from difffilter.ddpm import DDPM, card, load
from difffilter.ddpm.weights import find
from difffilter.metrics import psnr, ssim
from difffilter.noise.kinds import add_noise

SIGMAS = (15, 25, 50)
MODES = {
    "mmse": {"mode": "mmse"},
    "sample": {"mode": "sample"},
    "average(4)": {"mode": "average", "samples": 4},
    "average(16)": {"mode": "average", "samples": 16},
}


def measure(denoise, paths, sigma, channel_axis):
    """Mean PSNR in dB and SSIM over image files; the noise depends on the image and σ alone."""
    scores = []
    for path in tqdm(paths, disable=None, leave=False):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channel_axis is None else "RGB"))
        clean = (pixels / 255).astype(np.float32)
        rng = np.random.default_rng([zlib.crc32(pixels.tobytes()), round(sigma * 255)])
        noisy = add_noise(clean, sigma, rng=rng)
        result = denoise(noisy, sigma, channel_axis=channel_axis).clip(0, 1)
        scores.append([metric(clean, result, channel_axis=channel_axis) for metric in (psnr, ssim)])
    return np.mean(scores, axis=0).tolist()


def cost(denoise, net):
    """Multiply-adds per pixel of one call of the network on a tile, and seconds for 512² pixels."""
    side = net.config.tile
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net(torch.zeros(1, net.config.channels, side, side), torch.tensor([57.0]))
    shape = (512, 512) if net.config.channels == 1 else (512, 512, net.config.channels)
    noisy = np.random.default_rng(0).random(shape, np.float32)
    axis = None if len(shape) == 2 else -1
    taken = medians({"": lambda: denoise(noisy, 25 / 255, channel_axis=axis)}, 5)
    about = machine()
    return {
        "multiply_adds": round(counter.get_total_flops() / 2 / side**2),
        "seconds": round(taken[""], 3),
        "machine": f"{about['processor']}, {about['cores']} cores",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", help="name or file")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=["mmse"], metavar="MODE")
    parser.add_argument("--steps", type=int, help="of samples; default: all below t(σ)")
    parser.add_argument("--every", type=int, default=1, help="use every n-th image only")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, help="threads on the CPU")
    parser.add_argument("--write", action="store_true", help="into the model card")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    trained = load(options.weights)
    channel_axis = None if trained.net.config.channels == 1 else -1
    table = {"psnr": {}, "ssim": {}}
    print("| images | mode |", " | ".join(f"σ = {sigma}" for sigma in SIGMAS), "|")
    print("|---|---|" + "---|" * len(SIGMAS))
    for folder in options.folders:
        paths = sorted(folder.glob("*.png"))[:: options.every]
        for mode in options.modes:
            denoise = DDPM(
                weights=options.weights,
                steps=options.steps,
                device=options.device,
                dtype=options.dtype,
                **MODES[mode],
            )
            scores = [measure(denoise, paths, sigma / 255, channel_axis) for sigma in SIGMAS]
            print(f"| {folder.name} ({len(paths)}) | {mode} |", end=" ")
            print(" | ".join(f"{db:.2f} {100 * s:.1f} %" for db, s in scores), "|", flush=True)
            for name, digits, values in zip(table, (2, 4), zip(*scores, strict=True), strict=True):
                table[name].setdefault(folder.name, {})[mode] = {
                    str(sigma): round(value, digits)
                    for sigma, value in zip(SIGMAS, values, strict=True)
                }

    if options.write:
        path = find(options.weights)
        content = card(path) | {
            "channels": trained.net.config.channels,
            "parameters": sum(weight.numel() for weight in trained.net.parameters()),
            "bytes": path.stat().st_size,
            "sigma_range": trained.sigma_range,
            **cost(
                DDPM(weights=options.weights, device="cpu", dtype=options.dtype), load(path).net
            ),
            **table,
            "protocol": " ".join(__doc__.split("\n\n")[-1].split()),
        }
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        path.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
