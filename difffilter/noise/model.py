"""A model of real noise: its strength by intensity, and its correlation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.image import DataRange, as_float, scaled
from difffilter.noise.dct import HIGH, LOWER_HALF, PATCH
from difffilter.noise.describe import described
from difffilter.noise.estimation import check_sigma, estimate_sigma
from difffilter.noise.spectrum import FEWEST, LOW, MIDDLE, Patches, intensity_classes, spectrum_of

__all__ = [
    "Noise",
    "NoiseModel",
    "Sigma",
    "assumed_noise",
    "check_noise_given",
    "estimate_noise",
    "strength_of",
    "white_noise",
]

# Fractions of the patches that are taken for flat: of all, and of a class of intensity.
FLAT, FLAT_OF_CLASS = 0.01, 0.03

# Noise is white if middle frequencies have at most this multiple of the variance of high ones. (Of 109
# photographs with white noise of σ = 8/255 none was above it, and of σ = 5/255 two were; with camera
# noise nearly all.)
WHITE = 2.1

# What is not white may as well be the texture of a clean image, whose variance falls steeply with the
# frequency and which the channels share: it is noise beyond doubt above this fraction of the range,
# times the ratio (of at most STEEP) of the variance at low frequencies to that at middle ones, times
# the mean square of the channels' correlations. (In 24 clean photographs 4 are above; with camera noise
# of rms 5/255, compressed by JPEG or not, nearly all.)
FAINT, STEEP = 0.8 / 255, 10

# With fewer pixels or patches, noise is taken for white. In an image of no more than SMALL pixels, there
# is often nothing but texture.
ENOUGH, FEWEST_PATCHES, SMALL = 64 * 64, 200, 256 * 256

# White noise is equally strong everywhere if its strength in the classes of intensity, on a logarithmic
# scale, has at most this standard deviation; TEXTURE adds to it for σ = 1/255 of the range. (With σ =
# 15/255 everywhere it was below 0.06 in 19 photographs of 20, with strong noise of a camera without
# colours above 0.08 in three of four.)
EVEN, TEXTURE = 0.08, 8

# Texture adds this to what is not white in the flattest patches of a grey photograph, as a fraction of the
# range. (In colour the estimate is right on the average without it.)
TEXTURE_IN_GREY = 4.5 / 255

# The noise of a class of intensity is at most this multiple of that of the flattest patches; in colour, a
# larger one where the class shows no texture, for the flattest patches may be the darkest.
STRONGER, MOST, TRUSTED = 1.7, 4.0, (0.3, 0.7)

# Pixels over which the strength is averaged.
SAMPLE = 1 << 20


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
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (128, 128))
    >>> model = estimate_noise(noisy)
    >>> model.white, round(model.sigma, 2)
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


def estimate_noise(
    image: ArrayLike,
    *,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    data_range: DataRange = None,
) -> NoiseModel:
    """Measure the noise of an image from the image alone: is it white, how strong is it where?

    The spectrum is that of the flattest 1 % of the patches of 8×8 pixels (see
    `difffilter.noise.spectrum`). The strength is measured in up to eight classes of intensity, at
    the middle and high frequencies of the flattest patches of each. A class whose flattest patches
    still show the image, with more energy at low frequencies than the spectrum, has less weight.
    The strength of white noise is that of `estimate_sigma`; as there, constant areas beside noise are
    left out.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        Patches of a volume lie in its planes.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    mask : array_like of bool, optional
        The pixels to use, of the image's spatial shape; ``None``: all.
    data_range : float or (float, float), optional
        The intensity to scale to 1, or those to scale to 0 and 1; ``None``: the range of integers.

    Returns
    -------
    NoiseModel
        White, and equally strong everywhere, for an image of fewer than 64×64 pixels.

    Raises
    ------
    TypeError, ValueError
        If the image is invalid.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> noise = gaussian_filter(np.random.default_rng(0).normal(size=(128, 128)), 1)
    >>> model = estimate_noise(0.5 + 0.1 / noise.std() * noise)
    >>> model.white, round(model.sigma, 1), bool(model.correlation[3, 4] > 0.5)
    (False, 0.1, True)
    """
    image = as_float(scaled(image, data_range), channel_axis)
    if channel_axis is None:
        planes = image.reshape(-1, 1, *image.shape[-2:])
    else:
        planes = np.moveaxis(image, channel_axis, -3)
        planes = planes.reshape(-1, *planes.shape[-3:])
    inside = None if mask is None else np.asarray(mask, bool).reshape(-1, *planes.shape[-2:])
    patches = Patches.of(planes, inside)
    channels = planes.shape[1]
    pixels = planes[:, 0].size if inside is None else np.count_nonzero(inside)
    if pixels >= ENOUGH and len(patches) >= FEWEST_PATCHES:
        spectrum = spectrum_of(patches, FLAT)
        energy = np.trace(spectrum, axis1=1, axis2=2) / channels
        high, middle = energy[HIGH].mean(), energy[MIDDLE].mean()
        if middle > WHITE * high and energy.mean() > 0:
            model = _coloured(patches, spectrum, planes)
            limit = FAINT * _likeness(spectrum) * float(np.ptp(image))
            limit *= 1 + SMALL / pixels
            cap = STRONGER * np.sqrt(np.diagonal(spectrum, axis1=1, axis2=2).mean(axis=0))
            least = _rms(planes, model.levels, np.minimum(model.deviations, cap[:, None]))
            return replace(model, certain=least > limit)
    sigma = estimate_sigma(image, channel_axis=channel_axis, mask=mask)
    model = white_noise(sigma, channels)
    if pixels >= ENOUGH and sigma > 0:
        levels, deviations = _by_intensity(patches)
        spread = np.std(np.log(np.maximum(deviations, 1e-6 * sigma)), axis=1).max()
        if spread > EVEN + TEXTURE * (np.ptp(image) / (255 * sigma)) ** 2:
            rms = _rms(planes, levels, deviations)
            return replace(model, levels=levels, deviations=deviations, sigma=rms)
    return model


def assumed_noise(
    image: ArrayLike, *, channel_axis: int | None = None, mask: ArrayLike | None = None
) -> NoiseModel:
    """The noise to remove from an image: white unless the estimate is another beyond doubt.

    Parameters and result are those of `estimate_noise`.
    """
    model = estimate_noise(image, channel_axis=channel_axis, mask=mask)
    if model.certain:
        return model
    sigma = estimate_sigma(image, channel_axis=channel_axis, mask=mask)
    return white_noise(sigma, model.channels)


def white_noise(sigma: float, channels: int = 1) -> NoiseModel:
    """White noise that is equally strong everywhere.

    Examples
    --------
    >>> white_noise(0.1).sigma
    0.1
    """
    flat = np.broadcast_to(np.eye(channels), (PATCH, PATCH, channels, channels))
    return NoiseModel(np.zeros(1), np.full((channels, 1), sigma), flat, True, sigma)


def _by_intensity(patches):
    """Intensities, and the standard deviation of white noise at each of them, of each channel."""
    levels, variances = [], []
    for each in intensity_classes(patches):
        squares = np.square(each.coefficients)
        energy = squares[:, :, LOWER_HALF].sum(axis=(1, 2))
        count = min(len(each), max(FEWEST, len(each) // 20))
        flat = np.argpartition(energy, count - 1)[:count]
        variances.append(np.median(squares[flat][:, :, HIGH].mean(axis=0), axis=1))
        levels.append(each.means.mean())
    return np.array(levels), np.sqrt(np.transpose(variances))


def _rms(planes, levels, deviations):
    """Root mean square of the noise over an image, given as planes ``(D, C, H, W)``.

    Of an image of more than SAMPLE pixels, every second or third row and column says as much.
    """
    depth, _, height, width = planes.shape
    step = max(1, math.isqrt(depth * height * width // SAMPLE))
    level = planes[:, :, ::step, ::step].mean(axis=1)
    squares = [np.mean(np.square(np.interp(level, levels, each))) for each in deviations]
    return float(np.sqrt(np.mean(squares)))


def _likeness(spectrum):
    """How much the spectrum of what is not white is like that of texture: steep, and of no colour."""
    variance = np.trace(spectrum, axis1=1, axis2=2)
    steepness = variance[LOW].mean() / max(variance[MIDDLE].mean(), np.finfo(float).tiny)
    covariance = spectrum[MIDDLE].mean(axis=0)
    deviation = np.sqrt(np.maximum(np.diag(covariance), np.finfo(float).tiny))
    shared = covariance / np.outer(deviation, deviation)
    others = np.square(shared[np.triu_indices(len(shared), 1)])
    return min(steepness, STEEP) * (others.mean() if others.size else 1.0)


def _coloured(patches, spectrum, planes):
    """The model of noise that is not white: its spectrum, and its strength by intensity."""
    measured = MIDDLE | HIGH
    channels = patches.means.shape[1]
    variance = np.diagonal(spectrum, axis1=1, axis2=2)  # (64, C)
    total, seen = variance.mean(axis=0), variance[measured].mean(axis=0)
    contrast = variance[LOW].mean() / max(variance[measured].mean(), np.finfo(float).tiny)
    levels, strengths, trust = [], [], []
    for each in intensity_classes(patches):
        own = np.diagonal(spectrum_of(each, FLAT_OF_CLASS), axis1=1, axis2=2)
        levels.append(each.means.mean())
        strengths.append(own[measured].mean(axis=0) / seen * total)
        excess = own[LOW].mean() / max(own[measured].mean(), np.finfo(float).tiny) / contrast
        trust.append(min(1.0, 1 / max(excess, 1e-3)) ** 2)
    levels = np.array(levels)
    cap = np.interp(trust, TRUSTED, (STRONGER, STRONGER if channels == 1 else MOST))
    strengths = np.minimum(strengths, np.square(cap)[:, None] * total)
    if channels == 1:
        texture = (TEXTURE_IN_GREY * np.ptp(planes)) ** 2
        strengths = np.maximum(strengths - texture, strengths / 2)
    deviations = np.sqrt([_smoothed(levels, each, trust) for each in np.transpose(strengths)])
    rms = _rms(planes, levels, deviations)
    scale = np.sqrt(np.maximum(total, np.finfo(float).tiny))
    spectrum = spectrum / (scale[:, None] * scale[None, :])
    return NoiseModel(
        levels, deviations, spectrum.reshape(PATCH, PATCH, channels, channels), False, rms
    )


def _smoothed(levels, variances, trust):
    """Mean of the variances at similar intensities, weighted by the trust in each."""
    variances, trust = np.maximum(variances, 1e-12), np.maximum(trust, 1e-3)
    width = max((levels[-1] - levels[0]) / 6, 1e-6)
    near = np.exp(-0.5 * ((levels[:, None] - levels[None, :]) / width) ** 2) * trust
    return np.exp(near @ np.log(variances) / near.sum(axis=1))
