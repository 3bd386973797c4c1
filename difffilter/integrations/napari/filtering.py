"""Filtering of a layer, slice by slice and block by block, so that it can be followed and stopped."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.api import Parameters
from difffilter.blocks.filter import IN_FLIGHT, BlockFilter, cut_up
from difffilter.denoiser import Box
from difffilter.image import as_float, scaled
from difffilter.integrations.napari.axes import Axes, Index
from difffilter.integrations.napari.recipe import Recipe

__all__ = ["Filtered", "Slice", "blocks", "chosen_for", "filtered", "spans"]

# A slice of more pixels, times colours, is filtered in blocks of about as many, or of more if their
# halo is wide.
BLOCK_PIXELS = 1 << 18


@dataclass(frozen=True)
class Filtered:
    """The result for a layer.

    Attributes
    ----------
    pixels : ndarray
        Of the shape of the layer.
    chosen : list of (Index, Parameters)
        The parameters of each slice.
    """

    pixels: NDArray
    chosen: list[tuple[Index, Parameters]]


@dataclass(frozen=True)
class Slice:
    """A slice and the parameters that were chosen for it.

    Attributes
    ----------
    image : ndarray
        The pixels, scaled by the data range.
    chosen : Parameters
    """

    image: NDArray
    chosen: Parameters


def filtered(data: Any, axes: Axes, recipe: Recipe) -> Generator[float, None, Filtered]:
    """Filter a layer, and yield the share that is done after each block.

    Parameters
    ----------
    data : array
        Indexed by an `Index`, it gives a NumPy array.
    axes : Axes
    recipe : Recipe

    Returns
    -------
    Filtered
    """
    shape = (*axes.shape, axes.colours) if axes.colours else axes.shape
    double = data.dtype.kind == "f" and data.dtype.itemsize >= 8
    result = np.empty(shape, np.float64 if double else np.float32)
    found, slices = [], axes.slices()
    for number, index in enumerate(slices):
        try:
            part = chosen_for(data, axes, recipe, index)
            box = tuple((0, n) for n in part.image.shape[: len(axes.space)])
            target = result[index][..., :3] if axes.colours else result[index]
            for block, pixels, share in blocks(part, axes, box):
                target[spans(block)] = pixels
                yield (number + share) / len(slices)
        except (TypeError, ValueError) as error:
            if len(slices) > 1:
                where = ", ".join(f"{index[axis]} of axis {axis}" for axis in axes.others)
                error.add_note(f"This is the slice at {where}, counted from 0.")
            raise
        if axes.colours == 4:  # alpha stays
            whole = np.asarray(data[index])
            result[index][..., 3:] = as_float(whole, channel_axis=-1)[..., 3:]
        found.append((index, part.chosen))
    return Filtered(result, found)


def chosen_for(data: Any, axes: Axes, recipe: Recipe, index: Index) -> Slice:
    """The pixels of a slice, and the parameters for it."""
    image = axes.pixels(data, index)
    return Slice(scaled(image, recipe.data_range), recipe.choose(image, axes))


def blocks(
    part: Slice, axes: Axes, region: Box, middle_first: bool = False
) -> Iterator[tuple[Box, NDArray, float]]:
    """Filter a region of a slice block by block, with what it depends on around it.

    Parameters
    ----------
    part : Slice
    axes : Axes
    region : tuple of (int, int)
        The start and the stop along each axis of space.
    middle_first : bool, default False
        Whether to begin in the middle.

    Yields
    ------
    box : tuple of (int, int)
        Where the block is in the slice.
    pixels : ndarray
    share : float
        The share of the region that is done.
    """
    settled, sigma = part.chosen.method, part.chosen.noise or part.chosen.sigma
    shape = part.image.shape[: len(axes.space)]
    work = BlockFilter(settled, None if settled.is_settled() else sigma, axes.channel_axis, shape)
    lengths = tuple(stop - start for start, stop in region)
    side, colours = lengths, axes.colours or 1
    if colours * math.prod(lengths) > BLOCK_PIXELS:
        side, _ = cut_up(
            lengths, work.halo, (1,) * len(shape), colours, workers=IN_FLIGHT // BLOCK_PIXELS
        )
    boxes = [
        tuple(
            (start, min(start + n, stop))
            for start, n, (_, stop) in zip(corner, side, region, strict=True)
        )
        for corner in product(*(range(*span, n) for span, n in zip(region, side, strict=True)))
    ]
    if middle_first:
        boxes.sort(key=lambda box: _distance(box, region))
    done, total = 0, math.prod(lengths)
    for box in boxes:
        pixels = work(part.image[spans(work.with_halo(box))], box)
        done += math.prod(stop - start for start, stop in box)
        yield box, pixels, done / total


def spans(box: Box) -> tuple[slice, ...]:
    """A box as an index."""
    return tuple(slice(*span) for span in box)


def _distance(box, region):
    """The squared distance of the middle of a box from that of a region, times 4."""
    return sum((sum(span) - sum(whole)) ** 2 for span, whole in zip(box, region, strict=True))
