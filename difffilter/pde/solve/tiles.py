"""Evenly spread tiles that stand for a large image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["sample", "spread"]


def spread(shape: Sequence[int], side: Sequence[int], wanted: int) -> list[tuple[int, ...]]:
    """Corners of `wanted` tiles that do not overlap, evenly spread over an array.

    Parameters
    ----------
    shape, side : sequence of int
        Of the array and of a tile, which fits at least once.
    wanted : int
        How many; there are fewer where no more fit.

    Examples
    --------
    >>> spread((100,), (10,), 3)
    [(0,), (70,), (40,)]
    """
    fit = [n // s for n, s in zip(shape, side, strict=True)]
    count = math.prod(fit)
    # Steps by the golden section leave no large gap, and meet no tile twice as long as they have
    # no divisor in common with the number of tiles; nor do they keep to one column.
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
    state: NDArray, enough: int, side: Sequence[int]
) -> tuple[NDArray, Callable[[NDArray | None], NDArray | None]]:
    """The state, or evenly spread tiles of it if it is large; and what tiles its mask likewise.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The image.
    enough : int
        Pixels to take, about.
    side : tuple of int
        (D, H, W) of a tile, which is cut down to the image.

    Returns
    -------
    ndarray (N, C, d, h, w)
    callable
        For a mask ``(1, D, H, W)`` or None, the same tiles of it.
    """
    volume = state.shape[2:]
    if math.prod(volume) * state.shape[0] <= enough:
        return state, lambda mask: mask
    side = tuple(min(s, n) for s, n in zip(side, volume, strict=True))
    wanted = max(1, enough // (state.shape[0] * math.prod(side)))
    corners = spread(volume, side, wanted)

    def tile(array):
        if array is None:
            return None
        cut = [
            array[(..., *(slice(a, a + s) for a, s in zip(corner, side, strict=True)))]
            for corner in corners
        ]
        # All tiles of one image, then those of the next: kernels give image b the mask b mod M.
        return np.ascontiguousarray(np.stack(cut, axis=1).reshape(-1, *cut[0].shape[1:]))

    return tile(state), tile
