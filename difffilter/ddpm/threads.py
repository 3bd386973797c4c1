"""PyTorch on one thread, so that the DDPM's tiles may each have one."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import torch

__all__ = ["one_thread"]

_turn = threading.RLock()


@contextmanager
def one_thread():
    """PyTorch works on one thread in this thread and in those started from it.

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


def _mend_fork():
    """A new lock in a forked process: a thread that is no more may hold the old one."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mend_fork)
