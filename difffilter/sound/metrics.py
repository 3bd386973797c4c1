"""Quality measures for restored sound."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["si_sdr"]


def si_sdr(clean: ArrayLike, estimate: ArrayLike) -> float:
    """Scale-invariant ratio of signal to distortion in dB.

    10·log₁₀(‖a s‖²/‖a s − ŝ‖²) with a = ⟨s, ŝ⟩/‖s‖², the scale at which the clean sound s is nearest
    to the estimate ŝ.

    Parameters
    ----------
    clean, estimate : array_like of the same shape

    Returns
    -------
    float
        Infinite where they differ by a factor alone, NaN for a silent clean sound.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Le Roux, Wisdom, Erdogan & Hershey, "SDR – half-baked or well done?", ICASSP 2019.

    Examples
    --------
    >>> round(si_sdr([1, -1, 1, -1], [0.6, -0.5, 0.4, -0.5]), 2)
    16.99
    """
    s, estimate = np.asarray(clean, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if s.shape != estimate.shape:
        raise ValueError(f"estimate has shape {estimate.shape}; expected {s.shape}, as clean has")
    with np.errstate(divide="ignore", invalid="ignore"):
        target = np.sum(s * estimate) / np.sum(s**2) * s
        return float(10 * np.log10(np.sum(target**2) / np.sum((target - estimate) ** 2)))
