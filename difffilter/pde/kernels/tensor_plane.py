"""Tensor diffusion in the plane where pixels are square: `anisotropic` without branches.

As long as the eigenvalues of D differ by no more than a factor of 17.9, Selling's algorithm needs no
other vectors than those to the 16 nearest neighbours that are not in line with a nearer one, 8 up to
their sign; up to 37.9 there are 12, up to 101 there are 24. So ρ is kept as a *plane* for each vector,
at most three of them not 0 in a pixel, and every loop runs over consecutive pixels and vectorises.

All arrays have lines of ``stride`` pixels: those of the image, and on either side as many as the
widest window reaches, so that a loop runs over many lines as over one and never leaves the array. The
image is cut into blocks of lines, whose intermediate results stay in the second-level cache. Each
pixel sees the same arithmetic whatever the blocks.
"""

import math
from functools import cache

import numpy as np
from numba import from_dtype, prange, types

from difffilter.pde.kernels.address import address_of, call
from difffilter.pde.kernels.common import inner, kernel, parallel
from difffilter.pde.kernels.gaussian import convolve
from difffilter.pde.kernels.tensor_plane_faces import (
    RUN,
    add_products,
    join,
    mirror,
    tensor_run,
    weights_run,
)

__all__ = ["DERIVATIVE", "ENOUGH", "VECTORS", "evolve", "room"]

# The vectors (x, y), and how many of them are enough for which ratio of the eigenvalues of D. From
# the fifth on they come in families: (p, q), (-p, q), (q, p), (-q, p).
FAMILIES = (2, 1), (3, 1), (3, 2), (4, 1), (5, 1)
VECTORS = np.array(
    [(1, 0), (0, 1), (1, 1), (-1, 1)]
    + [vector for p, q in FAMILIES for vector in ((p, q), (-p, q), (q, p), (-q, p))]
)
ENOUGH = {17.9: 8, 37.9: 12, 101: 24}

# Pixels of a block of lines, about.
BLOCK = 16384

# Pixels on either side that the derivative takes.
DERIVATIVE = 2


@kernel
def block_count(height, stride):
    """Number of blocks of lines of an image."""
    lines = max(8, BLOCK // stride)
    return (height + lines - 1) // lines


def room(height, stride, vectors, radii, dtype, workers):
    """The buffers of each worker, for lines of ``stride`` pixels and Gaussians of two radii."""
    lines = math.ceil(height / block_count(height, stride)) + 2 * VECTORS[:vectors].max()
    tensors = lines + 2 * radii[1]
    states = tensors + 2 * (DERIVATIVE + radii[0])
    size = (states + max(states, tensors) + 3 * tensors + vectors * lines) * stride + 10 * RUN
    return np.empty((workers, size), dtype)


@inner
def split(space, size):
    """The first part of a work space, and the rest."""
    return space[:size], space[size:]


@inner
def blur(a, spare, size, stride, half):
    """Convolve along both axes; as many lines and pixels as ``half`` reaches are lost at the ends."""
    reach = len(half) - 1
    first = reach * stride
    convolve(a, spare[first:], first, size - first, stride, half)
    first += reach
    convolve(spare, a[first:], first, size - first, 1, half)


@inner
def block_faces(
    u, faces, y0, y1, width, stride, pad, kind, kappa2, inverse, least, near_tap, far_tap, presmooth,
    integration, vectors, peak, space,
):  # fmt: skip
    """The faces of the lines from y0 to y1 of an image ``u[c, y·stride + x]``; ``peak`` as in `join`."""
    count = len(vectors)
    reach = vectors[count - 1, 1]  # the longest come last
    height = u.shape[1] // stride - 2 * reach
    r0, r1 = len(presmooth) - 1, len(integration) - 1
    # The lines whose weights, structure tensors and pixels are needed.
    w_top, w_end = max(y0 - reach, 0), min(y1 + reach, height)
    t_top, t_end = w_top - r1, w_end + r1
    j_top, j_end = max(t_top, 0), min(t_end, height)
    u_top, u_end = j_top - DERIVATIVE - r0, j_end + DERIVATIVE + r0
    size_u, size_t, size_w = (
        (u_end - u_top) * stride,
        (t_end - t_top) * stride,
        (w_end - w_top) * stride,
    )
    gx, rest = split(space, RUN)
    gy, rest = split(rest, RUN)
    folded, rest = split(rest, 8 * RUN)
    v, rest = split(rest, size_u)
    spare, rest = split(rest, max(size_u, size_t))
    xx, rest = split(rest, size_t)
    xy, rest = split(rest, size_t)
    yy, rest = split(rest, size_t)
    w = rest[: count * size_w].reshape(count, size_w)
    begin, end = (j_top - t_top) * stride + pad, (j_end - t_top) * stride - pad
    for a in (xx, xy, yy):
        for i in range(size_t):
            a[i] = 0
    for c in range(len(u)):
        for y in range(max(u_top, 0), min(u_end, height)):
            line, source = v[(y - u_top) * stride :], u[c][(y + reach) * stride :]
            for i in range(stride):
                line[i] = source[i]
        mirror(v, u_top, u_end, height, width, stride, pad)
        if r0:
            blur(v, spare, size_u, stride, presmooth)
        add_products(v, xx, xy, yy, begin, end, (t_top - u_top) * stride, stride,
                     near_tap, far_tap, gx, gy)  # fmt: skip
    for a in (xx, xy, yy):
        if r1:
            mirror(a, t_top, t_end, height, width, stride, pad)
            blur(a, spare, size_t, stride, integration)
    offset = (w_top - t_top) * stride
    for start in range(0, size_w, RUN):
        n = min(RUN, size_w - start)
        at = offset + start
        tensor_run(kind, xx[at : at + n], xy[at : at + n], yy[at : at + n], n,
                   kappa2, inverse, least)  # fmt: skip
    for a in (xx, xy, yy):  # no weights beyond the border
        for y in range(w_end - w_top):
            line = a[offset + y * stride :]
            for k in range(pad):
                line[k] = 0
            for k in range(pad + width, stride):
                line[k] = 0
    for start in range(0, size_w, RUN):
        n = min(RUN, size_w - start)
        at = offset + start
        weights_run(xx[at : at + n], xy[at : at + n], yy[at : at + n], w, start, n,
                    folded.reshape(8, RUN))  # fmt: skip
    join(w, w_top, y0, y1, height, width, stride, pad, vectors, faces, peak, xx, v)


@inner
def block_step(u, v, faces, y0, y1, stride, pad, vectors, tau, extra, gain):
    """v = u + τ div(D ∇u) + extra (u + τ div(D ∇u) - v) in the lines from y0 to y1."""
    reach = vectors[len(vectors) - 1, 1]  # the longest come last
    first, last = (y0 + reach) * stride + pad, (y1 + reach) * stride - pad
    for c in range(len(u)):
        for start in range(first, last, RUN):
            n = min(RUN, last - start)
            here, out = u[c][start : start + n], v[c][start : start + n]
            for i in range(n):
                gain[i] = 0
            for k in range(0, len(vectors), 2):  # two at a time, which saves loading and storing
                shift = vectors[k, 1] * stride + vectors[k, 0]
                other = vectors[k + 1, 1] * stride + vectors[k + 1, 0]
                a, b = u[c][start - shift :], u[c][start + shift :]
                p, q = u[c][start - other :], u[c][start + other :]
                face_a, face_b = faces[k][start - shift :], faces[k][start:]
                face_p, face_q = faces[k + 1][start - other :], faces[k + 1][start:]
                for i in range(n):
                    gain[i] += (
                        face_b[i] * (b[i] - here[i])
                        + face_a[i] * (a[i] - here[i])
                        + (face_q[i] * (q[i] - here[i]) + face_p[i] * (p[i] - here[i]))
                    )
            if extra == 0:
                for i in range(n):
                    out[i] = here[i] + tau * gain[i]
            else:
                for i in range(n):
                    step = here[i] + tau * gain[i]
                    out[i] = step + extra * (step - out[i])


def evolve(
    u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least, near_tap, far_tap, inverse_h2,
    usual, cyclic, presmooth, integration, vectors, space,
):  # fmt: skip
    """Evolve ``u`` with a new D for each of ``times``; returns the array with the result.

    Steps are stable, and at least as many as if the weights of a pixel summed up to ``usual``. If
    ``cyclic``, they are cycles of the fast semi-iterative scheme (see `cycle_weights`).
    """
    swapped = run_blocks(
        *addresses(u.dtype), u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least,
        near_tap, far_tap, inverse_h2, usual, cyclic, presmooth, integration, vectors, space,
    )  # fmt: skip
    return v if swapped else u


@cache
def addresses(dtype):
    """The addresses of `block_faces` and `block_step`."""
    real = from_dtype(dtype)
    one, two = (types.Array(real, axes, "C") for axes in (1, 2))
    vectors = types.Array(types.int64, 2, "C")
    return (
        address_of(
            block_faces, u=two, faces=two, kappa2=real, inverse=real, least=real, near_tap=real, far_tap=real,
            presmooth=one, integration=one, vectors=vectors, peak=one, space=one,
        ),
        address_of(block_step, u=two, v=two, faces=two, vectors=vectors, tau=real, extra=real, gain=one),
    )  # fmt: skip


@parallel
def run_blocks(
    make_faces, take_step, u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least,
    near_tap, far_tap, inverse_h2, usual, cyclic, presmooth, integration, vectors, space,
):  # fmt: skip
    """`evolve`, with what is done in a block by the `addresses`; whether ``v`` holds the result."""
    batch, size = faces.shape[0], faces.shape[2]
    reach = vectors[len(vectors) - 1, 1]  # the longest come last
    height = size // stride - 2 * reach
    blocks, workers = block_count(height, stride), len(space)
    jobs = batch * blocks
    peak, gain = np.empty((workers, stride), u.dtype), np.empty((workers, RUN), u.dtype)
    swapped = False
    for time in times:
        for worker in prange(workers):
            peak[worker] = 0
            for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
                b, part = job // blocks, job % blocks
                first, last = part * height // blocks, (part + 1) * height // blocks
                call(make_faces, (u[b], faces[b], first, last, width, stride, pad, kind, kappa2, inverse,
                                  least, near_tap, far_tap, presmooth, integration, vectors, peak[worker],
                                  space[worker]))  # fmt: skip
        largest = 0.0
        for worker in range(workers):
            for i in range(stride):
                largest = max(largest, peak[worker, i])
        largest = max(largest * inverse_h2, usual)
        steps = max(1, math.ceil(time * largest * (1 - 1e-6)))
        cycle = math.ceil(math.sqrt(3 * time * largest + 0.25) - 0.5 - 1e-6)
        if not cyclic or cycle >= steps:
            tau, cycle = time / steps, 0
        else:
            tau, steps = 3 * time / (cycle * (cycle + 1)), cycle
        for k in range(steps):
            # The first step of a cycle has no state before it.
            rate = u.dtype.type((2 / 3 if k == 0 and cycle else 1) * tau * inverse_h2)
            extra = u.dtype.type((2 * k - 1) / (2 * k + 3) if k and cycle else 0)
            for worker in prange(workers):
                for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
                    b, part = job // blocks, job % blocks
                    first, last = part * height // blocks, (part + 1) * height // blocks
                    call(take_step, (u[b], v[b], faces[b], first, last, stride, pad, vectors, rate,
                                     extra, gain[worker]))  # fmt: skip
            u, v, swapped = v, u, not swapped
    return swapped
