"""The results of a study as tables: what stands in which cell, whatever they are written in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from difffilter.benchmark.report.summary import METRICS, Metric

__all__ = ["Cell", "Row", "Table", "tables"]


@dataclass(frozen=True)
class Cell:
    """A number, or a gap.

    Attributes
    ----------
    text, half : str
        The value and half its confidence interval; empty where there is none.
    sort : float or None
        What to sort by.
    best : bool
        The best of its column, oracles left out.
    partial : int
        Over how many images the mean is, where some are missing; 0: all are there.
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
    """One metric at every level of one kind of noise.

    Attributes
    ----------
    metric : str
        Its name.
    title, unit, better : str
        As `Metric` has them.
    columns : list of str
        Headings right of the methods.
    rows : list of Row
    """

    metric: str
    title: str
    unit: str
    better: str
    columns: list
    rows: list


def tables(results, noise):
    """A table for every metric of one kind of noise.

    The first, usually PSNR, ends with the costs over all levels: the median seconds an image and
    the most memory.

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
    columns = [f"{level:g}" for level in levels]
    return Table(metric, about.title, about.unit, about.better, columns, rows)


def _behind(results, noise):
    """Paired differences, which say more than two means do: images differ more than methods."""
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
    columns = [f"{level:g}" for level in levels]
    return Table("behind", "PSNR less the best's", "dB", "higher", columns, rows)


def _append_costs(results, noise, table):
    """Columns with the costs over all levels, where they were measured and are not the table."""
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
    """Digits after the point for three significant figures."""
    return max(0, 2 - math.floor(math.log10(abs(value)))) if value else 2
