"""Worker processes that share the processor's cores and end with their pool.

The process that owns a pool decides when its workers end. Ctrl-C in a terminal goes to every process
of a command, so workers do not listen to it. Instead they hold the read end of a pipe, whose other
end closes when the pool is left by an exception or its process dies, whatever it died of. A task that
is at work then gets KeyboardInterrupt, which removes its temporary files.
"""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import wait

from difffilter.parallel import cores

__all__ = ["pool"]

# Each of these libraries looks at its variable once, when it is loaded.
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

# Seconds that a task has to end after KeyboardInterrupt; compiled code does not notice it.
GRACE = 5


@contextmanager
def pool(jobs, initializer=None, arguments=()):
    """A ProcessPoolExecutor of `jobs` processes, each of which uses its share of the cores.

    Pending tasks are dropped when the block ends. If it ends by an exception,
    so do the processes.
    """
    share = str(max(1, cores() // jobs))
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, share))
    # Fresh processes: a forked one would inherit threads that no longer run.
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    try:
        with theirs, ours, Pool(jobs, context, _begin, (theirs, initializer, arguments)) as pool:
            try:
                yield pool
            except BaseException:
                ours.close()
                raise
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Pool(ProcessPoolExecutor):
    """A ProcessPoolExecutor whose processes do not get SIGINT, and end as this module says."""

    def submit(self, function, /, *arguments):
        with _without_interrupts():  # processes start here, and inherit which signals are blocked
            return super().submit(_task, function, arguments)


@contextmanager
def _without_interrupts():
    """Signals wait until the block ends; processes started in it never get SIGINT."""
    held = []
    main = threading.current_thread() is threading.main_thread()
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)} if main else {}
    handlers = {n: handler for n, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        with _sigint_blocked() if hasattr(signal, "pthread_sigmask") else nullcontext():
            yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


@contextmanager
def _sigint_blocked():
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which would unblock it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in a worker ----------------------------------------------------------------------------

_at_work = threading.Lock()
_ending = threading.Lock()


def _begin(pipe, initializer, arguments):
    """Initialise a worker."""
    # A shell's background job ignores SIGINT, and its workers would ignore `interrupt_main`.
    masked = hasattr(signal, "pthread_sigmask")
    signal.signal(signal.SIGINT, signal.default_int_handler if masked else signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end())
    threading.Thread(target=lambda: wait([pipe]) and _end(), daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _task(function, arguments):
    with _at_work:
        return function(*arguments)


def _end():
    """Interrupt the task, if any, and end this process as soon as it has cleaned up."""
    if _ending.acquire(blocking=False):  # an interrupt of the cleaning would leave files
        threading.Thread(target=_interrupt_and_exit, daemon=True).start()


def _interrupt_and_exit():
    if not _at_work.acquire(blocking=False):
        # Where Python cannot raise it, as in a callback of LLVM, it would print it.
        sys.unraisablehook = lambda unraisable: None
        _thread.interrupt_main()
        _at_work.acquire(timeout=GRACE)
    os._exit(1)
