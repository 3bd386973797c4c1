"""One step of a learned diffusion, u ← u − Wᵀ φ(W u) − λ (u − f), in bands that stay in cache.

The image is divided into cells of s×s pixels, and each filter of W covers 3×3 cells. Lines of cells are
kept apart by place within the cell (and by channel), as planes of a common pitch: every linear map of
the step is then a sum of shifted planes, each multiplied by a weight, which `combine` computes. From
band to band of a few lines the last lines of W u and of φ(W u) are kept, so that nothing is computed
twice. Beyond its border the image is mirrored.
"""

import math

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import copy, inner, parallel

__all__ = ["MARGIN", "step"]

# Cells around a block on which its result depends: one each for W, for φ and for Wᵀ.
MARGIN = 3

# Lines of cells in a band, at least the 4 that the next band takes over; cells of a block along each
# axis at most.
LINES, TALLEST, WIDEST = 4, 64, 256

# Places over which `combine` works at a time, at most: eight planes of them fit into the first cache.
CHUNK = 640


@inner
def combine(weights, bias, planes, first, skip, n, to, start):
    """to[i, start + j] = bias[i] + Σ_k weights[i, k] · planes[first[k] + skip + j] for 0 ≤ j < n.

    ``planes`` are laid end to end. Rows and columns of ``weights`` are multiples of 4: with 16 products
    between loading and storing, arithmetic takes the time.
    """
    rows, columns = weights.shape
    source = planes.reshape(planes.size)
    chunk = -(-n // -(-n // CHUNK))
    for c in range(0, n, chunk):
        m = min(chunk, n - c)
        for i in range(0, rows, 4):
            at = start + c
            t0, t1 = to[i, at : at + m], to[i + 1, at : at + m]
            t2, t3 = to[i + 2, at : at + m], to[i + 3, at : at + m]
            c0, c1, c2, c3 = bias[i], bias[i + 1], bias[i + 2], bias[i + 3]
            for j in range(m):
                t0[j], t1[j], t2[j], t3[j] = c0, c1, c2, c3
            for k in range(0, columns, 4):
                a0, a1 = weights[i, k], weights[i, k + 1]
                a2, a3 = weights[i, k + 2], weights[i, k + 3]
                b0, b1 = weights[i + 1, k], weights[i + 1, k + 1]
                b2, b3 = weights[i + 1, k + 2], weights[i + 1, k + 3]
                d0, d1 = weights[i + 2, k], weights[i + 2, k + 1]
                d2, d3 = weights[i + 2, k + 2], weights[i + 2, k + 3]
                e0, e1 = weights[i + 3, k], weights[i + 3, k + 1]
                e2, e3 = weights[i + 3, k + 2], weights[i + 3, k + 3]
                s0, s1 = source[first[k] + skip + c :], source[first[k + 1] + skip + c :]
                s2, s3 = source[first[k + 2] + skip + c :], source[first[k + 3] + skip + c :]
                for j in range(m):
                    x0, x1, x2, x3 = s0[j], s1[j], s2[j], s3[j]
                    t0[j] += a0 * x0 + a1 * x1 + a2 * x2 + a3 * x3
                    t1[j] += b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3
                    t2[j] += d0 * x0 + d1 * x1 + d2 * x2 + d3 * x3
                    t3[j] += e0 * x0 + e1 * x1 + e2 * x2 + e3 * x3


@inner
def mirrored(i, n):
    """The pixel, of 0 ... n-1, whose mirror image is at position i."""
    i %= 2 * n
    return min(i, 2 * n - 1 - i)


@inner
def cells(u, b, s, offset, line, count, left, pitch, to):
    """Sort the pixels of `count` lines of cells, from `line` and `left`, into planes."""
    channels, height, width = u.shape[1:]
    for r in range(count):
        for p in range(s):
            y = mirrored((line + r) * s - offset + p, height)
            for c in range(channels):
                for q in range(s):
                    plane = to[(c * s + p) * s + q, r * pitch : (r + 1) * pitch]
                    row, x = u[b, c, y], left * s - offset + q
                    for j in range(pitch):
                        at = x + j * s
                        if at < 0 or at >= width:
                            at = mirrored(at, width)
                        plane[j] = row[at]


@inner
def strengths(scale, b, s, offset, line, count, left, pitch, to):
    """Mean of the relative σ over each cell; 1 if there is no map."""
    if not scale.size:
        for j in range(count * pitch):
            to[j] = 1.0
        return
    height, width = scale.shape[1:]
    for r in range(count):
        for j in range(pitch):
            total = np.float32(0.0)
            for p in range(s):
                y = mirrored((line + r) * s - offset + p, height)
                for q in range(s):
                    total += scale[b, y, mirrored((left + j) * s - offset + q, width)]
            to[r * pitch + j] = total / np.float32(s * s)


@inner
def bounded(h, inverse, local, n):
    """h ← n/√(1 + n²) with n = h/κσ, which lies between −1 and 1."""
    one = np.float32(1.0)
    for j in range(n):
        x = h[j] * (inverse * local[j])
        h[j] = x / math.sqrt(one + x * x)


@inner
def block(u, f, scale, out, b, s, offset, top, bottom, left, right, analysis, kappa, mixing, bias,
          influence, level, synthesis, fidelity):  # fmt: skip
    """The step for the cells of lines `top` to `bottom` and columns `left` to `right`."""
    channels, height, width = u.shape[1:]
    filters, hidden, places = len(kappa), len(bias), len(synthesis)
    pitch = right - left + 2 * MARGIN
    # Column c of x, z, q and d holds the cells in column left + c - 3, - 2, - 1 and - 0.
    spare = 2 * pitch + 2  # shifts reach beyond the last line, at places that are not used
    x = np.zeros((places, (LINES + 2) * pitch + spare), np.float32)
    z = np.zeros((filters, (LINES + 4) * pitch + spare), np.float32)
    v = np.zeros((hidden, LINES * pitch), np.float32)
    q = np.zeros((filters, (LINES + 2) * pitch + spare), np.float32)
    d = np.zeros((places, LINES * pitch), np.float32)
    local = np.empty(LINES * pitch, np.float32)
    none = np.zeros(max(filters, places), np.float32)
    of_x, of_z, of_q = shifts(x, pitch), shifts(z, pitch), shifts(q, pitch)
    for k in range(len(of_q)):  # the adjoint looks the other way
        plane = k // 9 * q.shape[1]
        of_q[k] = 2 * plane + 2 * pitch + 2 - of_q[k]
    of_v = np.arange(hidden) * v.shape[1]
    one, zero = np.float32(1.0), np.float32(0.0)

    for line in range(top - LINES, bottom, LINES):
        # A pass before the first band computes the lines that every band takes over from the last.
        before = line < top
        at, lines = (0, 4) if before else (4, LINES)
        first = top - 2 if before else line + 2
        cells(u, b, s, offset, first - 1, lines + 2, left - 3, pitch, x)
        combine(analysis, none, x, of_x, 0, lines * pitch, z, at * pitch)
        strengths(scale, b, s, offset, first, lines, left - 2, pitch, local)
        for j in range(lines * pitch):  # where there is no noise, φ is 0
            local[j] = one / local[j] if local[j] > zero else zero
        for i in range(filters):
            row = z[i, at * pitch : (at + lines) * pitch]
            bounded(row, one / kappa[i], local, lines * pitch)

        at, lines = (0, 2) if before else (2, LINES)
        first = top - 1 if before else line + 1
        combine(mixing, bias, z, of_z, at * pitch, lines * pitch, v, 0)
        for i in range(hidden):
            for j in range(lines * pitch):
                v[i, j] = max(v[i, j], zero)
        combine(influence, level, v, of_v, 0, lines * pitch, q, at * pitch)
        strengths(scale, b, s, offset, first, lines, left - 1, pitch, local)
        for i in range(filters):
            row = q[i, at * pitch : (at + lines) * pitch]
            for j in range(lines * pitch):
                row[j] *= kappa[i] * local[j]
        if before:
            continue

        combine(synthesis, none, q, of_q, 0, LINES * pitch, d, 0)
        for r in range(min(LINES, bottom - line)):
            for p in range(s):
                y = (line + r) * s - offset + p
                if y < 0 or y >= height:
                    continue
                for c in range(channels):
                    now, given, to = u[b, c, y], f[b, c, y], out[b, c, y]
                    for o in range(s):
                        change = d[(c * s + p) * s + o, r * pitch : (r + 1) * pitch]
                        for j in range(right - left):
                            i = (left + j) * s - offset + o
                            if 0 <= i < width:
                                to[i] = now[i] - change[j] - fidelity * (now[i] - given[i])
        for i in range(filters):
            copy(z[i, LINES * pitch : (LINES + 4) * pitch], z[i])
            copy(q[i, LINES * pitch : (LINES + 2) * pitch], q[i])


@inner
def shifts(planes, pitch):
    """Positions of the 3×3 neighbours in each plane, where planes are laid end to end."""
    found = np.empty(9 * len(planes), np.int64)
    for k in range(len(found)):
        found[k] = k // 9 * planes.shape[1] + k % 9 // 3 * pitch + k % 3
    return found


@parallel
def step(u, f, scale, out, s, offset, analysis, kappa, mixing, bias, influence, level, synthesis,
         fidelity, workers):  # fmt: skip
    """out = u − Wᵀ φ(W u) − λ (u − f), with φ(h) = κσ·(B max(0, A z + a) + b), z = n/√(1 + n²), n = h/κσ.

    Parameters
    ----------
    u, f, out : float32 ndarray (N, C, H, W)
        The image so far, as it was given, and the result; in units of σ.
    scale : float32 ndarray (N, H, W)
        The strength of the noise at each pixel, in these units; empty: 1 everywhere.
    s, offset : int
        The side of a cell in pixels, and how far the first cell begins before the image.
    analysis : float32 ndarray (F, 9 C s²)
        W: weights by channel, place in the cell, and place of the cell among 3×3.
    kappa : float32 ndarray (F,)
        κ, in units of σ.
    mixing, bias : float32 ndarray (G, 9 F) and (G,)
        A, over 3×3 cells, and a.
    influence, level : float32 ndarray (F, G) and (F,)
        B and b.
    synthesis : float32 ndarray (C s², 9 F)
        Wᵀ: the weights of `analysis` in another order.
    fidelity : float
        λ.
    workers : int
        The number of threads to divide the work among; the result does not depend on it.
    """
    batch, _, height, width = u.shape
    lines, columns = -(-(height + offset) // s), -(-(width + offset) // s)
    tall = min(TALLEST, max(2 * LINES, -(-lines // workers)))
    down, across = -(-lines // tall), -(-columns // WIDEST)
    wide = -(-columns // across)
    λ = np.float32(fidelity)
    for task in prange(batch * down * across):
        b, place = task // (down * across), task % (down * across)
        top, left = place // across * tall, place % across * wide
        block(u, f, scale, out, b, s, offset, top, min(lines, top + tall), left,
              min(columns, left + wide), analysis, kappa, mixing, bias, influence, level, synthesis,
              λ)  # fmt: skip
