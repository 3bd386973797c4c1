"""The gradient of a learned convex energy, u − f + Σ Wᵀ φ(W u), in bands that stay in cache.

Images are sorted into cells of 4×4 pixels: the pixels at one place in their cells form a plane, and so do
the responses of one filter at one place. Filters that begin in a cell reach two cells further, hence W
and Wᵀ are sums of shifted planes, which `combine` computes. From band to band of a few lines of cells the
last responses are kept, so that none is computed twice.
"""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import copy, inner, parallel
from difffilter.pde.kernels.learned import combine

__all__ = ["REACH", "gradient"]

# Cells that a filter reaches beyond its own.
REACH = 2

# Lines of cells in a band; lines and columns of cells in a block, which depend on nothing but the image,
# so that sums over blocks do not depend on the number of threads.
LINES, TALL, WIDE = 4, 32, 128


@inner
def descend(u, g, step, b, line, count, left, pitch, to):
    """to = u − step · g for lines and columns of cells; beyond the image 0."""
    places, height, width = u.shape[1:]
    for p in range(places):
        for r in range(count):
            y, row = line + r, to[p, r * pitch : (r + 1) * pitch]
            if y < 0 or y >= height:
                row[:] = 0
                continue
            first, last = max(0, -left), min(pitch, width - left)
            row[:first] = 0
            row[last:] = 0
            before, slope = u[b, p, y, first + left :], g[b, p, y, first + left :]
            inside = row[first:last]
            for j in range(last - first):
                inside[j] = before[j] - step * slope[j]


@inner
def influence(row, knots, factors, scale, sums, energy, n):
    """h ← φ(h) = Σⱼ cⱼ clip(h, −tⱼ, tⱼ) for the responses of a filter; ψ(h) is added to `energy`."""
    half, zero = np.float32(0.5), np.float32(0.0)
    for j in range(n):
        sums[j] = zero
    for k in range(len(knots)):
        t, c = knots[k], factors[k]
        for j in range(n):
            size = abs(row[j])
            short = min(size, t * scale[j])
            sums[j] += c * short
            energy[j] += c * short * (size - half * short)
    for j in range(n):
        row[j] = sums[j] if row[j] > zero else -sums[j]


@inner
def block(u, g, step, f, scale, after, slope, sums, b, top, bottom, left, right, analysis, rows, taps,
          synthesis, outputs, sources, knots, factors, bank, reach):  # fmt: skip
    """The step and the gradient for the cells of lines `top` to `bottom`, columns `left` to `right`."""
    places, height, width = u.shape[1:]
    responses, pitch = len(knots), right - left + 2 * REACH
    spare = REACH * pitch + REACH  # shifts reach beyond the last line, at places that are not used
    x = np.zeros((places, (LINES + REACH) * pitch + spare), np.float32)
    z = np.zeros((responses, (LINES + REACH) * pitch + spare), np.float32)
    d = np.zeros((places, LINES * pitch), np.float32)
    none = np.zeros(max(places, responses), np.float32)
    local, total = np.ones(LINES * pitch, np.float32), np.empty(LINES * pitch, np.float32)
    energy = np.zeros(LINES * pitch, np.float32)
    squares, products = np.zeros(pitch, np.float32), np.zeros(pitch, np.float32)
    distances = np.zeros(pitch, np.float32)
    of_x, of_z = np.empty(len(taps), np.int64), np.empty(len(sources), np.int64)
    for k in range(len(taps)):
        of_x[k] = taps[k, 0] * x.shape[1] + taps[k, 1] * pitch + taps[k, 2]
    for k in range(len(sources)):  # the adjoint looks the other way
        of_z[k] = (
            sources[k, 0] * z.shape[1] + (REACH - sources[k, 1]) * pitch + REACH - sources[k, 2]
        )
    for line in range(top - LINES, bottom, LINES):
        # A pass before the first band computes the lines that every band takes over from the last.
        before = line < top
        first, at, lines = (top - REACH, 0, REACH) if before else (line, REACH, LINES)
        descend(u, g, step, b, first, lines + REACH, left - REACH, pitch, x)
        for k in range(len(rows)):
            start, count, columns, weight, tap = rows[k]
            matrix = analysis[weight : weight + count * columns].reshape(count, columns)
            combine(matrix, none, x, of_x[tap : tap + columns], 0, lines * pitch,
                    z[start : start + count], at * pitch)  # fmt: skip
        energy[:] = 0
        known = -1
        for i in range(responses):
            row = z[i, at * pitch : (at + lines) * pitch]
            for r in range(lines):  # filters stay within the image
                inside = 0 <= first + r < height - reach[i, 0]
                begin = max(0, REACH - left)
                end = max(0, min(pitch, REACH + width - reach[i, 1] - left)) if inside else 0
                each = row[r * pitch : (r + 1) * pitch]
                each[:begin] = 0
                each[end:] = 0
            if scale.size and bank[i] != known:
                known = bank[i]
                strengths(scale, b, known, first, lines, left - REACH, pitch, local)
            influence(row, knots[i], factors[i], local, total, energy, lines * pitch)
        if before:
            continue
        for r in range(min(LINES, bottom - line)):
            for j in range(REACH, pitch - REACH):
                sums[0] += energy[r * pitch + j]

        for k in range(len(outputs)):
            columns, weight, source = outputs[k]
            matrix = synthesis[weight : weight + 4 * columns].reshape(4, columns)
            combine(matrix, none, z, of_z[source : source + columns], 0, LINES * pitch,
                    d[4 * k : 4 * k + 4], 0)  # fmt: skip
        distances[:] = 0
        squares[:] = 0
        products[:] = 0
        for p in range(places):
            for r in range(min(LINES, bottom - line)):
                y, count = line + r, right - left
                now = x[p, r * pitch + REACH : r * pitch + REACH + count]
                change = d[p, r * pitch : r * pitch + count]
                given, last = f[b, p, y, left:right], g[b, p, y, left:right]
                moved, steep = after[b, p, y, left:right], slope[b, p, y, left:right]
                for j in range(count):
                    away = now[j] - given[j]
                    value = away + change[j]
                    moved[j] = now[j]
                    steep[j] = value
                    distances[j] += away * away
                    squares[j] += value * value
                    products[j] += value * last[j]
        for j in range(right - left):  # in float32 within a band, in float64 over bands
            sums[0] += 0.5 * distances[j]
            sums[1] += squares[j]
            sums[2] += products[j]
        for i in range(responses):
            copy(z[i, LINES * pitch : (LINES + REACH) * pitch], z[i])


@inner
def strengths(scale, b, bank, line, count, left, pitch, to):
    """The strength of the noise for filters of a bank that begin in some cells; beyond the image 1."""
    height, width = scale.shape[2:]
    for r in range(count):
        for j in range(pitch):
            y, x = line + r, left + j
            inside = 0 <= y < height and 0 <= x < width
            to[r * pitch + j] = scale[b, bank, y, x] if inside else np.float32(1.0)


@parallel
def gradient(u, g, steps, f, scale, after, slope, sums, analysis, rows, taps, synthesis, outputs, sources,
             knots, factors, bank, reach):  # fmt: skip
    """after = u − step · g, slope = ∇E(after), and sums over both.

    Images are in cells, as float32 arrays (N, 16 C, lines, columns) in units of σ.

    Parameters
    ----------
    u, g : ndarray
        The image so far and the gradient there.
    steps : float32 ndarray (N,)
    f : ndarray
        The image as it was given.
    scale : float32 ndarray (N, banks, lines, columns)
        The strength of the noise where filters of each bank begin; empty: 1 everywhere.
    after, slope : ndarray
        The results.
    sums : float64 ndarray (N, blocks, 3)
        To be filled with E(after), |slope|² and slope · g, in parts.
    analysis, rows, taps : ndarray
        W: for filters at each place in a cell, `rows` has the first response and their number, the
        number of columns, and where their weights and taps begin; a tap is a plane, a line and a column.
    synthesis, outputs, sources : ndarray
        Wᵀ: for each four planes, `outputs` has the number of columns and where weights and sources
        begin; a source is a response, and how many lines and columns of cells before.
    knots, factors : float32 ndarray (responses, J)
        tⱼ and cⱼ.
    bank : int64 ndarray (responses,)
        The bank of each response.
    reach : int64 ndarray (responses, 2)
        Lines and columns of cells beyond its own that its filter covers.
    """
    batch, _, height, width = u.shape
    down, across = -(-height // TALL), -(-width // WIDE)
    for task in prange(batch * down * across):
        b, place = task // (down * across), task % (down * across)
        top, left = place // across * TALL, place % across * WIDE
        block(u, g, steps[b], f, scale, after, slope, sums[b, place], b, top, min(height, top + TALL),
              left, min(width, left + WIDE), analysis, rows, taps, synthesis, outputs, sources, knots,
              factors, bank, reach)  # fmt: skip
