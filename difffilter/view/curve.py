"""The noise curve as SVG in the colours of the page."""

from __future__ import annotations

from typing import Any

from difffilter.benchmark.report.svg import inline
from difffilter.figures.noise import strength_figure
from difffilter.noise.model import NoiseModel

__all__ = ["strength_svg"]

INK, LINE, BLACK = "#1b2026", "#d6dbe1", "#000000"


def strength_svg(model: NoiseModel) -> str:
    """The standard deviation of the noise against intensity, as an ``<svg>`` element.

    Parameters
    ----------
    model : NoiseModel

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter.noise.measure import estimate_noise
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> strength_svg(estimate_noise(noisy))[:5]
    '<svg '
    """
    from matplotlib import rc_context

    names = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    look: dict[Any, Any] = dict.fromkeys(names, INK) | {"grid.color": LINE, "font.size": 11}
    look |= {"axes.facecolor": "none", "figure.facecolor": "none", "legend.facecolor": "none"}
    with rc_context(look):
        figure = strength_figure(model)
        variables = {INK: "--ink", BLACK: "--ink", LINE: "--line"}
        return inline(figure, "noise-", variables, "Standard deviation of the noise by intensity")
