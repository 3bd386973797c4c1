"""Short sounds as pictures of 64×64 pixels, and back."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import resample_poly

from difffilter.checks import check_whole
from difffilter.sound.api import check_rate
from difffilter.sound.spectrogram import Transform

__all__ = ["LENGTH", "RATE", "from_mel", "mel_picture"]

RATE = 16_000

# Height and width of a picture: bands of frequencies, and columns of 20 ms.
SIDE = 64
FRAMES = 2  # of 10 ms for a column

# Samples of a sound: as many as have 128 frames. 1.25 s.
LENGTH = 20_000

# From the loudest pixel to black, in dB.
DEPTH = 70.0

# The least and the highest frequency in Hz.
LOW, HIGH = 40.0, RATE / 2

# A sound begins where it first is so loud, in dB below its loudest frame.
ONSET = 30.0

MOMENTUM = 0.99


def mel_picture(samples: ArrayLike, rate: float = RATE) -> NDArray:
    """The beginning of a sound as a picture of its loudness, by time and frequency.

    The sound is brought to 16 kHz and one channel. The picture begins where the sound does and lasts for
    1.25 s; silence follows a shorter one.

    Parameters
    ----------
    samples : array_like (n,) or (n, channels)
    rate : float, default 16 000
        Samples per second, from 4000.

    Returns
    -------
    float32 ndarray (64, 64)
        From left to right columns of 20 ms, from bottom to top bands that are evenly spaced on the mel
        scale up to 8 kHz; 1 for the loudest, 0 for 70 dB below it and less.

    Raises
    ------
    TypeError, ValueError
        If it is no sound, or silent, or the rate is out of range.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 / RATE * np.arange(LENGTH))
    >>> picture = mel_picture(tone)
    >>> picture.shape, int(63 - picture[:, 30].argmax())  # of 440 Hz
    ((64, 64), 10)
    """
    check_rate(rate)
    sound = np.asarray(samples, np.float64)
    if sound.ndim not in (1, 2) or not sound.size:
        raise ValueError(f"samples has shape {sound.shape}; expected (n,) or (n, channels)")
    sound = sound if sound.ndim == 1 else sound.mean(axis=1)
    if not np.isfinite(sound).all() or not sound.any():
        raise ValueError("samples is silent or not finite; expected a sound")
    ratio = Fraction(RATE / rate).limit_denominator(500)
    sound = resample_poly(sound, ratio.numerator, ratio.denominator)
    sound = np.pad(sound[onset(sound) :][:LENGTH], (0, max(0, LENGTH - len(sound))))[:LENGTH]
    sound = np.pad(sound, (0, LENGTH - len(sound)))
    power = np.square(np.abs(Transform(RATE)(sound))).astype(np.float64)
    bands = (filters() @ power).reshape(SIDE, -1, FRAMES).mean(axis=2)
    level = 10 * np.log10(np.maximum(bands / bands.max(), 1e-12))
    return np.clip(1 + level / DEPTH, 0, 1).astype(np.float32)[::-1]


def from_mel(picture: ArrayLike, iterations: int = 60, seed: int = 0) -> NDArray:
    """A sound that has a picture, by the algorithm of Griffin and Lim.

    The picture knows nothing of phases: they are found so that the spectrogram is that of a sound.

    Parameters
    ----------
    picture : array_like (64, 64)
        As of `mel_picture`.
    iterations : int, default 60
    seed : int, default 0
        Of the first phases.

    Returns
    -------
    float32 ndarray (20 000,)
        1.25 s at 16 kHz, with a peak of 0.9.

    Raises
    ------
    ValueError
        If the picture has another shape.

    References
    ----------
    Griffin & Lim, "Signal estimation from modified short-time Fourier transform", IEEE TASSP 1984.
    Perraudin, Balazs & Søndergaard, "A fast Griffin–Lim algorithm", WASPAA 2013, for the momentum.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 440 / RATE * np.arange(LENGTH))
    >>> picture = mel_picture(tone)
    >>> float(abs(mel_picture(from_mel(picture)) - picture).mean()) < 0.05
    True
    """
    levels = np.asarray(picture, np.float64)
    if levels.shape != (SIDE, SIDE):
        raise ValueError(f"picture has shape {levels.shape}; expected ({SIDE}, {SIDE})")
    check_whole("iterations", iterations, least=0)
    black = levels[::-1] <= 0
    bands = np.where(black, 0.0, 10 ** (DEPTH / 10 * (levels[::-1].clip(0, 1) - 1)))
    # Each bin takes the power of the bands that it is in; columns are frames with some between them.
    spread = filters().T
    power = (spread / spread.sum(axis=1, keepdims=True).clip(1e-9)) @ bands
    places = (np.arange(SIDE * FRAMES) + 0.5) / FRAMES - 0.5
    before = np.clip(np.floor(places).astype(int), 0, SIDE - 1)
    after, share = np.minimum(before + 1, SIDE - 1), (places - before).clip(0, 1)
    magnitude = np.sqrt(power[:, before] * (1 - share) + power[:, after] * share)
    transform, rng = Transform(RATE), np.random.default_rng(seed)
    spectrum = magnitude * np.exp(2j * np.pi * rng.random(magnitude.shape))
    last = np.zeros_like(spectrum)
    for _ in range(iterations):
        consistent = transform(transform.inverse(spectrum, LENGTH))
        ahead = consistent + MOMENTUM * (consistent - last)
        spectrum, last = magnitude * np.exp(1j * np.angle(ahead)), consistent
    sound = transform.inverse(spectrum, LENGTH)
    peak = np.abs(sound).max()
    return (sound * (0.9 / peak) if peak > 0 else sound).astype(np.float32)


def onset(sound: NDArray) -> int:
    """The sample at which a sound begins."""
    hop = RATE // 100
    frames = np.square(sound[: len(sound) // hop * hop]).reshape(-1, hop).mean(axis=1)
    if not len(frames):
        return 0
    return int(hop * (frames >= frames.max() * 10 ** (-ONSET / 10)).argmax())


@cache
def filters() -> NDArray:
    """Triangles (64, bins) over the frequencies, from low to high, the weights of each adding up to 1."""
    transform = Transform(RATE)
    frequencies = np.linspace(0, RATE / 2, transform.bins)
    edges = hertz(np.linspace(mel(LOW), mel(HIGH), SIDE + 2))
    found = np.zeros((SIDE, transform.bins))
    width = RATE / 2 / (transform.bins - 1)
    for row, ((low, centre), (_, high)) in enumerate(pairwise(pairwise(edges))):
        rising = (frequencies - low) / max(centre - low, width)
        falling = (high - frequencies) / max(high - centre, width)
        found[row] = np.minimum(rising, falling).clip(0)
    return found / found.sum(axis=1, keepdims=True)


def mel(frequency: float) -> float:
    """Hertz on the mel scale."""
    return 2595 * math.log10(1 + frequency / 700)


def hertz(mels: NDArray) -> NDArray:
    """The inverse of `mel`."""
    return 700 * (10 ** (mels / 2595) - 1)
