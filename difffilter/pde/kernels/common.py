"""Decorators, diffusivities and rows of pixels, shared by the kernels.

There are five decorators with the same options: `kernel` for functions that Python calls, `parallel`
for those with parallel loops, and `inner`, `inlined` and `part` for functions that only other jitted
functions call. Each takes further options of `numba.njit`, as in ``@inlined(fastmath=False)``.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import config, njit, types
from numba.extending import overload

from difffilter.pde.kernels.cache import cache
from difffilter.pde.kernels.threads import run

# Loops vectorise only if division does not check for zero; multiply-adds may be fused. Neither option
# lets the compiler assume that numbers are finite.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

# A function compiles faster without the wrappers through which Python and C would call it.
INTERNAL = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# What is parallel is written with `prange`. Numba would make a parallel loop of each operation on
# arrays as well, even of three numbers, and compile it for a second. (It empties what it is given.)
LOOPS_ALONE = dict.fromkeys(
    ("comprehension", "inplace_binop", "numpy", "reduction", "setitem"), False
)


def kernel(function=None, **options):
    """Compile a function that Python or other jitted functions call."""
    return _compile(function, OPTIONS | options)


def inner(function=None, **options):
    """Compile a function that only jitted functions call."""
    return _compile(function, INTERNAL | options)


def inlined(function=None, **options):
    """As `inner`, but inlined by LLVM.

    Passing a hundred words of arguments takes longer than processing a short line.
    """
    return _compile(function, INTERNAL | {"forceinline": True} | options)


def part(function=None, **options):
    """As `inner`, but inlined by Numba: a function with one caller compiles faster this way."""
    return _compile(function, INTERNAL | {"inline": "always"} | options)


def parallel(function=None, **options):
    """Compile a function with parallel loops, which Python calls from any thread and process."""
    if function is None:
        return functools.partial(parallel, **options)
    compiled = _compile(function, OPTIONS | {"parallel": dict(LOOPS_ALONE)} | options)
    if config.DISABLE_JIT:  # compiled code does not warn of overflows either
        return np.errstate(all="ignore")(compiled)

    @functools.wraps(function)
    def call(*arguments):
        return run(compiled, arguments)

    return call


def _compile(function, options):
    if function is None:
        return functools.partial(_compile, options=options)
    compiled = njit(**options)(function)
    if not config.DISABLE_JIT:
        cache(compiled)
    return compiled


# --- diffusivities --------------------------------------------------------------------------

# Codes of the diffusivities g(s): one compiled kernel serves them all, branching once per row.
CONSTANT, EXPONENTIAL, RATIONAL, CHARBONNIER, TUKEY, WEICKERT = range(6)

# The flux s·g(s) of Weickert's diffusivity 1 - exp(-C/(s/κ)⁸) is largest at s = κ.
WEICKERT_C = 3.31488


def decay(rate, s, inverse):
    """rate · exp(-s · inverse) for s ≥ 0, in a form that the compiler vectorises.

    The absolute error of exp is at most 2e-7 in float32 and 1e-15 in float64.
    """
    return rate * math.exp(-s * inverse)


@overload(decay)
def _decay(rate, s, inverse):
    # exp(-x) = 2^-n · exp(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2. Adding `shift` rounds
    # x / ln 2 to the integer n and leaves it in the lowest bits of the sum, from where it is moved
    # into the exponent of a polynomial for exp(r): Taylor's in float64, in float32 the one of least
    # error that has 1 and r. Beyond `most` the result is as good as zero, but its products are not
    # yet subnormal, which would halve the speed. (The compiler moves what does not depend on s out
    # of the loop.)
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


def exp_minus(x):
    """exp(-x) for x ≥ 0, in a form that the compiler vectorises in float32.

    It is slower than `decay` and differs from it in the last bits; the tensor kernels use it so that
    their results stay the same. The relative error is small down to exp(-87); in float64 it is the
    library's exp.
    """
    return math.exp(-x)


@overload(exp_minus)
def _exp_minus(x):
    if x is types.float32:
        return _exp_minus_float32
    return lambda x: math.exp(-x)


def _exp_minus_float32(x):
    # 2^-n · exp(-r) with n = round(x / ln 2), ln 2 in two parts, and Taylor's polynomial for exp.
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


# --- rows of pixels -------------------------------------------------------------------------

# Bytes of a cache line. Loading a vector that straddles two of them takes twice as long.
CACHE_LINE = 64

# Number of pixels of consecutive lines that are processed together.
RUN = 4096


@kernel
def lines_of_run(height, width):
    """The number of lines of a run, at most ``height``."""
    return min(max(1, RUN // width), height)


@kernel
def up_to_line(count, itemsize):
    """The least number of items in whole cache lines that is at least ``count``."""
    line = CACHE_LINE // itemsize
    return (count + line - 1) // line * line


def empty(shape, dtype):
    """An uninitialised array aligned to a cache line (NumPy's arrays need not be)."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def flat(a):
    """An array (..., H, W) as (..., H·W)."""
    *others, height, width = a.shape
    return a.reshape((*others, height * width))


@inlined
def copy(row, to):
    """Copy a row, pixel by pixel.

    For an assignment of slices Numba compiles the message of unequal shapes, which takes seconds.
    """
    for i in range(row.size):
        to[i] = row[i]


@inner
def padded(row, line):
    """Copy a row to ``line``, which is longer by two, repeating the first and the last pixel."""
    n = row.size
    copy(row, line[1:])
    line[0], line[n + 1] = row[0], row[n - 1]


@inner
def reflected(i, n):
    """The pixel of n that stands for pixel i beyond the border: ... 1 0 | 0 1 2 ... n-1 | n-1 ..."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


# --- masks ----------------------------------------------------------------------------------


@inner
def moved(place, axis, by):
    """The pixel ``by`` steps from a place (z, y, x) along an axis."""
    z, y, x = place
    return (z + by * int(axis == 0), y + by * int(axis == 1), x + by * int(axis == 2))


@inner
def inside(mask, place):
    """Whether a pixel is in the image and in its mask (D, H, W)."""
    z, y, x = place
    depth, height, width = mask.shape
    return 0 <= z < depth and 0 <= y < height and 0 <= x < width and mask[z, y, x]


@inner
def side(u, mask, here, axis, way):
    """The neighbour of a pixel; the pixel itself if that is beyond the border or the mask."""
    there = moved(here, axis, way)
    return u[there] if inside(mask, there) else u[here]


@inner
def reflected_within(here, axis, before, after, by):
    """The pixel ``by`` steps along an axis in a line of pixels, reflected at its ends.

    The line reaches from ``before`` pixels before this one to ``after`` pixels after it.
    """
    place, n = before + by, before + after + 1
    return moved(here, axis, (place if 0 <= place < n else reflected(place, n)) - before)


@inner
def room_around(mask, here, axis, most):
    """The number of pixels before and after one in the mask, without a gap; at most so many."""
    before = after = 0
    while before < most and inside(mask, moved(here, axis, -1 - before)):
        before += 1
    while after < most and inside(mask, moved(here, axis, 1 + after)):
        after += 1
    return before, after


@inner
def seen(u, mask, z, y, axis, by, out):
    """out[x] = u as pixel x of a row sees it, ``by`` steps along an axis.

    Beyond the border or the mask it sees the reflected image, and from outside the mask itself.
    """
    for x in range(len(out)):
        here = (z, y, x)
        if mask[here]:
            before, after = room_around(mask, here, axis, abs(by))
            out[x] = u[reflected_within(here, axis, before, after, by)]
        else:
            out[x] = u[here]
