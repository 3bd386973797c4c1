"""Noisy images to try the filters on; none needs a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from difffilter.noise.kinds import add_noise

__all__ = ["noisy_colours", "noisy_photograph", "noisy_series", "noisy_volume"]

# What napari adds as a layer: data, attributes and type.
LayerData = tuple[NDArray, dict[str, Any], str]


def noisy_photograph() -> list[LayerData]:
    """A photograph of 512×512 pixels with white noise, σ = 25/255."""
    return [_layer(add_noise(data.camera(), 25 / 255, rng=_rng()), "noisy photograph")]


def noisy_colours() -> list[LayerData]:
    """A photograph of 400×600 pixels in colour with white noise, σ = 25/255."""
    noisy = add_noise(data.coffee(), 25 / 255, rng=_rng(), channel_axis=-1)
    return [(np.clip(noisy, 0, 1), {"name": "noisy colours", "rgb": True}, "image")]


def noisy_volume() -> list[LayerData]:
    """A volume of spots and shells, with white noise and planes three times as far apart as pixels."""
    z, y, x = np.mgrid[:24, :128, :128].astype(np.float32)
    rng, volume = _rng(), np.zeros((24, 128, 128), np.float32)
    for _ in range(24):
        centre, radius = rng.uniform((0, 0, 0), (72, 128, 128)), rng.uniform(6, 16)
        far = np.sqrt((3 * z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2)
        volume = np.maximum(volume, 0.4 * (far < radius) + 0.5 * (abs(far - radius) < 2))
    place = {"scale": (3, 1, 1), "axis_labels": ("z", "y", "x"), "units": ("um", "um", "um")}
    return [_layer(add_noise(volume, 0.15, rng=rng), "noisy volume", **place)]


def noisy_series() -> list[LayerData]:
    """Photon counts of moving spots: 10 times, 2 channels, 128×128 pixels."""
    rng, series = _rng(), np.zeros((10, 2, 128, 128))
    places, moves = rng.uniform(0, 128, (2, 40, 2)), rng.normal(0, 1.5, (2, 40, 2))
    y, x = np.mgrid[:128, :128]
    for t, c in np.ndindex(10, 2):
        for v, u in places[c] + t * moves[c]:
            series[t, c] += np.exp(-((y - v) ** 2 + (x - u) ** 2) / (2 * (3 - c) ** 2))
    labels = {"axis_labels": ("t", "c", "y", "x")}
    return [_layer(rng.poisson(1 + 12 * series).astype(np.uint16), "photon counts", **labels)]


def _rng():
    return np.random.default_rng(0)


def _layer(pixels, name, **attributes):
    """A layer whose contrast leaves out the brightest and darkest of a thousand pixels."""
    limits = np.quantile(pixels, (0.001, 0.999)).tolist()
    return pixels, {"name": name, "contrast_limits": limits, **attributes}, "image"
