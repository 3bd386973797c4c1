"""Sums along an evolution from which its risk is estimated."""

import math

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import parallel


def row_moments(u, y, b, scale):
    """Row by row, Σ (s u - y)² and Σ b·(s u' - s u) for some evolutions, each with a scale s.

    ``y`` and ``b`` are (N, C, D, H, W), ``u`` holds first N images for each evolution, then as
    many u' again.
    """
    squares = np.empty(len(u) // 2 * math.prod(u.shape[1:-1]))
    products = np.empty_like(squares)
    sum_rows(u, y, b, scale, squares, products)
    return squares, products


@parallel(fastmath={"contract", "reassoc"})
def sum_rows(u, y, b, scale, squares, products):
    """`row_moments` in the arrays given."""
    count, channels, depth, height, width = y.shape
    runs, rows = len(scale), channels * depth * height
    for job in prange(runs * count * rows):
        k, row = job // rows, job % rows
        c, z, h = row // (depth * height), row // height % depth, row % height
        p, r = u[k, c, z, h], u[runs * count + k, c, z, h]
        o, s = y[k % count, c, z, h], b[k % count, c, z, h]
        square = product = y.dtype.type(0.0)
        factor = scale[k // count]
        for i in range(width):
            d = factor * p[i] - o[i]
            square += d * d
            product += s[i] * (r[i] - p[i])
        squares[job] = square
        products[job] = factor * product
