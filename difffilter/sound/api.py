"""Removing noise from sounds held as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_number
from difffilter.sound.blocks import measured, restored
from difffilter.sound.catalog import USUAL, make
from difffilter.sound.denoiser import SoundDenoiser
from difffilter.sound.floor import Noise
from difffilter.sound.spectrogram import WINDOW, Transform

__all__ = ["check_length", "check_rate", "denoise", "estimate_noise", "noise_of"]


def denoise(
    samples: ArrayLike,
    rate: float,
    method: str | SoundDenoiser = USUAL,
    sigma: float | None = None,
) -> NDArray:
    """Remove the noise of a sound.

    Parameters
    ----------
    samples : array_like (n,) or (n, channels)
        A sound of 40 ms or more. Floats are of any range; integers are scaled to [−1, 1].
    rate : float
        Samples per second, from 4000.
    method : str or SoundDenoiser, default "ddpm"
        A name in `methods`, or what `make` returns.
    sigma : float, optional
        Standard deviation of the noise, which is white, in the units of `samples`. ``None``: the
        noise is estimated, frequency by frequency, as `estimate_noise` does.

    Returns
    -------
    ndarray
        Of the shape of `samples`, float32 or the float type that it has.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or `samples` is too short or not finite.

    Notes
    -----
    A sound is processed in blocks of 8 s that fade into each other, its channels one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter import sound
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(16000) / 16000
    >>> clean = np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time)
    >>> noisy = clean + 0.1 * rng.standard_normal(16000)
    >>> restored = sound.denoise(noisy, 16000, "perona_malik")
    >>> sound.si_sdr(clean, restored) > sound.si_sdr(clean, noisy) + 10
    True
    """
    sound, transform = prepared(samples, rate)
    denoiser = make(method) if isinstance(method, str) else method
    columns = sound.reshape(len(sound), -1)

    def read(start: int, stop: int) -> NDArray:
        return columns[start:stop]

    noise = noise_of(sigma, columns.shape[1], transform)
    if noise is None:
        noise = measured(read, len(columns), columns.shape[1], transform)
    result = np.empty_like(columns)
    done = 0
    for piece in restored(read, len(columns), transform, denoiser, noise):
        result[done : done + len(piece)] = piece
        done += len(piece)
    return result.reshape(sound.shape)


def estimate_noise(samples: ArrayLike, rate: float) -> Noise:
    """Estimate the noise of a sound from the sound alone.

    In each frequency, noise is taken to be what is left in the quietest 8 % of the time, and its
    strength to be smooth over neighbouring frequencies, so that lines in the spectrum are of the sound.

    Parameters
    ----------
    samples, rate
        As for `denoise`.

    Returns
    -------
    Noise

    Raises
    ------
    TypeError, ValueError
        As for `denoise`.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter import sound
    >>> noise = 0.1 * np.random.default_rng(0).standard_normal(16000)
    >>> print(sound.estimate_noise(noise, 16000))
    white noise, sigma 0.101 (-20 dB)
    """
    sound, transform = prepared(samples, rate)
    columns = sound.reshape(len(sound), -1)
    return measured(lambda start, stop: columns[start:stop], *columns.shape, transform)


def prepared(samples: ArrayLike, rate: float) -> tuple[NDArray, Transform]:
    """A checked sound, as floats, and the transform for its rate."""
    given = np.asarray(samples)
    if given.dtype.kind not in "fiu":
        raise TypeError(f"samples is of type {given.dtype}; expected numbers")
    if given.ndim not in (1, 2) or 0 in given.shape[1:]:
        raise ValueError(f"samples has shape {given.shape}; expected (n,) or (n, channels)")
    check_rate(rate)
    check_length("samples", len(given), rate)
    if given.dtype.kind == "f":
        sound = given if given.dtype.itemsize >= 4 else given.astype(np.float32)
        if not np.isfinite(sound).all():
            first = int(np.argwhere(~np.isfinite(sound))[0, 0])
            raise ValueError(f"samples is {sound[first]} at {first}; expected finite numbers")
    else:
        info = np.iinfo(given.dtype)
        middle = (info.max + 1) // 2 if given.dtype.kind == "u" else 0
        sound = ((given.astype(np.float64) - middle) / (info.max + 1 - middle)).astype(np.float32)
    return sound, Transform(rate)


def check_rate(rate: float) -> None:
    """Raise an error for a rate at which a window is too short to be of use."""
    check_number("rate", rate, least=4000)


def check_length(name: str, n: int, rate: float) -> None:
    """Raise an error for a sound shorter than a window."""
    if n < WINDOW * rate:
        raise ValueError(
            f"{name} has {n} samples, {1000 * n / rate:.3g} ms; expected {1000 * WINDOW:g} ms or more"
        )


def noise_of(sigma: float | None, channels: int, transform: Transform) -> Noise | None:
    """White noise of a given standard deviation; None if it is not given."""
    if sigma is None:
        return None
    check_number("sigma", sigma, least=0)
    return Noise(np.full((channels, transform.bins), float(sigma)))
