"""The weights of the faces between pixels, from the image by way of D: see `tensor_plane`.

Selling's algorithm becomes one without branches. Writing (x,y)² for the product of that vector with
itself, D = (xx - s)(1,0)² + (yy - s)(0,1)² + s (1,1)² for s = xy > 0, and as long as a term is
negative another vector takes the place of its own by the parallelogram law
(e - f)² = 2 e² + 2 f² - (e + f)².
"""

import math

from difffilter.pde.kernels.anisotropic import EDGE
from difffilter.pde.kernels.common import WEICKERT_C, exp_minus, inner, reflected

# Pixels that go through several loops together, in the first-level cache.
RUN = 2048


@inner
def mirror(a, first, last, height, width, stride, pad):
    """Reflect the image beyond its border; ``a`` holds its lines from ``first`` to ``last``."""
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
def add_products(v, xx, xy, yy, first, last, offset, stride, near_tap, far_tap, gx, gy):
    """Add ∇v ∇vᵀ to the pixels from ``first`` to ``last`` of xx, xy and yy.

    In v the same pixels are ``offset`` further on. ``near_tap`` and ``far_tap`` are the weights of
    the differences across two and four pixels.
    """
    for start in range(first, last, RUN):
        n = min(RUN, last - start)
        for step, g in ((1, gx), (stride, gy)):
            here = v[start + offset - 2 * step :]
            before, after, far = here[step:], here[3 * step :], here[4 * step :]
            for i in range(n):
                g[i] = near_tap * (after[i] - before[i]) + far_tap * (far[i] - here[i])
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

    But for reflections D = a (1,0)² + c (0,1)² with a ≥ c, and s ≥ 0 off the diagonal. If the term
    of (0,1) is negative, -r₂₁, (2,1) takes the place of that vector; likewise (3,1) that of (1,1),
    (3,2) that of (1,0), (4,1) that of (2,1) and (5,1) that of (3,1).
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


@inner
def join(w, w_top, y0, y1, height, width, stride, pad, vectors, faces, peak, total, before):
    """faces[k, p] = w[k, p] + w[k, p + e_k] of the lines from y0 to y1, 0 where p + e_k is outside.

    ``peak`` becomes the largest sum of the faces of a pixel, column by column, if that is larger;
    ``total`` and ``before`` are scratch.
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
        # The faces on the other side, those of p - e_k: the first ey lines belong to another block.
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
    """The faces of a vector in the lines from y0 to y1; ``w`` begins with line ``w_top``."""
    top, end = max(y0, 0), min(y1, height - ey)
    for i in range((min(top, y1) - y0) * stride):
        face[i] = 0
    if end > top:
        n = (end - top) * stride
        # (Slices that begin at 0, for indices might be negative as far as the compiler knows.)
        out, here = face[(top - y0) * stride :], w[(top - w_top) * stride :]
        middle, near, far = out[pad:], here[pad:], here[pad + ey * stride + ex :]
        for i in range(n - 2 * pad):
            middle[i] = near[i] + far[i]
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
