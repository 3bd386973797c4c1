"""Warnings where the estimate of the noise cannot be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.image import as_float
from difffilter.noise.measure import assumed_noise
from difffilter.noise.model import NoiseModel, Sigma, strength_of

__all__ = ["doubt", "hardly_differs"]

# How many times as strong as assumed noise that is not white must be for a warning.
STRONGER = 1.5

# Fractions of the range below which a change (root mean square) and an estimated σ are negligible.
UNCHANGED, SMALL = 0.1 / 255, 1 / 255


def doubt(
    image: ArrayLike, result: NDArray, sigma: Sigma, channel_axis: int | None = None
) -> str | None:
    """A warning if a result obtained with an estimated σ may disappoint, with what to try.

    Parameters
    ----------
    image : array_like
        The noisy image; integers are scaled to [0, 1].
    result : ndarray
        The denoised image, floating point.
    sigma : float, ndarray or NoiseModel
        The estimate; a number takes the noise for white.
    channel_axis : int, optional

    Returns
    -------
    str or None
        One line; ``None``: there is nothing to warn of.

    Examples
    --------
    >>> flat = np.full((64, 64), 0.5)
    >>> doubt(flat, flat, 0.0)
    'the result hardly differs from the image: sigma was estimated as 0; give a larger one'
    """
    image = as_float(image, channel_axis)
    model = sigma if isinstance(sigma, NoiseModel) else None
    if model is None:
        model = assumed_noise(image, channel_axis=channel_axis)
    sigma = strength_of(sigma)
    if not model.white and model.sigma > STRONGER * sigma:
        return (
            f"the noise is not white and was removed as if sigma were {sigma:.2g}; it is about "
            f"{model.sigma:.2g}: give a larger sigma, or -m ddpm"
        )
    extent = float(np.ptp(image))
    if sigma > SMALL * extent:
        return None
    if hardly_differs(image, result):
        return (
            "the result hardly differs from the image: sigma was estimated as "
            f"{sigma:.2g}; give a larger one"
        )
    return None


def hardly_differs(image: NDArray, result: NDArray) -> bool:
    """Whether a result is the image for all practical purposes.

    Parameters
    ----------
    image, result : ndarray
        Floating point, of one shape.
    """
    change = np.sqrt(np.mean(np.square(result - image), dtype=np.float64))
    return bool(change <= UNCHANGED * float(np.ptp(image)))
