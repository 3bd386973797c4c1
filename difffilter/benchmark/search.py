"""The constants with which a method comes closest to clean images that are known."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from difffilter.metrics import psnr

__all__ = ["Choice", "Range", "fit", "mean_psnr"]

# By what a constant is multiplied or divided in a move: at first, and at least. By 1.08 either
# way from the best, the PSNR of the methods in benchmarks/ falls by less than 0.01 dB.
COARSE, FINE = 2.0, 1.08


@dataclass(frozen=True)
class Range:
    """Positive numbers, searched on a logarithmic scale.

    Attributes
    ----------
    low, high : float
        The ends, both included.
    per_sigma : bool
        Whether they are multiples of the noise's standard deviation σ, as suits a constant that
        intensities are compared with.
    whole : bool
        Whether only whole numbers will do.
    along : bool
        Whether the constant is the time of an evolution: to run for t and then for s is to run
        for t + s, so that a single run shows all times.
    """

    low: float
    high: float
    per_sigma: bool = False
    whole: bool = False
    along: bool = False

    def clipped(self, value, sigma):
        """The nearest value that the range has at this σ, to four digits."""
        unit = sigma if self.per_sigma else 1.0
        value = min(max(value, self.low * unit), self.high * unit)
        return round(value) if self.whole else float(f"{value:.4g}")

    def middle(self, sigma):
        """The geometric mean of the ends."""
        return self.clipped(
            math.sqrt(self.low * self.high) * (sigma if self.per_sigma else 1.0), sigma
        )


@dataclass(frozen=True)
class Choice:
    """Some values, each of which is tried.

    Attributes
    ----------
    values : tuple
    """

    values: tuple


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
    """Search the constants of a Denoiser for the best mean PSNR over images.

    Each combination of the choices is searched coarsely by moves along one constant at a time,
    the best of them then finely: the pattern search of Hooke and Jeeves [1]_ without its pattern
    moves.

    Parameters
    ----------
    denoiser : Denoiser
        A frozen dataclass. Its constants that are ``None`` are searched; the others stay.
    space : dict of str to Range or Choice
        Where to search each constant.
    cleans, noisies : list of ndarray
        The images without and with noise.
    sigma : float
        Standard deviation of the noise; above 0.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    start : Denoiser, optional
        Where to start from, all constants filled in; ``None``: from the middle of the ranges.

    Returns
    -------
    Denoiser
        With all constants of `space` filled in.
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
    """The Denoiser with the best time of its evolution, if it is one; and its mean PSNR."""
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
    """The time of best score along one evolution of images, which is left well past its peak."""
    time, best, best_score = 0.0, 0.0, -math.inf
    while time < where.high and time <= 1.5 * best + 5 * where.low:
        more = max(where.low, time / 8)
        images = run(replace(denoiser, **{name: more}), images)
        time += more
        now = score(images)
        if now > best_score:
            best, best_score = time, now
    return where.clipped(best, sigma=1.0)
