"""Threads that apply the network: PyTorch on one thread in each, and safe to fork.

The libraries within PyTorch take locks of their own when memory is allocated and when a thread
ends, even after Python has joined it. A process that is forked meanwhile inherits such a lock, and
waits for it for ever. So the network runs only in threads of this module, which never end, and a
fork waits until none of them is at work.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch

from difffilter.parallel import cores, free_cores

__all__ = ["in_threads", "one_thread"]


@contextmanager
def one_thread():
    """PyTorch works on one thread in this thread and in those that `in_threads` starts in it.

    Tiles side by side, one a thread, take less time than one after the other on all threads, since
    they need not wait for each other a hundred times a tile. Results are the same to the bit
    whatever the number of cores, which PyTorch's own parallel loops do not grant. And in a forked
    process PyTorch's loops would wait for ever for the threads of the parent.

    The number of threads belongs to the whole process, so several calls take turns.
    """
    with _turn:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def in_threads(function, items):
    """The results of a function for each of some items, in their order, from the free cores.

    The function has to release the interpreter for most of its time, as PyTorch's do, and must not
    fork. Pending items are dropped when the generator is closed or a call fails.
    """
    global _executor
    threads = min(free_cores(), len(items))
    free = threading.Semaphore(threads)

    def result(item):
        with free, _at_work:
            return function(item)

    if threads == 1 and threading.current_thread() is threading.main_thread():
        yield from map(result, items)  # it does not end either, and has its memory at hand
        return
    if _executor is None:
        _executor = ThreadPoolExecutor(cores(), thread_name_prefix="difffilter")
    futures = deque(_executor.submit(result, item) for item in items)
    try:
        while futures:
            yield futures[0].result()
            futures.popleft()
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


class _AtWork:
    """Held by any number of threads, or by one that is about to fork."""

    def __init__(self):
        self._changed = threading.Condition()
        self._threads = 0

    def __enter__(self):
        with self._changed:
            self._threads += 1

    def __exit__(self, *exception):
        with self._changed:
            self._threads -= 1
            self._changed.notify_all()

    def stop(self):
        """Wait until no thread holds it, and keep others from taking it."""
        self._changed.acquire()
        while self._threads:
            self._changed.wait()

    def go_on(self):
        self._changed.release()


_turn = threading.RLock()
_at_work = _AtWork()
_executor: ThreadPoolExecutor | None = None


def _start_again():
    """New locks and threads: in a forked process those that held the old ones are no more."""
    global _turn, _at_work, _executor
    _turn = threading.RLock()
    _at_work = _AtWork()
    _executor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _at_work.stop(),
        after_in_parent=lambda: _at_work.go_on(),
        after_in_child=_start_again,
    )
