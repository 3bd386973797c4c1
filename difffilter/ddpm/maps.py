"""Noise whose strength differs from pixel to pixel, for a network that takes a single σ."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_levels"]

# The largest ratio of neighbouring levels, and of the highest to the lowest.
RATIO, SPAN = 1.3, 32


def by_levels(restore: Callable[[float], NDArray], y: NDArray, sigma: NDArray) -> NDArray:
    """The restored image where each pixel has a σ of its own.

    The image is restored for several levels of σ, each of them everywhere; at a pixel the results
    of the two levels around its σ are interpolated, linearly in log σ. Below the lowest level the
    change of the image is proportional to σ.

    Parameters
    ----------
    restore : callable
        ``restore(σ)`` returns the image restored for a σ above 0.
    y : ndarray
        The noisy image.
    sigma : ndarray
        Of its shape; somewhere above 0.

    Returns
    -------
    ndarray
        Of its shape and dtype.

    Examples
    --------
    >>> y = np.ones(3)
    >>> by_levels(lambda sigma: y - sigma, y, np.array([0.1, 0.2, 0.4])).round(2)
    array([0.9, 0.8, 0.6])
    """
    highest = float(sigma.max())
    lowest = max(float(sigma.min()), highest / SPAN)
    count = 1 + math.ceil(math.log(highest / lowest) / math.log(RATIO) - 1e-9)
    levels = np.geomspace(lowest, highest, count)
    position = np.interp(np.log(np.maximum(sigma, lowest)), np.log(levels), np.arange(count))
    result = np.zeros_like(y)
    for k, level in enumerate(levels):
        share = np.clip(1 - np.abs(position - k), 0, None)
        if share.any():
            result += (share * restore(float(level))).astype(y.dtype)
    return (y + np.minimum(1, sigma / lowest) * (result - y)).astype(y.dtype)
