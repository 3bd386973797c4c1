"""Bias and memorisation of the text-to-image model.

    python benchmarks/responsibility.py EMOJI -o benchmarks/results/responsibility.md --plot docs/bias.png

EMOJI is the folder of captioned emoji. Bias: attributes that a text leaves open, as the judge reads them, and
men and women among people whom the text calls neither, as CLIP tells them apart. Memory: the distance of a
picture from the nearest one of the training, beside that of training pictures from each other.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scripting import describe, table, write_report
from text_to_image import pictures_of, read_scenes

from difffilter.generate import load, read_captioned
from difffilter.generate.scenes import BACKGROUNDS, COLOURS, HELD_OUT_PAIRS, PLACES, SHAPES, SIZES
from difffilter.generate.zero_shot import as_input

SCALES = (1.0, 2.0, 4.0, 8.0)
USUAL = 2.0
OPEN = {"size": SIZES, "place": PLACES, "background": BACKGROUNDS}


def left_open(judge, model, guidance, count):
    """Shares of each size, place and background in pictures of texts such as "a red circle"."""
    rng = np.random.default_rng(0)
    pairs = [(c, s) for c in COLOURS for s in SHAPES if (c, s) not in HELD_OUT_PAIRS]
    chosen = [pairs[k] for k in rng.integers(len(pairs), size=count)]
    texts = [f"{'an' if c == 'orange' else 'a'} {c} {s}" for c, s in chosen]
    counts = {name: dict.fromkeys(values, 0) for name, values in OPEN.items()}
    for reading in read_scenes(judge, pictures_of(texts, model, guidance)):
        counts["background"][reading.background] += 1
        if len(reading.things) == 1:
            counts["size"][reading.things[0].size] += 1
            counts["place"][reading.things[0].place] += 1
    return {
        name: {value: n / sum(found.values()) for value, n in found.items()}
        for name, found in counts.items()
    }


def neutral_people(captioned):
    """Labels of people with two more, for a man and for a woman."""
    labels = set(captioned.labels)
    found = {}
    for label in captioned.labels:
        stem = label.removeprefix("person ")
        pair = (f"man {stem}", f"woman {stem}")
        if labels.issuperset(pair) and not label.startswith(("man ", "woman ")):
            found[label] = pair
    return found


def share_of_men(clip, pictures, pairs):
    """The share of pictures (N, H, W, 3) that CLIP finds more similar to the first of two labels."""
    words, net = clip.tokeniser, clip.net
    with torch.inference_mode():
        seen = net.embed_images(torch.cat([as_input(each, 64) for each in pictures]))
        man, woman = (
            net.embed_texts(torch.from_numpy(words.encode_all(texts)))
            for texts in zip(*pairs, strict=True)
        )
        return float((((man - woman) * seen).sum(dim=1) > 0).double().mean())


def people(captioned, model, repeats):
    """Rows of the shares of men, and the number of texts."""
    clip, neutral = load("clip", "clip"), neutral_people(captioned)
    index = {label: k for k, label in enumerate(captioned.labels)}
    pairs = list(neutral.values())
    rows = []
    for name, which in (("real, of men", 0), ("real, of women", 1)):
        real = [captioned.over(index[pair[which]]) for pair in pairs]
        rows.append([name, "", f"{share_of_men(clip, real, pairs):.3f}"])
    real = [captioned.over(index[label]) for label in neutral]
    rows.append(["real, of neither", "", f"{share_of_men(clip, real, pairs):.3f}"])
    texts = [label for label in neutral for _ in range(repeats)]
    for guidance in SCALES:
        made = pictures_of(texts, model, guidance)
        share = share_of_men(clip, made, [neutral[text] for text in texts])
        rows.append(["generated, of neither", f"{guidance:g}", f"{share:.3f}"])
        print(rows[-1], flush=True)
    return rows, len(neutral)


def distances(pictures, known, own=False):
    """The root mean square distance of each picture to the nearest known one (not itself), and which."""
    flat, of_known = (x.reshape(len(x), -1).astype(np.float64) for x in (pictures, known))
    squares = (
        np.square(flat).sum(axis=1)[:, None]
        + np.square(of_known).sum(axis=1)
        - 2 * flat @ of_known.T
    )
    if own:
        np.fill_diagonal(squares, np.inf)
    least = squares.min(axis=1).clip(0)
    return np.sqrt(least / flat.shape[1]), squares.argmin(axis=1)


def memory(folder, model):
    """Rows of distances to the nearest picture of the training."""
    seen, held = read_captioned(folder), read_captioned(folder, split="test")
    known = np.stack([seen.over(k) for k in range(len(seen))])
    apart, _ = distances(known, known, own=True)
    close = np.quantile(apart, 0.1)
    rows = []

    def row(name, found, right=""):
        quantiles = (f"{np.quantile(found, q):.3f}" for q in (0.1, 0.5, 0.9))
        rows.append([name, *quantiles, f"{np.mean(found < close):.3f}", right])
        print(rows[-1], flush=True)

    row("training pictures, to each other", apart)
    real = np.stack([held.over(k) for k in range(len(held))])
    row("held-out pictures", distances(real, known)[0])
    some = np.random.default_rng(0).permutation(len(seen))[: len(held)]
    made = pictures_of([seen.labels[k] for k in some], model, USUAL)
    found, which = distances(made, known)
    row("generated, of labels that were seen", found, f"{np.mean(which == some):.3f}")
    made = pictures_of(held.labels, model, USUAL)
    row("generated, of held-out labels", distances(made, known)[0])
    return rows, close


def plot(shares, path):
    """Draw the share of each size by guidance scale."""
    figure, axis = plt.subplots(figsize=(5.5, 2.6), layout="constrained")
    place = np.arange(len(shares))
    for shift, size in zip((-0.27, 0, 0.27), SIZES, strict=True):
        heights = [100 * found["size"][size] for found in shares.values()]
        axis.bar(place + shift, heights, 0.25, label=size)
    axis.axhline(100 / len(SIZES), color="black", linewidth=0.8, linestyle="--")
    axis.set(xticks=place, xticklabels=[f"{scale:g}" for scale in shares])
    axis.set(xlabel="guidance scale", ylabel="%")
    axis.legend(title="size")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--plot", type=Path, help="a picture of the sizes, by guidance")
    parser.add_argument("--model", default="latent")
    parser.add_argument(
        "-n", "--number", type=int, default=300, help="pictures of what is left open"
    )
    parser.add_argument("--repeats", type=int, default=4, help="pictures of each label of people")
    arguments = parser.parse_args()
    judge, shares, rows = load("judge-scenes", "judge").net, {}, []
    for guidance in SCALES:
        shares[guidance] = left_open(judge, arguments.model, guidance, arguments.number)
        for name, found in shares[guidance].items():
            most = max(found, key=found.get)
            away = sum(abs(share - 1 / len(found)) for share in found.values()) / 2
            share = (f"{x:.3f}" for x in (found[most], 1 / len(found)))
            rows.append([f"{guidance:g}", name, f"{away:.3f}", most, *share])
            print(rows[-1], flush=True)
    if arguments.plot:
        plot(shares, arguments.plot)
    of_people, labels = people(read_captioned(arguments.folder), arguments.model, arguments.repeats)
    remembered, close = memory(arguments.folder, arguments.model)
    lines = [
        "# Bias and memory",
        "",
        f"`python benchmarks/responsibility.py EMOJI`; {describe('torch', 'numpy')}; {date.today()}.",
        "",
        "## Left open",
        "",
        f'{arguments.number} pictures of texts such as "a red circle" for each row. All sizes, places and '
        "backgrounds are equally frequent in training; away is the share that would have to change for "
        "them to be so (total variation):",
        "",
        *table(
            ["guidance", "attribute", "away", "most frequent", "its share", "in training"], rows
        ),
        "",
        "## People",
        "",
        f'{labels} labels such as "teacher" that have a "man teacher" and a "woman teacher" beside them, '
        f"{arguments.repeats} pictures of each; the share that CLIP finds more like the man:",
        "",
        *table(["pictures", "guidance", "share of men"], of_people),
        "",
        "## Memory",
        "",
        "Root mean square distance from the nearest picture of the training, its quantiles; the share nearer "
        f"than {close:.3f}, within which a tenth of the training pictures has a neighbour; and how often the "
        f"nearest is that of the label. Guidance {USUAL:g}:",
        "",
        *table(["pictures", "10 %", "50 %", "90 %", "near", "of the label"], remembered),
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
