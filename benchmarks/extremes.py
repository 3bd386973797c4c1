"""Extreme numbers through every filter: results are finite, within the extrema, and not slow."""

from __future__ import annotations

import time
import warnings

import numpy as np

import difffilter as df

__all__ = ["FILTERS", "IMAGES", "check", "slowdown"]

# Filters with all parameters given, and how far results may exceed the image's extrema, relative to
# its range. (None: the filter sharpens, or is learned.)
FILTERS = {
    "identity": 0.0,
    "heat(time=2)": 1e-5,
    "heat(time=1e6)": 1e-5,
    "perona_malik(kappa=0.1, time=1, diffusivity='exponential', presmooth=0, step=0.2)": 1e-5,
    "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0.7, step=0.2)": 1e-5,
    "perona_malik(kappa=0.1, time=1, diffusivity='charbonnier', presmooth=0, step=0.2)": 1e-5,
    "perona_malik(kappa=0.1, time=1, diffusivity='tukey', presmooth=0, step=0.2)": 1e-5,
    "perona_malik(kappa=0.1, time=1, diffusivity='weickert', presmooth=0.5, step=0.2)": 1e-5,
    "perona_malik(kappa=1e-30, time=1, diffusivity='rational', presmooth=0, step=0.2)": 1e-5,
    "perona_malik(kappa=1e30, time=1, diffusivity='rational', presmooth=0, step=0.2)": 1e-5,
    "perona_malik(kappa=0.1, time=4, diffusivity='rational', presmooth=0, scheme='fsi', step=2)": 0.1,
    "perona_malik(kappa=0.1, time=1e4, diffusivity='rational', presmooth=0, scheme='aos', step=1e3)": 1e-5,
    "perona_malik(kappa=0.1, time=2e3, diffusivity='rational', presmooth=0, step=0.2)": 1e-4,
    "edge_enhancing(kappa=0.1, time=1, presmooth=0.7)": 1e-5,
    "coherence_enhancing(kappa=0.1, time=1, integration=1.0)": 1e-5,
    "tv_flow(time=0.05)": 1e-5,
    "curvature_motion(time=1)": 0.5,
    "forward_backward(kappa=0.1, time=1)": None,
    "srad(q0=0.1, time=1)": 1e-5,
    "stabilized(method='heat(time=2)', noise='poisson')": None,
    "stabilized(method='heat(time=2)', noise='speckle')": None,
    "ddpm": None,
}  # fmt: skip


def _images():
    rng = np.random.default_rng(0)
    noise = rng.random((24, 29))
    board = np.indices((24, 29)).sum(0) % 2
    yield "zeros", np.zeros((24, 29))
    yield "a constant", np.full((24, 29), 0.7)
    yield "one pixel", np.array([[0.3]])
    yield "one row", noise[:1]
    yield "one column", noise[:, :1]
    yield "checkerboard", board.astype(float)
    yield "an impulse", np.pad([[1.0]], 12)
    yield "subnormal noise", noise * 1e-310
    yield "subnormal noise, float32", (noise * 1e-40).astype(np.float32)
    yield "noise of 1e-30, float32", (noise * 1e-30).astype(np.float32)
    yield "noise of 1e30, float32", (noise * 1e30).astype(np.float32)
    yield "noise of 1e30", noise * 1e30
    yield "noise of ±1e18", (noise - 0.5) * 2e18
    yield "noise upon 1e6", noise + 1e6
    yield "float16, up to its largest", (noise * 65504).astype(np.float16)
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64):
        limits = np.iinfo(kind)
        yield f"{kind.__name__}, its ends", np.where(board, limits.max, limits.min).astype(kind)
    yield "bool", board.astype(bool)


IMAGES = dict(_images())


def check(text, name, sigma=0.1):
    """The fault of a filter's result for an image; empty if there is none."""
    image = IMAGES[name]
    filter_, slack = df.make(text), FILTERS.get(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*outside the range")
        try:
            result = filter_(image, sigma)
        except Warning as warning:
            return f"warns: {warning}"
        except ValueError as error:
            # The network may refuse images outside its range.
            return "" if text == "ddpm" and "scale it" in str(error) else f"raises {error}"
    floating = df.Identity()(image)
    if result.shape != image.shape or not np.isfinite(result).all():
        return f"{np.count_nonzero(~np.isfinite(result))} pixels are not finite"
    if slack is not None:
        low, high = float(floating.min()), float(floating.max())
        room = slack * (high - low) + 1e-6 * max(abs(low), abs(high))
        beyond = max(low - float(result.min()), float(result.max()) - high)
        if beyond > room:
            return f"{beyond / max(high - low, 1e-300):.2g} of the range beyond the extrema"
    return ""


def slowdown(text, side=256):
    """The time for subnormal numbers relative to that for numbers in [0, 1].

    For noise of 1e-40, and for a dot of 1e-30, around which numbers become subnormal.
    """
    noise = np.random.default_rng(0).random((side, side)).astype(np.float32)
    dot = np.zeros((side, side), np.float32)
    dot[side // 2, side // 2] = 1e-30
    filter_, images = df.make(text), (noise, noise * np.float32(1e-40), dot)
    for image in images:
        filter_(image, 0.1)
    seconds = [np.inf] * len(images)
    for _ in range(5):  # in turns, so that what else the machine does slows all of them
        for k, image in enumerate(images):
            start = time.process_time()
            filter_(image, 0.1)
            seconds[k] = min(seconds[k], time.process_time() - start)
    return max(seconds[1:]) / seconds[0]
