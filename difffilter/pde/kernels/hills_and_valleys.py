"""Several steps on a part of the image before the next part is loaded, or memory would set the pace.

An image is cut into strips of lines. A step needs the lines next to its own, so each further step of
a strip leaves out one more line at either end: with time drawn upwards, the strip becomes a *hill*.
The *valleys* between the hills are missing, and widen by two lines a step::

    time   4 |\\   valley  /  \\        4 steps
           3 | \\        /    \\       _
           2 |  \\      /      \\     |  hill: lines per step 8, 6, 4, 2
           1 |   \\    /  hill  \\
              lines ->

Hills and then valleys are worked on in parallel, all of it in place: the flux through the slope of a
hill is kept for the valley, and nothing else of the hill's past is needed. Nothing is computed twice,
where strips with a halo of a line a step would repeat 10 to 30 % of the work. Each pixel sees the
same arithmetic whatever the strips, so results depend neither on them nor on the threads.

In a volume the planes of a strip do not all fit into the cache. There the steps follow one another
through the planes, step s working on plane z while step s + 1 works on plane z - 1.
"""

import numpy as np

from difffilter.pde.kernels.address import call
from difffilter.pde.kernels.common import CACHE_LINE, inner, part, up_to_line
from difffilter.pde.kernels.step_colours import ROW
from difffilter.pde.kernels.step_lines import FIRST, IN_PLACE, LATER, clear

HILLS, VALLEYS = range(2)


@inner
def split(space, rows, columns):
    """The first part of a work space as a matrix, and the rest from the next cache line on."""
    size = rows * columns
    return space[:size].reshape(rows, columns), space[up_to_line(size, space.itemsize) :]


@part
def work_piece(
    step, flux, u, v, b, top, lean_top, bottom, lean_bottom, start, taken, steps, width, lines,
    alpha, kind, inverse, rate, g, mask, above, below, space,
):  # fmt: skip
    """Take some steps of a hill or a valley of image b, in all its planes.

    ``step`` is the address of `step_lines` or of a faster substitute, ``flux`` that of `face_flux`. The
    piece has the lines from ``top`` to ``bottom``, and each step moves either end by its lean: inwards
    for a hill, outwards for a valley, not at all at the border. ``above[s, z, c]`` and
    ``below[s, z, c]`` are the fluxes through the ends, which a hill writes and a valley reads; at the
    border they are 0 and one s is enough.
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
    """The part of one worker of all hills, or of all valleys."""
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
