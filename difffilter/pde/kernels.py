"""Every jitted function of the PDE solvers: diffusivities and stencils, nothing else.

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

All jitted functions stand in this file because Numba's on-disk cache does not notice a change in
a jitted function of another file.
"""

import math
import os
from functools import cache

import numpy as np
from numba import from_dtype, njit, prange, types
from numba.extending import overload

from difffilter.pde.address import address_of, call

# A step is so short that its threads should not sleep between steps, but threads that spin for
# long take a busy machine's time slices from the very threads that they wait for (measured: 8 ms
# a step instead of 0.1). This is read when the first parallel kernel runs; who sets it wins.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Codes of the diffusivities: one compiled kernel serves them all, branching once per row.
CONSTANT, EXPONENTIAL, RATIONAL, CHARBONNIER, TUKEY, WEICKERT = range(6)

# How a step makes the new state: in the place of the old one; beside it, as the first step of a
# cycle; or of the two last ones.
IN_PLACE, FIRST, LATER = range(3)

HILLS, VALLEYS = range(2)

RUN = 4096  # pixels of consecutive lines that go through the buffers together

# The diffusivities that `step_colours` knows; the pixels it takes at a time, the room before them and
# the pixels of a row of its buffer.
COLOURS = (EXPONENTIAL, RATIONAL)
PIECE, MARGIN = 512, 16
ROW = PIECE + 2 * MARGIN

# Bytes of a cache line. A vector that lies across two of them takes twice as long to load.
CACHE_LINE = 64

WEICKERT_C = 3.31488

# Division must not check for zero, or loops do not vectorise; multiply-adds may be fused. Neither
# lets the compiler assume that numbers are finite.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "cache": True, "nogil": True}
# (What only kernels call needs no way in from Python.)
INNER = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# (What is called in one place only compiles faster as a part of that place.)
PART = INNER | {"inline": "always"}


def exp_minus(x):
    """exp(-x) for x ≥ 0, to 2e-7 of 1 in float32 and 1e-15 in float64, in vectorisable steps."""
    return math.exp(-x)


@overload(exp_minus)
def _exp_minus(x):
    # exp(-x) = 2^-n · exp(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2. Adding a number as large
    # as `shift` rounds x / ln 2 to the integer n, which is then in the lowest bits of the sum;
    # exp(r) is a polynomial, from whose exponent n is taken: for float64 Taylor's, for float32 the
    # one of least error that has 1 and r, in few steps that wait for each other. Past `most` all is as good
    # as zero, yet no product with it is subnormal, which would take a processor twice as long.
    real = np.float32 if x is types.float32 else np.float64
    per_ln2, ln2, one = real(1 / math.log(2)), real(math.log(2)), real(1)
    c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12 = (
        real(1 / math.factorial(k)) for k in range(2, 13)
    )
    m2, m3, m4, m5 = (real(m) for m in (0.49999232, 0.16667114, 0.04189011, 0.00831253))
    most, shift = (real(60), real(3 << 22)) if real is np.float32 else (real(500), real(3 << 51))

    def exp32(x):
        x = min(x, most)
        t = x * per_ln2 + shift
        r = (t - shift) * ln2 - x
        square = r * r
        p = ((m5 * r + m4) * square + (m3 * r + m2)) * square + (r + one)
        n = np.float32(t).view(np.int32) << 23
        return np.int32(np.float32(p).view(np.int32) - n).view(np.float32)

    def exp64(x):
        x = min(x, most)
        t = x * per_ln2 + shift
        r = (t - shift) * ln2 - x
        p = (((((c12 * r + c11) * r + c10) * r + c9) * r + c8) * r + c7) * r + c6
        p = (((((p * r + c5) * r + c4) * r + c3) * r + c2) * r + one) * r + one
        n = np.float64(t).view(np.int64) << 52
        return np.int64(np.float64(p).view(np.int64) - n).view(np.float64)

    return exp32 if real is np.float32 else exp64


@njit(**INNER)
def diffusivity_row(kind, q, n, rate):
    """Replace q[i] = (s/κ)² by rate · g(s) for i < n."""
    one = q.dtype.type(1.0)
    if kind == EXPONENTIAL:
        for i in range(n):
            q[i] = rate * exp_minus(q[i])
    elif kind == RATIONAL:
        for i in range(n):
            q[i] = rate / (one + q[i])
    elif kind == CHARBONNIER:
        for i in range(n):
            q[i] = rate / math.sqrt(one + q[i])
    elif kind == TUKEY:
        for i in range(n):
            a = max(one - q[i], q.dtype.type(0.0))
            q[i] = rate * (a * a)
    elif kind == WEICKERT:
        c = q.dtype.type(WEICKERT_C)
        for i in range(n):
            a = q[i] * q[i]
            q[i] = rate * (one - exp_minus(c / (a * a)))
    else:
        for i in range(n):
            q[i] = rate


@njit(**INNER)
def squares(u, b, here, there, n, inverse, q):
    """q = Σ_c d_c² · inverse for n consecutive pixels and as many others."""
    z, start = here
    z1, start1 = there
    near, far = u[b, 0, z][start : start + n], u[b, 0, z1][start1 : start1 + n]
    if u.shape[1] == 3:  # colour, all at once
        near1, far1 = u[b, 1, z][start : start + n], u[b, 1, z1][start1 : start1 + n]
        near2, far2 = u[b, 2, z][start : start + n], u[b, 2, z1][start1 : start1 + n]
        for i in range(n):
            d, d1, d2 = far[i] - near[i], far1[i] - near1[i], far2[i] - near2[i]
            q[i] = (d * d + d1 * d1 + d2 * d2) * inverse
        return
    for i in range(n):
        d = far[i] - near[i]
        q[i] = d * d * inverse
    for c in range(1, u.shape[1]):
        near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
        for i in range(n):
            d = far[i] - near[i]
            q[i] += d * d * inverse


@njit(**INNER)
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
            squares(u, b, here, there, n, inverse, q)
        diffusivity_row(kind, q, n, rate)
    if mask.size:
        m, zero = b % mask.shape[0], q.dtype.type(0.0)
        near_open, far_open = mask[m, z][start : start + n], mask[m, z1][start1 : start1 + n]
        for i in range(n):
            q[i] = q[i] if near_open[i] and far_open[i] else zero


@njit(**INNER)
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
                flux[0, to + i] = rate * d * exp_minus(d * d * inverse)
            return
        if kind == CONSTANT:
            for i in range(count):
                flux[0, to + i] = rate * (u[b, 0, z1, far + i] - u[b, 0, z, near + i])
            return
    face_weight(u, b, here, there, n, kind, inverse, rate, g, mask, q)
    for c in range(u.shape[1]):
        near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
        f = flux[c][at : at + n]
        for i in range(n):
            f[i] = q[i] * (far[i] - near[i])


@njit(**OPTIONS)
def up_to_line(count, itemsize):
    """At least so many items, in whole cache lines."""
    line = CACHE_LINE // itemsize
    return (count + line - 1) // line * line


@njit(**INNER)
def split(space, rows, columns):
    """The first part of a work space as a matrix, and the rest from the next cache line on."""
    size = rows * columns
    return space[:size].reshape(rows, columns), space[up_to_line(size, space.itemsize) :]


@njit(**INNER)
def clear(rows):
    # (Assigning to rows[:] takes a second to compile; rows met one by one count as strided.)
    for c in range(len(rows)):
        row = rows[c]
        for i in range(len(row)):
            row[i] = 0


@njit(**INNER)
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


@njit(**INNER)
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
                    for i in range(n):
                        flux[3 + c, MARGIN + i] = floor[min(s, len(floor) - 1), z, c, x + i]
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


@njit(**INNER)
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
        q = x_rate * exp_minus((d0 * d0 + d1 * d1 + d2 * d2) * x_inverse)
        flux[e0 + i], flux[e1 + i], flux[e2 + i] = q * d0, q * d1, q * d2
        d0, d1, d2 = u[b, 0, z, k] - c0, u[b, 1, z, k] - c1, u[b, 2, z, k] - c2
        q = y_rate * exp_minus((d0 * d0 + d1 * d1 + d2 * d2) * y_inverse)
        flux[s0 + i], flux[s1 + i], flux[s2 + i] = q * d0, q * d1, q * d2


@njit(**PART)
def work_piece(
    step, u, v, b, top, lean_top, bottom, lean_bottom, start, taken, steps, width, lines,
    alpha, kind, inverse, rate, g, mask, above, below, space,
):  # fmt: skip
    """Take some steps of a hill or a valley of image b, in all its planes.

    ``step`` is the address of a way to step. The piece's lines are those from ``top`` to ``bottom``,
    where each step moves either end by its lean: inwards for a hill, outwards for a valley, not at
    all at the border. ``above[s, z, c]`` and ``below[s, z, c]`` are the fluxes through the ends,
    which a hill writes and a valley, like the border, reads; for a whole image one s is enough.
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
                face_flux(old, b, (z, at - width), (z, at), width,
                          kind, inverse[1], rate[k, 1], g, mask, q, south, np.int64(0))  # fmt: skip
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


@njit(**INNER)
def work_share(
    step, u, v, worker, workers, phase, start, taken, steps, width, lines,
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
        work_piece(step, u, v, b, top, lean_top, bottom, lean_bottom, start, taken, steps, width, lines,
                   alpha, kind, inverse, rate, g, mask, above, below, space[worker])  # fmt: skip


@njit(**OPTIONS)
def lines_of_run(height, width):
    """Consecutive lines of a strip that go through the buffers together."""
    return min(max(1, RUN // width), height)


def room(shape, dtype, strips, at_once, workers):
    """What `evolve` needs to work in.

    Parameters
    ----------
    shape : tuple of int
        (B, C, D, H, W).
    dtype : dtype
        Of the state.
    strips, at_once : int
        Strips of an image, and steps that are taken on one at a time; a strip has at least twice
        as many lines.
    workers : int
        How many share the work; as many as there are threads.

    Returns
    -------
    slopes : ndarray
        The fluxes through the upper and the lower slope of each valley; through the border: none.
    space : ndarray
        The buffers of each worker.
    """
    batch, channels, depth, height, width = shape
    most = math.ceil(height / strips)
    run = lines_of_run(most, width) * width
    columns = 3 * run + width + (at_once * most * width if depth > 1 else 0)
    line = CACHE_LINE // np.dtype(dtype).itemsize
    kept = at_once if strips > 1 or depth > 1 else 1
    slopes = np.zeros((batch, strips + 1, 2, kept, depth, channels, width), dtype)
    size = max(run, 6 * ROW) + channels * (columns + 2 * line) + 5 * line
    size = up_to_line(size, np.dtype(dtype).itemsize)
    return slopes, empty((workers, size), dtype)


def empty(shape, dtype):
    """An uninitialised array that starts with a cache line (NumPy's own start anywhere)."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def evolve(u, v, start, steps, alpha, kind, inverse, rate, g, mask, slopes, space):
    """Take `steps` steps from ``u``, in place or with ``v`` for every other state.

    A step of the explicit scheme is u + τ div(g ∇u). In a cycle of the fast semi-iterative scheme
    the step k makes α_k (u + τ div(g ∇u)) + (1 - α_k) u' of the last two states u and u'; at the
    start of a cycle they count as the same.

    Parameters
    ----------
    u, v : array (B, C, D, H, W), float32 or float64
        The state, and space for every other one, which holds the last but one if the first step
        is not the first of a cycle; for the explicit scheme both are the same array.
    start : int
        Which step of the cycle comes first.
    steps : int
        How many to take.
    alpha : array (K,), of u's dtype
        α for the steps of a cycle; a single number: the explicit scheme.
    kind : int
        Code of the diffusivity.
    inverse : array (3,), of u's dtype
        1/(κh)² for the axes z, y, x.
    rate : array (K, 3), of u's dtype
        α τ/h² for the steps of a cycle and the axes.
    g : array (B, D, H, W), of u's dtype
        The diffusivity of each pixel, a face taking the mean of its two; if empty, it follows
        from the difference across the face.
    mask : array (M, D, H, W), bool
        True where diffusion takes place, image b using mask b mod M; if empty: everywhere.
    slopes, space : array
        Room to work in, from `room`.

    Returns
    -------
    ``u`` or ``v``, whichever holds the result.
    """
    height, width = u.shape[3:]
    fast = u.shape[1] == 3 and u.shape[2] == 1 and kind in COLOURS and not g.size + mask.size
    run_phases(
        *addresses(u.dtype, step_colours if fast else step_lines), flat(u), flat(v), start, steps, width,
        lines_of_run(-(-height // (slopes.shape[1] - 1)), width),
        alpha, kind, inverse, rate, flat(g), flat(mask), slopes, space,
    )  # fmt: skip
    return v if len(alpha) > 1 and steps % 2 else u


def flat(a):
    """An array (..., H, W) as (..., H·W)."""
    return a.reshape(*a.shape[:-2], a.shape[-2] * a.shape[-1])


@cache
def addresses(dtype, step):
    """Where `work_share` lies and where a way of stepping."""
    real, whole = from_dtype(dtype), types.int64
    line, lines, state, g = (types.Array(real, axes, "C") for axes in (1, 2, 4, 3))
    g_and_mask = g, types.Array(types.boolean, 3, "C")
    share = address_of(
        work_share, whole, state, state, *[whole] * 8, line, whole, line, lines, *g_and_mask,
        types.Array(real, 7, "C"), lines,
    )  # fmt: skip
    return share, address_of(
        step, state, state, *[whole] * 9, line, whole, line, lines, *g_and_mask,
        lines, state, types.boolean, g, line, lines, lines,
    )  # fmt: skip


@njit(parallel=True, **OPTIONS)
def run_phases(
    share, step, u, v, start, steps, width, lines, alpha, kind, inverse, rate, g, mask, slopes, space,
):  # fmt: skip
    """All steps, hills and valleys in turn, with `addresses` ``share`` and ``step``."""
    strips, workers = slopes.shape[1] - 1, len(space)
    at_once = slopes.shape[3] if strips > 1 or u.shape[2] > 1 else steps
    for taken in range(0, steps, at_once):
        now = min(at_once, steps - taken)
        for phase in range(min(strips, 2)):  # hills, and the valleys between them
            for worker in prange(workers):
                call(share, (step, u, v, np.int64(worker), workers, phase, start, taken, now, width, lines,
                             alpha, kind, inverse, rate, g, mask, slopes, space))  # fmt: skip


@njit(**INNER)
def solve_columns(u, b, z, first, m, width, kind, inverse, rate, g, mask, ratio, weights):
    """`implicit` for m columns of one plane side by side, by elimination and substitution.

    With the weights w_i of the faces between the lines i and i + 1, the solution v of
    v_i + w_i (v_i - v_{i+1}) + w_{i-1} (v_i - v_{i-1}) = u_i is u_i + ratio_i v_{i+1} when u has
    been eliminated downwards. Nothing but positive numbers is added on the way.
    """
    channels, count = u.shape[1], u.shape[3] // width
    one = u.dtype.type(1.0)
    before, after, share = weights[0], weights[1], weights[2]
    for j in range(m):
        before[j] = 0
    for i in range(count):
        at = i * width + first
        if i + 1 < count:
            face_weight(u, b, (z, at), (z, at + width), m, kind, inverse, rate, g, mask, after)
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


@njit(parallel=True, **OPTIONS)
def implicit(u, kind, inverse, rate, g, mask, ratio, weights):
    """u <- (1 - τ A_y(u))⁻¹ u in place, A_y being the diffusion along the axis y alone.

    Parameters are those of `evolve`, but ``inverse`` and ``rate`` for this axis only, and room for
    each worker: ``ratio (N, H, M)`` and ``weights (N, 3, M)`` for M columns side by side.
    """
    batch, channels, depth, height, width = u.shape
    u = u.reshape(batch, channels, depth, height * width)
    g = g.reshape(g.shape[0], g.shape[1], g.shape[2] * g.shape[3])
    mask = mask.reshape(mask.shape[0], mask.shape[1], mask.shape[2] * mask.shape[3])
    workers, columns = ratio.shape[0], ratio.shape[2]
    parts = (width + columns - 1) // columns
    jobs = batch * depth * parts
    for w in prange(workers):
        worker = np.int64(w)
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            first = job % parts * columns
            solve_columns(u, job // parts // depth, job // parts % depth,
                          first, min(columns, width - first), width, kind, inverse, rate, g, mask,
                          ratio[worker], weights[worker])  # fmt: skip


@njit(**INNER)
def add_squares(u, b, z, c, z1, z2, start, n, back, forth, inverse, q):
    """Add d²·inverse to n pixels of q, d = u in plane z2, `forth` pixels on, - u in z1, `back` before."""
    here = np.uintp(start)
    before, after = np.uintp(start - back), np.uintp(start + forth)
    for i in range(np.uintp(max(n, 0))):
        d = u[b, c, z2, after + i] - u[b, c, z1, before + i]
        q[here + i] += d * d * inverse


@njit(**INNER)
def gradient(u, b, z, first, last, width, inverse, q):
    """q = Σ_c |∇u_c|², times ``inverse``, in the lines from `first` to `last`, by central differences.

    A neighbour beyond the border is taken to equal the pixel itself.
    """
    channels, depth, size = u.shape[1:]
    height, start, end = size // width, first * width, last * width
    for i in range(np.uintp(start), np.uintp(end)):
        q[i] = 0
    at = max(start, 1)
    for c in range(channels):
        add_squares(u, b, z, c, z, z, at, min(end, size - 1) - at, 1, 1, inverse[2], q)
    for line in range(start, end, width):  # but there is nobody on the left and on the right
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


@njit(**INNER)
def masked_gradient(u, b, z, first, last, width, inverse, mask, q):
    """`gradient` where a neighbour beyond the mask, too, is taken to equal the pixel itself."""
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


@njit(**INNER)
def diffusivity_lines(u, b, first, last, width, kind, inverse, mask, g):
    """`pixel_diffusivity` of the lines from `first` to `last` of image b."""
    depth, size = u.shape[2:]
    lines = lines_of_run(size // width, width)
    for z in range(depth):
        for y in range(first, last, lines):
            end = min(y + lines, last)
            if mask.size:
                masked_gradient(u, b, z, y, end, width, inverse, mask, g[b, z])
            else:
                gradient(u, b, z, y, end, width, inverse, g[b, z])
            diffusivity_row(kind, g[b, z][y * width :], (end - y) * width, u.dtype.type(1.0))


def pixel_diffusivity(u, kind, inverse, mask, g, workers):
    """g[b, z, y, x] of the gradient of ``u`` by central differences, over all channels.

    ``inverse`` is 1/(2κh)² for the axes z, y, x. A neighbour beyond the border or the mask is
    taken to equal the pixel itself.
    """
    width = u.shape[4]
    lines = diffusivity_address(u.dtype)
    run_diffusivity(lines, flat(u), width, kind, inverse, flat(mask), flat(g), workers)


@njit(parallel=True, **OPTIONS)
def run_diffusivity(lines, u, width, kind, inverse, mask, g, workers):
    """`pixel_diffusivity`; each worker takes a part of every image."""
    height = u.shape[3] // width
    for worker in prange(workers):
        first, last = worker * height // workers, (worker + 1) * height // workers
        for b in range(len(u)):
            call(lines, (u, b, np.int64(first), np.int64(last), width, kind, inverse, mask, g))


@cache
def diffusivity_address(dtype):
    """Where `diffusivity_lines` lies."""
    real, whole = from_dtype(dtype), types.int64
    line, state, g = (types.Array(real, axes, "C") for axes in (1, 4, 3))
    mask = types.Array(types.boolean, 3, "C")
    return address_of(diffusivity_lines, state, *[whole] * 5, line, mask, g)


@njit(**INNER)
def presmoothed_share(
    lines_g, share, step, u, v, smooth, worker, workers, steps, blurs, width, lines, alpha, once,
    kind, inverse, slope_inverse, rate, blur_rate, g, none, mask, slopes, space,
):  # fmt: skip
    """All steps of the images that are one worker's, with a new g for each step."""
    batch, channels, depth, size = u.shape
    for taken in range(steps):
        now = v if taken % 2 else u
        for b in range(worker * batch // workers, (worker + 1) * batch // workers):
            for c in range(channels):
                for z in range(depth):
                    for i in range(size):
                        smooth[b, c, z, i] = now[b, c, z, i]
        for _ in range(blurs):
            call(share, (step, smooth, smooth, worker, workers, HILLS, 0, 0, 1, width, lines, once,
                         CONSTANT, inverse, blur_rate, none, mask, slopes, space))  # fmt: skip
        for b in range(worker * batch // workers, (worker + 1) * batch // workers):
            call(lines_g, (smooth, b, 0, size // width, width, kind, slope_inverse, mask, g))
        call(share, (step, u, v, worker, workers, HILLS, 0, taken, 1, width, lines, alpha,
                     kind, inverse, rate, g, mask, slopes, space))  # fmt: skip


@njit(parallel=True, **OPTIONS)
def run_presmoothed(
    presmoothed, lines_g, share, step, u, v, smooth, steps, blurs, width, lines, alpha, once,
    kind, inverse, slope_inverse, rate, blur_rate, g, none, mask, slopes, space,
):  # fmt: skip
    for worker in prange(len(space)):
        call(presmoothed, (
            lines_g, share, step, u, v, smooth, np.int64(worker), len(space), steps, blurs, width,
            lines, alpha, once, kind, inverse, slope_inverse, rate, blur_rate, g, none, mask, slopes,
            space,
        ))  # fmt: skip


def evolve_presmoothed(
    u, v, smooth, steps, blurs, alpha, kind, inverse, rate, blur_rate, g, mask, slopes, space
):
    """`evolve` for images that are not cut into strips, g being made anew for each step.

    ``smooth`` is room for the smoothed state: that after ``blurs`` steps of linear diffusion with
    the ``blur_rate`` (1, 3).
    """
    real, whole = from_dtype(u.dtype), types.int64
    width = u.shape[4]
    share, step = addresses(u.dtype, step_lines)
    line, lines, state, three = (types.Array(real, axes, "C") for axes in (1, 2, 4, 3))
    presmoothed = address_of(
        presmoothed_share, *[whole] * 3, state, state, state, *[whole] * 6, line, line, whole, line,
        line, lines, lines, three, three, types.Array(types.boolean, 3, "C"),
        types.Array(real, 7, "C"), lines,
    )  # fmt: skip
    run_presmoothed(
        presmoothed, diffusivity_address(u.dtype), share, step, flat(u), flat(v), flat(smooth), steps,
        blurs, width, lines_of_run(u.shape[3], width), alpha, np.ones(1, u.dtype), kind, inverse,
        inverse / 4, rate, blur_rate, flat(g), flat(g[:0]), flat(mask), slopes, space,
    )  # fmt: skip
    return v if len(alpha) > 1 and steps % 2 else u


@njit(parallel=True, **(OPTIONS | {"fastmath": {"contract", "reassoc"}}))
def row_moments(u, y, b, scale):
    """Row by row, Σ (s u - y)² and Σ b·(s u' - s u) for some evolutions, each with a scale s.

    ``y`` and ``b`` are (N, C, D, H, W), ``u`` holds first N images for each evolution, then as
    many u' again.
    """
    count, channels, depth, height, width = y.shape
    runs, rows = len(scale), channels * depth * height
    squares, products = np.empty(runs * count * rows), np.empty(runs * count * rows)
    for job in prange(runs * count * rows):
        k, row = job // rows, job % rows
        c, z, h = row // (depth * height), row // height % depth, row % height
        p, r = u[k, c, z, h], u[runs * count + k, c, z, h]
        o, s = y[k % count, c, z, h], b[k % count, c, z, h]
        square = product = y.dtype.type(0.0)
        factor = scale[k // count]
        for i in range(width):
            d = factor * p[i] - o[i]
            square += d * d
            product += s[i] * (r[i] - p[i])
        squares[job] = square
        products[job] = factor * product
    return squares, products
