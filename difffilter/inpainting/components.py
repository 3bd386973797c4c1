"""Groups of holes that depend on each other, found in an image that is read strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects, label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["Batch", "Box", "batches", "cut_off", "find_groups", "own_pixels"]

# The start and the stop along each axis.
Box = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Groups:
    """Groups of holes; no pixel of one is linked to one of another.

    Attributes
    ----------
    starts, stops : int ndarray (n, axes)
        The boxes of the groups.
    seeds : int ndarray (n, axes)
        A pixel of each.
    count : int
        The number of pixels of holes.
    """

    starts: NDArray
    stops: NDArray
    seeds: NDArray
    count: int


@dataclass(frozen=True)
class Batch:
    """Groups that are filled in together.

    Attributes
    ----------
    box : tuple of (int, int)
        The box around their boxes.
    seeds : int ndarray (n, axes)
        A pixel of each.
    """

    box: Box
    seeds: NDArray


def spread(holes: NDArray, apart: int) -> NDArray:
    """The holes and the pixels at most `apart` steps along the axes from one."""
    return binary_dilation(holes, iterations=apart) if apart else holes


def find_groups(
    holes: Callable[[Box], NDArray], shape: tuple[int, ...], reach: int, rows: int
) -> Groups:
    """Find the groups of holes of an image, in memory for a strip and in proportion to their number.

    Parameters
    ----------
    holes : callable
        Returns the pixels of holes in a box.
    shape : tuple of int
    reach : int
        The distance, in pixels, at which a filling depends on others: 1 if a pixel of a hole is
        linked to its neighbours alone, 2 if to theirs, too.
    rows : int
        Rows of a strip.

    Returns
    -------
    Groups
    """
    apart, axes = reach - 1, len(shape)
    starts, stops, seeds = ([np.empty((0, axes), np.int64)] for _ in range(3))
    pairs = [np.empty((0, 2), np.int64)]
    count = total = 0
    tail = np.full(shape[1:], -1, np.int64)  # the numbers of the parts in the row before
    for top in range(0, shape[0], rows):
        bottom = min(top + rows, shape[0])
        low, high = max(0, top - apart), min(shape[0], bottom + apart)
        marked = holes(((low, high), *((0, extent) for extent in shape[1:])))
        inner = slice(top - low, bottom - low)
        count += int(np.count_nonzero(marked[inner]))
        labels, number = label(spread(marked, apart)[inner])
        joined = (tail >= 0) & (labels[0] > 0)
        pairs.append(np.stack([tail[joined], total + labels[0][joined] - 1], axis=1))
        tail = np.where(labels[-1] > 0, total + labels[-1].astype(np.int64) - 1, -1)
        total += number
        if number:
            boxes = np.array([[(s.start, s.stop) for s in part] for part in find_objects(labels)])
            inside = np.flatnonzero(labels)
            first = inside[np.unique(labels.ravel()[inside], return_index=True)[1]]
            offset = np.eye(1, axes, dtype=np.int64) * top
            starts.append(boxes[..., 0] + offset)
            stops.append(boxes[..., 1] + offset)
            seeds.append(np.stack(np.unravel_index(first, labels.shape), axis=1) + offset)
    start, stop, seed = map(np.concatenate, (starts, stops, seeds))
    near, far = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(near), bool), (near, far)), shape=(total, total))
    number, groups = connected_components(graph, directed=False)
    least, most = np.full((number, axes), np.iinfo(np.int64).max), np.zeros((number, axes), int)
    np.minimum.at(least, groups, start)
    np.maximum.at(most, groups, stop)
    return Groups(least, most, seed[np.unique(groups, return_index=True)[1]], count)


def batches(groups: Groups, side: int) -> Iterator[Batch]:
    """Groups that begin in the same cell of a grid; each that is larger than a cell by itself.

    Parameters
    ----------
    groups : Groups
    side : int
        Side of a cell.

    Yields
    ------
    Batch
        Less than two cells wide along each axis, but for groups that are larger.
    """
    large = (groups.stops - groups.starts > side).any(axis=1)
    cells = np.where(large[:, None], groups.starts, groups.starts // side * side)
    kinds = np.column_stack([cells, np.where(large, 1 + np.arange(len(cells)), 0)])
    order = np.lexsort(kinds.T[::-1])
    new = np.flatnonzero((np.diff(kinds[order], axis=0) != 0).any(axis=1)) + 1
    for members in np.split(order, new) if len(order) else []:
        low, high = groups.starts[members].min(axis=0), groups.stops[members].max(axis=0)
        box = tuple(zip(low.tolist(), high.tolist(), strict=True))
        yield Batch(box, groups.seeds[members])


def own_pixels(holes: NDArray, seeds: NDArray, reach: int) -> NDArray:
    """The pixels of a crop's holes that belong to the groups of some seeds, which are whole in it.

    Parameters
    ----------
    holes : bool ndarray
    seeds : int ndarray (n, axes)
        Relative to the crop.
    reach : int
        As for `find_groups`.
    """
    labels, number = label(spread(holes, reach - 1))
    own = np.zeros(number + 1, bool)
    own[labels[tuple(seeds.T)]] = True
    return holes & own[labels]


def cut_off(holes: NDArray, outside: NDArray) -> NDArray:
    """The pixels of holes that pixels outside, or the border, separate from every known one.

    Parameters
    ----------
    holes, outside : bool ndarray
        Without a pixel in common; all others are known.
    """
    labels, number = label(~outside)
    reached = np.zeros(number + 1, bool)
    reached[labels[~(holes | outside)]] = True
    return holes & ~reached[labels]
