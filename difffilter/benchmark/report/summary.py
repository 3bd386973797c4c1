"""The results of a study, and the statistics that a report shows."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from difffilter.benchmark.pairs import REAL
from difffilter.benchmark.report.words import is_holes
from difffilter.benchmark.rows import read_rows

__all__ = ["METRICS", "Metric", "Results", "Score", "Verdict", "read"]


@dataclass(frozen=True)
class Metric:
    """The name of a metric, and whether more is better.

    Attributes
    ----------
    title : str
    unit : str
        Empty: a pure number.
    better : {"higher", "lower", ""}
        Empty: unknown, and no value is called the best.
    decimals : int or None
        ``None``: as many as the numbers need.
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
    "haarpsi": Metric("HaarPSI", "", "higher", 4),
    "gmsd": Metric("GMSD", "", "lower", 4),
    "texture": Metric("Texture distance", "", "lower", 4),
    "seconds": Metric("Seconds per image", "s", "lower", 4),
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
        Their number.
    complete : bool
        Whether there is a value for every case for which any method has one. A mean over fewer
        images is not comparable.
    """

    mean: float
    half: float
    images: int
    complete: bool = True


@dataclass(frozen=True)
class Verdict:
    """The method with the highest PSNR at one noise level, oracles excluded.

    Attributes
    ----------
    level : float
        σ·255; 0 for real noise, and for holes in images without noise.
    winner : str
        The method with the highest mean.
    mean : float
        Its PSNR.
    runner_up : str or None
        The second best; ``None``: there was no other.
    lead : Score or None
        The paired difference between the two, over images.
    ahead : int
        The number of images on which the winner beats the runner-up.
    """

    level: float
    winner: str
    mean: float
    runner_up: str | None = None
    lead: Score | None = None
    ahead: int = 0

    @property
    def chance(self):
        """Whether the confidence interval of the lead contains zero."""
        return self.lead is not None and self.lead.mean <= self.lead.half

    @property
    def detail(self):
        """The margin, in words."""
        if self.lead is None:
            return "there is no other method to compare it with"
        if not math.isfinite(self.lead.mean):  # an image was restored exactly
            return f"{self.runner_up} is second"
        if self.lead.images == 1:
            return f"{self.lead.mean:.2f} dB above {self.runner_up} on the only image"
        lead = f"{self.lead.mean:.2f} ± {self.lead.half:.2f} dB"
        images = f"better on {self.ahead} of {self.lead.images} images"
        if self.chance:
            return f"its lead over {self.runner_up}, {lead}, is not significant; {images}"
        return f"{lead} above {self.runner_up}, the second best; {images}"

    def __str__(self):
        """A sentence."""
        return f"{self.winner} has the highest PSNR, {self.mean:.2f} dB: {self.detail}."


@dataclass(frozen=True)
class Results:
    """The results of a study.

    Attributes
    ----------
    study : dict
        The content of ``study.json``: names, parameters, protocol, machine, versions.
    values : dict
        ``(noise, level, label, metric)`` -> ``{(image, seed): value}``, where level is σ·255.
    errors : dict
        ``(noise, level, label)`` -> ``{(image, seed): message}``, for the failed cases.
    folder : Path or None
        The results folder, which also holds example images.

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

    # --- contents --------------------------------------------------------------------------

    @property
    def title(self):
        """The title of the study."""
        return str(self.study.get("title") or self.study.get("name") or "Benchmark")

    @cached_property
    def noises(self):
        """Kinds of noise or of holes, in the study's order."""
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
        """Names of metrics, known ones first."""
        found = {key[3] for key in self.values}
        return _ordered([name for name in METRICS if name in found], sorted(found))

    @property
    def oracles(self):
        """Labels of methods that are shown the clean image."""
        return set(self.study.get("oracles", []))

    @property
    def missing(self):
        """Label to reason, for methods that could not run."""
        return dict(self.study.get("missing", {}))

    def shown(self, label):
        """The label as displayed: an oracle is marked as one."""
        return label if label not in self.oracles or "oracle" in label else f"{label} (oracle)"

    def levels(self, noise):
        """The levels of noise, σ·255, in ascending order; 0 for real noise."""
        return sorted({key[1] for key in self._cases() if key[0] == noise})

    def graded(self, noise):
        """Whether it has levels: real noise has none, nor have holes in images without noise."""
        return noise != REAL and not (is_holes(noise) and self.levels(noise) == [0])

    @property
    def failures(self):
        """The failed cases, as (noise, level, label, message, [(image, seed), ...])."""
        alike = {}
        for key, cases in self.errors.items():
            for case, message in cases.items():
                alike.setdefault((*key, message), []).append(case)
        return [(*key, cases) for key, cases in alike.items()]

    @property
    def pending(self):
        """The number of cases that the study asks for and that have neither result nor error."""
        study = self.study
        axes = [study.get(name, []) for name in ("images", "noises", "sigmas", "seeds")]
        wanted = study.get("cases", math.prod(len(axis) for axis in axes))
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
        """Image to value, the mean over its seeds."""
        images = {}
        for (image, _), value in self.values.get((noise, level, label, metric), {}).items():
            images.setdefault(image, []).append(value)
        return {image: float(np.mean(values)) for image, values in images.items()}

    def score(self, noise, level, label, metric):
        """The mean over images with its confidence interval; ``None`` without values."""
        values = list(self.per_image(noise, level, label, metric).values())
        if not values:
            return None
        return _mean(values, self._complete(noise, level, label, metric))

    def lead(self, noise, level, label, other, metric="psnr"):
        """The mean difference of `label` to `other`, over the images that both have."""
        ours = self.per_image(noise, level, label, metric)
        theirs = self.per_image(noise, level, other, metric)
        both = [ours[image] - theirs[image] for image in ours if image in theirs]
        return _mean(both) if both else None

    def seconds(self, noise, level, label):
        """The median over all cases; NaN without any."""
        return _median(self.values.get((noise, level, label, "seconds"), {}))

    def memory(self, noise, level, label):
        """The peak over all cases, in MB; NaN if it was not measured."""
        cases = self.values.get((noise, level, label, "peak_memory"), {})
        return max(cases.values()) / 1e6 if cases else math.nan

    def summary(self, noise, level, label, metric):
        """The number shown in tables: a mean, or for costs a median or maximum."""
        if metric not in ("seconds", "peak_memory"):
            return self.score(noise, level, label, metric)
        cost = self.seconds if metric == "seconds" else self.memory
        value = cost(noise, level, label)
        images = len(self.per_image(noise, level, label, metric))
        complete = self._complete(noise, level, label, metric)
        return Score(value, math.nan, images, complete) if images else None

    def best(self, noise, level, metric="psnr"):
        """The best method that is not an oracle; ``None``: there is none.

        A method that failed on some images does not compete; nor does the noisy image for costs,
        because doing nothing is free.
        """
        ranking = self._ranking(noise, level, metric)
        return ranking[0] if ranking else None

    def verdict(self, noise, level):
        """The `Verdict`; ``None`` without PSNR."""
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
        """For each noise, level and metric, the cases for which any method has a value."""
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
        If the folder or one of the two files does not exist.
    ValueError
        If one of the two is damaged; the message names the line.
    """
    folder = Path(results)
    if not (folder / "rows.csv").is_file():
        raise FileNotFoundError(f"{folder} is not a results folder: it has no rows.csv")
    if not (folder / "study.json").is_file():
        raise FileNotFoundError(f"{folder} is not a results folder: it has no study.json")
    try:
        study = json.loads((folder / "study.json").read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{folder / 'study.json'} is damaged: {error}") from None
    if not isinstance(study, dict):
        raise ValueError(f"{folder / 'study.json'} is damaged: it does not hold a table")
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
        elif not math.isnan(row.value):  # NaN: undefined, for a tiny image for example
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
