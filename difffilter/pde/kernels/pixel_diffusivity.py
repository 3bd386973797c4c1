"""The diffusivity g of every pixel, from the gradient of a (smoothed) image by central differences.

`face_flux` has the alternative, g from the difference across each face.
"""

from functools import cache

import numpy as np
from numba import from_dtype, prange, types

from difffilter.pde.kernels.address import address_of, call
from difffilter.pde.kernels.common import diffusivity_row, flat, inner, lines_of_run, parallel

__all__ = ["pixel_diffusivity"]


@inner
def add_squares(u, b, z, c, z1, z2, start, n, back, forth, inverse, q):
    """Add d²·inverse to n pixels of q from ``start`` on.

    d is the difference between the pixels ``forth`` on in plane z2 and those ``back`` before in z1.
    """
    here = np.uintp(start)
    before, after = np.uintp(start - back), np.uintp(start + forth)
    for i in range(np.uintp(max(n, 0))):
        d = u[b, c, z2, after + i] - u[b, c, z1, before + i]
        q[here + i] += d * d * inverse


@inner
def gradient(u, b, z, first, last, width, inverse, q):
    """q = Σ_c |∇u_c|²/κ² in the lines from ``first`` to ``last``, by central differences.

    A neighbour beyond the border is taken to equal the pixel itself.
    """
    channels, depth, size = u.shape[1:]
    height, start, end = size // width, first * width, last * width
    for i in range(np.uintp(start), np.uintp(end)):
        q[i] = 0
    at = max(start, 1)
    for c in range(channels):
        add_squares(u, b, z, c, z, z, at, min(end, size - 1) - at, 1, 1, inverse[2], q)
    for line in range(start, end, width):  # the first and the last pixel lack a neighbour
        for x in range(0, width, max(width - 1, 1)):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            q[line + x] = 0
            for c in range(channels):
                d = u[b, c, z, line + right] - u[b, c, z, line + left]
                q[line + x] += d * d * inverse[2]
    top, bottom = max(first, 1), min(last, height - 1)
    for c in range(channels):
        add_squares(
            u, b, z, c, z, z, top * width, (bottom - top) * width, width, width, inverse[1], q
        )
        if first == 0 and height > 1:
            add_squares(u, b, z, c, z, z, 0, width, 0, width, inverse[1], q)
        if last == height and height > 1:
            add_squares(u, b, z, c, z, z, end - width, width, width, 0, inverse[1], q)
        if depth > 1:
            add_squares(u, b, z, c, max(z - 1, 0), min(z + 1, depth - 1), start, end - start, 0, 0,
                        inverse[0], q)  # fmt: skip


@inner
def masked_gradient(u, b, z, first, last, width, inverse, mask, q):
    """`gradient` where a neighbour outside the mask is taken to equal the pixel itself, too."""
    channels, depth, size = u.shape[1:]
    m, near, far = b % mask.shape[0], max(z - 1, 0), min(z + 1, depth - 1)
    for y in range(first, last):
        for x in range(width):
            i = y * width + x
            left, right = (i - 1 if x > 0 else i), (i + 1 if x + 1 < width else i)
            up, down = (i - width if y > 0 else i), (i + width if i + width < size else i)
            total = u.dtype.type(0.0)
            for c in range(channels):
                a = u[b, c, z, i]
                dx = (u[b, c, z, right] if mask[m, z, right] else a) - (
                    u[b, c, z, left] if mask[m, z, left] else a
                )
                dy = (u[b, c, z, down] if mask[m, z, down] else a) - (
                    u[b, c, z, up] if mask[m, z, up] else a
                )
                dz = (u[b, c, far, i] if mask[m, far, i] else a) - (
                    u[b, c, near, i] if mask[m, near, i] else a
                )
                total += dx * dx * inverse[2] + dy * dy * inverse[1] + dz * dz * inverse[0]
            q[i] = total


@inner
def diffusivity_lines(row, u, b, first, last, width, lines, kind, inverse, mask, g):
    """`pixel_diffusivity` of the lines from ``first`` to ``last`` of image b, so many ``lines`` at a time.

    ``row`` is the address of `diffusivity_row`.
    """
    depth, one = u.shape[2], u.dtype.type(1.0)
    for z in range(depth):
        for y in range(first, last, lines):
            end = min(y + lines, last)
            if mask.size:
                masked_gradient(u, b, z, y, end, width, inverse, mask, g[b, z])
            else:
                gradient(u, b, z, y, end, width, inverse, g[b, z])
            call(row, (kind, g[b, z][y * width :], (end - y) * width, one, one))


def pixel_diffusivity(u, kind, inverse, mask, g, workers):
    """g[b, z, y, x] of the gradient of ``u`` by central differences, over all channels.

    ``inverse`` is 1/(2κh)² for the axes z, y, x. A neighbour beyond the border or the mask is
    taken to equal the pixel itself.
    """
    width = u.shape[4]
    run_diffusivity(*addresses(u.dtype), flat(u), width, lines_of_run(u.shape[3], width),
                    kind, inverse, flat(mask), flat(g), workers)  # fmt: skip


@cache
def addresses(dtype):
    """The addresses of `diffusivity_lines` and `diffusivity_row`."""
    real = from_dtype(dtype)
    one, three, four = (types.Array(real, axes, "C") for axes in (1, 3, 4))
    mask = types.Array(types.boolean, 3, "C", readonly=True)
    row = address_of(diffusivity_row, q=one, inverse=real, rate=real)
    return address_of(diffusivity_lines, row=row, u=four, inverse=one, mask=mask, g=three), row


@parallel
def run_diffusivity(some, row, u, width, lines, kind, inverse, mask, g, workers):
    """`pixel_diffusivity`; each worker takes a part of every image."""
    height = u.shape[3] // width
    for worker in prange(workers):
        first, last = worker * height // workers, (worker + 1) * height // workers
        for b in range(len(u)):
            call(
                some,
                (row, u, b, np.int64(first), np.int64(last), width, lines, kind, inverse, mask, g),
            )
