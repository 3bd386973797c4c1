"""One method on one image: its result and the figures a study asks for."""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path

import numpy as np

from difffilter.metrics import METRICS

__all__ = ["IN_HOLES", "MEASURES", "measure", "warm_up"]

# The metrics, and the costs of the call itself.
MEASURES = (*METRICS, "seconds", "peak_memory")

# Of these, the ones that are defined over the pixels of holes.
IN_HOLES = ("psnr", "ssim", "seconds", "peak_memory")

# Side of the corner of the image on which a method is warmed up.
CORNER = 64


def warm_up(method, degraded):
    """Compile and load what a first call needs, on a corner of the image.

    Parameters are those of `measure`.
    """
    corner = degraded.corner(CORNER)
    _check(np.asarray(method(corner)), corner)


def measure(method, degraded, metrics, *, clip=True):
    """Restore an image; score the result, and time the call.

    Parameters
    ----------
    method : callable
        ``method(degraded)``, which returns an array.
    degraded : Degraded
    metrics : sequence of str
        Of `MEASURES`.
    clip : bool, default True
        Whether to clip the result to [0, 1].

    Returns
    -------
    result : ndarray
    values : dict of str to float
        In the order of `metrics`. ``peak_memory`` is in bytes on top of what the process held
        before; NaN where the system does not report it.

    Raises
    ------
    Exception
        Whatever the method raises; ValueError if its result has another shape, is not finite
        everywhere, or differs where a pixel without noise is known.

    Examples
    --------
    >>> from difffilter.benchmark.degraded import Degraded
    >>> black = np.zeros((4, 4))
    >>> measure(lambda degraded: degraded.image, Degraded(black + 0.1, black), ["psnr"])[1]
    {'psnr': 20.0}
    """
    before = _reset_peak() if "peak_memory" in metrics else 0
    start = time.perf_counter()
    result = np.asarray(method(degraded))
    call = {"seconds": time.perf_counter() - start}
    if "peak_memory" in metrics:
        call["peak_memory"] = max(0.0, _status("VmHWM") - before)
    _check(result, degraded)
    if clip:
        result = result.clip(0, 1)
    inside = {} if degraded.mask is None else {"mask": degraded.mask}
    values = {
        name: call[name]
        if name in call
        else METRICS[name](degraded.clean, result, channel_axis=degraded.channel_axis, **inside)
        for name in metrics
    }
    return result, values


def _check(result, degraded):
    image, mask = degraded.image, degraded.mask
    if result.shape != image.shape:
        raise ValueError(f"the result has shape {result.shape}; expected {image.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(result))):
        pixels = "1 pixel that is" if bad == 1 else f"{bad} pixels that are"
        raise ValueError(f"the result has {pixels} NaN or infinite")
    if mask is not None and degraded.sigma == 0:
        changed = np.count_nonzero((result != image)[~mask])
        if changed:
            raise ValueError(
                f"the result differs in {changed} values of known pixels; expected none"
            )


def _reset_peak():
    """Have the system track the peak anew; the memory that the process holds now, in bytes."""
    if sys.platform != "linux":
        return 0.0
    libc = ctypes.CDLL(None)
    # Memory that earlier calls freed would be reused without showing; musl cannot return it.
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(key):
    """A figure of the process's memory, in bytes; NaN where the system does not report it."""
    if sys.platform != "linux":
        return float("nan")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
