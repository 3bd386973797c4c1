"""The short-time Fourier transform and its exact inverse, at any sampling rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft

__all__ = ["HOPS", "Transform"]

# Length of a window in seconds, and hops per window. The window is as long in seconds at every rate, so
# that a bin is 25 Hz wide and a sound looks the same to a network, whatever its rate.
WINDOW = 0.04
HOPS = 4


@dataclass(frozen=True)
class Transform:
    """Short-time Fourier transform with a Hann window of 40 ms, every 10 ms.

    It is scaled so that white noise of standard deviation σ has the standard deviation σ in the real
    and in the imaginary part of each bin. The sound is continued by reflection at its ends.

    Parameters
    ----------
    rate : float
        Samples per second.

    Examples
    --------
    >>> import numpy as np
    >>> transform = Transform(8000)
    >>> sound = np.sin(np.arange(1000, dtype=np.float32))
    >>> spectrum = transform(sound)
    >>> spectrum.shape  # 25 Hz and 10 ms
    (161, 16)
    >>> bool(np.allclose(transform.inverse(spectrum, len(sound)), sound, atol=1e-6))
    True
    """

    rate: float

    @cached_property
    def hop(self) -> int:
        """int: Samples from window to window."""
        return max(4, round(WINDOW * self.rate / HOPS))

    @property
    def length(self) -> int:
        """int: Samples in a window."""
        return HOPS * self.hop

    @property
    def bins(self) -> int:
        """int: Number of frequencies."""
        return self.length // 2 + 1

    @cached_property
    def window(self) -> NDArray:
        """float32 ndarray (length,): the Hann window, Σw² = 2."""
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.length) / self.length)
        return (hann * np.sqrt(2 / np.sum(hann**2))).astype(np.float32)

    def __call__(self, samples: NDArray) -> NDArray:
        """Spectrogram (bins, frames), complex64, of samples (n,)."""
        before = self.length - self.hop
        after = before + -len(samples) % self.hop
        padded = np.pad(np.asarray(samples, dtype=np.float32), (before, after), "symmetric")
        frames = sliding_window_view(padded, self.length)[:: self.hop]
        return fft.rfft(frames * self.window, axis=1).T

    def inverse(self, spectrum: NDArray, n: int) -> NDArray:
        """Samples (n,), float32, of a spectrogram; of an altered one, the nearest sound."""
        frames = fft.irfft(spectrum.T, self.length, axis=1) * self.window
        count, before = len(frames), self.length - self.hop
        summed = np.zeros((count + HOPS - 1, self.hop), dtype=np.float32)
        for part in range(HOPS):
            summed[part : part + count] += frames[:, part * self.hop : (part + 1) * self.hop]
        # The squared windows over a sample add up to 2/hop.
        return summed.reshape(-1)[before : before + n] * np.float32(self.hop / 2)
