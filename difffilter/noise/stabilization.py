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


# The slope of the inverse of Anscombe's transform at 0 photons: D/2 - a/(4D²) + 11/(4D³) - 15a/(8D⁴)
# with D = a = √(3/2).
SLOPE = math.sqrt(3 / 2) / 2 + 1 / (3 * math.sqrt(3 / 2))


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
    - 1/8 - r² (Starck, Murtagh & Bijaoui 1998; Mäkitalo & Foi 2011, 2013; see `Stabilized`). With
    read noise, dark areas are as often below 0 as above, so the inverse must not end at 0: that would
    add a quarter of a photon to them. Below the D of 0 photons without read noise, where the closed
    form ends, it goes on as a straight line.

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
    gain, a = sigma**2, math.sqrt(3 / 2)  # a: the D of 0 photons without read noise
    zero = 3 / 8 + (read / gain) ** 2
    low = 2 * math.sqrt(zero)  # the D of 0 photons

    def excess(y):  # what light adds to `zero`, as a share of it
        return np.maximum(np.asarray(y, np.float64) / (gain * zero), -1)

    def slope(y):
        return np.sqrt(1 + excess(y))

    def above_low(y):  # D - low, without cancellation or overflow where read noise is strong
        return excess(y) / (slope(y) + 1) * low

    unit = float(above_low(top))

    def forward(y):
        return above_low(y) / unit

    def inverse(value):
        value = np.asarray(value, np.float64) * unit
        v = np.maximum(value, a - low)
        d = v + low
        # (Horner's scheme, as powers of D above its square could overflow.)
        z = v * (v + 2 * low) / 4 + 1 / 4 + (a / 4 - (11 / 8 - 5 * a / 8 / d) / d) / d
        if read == 0:
            return gain * np.maximum(z, 0)
        return gain * (z + SLOPE * np.minimum(value - (a - low), 0))

    return Transform(forward, inverse, slope, lambda y: np.full_like(y, 1 / unit), 1 / unit)


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
