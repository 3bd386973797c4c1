"""What the kernels share: how they are compiled, diffusivities, rows of pixels.

Five decorators, all with the same options: `kernel` for what Python calls, `parallel` for what
Python calls and has parallel loops, and three for what only other jitted functions call: `inner`,
`inlined`, `part`. Each takes further options of `numba.njit`, as in ``@inlined(fastmath=False)``.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numba import config, njit, types
from numba.extending import overload

from difffilter.pde.kernels.cache import cache
from difffilter.pde.kernels.threads import run

# Division must not check for zero, or loops do not vectorise; multiply-adds may be fused. Neither
# lets the compiler assume that numbers are finite.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

# Without the wrappers through which Python and C would call it, a function compiles faster.
INTERNAL = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function=None, **options):
    """Compile a function that Python or other jitted functions call."""
    return _compile(function, OPTIONS | options)


def inner(function=None, **options):
    """Compile a function that only jitted functions call."""
    return _compile(function, INTERNAL | options)


def inlined(function=None, **options):
    """`inner`, compiled into each caller by LLVM.

    Passing some hundred words of arguments takes longer than working on a short line.
    """
    return _compile(function, INTERNAL | {"forceinline": True} | options)


def part(function=None, **options):
    """`inner`, inlined by Numba: a function with one caller compiles faster as a part of it."""
    return _compile(function, INTERNAL | {"inline": "always"} | options)


def parallel(function=None, **options):
    """Compile a function with parallel loops, which Python calls from any thread and process."""
    if function is None:
        return functools.partial(parallel, **options)
    compiled = _compile(function, OPTIONS | {"parallel": True} | options)
    if config.DISABLE_JIT:  # compiled code does not warn of an overflow in what it works in
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

    It takes more steps than `decay`, from which it differs in the last bits: the tensors keep it so
    that their results stay as they are. It is accurate relative to its value down to exp(-87), and
    in float64 it is the library's.
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

# Bytes of a cache line. Loading a vector that lies across two of them takes twice as long.
CACHE_LINE = 64

# Pixels of consecutive lines that go through the loops together.
RUN = 4096


@kernel
def lines_of_run(height, width):
    """Lines of a run, of an image of so many lines at most."""
    return min(max(1, RUN // width), height)


@kernel
def up_to_line(count, itemsize):
    """The least number of items in whole cache lines that is at least ``count``."""
    line = CACHE_LINE // itemsize
    return (count + line - 1) // line * line


def empty(shape, dtype):
    """An uninitialised array that begins with a cache line (NumPy's own begin anywhere)."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def flat(a):
    """An array (..., H, W) as (..., H·W)."""
    *others, height, width = a.shape
    return a.reshape((*others, height * width))


@inner
def padded(row, line):
    """Copy a row to ``line``, which is two longer, with its ends repeated."""
    n = row.size
    line[1 : n + 1] = row
    line[0], line[n + 1] = row[0], row[n - 1]


@inner
def reflected(i, n):
    """The pixel of n that stands for pixel i beyond the border: ... 1 0 | 0 1 2 ... n-1 | n-1 ..."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i
