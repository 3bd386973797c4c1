"""Coherence transport in a plane: pixels of holes, one front after the other, as means of known pixels.

A front is a set of pixels at the same distance from the known ones. They are filled in from the pixels that
are known when the front arrives, so that their order does not matter, and count as known from then on.

A window is a pair of arrays: offsets (n, 2) along y and x, and weights (n,). Only known pixels of a window
count, and only those with no pixel outside in the box between them and the middle.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

import numpy as np

from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.inpainting.tensors import passable
from difffilter.pde.kernels.common import inner, kernel

__all__ = ["arrival", "products", "transport"]

# The share of the second moments of a window that is added to its variances. It steadies slopes where the
# known pixels are on one side; more would turn lines towards the normal of the hole's border.
RIDGE = 0.03

# Largest exponent of a weight, so that no sum of weights vanishes.
FARTHEST = 600.0


# --- the fronts -----------------------------------------------------------------------------


@kernel
def arrival(state, spacing):
    """The time at which a front that leaves the known pixels at speed 1 comes to a pixel, |∇T| = 1.

    Fast marching (Sethian 1996), of first order. The front does not enter pixels outside, where T is ∞.

    Parameters
    ----------
    state : array (H, W)
    spacing : tuple of float
        h of the axes y and x.

    Returns
    -------
    ndarray (H, W)
    """
    height, width = state.shape
    time, passed = np.full(state.shape, np.inf), state == KNOWN
    heap = [(0.0, 0, 0)]
    heap.pop()
    for y in range(height):
        for x in range(width):
            if state[y, x] == KNOWN:
                time[y, x] = 0.0
    for y in range(height):
        for x in range(width):
            if state[y, x] == HOLE:
                t = upwind(time, passed, y, x, spacing)
                if t < np.inf:
                    time[y, x] = t
                    heappush(heap, (t, y, x))
    while len(heap):
        t, y, x = heappop(heap)
        if passed[y, x]:
            continue
        passed[y, x] = True
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width and state[v, u] == HOLE and not passed[v, u]:
                t = upwind(time, passed, v, u, spacing)
                if t < time[v, u]:
                    time[v, u] = t
                    heappush(heap, (t, v, u))
    return time


@inner
def earlier(time, passed, y, x):
    """T of a pixel that the front has passed, otherwise ∞."""
    height, width = time.shape
    return time[y, x] if 0 <= y < height and 0 <= x < width and passed[y, x] else np.inf


@inner
def upwind(time, passed, y, x, spacing):
    """The T that solves |∇T| = 1 with differences to the pixels that the front has passed."""
    hy, hx = spacing
    a = min(earlier(time, passed, y - 1, x), earlier(time, passed, y + 1, x))
    b = min(earlier(time, passed, y, x - 1), earlier(time, passed, y, x + 1))
    if a + hy <= b or b + hx <= a:  # or both are ∞
        return min(a + hy, b + hx)
    # ((T − a) / hy)² + ((T − b) / hx)² = 1
    p, q = 1 / (hy * hy), 1 / (hx * hx)
    middle, gap = (p * a + q * b) / (p + q), a - b
    return middle + math.sqrt(max((p + q) - p * q * gap * gap, 0.0)) / (p + q)


# --- the means ------------------------------------------------------------------------------


@inner
def counts(state, walls, y, x, offset):
    """Whether the pixel at an offset from (y, x) is known, with none outside in between."""
    height, width = state.shape
    v, u = y + offset[0], x + offset[1]
    if not (0 <= v < height and 0 <= u < width and state[v, u] == KNOWN):
        return False
    return not walls or passable(state, y, x, v, u)


@inner
def slope(image, c, state, walls, y, x, spacing, window):
    """The gradient (y, x) of a channel at a pixel: of the plane that fits a window by weighted least squares.

    It solves M ∇u = b, where M are the covariances of places, and b those of places and values.
    """
    offsets, weights = window
    hy, hx = spacing
    total = sy = sx = su = syy = sxy = sxx = syu = sxu = 0.0
    for k in range(len(offsets)):
        if counts(state, walls, y, x, offsets[k]):
            w, dy, dx = weights[k], hy * offsets[k, 0], hx * offsets[k, 1]
            du = float(image[y + offsets[k, 0], x + offsets[k, 1], c]) - float(image[y, x, c])
            total, sy, sx, su = total + w, sy + w * dy, sx + w * dx, su + w * du
            syy, sxy, sxx = syy + w * dy * dy, sxy + w * dy * dx, sxx + w * dx * dx
            syu, sxu = syu + w * dy * du, sxu + w * dx * du
    ridge = RIDGE * (syy + sxx)
    if ridge == 0.0:  # the pixel is alone
        return 0.0, 0.0
    yy, xy, xx = syy - sy * sy / total + ridge, sxy - sy * sx / total, sxx - sx * sx / total + ridge
    yu, xu = syu - sy * su / total, sxu - sx * su / total
    det = yy * xx - xy * xy
    return (xx * yu - xy * xu) / det, (yy * xu - xy * yu) / det


@kernel
def products(image, state, places, spacing, window, tensors):
    """The products Σ_c ∇u_c ∇u_cᵀ at some pixels, as (yy, xy, xx).

    Parameters
    ----------
    image : array (H, W, C)
    state : array (H, W)
    places : array (n, 2)
        The pixels.
    spacing : tuple of float
    window : tuple of array
        Offsets, and the weights of the least squares.
    tensors : array (H, W, 3), written to
    """
    walls = (state == OUTSIDE).any()
    for i in range(len(places)):
        y, x = places[i]
        yy = xy = xx = 0.0
        for c in range(image.shape[2]):
            gy, gx = slope(image, c, state, walls, y, x, spacing, window)
            yy, xy, xx = yy + gy * gy, xy + gx * gy, xx + gx * gx
        tensors[y, x] = yy, xy, xx


@inner
def across(tensors, state, walls, y, x, kappa, window):
    """The unit vector (y, x) across the lines at a pixel, and their coherence, from 0 to 1.

    These are the eigenvector of the larger eigenvalue μ₁ of the structure tensor, the weighted mean of the
    products in a window, and (μ₁ − μ₂) / (μ₁ + μ₂ + κ²).
    """
    offsets, weights = window
    total = yy = xy = xx = 0.0
    for k in range(len(offsets)):
        if counts(state, walls, y, x, offsets[k]):
            w, tensor = weights[k], tensors[y + offsets[k, 0], x + offsets[k, 1]]
            total, yy, xy, xx = (
                total + w, yy + w * tensor[0], xy + w * tensor[1], xx + w * tensor[2]
            )  # fmt: skip
    angle, gap = 0.5 * math.atan2(2 * xy, xx - yy), math.hypot(2 * xy, xx - yy)
    return math.sin(angle), math.cos(angle), gap / (yy + xx + kappa * kappa * total)


@kernel
def transport(image, state, order, fronts, spacing, radius, kappa, sharpness, windows, tensors):
    """Fill in pixels of holes, front by front.

    Parameters
    ----------
    image : array (H, W, C), written to
    state : array (H, W), written to
        Becomes KNOWN for the pixels of the fronts.
    order : array (n, 2)
        Pixels, front by front.
    fronts : array (number of fronts + 1,)
        Where each front begins in `order`, and where the last one ends.
    spacing : tuple of float
        h of the axes y and x.
    radius, kappa, sharpness : float
        ε, κ and s.
    windows : tuple of tuples of array
        Those of the means, with the weights 1/|x − y|, of slopes, and of the structure tensor.
    tensors : array (H, W, 3), written to
        The products at known pixels near the holes, from `products`.
    """
    (offsets, nearness), around, wide = windows
    walls, (hy, hx), channels = (state == OUTSIDE).any(), spacing, image.shape[2]
    mean = np.empty(channels)
    for front in range(len(fronts) - 1):
        pixels = order[fronts[front] : fronts[front + 1]]
        for i in range(len(pixels)):
            y, x = pixels[i]
            ny, nx, coherence = across(tensors, state, walls, y, x, kappa, wide)
            thin = sharpness * coherence / radius
            mean[:] = total = 0.0
            for k in range(len(offsets)):
                if counts(state, walls, y, x, offsets[k]):
                    aside = thin * (ny * hy * offsets[k, 0] + nx * hx * offsets[k, 1])
                    w = nearness[k] * math.exp(-min(0.5 * aside * aside, FARTHEST))
                    total += w
                    for c in range(channels):
                        mean[c] += w * image[y + offsets[k, 0], x + offsets[k, 1], c]
            for c in range(channels):
                image[y, x, c] = mean[c] / total
        for i in range(len(pixels)):
            state[pixels[i, 0], pixels[i, 1]] = KNOWN
        products(image, state, pixels, spacing, around, tensors)
