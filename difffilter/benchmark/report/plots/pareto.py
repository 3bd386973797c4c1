"""PSNR against seconds per image, with the Pareto front."""

from __future__ import annotations

import math

from difffilter.benchmark.report.plots.labels import label_points
from difffilter.benchmark.report.plots.style import (
    GREY,
    competitors,
    draw_points,
    new_figure,
    seconds_text,
)
from difffilter.benchmark.report.words import in_holes

__all__ = ["front", "pareto"]


def pareto(results, noise, level):
    """PSNR against seconds per image, with the Pareto front.

    Parameters
    ----------
    results : Results
    noise : str
        The kind of noise.
    level : float
        σ·255.

    Returns
    -------
    matplotlib.figure.Figure
    """
    points = {}
    for label in competitors(results):
        score = results.score(noise, level, label, "psnr")
        seconds = results.seconds(noise, level, label)
        if score and score.complete and math.isfinite(score.mean) and seconds > 0:
            points[label] = (seconds, score.mean)
    figure, axes = new_figure()
    axes.set_xscale("log")
    tips = {label: f"{y:.2f} dB, {seconds_text(x)}" for label, (x, y) in points.items()}
    draw_points(results, axes, points, tips)
    best = front({label: at for label, at in points.items() if label not in results.oracles})
    xs, ys = [points[label][0] for label in best], [points[label][1] for label in best]
    axes.step(xs, ys, where="post", color=GREY, linewidth=1.2, zorder=2)
    axes.xaxis.set_major_formatter(lambda value, _: seconds_text(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set_xlabel("median seconds per image")
    axes.set_ylabel(f"{in_holes('PSNR', noise)} (dB)")
    # The corners of the steps: along to the next point's time, then up to it.
    corners = [at for n, x in enumerate(xs) for at in [(x, ys[max(0, n - 1)]), (x, ys[n])]]
    label_points(results, axes, points, [corners] if corners else [])
    return figure


def front(points):
    """The Pareto front: labels of the points that no other is both left of and above.

    Examples
    --------
    >>> front({"quick": (1, 20), "slow": (9, 30), "worse": (10, 25)})
    ['quick', 'slow']
    """
    best, kept = -math.inf, []
    for label, (_, y) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if y > best:
            best = y
            kept.append(label)
    return kept
