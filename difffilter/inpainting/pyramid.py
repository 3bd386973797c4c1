"""Coarser levels of an image with holes, and the way back, by weighted means along each axis.

A level has half the pixels of the one before along each axis, rounded up; where that is odd, pixels straddle
two coarse ones and count in both in proportion, so that a flipped image has the flipped levels.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.inpainting.inpainter import Problem

__all__ = ["coarser", "enlarged", "pyramid"]

# An overlap of pixels below this is one of rounding.
ROUNDING = 1e-9


def pyramid(problem: Problem, smallest: int) -> list[Problem]:
    """The problem itself and its coarser levels.

    The last level has no hole, or at most `smallest` pixels along each axis.
    """
    levels = [problem]
    while max(levels[-1].state.shape) > smallest and (levels[-1].state == HOLE).any():
        levels.append(coarser(levels[-1]))
    return levels


def coarser(problem: Problem) -> Problem:
    """The next level, whose known pixels are the means of the known pixels below them.

    A pixel is KNOWN if one below it is, otherwise a HOLE if one below it is, and otherwise OUTSIDE.
    """
    axes, dtype = problem.state.ndim, problem.image.dtype
    known = _averaged((problem.state == KNOWN).astype(dtype), axes)
    hole = _averaged((problem.state == HOLE).astype(dtype), axes)
    state = np.where(known > 0, KNOWN, np.where(hole > 0, HOLE, OUTSIDE)).astype(np.uint8)
    total = _averaged(problem.image, axes)  # which is 0 where it is not known
    image = np.divide(total, known[..., None], out=np.zeros_like(total), where=known[..., None] > 0)
    return replace(problem, image=image, state=state)


def enlarged(image: NDArray, inside: NDArray, shape: tuple[int, ...]) -> NDArray:
    """A coarse image (H, W, C) or (D, H, W, C) at the pixels of the level before, by linear interpolation.

    Pixels that are not `inside` take no part; where no others are near, the result is 0.
    """
    weight = inside.astype(image.dtype)
    total = _interpolated(image * weight[..., None], shape)
    share = _interpolated(weight, shape)[..., None]
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0)


def _averaged(a: NDArray, axes: int) -> NDArray:
    """Means of the one to three pixels below each coarse one, along each of the first axes."""
    for axis in range(axes):
        n = a.shape[axis]
        size = n / ((n + 1) // 2)  # of a coarse pixel
        start = np.arange((n + 1) // 2) * size
        first = np.floor(start + ROUNDING).astype(int)
        places = first[:, None] + np.arange(3)
        overlap = np.minimum(places + 1, (start + size)[:, None]) - np.maximum(
            places, start[:, None]
        )
        weights = np.where(overlap > ROUNDING, overlap / size, 0)
        a = _combined(a, axis, np.minimum(places, n - 1), weights)
    return a


def _interpolated(a: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Linear interpolation at the centres of the pixels of the level before, along each axis."""
    for axis in range(len(shape)):
        n, few = shape[axis], a.shape[axis]
        place = np.clip((np.arange(n) + 0.5) * few / n - 0.5, 0, few - 1)
        first = np.floor(place).astype(int)
        after = place - first
        places = np.minimum(first[:, None] + np.arange(2), few - 1)
        a = _combined(a, axis, places, np.stack([1 - after, after], axis=1))
    return a


def _combined(a: NDArray, axis: int, places: NDArray, weights: NDArray) -> NDArray:
    """Σ_k weights[:, k] · a[places[:, k]] along an axis."""
    along = (-1,) + (1,) * (a.ndim - 1 - axis)
    return sum(
        np.take(a, place, axis) * weight.astype(a.dtype).reshape(along)
        for place, weight in zip(places.T, weights.T, strict=True)
    )
