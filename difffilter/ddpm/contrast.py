"""The range of intensities that the network sees as [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from difffilter.checks import check_number

__all__ = ["check_levels", "levels", "limited", "limits"]

# The side of the squares over which extremes are averaged, in pixels; the multiple of σ by which noise
# still exceeds them; and the largest noise that the network is to see.
SIDE, EXCESS, MOST = 3, 0.5, 0.25

# Where σ is below the weights' range, black and white move inwards until it is ENOUGH times the least of
# that range, with at most the share BEYOND of the pixels beyond either. Those the network sees as no more
# than MARGIN·σ beyond. (In fields of stars, one of them 12 to 100 times as bright as the others, the error
# is 0.2 to 0.5 times as large; with ENOUGH = 1 it is 1.1 to 1.8 times that.)
BEYOND, ENOUGH, MARGIN = 0.01, 3.0, 4.0


def check_levels(black: float | None, white: float | None) -> None:
    """Raise an error unless black and white are numbers or None, and black is below white."""
    for name, value in (("black", black), ("white", white)):
        if value is not None:
            check_number(name, value)
    if black is not None and white is not None and black >= white:
        raise ValueError(f"white is {white:g}; expected a number above black={black:g}")


def levels(
    image: NDArray, sigma: float, channel_axis: int | None = None, least: float = 0.0
) -> tuple[float, float]:
    """Black and white of an image without its noise, at least 4σ apart.

    Where σ would be less than `least` of their difference, a few pixels, such as bright stars, are left
    beyond them.

    Examples
    --------
    >>> flat = 5 + 0.1 * np.random.default_rng(0).standard_normal((64, 64))
    >>> [round(level, 1) for level in levels(flat, 0.1)]
    [4.8, 5.2]
    >>> flat[10:13, 10:13] = 1000
    >>> [round(level, 1) for level in levels(flat, 0.1, least=0.01)]
    [4.9, 8.3]
    """
    planes = image if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    means = uniform_filter(planes, (1,) * (planes.ndim - 2) + (SIDE, SIDE))
    low, high = float(means.min()), float(means.max())
    if sigma == 0:
        return (low, high) if low < high else (low - 0.5, high + 0.5)
    low, high = low + EXCESS * sigma, high - EXCESS * sigma
    if sigma < least * (high - low):
        surplus = high - low - sigma / min(ENOUGH * least, MOST)
        dark, bright = np.quantile(means, (BEYOND, 1 - BEYOND))
        below, above = max(float(dark) - low, 0.0), max(high - float(bright), 0.0)
        part = surplus / max(below + above, surplus)
        return low + part * below, high - part * above
    margin = max(0.0, (sigma / MOST - (high - low)) / 2)
    return low - margin, high + margin


def limited(image: NDArray, sigma: float, black: float, white: float, least: float) -> NDArray:
    """Clip an image near black and white for the network, if σ is small.

    Examples
    --------
    >>> limited(np.array([0.5, 12.5]), 0.005, 0, 1, 0.005)
    array([0.5 , 1.02])
    >>> limited(np.array([0.5, 12.5]), 0.1, 0, 1, 0.005)
    array([ 0.5, 12.5])
    """
    low, high = limits(sigma, black, white, least)
    return image if low == -math.inf else np.clip(image, low, high)


def limits(sigma: float, black: float, white: float, least: float) -> tuple[float, float]:
    """Between which intensities `limited` clips an image; infinite if σ is not small."""
    if sigma > 1.01 * ENOUGH * least * (white - black):
        return -math.inf, math.inf
    return black - MARGIN * sigma, white + MARGIN * sigma
