"""Other libraries' noise reduction for sound, given the noisy sound alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difffilter.sound.denoiser import SoundDenoiser
from peers.base import check_libraries

__all__ = ["Wiener", "spectral_gating"]


@dataclass(frozen=True, kw_only=True)
class Wiener(SoundDenoiser):
    """The Wiener filter with the decision-directed estimate of the signal-to-noise ratio.

    Parameters
    ----------
    smoothing : float, default 0.98
        Weight of the last frame's estimate.
    least : float, default 0.03
        Smallest gain, in amplitude.

    References
    ----------
    Scalart & Filho, "Speech enhancement based on a priori signal to noise estimation", ICASSP 1996.
    """

    smoothing: float = 0.98
    least: float = 0.03

    def __call__(self, spectra):
        for values, floor in spectra:
            posterior = np.abs(values / floor[:, None]) ** 2 / 2
            before, gains = np.maximum(posterior[:, 0] - 1, 0), np.empty(values.shape, np.float32)
            for frame, power in enumerate(posterior.T):
                prior = self.smoothing * before + (1 - self.smoothing) * np.maximum(power - 1, 0)
                gain = np.maximum(prior / (1 + prior), self.least)
                gains[:, frame], before = gain, gain**2 * power
            yield values * gains


def spectral_gating(noisy, rate, **options):
    """noisereduce, with its defaults or other options."""
    check_libraries("spectral gating", ["noisereduce"], ["noisereduce"])
    import noisereduce

    return noisereduce.reduce_noise(y=noisy, sr=rate, **options)
