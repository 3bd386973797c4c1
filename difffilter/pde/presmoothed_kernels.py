"""Steps in the plane with a diffusivity from the gradient of the smoothed image, in one pass.

A step has stages: each step of the heat equation that smooths, the diffusivity g of each pixel
from the gradient, and what flows between the pixels. A stage needs of the one before it the line
itself and the two beside it, so it can follow one line behind; and so can the first stage of the
next step. All stages of several steps go through the image together, like a wave::

        lines ->           read  . . . . . . . . |
                     smooth (1)  . . . . . . . |
                          g (1)  . . . . . . |
    state after a step, flow (1) . . . . . |
                     smooth (2)  . . . . |
                          g (2)  . . . |
                       flow (2)  . . |                 written in the place of what was read

Of each stage only the last few lines are kept, in a ring: line z lies where line z - n did. Next
to the first and the last pixel of each line lies a copy of it, so that the border needs no care:
the difference to it is zero. Where several strips of an image are worked on in parallel, each
computes the lines beside it for itself, from a copy of them that is made before.
"""

import math
from functools import cache

import numpy as np
from numba import from_dtype, njit, prange, types

from difffilter.pde.address import address_of, call
from difffilter.pde.kernels import CACHE_LINE, INNER, OPTIONS, PART, diffusivity_row, up_to_line
from difffilter.pde.strips import empty

# Pixels that each stage takes at a time, and how many an image has for this to be faster than to take
# all of it; steps at once, and bytes of all rings of a worker, at most.
CHUNK, SMALL = 1 << 13, 1 << 16
AT_ONCE, CACHE = 8, 3 << 20

# With more steps of the heat equation the rings outgrow the caches, and to smooth the image as a whole
# is faster.
MOST_BLURS = 16


@njit(**INNER)
def heat_lines(a, above, at, below, n, rate_x, rate_y, to):
    """A step of the heat equation for n numbers from ``a[at]`` on, to ``a[to]``.

    The lines above and below begin at ``a[above]`` and ``a[below]``; rates are τ/h².
    """
    p, w, h, e = np.uintp(above), np.uintp(at - 1), np.uintp(at), np.uintp(at + 1)
    q, t = np.uintp(below), np.uintp(to)
    for i in range(np.uintp(n)):
        c = a[h + i]
        x, y = (a[e + i] - c) + (a[w + i] - c), (a[q + i] - c) + (a[p + i] - c)
        a[t + i] = c + (rate_x * x + rate_y * y)


@njit(**INNER)
def slope_lines(a, above, at, below, n, inverse_x, inverse_y, more, to):
    """|∇u|² by central differences, as `heat_lines`; added to what is there if it is one ``more``."""
    p, w, e = np.uintp(above), np.uintp(at - 1), np.uintp(at + 1)
    q, t = np.uintp(below), np.uintp(to)
    if more:
        for i in range(np.uintp(n)):
            x, y = a[e + i] - a[w + i], a[q + i] - a[p + i]
            a[t + i] += x * x * inverse_x + y * y * inverse_y
    else:
        for i in range(np.uintp(n)):
            x, y = a[e + i] - a[w + i], a[q + i] - a[p + i]
            a[t + i] = x * x * inverse_x + y * y * inverse_y


@njit(**INNER)
def flow_lines(
    a, above, at, below, g_above, g_at, g_below, past, n, step, beta, rate_x, rate_y, to
):  # fmt: skip
    """step·u + beta·u' + Σ rate·div((g + g)∇u) as `heat_lines`, where u' begins at ``a[past]``."""
    p, w, h, e = np.uintp(above), np.uintp(at - 1), np.uintp(at), np.uintp(at + 1)
    gp, gw, gh, ge = np.uintp(g_above), np.uintp(g_at - 1), np.uintp(g_at), np.uintp(g_at + 1)
    q, gq, t, o = np.uintp(below), np.uintp(g_below), np.uintp(to), np.uintp(past)
    for i in range(np.uintp(n)):
        c, g = a[h + i], a[gh + i]
        x = (g + a[ge + i]) * (a[e + i] - c) - (g + a[gw + i]) * (c - a[w + i])
        y = (g + a[gq + i]) * (a[q + i] - c) - (g + a[gp + i]) * (c - a[p + i])
        a[t + i] = step * c + beta * a[o + i] + (rate_x * x + rate_y * y)


@njit(**INNER)
def end_lines(a, at, lines, width, pitch):
    """Continue each of some lines by a copy of its first and of its last pixel."""
    for first in range(at, at + lines * pitch, pitch):
        a[first - 1], a[first + width] = a[first], a[first + width - 1]


@njit(**INNER)
def read_lines(u, b, z, lines, first, last, beside, a, ring, n, width, pitch):
    """Lines of image b, from z on, to a ring; those not of the strip come from ``beside``."""
    for c in range(u.shape[1]):
        for y in range(z, z + lines):
            at, start = np.uintp(ring + (c * n + y % n) * pitch), np.uintp(y * width)
            if first <= y < last:
                for i in range(np.uintp(width)):
                    a[at + i] = u[b, c, start + i]
            else:
                side, distance = (0, first - 1 - y) if y < first else (1, y - last)
                for i in range(np.uintp(width)):
                    a[at + i] = beside[side, distance, c, i]
            end_lines(a, np.int64(at), 1, width, pitch)


@njit(**INNER)
def write_lines(a, ring, n, pitch, u, b, z, lines, width):
    """Lines from a ring to those of image b from z on."""
    for c in range(u.shape[1]):
        for y in range(z, z + lines):
            at, start = np.uintp(ring + (c * n + y % n) * pitch), np.uintp(y * width)
            for i in range(np.uintp(width)):
                u[b, c, start + i] = a[at + i]


@njit(**INNER)
def copy_beside(u, b, first, last, lines, width, beside):
    """So many lines before the first and after the last, from there outwards, as far as there are."""
    height = u.shape[2] // width
    for c in range(u.shape[1]):
        for distance in range(lines):
            for side, y in ((0, first - 1 - distance), (1, last + distance)):
                for i in range(width if 0 <= y < height else 0):
                    beside[side, distance, c, i] = u[b, c, y * width + i]


@njit(**PART)
def sweep(
    row, u, v, b, first, last, beside, k, steps, blurs, width, pitch, n, chunk, sets,
    alpha, kind, inverse, rate, blur_rate, a,
):  # fmt: skip
    """Take some steps of the lines from `first` to `last` of image b: all stages, `chunk` lines at a time.

    ``row`` is the address of `diffusivity_row`, k the first step's place in the cycle, and ``beside``
    has the lines of u and v beside the strip. In ``a`` there are, with n lines for each channel, the
    rings of ``sets + 2`` states, and of ``sets`` times the smoothed ones and, with n lines, of g.
    """
    channels, height = u.shape[1], u.shape[2] // width
    one, half = u.dtype.type(1.0), u.dtype.type(0.5)
    ring, stages = channels * n * pitch, blurs + 2
    states = CACHE_LINE // u.itemsize
    smoothed = states + (sets + 2) * ring
    diffusivities = smoothed + sets * blurs * ring
    # Beside the strip each stage has a line less than the one before.
    begin, end = max(0, first - steps * stages), min(height, last + steps * stages)
    for ahead in range(begin + chunk, end + steps * stages + chunk, chunk):
        z, z1 = ahead - chunk, min(ahead, end)
        read_lines(u, b, z, z1 - z, first, last, beside[0], a, states + ring, n, width, pitch)
        for s in range(steps):
            j = (k + s) % len(alpha)
            now, new = states + (s + 1) % (sets + 2) * ring, states + (s + 2) % (sets + 2) * ring
            # At the start of a cycle the two last states count as the same.
            past, step = (states + s % (sets + 2) * ring, alpha[j]) if j else (now, one)
            g = diffusivities + s % sets * n * pitch
            for stage in range(stages):
                behind = s * stages + stage + 1
                z = max(ahead - chunk - behind, begin + behind if begin else 0)
                z1 = min(ahead - behind, end - behind if end < height else height)
                blurred = smoothed + (s % sets * blurs + stage) * ring
                source = blurred - ring if 0 < stage <= blurs else now
                if stage == blurs + 1 and s == 0 and j:
                    read_lines(v, b, z, z1 - z, first, last, beside[1], a, past, n, width, pitch)
                while z < z1:
                    # As many lines as have their neighbours next to them in the rings.
                    inside = 0 < z < height - 1 and 0 < z % n < n - 1
                    lines = min(z1 - z, height - 1 - z, n - 1 - z % n) if inside else 1
                    numbers = (lines - 1) * pitch + width
                    above, at, below = (
                        max(z - 1, 0) % n * pitch, z % n * pitch, min(z + 1, height - 1) % n * pitch
                    )  # fmt: skip
                    for c in range(channels):
                        to = c * n * pitch
                        up, here, down = source + to + above, source + to + at, source + to + below
                        if stage < blurs:
                            heat_lines(a, up, here, down, numbers, blur_rate[2], blur_rate[1],
                                       blurred + to + at)  # fmt: skip
                            end_lines(a, blurred + to + at, lines, width, pitch)
                        elif stage == blurs:
                            slope_lines(a, up, here, down, numbers, inverse[2], inverse[1], c > 0,
                                        g + at)  # fmt: skip
                        else:
                            flow_lines(a, up, here, down, g + above, g + at, g + below,
                                       past + to + at, numbers, step, one - step,
                                       half * rate[j, 2], half * rate[j, 1], new + to + at)  # fmt: skip
                            end_lines(a, new + to + at, lines, width, pitch)
                    if stage == blurs:
                        call(row, (kind, a[g + at :], numbers, one, one))
                        end_lines(a, g + at, lines, width, pitch)
                    z += lines
            if s == steps - 1:
                z = max(ahead - chunk - behind, first)
                lines = min(z1, last) - z
                write_lines(a, new, n, pitch, u, b, z, lines, width)
                if (j + 1) % len(alpha):
                    write_lines(a, now, n, pitch, v, b, z, lines, width)


@njit(**INNER)
def work_share(
    row, u, v, beside, worker, workers, sweeping, taken, steps, blurs, width, pitch, n, chunk, sets,
    alpha, kind, inverse, rate, blur_rate, a,
):  # fmt: skip
    """What one worker does: of the copies of the lines beside strips, or of the sweeps."""
    strips, height, k = beside.shape[1], u.shape[2] // width, taken % len(alpha)
    jobs = len(u) * strips
    for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
        b, strip = job // strips, job % strips
        first, last = strip * height // strips, (strip + 1) * height // strips
        if sweeping:
            sweep(row, u, v, b, first, last, beside[b, strip], k, steps, blurs, width, pitch, n, chunk, sets,
                  alpha, kind, inverse, rate, blur_rate, a)  # fmt: skip
        else:
            lines = steps * (blurs + 2)
            copy_beside(u, b, first, last, lines, width, beside[b, strip, 0])
            if k:
                copy_beside(v, b, first, last, lines, width, beside[b, strip, 1])


@njit(parallel=True, **OPTIONS)
def run_sweeps(
    share, row, u, v, beside, steps, at_once, blurs, width, pitch, n, chunk, sets,
    alpha, kind, inverse, rate, blur_rate, space,
):  # fmt: skip
    """All steps, with the addresses of `work_share` and `diffusivity_row`."""
    workers = len(space)
    for taken in range(0, steps, at_once):
        now = min(at_once, steps - taken)
        for sweeping in range(0 if beside.shape[1] > 1 else 1, 2):
            for worker in prange(workers):
                call(share, (row, u, v, beside, np.int64(worker), workers, sweeping, taken, now, blurs,
                             width, pitch, n, chunk, sets, alpha, kind, inverse, rate, blur_rate,
                             space[worker]))  # fmt: skip


def layout(shape, itemsize, blurs, steps, workers):
    """How to go through images.

    Returns
    -------
    tuple of int
        Strips that each is cut into, steps at once, lines that each stage takes at a time, lines of
        a ring, and rings of each kind. It makes no difference to the result.
    """
    batch, channels, _, height, width = shape
    stages = blurs + 2
    strips = workers // math.gcd(batch, workers)
    strips = max(1, min(strips, height // (8 * stages)))
    if strips == 1 and height * width <= SMALL:
        # One stage after the other, so the next step may use the same rings.
        return 1, max(1, steps), height + steps * stages, height, 1
    chunk = max(1, CHUNK // width)
    n = chunk + 2 * stages + 2  # a state is needed until the next but one is made
    bytes_per_step = up_to_line(width + 2, itemsize) * itemsize * n * (channels * (1 + blurs) + 1)
    at_once = max(1, min(AT_ONCE, CACHE // bytes_per_step))
    if strips > 1:
        at_once = max(1, min(at_once, height // strips // (4 * stages)))
    return strips, at_once, chunk, n, at_once


def evolve_presmoothed(u, v, steps, blurs, alpha, kind, inverse, rate, blur_rate, workers):
    """`strips.evolve` in the plane with a diffusivity from the gradient of the smoothed state.

    Parameters
    ----------
    u, v : array (B, C, 1, H, W), float32 or float64
        The state, which is replaced, and space for the last one of a cycle; for the explicit scheme
        both are the same array.
    steps : int
        How many to take from the first of a cycle on.
    blurs : int
        How many steps of linear diffusion smooth the state, with the ``blur_rate``, (3,).
    alpha, kind, rate : see `strips.evolve`
    inverse : array (3,), of u's dtype
        1/(2κh)² for the axes z, y, x.
    workers : int
        How many share the work; as many as there are threads.
    """
    batch, channels, _, height, width = u.shape
    strips, at_once, chunk, n, sets = layout(u.shape, u.itemsize, blurs, steps, workers)
    pitch = up_to_line(width + 2, u.itemsize)
    size = CACHE_LINE // u.itemsize + ((sets + 2 + sets * blurs) * channels + sets) * n * pitch
    space = empty((workers, up_to_line(size, u.itemsize)), u.dtype)
    most = at_once * (blurs + 2) if strips > 1 else 0
    beside = np.empty((batch, strips, 2, 2, most, channels, width), u.dtype)
    u, v = (state.reshape(batch, channels, height * width) for state in (u, v))
    run_sweeps(
        *addresses(u.dtype), u, v, beside, steps, at_once, blurs, width, pitch, n, chunk, sets, alpha,
        kind, inverse, rate, blur_rate, space,
    )  # fmt: skip


@cache
def addresses(dtype):
    """Where `work_share` lies and where `diffusivity_row`."""
    real, whole = from_dtype(dtype), types.int64
    line, lines, state = (types.Array(real, axes, "C") for axes in (1, 2, 3))
    share = address_of(
        work_share, whole, state, state, types.Array(real, 7, "C"), *[whole] * 11, line, whole, line,
        lines, line, line,
    )  # fmt: skip
    return share, address_of(diffusivity_row, whole, line, whole, real, real)
