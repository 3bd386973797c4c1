"""Classifiers trained on few real pictures, with and without generated ones beside them.

    python benchmarks/synthetic_data.py -o benchmarks/results/synthetic_data.md --plot docs/synthetic.png \\
        --fashion FASHION --emoji EMOJI

FASHION is the folder of Fashion-MNIST (of Debian's dataset-fashion-mnist: /usr/share/datasets/fashion-mnist),
EMOJI that of captioned emoji, whose groups are told apart.
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from fashion import SIZE, answers, classifier, made
from numpy.typing import NDArray
from scripting import describe, table, write_report
from text_to_image import pictures_of

from difffilter.generate import read_captioned
from difffilter.generate.captioned import FASHION

HEAD = ("real of a class", "real alone", "with generated ones", "gain")


class Subject(NamedTuple):
    """Pictures (N, S, S[, 3]) in [0, 1], and the class of each."""

    pictures: NDArray
    labels: tuple[str, ...]


def few(labels, count, seed):
    """Indices of at most `count` pictures of each class, drawn at random."""
    rng, labels = np.random.default_rng(seed), np.array(labels)
    return np.concatenate(
        [rng.permutation(np.flatnonzero(labels == c))[:count] for c in sorted(set(labels))]
    )


def interval(values):
    """The mean and half of its 95 % interval, by Student's t."""
    from scipy.stats import sem, t

    return np.mean(values), sem(values) * t.ppf(0.975, len(values) - 1)


def accuracies(real, test, generated, counts, preset, steps, seeds):
    """Percents (counts, seeds, 2): of classifiers of real pictures alone, and with generated ones."""
    truth = np.searchsorted(sorted(set(real.labels)), test.labels)

    def accuracy(pictures, labels, seed):
        net = classifier(pictures, labels, steps, seed, preset)
        return 100 * np.mean(answers(net, test.pictures)[1] == truth)

    scores = np.zeros((len(counts), seeds, 2))
    for row, count in enumerate(counts):
        for seed in range(seeds):
            chosen = few(real.labels, count, seed)
            few_real = Subject(real.pictures[chosen], tuple(np.array(real.labels)[chosen].tolist()))
            # A batch has as many real as generated ones.
            times = max(1, round(len(generated.labels) / len(chosen)))
            both = np.concatenate([np.repeat(few_real.pictures, times, axis=0), generated.pictures])
            labels = tuple(np.repeat(few_real.labels, times).tolist()) + generated.labels
            scores[row, seed] = accuracy(*few_real, seed), accuracy(both, labels, seed)
            print(preset, count, seed, scores[row, seed], flush=True)
    alone = [accuracy(*generated, seed) for seed in range(seeds)]
    return scores, interval(alone)


def of_fashion(folder, each, guidance, count):
    """Real, test and generated pictures of clothes."""
    real, test = (read_captioned(folder, SIZE, split=split) for split in ("train", "test"))
    generated = made(FASHION, each * len(FASHION), "fashion", guidance, 10)
    real, test = (Subject(x.images[..., 0] / np.float32(255), x.labels) for x in (real, test))
    return real, Subject(test.pictures[:count], test.labels[:count]), Subject(*generated)


def of_emoji(folder, each, guidance):
    """Real, test and generated pictures of groups of emoji; the texts are labels of the training."""
    real, test = (read_captioned(folder, split=split) for split in ("train", "test"))
    texts, groups = [], []
    for group in sorted(set(real.groups)):
        labels = [label for label, g in zip(real.labels, real.groups, strict=True) if g == group]
        texts += [labels[k % len(labels)] for k in range(each)]
        groups += [group] * each
    generated = Subject(pictures_of(texts, "latent", guidance), tuple(groups))
    real, test = (
        Subject(np.stack([x.over(k) for k in range(len(x))]).astype(np.float32), x.groups)
        for x in (real, test)
    )
    return real, test, generated


def plot(studies, path):
    """Accuracies by the number of real pictures, with intervals."""
    figure, axes = plt.subplots(1, len(studies), figsize=(4.6 * len(studies), 3.2), squeeze=False)
    for axis, (name, (counts, scores, _)) in zip(axes[0], studies.items(), strict=True):
        for column, label in enumerate(("real alone", "with generated ones")):
            means, halves = zip(*(interval(row[:, column]) for row in scores), strict=True)
            axis.errorbar(range(len(counts)), means, halves, marker="o", capsize=3, label=label)
        axis.set(
            title=name, xlabel="real pictures of a class", ylabel="accuracy, %",
            xticks=range(len(counts)), xticklabels=counts,
        )  # fmt: skip
        axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def section(name, counts, scores, alone, note):
    """The lines of a table."""
    rows = []
    for count, row in zip(counts, scores, strict=True):
        columns = (row[:, 0], row[:, 1], row[:, 1] - row[:, 0])
        cells = [interval(column) for column in columns]
        rows.append([str(count), *(f"{mean:.1f} ± {half:.1f}" for mean, half in cells)])
    mean, half = alone
    return [
        f"## {name}",
        "",
        *table(HEAD, rows),
        "",
        f"Generated pictures alone: {mean:.1f} ± {half:.1f}. {note}",
        "",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fashion", type=Path)
    parser.add_argument("--emoji", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--synthetic", type=int, default=500, help="generated pieces of a class")
    parser.add_argument("--emojis", type=int, default=150, help="generated emoji of a group")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--training", type=int, default=400, help="steps of a classifier")
    parser.add_argument("--test", type=int, default=10_000, help="test pictures of clothes")
    arguments = parser.parse_args()
    how = (arguments.training, arguments.seeds)
    studies, lines = {}, []
    if arguments.fashion:
        counts = (10, 50, 100, 500)
        subjects = of_fashion(
            arguments.fashion, arguments.synthetic, arguments.guidance, arguments.test
        )
        studies["Fashion-MNIST"] = (counts, *accuracies(*subjects, counts, "judge-fashion", *how))
        note = f"{arguments.synthetic} of each class; {len(subjects[1].labels)} test pictures."
        lines += section("Fashion-MNIST", *studies["Fashion-MNIST"], note)
    if arguments.emoji:
        counts = (10, 25, 50)
        subjects = of_emoji(arguments.emoji, arguments.emojis, 2.0)
        studies["Groups of emoji"] = (counts, *accuracies(*subjects, counts, "judge-groups", *how))
        note = (
            f"{arguments.emojis} of each group, guidance 2, from labels of the training; "
            f"{len(subjects[1].labels)} test pictures. A group has 75 pictures or more."
        )
        lines += section("Groups of emoji", *studies["Groups of emoji"], note)
    if arguments.plot:
        plot(studies, arguments.plot)
    head = [
        "# Few real pictures and many generated ones",
        "",
        f"`python benchmarks/synthetic_data.py`: {arguments.training} steps for each classifier; "
        f"{arguments.seeds} draws of the real pictures and of the first weights, means with 95 % intervals. "
        f"Clothes have guidance {arguments.guidance:g} and 10 steps, emoji 30.",
        f"{describe('torch', 'numpy')}; {date.today()}.",
        "",
        "Accuracy in percent on real test pictures, by the number of real pictures of a class. The models "
        "that made the others were trained on all pictures of the training, so what they add is what they "
        "learned from those: the gain is that of a model which others trained on much data, not of data from "
        "nothing.",
        "",
    ]
    write_report(head + lines, arguments.output)


if __name__ == "__main__":
    main()
