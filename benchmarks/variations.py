"""Variations of a picture and changes by words, by way of CLIP's embeddings.

    python benchmarks/variations.py EMOJI -o benchmarks/results/variations.md [-n 100]

EMOJI is the folder of captioned emoji. The judges were trained apart from what they judge.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
import torch
from editing import scenes
from scripting import describe, table, write_report
from text_to_image import read_scenes

from difffilter.generate import load, read_captioned, vary
from difffilter.generate.rendering import render
from difffilter.generate.scenes import COLOURS, SHAPES
from difffilter.generate.zero_shot import as_input

SCALES = (1.0, 2.0, 4.0)
AMOUNTS = (0.3, 0.4, 0.5, 0.6)
ATTRIBUTES = ("colour", "shape", "size", "place")


def rms(one, other):
    return float(np.sqrt(np.mean((one - other) ** 2)))


def kept(reading, scene):
    """Whether the things of a scene have the same colours, shapes, sizes and places, and its background."""
    if len(reading.things) != len(scene.things):
        return [False] * 5
    return [
        *(
            sorted(getattr(t, name) for t in reading.things)
            == sorted(getattr(t, name) for t in scene.things)
            for name in ATTRIBUTES
        ),
        reading.background == scene.background,
    ]


def variations(judge, model, count, things, guidance):
    """Shares of two variations of each scene that keep an attribute, and root mean square changes."""
    right, changes, apart = [], [], []
    for scene, rng in scenes(count, things, 13):
        picture = render(scene, rng) / np.float32(255)
        found = vary(picture, 2, model=model, guidance=guidance, seed=len(right))
        right += [kept(reading, scene) for reading in read_scenes(judge, found)]
        changes += [rms(each, picture) for each in found]
        apart.append(rms(*found))
    return np.mean(right, axis=0), np.mean(changes), np.mean(apart)


def of_emoji(folder, model, count, guidance):
    """Shares of variations of held-out and of seen emoji in their group, and nearest to their own."""
    groups, clip = load("judge-groups", "judge").net, load("clip", "clip").net
    names, shares = groups.config.questions[0], []
    for split in ("train", "test"):
        captioned = read_captioned(folder, split=split)
        chosen = np.random.default_rng(0).permutation(len(captioned))[:count]
        real = np.stack([captioned.over(k) for k in chosen])
        made = np.concatenate(
            [vary(each, model=model, guidance=guidance, seed=k) for k, each in enumerate(real)]
        )
        x = torch.from_numpy(2 * np.moveaxis(made, 3, 1) - 1).float()
        with torch.inference_mode():
            told = groups(x)[0].argmax(dim=1).tolist()
            of_made, of_real = (
                clip.embed_images(torch.cat([as_input(each, 64) for each in every]))
                for every in (made, real)
            )
        right = [names[k] == captioned.groups[c] for k, c in zip(told, chosen, strict=True)]
        nearest = (of_made @ of_real.T).argmax(dim=1).numpy() == np.arange(len(chosen))
        shares.append([np.mean(right), nearest.mean(), rms(made, real)])
    return shares


def by_words(judge, model, count, amount, guidance):
    """Shares of scenes of one thing whose named attribute is new, and whose others have changed.

    Half of the time the text names another colour, else another shape.
    """
    named, others = [], []
    for scene, rng in scenes(count, 1, 14):
        (old,) = scene.things
        picture = render(scene, rng) / np.float32(255)
        name, values = ("colour", COLOURS) if len(named) % 2 else ("shape", SHAPES)
        new = {
            "colour": old.colour,
            "shape": old.shape,
            name: str(rng.choice([value for value in values if value != getattr(old, name)])),
        }
        found = vary(
            picture,
            toward="a {colour} {shape}".format(**new),
            away=f"a {old.colour} {old.shape}",
            amount=amount,
            model=model,
            guidance=guidance,
        )
        (reading,) = read_scenes(judge, found)
        read = reading.things[0] if len(reading.things) == 1 else None
        named.append(read is not None and getattr(read, name) == new[name])
        rest = [each for each in ATTRIBUTES if each != name]
        others.append([read is None or getattr(read, each) != getattr(old, each) for each in rest])
        others[-1].append(reading.background != scene.background)
    return np.mean(named), np.mean(others)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=100, help="pictures for each row")
    parser.add_argument("--model", default="decoder")
    arguments = parser.parse_args()
    count, model = arguments.number, arguments.model
    judge = load("judge-scenes", "judge").net

    rows = []
    for things in (1, 2):
        for guidance in SCALES:
            shares, change, apart = variations(judge, model, count, things, guidance)
            shown = [f"{x:.3f}" for x in (*shares, change, apart)]
            rows.append([str(things), f"{guidance:g}", *shown])
            print(rows[-1], flush=True)
    emoji = []
    for guidance in SCALES:
        for name, shares in zip(
            ("seen", "held out"), of_emoji(arguments.folder, model, count, guidance), strict=True
        ):
            emoji.append([name, f"{guidance:g}", *(f"{x:.3f}" for x in shares)])
            print(emoji[-1], flush=True)
    words = []
    for guidance in SCALES[:2]:
        for amount in AMOUNTS:
            shares = by_words(judge, model, count, amount, guidance)
            words.append([f"{guidance:g}", f"{amount:g}", *(f"{share:.3f}" for share in shares)])
            print(words[-1], flush=True)
    lines = [
        "# Variations",
        "",
        f"`python benchmarks/variations.py EMOJI`: {count} pictures for each row, 30 steps.",
        f"{describe('torch', 'numpy')}; {date.today()}.",
        "",
        "Two variations of each scene, by the number of its things: the share in which these have the same",
        "colours, shapes, sizes and places, and the background is the same; the root mean square difference",
        "from the scene, and of the two from each other:",
        "",
        *table(
            [
                "things",
                "guidance",
                "colours",
                "shapes",
                "sizes",
                "places",
                "background",
                "change",
                "apart",
            ],
            rows,
        ),
        "",
        "Of emoji: the share in the same group, and nearest to its own among all, as CLIP sees them:",
        "",
        *table(["emoji", "guidance", "group", "found", "change"], emoji),
        "",
        "Scenes of one thing, changed by the difference of two texts, of which one names another colour or",
        "shape: the share in which this is new, and the mean share of changes in all else that is read:",
        "",
        *table(["guidance", "amount", "new", "others changed"], words),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
