"""Tensor diffusion div(D ∇u) in the holes of a plane: D from a smoothed image, a stencil for D, steps.

D is that of edge-enhancing diffusion, 1 along edges and the smaller across the steeper they are. Its
stencil is that of `difffilter.pde.kernels.anisotropic`: Selling's algorithm writes D as a sum of ρ e eᵀ with
ρ ≥ 0 and e vectors of integers, so that every pixel is linked to those at ± e, with weights ≥ 0. A pixel of a
hole moves towards the weighted mean of the pixels at the other ends of its links, and is never moved beyond
them; at the steady state it is that mean. Links that leave the image or pass pixels outside carry nothing.

Pixels of holes are the nodes, numbered row by row; the links of node i are those from ``starts[i]`` to
``starts[i + 1]``. Other ends are given by their place y·W + x in the image.
"""

from __future__ import annotations

import math

import numpy as np

from difffilter.inpainting.graph import OUTSIDE
from difffilter.pde.kernels.anisotropic import selling_2d
from difffilter.pde.kernels.common import copy, inner, kernel

__all__ = ["cycle", "links", "neighbours"]

# The smallest eigenvalue of D; it keeps links shorter than about √(1 / LEAST) pixels.
LEAST = 1e-3

# Where a link is cut, weak ones along the axes see to it that no pixel is left without any.
WEAK = 1e-3

# Slots for the links of a pixel: those to + e and - e of Selling's three vectors and of the axes.
VECTORS = 5


@inner
def passable(state, y0, x0, y1, x1):
    """Whether a link between two pixels stays in the image and passes none outside.

    It passes all in the box between its ends.
    """
    height, width = state.shape
    if not (0 <= y1 < height and 0 <= x1 < width):
        return False
    for y in range(min(y0, y1), max(y0, y1) + 1):
        for x in range(min(x0, x1), max(x0, x1) + 1):
            if state[y, x] == OUTSIDE:
                return False
    return True


@inner
def difference(plane, state, y0, x0, y1, x1):
    """The difference across a face, and 1; twice 0 if one of the two pixels is outside."""
    height, width = state.shape
    inside = min(y0, x0, y1, x1) >= 0 and max(y0, y1) < height and max(x0, x1) < width
    if inside and state[y0, x0] != OUTSIDE and state[y1, x1] != OUTSIDE:
        return float(plane[y1, x1] - plane[y0, x0]), 1
    return 0.0, 0


@inner
def gradient(plane, state, y, x):
    """The gradient (x, y) in the middle between the pixels (y, x) and (y + 1, x + 1)."""
    a, i = difference(plane, state, y, x, y, x + 1)
    b, j = difference(plane, state, y + 1, x, y + 1, x + 1)
    c, k = difference(plane, state, y, x, y + 1, x)
    d, m = difference(plane, state, y, x + 1, y + 1, x + 1)
    return (a + b) / max(i + j, 1), (c + d) / max(k + m, 1)


@inner
def diffusion_tensor(smooth, state, y, x, inverse, kappa2):
    """D = g(Σ_c ∇u_c ∇u_cᵀ) with g(s²) = 1/√(1 + s²/κ²), as (xx, xy, yy).

    The products are the means of those at the four corners of the pixel, and do not vanish on a thin line.
    """
    iy, ix = inverse
    xx = xy = yy = 0.0
    for c in range(len(smooth)):
        for corner in range(4):
            gx, gy = gradient(smooth[c], state, y - (corner >> 1), x - (corner & 1))
            gx, gy = ix * gx, iy * gy
            xx += 0.25 * gx * gx
            xy += 0.25 * gx * gy
            yy += 0.25 * gy * gy
    mean, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    radius = math.sqrt(half * half + xy * xy)
    large, small = mean + radius, max(mean - radius, 0.0)
    across = max(1 / math.sqrt(1 + large / kappa2), LEAST)
    along = max(1 / math.sqrt(1 + small / kappa2), LEAST)
    # D is a first-degree polynomial in the structure tensor.
    slope = 0.5 * (across - along) / radius if radius > 1e-12 * mean else 0.0
    offset = along - slope * small
    return slope * xx + offset, slope * xy, slope * yy + offset


@kernel
def links(smooth, state, inverse, kappa2):
    """The links of each pixel by its own D: weights ρ (H·W, 5), and other ends (H·W, 10).

    Parameters
    ----------
    smooth : array (C, H, W)
        The smoothed image.
    state : array (H, W)
    inverse : tuple of float
        1/h for the axes y and x.
    kappa2 : float
        κ².

    Returns
    -------
    tuple of ndarray
        The end of a link that carries nothing is the pixel itself.
    """
    height, width = state.shape
    weights = np.zeros((height * width, VECTORS), smooth.dtype)
    ends = np.empty((height * width, 2 * VECTORS), np.int32)
    rho, e = np.empty(3), np.zeros((VECTORS, 2), np.int64)
    e[3, 0] = e[4, 1] = 1
    iy, ix = inverse
    for y in range(height):
        for x in range(width):
            at = y * width + x
            ends[at] = at
            if state[y, x] == OUTSIDE:
                continue
            xx, xy, yy = diffusion_tensor(smooth, state, y, x, inverse, kappa2)
            selling_2d(xx * ix * ix, xy * ix * iy, yy * iy * iy, rho, e)
            copy(rho, weights[at])
            weights[at, 3], weights[at, 4] = WEAK * ix * ix, WEAK * iy * iy
            whole = True
            for k in range(VECTORS):
                if k == 3 and whole:
                    break
                for side in range(2):
                    y1, x1 = y + (1 - 2 * side) * e[k, 1], x + (1 - 2 * side) * e[k, 0]
                    if passable(state, y, x, y1, x1):
                        if weights[at, k] > 0:
                            ends[at, 2 * k + side] = y1 * width + x1
                    else:
                        whole = False
    return weights, ends


@kernel
def neighbours(weights, ends, numbers, count):
    """For each node its links, of its own D and of those of its neighbours, with weights of sum 1.

    Parameters
    ----------
    weights, ends : arrays
        As returned by `links`.
    numbers : array (H·W,)
        The numbers of the nodes, negative elsewhere.
    count : int
        Their number.

    Returns
    -------
    tuple of ndarray
        Starts (count + 1,), other ends, and their weights.
    """
    starts = np.zeros(count + 1, np.int64)
    for at in range(len(ends)):
        for k in range(ends.shape[1]):
            end = ends[at, k]
            if end != at:
                if numbers[at] >= 0:
                    starts[numbers[at] + 1] += 1
                if numbers[end] >= 0:
                    starts[numbers[end] + 1] += 1
    for i in range(count):
        starts[i + 1] += starts[i]
    others = np.empty(starts[count], np.int32)
    shares = np.empty(starts[count], weights.dtype)
    free = starts[:count].copy()
    for at in range(len(ends)):
        for k in range(ends.shape[1]):
            end = ends[at, k]
            if end != at:
                for side in range(2):
                    here, there = (end, at) if side else (at, end)
                    i = numbers[here]
                    if i >= 0:
                        others[free[i]] = there
                        shares[free[i]] = weights[at, k >> 1]
                        free[i] += 1
    for i in range(count):
        mine = shares[starts[i] : starts[i + 1]]
        mine /= mine.sum()
    return starts, others, shares


@kernel
def cycle(u, nodes, starts, others, shares, alphas, step):
    """A cycle of the fast semi-iterative scheme on u (H·W,), in place; the largest change of a node.

    Parameters
    ----------
    u : array (H·W,), written to
    nodes : array (n,)
        The places of the nodes.
    starts, others, shares : arrays
        As returned by `neighbours`.
    alphas : array (steps,)
        The weights of the scheme.
    step : float
        How far a node moves towards the mean of its neighbours; at most 1.
    """
    first = u[nodes]
    before, new = first.copy(), np.empty_like(first)
    for alpha in alphas:
        for i in range(len(nodes)):
            mean = u.dtype.type(0)
            for j in range(starts[i], starts[i + 1]):
                mean += shares[j] * u[others[j]]
            here = u[nodes[i]]
            new[i] = alpha * (here + step * (mean - here)) + (1 - alpha) * before[i]
        for i in range(len(nodes)):
            before[i], u[nodes[i]] = u[nodes[i]], new[i]
    largest = 0.0
    for i in range(len(nodes)):
        largest = max(largest, abs(new[i] - first[i]))
    return largest
