"""The upsampler of text to image, from 64×64 to 256×256 pixels, beside interpolation.

    python benchmarks/upsampler.py EMOJI256 -o benchmarks/results/upsampler.md --plot docs/upsampler.png

EMOJI256 is the folder of captioned emoji with the originals of 256×256 (npm's @lobehub/fluent-emoji-3d).
Pictures of the split `test` are reduced to 64×64, some through the autoencoder too, and enlarged again.
"""

from __future__ import annotations

import argparse
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scripting import describe, medians, table, write_report
from skimage.transform import resize
from torch.nn.functional import avg_pool2d

from difffilter.generate import load, read_captioned, upsample
from difffilter.io.files import replacing
from difffilter.metrics import gmsd, psnr, ssim

SIDE = 256


def small_versions(large):
    """Pictures (N, 64, 64, 3): means of 4×4 pixels, and the same through the autoencoder."""
    x = torch.from_numpy(2 * np.moveaxis(large, -1, 1) - 1)
    reduced = avg_pool2d(x, 4)
    net = load("autoencoder", "autoencoder").net
    with torch.inference_mode():
        decoded = net.decode(net.encode(reduced)).clamp(-1, 1)
    return {
        name: np.moveaxis((tensor.numpy() + 1) / 2, 1, -1)
        for name, tensor in (("reduced", reduced), ("through the autoencoder", decoded))
    }


def interpolated(small, order):
    return np.stack([resize(p, (SIDE, SIDE), order=order, mode="edge") for p in small]).clip(0, 1)


def contrast(pictures):
    """The mean length of the gradient."""
    return np.mean([np.hypot(*np.gradient(p.mean(axis=-1))).mean() for p in pictures])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--number", type=int, help="pictures; all if not given")
    arguments = parser.parse_args()
    test = read_captioned(arguments.folder, SIDE, split="test")
    count = min(len(test), arguments.number or len(test))
    large = np.stack([test.over(index) for index in range(count)])
    rows, shown = [], [large]
    for name, small in small_versions(large).items():
        methods = {
            "bilinear interpolation": partial(interpolated, order=1),
            "bicubic interpolation": partial(interpolated, order=3),
            "upsampler": partial(upsample, steps=arguments.steps),
        }
        for method, enlarge in methods.items():
            found = enlarge(small)
            scores = [
                [f(a, b, channel_axis=-1) for f in (psnr, ssim, gmsd)]
                for a, b in zip(large, found, strict=True)
            ]
            means = [f"{mean:.3f}" for mean in np.mean(scores, axis=0)]
            rows.append([name, method, *means, f"{contrast(found) / contrast(large):.2f}"])
            print(rows[-1], flush=True)
            if method != "bilinear interpolation":
                shown.append(found)
    seconds = medians({0: lambda: upsample(small[:1], steps=arguments.steps)}, repeats=5)[0]
    if arguments.plot:
        draw(arguments.plot, shown)
    lines = [
        "# From 64×64 to 256×256 pixels",
        "",
        f"`python benchmarks/upsampler.py EMOJI256`: {count} held-out emoji, {arguments.steps} steps; "
        "of the gradient, the mean length in relation to that of the originals.",
        f"{describe('numpy', 'torch', 'scikit-image')}; {date.today()}.",
        "",
        *table(["small pictures", "enlarged by", "PSNR", "SSIM", "GMSD", "gradient"], rows),
        "",
        f"A picture takes {seconds:.2f} s.",
    ]
    write_report(lines, arguments.output)


def draw(path, columns, number=6):
    """A row a picture: the original, and each small kind by interpolation and by the upsampler."""
    from difffilter.image import like
    from difffilter.io.files import write
    from difffilter.io.picture import Picture

    chosen = np.linspace(0, len(columns[0]) - 1, number).round().astype(int)
    grid = np.concatenate([np.concatenate(list(c[chosen]), axis=1) for c in columns], axis=0)
    with replacing(path) as temporary:
        write(temporary, Picture(like(grid[::2, ::2], np.empty(0, np.uint8))[None]))


if __name__ == "__main__":
    main()
