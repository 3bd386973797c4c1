"""Tensor diffusion div(D ∇u) in the holes of a volume: the links of its voxels.

As `difffilter.inpainting.tensors` for planes; the stencil, with six vectors for each voxel, is that of
`difffilter.pde.kernels.tensor_volume`, which works on runs of 64 voxels.
"""

from __future__ import annotations

import math

import numpy as np

from difffilter.inpainting.tensors import LEAST, WEAK
from difffilter.pde.kernels.common import copy, inner, inside, kernel, moved
from difffilter.pde.kernels.tensor_volume import (
    ALONE,
    BASES,
    G_ALONE,
    LENGTH,
    P_01,
    RUN,
    SLOTS,
    eigenvalues_run,
    products_run,
    selling_run,
    terms_run,
)

__all__ = ["neighbours"]

# Vectors of a voxel: Selling's six, and the axes.
SELLING, VECTORS = 6, 9


@inner
def passable(within, place, end):
    """Whether all voxels in the box between two are within, and in the volume."""
    if not inside(within, end):
        return False
    for z in range(min(place[0], end[0]), max(place[0], end[0]) + 1):
        for y in range(min(place[1], end[1]), max(place[1], end[1]) + 1):
            for x in range(min(place[2], end[2]), max(place[2], end[2]) + 1):
                if not within[z, y, x]:
                    return False
    return True


@inner
def slope(volume, within, corner, axis):
    """The derivative along an axis in the middle of the 2×2×2 voxels from ``corner`` on.

    It is the mean of the differences between those that are inside.
    """
    total, count = 0.0, 0
    one, other = (axis + 1) % 3, (axis + 2) % 3
    for k in range(4):
        here = moved(moved(corner, one, k & 1), other, k >> 1)
        there = moved(here, axis, 1)
        if inside(within, here) and inside(within, there):
            total += float(volume[there]) - float(volume[here])
            count += 1
    return total / max(count, 1)


@inner
def structure(smooth, within, place, inverse, a, i):
    """Σ_c ∇u_c ∇u_cᵀ at a voxel, the mean over its eight corners, in the slots of number i of a run."""
    z, y, x = place
    iz, iy, ix = inverse
    for k in range(6):
        a[k * LENGTH + i] = 0.0
    for corner in range(8):
        at = z - (corner >> 2), y - (corner >> 1 & 1), x - (corner & 1)
        for c in range(len(smooth)):
            gx = ix * slope(smooth[c], within, at, 2)
            gy = iy * slope(smooth[c], within, at, 1)
            gz = iz * slope(smooth[c], within, at, 0)
            products = gx * gx, gx * gy, gy * gy, gx * gz, gy * gz, gz * gz
            for k in range(6):
                a[k * LENGTH + i] += 0.125 * products[k]


@inner
def links_of_run(smooth, within, first, n, inverse, kappa2, a, b, e):
    """The vectors e and weights of n voxels from number ``first`` on, in the slots of a run."""
    _, height, width = within.shape
    a[: 6 * LENGTH] = 0.0
    for i in range(n):
        at = first + i
        place = at // (height * width), at // width % height, at % width
        if within[place]:
            structure(smooth, within, place, inverse, a, i)
    eigenvalues_run(a)
    for k in range(3 * LENGTH):  # D = g(J), g(s²) = 1/√(1 + s²/κ²)
        a[G_ALONE + k] = max(1 / math.sqrt(1 + max(a[ALONE + k], 0.0) / kappa2), LEAST)
    products_run(a, inverse)
    iz, iy, ix = inverse
    selling_run(a, b, 1e-12 * (iz * iz + iy * iy + ix * ix))
    terms_run(a, b, e, width, height)


@kernel
def neighbours(smooth, within, inverse, kappa2, numbers, count):
    """For each node its links, of its own D and of those of other voxels, with weights of sum 1.

    Parameters
    ----------
    smooth : array (C, D, H, W)
        The smoothed volume.
    within : array of bool (D, H, W)
        False for voxels outside.
    inverse : tuple of float
        1/h for the axes z, y and x.
    kappa2 : float
        κ².
    numbers : array (D·H·W,)
        The numbers of the nodes, negative elsewhere.
    count : int
        Their number.

    Returns
    -------
    tuple of ndarray
        Starts (count + 1,), other ends, and their weights.
    """
    _, height, width = within.shape
    a, b = np.empty(SLOTS * RUN), np.empty(BASES * RUN, np.int64)
    e, vector = np.empty(24 * RUN, np.int32), np.empty((VECTORS, 3), np.int64)
    rho, ends = np.empty(VECTORS), np.empty(2 * VECTORS, np.int64)
    vector[SELLING:] = 0
    for axis in range(3):
        vector[SELLING + axis, axis] = 1
        rho[SELLING + axis] = WEAK * inverse[axis] ** 2
    # Links of the nodes, in the order in which they are found.
    heads, tails = np.empty(16 * count, np.int32), np.empty(16 * count, np.int32)
    strengths, used = np.empty(16 * count, smooth.dtype), 0
    for first in range(0, within.size, LENGTH):
        n = min(LENGTH, within.size - first)
        links_of_run(smooth, within, first, n, inverse, kappa2, a, b, e)
        for i in range(n):
            at = first + i
            place = at // (height * width), at // width % height, at % width
            if not within[place]:
                continue
            for k in range(SELLING):
                rho[k] = 2 * a[P_01 + k * LENGTH + i]
                for axis in range(3):  # which `e` has as x, y, z
                    vector[k, axis] = e[(4 * k + 2 - axis) * LENGTH + i]
            whole = True
            for k in range(VECTORS):
                ends[2 * k : 2 * k + 2] = at
                if rho[k] == 0.0 or (k >= SELLING and whole):
                    continue
                for side in range(2):
                    way = 1 - 2 * side
                    v = (
                        place[0] + way * vector[k, 0], place[1] + way * vector[k, 1],
                        place[2] + way * vector[k, 2],
                    )  # fmt: skip
                    if passable(within, place, v):
                        ends[2 * k + side] = (v[0] * height + v[1]) * width + v[2]
                    else:
                        whole = False
            if used + 4 * VECTORS > len(heads):
                heads, tails = longer(heads), longer(tails)
                strengths = longer(strengths)
            for k in range(2 * VECTORS):
                end = ends[k]
                if end != at:
                    for here, there in ((at, end), (end, at)):
                        if numbers[here] >= 0:
                            heads[used], tails[used] = numbers[here], there
                            strengths[used] = rho[k >> 1]
                            used += 1
    return by_node(heads[:used], tails, strengths, count)


@inner
def longer(array):
    """An array of twice the length, and some, that begins as this one."""
    new = np.empty(2 * len(array) + 4 * VECTORS, array.dtype)
    copy(array, new)
    return new


@inner
def by_node(heads, tails, strengths, count):
    """Links that lead from nodes ``heads`` to voxels ``tails``, as `neighbours` returns them."""
    starts = np.zeros(count + 1, np.int64)
    for head in heads:
        starts[head + 1] += 1
    for i in range(count):
        starts[i + 1] += starts[i]
    free = starts[:count].copy()
    others, shares = np.empty(len(heads), tails.dtype), np.empty(len(heads), strengths.dtype)
    for k in range(len(heads)):
        to = free[heads[k]]
        others[to], shares[to] = tails[k], strengths[k]
        free[heads[k]] += 1
    for i in range(count):
        mine = shares[starts[i] : starts[i + 1]]
        mine /= mine.sum()
    return starts, others, shares
