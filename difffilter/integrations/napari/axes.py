"""Axes of a layer: which are filtered together, and the distance of its pixels along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.labels import CHANNELS, TIMES, relative

__all__ = ["Axes", "Index", "axes_of", "full_resolution", "is_volume", "spatial_axes"]

# For each axis of a layer, a position or the whole.
Index = tuple[int | slice, ...]

# Names of a third axis of space, in lower case.
DEPTHS = ("z", "depth", "plane", "planes")


@dataclass(frozen=True)
class Axes:
    """The axes of a layer.

    Attributes
    ----------
    shape : tuple of int
        The length of each axis, without that of the colours.
    space : tuple of int
        The axes that are filtered together, two or three.
    spacing : tuple of float or None
        The distance of pixels along them, in that of the nearest ones; ``None``: all alike.
    colours : int
        The number of values of a pixel along a last axis of its own, 3 or 4; 0: there is none.
    """

    shape: tuple[int, ...]
    space: tuple[int, ...]
    spacing: tuple[float, ...] | None = None
    colours: int = 0

    @property
    def channel_axis(self) -> int | None:
        """The axis of the colours of a slice."""
        return -1 if self.colours else None

    @property
    def others(self) -> tuple[int, ...]:
        """The axes along which each slice is filtered by itself."""
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.space)

    def slices(self) -> list[Index]:
        """The slices that are filtered by themselves."""
        return [
            self.slice_at(dict(zip(self.others, place, strict=True)))
            for place in product(*(range(self.shape[axis]) for axis in self.others))
        ]

    def slice_at(self, place: dict[int, int] | Sequence[int]) -> Index:
        """The slice through a place: a position along each of the other axes."""
        return tuple(
            slice(None) if axis in self.space else int(place[axis])
            for axis in range(len(self.shape))
        )

    def pixels(self, data: Any, index: Index) -> NDArray:
        """The pixels of a slice, the colours last and without alpha."""
        found = np.asarray(data[index])
        return found[..., :3] if self.colours else found


def axes_of(layer: Any, volume: bool, displayed: Sequence[int]) -> Axes:
    """The axes of an Image layer.

    Parameters
    ----------
    layer : napari.layers.Image
    volume : bool
        Whether three axes are filtered together, or two.
    displayed : sequence of int
        The axes of the layer on the canvas; they are those of space, unless their labels or units
        tell otherwise. Then, and where there are too few, the last ones are.

    Raises
    ------
    ValueError
        If the layer has too few axes of space.
    """
    data, count = full_resolution(layer), 3 if volume else 2
    candidates = spatial_axes(layer)
    if len(candidates) < count:
        raise ValueError(
            f"layer {layer.name!r} has {len(candidates)} axes of space; expected {count} at least"
        )
    space = tuple(sorted(displayed))
    if len(space) != count or not set(space) <= set(candidates):
        space = candidates[-count:]
    colours = data.shape[-1] if layer.rgb else 0
    return Axes(tuple(data.shape[: layer.ndim]), space, _spacing(layer, space), colours)


def spatial_axes(layer: Any) -> tuple[int, ...]:
    """The axes whose label and unit are not those of time or channels."""
    return tuple(
        axis
        for axis, (label, unit) in enumerate(zip(layer.axis_labels, layer.units, strict=True))
        if label.lower() not in (*CHANNELS, *TIMES) and not unit.is_compatible_with("second")
    )


def is_volume(layer: Any) -> bool:
    """Whether the label or the unit of a third axis of space says that it is one."""
    *others, _, _ = spatial_axes(layer) if layer.ndim > 2 else (0, 0)
    if not others:
        return False
    depth = others[-1]
    return layer.axis_labels[depth].lower() in DEPTHS or layer.units[depth].is_compatible_with(
        "meter"
    )


def full_resolution(layer: Any) -> Any:
    """The data of a layer; of several resolutions, the finest."""
    return layer.data[0] if layer.multiscale else layer.data


def _spacing(layer, space):
    """The distances of pixels by the scale of a layer, whose units may differ."""
    scale = [abs(float(layer.scale[axis])) for axis in space]
    units = [layer.units[axis] for axis in space]
    if all(unit.is_compatible_with(units[0]) for unit in units):
        sizes = [float((1 * unit).to(units[0]).magnitude) for unit in units]
        scale = [h * size for h, size in zip(scale, sizes, strict=True)]
    return relative(scale)
