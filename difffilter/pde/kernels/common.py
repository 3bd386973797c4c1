"""How the jitted functions of this folder are compiled.

Five decorators, all with the same options: `kernel` for what Python calls, `parallel` for what
Python calls and has parallel loops, and three for what only other jitted functions call: `inner`,
`inlined`, `part`. Each takes further options of `numba.njit`, as in ``@inlined(fastmath=False)``.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import config, njit

from difffilter.pde.kernels.cache import cache
from difffilter.pde.kernels.threads import run

__all__ = ["inlined", "inner", "kernel", "parallel", "part"]

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
