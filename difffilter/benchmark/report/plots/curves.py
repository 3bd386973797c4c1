"""A metric by noise level, a curve for each method."""

from __future__ import annotations

import math

from difffilter.benchmark.report.plots.labels import label_ends
from difffilter.benchmark.report.plots.style import competitors, gid, line_style, new_figure
from difffilter.benchmark.report.summary import METRICS
from difffilter.benchmark.report.words import in_holes, is_holes

__all__ = ["DEEPEST", "curves"]

# The lowest difference to the best method that is drawn, in dB.
DEEPEST = -6.0


def curves(results, noise, metric, *, relative=False):
    """A metric by noise level, a curve for each method.

    A method has no point at a level where it failed on some images: its mean would not be
    comparable. The noisy image, which lies far from the others, does not set the scale: it is drawn
    as far as the others reach.

    Parameters
    ----------
    results : Results
    noise, metric : str
    relative : bool, default False
        Whether to subtract the value of the best method at each level.

    Returns
    -------
    matplotlib.figure.Figure
    """
    about = METRICS[metric]
    title, unit = in_holes(about.title, noise), f" ({about.unit})" if about.unit else ""
    figure, axes = new_figure()
    levels = results.levels(noise)
    best = {level: results.best(noise, level, metric) for level in levels}
    others = competitors(results)
    ends = {}
    # (The noisy image last, when the others have set the scale.)
    for label in others if relative else [*others, *(set(results.methods) - set(others))]:
        heights = []
        for level in levels:
            score = results.score(noise, level, label, metric)
            if score is None or not score.complete or (relative and best[level] is None):
                heights.append(math.nan)  # a gap in the curve
                continue
            zero = results.score(noise, level, best[level], metric).mean if relative else 0.0
            heights.append(score.mean - zero)
        if label not in others and ends:
            low, high = axes.get_ylim()
            if not any(low <= height <= high for height in heights):
                continue
            axes.set_ylim(low, high)
        drawn = [n for n, height in enumerate(heights) if not math.isnan(height)]
        if drawn:
            style = line_style(results, label)
            axes.plot(levels, heights, linewidth=1.8, gid=gid(results, label), zorder=3, **style)
            ends[label] = (levels[drawn[-1]], heights[drawn[-1]])
    axes.set_xlabel("noise of known pixels, σ·255" if is_holes(noise) else "noise σ·255")
    ticks = _legible(levels)
    axes.set_xticks(ticks, [f"{level:g}" for level in ticks])
    axes.set_ylabel(f"{title} minus that of the best{unit}" if relative else title + unit)
    if relative:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], DEEPEST))
    label_ends(results, axes, ends)
    return figure


def _legible(levels):
    """The levels, from the last downwards, that are far enough apart for their numbers."""
    kept = []
    for level in reversed(levels):
        if not kept or kept[-1] - level >= 0.09 * (levels[-1] - levels[0]):
            kept.append(level)
    return kept[::-1]
