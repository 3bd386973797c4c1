"""The results of a study, and what the report says about them in numbers."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from difffilter.benchmark.rows import read_rows

__all__ = ["METRICS", "Metric", "Results", "Score", "Verdict", "read"]


@dataclass(frozen=True)
class Metric:
    """How a metric is called, and which end of it is good.

    Attributes
    ----------
    title : str
        For headings.
    unit : str
        What the numbers are in; empty: a pure number.
    better : {"higher", "lower", ""}
        Empty: nobody knows, and nothing is called the best.
    decimals : int or None
        Digits after the point; ``None``: as many as the numbers need.
    """

    title: str
    unit: str = ""
    better: str = ""
    decimals: int | None = None


METRICS = {
    "psnr": Metric("PSNR", "dB", "higher", 2),
    "ssim": Metric("SSIM", "", "higher", 4),
    "ms_ssim": Metric("MS-SSIM", "", "higher", 4),
    "vif": Metric("VIF", "", "higher", 4),
    "texture": Metric("Texture distance", "", "lower", 4),
    "seconds": Metric("Seconds an image", "s", "lower", 4),
    "peak_memory": Metric("Peak memory", "MB", "lower", 0),
}


@dataclass(frozen=True)
class Score:
    """A metric's mean over images.

    Attributes
    ----------
    mean : float
        Over images; an image's value is the mean over its seeds.
    half : float
        Half the width of the 95 % confidence interval (Student's t over images); NaN for a single
        image.
    images : int
        How many.
    complete : bool
        Whether there is a value for every case that any method has one for. A mean over fewer
        images is not comparable.
    """

    mean: float
    half: float
    images: int
    complete: bool = True


@dataclass(frozen=True)
class Verdict:
    """Who won at one level of noise, by PSNR, oracles left out.

    Attributes
    ----------
    level : float
        σ·255.
    winner : str
        The method with the highest mean.
    mean : float
        Its PSNR.
    runner_up : str or None
        The next; ``None``: there was no other.
    lead : Score or None
        The paired difference between the two, over images.
    ahead : int
        On how many images the winner is better than the next.
    """

    level: float
    winner: str
    mean: float
    runner_up: str | None = None
    lead: Score | None = None
    ahead: int = 0

    @property
    def chance(self):
        """Whether the confidence interval of the lead has zero in it."""
        return self.lead is not None and self.lead.mean <= self.lead.half

    @property
    def detail(self):
        """By how much, in plain words."""
        if self.lead is None:
            return "there is nothing to compare it with"
        if not math.isfinite(self.lead.mean):  # an image that came back without any error
            return f"{self.runner_up} is the next"
        if self.lead.images == 1:
            return f"{self.lead.mean:.2f} dB above {self.runner_up} on the one image there is"
        lead = f"{self.lead.mean:.2f} ± {self.lead.half:.2f} dB"
        images = f"better on {self.ahead} of {self.lead.images} images"
        if self.chance:
            return f"its lead on {self.runner_up}, {lead}, could be chance; {images}"
        return f"{lead} above {self.runner_up}, the next; {images}"

    def __str__(self):
        """What happened, in plain words."""
        return f"{self.winner} has the highest PSNR, {self.mean:.2f} dB: {self.detail}."


@dataclass(frozen=True)
class Results:
    """What a study measured.

    Attributes
    ----------
    study : dict
        What is in ``study.json``: names, parameters, protocol, machine, versions.
    values : dict
        ``(noise, level, label, metric)`` -> ``{(image, seed): value}``, the level being σ·255.
    errors : dict
        ``(noise, level, label)`` -> ``{(image, seed): message}``: the cases that failed.
    folder : Path or None
        Where it was read from; example images lie there.

    Examples
    --------
    >>> psnrs = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): psnrs})
    >>> results.score("gaussian", 25.0, "heat", "psnr").mean
    31.0
    """

    study: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    folder: Path | None = None

    # --- what there is -----------------------------------------------------------------------

    @property
    def title(self):
        """What the study is called."""
        return str(self.study.get("title") or self.study.get("name") or "Benchmark")

    @cached_property
    def noises(self):
        """Kinds of noise, in the study's order."""
        return _ordered(self.study.get("noises", []), [key[0] for key in self._cases()])

    @cached_property
    def methods(self):
        """Labels of the methods that ran, in the study's order, the noisy image first."""
        ran = {key[2]: None for key in self._cases()}
        asked = [label for label in self.study.get("denoisers", {}) if label in ran]
        first = ["identity"] if "identity" in ran else []
        return _ordered(first, _ordered(asked, ran))

    @cached_property
    def metrics(self):
        """Names of metrics, those that are known first."""
        found = {key[3] for key in self.values}
        return _ordered([name for name in METRICS if name in found], sorted(found))

    @property
    def oracles(self):
        """Labels that looked at the clean image."""
        return set(self.study.get("oracles", []))

    @property
    def missing(self):
        """Methods that could not run at all, and why."""
        return dict(self.study.get("missing", {}))

    def shown(self, label):
        """The label, which says of an oracle that it is one."""
        return label if label not in self.oracles or "oracle" in label else f"{label} (oracle)"

    def levels(self, noise):
        """The levels of noise, σ·255, in ascending order."""
        return sorted({key[1] for key in self._cases() if key[0] == noise})

    @property
    def failures(self):
        """The cases that failed, as (noise, level, label, message, [(image, seed), ...])."""
        alike = {}
        for key, cases in self.errors.items():
            for case, message in cases.items():
                alike.setdefault((*key, message), []).append(case)
        return [(*key, cases) for key, cases in alike.items()]

    @property
    def pending(self):
        """How many cases the study asks for that have neither a result nor an error yet."""
        study = self.study
        axes = [study.get(name, []) for name in ("images", "noises", "sigmas", "seeds")]
        wanted = math.prod(len(axis) for axis in axes)
        done = {}
        for noise, level, label, *_ in self._cases():
            done.setdefault(label, {}).setdefault((noise, level), set())
        for (noise, level, label, _), cases in self.values.items():
            done[label][noise, level].update(cases)
        for (noise, level, label), cases in self.errors.items():
            done[label][noise, level].update(cases)
        labels = {*done, *study.get("denoisers", {})} - set(self.missing)
        return sum(max(0, wanted - sum(map(len, done.get(label, {}).values()))) for label in labels)

    def _cases(self):
        yield from self.values
        yield from self.errors

    # --- numbers -----------------------------------------------------------------------------

    def per_image(self, noise, level, label, metric):
        """An image's value, the mean over its seeds, for each image."""
        images = {}
        for (image, _), value in self.values.get((noise, level, label, metric), {}).items():
            images.setdefault(image, []).append(value)
        return {image: float(np.mean(values)) for image, values in images.items()}

    def score(self, noise, level, label, metric):
        """The mean over images with its confidence interval; ``None``: there are no values."""
        values = list(self.per_image(noise, level, label, metric).values())
        if not values:
            return None
        return _mean(values, self._complete(noise, level, label, metric))

    def lead(self, noise, level, label, other, metric="psnr"):
        """How much higher `label` is than `other`, paired over the images that both have."""
        ours = self.per_image(noise, level, label, metric)
        theirs = self.per_image(noise, level, other, metric)
        both = [ours[image] - theirs[image] for image in ours if image in theirs]
        return _mean(both) if both else None

    def seconds(self, noise, level, label):
        """The median over all cases; NaN: there are none."""
        return _median(self.values.get((noise, level, label, "seconds"), {}))

    def memory(self, noise, level, label):
        """The most that any case took, in MB; NaN: it was not measured."""
        cases = self.values.get((noise, level, label, "peak_memory"), {})
        return max(cases.values()) / 1e6 if cases else math.nan

    def summary(self, noise, level, label, metric):
        """The number that tables show: a mean, or for costs a median and a maximum."""
        if metric not in ("seconds", "peak_memory"):
            return self.score(noise, level, label, metric)
        cost = self.seconds if metric == "seconds" else self.memory
        value = cost(noise, level, label)
        images = len(self.per_image(noise, level, label, metric))
        complete = self._complete(noise, level, label, metric)
        return Score(value, math.nan, images, complete) if images else None

    def best(self, noise, level, metric="psnr"):
        """The best method that never saw the clean image; ``None``: there is none.

        A method that failed on some of the images does not take part, and for costs the noisy
        image neither, for doing nothing is free.
        """
        ranking = self._ranking(noise, level, metric)
        return ranking[0] if ranking else None

    def verdict(self, noise, level):
        """Who won; ``None``: there is no PSNR."""
        ranking = self._ranking(noise, level, "psnr")
        if not ranking:
            return None
        winner, *others = ranking
        mean = self.score(noise, level, winner, "psnr").mean
        if not others:
            return Verdict(level, winner, mean)
        ours = self.per_image(noise, level, winner, "psnr")
        theirs = self.per_image(noise, level, others[0], "psnr")
        ahead = sum(ours[image] > theirs[image] for image in ours)
        lead = self.lead(noise, level, winner, others[0])
        return Verdict(level, winner, mean, others[0], lead, ahead)

    def _ranking(self, noise, level, metric):
        better = METRICS.get(metric, Metric(metric)).better
        if not better:
            return []
        scores = {}
        for label in self.methods:
            score = self.summary(noise, level, label, metric)
            free = label == "identity" and metric in ("seconds", "peak_memory")
            if score and score.complete and label not in self.oracles and not free:
                scores[label] = score.mean
        return sorted(scores, key=scores.get, reverse=better == "higher")

    def _complete(self, noise, level, label, metric):
        cases = self.values.get((noise, level, label, metric), {})
        return len(cases) == len(self._every_case[noise, level, metric])

    @cached_property
    def _every_case(self):
        """For each noise, level and metric the cases that any method has a value for."""
        every = {}
        for (noise, level, _, metric), cases in self.values.items():
            every.setdefault((noise, level, metric), set()).update(cases)
        return every


def read(results):
    """Read a results folder.

    Parameters
    ----------
    results : path-like
        The folder with ``rows.csv`` and ``study.json``.

    Returns
    -------
    Results

    Raises
    ------
    OSError
        If the folder or one of the two files is not there.
    ValueError
        If one of the two is not what it should be; the message names the line.
    """
    folder = Path(results)
    if not (folder / "rows.csv").is_file():
        raise FileNotFoundError(f"{folder} is no results folder: there is no rows.csv in it")
    if not (folder / "study.json").is_file():
        raise FileNotFoundError(f"{folder} is no results folder: there is no study.json in it")
    try:
        study = json.loads((folder / "study.json").read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / 'study.json'} is damaged: {error}") from None
    if not isinstance(study, dict):
        raise ValueError(f"{folder / 'study.json'} is damaged: it holds no table")
    values, errors = _read_rows(folder / "rows.csv")
    if not values and not errors:
        raise ValueError(f"{folder / 'rows.csv'} has no results yet")
    return Results(study, values, errors, folder)


def _read_rows(path):
    values, errors = {}, {}
    for row in read_rows(path):
        level, case = float(f"{row.sigma * 255:g}"), (row.image, row.seed)
        if row.metric == "error":
            errors.setdefault((row.noise, level, row.denoiser), {})[case] = row.value
        elif not math.isnan(row.value):  # a metric that has no meaning for, say, a tiny image
            key = row.noise, level, row.denoiser, row.metric
            values.setdefault(key, {})[case] = row.value
    return values, errors


def _mean(values, complete=True):
    count = len(values)
    mean = float(np.mean(values))
    half = math.nan
    if count > 1 and math.isfinite(mean):
        from scipy.special import stdtrit

        half = float(stdtrit(count - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(count))
    return Score(mean, half, count, complete)


def _median(cases):
    return float(np.median(list(cases.values()))) if cases else math.nan


def _ordered(first, then):
    return list(dict.fromkeys([*first, *then]))
