"""Sums along an evolution from which its risk is estimated."""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import parallel


@parallel(fastmath={"contract", "reassoc"})
def row_moments(u, y, b, scale):
    """Row by row, Σ (s u - y)² and Σ b·(s u' - s u) for some evolutions, each with a scale s.

    ``y`` and ``b`` are (N, C, D, H, W), ``u`` holds first N images for each evolution, then as
    many u' again.
    """
    count, channels, depth, height, width = y.shape
    runs, rows = len(scale), channels * depth * height
    squares, products = np.empty(runs * count * rows), np.empty(runs * count * rows)
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
    return squares, products
