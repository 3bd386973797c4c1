"""`torch_graph` in two Triton kernels for CUDA: a step reads the state once and writes it once.

A program makes the new state of a tile of ROWS × COLUMNS pixels of one plane, in all channels. It
computes the flux through every face of its pixels, so each flux is computed twice, with either
sign and otherwise alike, and no program waits for another. Neighbours come out of the caches.
"""

from __future__ import annotations

import triton
import triton.language as tl

from difffilter.pde.kernels import common as kernels

COLUMNS = 128

# Multiply-adds may be fused, as in the kernels for the CPU.
OPTIONS = {"COLUMNS": COLUMNS, "num_warps": 4, "enable_fp_fusion": True}

CONSTANT = tl.constexpr(kernels.CONSTANT)
EXPONENTIAL = tl.constexpr(kernels.EXPONENTIAL)
RATIONAL = tl.constexpr(kernels.RATIONAL)
CHARBONNIER = tl.constexpr(kernels.CHARBONNIER)
TUKEY = tl.constexpr(kernels.TUKEY)
WEICKERT_C = tl.constexpr(kernels.WEICKERT_C)


def step(u, v, row, kind, g, mask, extrapolate):
    """`torch_graph.step`."""
    rows, programs = _tiles(u)
    step_kernel[programs](
        u, v, row, u if g is None else g, u if mask is None else mask, *_sizes(u),
        DEEP=u.shape[2] > 1, KIND=kind, CHANNELS=u.shape[1], PER_PIXEL=g is not None,
        MASKED=mask is not None, EXTRAPOLATE=extrapolate, ROWS=rows, **OPTIONS,
    )  # fmt: skip


def pixel_diffusivity(u, row, kind, mask):
    """`torch_graph.pixel_diffusivity`."""
    g = u.new_empty((u.shape[0], *u.shape[2:]))
    rows, programs = _tiles(u)
    pixel_diffusivity_kernel[programs](
        u, g, row, u if mask is None else mask, *_sizes(u), DEEP=u.shape[2] > 1,
        KIND=kind, CHANNELS=u.shape[1], MASKED=mask is not None, ROWS=rows, **OPTIONS,
    )  # fmt: skip
    return g


def _tiles(u):
    """The lines of a tile, as many as there are registers for, and the number of programs."""
    batch, _, depth, height, width = u.shape
    rows = 32 // u.element_size()
    return rows, (batch * depth * triton.cdiv(height, rows) * triton.cdiv(width, COLUMNS),)


def _sizes(u):
    """D, H and W, and the pixels of a plane and of a volume."""
    depth, height, width = u.shape[2:]
    return depth, height, width, height * width, depth * height * width


@triton.jit
def step_kernel(
    u, v, row, g, mask, depth, height, width, plane, volume,
    DEEP: tl.constexpr, KIND: tl.constexpr, CHANNELS: tl.constexpr, PER_PIXEL: tl.constexpr,
    MASKED: tl.constexpr, EXTRAPOLATE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    b, z, y, x = place(depth, height, width, ROWS, COLUMNS)
    pixel = z * plane + y * width + x
    inside = (y < height) & (x < width)
    u += b * CHANNELS * volume
    v += b * CHANNELS * volume
    g += b * volume
    north = opened(mask, pixel, -width, inside & (y > 0), MASKED)
    south = opened(mask, pixel, width, inside & (y + 1 < height), MASKED)
    west = opened(mask, pixel, -1, inside & (x > 0), MASKED)
    east = opened(mask, pixel, 1, inside & (x + 1 < width), MASKED)
    w_north = weight(u, g, pixel, -width, north, inside, volume, row, 1, KIND, CHANNELS, PER_PIXEL)
    w_south = weight(u, g, pixel, width, south, inside, volume, row, 1, KIND, CHANNELS, PER_PIXEL)
    w_west = weight(u, g, pixel, -1, west, inside, volume, row, 2, KIND, CHANNELS, PER_PIXEL)
    w_east = weight(u, g, pixel, 1, east, inside, volume, row, 2, KIND, CHANNELS, PER_PIXEL)
    if DEEP:
        front = opened(mask, pixel, -plane, inside & (pixel >= plane), MASKED)
        back = opened(mask, pixel, plane, inside & (pixel + plane < volume), MASKED)
        w_front = weight(
            u, g, pixel, -plane, front, inside, volume, row, 0, KIND, CHANNELS, PER_PIXEL
        )
        w_back = weight(u, g, pixel, plane, back, inside, volume, row, 0, KIND, CHANNELS, PER_PIXEL)
    alpha, beta = tl.load(row), tl.load(row + 1)
    at, to = u + pixel, v + pixel
    for _ in range(CHANNELS):
        change = w_north * difference(at, -width, north, inside)
        change += w_south * difference(at, width, south, inside)
        change += w_west * difference(at, -1, west, inside)
        change += w_east * difference(at, 1, east, inside)
        if DEEP:
            change += w_front * difference(at, -plane, front, inside)
            change += w_back * difference(at, plane, back, inside)
        new = tl.load(at, mask=inside, other=0.0)
        if EXTRAPOLATE:
            new = alpha * new + beta * tl.load(to, mask=inside, other=0.0)
        tl.store(to, new + change, mask=inside)
        at, to = at + volume, to + volume


@triton.jit
def pixel_diffusivity_kernel(
    u, g, row, mask, depth, height, width, plane, volume,
    DEEP: tl.constexpr, KIND: tl.constexpr, CHANNELS: tl.constexpr, MASKED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    b, z, y, x = place(depth, height, width, ROWS, COLUMNS)
    pixel = z * plane + y * width + x
    inside = (y < height) & (x < width)
    north = opened(mask, pixel, -width, inside & (y > 0), MASKED)
    south = opened(mask, pixel, width, inside & (y + 1 < height), MASKED)
    west = opened(mask, pixel, -1, inside & (x > 0), MASKED)
    east = opened(mask, pixel, 1, inside & (x + 1 < width), MASKED)
    if DEEP:
        front = opened(mask, pixel, -plane, inside & (pixel >= plane), MASKED)
        back = opened(mask, pixel, plane, inside & (pixel + plane < volume), MASKED)
    inverse_z, inverse_y, inverse_x = tl.load(row + 5), tl.load(row + 6), tl.load(row + 7)
    q = tl.zeros((ROWS, COLUMNS), u.dtype.element_ty)
    at = u + b * CHANNELS * volume + pixel
    for _ in range(CHANNELS):
        dy = difference(at, width, south, inside) - difference(at, -width, north, inside)
        dx = difference(at, 1, east, inside) - difference(at, -1, west, inside)
        q += dy * dy * (inverse_y / 4) + dx * dx * (inverse_x / 4)
        if DEEP:
            dz = difference(at, plane, back, inside) - difference(at, -plane, front, inside)
            q += dz * dz * (inverse_z / 4)
        at += volume
    tl.store(g + b * volume + pixel, diffusivity(q, KIND), mask=inside)


@triton.jit
def place(depth, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where this program's tile lies: its image, plane, lines and columns."""
    program = tl.program_id(0)
    across, down = tl.cdiv(width, COLUMNS), tl.cdiv(height, ROWS)
    x = program % across * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    y = program // across % down * ROWS + tl.arange(0, ROWS)[:, None]
    z = program // across // down % depth
    b = program // across // down // depth
    # (In 64 bits, for what is multiplied by a width may be beyond 32.)
    return b.to(tl.int64), z.to(tl.int64), y.to(tl.int64), x


@triton.jit
def opened(mask, pixel, by, face, MASKED: tl.constexpr):
    """Which faces, of those that there are, diffusion goes through."""
    if MASKED:
        here = tl.load(mask + pixel, mask=face, other=0)
        face = face & (here & tl.load(mask + pixel + by, mask=face, other=0) != 0)
    return face


@triton.jit
def difference(at, by, face, inside):
    """u(neighbour) - u(pixel) across open faces, 0 across others."""
    # (The load of the pixels, the same for all faces, is done once.)
    d = tl.load(at + by, mask=face, other=0.0) - tl.load(at, mask=inside, other=0.0)
    return tl.where(face, d, 0.0)


@triton.jit
def weight(
    u, g, pixel, by, face, inside, volume, row, AXIS: tl.constexpr,
    KIND: tl.constexpr, CHANNELS: tl.constexpr, PER_PIXEL: tl.constexpr,
):  # fmt: skip
    """α τ/h² · g of the faces towards the neighbours on one side."""
    rate, inverse = tl.load(row + 2 + AXIS), tl.load(row + 5 + AXIS)
    if KIND == CONSTANT:
        w = rate
    elif PER_PIXEL:
        here = tl.load(g + pixel, mask=inside, other=0.0)
        w = rate * (0.5 * (here + tl.load(g + pixel + by, mask=face, other=0.0)))
    else:
        at = u + pixel
        d = difference(at, by, face, inside)
        q = d * d * inverse
        for _ in range(1, CHANNELS):
            at += volume
            d = difference(at, by, face, inside)
            q += d * d * inverse
        w = rate * diffusivity(q, KIND)
    return w


@triton.jit
def diffusivity(q, KIND: tl.constexpr):
    """g(s) of q = (s/κ)²."""
    if KIND == EXPONENTIAL:
        g = tl.exp(-q)
    elif KIND == RATIONAL:
        g = 1.0 / (1.0 + q)
    elif KIND == CHARBONNIER:
        g = 1.0 / tl.sqrt(1.0 + q)
    elif KIND == TUKEY:
        g = tl.maximum(1.0 - q, 0.0)
        g = g * g
    else:
        q = q * q
        g = 1.0 - tl.exp(-1.0 / (q * q) * WEICKERT_C)
    return g
