"""How strong the noise is: checking a given σ, estimating an unknown one."""

from __future__ import annotations

import math

import numpy as np

from difffilter.checks import check_choice, check_number
from difffilter.image import as_float

__all__ = ["EXPONENTS", "check_noise", "check_sigma", "estimate_noise", "estimate_sigma"]

PATCH = 8

# The kinds of noise whose strength can be estimated, by the p for which the standard deviation
# where the image is x is σ·xᵖ (as `difffilter.noise.models` puts them on).
EXPONENTS = {"gaussian": 0.0, "poisson": 0.5, "speckle": 1.0}

# Of the mean of the brightest patch: darker ones say little about noise that grows with the image,
# and rounding to 8 bits shows in them.
DARK = 0.1

# The frequencies that measure the noise are those whose two indices have at least this sum. Where
# calm is in proportion to the mean bright texture passes for calm, and reaches far.
LOWEST = {"gaussian": PATCH, "poisson": 9, "speckle": 10}

# Into how many classes `estimate_noise` parts the patches.
CLASSES = 10


def check_noise(noise):
    """One of the kinds of noise in `EXPONENTS`."""
    return check_choice("noise", noise, EXPONENTS)


def check_sigma(sigma, image=None):
    """σ as a float, or a complaint.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, in units of intensity.
    image : ndarray, optional
        The image that σ is for. Where its values go beyond [0, 1], so may σ.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If σ is negative, NaN, infinite, or above 1 for an image in [0, 1].

    Examples
    --------
    >>> check_sigma(25 / 255)
    0.09803921568627451
    """
    sigma = check_number("sigma", sigma, least=0)
    if sigma > 1 and (image is None or np.ptp(image) <= 1):
        raise ValueError(
            f"sigma is {sigma:g}, above the image's whole range [0, 1]; did you mean {sigma:g}/255?"
        )
    return sigma


def estimate_sigma(image, channel_axis=None, *, mask=None, noise="gaussian"):
    """Standard deviation of white noise, estimated from the noisy image alone.

    Patches of 8×8 pixels go through an orthonormal DCT, in which white noise has the same variance
    everywhere and independent coefficients. The 5 % of the patches with the least energy in the
    low half of the frequencies show the least of the image; the high half of *their* frequencies
    measures the noise (of noise that grows with the image: the highest of them alone). Choosing
    by one half and measuring by the other keeps the choice from favouring patches with little
    noise. (In the manner of [1]_, which looks for blocks with similar low frequencies instead.)
    On noisy photographs the result is off by 1 to 2 % at σ = 15/255, where the median of the
    finest wavelet coefficients is 12 % too high.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        A volume is measured in its planes.
    channel_axis : int, optional
        The axis of the channels, whose noise is taken to be equally strong; ``None``: no channels.
    mask : array_like of bool, optional
        Of the image's spatial shape: where to look; ``None``: everywhere.
    noise : {"gaussian", "poisson", "speckle"}
        How the noise depends on the image x, which `add_noise` defines: its standard deviation is
        σ, σ√x or σx. For the latter two each patch is divided by that of its mean, so that σ is the
        strength where the image is 1: for photon counts σ² is the intensity of a photon, for
        speckle σ is the coefficient of variation of homogeneous areas.

    Returns
    -------
    float
        σ in units of intensity. Pixels at the image's extremes are left out, for where an image
        is saturated its noise is cut off (noise that grows with the image vanishes at 0, so there
        only those at its maximum are). An image with fewer than 64 places for a patch is
        measured by the median of its diagonal differences instead.

    Raises
    ------
    TypeError, ValueError
        If the image is not what it should be, or `noise` is unknown.

    References
    ----------
    .. [1] N. N. Ponomarenko, V. V. Lukin, M. S. Zriakhov, A. Kaarna, J. T. Astola, "An automatic
       approach to lossy compression of AVIRIS images", IGARSS 2007.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0.5, 0.1, (128, 128))
    >>> round(estimate_sigma(noise), 2)
    0.1
    """
    image = as_float(image, channel_axis)
    if channel_axis is not None:
        image = np.moveaxis(image, channel_axis, 0)
    planes = image.reshape((-1, *image.shape[-2:]))
    exponent = EXPONENTS[check_noise(noise)]
    mask = None if mask is None else _mask_planes(mask, planes)
    patches = _patches(planes, mask, darkest=exponent == 0)
    if exponent:
        mean = patches.mean(axis=1)
        bright = mean > DARK * mean.max(initial=0.0)
        patches = patches[bright] / mean[bright, None] ** exponent
    if len(patches) < 64:
        return _difference_sigma(planes / (max(float(planes.mean()), 0.0) ** exponent or 1.0))
    low, high = _dct_halves(LOWEST[noise])
    calm = patches[_least_energy(patches, low, max(64, len(patches) // 20))].astype(np.float64)
    variances = np.concatenate([np.square(some @ high) for some in _few(calm)]).mean(axis=0)
    sigma = float(np.sqrt(np.median(variances)))
    # What JPEG leaves out of its blocks comes back as rounding.
    return sigma if sigma > 1e-6 * max(-planes.min(), planes.max()) else 0.0


def estimate_noise(image, channel_axis=None, *, noise="poisson"):
    """Noise that grows with the image and noise that does not, estimated together.

    The patches of `estimate_sigma` are parted by their mean into classes of equal size. In each, the
    5 % with the least energy in the low frequencies give the noise's variance at their mean; the
    line through these, by least squares with errors in proportion to the variance, gives both (in
    the manner of [1]_).

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"poisson", "speckle"}
        Whether the variance where the image is x is σ²x + r² or σ²x² + r².

    Returns
    -------
    tuple of (float, float)
        σ and r, neither below 0, in units of intensity. An image with fewer than 640 places for a
        patch is taken to have r = 0.

    Raises
    ------
    TypeError, ValueError
        If the image is not what it should be, or `noise` is unknown.

    References
    ----------
    .. [1] A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
       modeling and fitting for single-image raw-data", IEEE Trans. Image Processing 17(10), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> rng, ramp = np.random.default_rng(0), np.linspace(0, 1, 256) * np.ones((256, 1))
    >>> noisy = rng.poisson(400 * ramp) / 400 + rng.normal(0, 0.02, ramp.shape)
    >>> sigma, read = estimate_noise(noisy)
    >>> abs(sigma - 0.05) < 0.005, abs(read - 0.02) < 0.005
    (True, True)
    """
    from scipy.optimize import nnls

    image = as_float(image, channel_axis)
    exponent = EXPONENTS[check_noise(noise)]
    planes = image if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    patches = _patches(planes.reshape((-1, *planes.shape[-2:])), None, darkest=False)
    if exponent == 0 or len(patches) < 64 * CLASSES:
        return estimate_sigma(image, channel_axis, noise=noise), 0.0
    low, high = _dct_halves()
    mean = patches.mean(axis=1)
    points = []
    for members in np.array_split(np.argsort(mean, kind="stable"), CLASSES):
        calm = members[_least_energy(patches[members], low, max(16, len(members) // 20))]
        variance = np.median(np.square(patches[calm] @ high).mean(axis=0))
        points.append((max(mean[calm].mean(), 0.0) ** (2 * exponent), variance))
    level, variance = np.transpose(points)
    weight = 1 / np.maximum(variance, 1e-3 * variance.max() or 1.0)
    line, _ = nnls(np.column_stack([weight * level, weight]), weight * variance)
    return float(np.sqrt(line[0])), float(np.sqrt(line[1]))


def _mask_planes(mask, planes):
    channels = len(planes) * planes.shape[1] * planes.shape[2] // np.size(mask)
    return np.broadcast_to(mask, (channels, *np.shape(mask))).reshape(planes.shape)


def _patches(planes, mask, most=1 << 16, *, darkest=True):
    """Unsaturated patches ``(N, 64)`` on a regular grid, overlapping as far as `most` allows.

    Those at the image's minimum are left out as well if `darkest`.
    """
    if min(planes.shape[1:]) < PATCH:
        return np.empty((0, PATCH * PATCH))
    places = len(planes) * (planes.shape[1] - PATCH + 1) * (planes.shape[2] - PATCH + 1)
    # Every third place has nearly all there is to know; small images need what they have.
    step = 1 if places < 1 << 12 else max(3, math.ceil(math.sqrt(places / most)))

    bad = planes == planes.max()
    if darkest:
        bad |= planes == planes.min()
    if mask is not None:
        bad |= ~mask
    for axis in (1, 2):  # the lines of a patch, and then its columns: an eighth of the work
        windows = np.lib.stride_tricks.sliding_window_view(bad, PATCH, axis)
        bad = windows[(slice(None),) * axis + (slice(None, None, step),)].any(axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (PATCH, PATCH), (1, 2))
    return windows[:, ::step, ::step][~bad].reshape(-1, PATCH * PATCH)


def _dct_halves(lowest=PATCH):
    """The orthonormal 2-D DCT-II of a patch: columns for the low frequencies and for the high ones,
    whose two indices have at least `lowest` as their sum."""
    k = np.arange(PATCH)
    basis = np.cos(np.pi * np.outer(2 * k + 1, k) / (2 * PATCH)) * np.sqrt(2 / PATCH)
    basis[:, 0] /= np.sqrt(2)
    frequency = np.add.outer(k, k).ravel()
    columns = np.kron(basis, basis)
    return columns[:, (frequency > 0) & (frequency < PATCH)], columns[:, frequency >= lowest]


def _least_energy(patches, low, count):
    """The indices of so many patches, with the least energy in the low frequencies."""
    low = low.astype(patches.dtype)
    products = (some @ low for some in _few(patches))
    energy = np.concatenate([np.einsum("pf,pf->p", some, some) for some in products])
    return np.argpartition(energy, count - 1)[:count]


def _few(patches):
    """Some patches at a time, few enough that a matrix product with them takes a single thread.

    The threads of a large product spin on for a while, and those of the filter that follows take
    twice as long.
    """
    return (patches[first : first + 96] for first in range(0, len(patches), 96))


def _difference_sigma(planes):
    """Median of |(a - b - c + d)/2| over squares (a b; c d) of pixels, over its value at σ = 1."""
    for axis in (1, 2):
        if planes.shape[axis] > 1:
            planes = np.diff(planes, axis=axis) / math.sqrt(2)
        elif planes.shape[1] == planes.shape[2] == 1:
            return 0.0  # a pixel has nothing to be compared with
    return float(np.median(np.abs(planes)) / 0.6744897501960817)
