"""Texture distance against the error: the perception–distortion plane."""

from __future__ import annotations

import numpy as np

from difffilter.benchmark.report.plots.labels import label_points
from difffilter.benchmark.report.plots.style import GREY, competitors, draw_points, new_figure
from difffilter.spelling import parse

__all__ = ["plane"]


def plane(results, noise, level):
    """Texture distance against the error: the perception–distortion plane.

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
        psnrs = results.per_image(noise, level, label, "psnr")
        score = results.score(noise, level, label, "texture")
        if psnrs and score and score.complete:
            errors = [255 * 10 ** (-value / 20) for value in psnrs.values()]
            points[label] = (float(np.mean(errors)), score.mean)
    figure, axes = new_figure()
    groups = _families(results.study.get("denoisers", {}), points)
    lines = [sorted(points[label] for label in group) for group in groups]
    for line in lines:
        axes.plot(*zip(*line, strict=True), color=GREY, linewidth=1, zorder=2)
    tips = {label: f"RMSE {x:.2f}, texture {y:.3g}" for label, (x, y) in points.items()}
    draw_points(results, axes, points, tips)
    axes.set_xlabel("distortion: RMSE·255")
    axes.set_ylabel("perception: texture distance")
    label_points(results, axes, points, lines)
    return figure


def _families(texts, points):
    """Labels of the same method in several modes, such as a posterior's mean and its samples."""
    modes, families = set(), {}
    for label in points:
        try:
            name, parameters = parse(str(texts.get(label, label)))
        except ValueError:
            continue
        families.setdefault(name, []).append(label)
        if "mode" in parameters:
            modes.add(name)
    return [labels for name, labels in families.items() if name in modes and len(labels) > 1]
