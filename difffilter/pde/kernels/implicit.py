"""Implicit steps along one axis: a tridiagonal system for every column of pixels, many side by side.

The weights of the faces are those of `perona_malik.step`, from `face_flux`. Columns that are next to
each other are solved together, so that all loops run over consecutive pixels and vectorise.
"""

from functools import cache

import numpy as np
from numba import from_dtype, prange, types

from difffilter.pde.kernels.address import address_of, call
from difffilter.pde.kernels.common import flat, inner, parallel
from difffilter.pde.kernels.face_flux import PLACE, face_weight

__all__ = ["implicit"]


@inner
def solve_columns(
    weight, u, b, z, first, m, width, kind, inverse, rate, g, mask, ratio, weights
):  # fmt: skip
    """`implicit` for m columns of one plane side by side, by elimination and substitution.

    With the weights w_i of the faces between the lines i and i + 1, the solution v of
    v_i + w_i (v_i - v_{i+1}) + w_{i-1} (v_i - v_{i-1}) = u_i is u_i + ratio_i v_{i+1} once u has
    been eliminated downwards. Only positive numbers are added on the way, so nothing cancels.
    """
    channels, count = u.shape[1], u.shape[3] // width
    one = u.dtype.type(1.0)
    before, after, share = weights[0], weights[1], weights[2]
    for j in range(m):
        before[j] = 0
    for i in range(count):
        at = i * width + first
        if i + 1 < count:
            call(weight, (u, b, (z, at), (z, at + width), m, kind, inverse, rate, g, mask, after))
        else:
            for j in range(m):
                after[j] = 0
        r, r_above = ratio[i], ratio[max(i - 1, 0)]
        for j in range(m):
            share[j] = one + after[j]
        if i > 0:
            for j in range(m):
                share[j] += before[j] * (one - r_above[j])
        for c in range(channels):
            x = u[b, c, z][at : at + m]
            if i > 0:
                x_above = u[b, c, z][at - width :]
                for j in range(m):
                    x[j] += before[j] * x_above[j]
            for j in range(m):
                x[j] /= share[j]
        for j in range(m):
            r[j] = after[j] / share[j]
            before[j] = after[j]
    for i in range(count - 2, -1, -1):
        at, r = i * width + first, ratio[i]
        for c in range(channels):
            x, x_below = u[b, c, z][at : at + m], u[b, c, z][at + width :]
            for j in range(m):
                x[j] += r[j] * x_below[j]


def implicit(u, kind, inverse, rate, g, mask, ratio, weights):
    """u <- (1 - τ A_y(u))⁻¹ u in place, A_y being the diffusion along the axis y alone.

    Parameters are those of `strips.evolve`, but ``inverse`` and ``rate`` are numbers, those of this
    axis, and ``ratio (N, H, M)`` and ``weights (N, 3, M)`` are room for N workers and M columns.
    """
    solve_all(*addresses(u.dtype), flat(u), u.shape[4], kind, inverse, rate, flat(g), flat(mask),
              ratio, weights)  # fmt: skip


@cache
def addresses(dtype):
    """The addresses of `solve_columns` and `face_weight`."""
    real = from_dtype(dtype)
    one, two, three, four = (types.Array(real, axes, "C") for axes in (1, 2, 3, 4))
    shared = {
        "u": four, "inverse": real, "rate": real, "g": three,
        "mask": types.Array(types.boolean, 3, "C", readonly=True),
    }  # fmt: skip
    weight = address_of(face_weight, **shared, here=PLACE, there=PLACE, q=one)
    return address_of(solve_columns, weight=weight, **shared, ratio=two, weights=two), weight


@parallel
def solve_all(columns, weight, u, width, kind, inverse, rate, g, mask, ratio, weights):
    """`implicit`, with the `addresses` of `solve_columns` and `face_weight`."""
    batch, depth = u.shape[0], u.shape[2]
    workers, most = ratio.shape[0], ratio.shape[2]
    parts = (width + most - 1) // most
    jobs = batch * depth * parts
    for w in prange(workers):
        worker = np.int64(w)
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            first = job % parts * most
            call(columns, (
                weight, u, job // parts // depth, job // parts % depth, first, min(most, width - first),
                width, kind, inverse, rate, g, mask, ratio[worker], weights[worker],
            ))  # fmt: skip
