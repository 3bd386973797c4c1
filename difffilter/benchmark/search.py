"""Search for the parameters with which a method comes closest to known clean images."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np

from difffilter.metrics import psnr
from difffilter.search_space import Choice, Range

__all__ = ["fit", "mean_psnr"]

# The factor by which a move changes a parameter: first and last. By 1.08 either
# way from the best, the PSNR of the methods in benchmarks/ falls by less than 0.01 dB.
COARSE, FINE = 2.0, 1.08


def mean_psnr(cleans, images, channel_axis=None):
    """Mean PSNR in dB of images, clipped to [0, 1], against the clean ones.

    Examples
    --------
    >>> import numpy as np
    >>> mean_psnr([np.zeros((2, 2))], [np.full((2, 2), 0.1)])
    20.0
    """
    scores = [
        psnr(clean, np.clip(image, 0, 1), channel_axis=channel_axis)
        for clean, image in zip(cleans, images, strict=True)
    ]
    return float(np.mean(scores))


def fit(denoiser, space, cleans, noisies, sigma, *, channel_axis=None, start=None):
    """Search the parameters of a Denoiser for the best mean PSNR over images.

    Each combination of the choices is searched coarsely by moves along one parameter at a time, and
    the best of them then finely: the pattern search of Hooke and Jeeves [1]_ without its pattern
    moves.

    Parameters
    ----------
    denoiser : Denoiser
        A frozen dataclass. Its parameters that are ``None`` are searched; the others stay.
    space : dict of str to Range or Choice
        Where to search each parameter.
    cleans, noisies : list of ndarray
        The images without and with noise.
    sigma : float
        Standard deviation of the noise; above 0.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    start : Denoiser, optional
        Where to start, with all parameters set; ``None``: in the middle of the ranges.

    Returns
    -------
    Denoiser
        With all parameters of `space` set.
    float
        Its mean PSNR in dB.

    References
    ----------
    .. [1] R. Hooke, T. A. Jeeves, ""Direct search" solution of numerical and statistical
       problems", Journal of the ACM 8(2), 1961.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter.pde.heat import Heat
    >>> clean = np.full((32, 32), 0.5)
    >>> noisy = clean + np.random.default_rng(0).normal(0, 0.1, (32, 32))
    >>> best, _ = fit(Heat(), {"time": Range(0.1, 1000)}, [clean], [noisy], 0.1)
    >>> best.time
    1000.0
    """
    space = {name: where for name, where in space.items() if getattr(denoiser, name) is None}
    ranges = {name: where for name, where in space.items() if isinstance(where, Range)}
    moves = {name: where for name, where in ranges.items() if not where.along}
    choices = {name: where.values for name, where in space.items() if isinstance(where, Choice)}
    seen = {}

    def trial(candidate):
        if candidate not in seen:
            seen[candidate] = _along(candidate, ranges, cleans, noisies, sigma, channel_axis)
        return seen[candidate]

    def climb(point, factors):
        for factor in factors:
            moved = True
            while moved:
                moved = False
                for name, where in moves.items():
                    for step in (factor, 1 / factor):
                        value = where.clipped(getattr(point, name) * step, sigma)
                        candidate = replace(point, **{name: value})
                        if trial(candidate)[1] > trial(point)[1]:
                            point, moved = candidate, True
                            break
        return point

    first = {name: where.middle(sigma) for name, where in moves.items()}
    if start is not None:
        first = {name: where.clipped(getattr(start, name), sigma) for name, where in moves.items()}
    tops = [
        climb(replace(denoiser, **first, **dict(zip(choices, values, strict=True))), [COARSE])
        for values in itertools.product(*choices.values())
    ]
    top = max(tops, key=lambda point: trial(point)[1])
    halvings = math.floor(math.log2(math.log(COARSE) / math.log(FINE)))
    return trial(climb(top, [COARSE ** (1 / 2**n) for n in range(1, halvings + 1)]))


def _along(denoiser, ranges, cleans, noisies, sigma, channel_axis):
    """The Denoiser, its time set to the best if it is an evolution; and its mean PSNR."""
    name = next((name for name, where in ranges.items() if where.along), None)

    def run(method, images):
        return [method(image, sigma, channel_axis=channel_axis) for image in images]

    def score(images):
        return mean_psnr(cleans, images, channel_axis)

    if name is not None:
        denoiser = replace(
            denoiser, **{name: _best_time(denoiser, name, ranges[name], noisies, run, score)}
        )
    return denoiser, score(run(denoiser, noisies))


def _best_time(denoiser, name, where, images, run, score):
    """The time of the best score along one evolution, which is followed well past its peak."""
    time, best, best_score = 0.0, 0.0, -math.inf
    while time < where.high and time <= 1.5 * best + 5 * where.low:
        more = max(where.low, time / 8)
        images = run(replace(denoiser, **{name: more}), images)
        time += more
        now = score(images)
        if now > best_score:
            best, best_score = time, now
    return where.clipped(best, sigma=1.0)
