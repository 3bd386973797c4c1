"""Tensor diffusion in volumes: the 6 links of every voxel from the structure tensor, a run at a time.

The stencil is that of `anisotropic`. All voxels of a *run* pass through each loop together, in the
lanes of vector registers, with no branches of their own. An intermediate result is a slot of RUN
numbers in one array: the compiler vectorises loops over slots at constant distances, but not over
several arrays, which it must suppose to overlap. (Indices are unsigned because signed ones might be
negative as far as it knows.) Everything but exp is in float64: next to equal eigenvalues of the
structure tensor are accurate only to the root of the rounding error.
"""

import math

import numpy as np
from numba import prange

from difffilter.pde.kernels.anisotropic import EDGE
from difffilter.pde.kernels.common import WEICKERT_C, exp_minus, inner, kernel, parallel

# Voxels of a run.
LENGTH = 64
RUN = np.uint64(LENGTH)
(
    J_XX, J_XY, J_YY, J_XZ, J_YZ, J_ZZ, ALONE, UPPER, LOWER, G_ALONE, G_UPPER, G_LOWER,
    P_01, P_02, P_03, P_12, P_13, P_23,
) = (np.uint64(k) * RUN for k in range(18))  # fmt: skip
B_0, B_1, B_2, B_3 = (np.uint64(k) * RUN for k in range(4))
SLOTS, BASES = 18, 4

# The factor of numbers above 1e100, whose powers would overflow.
SHRINK = 2.0**-600


# --- D from the structure tensor ------------------------------------------------------------


@kernel
def eigenvalues_run(a):
    """The eigenvalues of symmetric 3×3 matrices: `ALONE`, and `UPPER` and `LOWER`, which may be equal.

    With J = q + p B, tr B = 0 and tr B² = 6 the characteristic equation of B is x³ - 3x = det B,
    and if det B ≥ 0 its largest root, in [√3, 2], is at a distance of √3 or more from the others.
    """
    for i in range(RUN):
        xx, xy, yy = a[J_XX + i], a[J_XY + i], a[J_YY + i]
        xz, yz, zz = a[J_XZ + i], a[J_YZ + i], a[J_ZZ + i]
        q = (xx + yy + zz) / 3.0
        dx, dy, dz = xx - q, yy - q, zz - q
        square = dx * dx + dy * dy + dz * dz + 2.0 * (xy * xy + xz * xz + yz * yz)
        p = math.sqrt(square / 6.0)
        over = 1.0 / max(p, 1e-100)
        dx, dy, dz, xy, xz, yz = dx * over, dy * over, dz * over, xy * over, xz * over, yz * over
        det = dx * (dy * dz - yz * yz) - xy * (xy * dz - yz * xz) + xz * (xy * yz - dy * xz)
        p = -p if det < 0.0 else p
        det = min(abs(det), 2.0)
        x = 1.7320508 + 0.1339746 * det
        for _ in range(3):  # Newton's method, from a value 0.01 away at most
            x -= (x * (x * x - 3.0) - det) / (3.0 * (x * x - 1.0))
        apart = math.sqrt(max(3.0 - 0.75 * x * x, 0.0))
        a[ALONE + i] = q + p * x
        a[UPPER + i] = q + p * (apart - 0.5 * x)
        a[LOWER + i] = q - p * (apart + 0.5 * x)


@inner
def diffusivities_run(a, g, kind, kappa2, least):
    """The eigenvalues of D, given those of the structure tensor; ``g`` is space."""
    number, zero = g.dtype.type, a.dtype.type(0.0)
    for i in range(RUN):
        one, upper, lower = a[ALONE + i], a[UPPER + i], a[LOWER + i]
        if kind == EDGE:
            one, upper, lower = one / kappa2, upper / kappa2, lower / kappa2
            one, upper, lower = max(one, zero), max(upper, zero), max(lower, zero)
            one, upper, lower = one * one, upper * upper, lower * lower
            one, upper, lower = (
                WEICKERT_C / (one * one), WEICKERT_C / (upper * upper),
                WEICKERT_C / (lower * lower),
            )  # fmt: skip
        else:
            largest = max(one, upper, lower)
            one, upper, lower = (
                kappa2 / (largest - one), kappa2 / (largest - upper), kappa2 / (largest - lower),
            )  # fmt: skip
            one, upper, lower = one * one, upper * upper, lower * lower
        g[i], g[RUN + i], g[RUN + RUN + i] = number(one), number(upper), number(lower)
    for k in range(3):
        start = np.uint64(k) * RUN
        for i in range(RUN):
            g[start + i] = exp_minus(g[start + i])
        for i in range(RUN):
            if kind == EDGE:
                a[G_ALONE + start + i] = max(1.0 - g[start + i], least)
            else:
                a[G_ALONE + start + i] = least + (1.0 - least) * g[start + i]


@inner
def products_run(a, inverse):
    """The products b_iᵀ D b_j of the unit vectors b_0, b_1, b_2 and of b_3, minus their sum.

    D is a polynomial of the second degree in the structure tensor, in Newton's form.
    """
    iz, iy, ix = inverse
    for i in range(RUN):
        one, upper, lower = a[ALONE + i], a[UPPER + i], a[LOWER + i]
        g_one, g_upper, g_lower = a[G_ALONE + i], a[G_UPPER + i], a[G_LOWER + i]
        gap = upper - one
        slope = (g_upper - g_one) / gap if gap != 0.0 else 0.0
        gap = lower - upper
        pair = (g_lower - g_upper) / gap if gap != 0.0 else slope
        gap = lower - one
        bend = (pair - slope) / gap if gap != 0.0 else 0.0
        xy, xz, yz = a[J_XY + i], a[J_XZ + i], a[J_YZ + i]
        x, y, z = a[J_XX + i] - one, a[J_YY + i] - one, a[J_ZZ + i] - one
        gap = one - upper
        xx = g_one + slope * x + bend * (x * (x + gap) + xy * xy + xz * xz)
        yy = g_one + slope * y + bend * (y * (y + gap) + xy * xy + yz * yz)
        zz = g_one + slope * z + bend * (z * (z + gap) + xz * xz + yz * yz)
        x, y, z = (
            slope * xy + bend * (xy * (x + y + gap) + xz * yz),
            slope * xz + bend * (xz * (x + z + gap) + xy * yz),
            slope * yz + bend * (yz * (y + z + gap) + xy * xz),
        )
        xx, yy, zz = xx * ix * ix, yy * iy * iy, zz * iz * iz
        xy, xz, yz = x * ix * iy, y * ix * iz, z * iy * iz
        a[P_01 + i], a[P_02 + i], a[P_12 + i] = xy, xz, yz
        a[P_03 + i], a[P_13 + i], a[P_23 + i] = -xx - xy - xz, -yy - xy - yz, -zz - xz - yz


# --- D as a sum over links ------------------------------------------------------------------


# A vector of three integers below 2²⁰ is packed into one integer, and so added and negated at once.
ONE_Y, ONE_Z = np.int64(1 << 21), np.int64(1 << 42)


@inner
def unpacked(b):
    """The vector (x, y, z) of ``b``."""
    half = ONE_Y >> 1
    x = ((b + half) & (ONE_Y - 1)) - half
    b = (b - x) >> 21
    y = ((b + half) & (ONE_Y - 1)) - half
    return x, y, (b - y) >> 21


@inner
def turn(bi, bk, bl, ij, ik, il, jk, jl, kl, tiny):
    """If b_iᵀ D b_j > 0, the superbase -b_i, b_j, b_k + b_i, b_l + b_i instead."""
    sharp = ij > tiny
    s = ij if sharp else 0.0
    add = bi if sharp else np.int64(0)
    return (
        -bi if sharp else bi, bk + add, bl + add,
        -ij if sharp else ij, s + (il if sharp else ik), s + (ik if sharp else il),
        jk + s, jl + s, kl - s,
    )  # fmt: skip


@kernel
def selling_run(a, b, tiny):
    """Superbases b_0 ... b_3 of which no two have a product b_iᵀ D b_j > 0.

    ``a`` has the products, at first those of the unit vectors and minus their sum.
    """
    for i in range(RUN):
        b[B_0 + i], b[B_1 + i], b[B_2 + i] = 1, ONE_Y, ONE_Z
        b[B_3 + i] = -1 - ONE_Y - ONE_Z
    sharp = True
    while sharp:
        for i in range(RUN):
            b0, b1, b2, b3 = b[B_0 + i], b[B_1 + i], b[B_2 + i], b[B_3 + i]
            p01, p02, p03 = a[P_01 + i], a[P_02 + i], a[P_03 + i]
            p12, p13, p23 = a[P_12 + i], a[P_13 + i], a[P_23 + i]
            b0, b2, b3, p01, p02, p03, p12, p13, p23 = turn(
                b0, b2, b3, p01, p02, p03, p12, p13, p23, tiny
            )
            b0, b1, b3, p02, p01, p03, p12, p23, p13 = turn(
                b0, b1, b3, p02, p01, p03, p12, p23, p13, tiny
            )
            b0, b1, b2, p03, p01, p02, p13, p23, p12 = turn(
                b0, b1, b2, p03, p01, p02, p13, p23, p12, tiny
            )
            b1, b0, b3, p12, p01, p13, p02, p23, p03 = turn(
                b1, b0, b3, p12, p01, p13, p02, p23, p03, tiny
            )
            b1, b0, b2, p13, p01, p12, p03, p23, p02 = turn(
                b1, b0, b2, p13, p01, p12, p03, p23, p02, tiny
            )
            b2, b0, b1, p23, p02, p12, p03, p13, p01 = turn(
                b2, b0, b1, p23, p02, p12, p03, p13, p01, tiny
            )
            b[B_0 + i], b[B_1 + i], b[B_2 + i], b[B_3 + i] = b0, b1, b2, b3
            a[P_01 + i], a[P_02 + i], a[P_03 + i] = p01, p02, p03
            a[P_12 + i], a[P_13 + i], a[P_23 + i] = p12, p13, p23
        sharp = False
        for k in range(6):
            start = P_01 + np.uint64(k) * RUN
            for i in range(RUN):
                sharp |= a[start + i] > tiny


@inner
def store_term(a, e, i, k, bk, bl, width, height):
    """ρ/2 in the place of the product of two vectors, and the vector perpendicular to the two others."""
    at, to = P_01 + k * RUN + i, np.uint64(4) * k * RUN + i
    w = max(-0.5 * a[at], 0.0)
    xk, yk, zk = unpacked(bk)
    xl, yl, zl = unpacked(bl)
    x, y, z = yk * zl - zk * yl, zk * xl - xk * zl, xk * yl - yk * xl
    a[at] = w
    e[to], e[to + RUN], e[to + RUN + RUN] = x, y, z
    e[to + RUN + RUN + RUN] = (z * height + y) * width + x if w > 0.0 else 0


@kernel
def terms_run(a, b, e, width, height):
    """The weights ρ_k/2, and x, y, z of each vector with the distance in memory it spans."""
    for i in range(RUN):
        b0, b1, b2, b3 = b[B_0 + i], b[B_1 + i], b[B_2 + i], b[B_3 + i]
        store_term(a, e, i, np.uint64(0), b2, b3, width, height)
        store_term(a, e, i, np.uint64(1), b1, b3, width, height)
        store_term(a, e, i, np.uint64(2), b1, b2, width, height)
        store_term(a, e, i, np.uint64(3), b0, b3, width, height)
        store_term(a, e, i, np.uint64(4), b0, b2, width, height)
        store_term(a, e, i, np.uint64(5), b0, b1, width, height)


@inner
def links_of_run(a, e, first, n, depth, height, width, weight, link):
    """Write the links of n voxels from number ``first`` on; returns the greatest distance in memory."""
    far, wide = np.int32(0), np.int32(0)
    for k in range(6):
        vectors, offsets = e[4 * k * LENGTH :], e[(4 * k + 3) * LENGTH :]
        for i in range(3 * LENGTH):
            wide = max(wide, abs(vectors[i]))
        for i in range(LENGTH):
            far = max(far, abs(offsets[i]))
    weights = a[P_01:]
    for i in range(n):
        at = first + i
        x, y, z = at % width, at // width % height, at // (width * height)
        w, ends = weight[at], link[at]
        far_inside = (
            wide <= x < width - wide and wide <= y < height - wide and wide <= z < depth - wide
        )
        for k in range(6):
            w[k] = weights[k * LENGTH + i]
            v = e[4 * k * LENGTH + i :]
            for side in range(2):
                sign = 1 - 2 * side
                inside = far_inside
                if not far_inside:
                    x1, y1 = x + sign * v[0], y + sign * v[LENGTH]
                    z1 = z + sign * v[2 * LENGTH]
                    inside = 0 <= x1 < width and 0 <= y1 < height and 0 <= z1 < depth
                ends[2 * k + side] = at + sign * v[3 * LENGTH] if inside else at
    return far


@parallel
def make_links(tensor, kind, kappa2, least, inverse, weight, link, workers):
    """The links of D in 3-D, given the structure tensor: see `anisotropic.make_links`.

    ``weight`` is (B, D·H·W, 6), ``link`` (B, D·H·W, 12).
    """
    batch, terms, depth, height, width = tensor.shape
    size = depth * height * width
    runs = (size + LENGTH - 1) // LENGTH
    tiny = 1e-12 * (inverse[0] ** 2 + inverse[1] ** 2 + inverse[2] ** 2)
    reach = np.zeros(workers, np.int64)
    for worker in prange(workers):
        a, b = np.empty(SLOTS * RUN), np.empty(BASES * RUN, np.int64)
        g, e = np.empty(3 * RUN, tensor.dtype), np.empty(24 * RUN, np.int32)
        far = 0
        for job in range(worker * batch * runs // workers, (worker + 1) * batch * runs // workers):
            m, first = job // runs, job % runs * LENGTH
            n = min(LENGTH, size - first)
            largest = 0.0
            for k in range(terms):
                source = tensor[m, k].reshape(-1)[first:]
                for i in range(n):
                    a[k * LENGTH + i] = source[i]
                    largest = max(largest, abs(source[i]))
                for i in range(n, LENGTH):
                    a[k * LENGTH + i] = 0.0
            scale = 1.0
            if largest > 1e100:
                scale = SHRINK
                for i in range(terms * LENGTH):
                    a[i] *= scale
            eigenvalues_run(a)
            diffusivities_run(a, g, kind, max(kappa2 * scale, 1e-300), least)
            products_run(a, inverse)
            selling_run(a, b, tiny)
            terms_run(a, b, e, width, height)
            far = max(far, links_of_run(a, e, first, n, depth, height, width, weight[m], link[m]))
        reach[worker] = far
    return reach.max()
