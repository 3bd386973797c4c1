"""Threads and processes that share the processor's cores."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from ctypes import CFUNCTYPE, c_int

__all__ = ["cores", "loop", "pool"]

# Each of these libraries looks at its variable once, when it is loaded.
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Threads wait for each other for some tenths of a millisecond between the parts of a call, and to
# wake one that sleeps can take milliseconds; but threads that spin for long take a busy machine's
# time slices from the very threads that they wait for. This, about 0.3 ms, is read when the first
# parallel kernel runs; who sets it wins.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@contextmanager
def pool(jobs, initializer=None, arguments=()):
    """A ProcessPoolExecutor of `jobs` processes, each of which uses its share of the cores.

    What was submitted and has not begun is dropped when the block ends.
    """
    share = str(max(1, cores() // jobs))
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, share))
    try:
        # Fresh processes: a forked one would inherit threads that no longer run.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, initializer, arguments) as executor:
            try:
                yield executor
            finally:
                executor.shutdown(cancel_futures=True)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


# --- parallel loops of Numba ----------------------------------------------------------------

_turn = threading.Lock()


def loop():
    """A context for a call of a function with Numba's parallel loops, from any thread.

    Threads take turns where Numba's threading layer is "workqueue", which aborts the process if
    two call it at once.
    """
    import numba

    try:
        safe = numba.threading_layer() != "workqueue"
    except ValueError:  # not known before the first parallel loop
        safe = False
    return nullcontext() if safe else _turn


def _mend_fork():
    """Have Numba's parallel loops work in a process that was just forked.

    Of a process's threads only the one that forks goes on in the child. The OpenMP library does not
    notice: it would wait for the others for ever, which Numba prevents by ending the process. In
    this thread, which owned them, loops therefore run on one thread from now on; a thread that is
    started later gets threads of its own. Results do not depend on their number.
    """
    global _turn
    _turn = threading.Lock()  # which a thread that is no more may hold
    numba_threads = sys.modules.get("numba.np.ufunc.parallel")
    if numba_threads and numba_threads._threading_layer == "omp":
        from numba.np.ufunc import omppool

        # It takes the process that calls this for the one that OpenMP was started in.
        CFUNCTYPE(None, c_int)(omppool.launch_threads)(numba_threads.NUM_THREADS)
        numba_threads.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend_fork)
    if multiprocessing.parent_process() is not None:
        _mend_fork()  # Numba may have been used before the fork, and this be imported after it
