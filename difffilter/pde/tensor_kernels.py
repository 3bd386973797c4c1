"""Jitted functions of tensor diffusion ∂u/∂t = div(D ∇u): D from the image, and a stencil for D.

The stencil is that of Fehrenbach & Mirebeau (2013): by Selling's algorithm every tensor is a sum

    D = Σ_k ρ_k e_k e_kᵀ,        ρ_k ≥ 0,  e_k vectors of integers,

of 3 terms in 2-D and 6 in 3-D, and intensity moves along the *links* from each pixel to the pixels
at ± e_k: through a link of pixel p flows τ ρ_k/2 · (u(p ± e_k) - u(p)), which is added to p and
taken from the other end. All weights are ≥ 0, so that no step makes a new extremum as long as
τ · (sum of the weights of a pixel's links) ≤ 1; the sum is at most 2 tr D where D is constant.
Links that would leave the image carry nothing.

A state is ``u[b, c, z, y, x]`` as in `kernels`; ``z`` has length 1 in 2-D. All jitted functions
that call each other stand in this file because Numba's on-disk cache does not notice a change in
a jitted function of another file.
"""

import math

import numpy as np
from numba import njit, prange, types
from numba.extending import overload

OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "cache": True, "nogil": True}

EDGE, COHERENCE = range(2)  # codes of the ways to make D

WEICKERT_C = 3.31488

# Pixels of a piece of work, at least.
PIECE = 4096

STRETCH = 2048  # pixels that all terms of a sum are added up for, in the first-level cache


def exp_minus(x):
    """exp(-x) for x ≥ 0, vectorisable in float32."""
    return math.exp(-x)


@overload(exp_minus)
def _exp_minus(x):
    if x is types.float32:
        return _exp_minus_float32
    return lambda x: math.exp(-x)


def _exp_minus_float32(x):
    # 2^-n · exp(-r) with n = round(x / ln 2): see `kernels`, which does it in fewer steps.
    x = min(x, np.float32(87.0))
    n = np.int32(x * np.float32(1.4426950408889634) + np.float32(0.5))
    f = np.float32(n)
    r = (f * np.float32(0.693359375) - x) - f * np.float32(2.12194440e-4)
    p = np.float32(1.0 / 720.0)
    p = p * r + np.float32(1.0 / 120.0)
    p = p * r + np.float32(1.0 / 24.0)
    p = p * r + np.float32(1.0 / 6.0)
    p = p * r + np.float32(0.5)
    p = p * r + np.float32(1.0)
    p = p * r + np.float32(1.0)
    return p * np.int32((np.int32(127) - n) << np.int32(23)).view(np.float32)


@njit(**OPTIONS)
def reflected(i, n):
    """The pixel of n that stands for pixel i beyond the border: ... 1 0 | 0 1 2 ... n-1 | n-1 ..."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@njit(**OPTIONS)
def smooth(source, target, first, last, step, half):
    """Convolve pixels `step` apart with a symmetric kernel, ``half`` being its right half; the
    pixels from `first` to `last` of ``source`` become ``target``."""
    for start in range(first, last, STRETCH):
        n = min(STRETCH, last - start)
        out, here = target[start - first : start - first + n], source[start : start + n]
        h = half[0]
        for i in range(n):
            out[i] = h * here[i]
        for k in range(1, len(half)):
            before, after = source[start - k * step :], source[start + k * step :]
            h = half[k]
            for i in range(n):
                out[i] += h * (before[i] + after[i])


@njit(parallel=True, **OPTIONS)
def blur_slices(a, result, half_y, half_x, workers):
    """Blur the slices ``a[n, y, x]``, given the right halves of the Gaussians along y and x; beyond
    the border they are reflected."""
    count, height, width = a.shape
    ry, rx = len(half_y) - 1, len(half_x) - 1
    stride = width + 2 * rx
    for worker in prange(workers):
        lines = np.zeros((height + 2 * ry) * stride, a.dtype)
        blurred = np.empty(height * stride, a.dtype)
        for n in range(worker * count // workers, (worker + 1) * count // workers):
            for y in range(-ry, height + ry):
                line, here = lines[(y + ry) * stride + rx :], a[n, reflected(y, height)]
                for i in range(width):
                    line[i] = here[i]
            smooth(lines, blurred, ry * stride, (ry + height) * stride, stride, half_y)
            for y in range(height):
                line = blurred[y * stride : (y + 1) * stride]
                for k in range(rx):
                    line[rx - 1 - k] = line[rx + reflected(-1 - k, width)]
                    line[rx + width + k] = line[rx + reflected(width + k, width)]
            smooth(blurred, lines, rx, height * stride - rx, 1, half_x)
            for y in range(height):
                line, out = lines[y * stride :], result[n, y]
                for i in range(width):
                    out[i] = line[i]


@njit(parallel=True, **OPTIONS)
def blur_depth(a, result, half, workers):
    """Blur ``a[n, z, i]`` along z, given the right half of the Gaussian; beyond the border it is
    reflected."""
    count, depth, size = a.shape
    jobs = count * depth
    for worker in prange(workers):
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            n, z = job // depth, job % depth
            for start in range(0, size, STRETCH):
                m = min(STRETCH, size - start)
                out, here = result[n, z, start : start + m], a[n, z, start : start + m]
                h = half[0]
                for i in range(m):
                    out[i] = h * here[i]
                for k in range(1, len(half)):
                    before = a[n, reflected(z - k, depth), start : start + m]
                    after = a[n, reflected(z + k, depth), start : start + m]
                    h = half[k]
                    for i in range(m):
                        out[i] += h * (before[i] + after[i])


@njit(**OPTIONS)
def differences(far_before, before, after, far_after, taps, result):
    """Derivatives of a row from four rows around; ``taps`` are the differences' weights."""
    inner, outer = taps
    for i in range(result.size):
        result[i] = inner * (after[i] - before[i]) + outer * (far_after[i] - far_before[i])


@njit(parallel=True, **OPTIONS)
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


# --- D from the structure tensor ------------------------------------------------------------


@njit(**OPTIONS)
def eigenvalue(kind, mu, largest, kappa2, least):
    """The eigenvalue of D that belongs to the eigenvalue mu of the structure tensor."""
    if kind == EDGE:
        q = max(mu, 0.0) / kappa2
        return max(1.0 - math.exp(-WEICKERT_C / (q * q * q * q)), least)
    q = kappa2 / (largest - mu)
    return least + (1.0 - least) * math.exp(-q * q)


@njit(**OPTIONS)
def diffusion_tensor_2d(kind, xx, xy, yy, kappa2, least):
    """D with the structure tensor's eigenvectors, as (xx, xy, yy)."""
    mean, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    radius = math.sqrt(half * half + xy * xy)
    large, small = mean + radius, mean - radius
    across = eigenvalue(kind, large, large, kappa2, least)
    along = eigenvalue(kind, small, large, kappa2, least)
    # D is a first-degree polynomial in the structure tensor.
    slope = 0.5 * (across - along) / radius if radius > 1e-12 * mean else 0.0
    offset = along - slope * small
    return slope * xx + offset, slope * xy, slope * yy + offset


# The voxels of a *run* go through each loop together, all of them in vector registers' lanes. An
# intermediate result is a slot of RUN numbers in one array, as the compiler vectorises loops over
# slots at constant distances, and does not over many arrays that it must suppose to overlap.
# (Indices are unsigned because others may be negative as far as it knows.)
RUN = np.uint64(64)
(
    J_XX, J_XY, J_YY, J_XZ, J_YZ, J_ZZ, ALONE, UPPER, LOWER, G_ALONE, G_UPPER, G_LOWER,
    P_01, P_02, P_03, P_12, P_13, P_23,
) = (np.uint64(k) * RUN for k in range(18))  # fmt: skip
B_0, B_1, B_2, B_3 = (np.uint64(k) * RUN for k in range(4))
SLOTS, BASES = 18, 4


@njit(**OPTIONS)
def eigenvalues_run(a):
    """The eigenvalues of symmetric 3×3 matrices: the one `ALONE`, two that may be equal.

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


@njit(**OPTIONS)
def diffusivities_run(a, g, kind, kappa2, least):
    """The eigenvalues of D, given those of the structure tensor; ``g`` is space."""
    number = g.dtype.type
    for i in range(RUN):
        one, upper, lower = a[ALONE + i], a[UPPER + i], a[LOWER + i]
        if kind == EDGE:
            one, upper, lower = one / kappa2, upper / kappa2, lower / kappa2
            one, upper, lower = max(one, 0.0), max(upper, 0.0), max(lower, 0.0)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def selling_2d(xx, xy, yy, rho, e):
    """D = Σ_k rho[k] e[k] e[k]ᵀ with k < 3, rho ≥ 0 and e[k] = (x, y, 0) integer."""
    # Three vectors that add up to zero. While two of them, i and j, have a positive product
    # b_iᵀ D b_j, they give way to a triple whose products are smaller in sum.
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
    e[0, 0], e[0, 1] = -ay, ax  # the vectors at right angles to the three
    e[1, 0], e[1, 1] = -by, bx
    e[2, 0], e[2, 1] = -cy, cx


# A vector of three integers below 2²⁰ is packed into one, and so added and negated at once.
ONE_Y, ONE_Z = np.int64(1 << 21), np.int64(1 << 42)


@njit(**OPTIONS)
def unpacked(b):
    """The vector (x, y, z) of ``b``."""
    half = ONE_Y >> 1
    x = ((b + half) & (ONE_Y - 1)) - half
    b = (b - x) >> 21
    y = ((b + half) & (ONE_Y - 1)) - half
    return x, y, (b - y) >> 21


@njit(**OPTIONS)
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


@njit(**OPTIONS)
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


@njit(**OPTIONS)
def store_term(a, e, i, k, bk, bl, width, height):
    """ρ/2 in the place of the product of two, and the vector at right angles to the two others."""
    at, to = P_01 + k * RUN + i, np.uint64(4) * k * RUN + i
    w = max(-0.5 * a[at], 0.0)
    xk, yk, zk = unpacked(bk)
    xl, yl, zl = unpacked(bl)
    x, y, z = yk * zl - zk * yl, zk * xl - xk * zl, xk * yl - yk * xl
    a[at] = w
    e[to], e[to + RUN], e[to + RUN + RUN] = x, y, z
    e[to + RUN + RUN + RUN] = (z * height + y) * width + x if w > 0.0 else 0


@njit(**OPTIONS)
def terms_run(a, b, e, width, height):
    """The weights ρ_k/2, and of each vector x, y, z and how far it leads in memory."""
    for i in range(RUN):
        b0, b1, b2, b3 = b[B_0 + i], b[B_1 + i], b[B_2 + i], b[B_3 + i]
        store_term(a, e, i, np.uint64(0), b2, b3, width, height)
        store_term(a, e, i, np.uint64(1), b1, b3, width, height)
        store_term(a, e, i, np.uint64(2), b1, b2, width, height)
        store_term(a, e, i, np.uint64(3), b0, b3, width, height)
        store_term(a, e, i, np.uint64(4), b0, b2, width, height)
        store_term(a, e, i, np.uint64(5), b0, b1, width, height)


@njit(**OPTIONS)
def links_of_run(a, e, first, n, depth, height, width, weight, link):
    """Write the links of n voxels from the one numbered `first`; returns how far they lead."""
    far, wide = np.int32(0), np.int32(0)
    for k in range(6):
        vectors = e[4 * k * 64 : 4 * (k + 1) * 64]
        for i in range(3 * 64):
            wide = max(wide, abs(vectors[i]))
        for i in range(3 * 64, 4 * 64):
            far = max(far, abs(vectors[i]))
    weights, offsets = a[P_01:], e[3 * 64 :]
    for i in range(n):
        at = first + i
        x, y, z = at % width, at // width % height, at // (width * height)
        w, ends = weight[at], link[at]
        if wide <= x < width - wide and wide <= y < height - wide and wide <= z < depth - wide:
            for k in range(6):
                w[k] = weights[k * 64 + i]
                ends[2 * k] = at + offsets[4 * k * 64 + i]
                ends[2 * k + 1] = at - offsets[4 * k * 64 + i]
            continue
        for k in range(6):
            w[k] = weights[k * 64 + i]
            v = e[4 * k * 64 + i :]
            for side in range(2):
                sign = 1 - 2 * side
                x1, y1, z1 = x + sign * v[0], y + sign * v[64], z + sign * v[128]
                inside = 0 <= x1 < width and 0 <= y1 < height and 0 <= z1 < depth
                ends[2 * k + side] = at + sign * v[192] if inside else at
    return far


@njit(parallel=True, **OPTIONS)
def make_links_3d(tensor, kind, kappa2, least, inverse, weight, link, workers):
    """`make_links_2d` for volumes, with 6 terms."""
    batch, terms, depth, height, width = tensor.shape
    size = depth * height * width
    length = np.int64(RUN)
    runs = (size + length - 1) // length
    tiny = 1e-12 * (inverse * inverse).sum()
    reach = np.zeros(workers, np.int64)
    for worker in prange(workers):
        a, b = np.empty(SLOTS * RUN), np.empty(BASES * RUN, np.int64)
        g, e = np.empty(3 * RUN, tensor.dtype), np.empty(24 * RUN, np.int32)
        far = 0
        for job in range(worker * batch * runs // workers, (worker + 1) * batch * runs // workers):
            m, first = job // runs, job % runs * length
            n = min(length, size - first)
            for k in range(terms):
                source = tensor[m, k].reshape(-1)[first:]
                for i in range(n):
                    a[k * length + i] = source[i]
                for i in range(n, length):
                    a[k * length + i] = 0.0
            eigenvalues_run(a)
            diffusivities_run(a, g, kind, kappa2, least)
            products_run(a, inverse)
            selling_run(a, b, tiny)
            terms_run(a, b, e, width, height)
            far = max(far, links_of_run(a, e, first, n, depth, height, width, weight[m], link[m]))
        reach[worker] = far
    return reach.max()


@njit(parallel=True, **OPTIONS)
def make_links_2d(tensor, kind, kappa2, least, inverse, weight, link, workers):
    """The links of D, given the structure tensor.

    Parameters
    ----------
    tensor : array (B, 3 or 6, D, H, W)
        The smoothed structure tensor.
    kind : int
        `EDGE` or `COHERENCE`.
    kappa2, least : float
        κ² and the smallest eigenvalue of D.
    inverse : array (3,)
        1/h for the axes z, y, x.
    weight : array (B, D·H·W, 3 or 6), written to
        ρ_k/2.
    link : array (B, D·H·W, 6 or 12) of int32, written to
        The pixels at + e_k and - e_k, one after the other; the pixel itself where there is none.
    workers : int
        How many share the work.

    Returns
    -------
    int
        How far, at most, a link leads in memory.
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


@njit(**OPTIONS)
def pieces(size, reach):
    """The length of pieces of which every other one may be worked on at the same time."""
    return min(size, max(PIECE, 2 * reach))


@njit(parallel=True, **OPTIONS)
def largest_sum(weight, link, reach):
    """The largest sum of the weights of all links of a pixel, its own and others'."""
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


@njit(parallel=True, **OPTIONS)
def explicit(u, v, steps, tau, weight, link, reach):
    """Take `steps` explicit steps from ``u`` with the same links.

    ``u`` and ``v`` are (B, C, D·H·W) and both are written to; returns whether the result is in
    ``v``. The image is cut into pieces, of which first the even ones are worked on and then the odd ones:
    no link leads from one to the next but one.
    """
    batch, channels, size = u.shape
    terms = weight.shape[2]
    piece = pieces(size, reach)
    count = size // piece
    for _ in range(steps):
        v[:] = u
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
