"""The stages of a presmoothed step, and how layers get into the rings and out: see `presmoothed`.

All stages work in one array of numbers ``a`` and take the places in it: of what they read, and ``to``
of what they write.
"""

import numpy as np

from difffilter.pde.kernels.common import inner


@inner
def heat(a, above, at, below, across, n, rate, to):
    """A step of the heat equation for n numbers from ``a[at]`` on, to ``a[to]``.

    The layers above and below begin at ``a[above]`` and ``a[below]``; the next line of a plane is
    ``across`` numbers further, or there is none if that is 0. ``rate`` is τ/h² from layer to layer,
    line to line and pixel to pixel.
    """
    p, w, h, e = np.uintp(above), np.uintp(at - 1), np.uintp(at), np.uintp(at + 1)
    q, t = np.uintp(below), np.uintp(to)
    rate_z, rate_y, rate_x = rate[0], rate[1], rate[2]
    for i in range(np.uintp(n)):
        c = a[h + i]
        x, z = (a[e + i] - c) + (a[w + i] - c), (a[q + i] - c) + (a[p + i] - c)
        a[t + i] = c + (rate_x * x + rate_z * z)
    p, q = np.uintp(at - across), np.uintp(at + across)
    for i in range(np.uintp(n if across else 0)):
        c = a[h + i]
        a[t + i] += rate_y * ((a[q + i] - c) + (a[p + i] - c))


@inner
def slope(a, above, at, below, across, n, inverse, more, to):
    """|∇u|² by central differences, laid out as in `heat`; added to what is there if there is ``more``."""
    p, w, e = np.uintp(above), np.uintp(at - 1), np.uintp(at + 1)
    q, t = np.uintp(below), np.uintp(to)
    inverse_z, inverse_y, inverse_x = inverse[0], inverse[1], inverse[2]
    if more:
        for i in range(np.uintp(n)):
            x, z = a[e + i] - a[w + i], a[q + i] - a[p + i]
            a[t + i] += x * x * inverse_x + z * z * inverse_z
    else:
        for i in range(np.uintp(n)):
            x, z = a[e + i] - a[w + i], a[q + i] - a[p + i]
            a[t + i] = x * x * inverse_x + z * z * inverse_z
    p, q = np.uintp(at - across), np.uintp(at + across)
    for i in range(np.uintp(n if across else 0)):
        y = a[q + i] - a[p + i]
        a[t + i] += y * y * inverse_y


@inner
def flow(
    a, above, at, below, g_above, g_at, g_below, across, past, n, step, beta, rate, to
):  # fmt: skip
    """step·u + beta·u' + Σ rate·div(g ∇u), laid out as in `heat`, with u' from ``a[past]`` on."""
    p, w, h, e = np.uintp(above), np.uintp(at - 1), np.uintp(at), np.uintp(at + 1)
    gp, gw, gh, ge = np.uintp(g_above), np.uintp(g_at - 1), np.uintp(g_at), np.uintp(g_at + 1)
    q, gq, t, o = np.uintp(below), np.uintp(g_below), np.uintp(to), np.uintp(past)
    half = a.dtype.type(0.5)
    rate_z, rate_y, rate_x = half * rate[0], half * rate[1], half * rate[2]
    for i in range(np.uintp(n)):
        c, g = a[h + i], a[gh + i]
        x = (g + a[ge + i]) * (a[e + i] - c) - (g + a[gw + i]) * (c - a[w + i])
        z = (g + a[gq + i]) * (a[q + i] - c) - (g + a[gp + i]) * (c - a[p + i])
        a[t + i] = step * c + beta * a[o + i] + (rate_x * x + rate_z * z)
    p, q, gp, gq = (
        np.uintp(at - across), np.uintp(at + across),
        np.uintp(g_at - across), np.uintp(g_at + across),
    )  # fmt: skip
    for i in range(np.uintp(n if across else 0)):
        c, g = a[h + i], a[gh + i]
        y = (g + a[gq + i]) * (a[q + i] - c) - (g + a[gp + i]) * (c - a[p + i])
        a[t + i] += rate_y * y


@inner
def end_layer(a, at, lines, width, pitch, layer):
    """Continue each line of a layer by copies of its first and last pixel, a plane by those of lines."""
    for first in range(at, at + lines * pitch, pitch):
        a[first - 1], a[first + width] = a[first], a[first + width - 1]
    last, line = np.uintp(at - 1 + (lines - 1) * pitch), np.uintp(pitch)
    first = np.uintp(at - 1)
    for i in range(np.uintp(width + 2 if layer > pitch else 0)):
        a[first - line + i] = a[first + i]
        a[last + line + i] = a[last + i]


@inner
def read_layers(
    u, b, z, layers, first, last, beside, top, lines, a, ring, n, width, pitch, layer
):  # fmt: skip
    """Copy layers of image b from z on, their lines from ``top`` on, to a ring.

    Layers outside the strip from ``first`` to ``last`` come from ``beside``.
    """
    for c in range(u.shape[1]):
        for y in range(z, z + layers):
            for line in range(lines):
                at = np.uintp(ring + (c * n + y % n) * layer + line * pitch)
                if first <= y < last:
                    start = np.uintp((top + line) * width)
                    for i in range(np.uintp(width)):
                        a[at + i] = u[b, c, y, start + i]
                else:
                    side, distance = (0, first - 1 - y) if y < first else (1, y - last)
                    for i in range(np.uintp(width)):
                        a[at + i] = beside[side, distance, c, i]
            end_layer(a, ring + (c * n + y % n) * layer, lines, width, pitch, layer)


@inner
def write_layers(a, ring, n, skip, u, b, z, layers, top, lines, width, pitch, layer):
    """Copy layers from a ring, without the first ``skip`` lines, to image b from z and ``top`` on."""
    for c in range(u.shape[1]):
        for y in range(z, z + layers):
            for line in range(lines):
                at = np.uintp(ring + (c * n + y % n) * layer + (skip + line) * pitch)
                start = np.uintp((top + line) * width)
                for i in range(np.uintp(width)):
                    u[b, c, y, start + i] = a[at + i]


@inner
def copy_beside(u, b, first, last, lines, beside):
    """Copy so many lines before the first and after the last, outwards, as far as there are any."""
    for c in range(u.shape[1]):
        for distance in range(lines):
            for side, y in ((0, first - 1 - distance), (1, last + distance)):
                for i in range(u.shape[3] if 0 <= y < u.shape[2] else 0):
                    beside[side, distance, c, i] = u[b, c, y, i]
