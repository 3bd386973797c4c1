"""An explicit step of some lines, the general case: any channels, masks, diffusivities, volumes.

This is `perona_malik.step` with every flux computed once, in runs of lines that pass through short
buffers in the first-level cache. `step_rows` and `step_colours` are faster in the cases they serve,
and take the same arguments.
"""

import numpy as np

from difffilter.pde.kernels.common import CACHE_LINE, inner
from difffilter.pde.kernels.face_flux import face_flux

# How a step makes the new state: in the place of the old one; beside it, as the first step of a
# cycle; or from the last two.
IN_PLACE, FIRST, LATER = range(3)


@inner
def clear(rows):
    """Set rows to 0."""
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
    """Step s, the k-th of a cycle, of the lines from ``first`` to ``last`` of plane z of image b.

    A run has so many ``lines``. ``south[c, :width]`` holds the flux in from the line above, and in
    the end the flux out to the line below; if the lower end is ``closed`` that is ``floor[s, z, c]``,
    else it is computed. ``front[s, c]`` holds the flux in from the plane before, and in the end the
    flux out to the next one; q, east and back are scratch. The new state goes to v and follows from u
    and, if ``mode`` is `LATER`, from what v held.
    """
    channels, depth, size = u.shape[1:]
    margin = CACHE_LINE // u.itemsize  # one number would do, but loads are faster from a whole line
    step, beta = alpha[k], u.dtype.type(1.0) - alpha[k]
    for c in range(channels):
        east[c, margin - 1] = 0  # nothing flows in on the left of the first column
    for y in range(first, last, lines):
        at = y * width
        n = (min(y + lines, last) - y) * width
        computed = n - width if closed and y + lines >= last else n
        for axis in range(0 if depth > 1 else 1, 3):
            if axis == 0:
                there, m, flux, to = (z + 1, at), n if z + 1 < depth else 0, back, 0
            elif axis == 1:
                there, m, flux, to = (z, at + width), computed, south, width
            else:
                there, m, flux, to = (z, at + 1), min(n, size - 1 - at), east, margin
            face_flux(u, b, (z, at), there, m,
                      kind, inverse[axis], rate[k, axis], g, mask, q, flux, to)  # fmt: skip
        for c in range(channels):
            for i in range(width, n + 1, width):
                east[c, margin - 1 + i] = 0  # nor out on the right of the last
        if computed < n:
            for c in range(channels):
                for i in range(np.uintp(width)):
                    south[c, np.uintp(n) + i] = floor[min(s, len(floor) - 1), z, c, i]
        if depth > 1 and z + 1 == depth:
            clear(back)
        # (Signed indices might be negative as far as the compiler knows, which keeps it from
        # vectorising. Slices would do, too, but their references are counted.)
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
