"""Tensor diffusion ∂u/∂t = div(D ∇u): D from the structure tensor, a stencil for D, explicit steps.

The stencil is that of Fehrenbach & Mirebeau (2013): by Selling's algorithm every tensor is a sum

    D = Σ_k ρ_k e_k e_kᵀ,        ρ_k ≥ 0,  e_k vectors of integers,

of 3 terms in 2-D and 6 in 3-D (`tensor_volume`), and intensity moves along the *links* from each
pixel to the pixels at ± e_k: through a link of pixel p flows τ ρ_k/2 · (u(p ± e_k) - u(p)), which is
added to p and taken from the other end. All weights are ≥ 0, so no step makes a new extremum as long
as τ · (sum of the weights of a pixel's links) ≤ 1; the sum is at most 2 tr D where D is constant.
Links that would leave the image carry nothing.

A state is ``u[b, c, z, y, x]`` as in `perona_malik`; ``z`` has length 1 in 2-D. This serves every
spacing and every D; `tensor_plane` is faster where pixels are square and D is moderate.
"""

import math

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import WEICKERT_C, copy, inner, kernel, parallel, reflected, seen

# Codes of the ways to make D.
EDGE, COHERENCE = range(2)

# Pixels of a piece of work, at least.
PIECE = 4096

# The pixels that a derivative looks at, seen from where it is.
FROM = (-2, -1, 1, 2)

# --- D from the structure tensor ------------------------------------------------------------


@inner
def differences(far_before, before, after, far_after, taps, result):
    """Derivatives of a row from the four rows around it; ``taps`` are the weights of the differences."""
    near, far = taps
    for i in range(result.size):
        result[i] = near * (after[i] - before[i]) + far * (far_after[i] - far_before[i])


@parallel
def structure(u, taps, tensor, workers):
    """Σ_c ∇u_c ∇u_cᵀ by differences of fourth order, to ``tensor[b, k, z, y, x]``.

    The components k are xx, xy, yy and, in volumes, xz, yz, zz. ``taps`` are the weights of the
    differences across two and four pixels, for the axes z, y, x; beyond the border the image is
    reflected.
    """
    batch, channels, depth, height, width = u.shape
    rows = batch * depth * height
    for worker in prange(workers):
        gx, gy, gz = np.empty(width, u.dtype), np.empty(width, u.dtype), np.empty(width, u.dtype)
        line = np.empty(width + 4, u.dtype)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, z, y = row // (depth * height), row // height % depth, row % height
            t = tensor[b, :, z, y]
            t[:] = 0
            for c in range(channels):
                plane = u[b, c, z]
                for i in range(-2, width + 2):
                    line[i + 2] = plane[y, reflected(i, width)]
                differences(line, line[1:], line[3:], line[4:], taps[2], gx)
                differences(plane[reflected(y - 2, height)], plane[reflected(y - 1, height)],
                            plane[reflected(y + 1, height)], plane[reflected(y + 2, height)],
                            taps[1], gy)  # fmt: skip
                xx, xy, yy = t[0], t[1], t[2]
                for i in range(width):
                    xx[i] += gx[i] * gx[i]
                    xy[i] += gx[i] * gy[i]
                    yy[i] += gy[i] * gy[i]
                if depth > 1:
                    v = u[b, c]
                    differences(v[reflected(z - 2, depth), y], v[reflected(z - 1, depth), y],
                                v[reflected(z + 1, depth), y], v[reflected(z + 2, depth), y],
                                taps[0], gz)  # fmt: skip
                    xz, yz, zz = t[3], t[4], t[5]
                    for i in range(width):
                        xz[i] += gx[i] * gz[i]
                        yz[i] += gy[i] * gz[i]
                        zz[i] += gz[i] * gz[i]


@parallel
def structure_within(u, mask, taps, tensor, workers):
    """`structure` within masks (B, D, H, W), beyond which the image is reflected as well."""
    batch, channels, depth, height, width = u.shape
    rows = batch * depth * height
    for worker in prange(workers):
        near, slope = np.empty((4, width), u.dtype), np.empty((3, width), u.dtype)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, z, y = row // (depth * height), row // height % depth, row % height
            t = tensor[b, :, z, y]
            t[:] = 0
            for c in range(channels):
                k = 0
                for i in range(3 if depth > 1 else 2):  # x, y, z
                    for n in range(4):
                        seen(u[b, c], mask[b], z, y, 2 - i, FROM[n], near[n])
                    differences(near[0], near[1], near[2], near[3], taps[2 - i], slope[i])
                    for j in range(i + 1):
                        for x in range(width):
                            t[k, x] += slope[i, x] * slope[j, x]
                        k += 1


@inner
def eigenvalue(kind, mu, largest, kappa2, least):
    """The eigenvalue of D for the eigenvalue mu of the structure tensor."""
    if kind == EDGE:
        q = max(mu, 0.0) / kappa2
        return max(1.0 - math.exp(-WEICKERT_C / (q * q * q * q)), least)
    q = kappa2 / (largest - mu)
    return least + (1.0 - least) * math.exp(-q * q)


@inner
def diffusion_tensor_2d(kind, xx, xy, yy, kappa2, least):
    """D, with the eigenvectors of the structure tensor, as (xx, xy, yy)."""
    mean, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    radius = math.sqrt(half * half + xy * xy)
    large, small = mean + radius, mean - radius
    across = eigenvalue(kind, large, large, kappa2, least)
    along = eigenvalue(kind, small, large, kappa2, least)
    # D is a first-degree polynomial in the structure tensor.
    slope = 0.5 * (across - along) / radius if radius > 1e-12 * mean else 0.0
    offset = along - slope * small
    return slope * xx + offset, slope * xy, slope * yy + offset


# --- D as a sum over links ------------------------------------------------------------------


@kernel
def selling_2d(xx, xy, yy, rho, e):
    """D = Σ_k rho[k] e[k] e[k]ᵀ with k < 3, rho ≥ 0 and e[k] = (x, y, 0) integer."""
    # Three vectors that add up to zero (a superbase). While two of them, i and j, have a positive
    # product b_iᵀ D b_j, another triple takes their place, whose products have a smaller sum.
    ax, ay, bx, by, cx, cy = 1, 0, 0, 1, -1, -1
    ab, ac, bc = xy, -xx - xy, -xy - yy
    tiny = 1e-12 * (xx + yy)
    while True:
        if ab > tiny:
            cx, cy, ax, ay = ax - bx, ay - by, -ax, -ay
            ab, ac, bc = -ab, ac + 2.0 * ab, bc + 2.0 * ab
        elif ac > tiny:
            bx, by, ax, ay = ax - cx, ay - cy, -ax, -ay
            ab, ac, bc = ab + 2.0 * ac, -ac, bc + 2.0 * ac
        elif bc > tiny:
            ax, ay, bx, by = bx - cx, by - cy, -bx, -by
            ab, ac, bc = ab + 2.0 * bc, ac + 2.0 * bc, -bc
        else:
            break
    rho[0], rho[1], rho[2] = max(-bc, 0.0), max(-ac, 0.0), max(-ab, 0.0)
    e[0, 0], e[0, 1] = -ay, ax  # perpendicular to the three
    e[1, 0], e[1, 1] = -by, bx
    e[2, 0], e[2, 1] = -cy, cx


@parallel
def make_links(tensor, kind, kappa2, least, inverse, weight, link, workers):
    """The links of D in 2-D, given the structure tensor.

    Parameters
    ----------
    tensor : array (B, 3, 1, H, W)
        The smoothed structure tensor.
    kind : int
        `EDGE` or `COHERENCE`.
    kappa2, least : float
        κ² and the smallest eigenvalue of D.
    inverse : array (3,)
        1/h for the axes z, y, x.
    weight : array (B, H·W, 3), written to
        ρ_k/2.
    link : array (B, H·W, 6) of int32, written to
        The pixels at + e_k and - e_k, one after the other; the pixel itself where there is none.
    workers : int
        Number of workers.

    Returns
    -------
    int
        The greatest distance in memory that a link spans.
    """
    batch, _, _, height, width = tensor.shape
    rows = batch * height
    _, iy, ix = inverse
    reach = np.zeros(workers, np.int64)
    for worker in prange(workers):
        rho, e = np.empty(3), np.zeros((3, 2), np.int64)
        far = 0
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            n, y = row // height, row % height
            t = tensor[n, :, 0, y]
            for x in range(width):
                xx, xy, yy = diffusion_tensor_2d(
                    kind, float(t[0, x]), float(t[1, x]), float(t[2, x]), kappa2, least
                )
                selling_2d(xx * ix * ix, xy * ix * iy, yy * iy * iy, rho, e)
                at = y * width + x
                w, ends = weight[n, at], link[n, at]
                for k in range(3):
                    w[k] = 0.5 * rho[k]
                    offset = e[k, 1] * width + e[k, 0]
                    for side in range(2):
                        sign = 1 - 2 * side
                        x1, y1 = x + sign * e[k, 0], y + sign * e[k, 1]
                        inside = 0 <= x1 < width and 0 <= y1 < height and w[k] > 0
                        ends[2 * k + side] = at + sign * offset if inside else at
                        if inside:
                            far = max(far, abs(offset))
        reach[worker] = far
    return reach.max()


@parallel
def cut_links(link, mask):
    """Cut the links on whose way, in the box between their ends, a pixel is beyond the mask."""
    batch, size, ends = link.shape
    height, width = mask.shape[2:]
    for job in prange(batch * size):
        b, at = job // size, job % size
        for k in range(ends):
            end, whole = link[b, at, k], True
            z0, y0, x0 = at // (height * width), at // width % height, at % width
            z1, y1, x1 = end // (height * width), end // width % height, end % width
            for z in range(min(z0, z1), max(z0, z1) + 1):
                for y in range(min(y0, y1), max(y0, y1) + 1):
                    for x in range(min(x0, x1), max(x0, x1) + 1):
                        whole &= mask[b, z, y, x]
            if not whole:
                link[b, at, k] = at


@inner
def pieces(size, reach):
    """The length of pieces, every other one of which may be worked on at the same time."""
    return min(size, max(PIECE, 2 * reach))


@parallel
def largest_sum(weight, link, reach):
    """The largest sum of the weights of all links of a pixel, in either direction."""
    batch, size, terms = weight.shape
    total = np.zeros((batch, size))
    piece = pieces(size, reach)
    count = size // piece
    for colour in range(2):
        jobs = batch * ((count + 1 - colour) // 2)
        for job in prange(jobs):
            b, part = job % batch, 2 * (job // batch) + colour
            t = total[b]
            for at in range(part * piece, size if part == count - 1 else (part + 1) * piece):
                for k in range(terms):
                    w = weight[b, at, k]
                    for side in range(2):
                        end = link[b, at, 2 * k + side]
                        if end != at:
                            t[at] += w
                            t[end] += w
    return total.max()


@parallel
def explicit(u, v, steps, tau, weight, link, reach):
    """Take ``steps`` explicit steps of size ``tau`` from ``u`` with the same links.

    ``u`` and ``v`` are (B, C, D·H·W) and both are written to; returns whether the result is in
    ``v``. The image is cut into pieces, and the even ones are worked on before the odd ones: no link
    is long enough to lead to the next but one.
    """
    batch, channels, size = u.shape
    terms = weight.shape[2]
    piece = pieces(size, reach)
    count = size // piece
    for _ in range(steps):
        for row in prange(batch * channels * count):
            b, c, part = row // count // channels, row // count % channels, row % count
            end = size if part == count - 1 else (part + 1) * piece
            copy(u[b, c, part * piece : end], v[b, c, part * piece : end])
        for colour in range(2):
            jobs = batch * ((count + 1 - colour) // 2)
            for job in prange(jobs):
                b, part = job % batch, 2 * (job // batch) + colour
                for c in range(channels):
                    old, new = u[b, c], v[b, c]
                    for at in range(
                        part * piece, size if part == count - 1 else (part + 1) * piece
                    ):
                        here, gain = old[at], old.dtype.type(0.0)
                        for k in range(terms):
                            w = tau * weight[b, at, k]
                            i, j = link[b, at, 2 * k], link[b, at, 2 * k + 1]
                            f, g = w * (old[i] - here), w * (old[j] - here)
                            new[i] -= f
                            new[j] -= g
                            gain += f + g
                        new[at] += gain
        u, v = v, u
    return steps % 2 == 1
