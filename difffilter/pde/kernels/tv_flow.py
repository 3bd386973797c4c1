"""Total-variation flow ∂u/∂t = div(∇u/|∇u|): g = 1/|∇u| of every face, and semi-implicit steps.

A state is ``u[b, c, z, y, x]`` as in `perona_malik`. A step is the mean over the axes of implicit
steps (I - M)⁻¹ u along each, with g of the old state, which stays stable however large g grows where
the image is flat.
"""

import math

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import copy, inner, parallel

# Lines that are solved side by side, one in each lane of a vector.
LANES = 16


@parallel
def slopes(u, inverse, result):
    """result[b, axis, z, y, x] = Σ_c max(d₊ d₋, 0) along each axis.

    d₊ and d₋ are the forward and the backward difference over h, ``inverse`` is 1/h² for the axes
    z, y, x.
    """
    batch, channels, depth, height, width = u.shape
    zero = u.dtype.type(0.0)
    for job in prange(batch * height):
        b, y = job // height, job % height
        for z in range(depth):
            result[b, :, z, y] = 0
            for c in range(channels):
                here = u[b, c, z, y]
                for axis, before, after in (
                    (0, u[b, c, max(z - 1, 0), y], u[b, c, min(z + 1, depth - 1), y]),
                    (1, u[b, c, z, max(y - 1, 0)], u[b, c, z, min(y + 1, height - 1)]),
                    (2, here, here[2:]),
                ):
                    # Along x the three rows are one, and the result is that of the pixel between.
                    middle, n = (here[1:], width - 2) if axis == 2 else (here, width)
                    out = result[b, axis, z, y, 1:] if axis == 2 else result[b, axis, z, y]
                    for i in range(n):
                        product = (after[i] - middle[i]) * (middle[i] - before[i])
                        out[i] += inverse[axis] * max(product, zero)


@parallel
def face_diffusivity(u, slope, axis, inverse, epsilon, g):
    """g[b, z, y, x] = 1/√(|∇u|² + ε²) for the face between a pixel and the next along an axis.

    Along the axis |∇u| is the difference across the face; along the others the square of it is
    the mean of the two pixels' `slopes`.
    """
    batch, channels, depth, height, width = u.shape
    half, one = u.dtype.type(0.5), u.dtype.type(1.0)
    for job in prange(batch * height):
        b, y = job // height, job % height
        y1 = min(y + 1, height - 1) if axis == 1 else y
        for z in range(depth):
            z1 = min(z + 1, depth - 1) if axis == 0 else z
            n, shift = (width - 1, 1) if axis == 2 else (width, 0)
            q = g[b, z, y]
            q[:] = epsilon * epsilon
            for c in range(channels):
                near, far = u[b, c, z, y], u[b, c, z1, y1, shift:]
                for i in range(n):
                    d = far[i] - near[i]
                    q[i] += inverse[axis] * d * d
            for other in range(3):
                if other != axis:
                    near, far = slope[b, other, z, y], slope[b, other, z1, y1, shift:]
                    for i in range(n):
                        q[i] += half * (near[i] + far[i])
            for i in range(width):
                q[i] = one / math.sqrt(q[i])


@inner
def solve(u, g, c, d, rate):
    """d = (I - M)⁻¹ M u along the first axis of ``u`` (n, LANES), by Thomas' algorithm.

    M u is the difference of the fluxes rate · g[i] · (u[i + 1] - u[i]); u + d is what an implicit
    step makes of u. ``c`` is space.
    """
    n = len(u)
    one = u.dtype.type(1.0)
    for i in range(n):
        last, following = max(i - 1, 0), min(i + 1, n - 1)
        before, after = u.dtype.type(i > 0) * rate, u.dtype.type(i < n - 1) * rate
        for j in range(LANES):
            w0, w1 = before * g[last, j], after * g[i, j]
            m = one / (one + w1 + w0 * (one - c[last, j]))
            flow = w1 * (u[following, j] - u[i, j]) - w0 * (u[i, j] - u[last, j])
            d[i, j] = (flow + w0 * d[last, j]) * m
            c[i, j] = w1 * m
    for i in range(n - 2, -1, -1):
        for j in range(LANES):
            d[i, j] += c[i, j] * d[i + 1, j]


@parallel
def implicit_along_rows(u, g, v, rate, share, workers):
    """v += share · ((I - M)⁻¹ M u), M acting along the axis x."""
    batch, channels, depth, height, width = u.shape
    blocks = (height + LANES - 1) // LANES
    jobs = batch * depth * blocks
    for worker in prange(workers):
        space = np.zeros((4, width, LANES), u.dtype)
        a, q, c, d = space[0], space[1], space[2], space[3]
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            b, z, y = job // (depth * blocks), job // blocks % depth, job % blocks * LANES
            lines = min(LANES, height - y)
            for j in range(lines):
                row = g[b, z, y + j]
                for i in range(width):
                    q[i, j] = row[i]
            for k in range(channels):
                for j in range(lines):
                    row = u[b, k, z, y + j]
                    for i in range(width):
                        a[i, j] = row[i]
                solve(a, q, c, d, rate)
                for j in range(lines):
                    row = v[b, k, z, y + j]
                    for i in range(width):
                        row[i] += share * d[i, j]


@parallel
def implicit_along_columns(u, g, v, rate, share, workers):
    """v += share · ((I - M)⁻¹ M u), M acting along the second axis of ``u`` (B, C, n, m, w).

    Views of the state serve for both of the axes z and y.
    """
    batch, channels, count, rows, width = u.shape
    blocks = (width + LANES - 1) // LANES
    jobs = batch * count * blocks
    for worker in prange(workers):
        space = np.zeros((4, rows, LANES), u.dtype)
        a, q, c, d = space[0], space[1], space[2], space[3]
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            b, n, x = job // (count * blocks), job // blocks % count, job % blocks * LANES
            lanes = min(LANES, width - x)
            for i in range(rows):
                copy(g[b, n, i, x : x + lanes], q[i])
            for k in range(channels):
                for i in range(rows):
                    copy(u[b, k, n, i, x : x + lanes], a[i])
                solve(a, q, c, d, rate)
                for i in range(rows):
                    row = v[b, k, n, i, x : x + lanes]
                    for j in range(lanes):
                        row[j] += share * d[i, j]
