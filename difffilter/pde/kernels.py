"""Every jitted function of the PDE solvers: diffusivities and stencils, nothing else.

A state is an array ``u[b, c, z, y, x]``: independent images ``b``, coupled channels ``c``, three
axes of space (``z`` has length 1 in 2-D). Diffusion moves intensity through the *faces* between
neighbouring pixels. With d = u(neighbour) - u(pixel), a face of the axis with spacing h carries

    flux = tau / h² · g(s²/κ²) · d,          s² = Σ_c (d_c / h)²,

and a step adds to every pixel what flows in and takes what flows out. Each flux is computed once
and used with both signs, so the mean is conserved; faces of the border and of the mask carry
nothing. The work goes row by row through short buffers that stay in the first-level cache, which
lets the compiler vectorise every loop; a strip of rows belongs to one thread. A face on the rim
of two strips is computed by both, with the same arithmetic, so results depend neither on the
strips nor on the number of threads.

All jitted functions stand in this file because Numba's on-disk cache does not notice a change in
a jitted function of another file.
"""

import math
import os

import numpy as np
from numba import get_num_threads, njit, prange, types
from numba.extending import overload

# A step is so short that its threads should not sleep between steps, but threads that spin for
# long take a busy machine's time slices from the very threads that they wait for (measured: 8 ms
# a step instead of 0.1). This is read when the first parallel kernel runs; who sets it wins.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Codes of the diffusivities: one compiled kernel serves them all, branching once per row.
CONSTANT, EXPONENTIAL, RATIONAL, CHARBONNIER, TUKEY, WEICKERT = range(6)

STRIP = 32  # rows of a strip: few enough to share among threads, many enough to amortise its rim
RUN = 2048  # pixels of consecutive rows that go through the buffers together

WEICKERT_C = 3.31488

# Division must not check for zero, or loops do not vectorise; multiply-adds may be fused. Neither
# lets the compiler assume that numbers are finite.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "cache": True, "nogil": True}


def exp_minus(x):
    """exp(-x) for x ≥ 0, vectorisable in float32."""
    return math.exp(-x)


@overload(exp_minus)
def _exp_minus(x):
    if x is types.float32:
        return _exp_minus_float32
    return lambda x: math.exp(-x)


def _exp_minus_float32(x):
    # exp(-x) = 2^-n · exp(-r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2, the Taylor polynomial
    # of exp(-r) being good to 1e-7; 2^-n is put together from its bits. Past 87 all is as good
    # as zero.
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


@njit(**OPTIONS)
def diffusivity_row(kind, q, n):
    """Replace q[i] = (s/κ)² by g(s) for i < n."""
    one = q.dtype.type(1.0)
    if kind == EXPONENTIAL:
        for i in range(n):
            q[i] = exp_minus(q[i])
    elif kind == RATIONAL:
        for i in range(n):
            q[i] = one / (one + q[i])
    elif kind == CHARBONNIER:
        for i in range(n):
            q[i] = one / math.sqrt(one + q[i])
    elif kind == TUKEY:
        for i in range(n):
            a = max(one - q[i], q.dtype.type(0.0))
            q[i] = a * a
    elif kind == WEICKERT:
        c = q.dtype.type(WEICKERT_C)
        for i in range(n):
            a = q[i] * q[i]
            q[i] = one - exp_minus(c / (a * a))
    else:
        for i in range(n):
            q[i] = one


@njit(**OPTIONS)
def face_flux(u, b, here, there, n, kind, inverse, rate, g, mask, q, flux, at):
    """Flux from n consecutive pixels of image b to as many others, to flux[c, at:].

    ``here`` and ``there`` are (plane, first pixel). ``inverse`` is 1/(κh)² and ``rate`` is τ/h².
    Leaves q = g, and flux[c] = rate · g · d_c.
    """
    zero, half, one = q.dtype.type(0.0), q.dtype.type(0.5), q.dtype.type(1.0)
    channels = u.shape[1]
    z, start = here
    z1, start1 = there
    if kind == CONSTANT:
        for i in range(n):
            q[i] = one
    elif g.size:
        near, far = g[b, z][start : start + n], g[b, z1][start1 : start1 + n]
        for i in range(n):
            q[i] = half * (near[i] + far[i])
    else:
        near, far = u[b, 0, z][start : start + n], u[b, 0, z1][start1 : start1 + n]
        for i in range(n):
            d = far[i] - near[i]
            q[i] = d * d * inverse
        for c in range(1, channels):
            near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
            for i in range(n):
                d = far[i] - near[i]
                q[i] += d * d * inverse
        diffusivity_row(kind, q, n)
    if mask.size:
        m = b % mask.shape[0]
        near_open, far_open = mask[m, z][start : start + n], mask[m, z1][start1 : start1 + n]
        for i in range(n):
            q[i] = q[i] if near_open[i] and far_open[i] else zero
    for c in range(channels):
        near, far = u[b, c, z][start : start + n], u[b, c, z1][start1 : start1 + n]
        f = flux[c][at : at + n]
        for i in range(n):
            f[i] = rate * q[i] * (far[i] - near[i])


@njit(**OPTIONS)
def split(space, rows, columns):
    """The first part of a work space as a matrix, and the rest."""
    size = rows * columns
    return space[:size].reshape(rows, columns), space[size:]


@njit(**OPTIONS)
def step_strip(
    u, v, b, first, last, width, lines, kind, inverse, rate, g, mask, space
):  # fmt: skip
    """One step of the rows from `first` to `last` of image b in all its planes, `lines` at a time.

    ``space`` holds, for a run of lines: q; the fluxes through the faces to the right of each pixel
    (and to the left of the first), below, and behind; those above the run; and those in front of
    every pixel of the strip.
    """
    channels, depth, size = u.shape[1:]
    run = lines * width
    q, rest = space[:run], space[run:]
    right, rest = split(rest, channels, run + 1)
    below, rest = split(rest, channels, run)
    behind, rest = split(rest, channels, run)
    above, rest = split(rest, channels, width)
    front, rest = split(rest, channels, (last - first) * width if depth > 1 else 0)
    right[:, 0] = 0  # nothing flows in on the left of the first column
    front[:] = 0
    for z in range(depth):
        if first > 0:
            at = (first - 1) * width
            face_flux(u, b, (z, at), (z, at + width), width,
                      kind, inverse[1], rate[1], g, mask, q, above, 0)  # fmt: skip
        else:
            above[:] = 0
        for y in range(first, last, lines):
            at = y * width
            n = (min(y + lines, last) - y) * width
            face_flux(u, b, (z, at), (z, at + 1), min(n, size - 1 - at),
                      kind, inverse[2], rate[2], g, mask, q, right, 1)  # fmt: skip
            for c in range(channels):
                for i in range(width, n + 1, width):
                    right[c, i] = 0  # nor out on the right of the last
            inner = min(n, size - width - at)  # all but the plane's last line
            face_flux(u, b, (z, at), (z, at + width), inner,
                      kind, inverse[1], rate[1], g, mask, q, below, 0)  # fmt: skip
            for c in range(channels):
                for i in range(inner, n):
                    below[c, i] = 0
            for c in range(channels):
                old, new = u[b, c, z][at : at + n], v[b, c, z][at : at + n]
                # (Slices, since an index with a sum in it may be negative as far as the
                # compiler knows, which keeps it from vectorising.)
                p, d, e, f = above[c], below[c], right[c], right[c][1:]
                for i in range(width):
                    new[i] = old[i] + ((f[i] - e[i]) + (d[i] - p[i]))
                old, new, m = old[width:], new[width:], d[width:]
                e, f = e[width:], f[width:]
                for i in range(n - width):
                    new[i] = old[i] + ((f[i] - e[i]) + (m[i] - d[i]))
                d = d[n - width :]
                for i in range(width):  # what is below this run is above the next
                    p[i] = d[i]
            if depth > 1:
                if z + 1 < depth:
                    face_flux(u, b, (z, at), (z + 1, at), n,
                              kind, inverse[0], rate[0], g, mask, q, behind, 0)  # fmt: skip
                else:
                    behind[:] = 0
                for c in range(channels):
                    new = v[b, c, z][at : at + n]
                    f, k = front[c][at - first * width :], behind[c]
                    for i in range(n):
                        new[i] += k[i] - f[i]
                        f[i] = k[i]


@njit(parallel=True, **OPTIONS)
def explicit(u, v, steps, kind, inverse, rate, g, mask, workers):
    """Take `steps` explicit steps from ``u``; both ``u`` and ``v`` are written to.

    Parameters
    ----------
    u, v : array (B, C, D, H, W), float32 or float64
        The state, and space for another one.
    steps : int
        How many.
    kind : int
        Code of the diffusivity.
    inverse, rate : array (3,), of u's dtype
        1/(κh)² and τ/h² for the axes z, y, x.
    g : array (B, D, H, W), of u's dtype
        The diffusivity of each pixel, a face taking the mean of its two; if empty, it follows
        from the difference across the face.
    mask : array (M, D, H, W), bool
        True where diffusion takes place, image b using mask b mod M; if empty: everywhere.
    workers : int
        How many share the work; as many as there are threads.

    Returns
    -------
    ``u`` or ``v``, whichever holds the result.
    """
    batch, channels, depth, height, width = u.shape
    size = height * width
    u = u.reshape(batch, channels, depth, size)
    v = v.reshape(batch, channels, depth, size)
    g = g.reshape(g.shape[0], g.shape[1], g.shape[2] * g.shape[3])
    mask = mask.reshape(mask.shape[0], mask.shape[1], mask.shape[2] * mask.shape[3])
    lines = min(max(1, RUN // width), STRIP)
    strips = (height + STRIP - 1) // STRIP
    jobs = batch * strips
    columns = 4 * lines * width + 1 + width + (STRIP * width if depth > 1 else 0)
    work = np.empty((workers, channels * columns), u.dtype)
    for _ in range(steps):
        for worker in prange(workers):
            for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
                b, first = job // strips, job % strips * STRIP
                last = min(first + STRIP, height)
                step_strip(u, v, b, first, last, width, lines,
                           kind, inverse, rate, g, mask, work[worker])  # fmt: skip
        u, v = v, u
    return u.reshape(batch, channels, depth, height, width)


@njit(parallel=True, **OPTIONS)
def pixel_diffusivity(u, kind, inverse, mask, g):
    """g[b, z, y, x] of the gradient of ``u`` by central differences, over all channels.

    ``inverse`` is 1/(2κh)² for the axes z, y, x. A neighbour beyond the border or the mask is
    taken to equal the pixel itself.
    """
    batch, channels, depth, height, width = u.shape
    for job in prange(batch * height):
        b, y = job // height, job % height
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        m = b % max(mask.shape[0], 1)
        for z in range(depth):
            front, back = max(z - 1, 0), min(z + 1, depth - 1)
            q = g[b, z, y]
            q[:] = 0
            for c in range(channels):
                here = u[b, c, z, y]
                top, bottom = u[b, c, z, up], u[b, c, z, down]
                near, far = u[b, c, front, y], u[b, c, back, y]
                if mask.size == 0:
                    for i in range(width):
                        left, right = max(i - 1, 0), min(i + 1, width - 1)
                        dx, dy, dz = here[right] - here[left], bottom[i] - top[i], far[i] - near[i]
                        q[i] += dx * dx * inverse[2] + dy * dy * inverse[1] + dz * dz * inverse[0]
                else:
                    for i in range(width):
                        left, right = max(i - 1, 0), min(i + 1, width - 1)
                        a = here[i]
                        dx = (here[right] if mask[m, z, y, right] else a) - (
                            here[left] if mask[m, z, y, left] else a
                        )
                        dy = (bottom[i] if mask[m, z, down, i] else a) - (
                            top[i] if mask[m, z, up, i] else a
                        )
                        dz = (far[i] if mask[m, back, y, i] else a) - (
                            near[i] if mask[m, front, y, i] else a
                        )
                        q[i] += dx * dx * inverse[2] + dy * dy * inverse[1] + dz * dz * inverse[0]
            diffusivity_row(kind, q, width)


@njit(parallel=True, **(OPTIONS | {"fastmath": {"contract", "reassoc"}}))
def row_moments(u, y, b):
    """Row by row, Σ (u - y)² and Σ b·(u' - u), where ``u`` holds first all u, then all u'."""
    count, channels, depth, height, width = y.shape
    rows = channels * depth * height
    squares, products = np.empty(count * rows), np.empty(count * rows)
    for job in prange(count * rows):
        n, row = job // rows, job % rows
        c, z, h = row // (depth * height), row // height % depth, row % height
        p, r = u[n, c, z, h], u[count + n, c, z, h]
        o, s = y[n, c, z, h], b[n, c, z, h]
        square = product = y.dtype.type(0.0)
        for i in range(width):
            d = p[i] - o[i]
            square += d * d
            product += s[i] * (r[i] - p[i])
        squares[job] = square
        products[job] = product
    return squares, products


def compile_all():
    """Compile every kernel for float32 images, or load it from the cache."""
    u = np.zeros((2, 1, 1, 2, 2), np.float32)
    three, g = np.ones(3, np.float32), np.ones((2, 1, 2, 2), np.float32)
    mask = np.ones((1, 1, 2, 2), np.bool_)
    explicit(u, u.copy(), 1, EXPONENTIAL, three, three / 8, g, mask, get_num_threads())
    pixel_diffusivity(u, EXPONENTIAL, three, mask, g)
    row_moments(u, u[:1].copy(), u[:1].copy())
