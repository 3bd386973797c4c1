"""A noise model in words, for a terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["channel_names", "described", "unit_of"]


def described(model: Any) -> str:
    """Describe a noise model in a few lines.

    Parameters
    ----------
    model : NoiseModel

    Returns
    -------
    str
        Whether the noise is white; if not, how correlated it is, and a table of the standard
        deviation by intensity where that varies.

    Examples
    --------
    >>> from difffilter.noise.measure import estimate_noise
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (128, 128))
    >>> print(described(estimate_noise(noisy)))
    white: independent from pixel to pixel, sigma 24.8/255
    """
    factor, unit = unit_of(model)
    sigma = f"sigma {factor * model.sigma:.3g}{unit}"
    if model.sigma == 0:
        return "no noise found"
    if model.white:
        return f"white: independent from pixel to pixel, {sigma}"
    right, below = model.correlation[3, 4], model.correlation[4, 3]
    lines = [f"not white: correlation {right:.2f} with the next pixel, {below:.2f} with that below"]
    names = channel_names(model.channels)
    if 1 < model.channels <= 4:
        pairs = [(a, b) for a in range(model.channels) for b in range(a + 1, model.channels)]
        shares = model.spectrum.mean(axis=(0, 1))
        text = ", ".join(f"{names[a]}-{names[b]} {shares[a, b]:.2f}" for a, b in pairs)
        lines.append(f"correlation of the channels: {text}")
    if model.uniform:
        lines.append(f"equally strong everywhere: {sigma}")
    else:
        lines += _table(model, names, factor, unit)
    return "\n".join(lines)


def _table(model, names, factor, unit):
    """The standard deviation by intensity, with a row for each channel."""
    heads = [f"{each} sigma".strip() for each in names]
    width = max(len(head) for head in ("intensity", *heads))
    # In 1/255, whole intensities and tenths of deviations say enough.
    level_format, format = ("6.0f", "6.1f") if unit else ("9.4g", "9.3g")
    lines = [
        f"{'intensity':<{width}}" + "".join(f"{factor * x:{level_format}}" for x in model.levels)
    ]
    lines[0] += f"  {unit}" if unit else ""
    for head, deviations in zip(heads, model.deviations, strict=True):
        lines.append(f"{head:<{width}}" + "".join(f"{factor * x:{format}}" for x in deviations))
    return lines


def unit_of(model: Any) -> tuple[float, str]:
    """The unit for intensities: 1/255 for images in [0, 1], else that of the image.

    Returns
    -------
    tuple of (float, str)
        By what to multiply, and what to write after the number.
    """
    largest = max(np.abs(model.levels).max(), model.sigma)
    return (255.0, "/255") if largest <= 1 else (1.0, "")


def channel_names(channels: int) -> list[str]:
    """Short names of the channels of an image.

    Examples
    --------
    >>> channel_names(3), channel_names(2), channel_names(1)
    (['red', 'green', 'blue'], ['1', '2'], [''])
    """
    if channels == 3:
        return ["red", "green", "blue"]
    return [""] if channels == 1 else [str(k) for k in range(1, channels + 1)]
