"""Forward-and-backward diffusion ∂u/∂t = div(g ∇u): g, negative in a band of slopes, and the step.

A state is ``u[b, c, z, y, x]`` as in `perona_malik`. `srad` takes the same `explicit` step.
"""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import padded, parallel


@parallel
def diffusivity(u, inverse, kappa, backward, width_, alpha, g, workers):
    """g[b, z, y, x] = 1/(1 + (s/κ)⁴) - α/(1 + ((s - s_b)/w)²).

    s² is the sum over axes and channels of max(d₊ d₋, 0), d₊ and d₋ being the forward and the
    backward difference over h: 0 at every extremum. ``inverse`` is 1/h² for the axes z, y, x.
    """
    batch, channels, depth, height, width = u.shape
    zero, one = u.dtype.type(0.0), u.dtype.type(1.0)
    iz, iy, ix = inverse
    rows = batch * depth * height
    for worker in prange(workers):
        line = np.empty(width + 2, u.dtype)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, z, y = row // (depth * height), row // height % depth, row % height
            q = g[b, z, y]
            q[:] = 0
            for c in range(channels):
                padded(u[b, c, z, y], line)
                left, here, right = line, line[1:], line[2:]
                up, down = u[b, c, z, max(y - 1, 0)], u[b, c, z, min(y + 1, height - 1)]
                front, back = u[b, c, max(z - 1, 0), y], u[b, c, min(z + 1, depth - 1), y]
                for i in range(width):
                    a = here[i]
                    q[i] += (
                        max((right[i] - a) * (a - left[i]), zero) * ix
                        + max((down[i] - a) * (a - up[i]), zero) * iy
                        + max((back[i] - a) * (a - front[i]), zero) * iz
                    )
            for i in range(width):
                s = np.sqrt(q[i])
                forward, distance = s / kappa, (s - backward) / width_
                forward *= forward
                q[i] = one / (one + forward * forward) - alpha / (one + distance * distance)


@parallel
def explicit(u, v, g, rate, workers):
    """v = u + Σ over the faces of a pixel of rate · (mean of the two g) · (difference of the two u).

    ``rate`` is τ/h² for the axes z, y, x; the border is closed.
    """
    batch, channels, depth, height, width = u.shape
    rows = batch * depth * height
    half = u.dtype.type(0.5)
    rz, ry, rx = half * rate[0], half * rate[1], half * rate[2]
    for worker in prange(workers):
        line, weights = np.empty(width + 2, u.dtype), np.empty(width + 2, u.dtype)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, z, y = row // (depth * height), row // height % depth, row % height
            y0, y1 = max(y - 1, 0), min(y + 1, height - 1)
            z0, z1 = max(z - 1, 0), min(z + 1, depth - 1)
            padded(g[b, z, y], weights)
            g_left, g_here, g_right = weights, weights[1:], weights[2:]
            g_up, g_down, g_front, g_back = g[b, z, y0], g[b, z, y1], g[b, z0, y], g[b, z1, y]
            for c in range(channels):
                padded(u[b, c, z, y], line)
                left, here, right = line, line[1:], line[2:]
                up, down, front, back = (
                    u[b, c, z, y0],
                    u[b, c, z, y1],
                    u[b, c, z0, y],
                    u[b, c, z1, y],
                )
                out = v[b, c, z, y]
                for i in range(width):
                    a, k = here[i], g_here[i]
                    out[i] = a + (
                        rx * ((k + g_right[i]) * (right[i] - a) - (k + g_left[i]) * (a - left[i]))
                        + ry * ((k + g_down[i]) * (down[i] - a) - (k + g_up[i]) * (a - up[i]))
                        + rz * ((k + g_back[i]) * (back[i] - a) - (k + g_front[i]) * (a - front[i]))
                    )
