"""Noise whose strength varies from pixel to pixel."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from difffilter.noise.model import NoiseModel

__all__ = ["REACH", "by_levels", "rows_and_columns", "smoothed", "strengths"]

# The largest ratio of neighbouring levels, and of the highest to the lowest.
RATIO, SPAN = 1.3, 32

# Standard deviation, in pixels, of the blur that finds the intensities on which the noise of an image
# depends, and as far as it reaches.
BLUR = 2.0
REACH = 8


def rows_and_columns(ndim: int, channel_axis: int | None) -> tuple[int, int]:
    """The last two spatial axes of an array of so many axes."""
    axes = [axis for axis in range(ndim) if channel_axis is None or axis != channel_axis % ndim]
    return axes[-2], axes[-1]


def smoothed(y: NDArray, channel_axis: int | None = None) -> NDArray:
    """A noisy image, blurred along rows and columns, to read the strength of its noise from."""
    return gaussian_filter(y, BLUR, radius=REACH, axes=rows_and_columns(y.ndim, channel_axis))


def strengths(model: NoiseModel, y: NDArray, channel_axis: int | None = None) -> NDArray:
    """The standard deviation of the noise at each pixel, estimated from the blurred noisy image."""
    return model.deviation(smoothed(y, channel_axis), channel_axis)


def by_levels(restore: Callable[[float], NDArray], y: NDArray, sigma: NDArray) -> NDArray:
    """Restore an image in which σ varies, by a network that takes a single σ.

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
