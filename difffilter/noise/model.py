"""A model of real noise: its strength by intensity, and its correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.noise.dct import PATCH
from difffilter.noise.describe import described
from difffilter.noise.estimation import check_sigma

__all__ = [
    "Noise",
    "NoiseModel",
    "Sigma",
    "check_noise_given",
    "strength_of",
    "white_noise",
]


@dataclass(frozen=True)
class NoiseModel:
    """Noise whose strength depends on the intensity, and that may be correlated.

    Its ``str`` describes it in a few lines, as ``difffilter estimate`` does.

    At pixel i of channel c the noise has the standard deviation s_c(x_i), where x_i is the mean of
    the channels there, without noise. Noise divided by it is stationary: it has one spectrum.

    Attributes
    ----------
    levels : ndarray (K,)
        Intensities in ascending order.
    deviations : ndarray (C, K)
        The standard deviation at each of them, of each channel; linear in between, and constant
        beyond.
    spectrum : ndarray (8, 8, C, C)
        Variance of the noise, divided by its local standard deviation, at the frequencies
        (π/8)·(k, l), and covariance of the channels; its mean over the frequencies is the
        correlation of the channels.
    white : bool
        Whether it is white: independent from pixel to pixel.
    sigma : float
        Root mean square of the noise over the image and its channels.
    certain : bool, default True
        Whether it is noise beyond doubt. What is weak and not white may as well be the texture of a
        clean image.

    Examples
    --------
    >>> model = white_noise(0.1)
    >>> model.plain, model.sigma
    (True, 0.1)
    """

    levels: NDArray
    deviations: NDArray
    spectrum: NDArray
    white: bool
    sigma: float
    certain: bool = True

    def __str__(self) -> str:
        return described(self)

    @property
    def channels(self) -> int:
        return len(self.deviations)

    @property
    def uniform(self) -> bool:
        """Whether it is equally strong everywhere."""
        return bool(np.all(self.deviations == self.deviations[0, 0]))

    @property
    def plain(self) -> bool:
        """Whether σ says all: it is white, and equally strong everywhere."""
        return self.white and self.uniform

    @property
    def correlation(self) -> NDArray:
        """Correlation of the noise at lags of up to 3 pixels, of the mean of the channels' spectra.

        Returns
        -------
        ndarray (7, 7)
            1 at the centre, lag (0, 0).
        """
        mean = np.trace(self.spectrum, axis1=2, axis2=3) / self.channels
        lags, k = np.arange(-3, 4), np.arange(PATCH)
        # A half counts at both ends of [0, π], of which the upper is extrapolated.
        waves = np.cos(np.pi * np.outer(lags, k) / PATCH) * np.where(k == 0, 0.5, 1)
        ends = mean[-1], mean[:, -1]
        full = waves @ mean @ waves.T
        nyquist = np.cos(np.pi * lags) / 2
        full += np.outer(nyquist, waves @ ends[0]) + np.outer(waves @ ends[1], nyquist)
        full += mean[-1, -1] * np.outer(nyquist, nyquist)
        return full / full[3, 3]

    def deviation(self, image: NDArray, channel_axis: int | None = None) -> NDArray:
        """The standard deviation of the noise at each pixel of an image without noise.

        Parameters
        ----------
        image : ndarray
            Floating point.
        channel_axis : int, optional

        Returns
        -------
        ndarray
            Of the image's shape and dtype.
        """
        level = image if channel_axis is None else image.mean(axis=channel_axis)
        found = [np.interp(level, self.levels, each) for each in self.deviations]
        if channel_axis is None:
            return found[0].astype(image.dtype)
        return np.stack(found, axis=channel_axis).astype(image.dtype)

    def shaped(self, white: NDArray) -> NDArray:
        """Give white noise of variance 1 the correlation of this noise.

        Parameters
        ----------
        white : ndarray (B, C, ..., H, W)

        Returns
        -------
        ndarray
            Of the same shape, dtype and variance. Opposite borders are neighbours.
        """
        channels, (height, width) = white.shape[1], white.shape[-2:]
        spectrum = self.spectrum
        if channels != self.channels:  # each channel by itself
            mean = np.trace(spectrum, axis1=2, axis2=3) / self.channels
            spectrum = mean[..., None, None] * np.eye(channels)
        rows, columns = np.abs(np.fft.fftfreq(height)), np.fft.rfftfreq(width)
        fine = _interpolated(spectrum, 2 * PATCH * rows, 2 * PATCH * columns)
        values, vectors = np.linalg.eigh(fine)
        root = vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]
        waves = np.fft.rfft2(white)
        waves = np.einsum("hwcd,bd...hw->bc...hw", root, waves, optimize=True)
        result = np.fft.irfft2(waves, s=(height, width))
        axes = (0, *range(2, white.ndim))
        scale = np.sqrt(np.mean(np.square(result), axis=axes, keepdims=True))
        return (result / np.where(scale > 0, scale, 1)).astype(white.dtype)


def _interpolated(table, rows, columns):
    """A table (8, 8, ...) at fractional indices of its first two axes, by linear interpolation."""
    for axis, at in ((0, rows), (1, columns)):
        at = np.clip(at, 0, PATCH - 1)
        low = np.minimum(at.astype(int), PATCH - 2)
        share = (at - low).reshape((-1,) + (1,) * (table.ndim - 1 - axis))
        below, above = np.take(table, low, axis), np.take(table, low + 1, axis)
        table = (1 - share) * below + share * above
    return table


# What functions take as sigma: a number, a map of the image's shape, or a model.
Sigma = float | NDArray | NoiseModel


@dataclass(frozen=True)
class Noise:
    """The noise of an image, in the forms in which sigma may be given.

    Attributes
    ----------
    sigma : float
        Its root mean square.
    map : ndarray or None
        The standard deviation at each pixel, of the image's shape.
    model : NoiseModel or None
    """

    sigma: float
    map: NDArray | None = None
    model: NoiseModel | None = None


def check_noise_given(
    sigma: ArrayLike | NoiseModel, image: NDArray, channel_axis: int | None, given: ArrayLike
) -> Noise:
    """Check what was given as sigma.

    Parameters
    ----------
    sigma : float, array_like or NoiseModel
        A map has the image's shape or, the same for all channels, its spatial shape.
    image : ndarray
        Floating point.
    channel_axis : int or None
    given : array_like
        The image as it was given, or anything with its dtype and extremes (see `check_sigma`).

    Returns
    -------
    Noise

    Raises
    ------
    TypeError, ValueError
        If it does not fit the image.

    Examples
    --------
    >>> check_noise_given(np.full((2, 2), 0.1), np.zeros((2, 2)), None, np.zeros((2, 2))).sigma
    0.1
    """
    if isinstance(sigma, NoiseModel):
        channels = 1 if channel_axis is None else image.shape[channel_axis]
        if sigma.channels != channels:
            raise ValueError(
                f"sigma is a NoiseModel of {sigma.channels} channels; the image has {channels}"
            )
        return Noise(sigma.sigma, model=sigma)
    if np.ndim(sigma) == 0:
        return Noise(check_sigma(sigma, given))  # type: ignore[arg-type]
    values = np.asarray(sigma)
    if values.dtype.kind not in "fiu":
        raise TypeError(f"sigma has dtype {values.dtype}; expected numbers")
    spatial = tuple(np.delete(image.shape, [] if channel_axis is None else channel_axis))
    if values.shape not in (image.shape, spatial):
        raise ValueError(
            f"sigma has shape {values.shape}; expected a number, a NoiseModel, or a map of the image's "
            f"shape {image.shape}"
        )
    if not np.all(np.isfinite(values)) or values.min() < 0:
        raise ValueError(
            "sigma has negative, NaN or infinite values; expected a map of numbers ≥ 0"
        )
    if values.shape != image.shape and channel_axis is not None:
        values = np.expand_dims(values, channel_axis)
    dtype = image.dtype if isinstance(image.dtype, np.dtype) else np.float32  # a tensor
    full = np.broadcast_to(values, image.shape).astype(dtype)
    rms = float(np.sqrt(np.mean(np.square(full), dtype=np.float64)))
    return Noise(check_sigma(rms, given), map=full)


def strength_of(sigma: Sigma) -> float:
    """The root mean square of noise, however it is given.

    Examples
    --------
    >>> strength_of(np.array([[0.3, 0.4], [0.3, 0.4]])).__round__(2)
    0.35
    """
    if isinstance(sigma, NoiseModel | float):
        return sigma.sigma if isinstance(sigma, NoiseModel) else sigma
    return float(np.sqrt(np.mean(np.square(sigma))))


def white_noise(sigma: float, channels: int = 1) -> NoiseModel:
    """White noise that is equally strong everywhere.

    Examples
    --------
    >>> white_noise(0.1).sigma
    0.1
    """
    flat = np.broadcast_to(np.eye(channels), (PATCH, PATCH, channels, channels))
    return NoiseModel(np.zeros(1), np.full((channels, 1), sigma), flat, True, sigma)
