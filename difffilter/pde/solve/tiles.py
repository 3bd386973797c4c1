"""Evenly spread tiles as a sample of a large image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["sample", "spread"]


def spread(shape: Sequence[int], side: Sequence[int], wanted: int) -> list[tuple[int, ...]]:
    """The corners of tiles without overlap, evenly spread over an array.

    Parameters
    ----------
    shape, side : sequence of int
        The shapes of the array and of a tile, which fits at least once.
    wanted : int
        Number of tiles; if fewer fit, there are fewer.

    Returns
    -------
    list of tuple of int

    Examples
    --------
    >>> spread((100,), (10,), 3)
    [(0,), (70,), (40,)]
    """
    fit = [n // s for n, s in zip(shape, side, strict=True)]
    count = math.prod(fit)
    # Steps of a golden section leave no large gap and do not stay in one column; having no common
    # divisor with the number of tiles, they meet each tile once.
    stride = next(s for s in itertools.count(round(0.618 * count)) if math.gcd(s, count) == 1)
    corners = []
    for k in range(min(wanted, count)):
        cell = np.unravel_index(k * stride % count, fit)
        corners.append(
            tuple(
                round((n - s) * int(place) / max(1, f - 1))
                for n, s, f, place in zip(shape, side, fit, cell, strict=True)
            )
        )
    return corners


def sample(
    state: NDArray, pixels: int, side: Sequence[int], mask: NDArray | None = None
) -> tuple[NDArray, Callable[[NDArray | None], NDArray | None]]:
    """Sample a large state by evenly spread tiles; a small one is returned whole.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The image.
    pixels : int
        Approximate number of pixels to sample.
    side : tuple of int
        (D, H, W) of a tile, which is cut down to the image.
    mask : ndarray (1, D, H, W) of bool, optional
        The tiles are taken from the smallest box around it; ``None``: from the whole image.

    Returns
    -------
    ndarray (N, C, d, h, w)
        The tiles.
    callable
        A function that cuts the same tiles out of a mask ``(1, D, H, W)``, and returns None for
        None.
    """
    start, volume = (0, 0, 0), state.shape[2:]
    if math.prod(volume) * state.shape[0] <= pixels:
        return state, lambda mask: mask
    if mask is not None and mask.any():
        start, volume = _box(mask[0])
    side = tuple(min(s, n) for s, n in zip(side, volume, strict=True))
    wanted = max(1, pixels // (state.shape[0] * math.prod(side)))
    corners = np.add(spread(volume, side, wanted), start)

    def tile(array):
        if array is None:
            return None
        cut = [
            array[(..., *(slice(a, a + s) for a, s in zip(corner, side, strict=True)))]
            for corner in corners
        ]
        # All tiles of one image come before those of the next, since the kernels apply mask b mod M
        # to image b.
        return np.ascontiguousarray(np.stack(cut, axis=1).reshape(-1, *cut[0].shape[1:]))

    return tile(state), tile


def _box(mask):
    """Corner and shape of the smallest box that has all that is true."""
    axes = range(mask.ndim)
    true = [np.flatnonzero(mask.any(axis=tuple({*axes} - {axis}))) for axis in axes]
    return [int(at[0]) for at in true], tuple(int(at[-1] - at[0]) + 1 for at in true)
