"""Editing by words: one of two things of a scene exchanged within a mask, and scenes changed as a whole.

    python benchmarks/editing.py -o benchmarks/results/editing.md [-n 100]

The judge was trained apart from what it judges.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from scripting import describe, table, write_report
from text_to_image import read_scenes

from difffilter.generate import edit, load
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import COLOURS, SHAPES, Scene, draw_scene

SCALES = (1.0, 2.0, 4.0)
STRENGTHS = (0.3, 0.45, 0.6, 0.75, 0.9)


def exchanged(scene, rng):
    """A scene in which one thing has another colour and shape, and the number of that thing."""
    while True:
        number = int(rng.integers(len(scene.things)))
        old = scene.things[number]
        new = replace(old, colour=str(rng.choice(COLOURS)), shape=str(rng.choice(SHAPES)))
        things = (*scene.things[:number], new, *scene.things[number + 1 :])
        found = Scene(things, scene.background)
        if old.colour != new.colour and old.shape != new.shape and not found.held_out:
            return found, number


def scenes(count, things, seed):
    """Scenes with a number of things, and a generator for each."""
    found = []
    for number in range(10 * count):
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rng)
        if len(scene.things) == things:
            found.append((scene, rng))
        if len(found) == count:
            return found


def cell_of(thing, side=64):
    """The pixels of a thing's cell."""
    mask = np.zeros((side, side), bool)
    row, column = (slice(round(k * side / 3), round((k + 1) * side / 3)) for k in thing.cell)
    mask[row, column] = True
    return mask


def at(reading, place):
    """The thing that a judge reads at a place, or None."""
    return next((thing for thing in reading.things if thing.place == place), None)


def same(read, thing, *names):
    return read is not None and all(getattr(read, name) == getattr(thing, name) for name in names)


def within_masks(judge, count, guidance, steps):
    """Shares of edits that are right, by attribute, and the largest change outside of the mask."""
    right, outside = [], 0.0
    for scene, rng in scenes(count, 2, 11):
        picture = render(scene, rng) / np.float32(255)
        wanted, number = exchanged(scene, rng)
        new, other = wanted.things[number], wanted.things[1 - number]
        mask, text = cell_of(new), caption(wanted, rng).text
        found = edit(picture, text, mask=mask, guidance=guidance, steps=steps, seed=len(right))
        outside = max(outside, float(abs(found[0] - picture)[~mask].max()))
        (reading,) = read_scenes(judge, found)
        read = at(reading, new.place)
        right.append(
            [
                same(read, new, "colour"),
                same(read, new, "shape"),
                same(read, new, "colour", "shape"),
                same(at(reading, other.place), other, "colour", "shape"),
            ]
        )
    return np.mean(right, axis=0), outside


def as_a_whole(judge, count, strength, steps):
    """Shares of scenes with the new colour, the old shape and the old place, and the change."""
    right, change = [], []
    for scene, rng in scenes(count, 1, 12):
        picture = render(scene, rng) / np.float32(255)
        (old,) = scene.things
        colour = str(rng.choice([c for c in COLOURS if c != old.colour]))
        text = f"a {colour} {old.shape}"
        found = edit(picture, text, strength=strength, steps=steps, seed=len(right))
        (reading,) = read_scenes(judge, found)
        places = [thing for thing in reading.things if thing.place == old.place]
        colours = [thing.colour for thing in reading.things]
        right.append(
            [colour in colours, any(t.shape == old.shape for t in reading.things), bool(places)]
        )
        change.append(np.sqrt(np.mean((found[0] - picture) ** 2)))
    return np.mean(right, axis=0), float(np.mean(change))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=100, help="scenes for each row")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    count, steps = arguments.number, arguments.steps
    judge = load("judge-scenes", "judge").net

    masks, largest = [], 0.0
    for guidance in SCALES:
        shares, outside = within_masks(judge, count, guidance, steps)
        masks.append([f"{guidance:g}", *(f"{share:.3f}" for share in shares)])
        largest = max(largest, outside)
        print(masks[-1], flush=True)
    whole = []
    for strength in STRENGTHS:
        shares, change = as_a_whole(judge, count, strength, steps)
        whole.append([f"{strength:g}", *(f"{share:.3f}" for share in shares), f"{change:.3f}"])
        print(whole[-1], flush=True)
    lines = [
        "# Editing by words",
        "",
        f"`python benchmarks/editing.py`: {count} scenes for each row, {steps} steps.",
        f"{describe('torch', 'numpy')}; {date.today()}.",
        "",
        "One of two things is masked, and the text names another colour and shape for it; shares of the",
        f"pictures that are right. The largest change outside of a mask is {largest:g}.",
        "",
        *table(["guidance", "colour", "shape", "both", "the other thing"], masks),
        "",
        "Scenes of one thing, whose colour the text changes, without a mask; the change is the root mean",
        "square over the pixels:",
        "",
        *table(["strength", "new colour", "same shape", "same place", "change"], whole),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
