"""Diffusion run backward on the spectrogram of a sound: the posterior mean of a DDPM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from difffilter.ddpm.process import posterior_mean
from difffilter.ddpm.threads import in_threads, one_thread
from difffilter.ddpm.unet import UNet
from difffilter.devices import multiplies_bfloat16
from difffilter.sound import weights as weight_files
from difffilter.sound.denoiser import SoundDenoiser, Spectrum
from difffilter.sound.network import SpectrogramNet

__all__ = ["GAIN", "LEAST", "MOST", "SoundDDPM", "denoised"]

# σ̃ of a sound in [−1, 1] with noise σ = 1. A sound's spectrum is sparse: most of it is far below 1, and
# this gain brings the usual levels of noise, σ = 0.001 to 0.5, to the middle of the schedule.
GAIN = 10.0
# The σ̃ of training; beyond it, a sound is scaled.
LEAST, MOST = 0.01, 10.0


@dataclass(frozen=True, kw_only=True)
class SoundDDPM(SoundDenoiser):
    """The posterior mean of a DDPM on complex spectrograms, in one evaluation of its network.

    Divided by its floor, noise of any colour is white: the forward process of the DDPM, whose step is
    that of the noise. No estimate has a smaller mean squared error.

    Parameters
    ----------
    weights : str or Path, default "sound"
        A name in `available`, or a file.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 15.
    """

    weights: str | PathLike = weight_files.USUAL

    def __call__(self, spectra: Sequence[Spectrum]) -> Iterator[NDArray]:
        path = weight_files.find(self.weights)
        net = load_once(path, path.stat().st_mtime_ns)
        with one_thread():
            yield from in_threads(lambda spectrum: denoised(net, *spectrum), spectra)


@lru_cache(maxsize=4)
def load_once(path: Path, modified: int) -> SpectrogramNet:
    """The network of a file, read once for as long as the file is not modified."""
    with one_thread():
        trained = weight_files.load(path)
        net = SpectrogramNet(cast(UNet, trained.net), trained.schedule)
        return net.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]


def denoised(net: SpectrogramNet, spectrum: NDArray, floor: NDArray) -> NDArray:
    """Posterior mean of a spectrogram whose noise has a given floor.

    Parameters
    ----------
    net : SpectrogramNet
    spectrum, floor : ndarray
        As in `Spectrum`.

    Returns
    -------
    complex64 ndarray (bins, frames)
    """
    sigma_tilde = float(np.clip(GAIN * np.sqrt(np.mean(floor**2)), LEAST, MOST))
    scale = (floor / sigma_tilde).astype(np.float32)[:, None]
    white = np.ascontiguousarray(spectrum / scale)
    y = torch.view_as_real(torch.from_numpy(white)).permute(2, 0, 1)[None]  # (1, 2, H, W)
    height, width = white.shape
    multiple = net.unet.config.multiple
    padded = F.pad(y, (0, -width % multiple, 0, -height % multiple), mode="replicate")
    narrow = multiplies_bfloat16(torch.device("cpu"))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        x0 = posterior_mean(net, padded, sigma_tilde, net.schedule)[0, :, :height, :width]
    real, imaginary = x0.numpy()
    return (real + 1j * imaginary) * scale
