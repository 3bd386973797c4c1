"""Train the network that corrects the measured strength of noise, and write its errors.

    python benchmarks/noise_strength.py FOLDER [--draws 5] -o benchmarks/results/noise_strength.md

FOLDER holds training photographs. Each gets noise of random kinds, those that the DDPM for real noise is
trained on, and contrasts down to none. What the network learned from four fifths of the photographs is
judged on the rest; the weights that are kept, `difffilter/noise/strength.json`, are learned from all.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scripting import describe, table, write_report
from torch import nn

from difffilter.io.files import SUFFIXES, replacing
from difffilter.noise import measure
from difffilter.noise.strength import MOST, USUAL, WEIGHTS, features
from difffilter.training.data import load_image
from difffilter.training.noises import draw_noise

# Of the photographs in turn: an image may as well be flat, or nearly so.
CONTRASTS = (1, 1, 1, 0.3, 0)

SIDE, HIDDEN, FOLDS = 320, 8, 5
STEPS, BATCH, RATE, DECAY, JITTER = 2500, 512, 1e-2, 1e-2, 0.1


def examples(path, draws, channels):
    """Features, and the logarithm of true over measured strength, of noise beyond doubt."""
    photo = load_image(path, channels)[:SIDE, :SIDE].astype(np.float32) / 255
    photo = photo if channels == 3 else photo[..., 0]
    rng = np.random.default_rng([channels, *path.name.encode()])
    found = []

    def remember(*given):
        found.append((features(*given), given[2]))
        return 1.0

    targets = []
    for draw in range(draws):
        contrast = np.float32(CONTRASTS[draw % len(CONTRASTS)])
        clean = photo.mean() + contrast * (photo - photo.mean())
        noisy = draw_noise(clean, rng)
        with patch.object(measure, "correction", remember):
            measure.estimate_noise(noisy, channel_axis=2 if channels == 3 else None)
        if len(found) > len(targets):
            true = np.sqrt(np.mean(np.square(noisy - clean, dtype=np.float64)))
            targets.append(np.log(true / found[-1][1]))
    return [(each, target) for (each, _), target in zip(found, targets, strict=True)]


def trained(x, y):
    """The weights that predict y from the features x, by name."""
    torch.manual_seed(0)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    x = torch.tensor(((x - mean) / deviation).clip(-USUAL, USUAL), dtype=torch.float32)
    y = torch.tensor(y.clip(-MOST, MOST), dtype=torch.float32)
    inner, outer = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
    net = nn.Sequential(inner, nn.Tanh(), outer)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=DECAY)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        chosen = torch.randint(len(x), (BATCH,))
        jittered = x[chosen] + JITTER * torch.randn(BATCH, x.shape[1])
        loss = nn.functional.smooth_l1_loss(net(jittered)[:, 0], y[chosen], beta=0.1)
        net.zero_grad()
        loss.backward()
        optimizer.step()
    weights = {"inner": inner.weight, "inner_bias": inner.bias}
    weights |= {"outer": outer.weight[0], "outer_bias": outer.bias[0]}
    found = {name: each.detach().numpy().astype(float) for name, each in weights.items()}
    return {"mean": mean, "deviation": deviation} | found


def predicted(net, x):
    """Apply the network to features (N, 17)."""
    scaled = ((x - net["mean"]) / net["deviation"]).clip(-USUAL, USUAL)
    hidden = np.tanh(scaled @ net["inner"].T + net["inner_bias"])
    return (hidden @ net["outer"] + net["outer_bias"]).clip(-MOST, MOST)


def plain(values):
    """Numbers that JSON can hold, of six digits."""
    rounded = [float(f"{each:.6g}") for each in np.ravel(values)]
    return rounded[0] if np.ndim(values) == 0 else np.reshape(rounded, np.shape(values)).tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=5, help="kinds of noise for each photograph")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.iterdir() if path.suffix in SUFFIXES)
    torch.set_num_threads(1)
    nets, rows = {}, []
    for kind, channels in (("grey", 1), ("colour", 3)):
        draw = partial(examples, draws=arguments.draws, channels=channels)
        with ProcessPoolExecutor() as pool:
            found = list(pool.map(draw, paths, chunksize=8))
        fold = np.repeat(np.arange(len(paths)) % FOLDS, [len(each) for each in found])
        x = np.array([example[0] for each in found for example in each])
        y = np.array([example[1] for each in found for example in each])
        left = np.empty_like(y)
        for each in range(FOLDS):
            net = trained(x[fold != each], y[fold != each])
            left[fold == each] = y[fold == each] - predicted(net, x[fold == each])
        nets[kind] = {name: plain(values) for name, values in trained(x, y).items()}
        for said, errors in (("measured", y), ("corrected", left)):
            quantiles = [f"{np.quantile(np.abs(errors), q):.3f}" for q in (0.5, 0.9, 0.99)]
            rows.append([kind, said, str(len(y)), f"{-np.mean(errors):+.3f}", *quantiles])
    with replacing(WEIGHTS) as temporary:
        temporary.write_text(json.dumps(nets) + "\n", "utf-8")
    head = ["photographs", "strength", "images", "log(estimated / true), mean", "size, median"]
    lines = ["# The strength of noise that is not white, measured and corrected", ""]
    lines += [
        f"{len(paths)} training photographs, {arguments.draws} kinds of noise each; the correction is that",
        f"which was learned from the other {FOLDS - 1} fifths. {date.today()}, {describe('numpy', 'torch')}.",
        "",
        *table([*head, "90 %", "99 %"], rows),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
