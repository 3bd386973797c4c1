"""The results of a study as tables, for Markdown and HTML alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from difffilter.benchmark.report.summary import METRICS, Metric
from difffilter.benchmark.report.words import in_holes, is_holes, noise_words

__all__ = ["Cell", "Row", "Table", "overview", "tables"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a number, or empty.

    Attributes
    ----------
    text, half : str
        The value and half the width of its confidence interval; empty if there is none.
    sort : float or None
        The key for sorting.
    best : bool
        Whether it is the best of its column, oracles excluded.
    partial : int
        The number of images in the mean, if some are missing; 0: none is missing.
    """

    text: str = ""
    half: str = ""
    sort: float | None = None
    best: bool = False
    partial: int = 0


@dataclass(frozen=True)
class Row:
    """A method and its cells."""

    label: str
    cells: list


@dataclass(frozen=True)
class Table:
    """One metric at every level of one kind of noise, or for several kinds of holes.

    Attributes
    ----------
    metric : str
    title, unit, better : str
        Those of the `Metric`.
    columns : list of str
        Headings, without that of the methods.
    rows : list of Row
    levels : bool
        Whether the columns are levels of noise.
    """

    metric: str
    title: str
    unit: str
    better: str
    columns: list
    rows: list
    levels: bool = True


def tables(results, noise):
    """A table for every metric of one kind of noise.

    The first, usually PSNR, ends with the costs over all levels: the median seconds per image and
    the peak memory.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> psnrs = {("boat", 0): 30.0, ("barn", 0): 32.0}
    >>> results = Results(values={("gaussian", 25.0, "heat", "psnr"): psnrs})
    >>> [table] = tables(results, "gaussian")
    >>> table.columns, table.rows[0].cells[0].text
    (['25'], '31.00')
    """
    found = [_table(results, noise, metric) for metric in results.metrics]
    if found:
        _append_costs(results, noise, found[0])
        if found[0].metric == "psnr" and len(results.methods) > 1:
            found.insert(1, _behind(results, noise))
    return found


def overview(results):
    """A table for every metric with the kinds of holes beside each other, if there are several.

    (Of kinds with levels, each has its own tables.)

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> kinds = {"text": 30.0, "blocks": 25.0}
    >>> values = {(k, 0.0, "ddpm", "psnr"): {("boat", 0): v} for k, v in kinds.items()}
    >>> [table] = overview(Results(values=values))
    >>> table.columns, [cell.text for cell in table.rows[0].cells]
    (['text holes', 'square holes'], ['30.00', '25.00'])
    """
    noises = [n for n in results.noises if is_holes(n) and not results.graded(n)]
    if len(noises) < 2:
        return []
    found = []
    for metric in results.metrics:
        parts = [_table(results, noise, metric) for noise in noises]
        columns = [column for part in parts for column in part.columns]
        rows = [
            Row(label, [cell for part in parts for cell in part.rows[n].cells])
            for n, label in enumerate(results.methods)
        ]
        found.append(replace(parts[0], columns=columns, rows=rows))
    return found


def _table(results, noise, metric):
    about = METRICS.get(metric, Metric(metric.replace("_", " ")))
    levels = results.levels(noise)
    scores = {
        (label, level): results.summary(noise, level, label, metric)
        for label in results.methods
        for level in levels
    }
    best = {level: results.best(noise, level, metric) for level in levels}
    largest = max((abs(s.mean) for s in scores.values() if s and math.isfinite(s.mean)), default=1)
    decimals = _decimals(largest) if about.decimals is None else about.decimals
    rows = []
    for label in results.methods:
        cells = [
            _cell(scores[label, level], decimals, best[level] == label, metric) for level in levels
        ]
        rows.append(Row(label, cells))
    title = about.title if metric in ("seconds", "peak_memory") else in_holes(about.title, noise)
    columns, graded = _columns(results, noise), results.graded(noise)
    return Table(metric, title, about.unit, about.better, columns, rows, graded)


def _behind(results, noise):
    """Paired differences, which tell more than two means: images differ more than methods."""
    levels = results.levels(noise)
    best = {level: results.best(noise, level) for level in levels}
    rows = []
    for label in results.methods:
        cells = []
        for level in levels:
            if label == best[level]:
                cells.append(Cell("best", sort=0.0, best=True))
                continue
            lead = best[level] and results.lead(noise, level, label, best[level])
            count = len(results.per_image(noise, level, best[level], "psnr")) if lead else 0
            whole = lead and lead.images == count
            cells.append(_cell(lead and replace(lead, complete=whole), 2, False, "psnr"))
        rows.append(Row(label, cells))
    columns, graded = _columns(results, noise), results.graded(noise)
    return Table("behind", "PSNR relative to the best", "dB", "higher", columns, rows, graded)


def _columns(results, noise):
    if not results.graded(noise):
        return [noise_words(noise)]
    return [f"{level:g}" for level in results.levels(noise)]


def _append_costs(results, noise, table):
    """Append columns with the costs over all levels, if measured and not a table of their own."""
    costs = {"seconds": "seconds", "peak_memory": "MB"}
    for metric, heading in costs.items():
        if metric not in results.metrics or metric == table.metric:
            continue
        table.columns.append(heading)
        for row in table.rows:
            cases = [
                value
                for level in results.levels(noise)
                for value in results.values.get((noise, level, row.label, metric), {}).values()
            ]
            row.cells.append(_cost(cases, metric))


def _cost(cases, metric):
    if not cases:
        return Cell()
    if metric == "peak_memory":
        value = max(cases) / 1e6
        return Cell(_megabytes(value), sort=value)
    value = float(np.median(cases))
    return Cell(_seconds(value), sort=value)


def _cell(score, decimals, best, metric):
    if score is None:
        return Cell()
    costs = {"seconds": _seconds, "peak_memory": _megabytes}
    text = costs[metric](score.mean) if metric in costs else f"{score.mean:.{decimals}f}"
    half = "" if math.isnan(score.half) else f"{score.half:.{decimals}f}"
    return Cell(
        text.replace("-", "−"), half, score.mean, best, 0 if score.complete else score.images
    )


def _seconds(value):
    """Three significant figures, down to a tenth of a millisecond."""
    return f"{value:.{min(4, _decimals(value))}f}" if value >= 5e-5 else "<0.0001"


def _megabytes(value):
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _decimals(value):
    """Decimals for three significant figures."""
    return max(0, 2 - math.floor(math.log10(abs(value)))) if value else 2
