"""Evenly spread tiles that stand for a large image."""

from __future__ import annotations

import itertools
import math

import numpy as np

__all__ = ["sample"]


def sample(state, enough, side):
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
    side = tuple(min(s, n) for s, n in zip(side, volume, strict=True))
    wanted = max(1, enough // (state.shape[0] * math.prod(side)))
    corners = _corners(volume, side, wanted)
    if math.prod(volume) * state.shape[0] <= enough or not corners:
        return state, lambda mask: mask

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


def _corners(volume, side, wanted):
    """Corners of `wanted` tiles that do not overlap, evenly spread over the volume."""
    fit = [n // s for n, s in zip(volume, side, strict=True)]
    places = [
        [round((n - s) * k / max(1, f - 1)) for k in range(f)]
        for n, s, f in zip(volume, side, fit, strict=True)
    ]
    corners = list(itertools.product(*places))
    # Steps by the golden section leave no large gap, and meet no tile twice as long as they have
    # no divisor in common with the number of tiles; nor do they keep to one column.
    count = len(corners)
    stride = next(s for s in itertools.count(round(0.618 * count)) if math.gcd(s, count) == 1)
    return [corners[k * stride % count] for k in range(min(wanted, count))]
