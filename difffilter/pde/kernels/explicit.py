"""Explicit steps and cycles of them: diffusivities and stencils, nothing else.

A state is an array ``u[b, c, z, y, x]``: independent images ``b``, coupled channels ``c``, three
axes of space (``z`` has length 1 in 2-D). Diffusion moves intensity through the *faces* between
neighbouring pixels. With d = u(neighbour) - u(pixel), a face of the axis with spacing h carries

    flux = tau / h² · g(s²/κ²) · d,          s² = Σ_c (d_c / h)²,

and a step adds to every pixel what flows in and takes what flows out. Each flux is computed once
and used with both signs, so the mean is conserved; faces of the border and of the mask carry
nothing. The work goes by runs of lines through short buffers that stay near the processor,
which lets the compiler vectorise every loop.

Several steps are taken on a piece of the image before the next piece is loaded, or memory would
set the pace. An image is cut into strips of lines. A step needs the lines next to its own, so each
further step of a strip leaves out one more line at either end: seen with time upwards, the strip
becomes a *hill*. What is missing are the *valleys* between the hills, whose lines widen by two a
step. Hills and then valleys are worked on in parallel, and all of it in place: the flux through a
hill's slope is kept for the valley, and nothing else of its past is needed. Each pixel sees the
same arithmetic whatever the strips, so results depend neither on them nor on the threads.

::

    time   4 |\\   valley  /  \\        4 steps
           3 | \\        /    \\       _
           2 |  \\      /      \\     |  hill: lines per step 8, 6, 4, 2
           1 |   \\    /  hill  \\
              lines ->

In a volume all planes of a strip do not fit into the cache. There the steps follow one another
through the planes, step s working on plane z while step s + 1 works on plane z - 1.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from difffilter.pde.kernels.address import call
from difffilter.pde.kernels.common import inlined, inner, kernel, part

# Codes of the diffusivities: one compiled kernel serves them all, branching once per row.
CONSTANT, EXPONENTIAL, RATIONAL, CHARBONNIER, TUKEY, WEICKERT = range(6)

# How a step makes the new state: in the place of the old one; beside it, as the first step of a
# cycle; or of the two last ones.
IN_PLACE, FIRST, LATER = range(3)

HILLS, VALLEYS = range(2)

RUN = 4096  # pixels of consecutive lines that go through the buffers together

WIDE = 128  # from which width on `step_rows` is faster than `step_lines`

# The diffusivities that `step_colours` knows; the pixels it takes at a time, the room before them and
# the pixels of a row of its buffer.
COLOURS = (EXPONENTIAL, RATIONAL)
PIECE, MARGIN = 512, 16
ROW = PIECE + 2 * MARGIN

# Bytes of a cache line. A vector that lies across two of them takes twice as long to load.
CACHE_LINE = 64

WEICKERT_C = 3.31488


def decay(rate, s, inverse):
    """rate · exp(-s · inverse) for s ≥ 0, in vectorisable steps that wait little for each other.

    exp is good to 2e-7 of 1 in float32 and 1e-15 in float64.
    """
    return rate * math.exp(-s * inverse)


@overload(decay)
def _decay(rate, s, inverse):
    # exp(-x) = 2^-n · exp(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2. Adding a number as large
    # as `shift` rounds x / ln 2 to the integer n, which is then in the lowest bits of the sum;
    # exp(r) is a polynomial, from whose exponent n is taken: for float64 Taylor's, for float32 the
    # one of least error that has 1 and r. Past `most` all is as good as zero, yet no product with it
    # is subnormal, which would take a processor twice as long. (What has no s in it is done once,
    # outside the loop.)
    real = np.float32 if s is types.float32 else np.float64
    ln2, per_ln2 = real(math.log(2)), real(1 / math.log(2))
    c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 = (
        real(1 / math.factorial(k)) for k in range(2, 13)
    )
    m1, m2, m3, m4, m5 = (
        real(m * math.log(2) ** k)
        for k, m in enumerate((1, 0.49999232, 0.16667114, 0.04189011, 0.00831253), 1)
    )
    most, shift = (real(60), real(3 << 22)) if real is np.float32 else (real(500), real(3 << 51))

    def decay32(rate, s, inverse):
        s, c = min(s, most / inverse), inverse * per_ln2
        t = s * c + shift
        f = (t - shift) - s * c
        a1, a2, a3, a4, a5 = rate * m1, rate * m2, rate * m3, rate * m4, rate * m5
        square = f * f
        p = ((a5 * f + a4) * square + (a3 * f + a2)) * square + (a1 * f + rate)
        n = np.float32(t).view(np.int32) << 23
        return np.int32(np.float32(p).view(np.int32) - n).view(np.float32)

    def decay64(rate, s, inverse):
        s = min(s, most / inverse)
        t = s * (inverse * per_ln2) + shift
        r = (t - shift) * ln2 - s * inverse
        p = (((((c12 * r + c11) * r + c10) * r + c9) * r + c8) * r + c7) * r + c6
        p = (((((p * r + c5) * r + c4) * r + c3) * r + c2) * r * r + r) * rate + rate
        n = np.float64(t).view(np.int64) << 52
        return np.int64(np.float64(p).view(np.int64) - n).view(np.float64)

    return decay32 if real is np.float32 else decay64


@inner
def diffusivity_row(kind, q, n, inverse, rate):
    """Replace q[i] = s² by rate · g(s) for i < n, with ``inverse`` 1/κ²."""
    one = q.dtype.type(1.0)
    if kind == EXPONENTIAL:
        for i in range(n):
            q[i] = decay(rate, q[i], inverse)
    elif kind == RATIONAL:
        for i in range(n):
            q[i] = rate / (one + q[i] * inverse)
    elif kind == CHARBONNIER:
        for i in range(n):
            q[i] = rate / math.sqrt(one + q[i] * inverse)
    elif kind == TUKEY:
        for i in range(n):
            a = max(one - q[i] * inverse, q.dtype.type(0.0))
            q[i] = rate * (a * a)
    elif kind == WEICKERT:
        c = q.dtype.type(WEICKERT_C)
        for i in range(n):
            a = q[i] * inverse * (q[i] * inverse)
            q[i] = rate * (one - decay(one, c / (a * a), one))
    else:
        for i in range(n):
            q[i] = rate


@inner
def squares(u, b, here, there, n, q):
    """q = Σ_c d_c² for n consecutive pixels and as many others."""
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
        # The plain cases without a detour through q, and without slices, as in `step_colours`.
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


@kernel
def up_to_line(count, itemsize):
    """At least so many items, in whole cache lines."""
    line = CACHE_LINE // itemsize
    return (count + line - 1) // line * line


@inner
def split(space, rows, columns):
    """The first part of a work space as a matrix, and the rest from the next cache line on."""
    size = rows * columns
    return space[:size].reshape(rows, columns), space[up_to_line(size, space.itemsize) :]


@inner
def clear(rows):
    # (Assigning to rows[:] takes a second to compile; rows met one by one count as strided.)
    for c in range(len(rows)):
        row = rows[c]
        for i in range(len(row)):
            row[i] = 0


@inner
def step_lines(
    u, v, b, z, s, k, first, last, width, lines, mode, alpha, kind, inverse, rate, g, mask,
    south, floor, closed, front, q, east, back,
):  # fmt: skip
    """Step s, the k-th of a cycle, of the lines from `first` to `last` of plane z of image b.

    `lines` go at a time. ``south[c, :width]`` holds what flows in from the line above, and in the
    end what flows out to the line below; if the lower end is ``closed`` that is ``floor[s, z, c]``,
    else it is computed. ``front[s, c]`` holds what flows in from the plane before, and in the end
    what flows out to the next one; q, east and back are scratch. From u and, if `mode` is LATER,
    v's own past follows v.
    """
    channels, depth, size = u.shape[1:]
    margin = CACHE_LINE // u.itemsize  # the second number would do, but not for loading
    step, beta = alpha[k], u.dtype.type(1.0) - alpha[k]
    for c in range(channels):
        east[c, margin - 1] = 0  # nothing flows in on the left of the first column
    for y in range(first, last, lines):
        at = y * width
        n = (min(y + lines, last) - y) * width
        inner = n - width if closed and y + lines >= last else n
        for axis in range(0 if depth > 1 else 1, 3):
            if axis == 0:
                there, m, flux, to = (z + 1, at), n if z + 1 < depth else 0, back, 0
            elif axis == 1:
                there, m, flux, to = (z, at + width), inner, south, width
            else:
                there, m, flux, to = (z, at + 1), min(n, size - 1 - at), east, margin
            face_flux(u, b, (z, at), there, m,
                      kind, inverse[axis], rate[k, axis], g, mask, q, flux, to)  # fmt: skip
        for c in range(channels):
            for i in range(width, n + 1, width):
                east[c, margin - 1 + i] = 0  # nor out on the right of the last
        if inner < n:
            for c in range(channels):
                for i in range(np.uintp(width)):
                    south[c, np.uintp(n) + i] = floor[min(s, len(floor) - 1), z, c, i]
        if depth > 1 and z + 1 == depth:
            clear(back)
        # (Unsigned, or they might be negative as far as the compiler knows, which keeps it from
        # vectorising; slices would do, but for the counting of their references.)
        here, line, count = np.uintp(at), np.uintp(width), np.uintp(n)
        w, e = np.uintp(margin - 1), np.uintp(margin)
        past = np.uintp(at - first * width)
        for c in range(channels):
            if mode == IN_PLACE:
                for i in range(count):
                    u[b, c, z, here + i] += (east[c, e + i] - east[c, w + i]) + (
                        south[c, line + i] - south[c, i]
                    )
            elif mode == FIRST:
                for i in range(count):
                    v[b, c, z, here + i] = u[b, c, z, here + i] + (
                        (east[c, e + i] - east[c, w + i]) + (south[c, line + i] - south[c, i])
                    )
            else:
                for i in range(count):
                    v[b, c, z, here + i] = (
                        step * u[b, c, z, here + i]
                        + beta * v[b, c, z, here + i]
                        + ((east[c, e + i] - east[c, w + i]) + (south[c, line + i] - south[c, i]))
                    )
            for i in range(line):  # what is below this run is above the next
                south[c, i] = south[c, count + i]
            if depth > 1:
                for i in range(count):
                    v[b, c, z, here + i] += back[c, i] - front[s, c, past + i]
                    front[s, c, past + i] = back[c, i]


@inlined(fastmath=False)
def product(a, b):
    """a·b, rounded before anything is added to it."""
    return a * b


@inlined
def flux_of(kind, d, inverse, rate, given):
    """rate · g · d for one channel, or what is ``given``."""
    if kind == RATIONAL:
        return rate * d / (type(d)(1) + d * d * inverse)
    if kind == EXPONENTIAL:
        return product(decay(rate, d * d, inverse), d)
    return given


@part
def step_row(kind, u, v, b, z, at, width, mode, step, beta, inverse, rate, south, q, east):
    """`step_rows` for the line that begins with the pixel ``at``; if no kind is given, q flows out."""
    here, below, count = np.uintp(at), np.uintp(at + width), np.uintp(width)
    e = np.uintp(CACHE_LINE // u.itemsize)
    w = e - np.uintp(1)
    if mode == IN_PLACE:
        for i in range(count):
            c = u[b, 0, z, here + i]
            f = flux_of(kind, u[b, 0, z, below + i] - c, inverse, rate, q[i])
            u[b, 0, z, here + i] = c + ((east[0, e + i] - east[0, w + i]) + (f - south[0, i]))
            south[0, i] = f
    elif mode == FIRST:
        for i in range(count):
            c = u[b, 0, z, here + i]
            f = flux_of(kind, u[b, 0, z, below + i] - c, inverse, rate, q[i])
            v[b, 0, z, here + i] = c + ((east[0, e + i] - east[0, w + i]) + (f - south[0, i]))
            south[0, i] = f
    else:
        for i in range(count):
            c = u[b, 0, z, here + i]
            f = flux_of(kind, u[b, 0, z, below + i] - c, inverse, rate, q[i])
            flow = (east[0, e + i] - east[0, w + i]) + (f - south[0, i])
            v[b, 0, z, here + i] = step * c + beta * v[b, 0, z, here + i] + flow
            south[0, i] = f


@part
def step_rows(
    kind, u, v, b, z, s, k, first, last, width, mode, alpha, inverse, rate, south, floor, closed, q, east
):  # fmt: skip
    """`step_lines` for one channel in the plane and one of `ROWS`, line by line.

    What flows to the south is added while it is worked out instead of going through a buffer, which
    saves loads, but needs a loop for each line and so is no good for short ones.
    """
    # (Another loop around this one had the compiler check for overlaps of all lines at once, which there
    # are, instead of two: nothing was vectorised any more. Measure after any change here.)
    step, beta = alpha[k], u.dtype.type(1.0) - alpha[k]
    e, inner = np.uintp(CACHE_LINE // u.itemsize), np.uintp(width - 1)
    east[0, e - np.uintp(1)] = 0  # nothing flows in on the left of the first column
    for y in range(first, last):
        here, right = np.uintp(y * width), np.uintp(y * width + 1)
        for i in range(inner):
            d = u[b, 0, z, right + i] - u[b, 0, z, here + i]
            east[0, e + i] = flux_of(kind, d, inverse[2], rate[k, 2], d)
        east[0, e + inner] = 0  # nor out on the right of the last
        if closed and y + 1 == last:
            for i in range(np.uintp(width)):
                q[i] = floor[min(s, len(floor) - 1), z, 0, i]
            step_row(CONSTANT, u, v, b, z, y * width, width, mode, step, beta, inverse[1], rate[k, 1],
                     south, q, east)  # fmt: skip
        else:
            step_row(kind, u, v, b, z, y * width, width, mode, step, beta, inverse[1], rate[k, 1],
                     south, q, east)  # fmt: skip


@inner
def step_rational(
    u, v, b, z, s, k, first, last, width, lines, mode, alpha, kind, inverse, rate, g, mask,
    south, floor, closed, front, q, east, back,
):  # fmt: skip
    """`step_rows` with the diffusivity known to the compiler."""
    step_rows(RATIONAL, u, v, b, z, s, k, first, last, width, mode, alpha, inverse, rate, south, floor,
              closed, q, east)  # fmt: skip


@inner
def step_exponential(
    u, v, b, z, s, k, first, last, width, lines, mode, alpha, kind, inverse, rate, g, mask,
    south, floor, closed, front, q, east, back,
):  # fmt: skip
    """`step_rows` with the diffusivity known to the compiler."""
    step_rows(EXPONENTIAL, u, v, b, z, s, k, first, last, width, mode, alpha, inverse, rate, south, floor,
              closed, q, east)  # fmt: skip


ROWS = {EXPONENTIAL: step_exponential, RATIONAL: step_rational}


@inner
def step_colours(
    u, v, b, z, s, k, first, last, width, lines, mode, alpha, kind, inverse, rate, g, mask,
    south, floor, closed, front, q, east, back,
):  # fmt: skip
    """`step_lines` for three channels in the plane and `COLOURS`, in pieces of a line.

    All fluxes of a piece are made in one loop and kept in one array with a constant distance from
    one to the next, as only then the compiler sees that it may vectorise it. Indices are unsigned,
    or they might be negative as far as it knows; slices would need none, but their references are
    counted, which on narrow images takes as long as the work.
    """
    step, beta = alpha[k], u.dtype.type(1.0) - alpha[k]
    flux = q[: 6 * ROW].reshape(6, ROW)  # to the east, to the south
    for y in range(first, last):
        for c in range(3):
            flux[c, MARGIN - 1] = 0  # nothing flows in on the left of the first column
        for x in range(0, width, PIECE):
            at, n = y * width + x, min(PIECE, width - x)
            if closed and y + 1 == last:
                face_flux(u, b, (z, at), (z, at + 1), min(n, width - 1 - x), kind, inverse[2], rate[k, 2],
                          g, mask, flux[3], flux, MARGIN)  # fmt: skip
                for c in range(3):
                    to = np.uintp((3 + c) * ROW + MARGIN)
                    for i in range(np.uintp(n)):
                        q[to + i] = floor[min(s, len(floor) - 1), z, c, np.uintp(x) + i]
            else:
                colour_fluxes(u, b, z, at, width, n, kind, inverse, rate[k], q)
            if x + n == width:
                for c in range(3):
                    flux[c, MARGIN + n - 1] = 0  # nor out on the right of the last
            here, x0 = np.uintp(at), np.uintp(x)
            for c in range(3):
                w = np.uintp(c * ROW + MARGIN - 1)
                e, f = w + np.uintp(1), w + np.uintp(1 + 3 * ROW)
                # (What is below this line is above the next.)
                if mode == IN_PLACE:
                    for i in range(np.uintp(n)):
                        j, h = here + i, x0 + i
                        u[b, c, z, j] += (q[e + i] - q[w + i]) + (q[f + i] - south[c, h])
                        south[c, h] = q[f + i]
                elif mode == FIRST:
                    for i in range(np.uintp(n)):
                        j, h = here + i, x0 + i
                        flow = (q[e + i] - q[w + i]) + (q[f + i] - south[c, h])
                        v[b, c, z, j] = u[b, c, z, j] + flow
                        south[c, h] = q[f + i]
                else:
                    for i in range(np.uintp(n)):
                        j, h = here + i, x0 + i
                        flow = (q[e + i] - q[w + i]) + (q[f + i] - south[c, h])
                        v[b, c, z, j] = step * u[b, c, z, j] + beta * v[b, c, z, j] + flow
                        south[c, h] = q[f + i]
                flux[c, MARGIN - 1] = flux[c, MARGIN + n - 1]


@part
def colour_fluxes(u, b, z, at, width, n, kind, inverse, rate, flux):
    """What flows out of n consecutive pixels to the east and to the south, for three channels."""
    one, here, n = u.dtype.type(1.0), np.uintp(at), np.uintp(n)
    east, south = here + np.uintp(1), here + np.uintp(width)
    x_inverse, x_rate, y_inverse, y_rate = inverse[2], rate[2], inverse[1], rate[1]
    e0, e1, e2, s0, s1, s2 = (
        np.uintp(MARGIN), np.uintp(MARGIN + ROW), np.uintp(MARGIN + 2 * ROW),
        np.uintp(MARGIN + 3 * ROW), np.uintp(MARGIN + 4 * ROW), np.uintp(MARGIN + 5 * ROW),
    )  # fmt: skip
    none = np.uintp(0)
    for i in range(n if kind == RATIONAL else none):
        h, j, k = here + i, east + i, south + i
        c0, c1, c2 = u[b, 0, z, h], u[b, 1, z, h], u[b, 2, z, h]
        d0, d1, d2 = u[b, 0, z, j] - c0, u[b, 1, z, j] - c1, u[b, 2, z, j] - c2
        q = x_rate / (one + (d0 * d0 + d1 * d1 + d2 * d2) * x_inverse)
        flux[e0 + i], flux[e1 + i], flux[e2 + i] = q * d0, q * d1, q * d2
        d0, d1, d2 = u[b, 0, z, k] - c0, u[b, 1, z, k] - c1, u[b, 2, z, k] - c2
        q = y_rate / (one + (d0 * d0 + d1 * d1 + d2 * d2) * y_inverse)
        flux[s0 + i], flux[s1 + i], flux[s2 + i] = q * d0, q * d1, q * d2
    for i in range(n if kind == EXPONENTIAL else none):
        h, j, k = here + i, east + i, south + i
        c0, c1, c2 = u[b, 0, z, h], u[b, 1, z, h], u[b, 2, z, h]
        d0, d1, d2 = u[b, 0, z, j] - c0, u[b, 1, z, j] - c1, u[b, 2, z, j] - c2
        q = decay(x_rate, d0 * d0 + d1 * d1 + d2 * d2, x_inverse)
        flux[e0 + i], flux[e1 + i], flux[e2 + i] = q * d0, q * d1, q * d2
        d0, d1, d2 = u[b, 0, z, k] - c0, u[b, 1, z, k] - c1, u[b, 2, z, k] - c2
        q = decay(y_rate, d0 * d0 + d1 * d1 + d2 * d2, y_inverse)
        flux[s0 + i], flux[s1 + i], flux[s2 + i] = q * d0, q * d1, q * d2


@part
def work_piece(
    step, flux, u, v, b, top, lean_top, bottom, lean_bottom, start, taken, steps, width, lines,
    alpha, kind, inverse, rate, g, mask, above, below, space,
):  # fmt: skip
    """Take some steps of a hill or a valley of image b, in all its planes.

    ``step`` is the address of a way to step and ``flux`` that of `face_flux`. The piece's lines are
    those from ``top`` to ``bottom``, where each step moves either end by its lean: inwards for a hill,
    outwards for a valley, not at all at the border. ``above[s, z, c]`` and ``below[s, z, c]`` are the
    fluxes through the ends, which a hill writes and a valley, like the border, reads; for a whole image
    one s is enough.
    """
    channels, depth = u.shape[1:3]
    most = bottom - top + (2 * steps if lean_bottom > 0 else 0)
    run = lines * width
    scratch, rest = split(space, 1, max(run, 6 * ROW))
    q = scratch[0]
    east, rest = split(rest, channels, up_to_line(CACHE_LINE // u.itemsize + run, u.itemsize))
    back, rest = split(rest, channels, run)
    south, rest = split(rest, channels, run + width)
    all_fronts, rest = split(rest, steps * channels, most * width if depth > 1 else 0)
    clear(all_fronts)
    front = all_fronts.reshape(steps, channels, all_fronts.shape[1])
    for turn in range(depth + steps - 1):
        for s in range(max(0, turn - depth + 1), min(steps, turn + 1)):
            z, k, kept = turn - s, (start + taken + s) % len(alpha), min(s, len(above) - 1)
            first, last = top + lean_top * (s + 1), bottom + lean_bottom * (s + 1)
            if (taken + s) % 2:
                old, new = v, u
            else:
                old, new = u, v
            mode = IN_PLACE if len(alpha) == 1 else FIRST if k == 0 else LATER
            if lean_top > 0:
                at = first * width
                call(flux, (old, b, (z, at - width), (z, at), width,
                            kind, inverse[1], rate[k, 1], g, mask, q, south, np.int64(0)))  # fmt: skip
                for c in range(channels):
                    for i in range(width):
                        above[kept, z, c, i] = south[c, i]
            else:
                for c in range(channels):
                    for i in range(width):
                        south[c, i] = above[kept, z, c, i]
            call(step, (old, new, b, z, s, k, first, last, width, lines, mode, alpha,
                        kind, inverse, rate, g, mask, south, below, lean_bottom >= 0,
                        front, q, east, back))  # fmt: skip
            if lean_bottom < 0:
                for c in range(channels):
                    for i in range(width):
                        below[kept, z, c, i] = south[c, i]


@inner
def work_share(
    step, flux, u, v, worker, workers, phase, start, taken, steps, width, lines,
    alpha, kind, inverse, rate, g, mask, slopes, space,
):  # fmt: skip
    """What one worker does of the hills or the valleys."""
    height, strips = u.shape[3] // width, slopes.shape[1] - 1
    count = strips - phase
    jobs = u.shape[0] * count
    for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
        b, strip = job // count, job % count + phase
        top, bottom = strip * height // strips, (strip + 1) * height // strips
        if phase == HILLS:
            lean_top, lean_bottom = int(strip > 0), -int(bottom < height)
            above, below = slopes[b, strip, 1], slopes[b, strip + 1, 0]
        else:
            bottom, lean_top, lean_bottom = top, -1, 1
            above, below = slopes[b, strip, 0], slopes[b, strip, 1]
        work_piece(step, flux, u, v, b, top, lean_top, bottom, lean_bottom, start, taken, steps, width, lines,
                   alpha, kind, inverse, rate, g, mask, above, below, space[worker])  # fmt: skip


@kernel
def lines_of_run(height, width):
    """Consecutive lines of a strip that go through the buffers together."""
    return min(max(1, RUN // width), height)
