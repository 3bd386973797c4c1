"""Processes that share the processor's cores."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

__all__ = ["cores", "pool"]

# Each of these libraries looks at its variable once, when it is loaded.
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
