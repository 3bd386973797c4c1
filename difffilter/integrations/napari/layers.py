"""Attributes of the layers that the widget makes, from those of the layer that was filtered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import difffilter
from difffilter.image import DataRange, check_data_range
from difffilter.integrations.napari.axes import Axes, full_resolution
from difffilter.integrations.napari.filtering import Filtered
from difffilter.integrations.napari.recipe import Recipe

__all__ = ["appearance", "described", "place_of", "placed"]

# Attributes of an image layer that say how it looks.
LOOKS = ("colormap", "gamma", "blending", "opacity", "interpolation2d", "interpolation3d",
         "rendering", "iso_threshold", "attenuation")  # fmt: skip
PLACES = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")


def appearance(layer: Any, data_range: DataRange) -> dict[str, Any]:
    """Display attributes of a layer, such as its colormap, for a layer of results."""
    looks: dict[str, Any] = {name: getattr(layer, name) for name in LOOKS}
    looks["iso_threshold"], *limits = as_result(
        full_resolution(layer).dtype, data_range, (layer.iso_threshold, *layer.contrast_limits)
    )
    return {**looks, "contrast_limits": limits, "rgb": layer.rgb}


def as_result(dtype: Any, data_range: DataRange, values: Sequence[float]) -> list[float]:
    """Intensities of a layer as those of its result, which are scaled as `denoise` scales them."""
    dtype, given = np.dtype(dtype), np.asarray(values, np.float64)
    if data_range is not None:
        low, high = check_data_range(data_range)
        given = (given - low) / (high - low)
    elif dtype.kind in "ui" and dtype.itemsize < 8:
        given = given / np.iinfo(dtype).max
    return given.tolist()


def place_of(layer: Any) -> dict[str, Any]:
    """Attributes that put another layer of the same shape in the same place."""
    return {name: getattr(layer, name) for name in PLACES}


def placed(layer: Any, corner: Sequence[int]) -> dict[str, Any]:
    """Attributes that put a part of a layer, by its first pixel, in its place."""
    translate = layer.affine.inverse(layer.data_to_world(corner))
    return {**place_of(layer), "translate": translate}


def described(layer: Any, axes: Axes, recipe: Recipe, result: Filtered) -> dict[str, Any]:
    """The metadata of a result: what `difffilter.denoise` needs to repeat it."""
    given = {name: value for name, value in vars(recipe).items() if value is not None}
    chosen = [
        {
            "slice": {axis: index[axis] for axis in axes.others},
            "method": str(parameters),
            "sigma": parameters.sigma,
        }
        for index, parameters in result.chosen
    ]
    return {
        **given,
        "spacing": axes.spacing,
        "space": axes.space,
        "layer": layer.name,
        "version": difffilter.__version__,
        "chosen": chosen,
    }
