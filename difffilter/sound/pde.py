"""Diffusion run forward on the spectrogram of a sound: a PDE smooths it, and the Wiener gain follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_choice, check_number
from difffilter.pde.anisotropic import CoherenceEnhancing
from difffilter.pde.heat import Heat
from difffilter.pde.perona_malik import PeronaMalik
from difffilter.sound.denoiser import SoundDenoiser, Spectrum

__all__ = ["FILTERS", "SoundPDE"]

# The logarithm of the power of noise, exponentially distributed, has the mean −γ.
EULER = 0.5772
# What the filters see as a range of 1, in nepers of power, and the least that they see.
RANGE, LOWEST = 20.0, -3.0
# The share of a sound that is kept at least, in amplitude: −30 dB.
LEAST_GAIN = 0.03

FILTERS: dict[str, Any] = {
    "heat": Heat,
    "perona_malik": PeronaMalik,
    "coherence_enhancing": CoherenceEnhancing,
}


@dataclass(frozen=True, kw_only=True)
class SoundPDE(SoundDenoiser):
    """A PDE on the logarithm of the spectrogram, then the Wiener gain from the smoothed power.

    In units of its floor, the log power of noise has the same variance wherever it is, π²/6, whatever
    its colour: what the filters are for. With the smoothed power P, the gain is max(1 − β/P, 0.03).

    Parameters
    ----------
    equation : {"heat", "perona_malik", "coherence_enhancing"}, default "perona_malik"
    time : float, default 2
        Diffusion time, where a bin of 25 Hz and a frame of 10 ms have the length 1.
    kappa : float, default 0.03
        Contrast of the edges to keep, in units of 87 dB; heat takes none.
    beta : float, default 2
        Oversubtraction β.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of range.

    References
    ----------
    Perona & Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE Trans. Pattern
    Analysis and Machine Intelligence 12(7), 1990.
    """

    equation: str = "perona_malik"
    time: float = 2.0
    kappa: float = 0.03
    beta: float = 2.0

    def __post_init__(self) -> None:
        check_choice("equation", self.equation, FILTERS)
        check_number("time", self.time, above=0)
        check_number("kappa", self.kappa, above=0)
        check_number("beta", self.beta, above=0)

    def __call__(self, spectra: Sequence[Spectrum]) -> Iterator[NDArray]:
        contrast = {} if self.equation == "heat" else {"kappa": self.kappa}
        smooth = FILTERS[self.equation](time=self.time, **contrast)
        for values, floor in spectra:
            power = np.abs(values / floor.astype(np.float32)[:, None]) ** 2 / 2
            with np.errstate(divide="ignore"):
                level = np.maximum(np.log(power) + EULER, LOWEST) / RANGE
            smoothed = np.exp(RANGE * smooth(level.astype(np.float32)))
            yield values * np.maximum(1 - self.beta / smoothed, LEAST_GAIN).astype(np.float32)
