"""Jitted functions of tensor diffusion ∂u/∂t = div(D ∇u) in the plane, where pixels are square.

The stencil is that of `tensor_kernels`: D = Σ_k ρ_k e_k e_kᵀ with ρ ≥ 0. As long as the eigenvalues
of D differ by no more than a factor of 17.9, Selling's algorithm needs no other vectors than those
to the 16 nearest neighbours that are not in line with a nearer one, 8 up to their sign; up to 37.9
there are 12, up to 101 there are 24. So ρ can be kept as a *plane* for each vector, three of them
not 0 in a pixel, and all loops run over consecutive pixels without a branch.

Selling's algorithm, too, becomes one without a branch. Writing (x,y)² for the product of that vector
with itself, D = (xx - s)(1,0)² + (yy - s)(0,1)² + s (1,1)² for s = xy > 0, and as long as a term is
negative its vector gives way by the parallelogram law (e - f)² = 2 e² + 2 f² - (e + f)².

All arrays have lines of ``stride`` pixels: the image's, and as much on either side as the widest
window reaches, so that a loop runs over many lines at a time as over one and never leaves the
array. The image is cut into blocks of lines, whose intermediate results stay in the second-level
cache. Each pixel sees the same arithmetic whatever the blocks.
"""

import math
from functools import cache

import numpy as np
from numba import from_dtype, prange, types
from numba.extending import overload

from difffilter.pde.kernels.address import address_of, call
from difffilter.pde.kernels.common import inner, kernel, parallel

EDGE, COHERENCE = range(2)  # codes of the ways to make D, as in `tensor_kernels`

WEICKERT_C = 3.31488


# The vectors (x, y), and how many of them are enough for which ratio of D's eigenvalues. From the
# fifth on they come in families: (p, q), (-p, q), (q, p), (-q, p).
FAMILIES = (2, 1), (3, 1), (3, 2), (4, 1), (5, 1)
VECTORS = np.array(
    [(1, 0), (0, 1), (1, 1), (-1, 1)]
    + [vector for p, q in FAMILIES for vector in ((p, q), (-p, q), (q, p), (-q, p))]
)
ENOUGH = {17.9: 8, 37.9: 12, 101: 24}

RUN = 2048  # pixels that go through several loops together, in the first-level cache
BLOCK = 16384  # pixels of a block of lines, about

# Pixels on either side that the derivative takes.
DERIVATIVE = 2


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


@inner
def reflected(i, n):
    """The pixel of n that stands for pixel i beyond the border: ... 1 0 | 0 1 2 ... n-1 | n-1 ..."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@inner
def mirror(a, first, last, height, width, stride, pad):
    """Continue the image beyond its border; ``a`` holds its lines from `first` to `last`."""
    for y in range(first, last):
        at = (y - first) * stride
        if not 0 <= y < height:
            continue
        for k in range(pad):
            if pad <= width:
                a[at + pad - 1 - k] = a[at + pad + k]
                a[at + pad + width + k] = a[at + pad + width - 1 - k]
            else:
                a[at + pad - 1 - k] = a[at + pad + reflected(-1 - k, width)]
                a[at + pad + width + k] = a[at + pad + reflected(width + k, width)]
    for y in range(first, last):
        if not 0 <= y < height:
            here = a[(y - first) * stride : (y - first + 1) * stride]
            there = a[(reflected(y, height) - first) * stride :]
            for i in range(stride):
                here[i] = there[i]


@inner
def smooth(source, target, first, last, step, half):
    """Convolve pixels `step` apart with a symmetric kernel, ``half`` being its right half."""
    for start in range(first, last, RUN):
        n = min(RUN, last - start)
        out, here = target[start : start + n], source[start : start + n]
        h = half[0]
        for i in range(n):
            out[i] = h * here[i]
        for k in range(1, len(half)):
            before, after = source[start - k * step :], source[start + k * step :]
            h = half[k]
            for i in range(n):
                out[i] += h * (before[i] + after[i])


@inner
def add_products(v, xx, xy, yy, first, last, offset, stride, inner, outer, gx, gy):
    """Add ∇v ∇vᵀ to the pixels from `first` to `last` of xx, xy and yy; in v they are `offset` on.

    ``inner`` and ``outer`` are what the differences to the next pixels and the next but one count.
    """
    for start in range(first, last, RUN):
        n = min(RUN, last - start)
        for step, g in ((1, gx), (stride, gy)):
            here = v[start + offset - 2 * step :]
            before, after, far = here[step:], here[3 * step :], here[4 * step :]
            for i in range(n):
                g[i] = inner * (after[i] - before[i]) + outer * (far[i] - here[i])
        a, b, c = xx[start : start + n], xy[start : start + n], yy[start : start + n]
        for i in range(n):
            a[i] += gx[i] * gx[i]
            b[i] += gx[i] * gy[i]
        for i in range(n):
            c[i] += gy[i] * gy[i]


@inner
def tensor_run(kind, xx, xy, yy, n, kappa2, inverse, least):
    """Replace the structure tensor of n pixels by D."""
    one, half, zero = xx.dtype.type(1.0), xx.dtype.type(0.5), xx.dtype.type(0.0)
    two, tiny, c = xx.dtype.type(2.0), xx.dtype.type(1e-37), xx.dtype.type(WEICKERT_C)
    if kind == EDGE:
        for i in range(n):
            mean, difference, b = half * (xx[i] + yy[i]), half * (xx[i] - yy[i]), xy[i]
            radius = math.sqrt(difference * difference + b * b)
            p, q = (mean + radius) * inverse, max(mean - radius, zero) * inverse
            p, q = p * p, q * q
            across = max(one - exp_minus(c / (p * p)), least)
            along = max(one - exp_minus(c / (q * q)), least)
            middle, slope = half * (across + along), half * (across - along) / max(radius, tiny)
            xx[i] = middle + slope * difference
            xy[i] = slope * b
            yy[i] = middle - slope * difference
    else:
        for i in range(n):
            difference, b = half * (xx[i] - yy[i]), xy[i]
            radius = max(math.sqrt(difference * difference + b * b), tiny)
            q = kappa2 / (two * radius)
            along = least + (one - least) * exp_minus(q * q)
            middle, slope = half * (least + along), half * (least - along) / radius
            xx[i] = middle + slope * difference
            xy[i] = slope * b
            yy[i] = middle - slope * difference


@inner
def weights_run(xx, xy, yy, w, start, n, folded):
    """w[k] = ρ_k/2 for n pixels, given D; ``folded`` is space.

    But for mirroring D = a (1,0)² + c (0,1)² with a ≥ c, and s ≥ 0 off the diagonal. The term of
    (0,1) being negative, -r₂₁, the vector gives way to (2,1); likewise (1,1) to (3,1), (1,0) to
    (3,2), (2,1) to (4,1) and (3,1) to (5,1).
    """
    half, zero = xx.dtype.type(0.5), xx.dtype.type(0.0)
    families = (len(w) - 4) // 4
    large, small, diagonal, w21 = folded[0], folded[1], folded[2], folded[3]
    w31, w32, w41, w51 = folded[4], folded[5], folded[6], folded[7]
    for i in range(n):
        a, c, s = half * max(xx[i], yy[i]), half * min(xx[i], yy[i]), half * abs(xy[i])
        r21 = max(s - c, zero)
        r31 = max(r21 + r21 - s, zero) if families > 1 else zero
        r32 = max(r21 + r21 + s - a, zero) if families > 2 else zero
        r41 = max(r31 + r31 - r21, zero) if families > 2 else zero
        r51 = max(r41 + r41 - r31, zero) if families > 2 else zero
        r = r21 + r31 + r41 + r51
        large[i] = max(a - s - (r + r), zero)
        small[i] = max(c - s, zero)
        diagonal[i] = max(s - (r21 + r21) - (r32 + r32), zero)
        w21[i] = max(r21 - (r31 + r31) - (r32 + r32), zero)
        if families > 1:
            w31[i] = max(r31 - (r41 + r41), zero)
        if families > 2:
            w32[i] = r32
            w41[i] = max(r41 - (r51 + r51), zero)
            w51[i] = r51
    w0, w1 = w[0][start:], w[1][start:]
    for i in range(n):
        p, q, swap = large[i], small[i], xx[i] < yy[i]
        w0[i] = q if swap else p
        w1[i] = p if swap else q
    w0, w1 = w[2][start:], w[3][start:]
    for i in range(n):
        p = diagonal[i]
        w0[i] = p if xy[i] > zero else zero
        w1[i] = zero if xy[i] > zero else p
    for family in range(families):
        weight = folded[3 + family]
        for swapped in range(2):
            k = 4 + 4 * family + 2 * swapped
            w0, w1 = w[k][start:], w[k + 1][start:]
            for i in range(n):
                p = weight[i]
                p = p if (xx[i] < yy[i]) == (swapped == 1) else zero
                w0[i] = p if xy[i] > zero else zero
                w1[i] = zero if xy[i] > zero else p


@kernel
def block_count(height, stride):
    """How many blocks of lines an image is cut into."""
    lines = max(8, BLOCK // stride)
    return (height + lines - 1) // lines


def room(height, stride, vectors, radii, dtype, workers):
    """The buffers of each worker, for lines of `stride` pixels and Gaussians of two radii."""
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
def block_faces(u, faces, y0, y1, width, stride, pad, kind, kappa2, inverse, least, inner, outer,
                presmooth, integration, vectors, peak, space):  # fmt: skip
    """The faces of the lines from y0 to y1 of an image ``u[c, y·stride + x]``.

    ``peak`` becomes the largest sum of the faces of a pixel, column by column, if that is larger.
    """
    count = len(vectors)
    reach = vectors[count - 1, 1]  # the longest come last
    height = u.shape[1] // stride - 2 * reach
    r0, r1 = len(presmooth) - 1, len(integration) - 1
    # Lines that weights, structure tensors and the image are needed of.
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
            smooth(v, spare, r0 * stride, size_u - r0 * stride, stride, presmooth)
            smooth(spare, v, r0 * stride + r0, size_u - r0 * stride - r0, 1, presmooth)
        add_products(v, xx, xy, yy, begin, end, (t_top - u_top) * stride, stride,
                     inner, outer, gx, gy)  # fmt: skip
    for a in (xx, xy, yy):
        if r1:
            mirror(a, t_top, t_end, height, width, stride, pad)
            smooth(a, spare, r1 * stride, size_t - r1 * stride, stride, integration)
            smooth(spare, a, r1 * stride + r1, size_t - r1 * stride - r1, 1, integration)
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
def join(w, w_top, y0, y1, height, width, stride, pad, vectors, faces, peak, total, before):
    """faces[k, p] = w[k, p] + w[k, p + e_k] of the lines from y0 to y1, 0 where p + e_k is outside.

    ``total`` and ``before`` are space.
    """
    reach = vectors[len(vectors) - 1, 1]  # the longest come last
    size = (y1 - y0) * stride
    for i in range(size):
        total[i] = 0
    for k in range(len(vectors)):
        ex, ey = vectors[k]
        here = w[k]
        face = faces[k][(y0 + reach) * stride : (y1 + reach) * stride]
        join_lines(here, w_top, face, y0, y1, height, width, stride, pad, ex, ey)
        for i in range(size):
            total[i] += face[i]
        # The faces on the other side, those of p - e_k: the first ey lines are not of this block.
        join_lines(here, w_top, before, y0 - ey, y0, height, width, stride, pad, ex, ey)
        add_shifted(total, before, ey * stride, ex)
        if size > ey * stride:
            add_shifted(total[ey * stride :], face, size - ey * stride, ex)
    for y in range(y1 - y0):
        line = total[y * stride :]
        for i in range(stride):
            peak[i] = max(peak[i], line[i])


@inner
def join_lines(w, w_top, face, y0, y1, height, width, stride, pad, ex, ey):
    """The faces of a vector in the lines from y0 to y1; ``w`` begins with line `w_top`."""
    top, end = max(y0, 0), min(y1, height - ey)
    for i in range((min(top, y1) - y0) * stride):
        face[i] = 0
    if end > top:
        n = (end - top) * stride
        # (From 0 on, for other numbers may be negative as far as the compiler knows.)
        out, here = face[(top - y0) * stride :], w[(top - w_top) * stride :]
        inner, near, far = out[pad:], here[pad:], here[pad + ey * stride + ex :]
        for i in range(n - 2 * pad):
            inner[i] = near[i] + far[i]
        for y in range(end - top):
            line = out[y * stride :]
            for i in range(pad):
                line[i] = 0
            for i in range(pad + width, stride):
                line[i] = 0
            edge = line[pad + max(width - ex, 0) :] if ex > 0 else line[pad:]
            for i in range(min(abs(ex), width)):
                edge[i] = 0
    for y in range(max(end, top), y1):
        line = face[(y - y0) * stride :]
        for i in range(stride):
            line[i] = 0


@inner
def add_shifted(total, face, size, shift):
    """Add face[p - shift], where it exists, to total[p]."""
    if shift >= 0:
        mine = total[shift:]
        for i in range(size - shift):
            mine[i] += face[i]
    else:
        other = face[-shift:]
        for i in range(size + shift):
            total[i] += other[i]


@inner
def block_step(u, v, faces, y0, y1, stride, pad, vectors, tau, gain):
    """v = u + τ div(D ∇u) in the lines from y0 to y1."""
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
            for i in range(n):
                out[i] = here[i] + tau * gain[i]


def evolve(u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least, inner, outer, inverse_h2,
           usual, presmooth, integration, vectors, space):  # fmt: skip
    """Let ``u`` evolve, with a new D for each of `times`; returns the array with the result.

    Steps are stable, and at least as many as if the weights of a pixel summed up to `usual`.
    """
    return run_blocks(
        *addresses(u.dtype), u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least, inner,
        outer, inverse_h2, usual, presmooth, integration, vectors, space,
    )  # fmt: skip


@cache
def addresses(dtype):
    """The addresses of `block_faces` and `block_step`."""
    real = from_dtype(dtype)
    one, two = (types.Array(real, axes, "C") for axes in (1, 2))
    vectors = types.Array(types.int64, 2, "C")
    return (
        address_of(
            block_faces, u=two, faces=two, kappa2=real, inverse=real, least=real, inner=real, outer=real,
            presmooth=one, integration=one, vectors=vectors, peak=one, space=one,
        ),
        address_of(block_step, u=two, v=two, faces=two, vectors=vectors, tau=real, gain=one),
    )  # fmt: skip


@parallel
def run_blocks(
    make_faces, take_step, u, v, faces, width, stride, pad, times, kind, kappa2, inverse, least, inner,
    outer, inverse_h2, usual, presmooth, integration, vectors, space,
):  # fmt: skip
    """`evolve` with the `addresses` of what is done in a block."""
    batch, size = faces.shape[0], faces.shape[2]
    reach = vectors[len(vectors) - 1, 1]  # the longest come last
    height = size // stride - 2 * reach
    blocks, workers = block_count(height, stride), len(space)
    jobs = batch * blocks
    peak, gain = np.empty((workers, stride), u.dtype), np.empty((workers, RUN), u.dtype)
    for time in times:
        for worker in prange(workers):
            peak[worker] = 0
            for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
                b, part = job // blocks, job % blocks
                first, last = part * height // blocks, (part + 1) * height // blocks
                call(make_faces, (u[b], faces[b], first, last, width, stride, pad, kind, kappa2, inverse,
                                  least, inner, outer, presmooth, integration, vectors, peak[worker],
                                  space[worker]))  # fmt: skip
        largest = 0.0
        for worker in range(workers):
            for i in range(stride):
                largest = max(largest, peak[worker, i])
        largest = max(largest * inverse_h2, usual)
        steps = max(1, math.ceil(time * largest * (1 - 1e-6)))
        tau = u.dtype.type(time / steps * inverse_h2)
        for _ in range(steps):
            for worker in prange(workers):
                for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
                    b, part = job // blocks, job % blocks
                    first, last = part * height // blocks, (part + 1) * height // blocks
                    call(take_step, (u[b], v[b], faces[b], first, last, stride, pad, vectors, tau,
                                     gain[worker]))  # fmt: skip
            u, v = v, u
    return u
