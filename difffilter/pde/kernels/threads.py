"""Calls of functions with parallel loops, from any thread and from forked processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from ctypes import CFUNCTYPE, c_int

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock
from numba.np.ufunc import parallel as numba_threads

from difffilter.parallel import SMALL, awake, free_cores

__all__ = ["run", "threads_for"]

# Numba's threading layer "workqueue" ends the process if two threads call it at once.
_turn = threading.Lock()


def run(function, arguments):
    """Call a function that has parallel loops, on as many threads as there are cores free.

    Never on more than Numba is set to, and on one if all arrays are small. (Numba's own functions
    for the number of threads take locks, which costs more than a short loop.)
    """
    if numba_threads._threading_layer is None:
        numba.get_num_threads()  # starts them
    most = threads = numba_threads._get_num_threads()
    if most > 1:
        threads = 1
        for each in arguments:
            if isinstance(each, np.ndarray) and each.size >= SMALL:
                threads = min(most, free_cores())
                break
    if threads == most and numba_threads._threading_layer != "workqueue":
        result = function(*arguments)
    else:
        result = _run_on(threads, most, function, arguments)
    if threads > 1:
        awake(threads)
    return result


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """Within, the loops of this thread take one thread if the image has few numbers.

    (Their arrays may be large all the same: room to work in, or many candidates side by side.)
    """
    before = numba.get_num_threads()
    if size >= SMALL or before == 1:
        yield
        return
    numba.set_num_threads(1)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _run_on(threads, most, function, arguments):
    """Call a function on fewer threads than Numba is set to, or when it is this thread's turn."""
    with _turn if numba_threads._threading_layer == "workqueue" else nullcontext():
        if threads == most:
            return function(*arguments)
        numba_threads._set_num_threads(threads)
        try:
            return function(*arguments)
        finally:
            numba_threads._set_num_threads(most)


def _mend_fork():
    """Have parallel loops work in a process that was just forked.

    Of a process's threads only the one that forks goes on in the child. The OpenMP library does not
    notice: it would wait for the others for ever, which Numba prevents by ending the process. In
    this thread, which owned them, loops therefore run on one thread from now on; a thread that is
    started later gets threads of its own.
    """
    global _turn
    _turn = threading.Lock()
    if numba_threads._threading_layer == "omp":
        from numba.np.ufunc import omppool

        # It takes the process that calls this for the one that OpenMP was started in.
        CFUNCTYPE(None, c_int)(omppool.launch_threads)(numba_threads.NUM_THREADS)
        numba_threads._set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend_fork)
    # A child forked while another thread compiles could never compile anything.
    lock = global_compiler_lock
    os.register_at_fork(
        before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
    )
    if multiprocessing.parent_process() is not None:
        _mend_fork()  # Numba may have been used before the fork, and this be imported after it
