"""Measurement of the noise of an image: is it white, how strong is it at which intensity?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from difffilter.image import DataRange, as_float, scaled
from difffilter.labels import keeps_labels
from difffilter.noise.dct import HIGH, LOWER_HALF, PATCH
from difffilter.noise.estimation import estimate_sigma
from difffilter.noise.model import NoiseModel, white_noise
from difffilter.noise.spectrum import FEWEST, LOW, MIDDLE, Patches, intensity_classes, spectrum_of
from difffilter.noise.strength import correction

__all__ = ["assumed_noise", "estimate_noise"]

# Fractions of the patches that are taken for flat: of all, and of a class of intensity.
FLAT, FLAT_OF_CLASS = 0.01, 0.03

# Noise is white if middle frequencies have at most this multiple of the variance of high ones. (Of 109
# photographs with white noise of σ = 8/255 none was above it, and of σ = 5/255 two were; with camera
# noise nearly all.)
WHITE = 2.1

# What is not white may as well be the texture of a clean image, whose variance falls steeply with the
# frequency and which the channels share: it is noise beyond doubt above this fraction of the range,
# times the ratio (of at most STEEP) of the variance at low frequencies to that at middle ones, times
# the mean square of the channels' correlations. (Of 109 clean photographs 13 are above, and all of those
# with camera noise of rms 5.6/255; compressed by JPEG of quality 92, which leaves 4.7/255, 50 are.)
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


@keeps_labels
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
            if least <= limit:
                return replace(model, certain=False)
            factor = correction(patches, spectrum, model.sigma, float(np.ptp(image)))
            deviations = factor * model.deviations
            return replace(model, deviations=deviations, sigma=factor * model.sigma)
    sigma = estimate_sigma(image, channel_axis=channel_axis, mask=mask)
    model = white_noise(sigma, channels)
    if pixels >= ENOUGH and len(patches) and sigma > 0:
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
    """Likeness of a spectrum to that of texture, which falls steeply and is common to the channels."""
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
