"""Steps with a diffusivity from the gradient of the smoothed image, in one pass through memory.

These are steps of `perona_malik.step` with a g for every pixel. Smoothing, gradient, g and flow taken
one after the other go through memory four times; in one pass 1024² goes at 3335 Mpixel·iterations/s
on two threads, where it had been about 730.

A step has stages: each step of the heat equation that smooths, the diffusivity g of each pixel
from the gradient, and what flows between the pixels. A *layer* is a line of an image or a plane of
a volume. A stage needs of the one before it the layer itself and the two beside it, so it can
follow one layer behind; and so can the first stage of the next step. All stages of several steps go
through the image together, like a wave::

        layers ->          read  . . . . . . . . |
                     smooth (1)  . . . . . . . |
                          g (1)  . . . . . . |
    state after a step, flow (1) . . . . . |
                     smooth (2)  . . . . |
                          g (2)  . . . |
                       flow (2)  . . |                 written in the place of what was read

Of each stage only the last few layers are kept, in a ring: layer z lies where layer z - n did. Next
to the first and the last pixel of each line lies a copy of it, and so do copies of the first and
the last line of a plane: the difference to a copy is zero, so the border is no special case.

For parallel work an image is cut into strips. Each strip computes the lines it needs beside it
itself, from a copy made beforehand. The planes of large volumes are cut into blocks of lines, or few
planes would fit into the cache; the lines beside a block are computed anew, too. There one step is
taken at a time, from one array to the other.
"""

import math
from functools import cache

import numpy as np
from numba import from_dtype, prange, types

from difffilter.pde.kernels.address import address_of, call
from difffilter.pde.kernels.common import (
    CACHE_LINE,
    diffusivity_row,
    empty,
    inner,
    parallel,
    part,
    up_to_line,
)
from difffilter.pde.kernels.presmoothed_stages import (
    copy_beside,
    end_layer,
    flow,
    heat,
    read_layers,
    slope,
    write_layers,
)

__all__ = ["MOST_BLURS", "evolve_presmoothed"]

# Pixels that a stage takes at a time, and pixels below which it takes a whole image.
CHUNK, SMALL = 1 << 13, 1 << 16

# Steps at once, and bytes of all rings of a worker, at most.
AT_ONCE, CACHE = 8, 3 << 20

# With more steps of smoothing, in the plane and in a volume, the rings outgrow the caches, and to
# smooth the image as a whole is faster.
MOST_BLURS = {2: 16, 3: 6}


@part
def sweep(
    ways, u, v, in_place, b, first, last, beside, top, bottom, k, steps, blurs, width, pitch, n, chunk,
    sets, alpha, kind, inverse, rate, blur_rate, a,
):  # fmt: skip
    """Take some steps of the layers from ``first`` to ``last`` of image b: all stages, ``chunk`` at a time.

    Of planes these are the lines from ``top`` to ``bottom``. k is the place of the first step in the
    cycle, and ``beside`` has the lines of u and v beside the strip. ``a`` holds the rings of
    ``sets + 2`` states and of ``sets`` times the smoothed states, each with n layers for each
    channel, and of ``sets`` times g. ``ways`` are the `addresses` of reading, the stages and writing.
    """
    read, heat_at, slope_at, row, flow_at, write = ways
    channels, depth, height = u.shape[1], u.shape[2], u.shape[3] // width
    one, stages = u.dtype.type(1.0), blurs + 2
    # Beside a strip or block each stage has a layer or line less than the one before.
    begin, end = max(0, first - steps * stages), min(depth, last + steps * stages)
    high, low = max(0, top - steps * stages), min(height, bottom + steps * stages)
    lines, across = low - high, pitch if height > 1 else 0
    layer = (lines + 2) * pitch if height > 1 else pitch
    ring = channels * n * layer
    states = CACHE_LINE // u.itemsize + across
    smoothed = states + (sets + 2) * ring
    diffusivities = smoothed + sets * blurs * ring
    for ahead in range(begin + chunk, end + steps * stages + chunk, chunk):
        z, z1 = ahead - chunk, min(ahead, end)
        # (Beside a block v may be in the making already, but that stays beside it.)
        for past in range(2 if k else 1):
            call(read, (v if past else u, b, z, z1 - z, first, last, beside[past], high, lines, a,
                        states if past else states + ring, n, width, pitch, layer))  # fmt: skip
        for s in range(steps):
            j = (k + s) % len(alpha)
            now, new = states + (s + 1) % (sets + 2) * ring, states + (s + 2) % (sets + 2) * ring
            # At the start of a cycle the two last states count as the same.
            last_but_one, step = (states + s % (sets + 2) * ring, alpha[j]) if j else (now, one)
            g = diffusivities + s % sets * n * layer
            for stage in range(stages):
                behind = s * stages + stage + 1
                z = max(ahead - chunk - behind, begin + behind if begin else 0)
                z1 = min(ahead - behind, end - behind if end < depth else depth)
                blurred = smoothed + (s % sets * blurs + stage) * ring
                source = blurred - ring if 0 < stage <= blurs else now
                while z < z1:
                    # As many layers as have their neighbours next to them in the rings.
                    inside = 0 < z < depth - 1 and 0 < z % n < n - 1
                    layers = min(z1 - z, depth - 1 - z, n - 1 - z % n) if inside else 1
                    numbers = (layers - 1) * layer + (lines - 1) * pitch + width
                    above, at, below = (
                        max(z - 1, 0) % n * layer, z % n * layer, min(z + 1, depth - 1) % n * layer
                    )  # fmt: skip
                    for c in range(channels):
                        to = c * n * layer
                        up, here, down = source + to + above, source + to + at, source + to + below
                        if stage < blurs:
                            to += blurred + at
                            call(heat_at, (a, up, here, down, across, numbers, blur_rate, to))
                        elif stage == blurs:
                            to = g + at
                            call(slope_at, (a, up, here, down, across, numbers, inverse, c > 0, to))
                        else:
                            to += at
                            call(flow_at, (
                                a, up, here, down, g + above, g + at, g + below, across, last_but_one + to,
                                numbers, step, one - step, rate[j], new + to,
                            ))  # fmt: skip
                            to += new
                        if stage == blurs and c == channels - 1:
                            call(row, (kind, a[to:], numbers, one, one))
                        for y in range(layers if stage != blurs or c == channels - 1 else 0):
                            end_layer(a, to + y * layer, lines, width, pitch, layer)
                    z += layers
        z, z1 = max(ahead - chunk - steps * stages, first), min(z1, last)
        for kept in range(2 if in_place and (j + 1) % len(alpha) else 1):
            call(write, (a, now if kept else new, n, top - high, u if in_place and not kept else v, b, z,
                         z1 - z, top, bottom - top, width, pitch, layer))  # fmt: skip


@inner
def work_share(
    ways, u, v, in_place, beside, blocks, worker, workers, sweeping, taken, steps, blurs, width, pitch, n,
    chunk, sets, alpha, kind, inverse, rate, blur_rate, a,
):  # fmt: skip
    """The part of one worker of copying the lines beside the strips, or of the sweeps."""
    strips, depth, height, k = beside.shape[1], u.shape[2], u.shape[3] // width, taken % len(alpha)
    jobs = len(u) * strips * blocks
    for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
        b, strip, block = job // (strips * blocks), job // blocks % strips, job % blocks
        first, last = strip * depth // strips, (strip + 1) * depth // strips
        top, bottom = block * height // blocks, (block + 1) * height // blocks
        if sweeping:
            sweep(ways, u, v, in_place, b, first, last, beside[b, strip], top, bottom, k, steps, blurs, width,
                  pitch, n, chunk, sets, alpha, kind, inverse, rate, blur_rate, a)  # fmt: skip
        else:
            for past in range(2 if k else 1):
                copy_beside(
                    v if past else u, b, first, last, steps * (blurs + 2), beside[b, strip, past]
                )


@parallel
def run_sweeps(
    share, read, heat_at, slope_at, row, flow_at, write, u, v, in_place, beside, blocks, steps, at_once,
    blurs, width, pitch, n, chunk, sets, alpha, kind, inverse, rate, blur_rate, space,
):  # fmt: skip
    """All steps, by the `addresses`."""
    # (Passed one by one, for Numba takes longer to find out the type of a tuple of addresses.)
    workers, ways = len(space), (read, heat_at, slope_at, row, flow_at, write)
    for taken in range(0, steps, at_once):
        now = min(at_once, steps - taken)
        if in_place or taken % 2 == 0:
            old, new = u, v
        else:
            old, new = v, u
        for sweeping in range(0 if beside.shape[1] > 1 else 1, 2):
            for worker in prange(workers):
                call(share, (ways, old, new, in_place, beside, blocks, np.int64(worker), workers, sweeping,
                             taken, now, blurs, width, pitch, n, chunk, sets, alpha, kind, inverse, rate,
                             blur_rate, space[worker]))  # fmt: skip


def layout(shape, itemsize, blurs, steps, workers):
    """How to go through images (B, C, layers, lines of a layer, pixels of a line).

    Returns
    -------
    tuple of int
        Strips of layers and blocks of lines that an image is cut into, steps at once, layers that a
        stage takes at a time, layers of a ring, and rings of each kind. The result does not depend
        on them.
    """
    batch, channels, depth, height, width = shape
    stages, share = blurs + 2, workers // math.gcd(batch, workers)
    line = up_to_line(width + 2, itemsize) * itemsize
    strips = max(1, min(share, depth // (8 * stages))) if height == 1 else 1
    if strips == 1 and depth * height * width <= SMALL:
        # One stage after the other, so the next step may use the same rings.
        return 1, 1, max(1, steps), depth + steps * stages, depth, 1
    chunk = max(1, CHUNK // (height * width))
    if height > 1:
        n = chunk + stages + 1
        fit = CACHE // (line * n * (channels * (3 + blurs) + 1)) - 2 * stages - 2
        blocks = math.ceil(height / max(fit, 4 * stages))
        blocks = math.ceil(batch * blocks / workers) * workers // batch or 1
        return 1, max(1, min(blocks, height // (2 * stages))), 1, chunk, n, 1
    n = chunk + 2 * stages + 2  # a state is needed until the next but one is made
    at_once = max(1, min(AT_ONCE, CACHE // (line * n * (channels * (1 + blurs) + 1))))
    if strips > 1:
        at_once = max(1, min(at_once, depth // strips // (4 * stages)))
    return strips, 1, at_once, chunk, n, at_once


def evolve_presmoothed(u, v, steps, blurs, alpha, kind, inverse, rate, blur_rate, workers):
    """`strips.evolve` with a diffusivity from the gradient of the smoothed state.

    Parameters
    ----------
    u, v : array (B, C, D, H, W), float32 or float64
        The state, and space for the last one of a cycle; for the explicit scheme both are the same
        array.
    steps : int
        How many to take, beginning with the first of a cycle.
    blurs : int
        How many steps of the heat equation smooth the state.
    alpha, kind, rate
        As in `strips.evolve`.
    inverse, blur_rate : array (3,), of u's dtype
        1/(2κh)², and τ/h² of the steps that smooth, for the axes z, y, x.
    workers : int
        How many share the work; as many as there are threads.

    Returns
    -------
    ``u`` or ``v``, whichever holds the result.
    """
    batch, channels, depth, height, width = u.shape
    if depth == 1:  # the lines are the layers
        axes, depth, height = [1, 0, 2], height, 1
        inverse, rate, blur_rate = inverse[axes], rate[:, axes].copy(), blur_rate[axes]
    shape = batch, channels, depth, height, width
    strips, blocks, at_once, chunk, n, sets = layout(shape, u.itemsize, blurs, steps, workers)
    in_place, spare = blocks == 1, v
    if v is u and not in_place:
        spare = empty(u.shape, u.dtype)
    pitch, stages = up_to_line(width + 2, u.itemsize), blurs + 2
    lines = min(height, math.ceil(height / blocks) + 2 * at_once * stages)
    layer = (lines + 2) * pitch if height > 1 else pitch
    size = CACHE_LINE // u.itemsize + ((sets + 2 + sets * blurs) * channels + sets) * n * layer
    space = empty((workers, up_to_line(size, u.itemsize)), u.dtype)
    beside = np.empty(
        (batch, strips, 2, 2, at_once * stages if strips > 1 else 0, channels, width), u.dtype
    )
    flat_u = u.reshape((*shape[:3], height * width))
    run_sweeps(
        *addresses(u.dtype), flat_u, flat_u if spare is u else spare.reshape(flat_u.shape), in_place, beside,
        blocks, steps, at_once, blurs, width, pitch, n, chunk, sets, alpha, kind, inverse, rate,
        blur_rate, space,
    )  # fmt: skip
    if in_place or steps % 2 == 0:
        return u
    if v is u:
        u[...] = spare
        return u
    return v


@cache
def addresses(dtype):
    """The addresses of `work_share` and of what it calls: reading, the stages, writing."""
    real = from_dtype(dtype)
    one, two, four, seven = (types.Array(real, axes, "C") for axes in (1, 2, 4, 7))
    ways = (
        address_of(read_layers, u=four, beside=four, a=one),
        address_of(heat, a=one, rate=one),
        address_of(slope, a=one, inverse=one, more=types.boolean),
        address_of(diffusivity_row, q=one, inverse=real, rate=real),
        address_of(flow, a=one, step=real, beta=real, rate=one),
        address_of(write_layers, a=one, u=four),
    )
    share = address_of(
        work_share, ways=ways, u=four, v=four, in_place=types.boolean, beside=seven, alpha=one,
        inverse=one, rate=two, blur_rate=one, a=one,
    )  # fmt: skip
    return share, *ways
