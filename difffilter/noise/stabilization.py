"""Variance-stabilising transforms and their inverses: Anscombe's for Poisson noise, asinh for speckle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["TRANSFORMS", "Transform", "poisson", "speckle"]

# Speckle: intensities below this share of the top, or below σ of it, are not told apart by their
# ratio but by their difference.
DARK = 1 / 8


@dataclass(frozen=True)
class Transform:
    """Makes the noise of an image equally strong everywhere.

    Attributes
    ----------
    forward : callable
        From intensities to values in about [0, 1].
    inverse : callable
        From expected values of what `forward` gives to the intensities that have them.
    slope : callable
        The derivative of the inverse, up to a constant, as a function of the intensity.
    deviation : callable
        The standard deviation of the noise afterwards, as a function of the intensity.
    sigma : float
        What it is where the image is bright.
    """

    forward: Callable
    inverse: Callable
    slope: Callable
    deviation: Callable
    sigma: float


def poisson(top, sigma, read):
    """The generalised Anscombe transform [1]_, and its unbiased inverse in closed form [2]_ [3]_.

    With z = y/σ² the photons and r = read/σ², 2√(z + 3/8 + r²) has a variance of about 1. The
    photons for which it is expected to be D are D²/4 + √(3/2)/(4D) - 11/(8D²) + 5√(3/2)/(8D³)
    - 1/8 - r².
    """
    gain, dark = sigma**2, (read / sigma**2) ** 2

    def root(y):
        return 2 * np.sqrt(np.maximum(y / gain + 3 / 8 + dark, 0))

    low = float(root(0.0))
    unit = float(root(top)) - low

    def forward(y):
        return (root(y) - low) / unit

    def inverse(value):
        d, a = np.maximum(value * unit + low, low), math.sqrt(3 / 2)
        # (No power of D higher than its square, which could overflow.)
        z = d**2 / 4 + (a / 4 - (11 / 8 - 5 * a / 8 / d) / d) / d - 1 / 8 - dark
        return gain * np.maximum(z, 0)

    return Transform(forward, inverse, root, lambda y: np.full_like(y, 1 / unit), 1 / unit)


def speckle(top, sigma, read):
    """asinh(y/x₀), which is the logarithm of 2y/x₀ where y is far above x₀, and its inverse.

    ∫ dx / √(σ²x² + read²) has x₀ = read/σ; x₀ is at least a share of `top`, for in the logarithm
    noise and rounding of dark pixels would outweigh all else. The inverse is that of the
    expectation over Gaussian speckle, by quadrature, which takes the logarithm's bias away.
    """
    zero = max(read / sigma, top * max(DARK, sigma))
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()

    def curve(y):
        return np.arcsinh(y / zero)

    def moments(x):
        values = curve(x[:, None] * (1 + sigma * nodes))
        mean = values @ weights
        return mean, np.sqrt(np.square(values) @ weights - mean**2)

    unit = float(curve(top))
    # Beyond twice the brightest pixel that a top can have, nothing is to be expected.
    x = zero * np.sinh(np.linspace(0, curve(4 * top / max(1 - 2 * sigma, 0.25)), 4096))
    expected, spread = moments(x)
    spread = np.hypot(spread, read / np.hypot(x, zero))

    def deviation(y):
        return np.interp(y, x, spread / unit)

    return Transform(
        lambda y: curve(y) / unit,
        lambda value: np.interp(value * unit, expected, x),
        lambda y: np.hypot(y, zero),
        deviation,
        float(deviation(top)),
    )


TRANSFORMS = {"poisson": poisson, "speckle": speckle}
