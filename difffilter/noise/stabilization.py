"""Variance-stabilising transforms: Anscombe's for Poisson noise, asinh for speckle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["TRANSFORMS", "Transform", "poisson", "speckle"]

# The asinh for speckle is logarithmic above this share of the brightest intensity (or σ times it,
# if that is more), and linear below.
DARK = 1 / 8


@dataclass(frozen=True)
class Transform:
    """A variance-stabilising transform, after which the noise is equally strong everywhere.

    Attributes
    ----------
    forward : callable
        The transform of intensities to values of about [0, 1].
    inverse : callable
        The unbiased inverse: from the expected value of a transformed noisy pixel to its intensity.
    slope : callable
        The derivative of the inverse, up to a constant, as a function of the intensity.
    deviation : callable
        The standard deviation of the transformed noise, as a function of the intensity.
    sigma : float
        The standard deviation of the transformed noise in bright areas.
    """

    forward: Callable
    inverse: Callable
    slope: Callable
    deviation: Callable
    sigma: float


def poisson(top, sigma, read):
    """The generalised Anscombe transform, and its unbiased inverse in closed form.

    With z = y/σ² photons and r = read/σ², the transform D = 2√(z + 3/8 + r²) has a variance of
    about 1. The inverse of its expected value is D²/4 + √(3/2)/(4D) - 11/(8D²) + 5√(3/2)/(8D³)
    - 1/8 - r² (Starck, Murtagh & Bijaoui 1998; Mäkitalo & Foi 2011, 2013; see `Stabilized`).

    Parameters
    ----------
    top : float
        The intensity that becomes 1.
    sigma : float
        σ, the standard deviation of the Poisson noise where the image is 1; above 0.
    read : float
        Standard deviation of additional Gaussian noise.

    Returns
    -------
    Transform
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
        # (Horner's scheme, as powers of D above its square could overflow.)
        z = d**2 / 4 + (a / 4 - (11 / 8 - 5 * a / 8 / d) / d) / d - 1 / 8 - dark
        return gain * np.maximum(z, 0)

    return Transform(forward, inverse, root, lambda y: np.full_like(y, 1 / unit), 1 / unit)


def speckle(top, sigma, read):
    """asinh(y/x₀), which is log(2y/x₀) for y far above x₀, and its unbiased inverse.

    The stabilising transform ∫ dx / √(σ²x² + read²) has x₀ = read/σ. Here x₀ is at least a share of
    `top`, since a logarithm would magnify noise and rounding of dark pixels. The inverse is that of
    the expected value over Gaussian speckle, by quadrature, and so has none of the logarithm's bias.
    Parameters and result are those of `poisson`.
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
    # The table ends far above the brightest clean pixel that `top`, a quantile of the noisy image,
    # allows.
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
