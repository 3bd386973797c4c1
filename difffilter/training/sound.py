"""Train a DDPM on the spectrograms of a folder of sounds, as `ddpm` trains one on photographs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from torch import Tensor

from difffilter.ddpm.process import add_noise
from difffilter.ddpm.unet import UNet
from difffilter.ddpm.weights import Weights
from difffilter.docstring import shared
from difffilter.io.sounds import SUFFIXES
from difffilter.sound import weights
from difffilter.sound.ddpm import GAIN, LEAST, MOST, denoised
from difffilter.sound.files import read
from difffilter.sound.metrics import si_sdr
from difffilter.sound.network import SpectrogramNet
from difffilter.sound.spectrogram import HOPS, Transform
from difffilter.training.data import image_at, set_aside
from difffilter.training.loss import Loss
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method, run
from difffilter.training.sound_config import SoundTraining
from difffilter.training.state import TrainingState

__all__ = ["METHOD", "fit_sound"]

# Levels of a sound: of the root mean square, in dB below full scale.
LOUDNESS = (-40.0, -10.0)
# A sound is played up to this much slower or faster.
SPEED = (0.6, 1.5)
# Sounds that murmur together.
VOICES = 6
# The spectrum of a coloured noise: a slope, and waves about it, in dB.
SLOPE, WAVES = 15.0, 4.0
# Standard deviation, in dB, of the error of the noise floor that the network is told.
FLOOR_ERROR = 1.0


class Sound(NamedTuple):
    """Samples (n,), float32, and their rate."""

    samples: NDArray
    rate: float


@shared
def fit_sound(
    folder: str | PathLike,
    output: str | PathLike,
    config: SoundTraining | None = None,
    *,
    init: str | PathLike | None = None,
    resume: bool = False,
    steps: int | None = None,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Train a DDPM on sounds; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    folder : str or Path
        Sound files, clean, of any rate; channels are averaged.
    output : str or Path
        Folder of the run: checkpoint, weights and log.
    config : SoundTraining, optional
        ``None``: ``PRESETS["sound"]``; with `resume`, that of the checkpoint, which another one
        must not contradict.
    init : str or Path, optional
        Weights to start from, a name or a file; layers of another shape start afresh. ``None``:
        random weights; with `resume`, those of the run, which others must not contradict.
    %(run_options)s

    Returns
    -------
    Path
        The weight file.

    Raises
    ------
    %(run_errors)s

    Notes
    -----
    A crop is a passage of sounds one after another, played faster or slower, with noise that is
    white once it is divided by its floor, or a murmur of other sounds. ``log.jsonl`` is as `fit`
    writes it, with the gain in SI-SDR at 5 dB instead of the PSNR.

    Examples
    --------
    >>> fit_sound("sounds", "runs/sound")  # doctest: +SKIP
    """
    return run(
        METHOD, folder, output, config, init=init, resume=resume, steps=steps, device=device,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


def read_sounds(folder: str | PathLike, config: SoundTraining) -> tuple[list[Sound], list[Sound]]:
    """The sounds of a folder to train on, and those set aside.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no sound in it.
    ValueError
        If a file is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no sounds ({', '.join(SUFFIXES)}) in {folder}")
    sounds = []
    for path in paths:
        samples, rate = read(path)
        sounds.append(Sound(samples.mean(axis=1), rate))
    return set_aside(sounds, config.validation)


class SoundLoss(Loss[SoundTraining]):
    """Squared error of the predicted noise, as a share of the noise.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        places = range(step * self.config.batch, (step + 1) * self.config.batch)[self.share]
        drawn = [draw(self.data, self.config, place) for place in places]
        x0, eps = (
            torch.from_numpy(np.stack(parts)) for parts in list(zip(*drawn, strict=True))[:2]
        )
        t = self.config.schedule.step_of([sigma_tilde for *_, sigma_tilde in drawn])
        x0, eps = x0.to(self.device), eps.to(self.device)
        xt = add_noise(x0, t, eps, self.config.schedule)
        error = self.forward(xt, torch.from_numpy(t).float().to(self.device)) - eps
        power = eps.square().mean(dim=(1, 2, 3))
        return (error.square().mean(dim=(1, 2, 3)) / (power + 1e-3)).mean()


def draw(sounds: list[Sound], config: SoundTraining, place: int) -> tuple[NDArray, NDArray, float]:
    """One crop of a run, by its number.

    Returns
    -------
    x0, eps : float32 ndarray (2, band, crop)
        Sound and noise in units of σ̃ and of 1.
    sigma_tilde : float
    """
    rng = np.random.default_rng([config.seed, place])
    chosen = sounds[image_at(place, len(sounds), config.seed)]
    speed = np.exp(rng.uniform(*np.log(SPEED)))
    transform = Transform(chosen.rate * speed)
    n = (config.crop - HOPS + 1) * transform.hop  # as many frames as the crop has
    clean = passage(sounds, chosen, n, rng)
    spectrum = transform(clean)
    rms = np.sqrt(np.mean(clean**2)) + 1e-6
    if rng.random() < config.babble:
        others = [sounds[index] for index in rng.integers(len(sounds), size=VOICES)]
        voices = [scaled(passage(sounds, sound, n, rng)) for sound in others]
        eps = transform(scaled(np.sum(voices, axis=0)))
        spread = uniform_filter1d(np.mean(np.abs(eps) ** 2, axis=1) / 2, 21, mode="nearest")
        colour = np.sqrt(spread + 1e-3 * spread.mean() + 1e-12)
        told = 10 ** (rng.uniform(-8, 1) / 20)  # babble pauses, and its floor lies below its mean
    else:
        colour = coloured(transform.bins, rng) if rng.random() < 0.5 else np.ones(transform.bins)
        eps = transform(rng.standard_normal(n, dtype=np.float32)) * colour[:, None]
        told = 10 ** (FLOOR_ERROR * rng.standard_normal() / 20)
    # The ratio of sound to noise, all frequencies together.
    ratio = 10 ** (-rng.uniform(*config.snr) / 20) / np.sqrt(np.mean(colour**2))
    loudness = 10 ** (rng.uniform(*LOUDNESS) / 20)
    floor = loudness * ratio * colour * told
    sigma_tilde = float(np.clip(GAIN * np.sqrt(np.mean(floor**2)), LEAST, MOST))
    scale = (floor / sigma_tilde)[:, None]
    x0 = spectrum * (loudness / rms) / scale
    eps = eps * (loudness * ratio) / scale / sigma_tilde
    # More often than not from the lower frequencies, where most sounds are.
    low = int(rng.random() ** 2 * max(1, transform.bins - config.band + 1))
    return band_of(x0, low, config), band_of(eps, low, config), sigma_tilde


def band_of(spectrum: NDArray, low: int, config: SoundTraining) -> NDArray:
    """Frequencies from `low` up, as real and imaginary part (2, band, crop)."""
    band = spectrum[low : low + config.band]
    band = np.pad(band, ((0, config.band - len(band)), (0, 0)), "symmetric")
    return np.stack((band.real, band.imag)).astype(np.float32)


def passage(sounds: list[Sound], first: Sound, n: int, rng: np.random.Generator) -> NDArray:
    """A sound from anywhere in it, with pauses and others after it until there are n samples."""
    parts: list[NDArray] = []
    total, sound = 0, first
    while total < n:
        whole = sound.samples
        start = int(rng.integers(max(1, len(whole) - n // 4))) if not parts else 0
        pause = int(rng.exponential(0.1) * sound.rate) * int(rng.integers(2))
        part = np.concatenate((whole[start : start + n], np.zeros(pause, dtype=np.float32)))
        parts.append(part if not parts else part * np.float32(rng.uniform(0.2, 1)))
        total += len(part)
        sound = sounds[rng.integers(len(sounds))]
    joined = np.concatenate(parts)[:n]
    return joined[::-1] if rng.integers(4) == 0 else joined


def scaled(samples: NDArray) -> NDArray:
    """Samples with a root mean square of 1."""
    return samples / (np.sqrt(np.mean(samples**2)) + np.float32(1e-6))


def coloured(bins: int, rng: np.random.Generator) -> NDArray:
    """A smooth spectrum (bins,) of noise: a slope of the level in dB, and slow waves about it."""
    place = np.linspace(0, 1, bins)
    level = rng.uniform(-SLOPE, SLOPE) * place
    for wave in range(1, 5):
        level += rng.normal(0, WAVES / wave) * np.cos(np.pi * wave * place)
    return 10 ** ((level - level.mean()) / 20)


def gain(state: TrainingState, sounds: list[Sound]) -> float:
    """Mean gain in SI-SDR in dB on the first four seconds of each sound, with white noise at 5 dB."""
    net, gains = cast(SpectrogramNet, state.averaged), []
    for index, (samples, rate) in enumerate(sounds):
        clean, transform = samples[: round(4 * rate)], Transform(rate)
        sigma = np.sqrt(np.mean(clean**2)) * 10 ** (-5 / 20)
        noise = np.random.default_rng(index).standard_normal(len(clean))
        noisy = (clean + sigma * noise).astype(np.float32)
        spectrum = denoised(net, transform(noisy), np.full(transform.bins, sigma))
        estimate = transform.inverse(spectrum, len(clean))
        gains.append(si_sdr(clean, estimate) - si_sdr(clean, noisy))
    return float(np.mean(gains))


def start(state: TrainingState, init: Weights) -> None:
    """Start a run from trained weights.

    Raises
    ------
    ValueError
        If they are those of a network without a time embedding.
    """
    if not isinstance(init.net, UNet):
        raise ValueError(f"init is of a {type(init.net).__name__}; expected weights of a UNet")
    state.start_from(SpectrogramNet(init.net, init.schedule))


def write_weights(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    net = cast(SpectrogramNet, state.averaged)
    weights.save(path, net, (LEAST / GAIN, MOST / GAIN))


METHOD = Method(
    PRESETS["sound"], read_sounds, weights.load, start, SoundLoss, gain, write_weights, "gain"
)
