"""Fluxes through the faces between runs of consecutive pixels: any channels, masks, diffusivities.

Each flux is computed once, into a buffer, and used with both signs. A run is a slice of a plane's
pixels, line after line, so that narrow images, too, have loops long enough to vectorise. (In `strips`
and here a plane is flat: ``u[b, c, z, y·W + x]``.)
"""

import numpy as np
from numba import types

from difffilter.pde.kernels.common import (
    CONSTANT,
    EXPONENTIAL,
    RATIONAL,
    decay,
    diffusivity_row,
    inlined,
    inner,
)

# The type of a plane and the first pixel in it.
PLACE = types.UniTuple(types.int64, 2)


@inner
def squares(u, b, here, there, n, q):
    """q = Σ_c d_c², d being the differences from n consecutive pixels to as many others."""
    z, start = here
    z1, start1 = there
    near, far = u[b, 0, z][start : start + n], u[b, 0, z1][start1 : start1 + n]
    if u.shape[1] == 3:  # colour, all at once
        near1, far1 = u[b, 1, z][start : start + n], u[b, 1, z1][start1 : start1 + n]
        near2, far2 = u[b, 2, z][start : start + n], u[b, 2, z1][start1 : start1 + n]
        for i in range(n):
            d, d1, d2 = far[i] - near[i], far1[i] - near1[i], far2[i] - near2[i]
            q[i] = d * d + d1 * d1 + d2 * d2
        return
    for i in range(n):
        d = far[i] - near[i]
        q[i] = d * d
    for c in range(1, u.shape[1]):
        near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
        for i in range(n):
            d = far[i] - near[i]
            q[i] += d * d


@inner
def face_weight(u, b, here, there, n, kind, inverse, rate, g, mask, q):
    """q = rate · g of the faces between n consecutive pixels of image b and as many others.

    ``here`` and ``there`` are (plane, first pixel). ``inverse`` is 1/(κh)² and ``rate`` is τ/h².
    """
    z, start = here
    z1, start1 = there
    if g.size:
        half = q.dtype.type(0.5) * rate
        near, far = g[b, z][start : start + n], g[b, z1][start1 : start1 + n]
        for i in range(n):
            q[i] = half * (near[i] + far[i])
    else:
        if kind != CONSTANT:
            squares(u, b, here, there, n, q)
        diffusivity_row(kind, q, n, inverse, rate)
    if mask.size:
        m, zero = b % mask.shape[0], q.dtype.type(0.0)
        near_open, far_open = mask[m, z][start : start + n], mask[m, z1][start1 : start1 + n]
        for i in range(n):
            q[i] = q[i] if near_open[i] and far_open[i] else zero


@inlined
def face_flux(u, b, here, there, n, kind, inverse, rate, g, mask, q, flux, at):
    """rate · g · d_c through the faces of `face_weight`, to flux[c, at : at + n]. q is scratch."""
    z, start = here
    z1, start1 = there
    if u.shape[1] == 1 and not mask.size:
        # The simplest cases need no q, and no slices, whose references are counted.
        one, half = q.dtype.type(1.0), q.dtype.type(0.5) * rate
        near, far, to, count = np.uintp(start), np.uintp(start1), np.uintp(at), np.uintp(n)
        if g.size:
            for i in range(count):
                d = u[b, 0, z1, far + i] - u[b, 0, z, near + i]
                flux[0, to + i] = half * (g[b, z, near + i] + g[b, z1, far + i]) * d
            return
        if kind == RATIONAL:
            for i in range(count):
                d = u[b, 0, z1, far + i] - u[b, 0, z, near + i]
                flux[0, to + i] = rate * d / (one + d * d * inverse)
            return
        if kind == EXPONENTIAL:
            for i in range(count):
                d = u[b, 0, z1, far + i] - u[b, 0, z, near + i]
                flux[0, to + i] = decay(rate, d * d, inverse) * d
            return
        if kind == CONSTANT:
            for i in range(count):
                flux[0, to + i] = rate * (u[b, 0, z1, far + i] - u[b, 0, z, near + i])
            return
    if n < 1:  # there may be no plane z1
        return
    face_weight(u, b, here, there, n, kind, inverse, rate, g, mask, q)
    for c in range(u.shape[1]):
        near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
        f = flux[c][at : at + n]
        for i in range(n):
            f[i] = q[i] * (far[i] - near[i])
