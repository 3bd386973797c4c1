"""The parts of text to image, each measured alone: autoencoder, judge and CLIP.

    python benchmarks/text_to_image_parts.py EMOJI -o benchmarks/results/text_to_image_parts.md

EMOJI is the folder of captioned emoji, of which only the split `test` is looked at.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scripting import describe, table, write_report
from text_to_image import read_scenes

from difffilter.generate import load, read_captioned
from difffilter.generate.grammar import SYNONYMS, caption
from difffilter.generate.reading import verdict
from difffilter.generate.rendering import render
from difffilter.generate.scenes import BACKGROUNDS, COLOURS, PLACES, SHAPES, draw_scene
from difffilter.generate.text import trimmed
from difffilter.metrics import psnr

# Scenes among which a caption has to find its own.
AMONG = 100


def scenes_with_captions(count, unseen, seed, withheld=False):
    """Scenes, their pictures (N, 64, 64, 3) in [0, 1], and captions."""
    rng = np.random.default_rng(seed)
    scenes = [draw_scene(rng, unseen=unseen) for _ in range(count)]
    said = [caption(scene, rng, withheld=withheld) for scene in scenes]
    return scenes, np.stack([render(scene, rng) for scene in scenes]) / np.float32(255), said


def tensor(pictures):
    """Pictures (N, H, W, C) in [0, 1] as a Tensor (N, C, H, W) in [−1, 1]."""
    return torch.from_numpy(2 * np.moveaxis(pictures, 3, 1) - 1).float()


def autoencoder(held, count):
    """Mean and least PSNR of decoded pictures, for held-out emoji and for scenes by background."""

    def scores(pictures):
        pairs = zip(pictures, decoded(pictures), strict=True)
        return np.array([psnr(*pair) for pair in pairs])

    scenes, pictures, _ = scenes_with_captions(count, None, 2)
    of_scenes = scores(pictures)
    rows = {"emoji, held out": scores(np.stack([held.over(k) for k in range(len(held))]))}
    rows["scenes"] = of_scenes
    for background in BACKGROUNDS:
        rows[f"scenes, {background}"] = of_scenes[[s.background == background for s in scenes]]
    return [[name, f"{each.mean():.2f}", f"{each.min():.2f}"] for name, each in rows.items()]


def decoded(pictures):
    """Pictures (N, 64, 64, 3) in [0, 1], encoded and decoded by the autoencoder."""
    net = load("autoencoder", "autoencoder").net
    with torch.inference_mode():
        found = net.decode(net.encode(tensor(pictures))).clamp(-1, 1)
    return np.moveaxis(found.numpy(), 1, 3) / 2 + 0.5


def judge(count):
    """The shares of scenes that the judge reads without an error, with seen and with unseen combinations.

    As they were drawn, and as the autoencoder encodes and decodes them.
    """
    net = load("judge-scenes", "judge").net

    def share(pictures, said):
        readings = read_scenes(net, pictures)
        return np.mean([verdict(*pair).joint for pair in zip(readings, said, strict=True)])

    drawn = [scenes_with_captions(count, unseen, 3)[1:] for unseen in (False, True)]
    return [
        [
            name,
            *(
                f"{share(pictures if real else decoded(pictures), said):.3f}"
                for pictures, said in drawn
            ),
        ]
        for name, real in (("as drawn", True), ("encoded and decoded", False))
    ]


def recall(cosines, right, among):
    """The share of rows whose right column is among the nearest."""
    order = np.argsort(-cosines, axis=1)[:, :among]
    return np.mean([bool(right[row] & set(columns)) for row, columns in enumerate(order.tolist())])


def clip(held, count):
    """Retrieval among a hundred scenes, attributes without training, unseen synonyms, held-out emoji."""
    model = load("clip", "clip")

    def texts(captions):
        with torch.inference_mode():
            return model.net.embed_texts(trimmed(model.tokeniser.encode_all(captions)))

    def pictures_of(pictures):
        with torch.inference_mode():
            return model.net.embed_images(tensor(pictures))

    rows = []
    for name, unseen, withheld in (
        ("scenes, seen combinations", False, False),
        ("scenes, unseen combinations", True, False),
        ("scenes, synonyms never seen", False, True),
    ):
        to_text, to_image = [], []
        for seed in range(count // AMONG):
            _, pictures, said = scenes_with_captions(AMONG, unseen, [4, seed], withheld)
            captions = [each.text for each in said]
            cosines = (pictures_of(pictures) @ texts(captions).T).numpy()
            # A caption that is true of other scenes as well counts for those, too.
            same = [{k for k, c in enumerate(captions) if c == own} for own in captions]
            to_text.append(recall(cosines, same, 1))
            to_image.append(recall(cosines.T, same, 1))
        rows.append(
            [f"{name}, R@1 among {AMONG}", f"{np.mean(to_text):.3f}", f"{np.mean(to_image):.3f}"]
        )

    rng = np.random.default_rng(5)
    scenes = [draw_scene(rng, unseen=None) for _ in range(count)]
    single = [replace(scene, things=scene.things[:1]) for scene in scenes]
    embedded = pictures_of(np.stack([render(scene, rng) for scene in single]) / np.float32(255))
    for name, words, template in (
        ("colour", COLOURS, "a {} {shape}"),
        ("shape", SHAPES, "a {colour} {}"),
        ("place", PLACES, None),
    ):
        right = []
        for scene, own in zip(single, embedded, strict=True):
            thing = scene.things[0]
            if template is None:
                said = [f"a {thing.colour} {thing.shape} {SYNONYMS[place][0]}" for place in words]
            else:
                said = [
                    template.format(word, colour=thing.colour, shape=thing.shape) for word in words
                ]
            right.append(words[int((texts(said) @ own).argmax())] == getattr(thing, name))
        rows.append([f"zero-shot {name} of one thing", f"{np.mean(right):.3f}", ""])

    own = pictures_of(np.stack([held.over(k) for k in range(len(held))]))
    cosines = (own @ texts(list(held.labels)).T).numpy()
    for among in (1, 10):
        right = [{k} for k in range(len(held))]
        rows.append(
            [
                f"emoji, held out, R@{among} among {len(held)}",
                f"{recall(cosines, right, among):.3f}",
                f"{recall(cosines.T, right, among):.3f}",
            ]
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=500, help="scenes for each row")
    arguments = parser.parse_args()
    held = read_captioned(arguments.folder, split="test")
    lines = [
        "# The parts of text to image",
        "",
        f"`python benchmarks/text_to_image_parts.py EMOJI`: {arguments.number} scenes drawn anew,",
        f"and {len(held)} emoji that were held out. {describe('torch', 'numpy')}; {date.today()}.",
        "",
        "## Autoencoder",
        "",
        *table(["pictures", "PSNR, mean", "least"], autoencoder(held, arguments.number)),
        "",
        "## Judge",
        "",
        "The share of scenes that the judge reads in agreement with all that their captions state:",
        "",
        *table(["scenes", "seen combinations", "unseen"], judge(arguments.number)),
        "",
        "## CLIP",
        "",
        *table(["task", "picture to text", "text to picture"], clip(held, arguments.number)),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
