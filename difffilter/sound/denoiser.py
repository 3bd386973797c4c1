"""The contract of sound denoisers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from numpy.typing import NDArray

__all__ = ["SoundDenoiser", "Spectrum"]


class Spectrum(NamedTuple):
    """A spectrogram and the floor of its noise.

    Attributes
    ----------
    values : complex64 ndarray (bins, frames)
        From `Transform`.
    floor : ndarray (bins,)
        Standard deviation of the noise in each frequency, above 0.
    """

    values: NDArray
    floor: NDArray


class SoundDenoiser(ABC):
    """Base class of sound denoisers, which work on spectrograms; the fields are the parameters."""

    @abstractmethod
    def __call__(self, spectra: Sequence[Spectrum]) -> Iterator[NDArray]:
        """The restored spectrograms (bins, frames), complex64, in their order.

        Parameters
        ----------
        spectra : sequence of Spectrum
            Each is restored by itself; several processors may share them.
        """
