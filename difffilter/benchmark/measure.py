"""One method on one noisy image: its result, and what a study wants to know of it."""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path

import numpy as np

from difffilter.denoiser import Identity
from difffilter.metrics import METRICS

__all__ = ["MEASURES", "denoised", "measure"]

# The metrics, and what is measured of the call itself.
MEASURES = (*METRICS, "seconds", "peak_memory")

# Side of the piece of an image that a method is tried on before it is timed.
WARM_UP = 64


def denoised(method, noisy, sigma, clean, channel_axis):
    """What a Denoiser makes of the noisy image; an oracle is shown the clean one as well.

    Raises
    ------
    ValueError
        If the result has another shape, or is not finite everywhere.
    """
    if hasattr(method, "denoise"):
        result = method.denoise(noisy, sigma, clean, channel_axis=channel_axis)
    else:
        result = method(noisy, sigma, channel_axis=channel_axis)
    result = np.asarray(result)
    if result.shape != noisy.shape:
        raise ValueError(f"the result has shape {result.shape}, the image {noisy.shape}")
    if bad := int(np.count_nonzero(~np.isfinite(result))):
        raise ValueError(f"the result has {bad} pixels that are NaN or infinite")
    return result


def warm_up(method, noisy, sigma, clean, channel_axis):
    """Compile and load what a first call needs, on a corner of the image."""
    corner = (slice(WARM_UP), slice(WARM_UP))
    denoised(method, noisy[corner], sigma, clean[corner], channel_axis)


def measure(method, noisy, sigma, clean, channel_axis, metrics):
    """Denoise an image and measure the result, clipped to [0, 1], and the call.

    The noisy image itself, as Identity returns it, is not clipped.

    Parameters
    ----------
    method : Denoiser or Oracle
    noisy, clean : ndarray
        ``(H, W)`` or ``(H, W, 3)``, in [0, 1] but for the noise.
    sigma : float or None
        What the method is told; ``None``: nothing.
    channel_axis : int or None
        The axis of the channels.
    metrics : sequence of str
        Of `MEASURES`.

    Returns
    -------
    result : ndarray
    values : dict of str to float
        In the order of `metrics`; ``seconds``, and ``peak_memory`` in bytes on top of what the
        process held before, NaN where the system does not tell.

    Raises
    ------
    Exception
        Whatever the method raises; ValueError if it returns no image of the same shape.

    Examples
    --------
    >>> from difffilter import Identity
    >>> black = np.zeros((4, 4))
    >>> measure(Identity(), black + 0.1, None, black, None, ["psnr"])[1]
    {'psnr': 20.0}
    """
    before = _reset_peak() if "peak_memory" in metrics else 0
    start = time.perf_counter()
    result = denoised(method, noisy, sigma, clean, channel_axis)
    seconds = time.perf_counter() - start
    call = {"seconds": seconds}
    if "peak_memory" in metrics:
        call["peak_memory"] = max(0.0, _status("VmHWM") - before)
    if not isinstance(method, Identity):  # the noisy image is a fact, not a result
        result = result.clip(0, 1)
    values = {
        name: call[name]
        if name in call
        else METRICS[name](clean, result, channel_axis=channel_axis)
        for name in metrics
    }
    return result, values


def _reset_peak():
    """Have the system note the peak anew; the memory that the process holds now, in bytes."""
    if sys.platform != "linux":
        return 0.0
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # what earlier calls left behind is not to be used again
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(key):
    """A figure of the process's memory, in bytes; NaN where the system does not tell."""
    if sys.platform != "linux":
        return float("nan")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
