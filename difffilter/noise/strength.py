"""The strength of noise, corrected by what training photographs have taught.

Even the flattest patches of a photograph have some texture, and dark or saturated areas have less
noise than the model says. Both show in the distribution of the patches' energy in three bands of
frequency. From it a small network predicts the logarithm of true over measured strength;
``benchmarks/noise_strength.py`` trained it on photographs with noise of many kinds.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.noise.dct import HIGH
from difffilter.noise.spectrum import LOW, MIDDLE, Patches

__all__ = ["WEIGHTS", "correction", "features"]

WEIGHTS = Path(__file__).with_name("strength.json")

BANDS = (LOW, MIDDLE, HIGH)
QUANTILES = (0.01, 0.1, 0.25, 0.75)

# The features are held within this many standard deviations of the training photographs', and the
# logarithm of the factor within this limit.
USUAL, MOST = 3.0, 0.5


def features(patches: Patches, spectrum: NDArray, sigma: float, extent: float) -> NDArray:
    """Features that reveal the error of an estimate, independent of the unit of intensity.

    Parameters
    ----------
    patches : Patches
    spectrum : ndarray (64, C, C)
        Of the flattest patches, as `difffilter.noise.spectrum.spectrum_of` returns it.
    sigma : float
        The strength that was measured; above 0.
    extent : float
        The range of the image's intensities.

    Returns
    -------
    ndarray (17,)
        Logarithms of standard deviations, divided by `sigma`: quantiles of the patches in each
        band, then the spectrum in each band. Last the correlation of the channels and the logarithm
        of sigma / extent.
    """
    energy = np.square(patches.coefficients).mean(axis=1)
    found = [np.quantile(energy[:, band].mean(axis=1), QUANTILES) for band in BANDS]
    variance = np.trace(spectrum, axis1=1, axis2=2) / spectrum.shape[1]
    found.append(np.array([variance[band].mean() for band in BANDS]))
    least = np.finfo(float).tiny
    logarithms = np.log(np.maximum(np.concatenate(found) / sigma**2, least)) / 2
    covariance = spectrum[MIDDLE].mean(axis=0)
    deviation = np.sqrt(np.maximum(np.diag(covariance), least))
    shared = (covariance / np.outer(deviation, deviation))[np.triu_indices(len(covariance), 1)]
    alike = shared.mean() if shared.size else 1.0
    return np.append(logarithms, (alike, np.log(sigma / max(extent, least))))


def correction(patches: Patches, spectrum: NDArray, sigma: float, extent: float) -> float:
    """The factor by which to multiply the measured strength of noise that is not white.

    Parameters are those of `features`.

    Returns
    -------
    float
        Between exp(−0.5) and exp(0.5).
    """
    net = _networks()["grey" if spectrum.shape[1] == 1 else "colour"]
    scaled = (features(patches, spectrum, sigma, extent) - net["mean"]) / net["deviation"]
    hidden = np.tanh(net["inner"] @ np.clip(scaled, -USUAL, USUAL) + net["inner_bias"])
    return float(np.exp(np.clip(net["outer"] @ hidden + net["outer_bias"], -MOST, MOST)))


@cache
def _networks() -> dict[str, dict[str, Any]]:
    """The weights of the network for grey images and of that for colour."""
    nets = json.loads(WEIGHTS.read_text("utf-8"))
    return {kind: {name: np.array(x) for name, x in net.items()} for kind, net in nets.items()}
