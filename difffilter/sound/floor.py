"""The noise floor of a sound: the standard deviation of its noise, frequency by frequency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

__all__ = ["Noise", "NoiseFloor"]

# Powers are counted in steps of a quarter of a decibel, from -240 dB up.
LOWEST, STEP, LEVELS = -240.0, 0.25, 1600
# The quantile over time that is taken for noise, and the one that it is compared with. The power of
# noise in a bin is exponentially distributed, which gives its mean from any quantile; a low one is seldom
# reached by the sound itself.
LOW, MIDDLE = 0.08, 0.5
# Bins, 25 Hz each, over which the floor is taken to be smooth: lines that stand out are of the sound.
SMOOTH = 21
# A frequency is one of noise alone if the ratio of its quantiles is that of noise within so much, in dB:
# where there is sound most of the time, its loudness varies more, or, in a steady tone, less.
ALIKE = 1.2
# A floor that varies less than this from its first to its last decile, in dB, is white.
WHITE = 3.0


@dataclass(frozen=True)
class Noise:
    """The noise of a sound.

    Attributes
    ----------
    floor : ndarray (channels, bins)
        Standard deviation in each frequency, from 0 to half of the rate in steps of 25 Hz, in units of
        that of white noise. 0: there is none.
    """

    floor: NDArray

    @property
    def sigma(self) -> float:
        """float: Standard deviation of the noise, for samples in [−1, 1]."""
        return float(np.sqrt(np.mean(self.floor**2)))

    @property
    def white(self) -> bool:
        """bool: Whether it is equally strong at all frequencies."""
        return bool(np.all(self.floor == self.floor[:, :1]))

    def __str__(self) -> str:
        if self.sigma == 0:
            return "no noise"
        colour = "white" if self.white else "coloured"
        return f"{colour} noise, sigma {self.sigma:.3g} ({20 * math.log10(self.sigma):.0f} dB)"


class NoiseFloor:
    """Standard deviation of the noise in each frequency, from spectrograms seen one after another.

    The powers of a frequency are counted, so that the length of a sound costs no memory. Frames that
    are silent, digital zeros, do not count.

    Parameters
    ----------
    bins : int
        Number of frequencies.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter.sound.spectrogram import Transform
    >>> transform, rng = Transform(8000), np.random.default_rng(0)
    >>> floor = NoiseFloor(transform.bins)
    >>> floor.add(transform(0.1 * rng.standard_normal(16000)))
    >>> floor.sigma().mean().round(2)
    np.float64(0.1)
    """

    def __init__(self, bins: int) -> None:
        self.counts = np.zeros((bins, LEVELS), dtype=np.int64)

    def add(self, spectrum: NDArray) -> None:
        """Count the powers of a spectrogram (bins, frames)."""
        heard = spectrum[:, np.abs(spectrum).max(axis=0) > 0]
        with np.errstate(divide="ignore"):
            decibels = 20 * np.log10(np.abs(heard))
        level = ((np.maximum(decibels, LOWEST) - LOWEST) / STEP).astype(np.intp)
        np.minimum(level, LEVELS - 1, out=level)
        place = np.arange(len(level))[:, None] * LEVELS + level
        self.counts += np.bincount(place.ravel(), minlength=self.counts.size).reshape(
            self.counts.shape
        )

    def sigma(self) -> NDArray:
        """The floor (bins,), all zero where nothing was heard; constant if it is white."""
        if not self.counts.any():
            return np.zeros(len(self.counts))
        low, middle = (self._quantile(share) for share in (LOW, MIDDLE))
        floor = median_filter(low, SMOOTH, mode="nearest")
        apart = median_filter(middle - low, SMOOTH, mode="nearest")
        alone = np.flatnonzero((np.abs(apart) < ALIKE) & (floor > LOWEST + 20))
        if len(alone):
            tenth, level, most = np.quantile(floor[alone], (0.1, 0.5, 0.9))
            # (Nowhere is there less than the noise.)
            if most - tenth < WHITE and level - np.quantile(floor, 0.05) < WHITE:
                floor[:] = level
            else:
                # Where there is sound all the time, the noise is not above what is there.
                filled = np.interp(np.arange(len(floor)), alone, floor[alone])
                floor = np.minimum(floor, filled)
        return np.where(floor > LOWEST + 20, 10 ** (floor / 20), 0)

    def _quantile(self, share: float) -> NDArray:
        """In dB, the σ (bins,) of the noise that has this quantile of power in each frequency."""
        total, before = self.counts.sum(axis=1), np.cumsum(self.counts, axis=1)
        level = np.argmax(before >= share * total[:, None], axis=1)
        # Where in its step the quantile lies, by linear interpolation.
        rows = np.arange(len(level))
        here, upto = self.counts[rows, level], before[rows, level]
        part = 1 - (upto - share * total) / np.maximum(here, 1)
        decibels = LOWEST + STEP * (level + part) - 10 * math.log10(-2 * math.log1p(-share))
        # The zeroth and the last frequency are real, and have a distribution of their own.
        decibels[[0, -1]] = decibels[[1, -2]]
        return decibels
