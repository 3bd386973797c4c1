"""The PSNR on each image, relative to the best method."""

from __future__ import annotations

import math

import numpy as np

from difffilter.benchmark.report.plots.style import (
    INK,
    colour,
    competitors,
    gid,
    new_figure,
    shortened,
)
from difffilter.benchmark.report.words import in_holes

__all__ = ["spread"]


def spread(results, noise, level):
    """The PSNR of each image minus that of the best method on the same image.

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
    best = results.best(noise, level)
    reference = results.per_image(noise, level, best, "psnr")
    gaps = {}
    for label in competitors(results):
        images = results.per_image(noise, level, label, "psnr")
        both = [images[image] - reference[image] for image in images if image in reference]
        if both and label != best:
            gaps[label] = both
    order = sorted(gaps, key=lambda label: np.mean(gaps[label]))
    figure, axes = new_figure(height=max(2.2, 0.36 * len(order) + 1.1))
    jitter = np.random.default_rng(0)
    for row, label in enumerate(order):
        shade, marked = colour(results, label), gid(results, label)
        rows = row + jitter.uniform(-0.22, 0.22, len(gaps[label]))
        lead = results.lead(noise, level, label, best)
        half = 0.0 if math.isnan(lead.half) else lead.half
        axes.plot(
            [lead.mean - half, lead.mean + half], [row, row], color=shade, linewidth=7,
            alpha=0.3, solid_capstyle="butt", gid=marked,
        )  # fmt: skip
        axes.scatter(gaps[label], rows, s=14, color=shade, alpha=0.7, linewidth=0, gid=marked)
        axes.plot([lead.mean] * 2, [row - 0.32, row + 0.32], color=shade, linewidth=2, gid=marked)
        axes.text(
            -0.02, row, shortened(results.shown(label), 22), color=shade, ha="right", va="center",
            gid=marked, parse_math=False, transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.2, zorder=1)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_yticks([])
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(
        f"{in_holes('PSNR', noise)} minus that of {shortened(best, 26)} (dB)", parse_math=False
    )
    return figure
