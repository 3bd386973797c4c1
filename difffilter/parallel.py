"""Threads that share the processor's cores with others.

Whatever else runs on the machine, a filter should take its fair share of the time and leave the
others theirs. Three rules see to that:

- A small image (`SMALL`) is filtered on one thread, on which its parameters are chosen, too. A step
  takes less time than waking another thread, and many small images are best filtered side by side.
- A filter uses the cores that are free when it starts (`free_cores`), and at least one. A loop that
  is shared out among more threads than there are cores free waits for the one that got no core, and
  the threads that are done take time from it by waiting.
- Threads that wait go to sleep soon. (The time for which OpenMP's threads stay awake can be set
  only before the library is loaded, which the user may have done by importing PyTorch. That is
  why there is the second rule.)

The result of a filter depends neither on the number of threads nor on the process it runs in.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

__all__ = ["SMALL", "awake", "cores", "free_cores"]

# Images and arrays of fewer numbers than this are small. To wake another thread takes as long as to
# work on some thousand numbers.
SMALL = 128 * 128

# Where Linux says how many threads run, and a container how much time it may have.
LOAD, QUOTA = "/proc/loadavg", "/sys/fs/cgroup/cpu.max"

# Some 0.3 ms. Threads wait for each other for some tenths of a millisecond between the parts of a
# call, and one that sleeps is often woken on a core that is in use; by default they would stay
# awake for some milliseconds.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

# Seconds: for how long threads may stay awake after a loop; for how long the number of free cores is
# taken to hold; and after which time it is looked at again where it seems to have fallen, since most
# other processes last but a moment.
AWAKE, HOLDS, AGAIN = 0.005, 0.01, 0.0005


@cache
def _quota():
    """The number of cores that a container's quota comes to, or infinity."""
    try:
        quota, period = Path(QUOTA).read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # "max"
        return float("inf")


def cores():
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _quota())
    return os.cpu_count() or 1


_found = cores()  # the number of free cores
_until = 0.0  # until when it is taken to hold
_doubted = False  # whether fewer were free at the last look
_awake = 0.0, 1  # until when threads of the last loop may be awake, and how many


def free_cores():
    """The number of cores that this thread may use without taking one from another; at least 1.

    The number rises at once, but falls only when fewer cores are free at two looks in a row.
    """
    global _found, _until, _doubted
    now = time.monotonic()
    if now < _until:
        return _found
    number = _free_now()
    if number < _found and not _doubted:
        _doubted, _until = True, now + AGAIN
    else:
        _found, _doubted, _until = number, False, now + HOLDS
    return _found


def _free_now():
    """`free_cores` at this instant, from how many threads run or wait for a core."""
    try:
        with open(LOAD, "rb") as file:
            running = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return cores()
    until, own = _awake
    others = running - (own if time.monotonic() < until else 1)
    return max(1, min(cores(), (os.cpu_count() or 1) - max(0, others)))


def awake(threads):
    """Note that so many threads of this process have just ended a loop, and may still be awake."""
    global _awake
    _awake = time.monotonic() + AWAKE, threads
