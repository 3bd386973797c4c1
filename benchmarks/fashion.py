"""Fashion-MNIST, made from the names of its classes: how like the real pictures, and how useful.

    python benchmarks/fashion.py FASHION -o benchmarks/results/fashion.md

FASHION is the folder of Fashion-MNIST (of Debian's dataset-fashion-mnist: /usr/share/datasets/fashion-mnist).
The Fréchet distance to the test pictures is taken in the features of a judge that was trained on the training
pictures. The classification accuracy score is that of a classifier which is trained on generated pictures
alone and tested on real ones; Ravuri & Vinyals, NeurIPS 2019.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from scripting import describe, medians, table, write_report
from tqdm import tqdm

from difffilter.generate import images, load, read_captioned
from difffilter.generate.captioned import Captioned
from difffilter.training.judge import JudgeLoss
from difffilter.training.loop import training_steps
from difffilter.training.pictures import Pictures
from difffilter.training.presets import PRESETS
from difffilter.training.state import TrainingState

SCALES = (0.0, 1.0, 3.0)
SIZE = 32
TOGETHER = 250


def frechet_distance(one, other):
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of two sets of features (N, W); Heusel et al., NeurIPS 2017."""
    (mean, covariance), (mean2, covariance2) = (
        (x.mean(axis=0), np.cov(x, rowvar=False)) for x in (one, other)
    )
    # The product of two covariances has real eigenvalues ≥ 0, but for rounding.
    roots = np.sqrt(np.linalg.eigvals(covariance @ covariance2).real.clip(0))
    return float(
        np.square(mean - mean2).sum() + np.trace(covariance + covariance2) - 2 * roots.sum()
    )


def answers(judge, pictures):
    """The features (N, W) and the answers (N,) of a judge to pictures (N, H, W[, 3]) in [0, 1]."""
    features, told = [], []
    x = pictures[..., None] if pictures.ndim == 3 else pictures
    with torch.inference_mode():
        for part in torch.from_numpy(2 * np.moveaxis(x, 3, 1) - 1).float().split(500):
            found = judge.features(part)
            features.append(found.numpy().astype(float))
            told += judge.answers[0](found).argmax(dim=1).tolist()
    return np.concatenate(features), np.array(told)


def made(classes, count, model, guidance, steps):
    """`count` pictures (count, 32, 32) and their labels, as many of each class as of the others."""
    pictures, labels = [], []
    each = count // len(classes)
    with tqdm(total=each * len(classes), unit="picture", disable=None) as bar:
        for number, label in enumerate(classes):
            for start in range(0, each, TOGETHER):
                n = min(TOGETHER, each - start)
                seed = number * each + start
                pictures.append(
                    images(label, n, model=model, guidance=guidance, steps=steps, seed=seed)
                )
                labels += [label] * n
                bar.update(n)
    return np.concatenate(pictures), tuple(labels)


def classifier(pictures, labels, steps, seed=0, preset="judge-fashion"):
    """A judge of a preset's shape, trained on pictures (N, S, S) or (N, S, S, 3) and their labels."""
    bytes_ = (255 * pictures).round().astype(np.uint8)
    if bytes_.ndim == 3:
        bytes_ = bytes_[..., None]
    else:
        bytes_ = np.pad(bytes_, [(0, 0)] * 3 + [(0, 1)], constant_values=255)  # nothing transparent
    captioned = Captioned(bytes_, labels, ((),) * len(labels), labels)
    config = PRESETS[preset]
    net = replace(config.net, questions=(tuple(sorted(set(labels))),), channels=captioned.channels)
    state = TrainingState(replace(config, net=net, steps=steps, seed=seed), torch.device("cpu"))
    loss = JudgeLoss(state, Pictures(captioned, 0.0, bytes_.shape[1]), 0, 1)
    for _ in tqdm(training_steps(state, loss), total=steps, unit="step", disable=None):
        pass
    return state.averaged


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-n", "--number", type=int, default=60_000, help="pictures of each row")
    parser.add_argument("--model", default="fashion")
    parser.add_argument("--steps", type=int, default=10, help="steps of DPM-Solver++")
    parser.add_argument("--training", type=int, default=3_000, help="steps of a classifier")
    arguments = parser.parse_args()

    judge = load("judge-fashion", "judge").net
    classes = judge.config.questions[0]
    real, test = (read_captioned(arguments.folder, SIZE, split=s) for s in ("train", "test"))
    of_train, of_test = (each.images[..., 0] / np.float32(255) for each in (real, test))
    truth = np.array([classes.index(label) for label in test.labels])
    features, told = answers(judge, of_test)

    def row(name, pictures, labels):
        net = classifier(pictures, labels, arguments.training)
        found, read = answers(judge, pictures)
        right = np.mean(read == np.array([classes.index(label) for label in labels]))
        accuracy = np.mean(answers(net, of_test)[1] == truth)
        distance = frechet_distance(found, features)
        print(name, distance, right, accuracy, flush=True)
        return [name, f"{distance:.2f}", f"{right:.3f}", f"{accuracy:.3f}"]

    rows = [row("real", of_train, real.labels)]
    for scale in SCALES:
        pictures, labels = made(classes, arguments.number, arguments.model, scale, arguments.steps)
        rows.append(row(f"guidance {scale:g}", pictures, labels))
    taken = medians({1: lambda: images("Dress", model=arguments.model)}, 9)[1]
    head = ["pictures", "Fréchet distance", "as the judge reads them", "accuracy score"]
    lines = [
        "# Fashion-MNIST from words",
        "",
        f"`python benchmarks/fashion.py FASHION`: {arguments.number} pictures for each row,",
        f"{arguments.steps} steps of DPM-Solver++. {describe('torch', 'numpy')}; {date.today()}.",
        "",
        *table(head, rows),
        "",
        "Distance: to the 10 000 test pictures, in the features of a judge whose accuracy on them is",
        f"{np.mean(told == truth):.3f}. Read: the share that the judge takes for the class asked for. Score:",
        f"the accuracy, on the test pictures, of a classifier trained for {arguments.training} steps on the",
        f"pictures of the row alone. A picture by itself, in 30 steps, takes {taken:.2f} s.",
    ]
    write_report(lines, arguments.output)


if __name__ == "__main__":
    main()
