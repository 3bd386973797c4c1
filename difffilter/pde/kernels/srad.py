"""Speckle-reducing diffusion ∂u/∂t = div(g ∇u): g from the coefficient of variation around a pixel.

A state is ``u[b, c, z, y, x]`` as in `perona_malik`. The step is `forward_backward.explicit`.
"""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import padded, parallel


@parallel
def diffusivity(u, weight, unbiased, q0, tiny, g, workers):
    """g[b, z, y, x] = min(1, (q₀² + q₀⁴) / (q² + q₀⁴)), q² = Σ_c variance_c / Σ_c mean_c².

    Mean and variance are those of a pixel's neighbours, two for each axis, of weight w. With d the
    differences to them the mean is u + Σ w d, and the variance Σ w d² - (Σ w d)², times `unbiased`.

    Parameters
    ----------
    u : array (B, C, D, H, W)
        The state.
    weight : array (3,), of u's dtype
        w for the axes z, y, x; 2 Σ w = 1, and 0 for an axis of length 1.
    unbiased, q0, tiny : float, of u's dtype
        1 / (1 - Σ w²), q₀, and a number added to the denominator, which may vanish.
    g : array (B, D, H, W)
        The result.
    workers : int
        How many share the work.
    """
    batch, channels, depth, height, width = u.shape
    one = u.dtype.type(1.0)
    wz, wy, wx = weight
    square = q0 * q0
    fourth = square * square
    rows = batch * depth * height
    for worker in prange(workers):
        line, power = np.empty(width + 2, u.dtype), np.empty(width, u.dtype)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, z, y = row // (depth * height), row // height % depth, row % height
            variance = g[b, z, y]
            variance[:] = 0
            power[:] = 0
            for c in range(channels):
                padded(u[b, c, z, y], line)
                left, here, right = line, line[1:], line[2:]
                up, down = u[b, c, z, max(y - 1, 0)], u[b, c, z, min(y + 1, height - 1)]
                front, back = u[b, c, max(z - 1, 0), y], u[b, c, min(z + 1, depth - 1), y]
                for i in range(width):
                    a = here[i]
                    x0, x1, y0, y1 = left[i] - a, right[i] - a, up[i] - a, down[i] - a
                    z0, z1 = front[i] - a, back[i] - a
                    shift = wx * (x0 + x1) + wy * (y0 + y1) + wz * (z0 + z1)
                    spread = (
                        wx * (x0 * x0 + x1 * x1)
                        + wy * (y0 * y0 + y1 * y1)
                        + wz * (z0 * z0 + z1 * z1)
                    )
                    variance[i] += max(spread - shift * shift, u.dtype.type(0.0)) * unbiased
                    power[i] += (a + shift) * (a + shift)
            for i in range(width):
                c_ = (square + fourth) * power[i] / (variance[i] + fourth * power[i] + tiny)
                variance[i] = min(c_, one)
