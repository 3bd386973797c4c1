"""Classifiers of Fashion-MNIST trained on few real pictures, with and without generated ones beside them.

    python benchmarks/synthetic_data.py FASHION -o benchmarks/results/synthetic_data.md

FASHION is the folder of Fashion-MNIST (of Debian's dataset-fashion-mnist: /usr/share/datasets/fashion-mnist).
"""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np
from fashion import SIZE, answers, classifier, made
from scripting import describe, table, write_report

from difffilter.generate import read_captioned
from difffilter.generate.captioned import FASHION

COUNTS = (10, 50, 100, 500)


def few(labels, count, seed):
    """Indices of `count` pictures of each class, drawn at random."""
    rng, labels = np.random.default_rng(seed), np.array(labels)
    return np.concatenate([rng.permutation(np.flatnonzero(labels == c))[:count] for c in FASHION])


def interval(values):
    """The mean and half of its 95 % interval, by Student's t for five values or another number."""
    from scipy.stats import sem, t

    return np.mean(values), sem(values) * t.ppf(0.975, len(values) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--synthetic", type=int, default=500, help="generated pictures of a class")
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--training", type=int, default=400, help="steps of a classifier")
    parser.add_argument("--test", type=int, default=10_000, help="test pictures")
    arguments = parser.parse_args()
    real, test = (read_captioned(arguments.folder, SIZE, split=s) for s in ("train", "test"))
    of_real, of_test = (each.images[..., 0] / np.float32(255) for each in (real, test))
    of_test, names = of_test[: arguments.test], sorted(FASHION)
    truth = np.array([names.index(label) for label in test.labels[: arguments.test]])
    count = arguments.synthetic * len(FASHION)
    generated, said = made(FASHION, count, "fashion", arguments.guidance, 10)

    def accuracy(pictures, labels, seed=0):
        net = classifier(pictures, labels, arguments.training, seed)
        return 100 * np.mean(answers(net, of_test)[1] == truth)

    rows = []
    for n in COUNTS:
        scores = []
        for seed in range(arguments.seeds):
            chosen = few(real.labels, n, seed)
            labels = tuple(real.labels[index] for index in chosen)
            times = max(1, round(count / len(chosen)))  # a batch has as many real as generated ones
            both = np.concatenate([np.repeat(of_real[chosen], times, axis=0), generated])
            without = accuracy(of_real[chosen], labels, seed)
            beside = accuracy(both, tuple(np.repeat(labels, times).tolist()) + said, seed)
            scores.append([without, beside, beside - without])
        cells = [interval(column) for column in np.transpose(scores)]
        rows.append([str(n), *(f"{mean:.1f} ± {half:.1f}" for mean, half in cells)])
        print(rows[-1], flush=True)
    alone = accuracy(generated, said)
    lines = [
        "# Few real pictures and many generated ones",
        "",
        f"`python benchmarks/synthetic_data.py FASHION`: {arguments.synthetic} generated pictures of each "
        f"class, guidance {arguments.guidance:g}, 10 steps; {arguments.training} steps for each classifier; "
        f"{arguments.seeds} draws of the real pictures and of the first weights, means with 95 % intervals.",
        f"{describe('torch', 'numpy')}; {date.today()}.",
        "",
        "Accuracy in percent on test pictures, by the number of real pictures of a class:",
        "",
        *table(["real", "real alone", "with generated ones", "gain"], rows),
        "",
        f"Generated pictures alone: {alone:.1f}. The model that made them was trained on all 60 000 pictures "
        "of the training, so what they add is what it learned from those: the gain is that of a model which "
        "others trained on much data, not of data from nothing.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
