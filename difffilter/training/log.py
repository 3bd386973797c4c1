"""The log of a training run: JSON, one record per line."""

from __future__ import annotations

import json
import math
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from difffilter.io.files import replacing

__all__ = ["METRICS", "Log", "last_scores", "plot_log"]

# The scores of validations, and their names in words.
METRICS = {
    "psnr": "PSNR at σ = 25/255 / dB",
    "reconstruction": "PSNR of the decoded pictures / dB",
    "recall": "share of pictures with the nearest caption",
    "accuracy": "share of right answers",
    "gain": "gain in SI-SDR with white noise at 5 dB / dB",
    "error": "mean squared error of the noise",
}


class Log:
    """The log file of a run.

    Parameters
    ----------
    path : Path
    step : int
        The step at which the run (re)starts. Records of later steps, which will be written again,
        are dropped, and so is a last line that was cut short.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.losses: list[tuple[int, Tensor]] = []
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        with replacing(path) as temporary:
            temporary.write_text("".join(kept))

    def add(self, **record: Any) -> None:
        """Write a record."""
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")

    def add_loss(self, step: int, loss: Tensor) -> None:
        """Keep a loss for the next `flush`; fetching each at once would hold up the device."""
        self.losses.append((step, loss))

    def flush(self) -> float:
        """Write the losses kept since the last call, and return their mean.

        Raises
        ------
        FloatingPointError
            If one is not finite.
        """
        values = [(step, loss.item()) for step, loss in self.losses]
        self.losses = []
        for step, value in values:
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"loss is {value} at step {step}; expected a finite number; the last checkpoint "
                    "is from before it: try a lower learning rate"
                )
            self.add(step=step, loss=round(value, 6))
        return float(np.mean([value for _, value in values])) if values else math.nan


def last_scores(log: str | PathLike, window: int = 200) -> dict[str, float]:
    """The end of the log of a training run.

    Parameters
    ----------
    log : str or Path
        ``log.jsonl`` of `fit`.
    window : int, default 200
        Number of steps over which the loss is averaged; fewer if the run has fewer.

    Returns
    -------
    dict of str to float
        ``loss``, if there is a step; if there is a validation, its score, such as ``psnr`` in dB;
        ``window``, the number of steps that were averaged.

    Examples
    --------
    >>> last_scores("runs/mine/log.jsonl")  # doctest: +SKIP
    {'window': 200, 'loss': 0.081, 'psnr': 28.13}
    """
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line][-window:]
    found: dict[str, float] = {"window": len(losses)}
    if losses:
        found["loss"] = float(np.mean(losses))
    for line in lines:
        found |= {metric: line[metric] for metric in METRICS if metric in line}
    return found


def plot_log(log: str | PathLike, path: str | PathLike) -> None:
    """Plot the log of a training run: the loss, smoothed, and the score on what was set aside.

    Parameters
    ----------
    log : str or Path
        ``log.jsonl`` of `fit`.
    path : str or Path
        The figure, of a type that Matplotlib can write.

    Raises
    ------
    ValueError
        If the log has no step yet.

    Examples
    --------
    >>> plot_log("runs/mine/log.jsonl", "training.png")  # doctest: +SKIP
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    losses = np.array([line["loss"] for line in lines if "loss" in line])
    metric = next((name for name in METRICS if any(name in line for line in lines)), "psnr")
    scores = [(line["step"], line[metric]) for line in lines if metric in line]
    if not len(losses):
        raise ValueError(f"{log} has no finished step")
    window = min(len(losses), 200)
    smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(np.arange(len(smooth)) + window, smooth)
    left.set(xlabel="step", ylabel=f"loss, mean of {window} steps")
    if scores:
        right.plot(*zip(*scores, strict=True), marker=".")
    right.set(xlabel="step", ylabel=METRICS[metric])
    figure.savefig(path, dpi=150)
