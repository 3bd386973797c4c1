"""The visible part of a layer: its displayed axes, the current slice and the field of view."""

from __future__ import annotations

from typing import Any

import numpy as np

from difffilter.denoiser import Box
from difffilter.integrations.napari.axes import Axes

__all__ = ["current_place", "displayed_axes", "visible_region"]


def displayed_axes(viewer: Any, layer: Any) -> tuple[int, ...]:
    """The axes of a layer on the canvas; a viewer may have axes that the layer lacks."""
    lacking = viewer.dims.ndim - layer.ndim
    return tuple(axis - lacking for axis in viewer.dims.displayed if axis >= lacking)


def current_place(viewer: Any, layer: Any, axes: Axes) -> tuple[int, ...]:
    """The position along each axis of a layer at which the viewer is."""
    place = np.rint(layer.world_to_data(viewer.dims.point)).astype(int)
    return tuple(int(p) for p in np.clip(place, 0, np.subtract(axes.shape, 1)))


def visible_region(viewer: Any, layer: Any, axes: Axes) -> Box:
    """The start and the stop of what is on the canvas, along each axis of a layer.

    The whole, if nothing has been drawn yet.
    """
    place = current_place(viewer, layer, axes)
    first, last = np.asarray(layer.corner_pixels)
    if layer.multiscale:
        factors = layer.downsample_factors[layer.data_level]
        first, last = first * factors, (last + 1) * factors - 1
    displayed = displayed_axes(viewer, layer)
    unknown = all(last[axis] <= first[axis] for axis in displayed)
    region = []
    for axis, n in enumerate(axes.shape):
        if axis not in displayed:
            region.append((place[axis], place[axis] + 1))
        elif unknown:
            region.append((0, n))
        else:
            start = int(np.clip(np.floor(first[axis]), 0, n - 1))
            region.append((start, int(np.clip(np.ceil(last[axis]) + 1, start + 1, n))))
    return tuple(region)
