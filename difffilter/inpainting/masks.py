"""Masks that are found in the image itself: pixels of one colour, and defects of the sensor."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_number, check_share
from difffilter.image import as_float
from difffilter.pde.kernels.common import inner, kernel

__all__ = ["dead_pixels", "mask_of_colour"]

# Pixels of the largest defect.
MOST = 3

# A defect rises from its neighbours by more than this many times what they rise from the background, which
# is the median of a square of this radius.
CONTRAST, BACKGROUND = 4.0, 2

# The noise is measured in a square of this radius by its deviation of rank MOST + 1, which no single defect
# reaches and which for white Gaussian noise is on average this many standard deviations.
RADIUS, DEVIATIONS = 3, 1.805

# Least noise in steps between the levels of an image: rounding hides noise that is weaker. There are at least
# so many steps, or else the image is a drawing.
ROUNDING, STEPS = 0.7, 255


def mask_of_colour(
    image: ArrayLike,
    colour: Sequence[float] | str,
    *,
    tolerance: float = 0.0,
    channel_axis: int | None = -1,
) -> NDArray:
    """Pixels of one colour.

    Parameters
    ----------
    image : array_like
        ``(H, W, 3)`` or ``(D, H, W, 3)``, red, green and blue; integers are scaled to [0, 1].
    colour : (float, float, float) or str
        Red, green and blue in [0, 1], or hexadecimal digits: ``"ff00ff"``, ``"#f0f"``.
    tolerance : float, default 0
        The largest difference in each channel, from 0 to 1.
    channel_axis : int or None, default -1
        The axis of the channels; ``None``: the image is grey, and so must be the colour.

    Returns
    -------
    bool ndarray
        Of the image's spatial shape: True where each channel is within the tolerance, to rounding. A
        pixel that is NaN has no colour.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above.

    Examples
    --------
    >>> image = np.array([[[255, 0, 255], [250, 3, 255], [0, 0, 0]]], np.uint8)
    >>> mask_of_colour(image, "#f0f")
    array([[ True, False, False]])
    >>> mask_of_colour(image, (1, 0, 1), tolerance=5 / 255)
    array([[ True,  True, False]])
    """
    wanted = _check_colour(colour)
    tolerance = check_share("tolerance", tolerance)
    values, bad = _finite(image, channel_axis)
    if channel_axis is None:
        if np.ptp(wanted):
            raise ValueError(f"colour is {colour!r}; expected a grey one for a grey image")
        values, wanted = values[..., None], wanted[:1]
    else:
        values = np.moveaxis(values, channel_axis, -1)
    if values.shape[-1] != len(wanted):
        raise ValueError(
            f"image has {values.shape[-1]} channels; expected {len(wanted)}: red, green and blue"
        )
    rounding = 2 * np.finfo(values.dtype).eps
    differences = np.abs(values - wanted.astype(values.dtype))
    return (differences <= tolerance + rounding).all(axis=-1) & ~bad


def dead_pixels(
    image: ArrayLike, *, threshold: float = 5.0, channel_axis: int | None = None
) -> NDArray:
    """Isolated pixels that are stuck, hot or dead.

    A defect is a peak or a dip of at most 3 adjacent pixels. Its height above the level at which it
    merges with larger structures, an area opening [1]_, is compared with the noise: a high rank of the
    deviations from the median of 3×3 pixels within the 7×7 around it, which texture raises, too. It must
    also be much higher than its neighbours are above the background, as [2]_ asks of cosmic rays: the
    neighbours of a star belong to the star, those of a defect do not.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels. Planes and channels are searched one by
        one.
    threshold : float, default 5
        The least height of a defect in standard deviations of the noise.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    bool ndarray
        Of the image's spatial shape: True where a channel or more has a defect, NaN or infinity.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above.

    Notes
    -----
    In 2²⁰ pixels of white Gaussian noise, up to two were found. Dots of letters and stars that are no wider
    than a pixel are defects by this definition, and more than three pixels of defects within 7×7 hide each
    other. An image that is less than 7 pixels high or wide has none.

    References
    ----------
    .. [1] L. Vincent, "Grayscale area openings and closings, their efficient implementation and
       applications", Workshop on Mathematical Morphology and its Applications to Signal Processing,
       1993.
    .. [2] P. G. van Dokkum, "Cosmic-ray rejection by Laplacian edge detection", Publications of the
       Astronomical Society of the Pacific 113, 2001.

    Examples
    --------
    >>> image = np.zeros((20, 30))
    >>> image[:, 15:] = 0.5
    >>> image[4, 7] = 1
    >>> np.argwhere(dead_pixels(image)).tolist()
    [[4, 7]]
    """
    from scipy import ndimage

    threshold = check_number("threshold", threshold, above=0)
    values, found = _finite(image, channel_axis)
    if channel_axis is not None:
        values = np.moveaxis(values, channel_axis, 0)
    height, width = values.shape[-2:]
    if min(height, width) < 2 * RADIUS + 1:
        return found
    planes = found.reshape(-1, height, width)
    for k, plane in enumerate(values.reshape(-1, height, width)):
        plane = np.ascontiguousarray(plane)
        deviations = plane - ndimage.median_filter(plane, 3, mode="mirror")
        least = ROUNDING * threshold * _step(plane)
        planes[k % len(planes)] |= _defects(plane, deviations, threshold, least)
    return planes.reshape(found.shape)


def _check_colour(colour):
    """Red, green and blue as a float64 ndarray."""
    expected = "expected red, green and blue in [0, 1], or hexadecimal digits such as 'ff00ff'"
    if isinstance(colour, str):
        digits = colour.removeprefix("#")
        if not re.fullmatch(r"[0-9a-fA-F]{3}|[0-9a-fA-F]{6}", digits):
            raise ValueError(f"colour is {colour!r}; {expected}")
        size = len(digits) // 3
        parts = [digits[k : k + size] for k in range(0, len(digits), size)]
        return np.array([int(part * (2 // size), 16) / 255 for part in parts])
    try:
        values = np.array(colour, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"colour is {colour!r}; {expected}") from None
    if values.shape != (3,) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"colour is {colour!r}; {expected}")
    return values


def _finite(image, channel_axis):
    """The image in floating point, its median in place of what is not finite, and where that is."""
    array = np.asanyarray(image)
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if bad.any():
        good = array[~bad]
        array = np.where(bad, np.median(good) if good.size else 0, array).astype(array.dtype)
    values = as_float(array, channel_axis)
    return values, bad if channel_axis is None else bad.any(axis=channel_axis)


def _step(plane):
    """The least difference between two values, as far as rounding may have made it."""
    levels = np.unique(plane)
    most = max(1.0, float(np.abs(levels).max())) / STEPS
    return min(float(np.diff(levels).min()), most) if len(levels) > 1 else most


@kernel
def _defects(image, deviations, threshold, least):
    """Where a plane (H, W) has defects, whose deviations from the median are above `least`."""
    found = np.zeros(image.shape, np.bool_)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if abs(deviations[y, x]) <= least:
                continue
            sign = 1.0 if deviations[y, x] > 0 else -1.0
            base = _level(image, sign, y, x)
            rise = sign * image[y, x] - base
            if rise <= least:
                continue
            nearby = np.sort(_square(image, y, x, BACKGROUND))
            if rise <= CONTRAST * (base - sign * nearby[len(nearby) // 2]):
                continue
            ranked = np.sort(np.abs(_square(deviations, y, x, RADIUS)))
            found[y, x] = rise > threshold * ranked[-1 - MOST] / DEVIATIONS
    return found


@inner
def _level(image, sign, y, x):
    """The highest level at which more than MOST pixels, each beside another, reach as high as a peak.

    Pixels are added to the peak, the highest neighbour first. For a dip, `sign` is −1, and so is that of
    the level.
    """
    height, width = image.shape
    ys, xs = np.full(MOST + 1, y), np.full(MOST + 1, x)
    lowest = sign * image[y, x]
    for count in range(1, MOST + 1):
        best = -np.inf
        for k in range(count):
            for v in range(max(ys[k] - 1, 0), min(ys[k] + 2, height)):
                for u in range(max(xs[k] - 1, 0), min(xs[k] + 2, width)):
                    if sign * image[v, u] > best and not _among(ys, xs, count, v, u):
                        best, ys[count], xs[count] = sign * image[v, u], v, u
        if best < lowest and best > -np.inf:
            lowest = best
    return lowest


@inner
def _among(ys, xs, count, y, x):
    """Whether a pixel is one of the first `count` pixels."""
    found = False
    for k in range(count):
        found |= ys[k] == y and xs[k] == x
    return found


@inner
def _square(image, y, x, radius):
    """The values in the square around a pixel, which is moved into the image."""
    height, width = image.shape
    top = min(max(y - radius, 0), height - 2 * radius - 1)
    left = min(max(x - radius, 0), width - 2 * radius - 1)
    return image[top : top + 2 * radius + 1, left : left + 2 * radius + 1].copy().reshape(-1)
