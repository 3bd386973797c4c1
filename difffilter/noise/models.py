"""Synthetic noise: Gaussian, Poisson, speckle, salt and pepper."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_choice
from difffilter.image import as_float
from difffilter.noise.estimation import check_sigma

__all__ = ["KINDS", "add_noise"]


def gaussian(image, sigma, rng):
    """x + σ·n: additive white Gaussian noise."""
    return image + sigma * rng.standard_normal(image.shape)


def poisson(image, sigma, rng):
    """Photon counts of variance x·σ²: as strong as Gaussian noise where the image is 1."""
    return rng.poisson(np.clip(image, 0, None) / sigma**2) * sigma**2


def speckle(image, sigma, rng):
    """x·(1 + σ·n): multiplicative Gaussian noise."""
    return image * (1 + sigma * rng.standard_normal(image.shape))


def salt_and_pepper(image, sigma, rng):
    """0 or 1, with equal probability, in place of a fraction σ of the values."""
    draw = rng.random(image.shape)
    return np.where(draw < sigma / 2, 0.0, np.where(draw < sigma, 1.0, image))


KINDS = {
    "gaussian": gaussian,
    "poisson": poisson,
    "speckle": speckle,
    "salt_and_pepper": salt_and_pepper,
}


def add_noise(
    image: ArrayLike,
    sigma: float,
    noise: str = "gaussian",
    rng: np.random.Generator | int | None = None,
) -> NDArray:
    """Add noise to an image.

    Parameters
    ----------
    image : array_like
        Any shape; integers are scaled to [0, 1].
    sigma : float
        Strength of the noise, from 0 to 1: its standard deviation in units of intensity (gaussian),
        its standard deviation where the image is 1 (poisson, speckle), or the fraction of the
        values that is replaced (salt_and_pepper).
    noise : {"gaussian", "poisson", "speckle", "salt_and_pepper"}, default "gaussian"
        The kind of noise.
    rng : numpy.random.Generator or int, optional
        The generator of the noise, or its seed; ``None``: seed 0, the same noise each time.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input. Neither clipped nor quantised.

    Raises
    ------
    TypeError
        If the image or σ is not numeric.
    ValueError
        If `noise` is unknown, σ is not from 0 to 1, or the array has masked values.

    Examples
    --------
    >>> import numpy as np
    >>> add_noise(np.zeros((2, 2)), 0.1, rng=0).round(2)
    array([[ 0.01, -0.01],
           [ 0.06,  0.01]])
    """
    # Noise does not depend on the axes, so any number of them is flattened.
    image = np.asanyarray(image)  # which leaves the mask to be refused
    flat = as_float(image.reshape(1, -1))
    sigma = check_sigma(sigma)
    check_choice("noise", noise, KINDS)
    if sigma == 0:
        return flat.reshape(image.shape).copy()
    noisy = KINDS[noise](flat, sigma, np.random.default_rng(0 if rng is None else rng))
    return noisy.astype(flat.dtype).reshape(image.shape)
