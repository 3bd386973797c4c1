"""The strength of the noise: checks of a given σ, estimates of an unknown one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from difffilter.checks import check_choice, check_number
from difffilter.image import DataRange, as_float, check_data_range, scaled
from difffilter.labels import keeps_labels
from difffilter.noise.dct import FREQUENCY, LOWER_HALF, PATCH, cosines
from difffilter.noise.padding import without_padding

__all__ = ["EXPONENTS", "check_noise", "check_sigma", "estimate_shot_noise", "estimate_sigma"]

# The kinds of noise whose strength can be estimated, with the exponent p of their standard
# deviation σ·xᵖ where the image is x (as `difffilter.noise.kinds` adds them).
EXPONENTS = {"gaussian": 0.0, "poisson": 0.5, "speckle": 1.0}

# Patches whose mean is below this share of the brightest patch's are left out: they say little
# about noise that grows with the image, and rounding to 8 bits shows in them. FEWEST must be left.
DARK, FEWEST = 0.1, 64

# The noise is measured at frequencies whose two indices have at least this sum. With patches
# divided by their mean, bright texture is easily taken for flat, and reaches high frequencies.
LOWEST = {"gaussian": PATCH, "poisson": 9, "speckle": 10}

# Number of classes of intensity in `estimate_shot_noise`.
CLASSES = 10


def check_noise(noise: str) -> str:
    """Return `noise` if it is one of `EXPONENTS`; raise ValueError otherwise."""
    return check_choice("noise", noise, EXPONENTS)


def check_sigma(
    sigma: float, image: ArrayLike | None = None, data_range: DataRange = None
) -> float:
    """Check σ, and return it as a float.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise, in units of intensity.
    image : array_like, optional
        The noisy image, as it was given. If it is not scaled to [0, 1] and spans more than 1, σ may
        be above 1 as well. ``None``: one in [0, 1].
    data_range : float or (float, float), optional
        The range that the image is scaled by; σ then refers to the scaled image.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If σ is not a number.
    ValueError
        If σ is negative, NaN, infinite, or above 1 for an image in [0, 1] or of integers, which are
        scaled to that range.

    Examples
    --------
    >>> check_sigma(25 / 255)
    0.09803921568627451
    """
    sigma = check_number("sigma", sigma, least=0)
    if sigma <= 1:
        return sigma
    message = f"sigma is {sigma:g}; expected at most 1, the range of the image"
    if data_range is not None:
        low, high = check_data_range(data_range)
        hint = f"; did you mean {sigma:g}/{high - low:g}?" if sigma <= high - low else ""
        raise ValueError(message + hint)
    image = np.zeros(1) if image is None else np.asarray(image)
    whole = image.dtype.kind in "ui" and image.itemsize < 8  # see `as_float`
    if not whole and image.dtype.kind != "b" and np.ptp(image) > 1:
        return sigma
    largest = np.iinfo(image.dtype).max if whole else 255
    own = _range_of_its_own(image) if whole else None
    span = np.ptp((0, own) if isinstance(own, int) else own) if own else 0
    if sigma <= largest:
        other = f", or {sigma:g}/{span} with data_range={own}" if sigma <= span else ""
        message += f"; did you mean {sigma:g}/{largest}{other}?"
    if largest != 255:
        message += f" ({image.dtype} is divided by {largest}; a float image keeps its own unit)"
    raise ValueError(message)


def _range_of_its_own(image):
    """The data range that fits integers which use no more than half of that of their dtype."""
    low, high = int(image.min()), int(image.max())
    if image.itemsize == 1 or max(-low, high) > np.iinfo(image.dtype).max // 2:
        return None
    if low < 0:
        return low, high
    return (1 << max(8, high.bit_length())) - 1  # such as 4095: detectors have whole bits


@keeps_labels
def estimate_sigma(
    image: ArrayLike,
    *,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    noise: str = "gaussian",
    data_range: DataRange = None,
) -> float:
    """Standard deviation of white noise, estimated from the noisy image alone.

    Patches of 8×8 pixels are transformed by an orthonormal DCT, whose coefficients are independent
    and of equal variance for white noise. The 5 % of the patches with the least energy at low
    frequencies show the least of the image; *their* high frequencies measure the noise (for noise
    that grows with the image, only the highest). Selection and measurement use different
    frequencies, so that patches which happen to have little noise are not preferred. The method
    follows [1]_, which compares the low frequencies of blocks instead. On noisy photographs the
    error is 1 to 2 % at σ = 15/255, where the median of the finest wavelet coefficients is 12 % too
    high.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        Patches of a volume lie in its planes.
    channel_axis : int, optional
        The axis of the channels, which are assumed to have equally strong noise; ``None``: no
        channels.
    mask : array_like of bool, optional
        The pixels to use, of the image's spatial shape; ``None``: all.
    noise : {"gaussian", "poisson", "speckle"}, default "gaussian"
        The kind of noise, as `add_noise` defines it, with standard deviation σ, σ√x or σx where the
        image is x. For the latter two each patch is divided by √x or x of its mean, so that σ is
        the strength where the image is 1: for photon counts σ² is the intensity of a photon, for
        speckle σ is the coefficient of variation of homogeneous areas.
    data_range : float or (float, float), optional
        The intensity to scale to 1, or those to scale to 0 and 1; ``None``: the range of integers.

    Returns
    -------
    float
        σ in units of intensity.

    Raises
    ------
    TypeError, ValueError
        If the image is invalid, or `noise` is unknown.

    Notes
    -----
    Pixels at the extremes of the image are left out, since saturation cuts their noise off. Noise
    that grows with the image vanishes at 0, so only pixels at the maximum are left out then. Constant
    areas are left out too if the rest has white noise beyond doubt; otherwise the image is taken for
    a drawing or the like, without noise. An image with room for fewer than 64 patches is measured by
    the median of its diagonal differences instead.

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
    image = as_float(scaled(image, data_range), channel_axis)
    if channel_axis is not None:
        image = np.moveaxis(image, channel_axis, 0)
    planes = image.reshape((-1, *image.shape[-2:]))
    exponent = EXPONENTS[check_noise(noise)]
    mask = None if mask is None else _mask_planes(mask, planes)
    inside = planes if mask is None else planes[mask]
    if not inside.size:
        return 0.0
    patches = _patches(planes, mask, darkest=exponent == 0)
    if exponent:
        mean = patches.mean(axis=1)
        bright = mean > _dark(mean)
        patches = patches[bright] / mean[bright, None] ** exponent
    patches = without_padding(patches)
    if len(patches) < FEWEST:
        level = max(float(inside.mean()), 0.0) ** exponent
        return _difference_sigma(planes / (level or 1.0), mask)
    low, high = _dct_halves(LOWEST[noise])
    flat = patches[_least_energy(patches, low, max(FEWEST, len(patches) // 20))].astype(np.float64)
    variances = np.concatenate([np.square(batch @ high) for batch in _batches(flat)]).mean(axis=0)
    sigma = float(np.sqrt(np.median(variances)))
    # Frequencies that JPEG has removed leave nothing but rounding errors. (σ has the unit of x¹⁻ᵖ.)
    unit = max(-inside.min(), inside.max()) ** (1 - exponent)
    return sigma if sigma > 1e-6 * unit else 0.0


def estimate_shot_noise(
    image: ArrayLike,
    *,
    channel_axis: int | None = None,
    noise: str = "poisson",
    data_range: DataRange = None,
) -> tuple[float, float]:
    """Estimate noise that grows with the image together with noise that does not.

    The patches of `estimate_sigma` are divided by their mean into classes of equal size. In each
    class the 5 % with the least energy at low frequencies give the variance of the noise at their
    mean; a line fitted to these by least squares, with errors proportional to the variance, gives
    both strengths (following [1]_).

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    noise : {"poisson", "speckle"}, default "poisson"
        The kind of noise: of variance σ²x + r² or σ²x² + r² where the image is x.
    data_range : float or (float, float), optional
        As for `estimate_sigma`.

    Returns
    -------
    tuple of (float, float)
        σ and r, both ≥ 0, in units of intensity. For an image with room for fewer than 640 patches
        r is 0.

    Raises
    ------
    TypeError, ValueError
        If the image is invalid, or `noise` is unknown.

    References
    ----------
    .. [1] A. Foi, M. Trimeche, V. Katkovnik, K. Egiazarian, "Practical Poissonian-Gaussian noise
       modeling and fitting for single-image raw-data", IEEE Trans. Image Processing 17(10), 2008.

    Examples
    --------
    >>> import numpy as np
    >>> rng, ramp = np.random.default_rng(0), np.linspace(0, 1, 256) * np.ones((256, 1))
    >>> noisy = rng.poisson(400 * ramp) / 400 + rng.normal(0, 0.02, ramp.shape)
    >>> sigma, read = estimate_shot_noise(noisy)
    >>> abs(sigma - 0.05) < 0.005, abs(read - 0.02) < 0.005
    (True, True)
    """
    from scipy.optimize import nnls

    image = as_float(scaled(image, data_range), channel_axis)
    exponent = EXPONENTS[check_noise(noise)]
    planes = image if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    patches = _patches(planes.reshape((-1, *planes.shape[-2:])), None, darkest=False)
    if exponent == 0 or len(patches) < 64 * CLASSES:
        return estimate_sigma(image, channel_axis=channel_axis, noise=noise), 0.0
    low, high = _dct_halves()
    mean = patches.mean(axis=1)
    points = []
    for members in np.array_split(np.argsort(mean, kind="stable"), CLASSES):
        flat = members[_least_energy(patches[members], low, max(16, len(members) // 20))]
        variance = np.median(np.square(patches[flat] @ high).mean(axis=0))
        points.append((max(mean[flat].mean(), 0.0) ** (2 * exponent), variance))
    level, variance = np.transpose(points)
    weight = 1 / np.maximum(variance, 1e-3 * variance.max() or 1.0)
    line, _ = nnls(np.column_stack([weight * level, weight]), weight * variance)
    return float(np.sqrt(line[0])), float(np.sqrt(line[1]))


def _mask_planes(mask, planes):
    """The mask, repeated for each channel, in the shape of the planes."""
    channels = len(planes) * planes.shape[1] * planes.shape[2] // np.size(mask)
    return np.broadcast_to(mask, (channels, *np.shape(mask))).reshape(planes.shape)


def _patches(planes, mask, most=1 << 16, *, darkest=True):
    """Unsaturated patches ``(N, 64)`` on a regular grid, overlapping but at most about `most`.

    Patches with pixels at the image's maximum are left out, and at its minimum if `darkest`.
    """
    if min(planes.shape[1:]) < PATCH:
        return np.empty((0, PATCH * PATCH))
    positions = len(planes) * (planes.shape[1] - PATCH + 1) * (planes.shape[2] - PATCH + 1)
    # Every third position holds nearly all of the information; small images need every one.
    step = 1 if positions < 1 << 12 else max(3, math.ceil(math.sqrt(positions / most)))

    inside = planes if mask is None else planes[mask]
    bad = planes == inside.max()
    if darkest:
        bad |= planes == inside.min()
    if mask is not None:
        bad |= ~mask
    for axis in (1, 2):  # first along columns, then along lines: an eighth of the work
        windows = np.lib.stride_tricks.sliding_window_view(bad, PATCH, axis)
        bad = windows[(slice(None),) * axis + (slice(None, None, step),)].any(axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (PATCH, PATCH), (1, 2))
    return windows[:, ::step, ::step][~bad].reshape(-1, PATCH * PATCH)


def _dark(mean):
    """The mean up to which a patch is dark: a share of the largest, but of the FEWEST at most.

    One bright source must not make all the others dark. What is far brighter is then left aside.
    """
    largest = mean.max(initial=0.0)
    while largest > 0 and np.count_nonzero(mean > DARK * largest) < FEWEST:
        largest = mean[mean <= DARK * largest].max(initial=0.0)
    return DARK * largest


def _dct_halves(lowest=PATCH):
    """The orthonormal 2-D DCT-II of a patch, as two matrices ``(64, K)``.

    The first has the low frequencies as columns, the second the high ones, whose two indices add up
    to at least `lowest`.
    """
    columns = cosines()
    return columns[:, LOWER_HALF], columns[:, lowest <= FREQUENCY]


def _least_energy(patches, low, count):
    """The indices of the `count` patches with the least energy at low frequencies."""
    low = low.astype(patches.dtype)
    products = (batch @ low for batch in _batches(patches))
    energy = np.concatenate([np.einsum("pf,pf->p", batch, batch) for batch in products])
    return np.argpartition(energy, count - 1)[:count]


def _batches(patches):
    """Batches of patches so small that BLAS multiplies each in a single thread.

    After a large product the threads of BLAS spin for a while, and the filter that follows takes
    twice as long.
    """
    return (patches[first : first + 96] for first in range(0, len(patches), 96))


def _difference_sigma(planes, mask=None):
    """Median of |(a - b - c + d)/2| over squares (a b; c d) of pixels, relative to that of σ = 1."""
    for axis in (1, 2):
        if planes.shape[axis] > 1:
            planes = np.diff(planes, axis=axis) / math.sqrt(2)
            if mask is not None:
                mask = np.delete(mask, -1, axis) & np.delete(mask, 0, axis)
        elif planes.shape[1] == planes.shape[2] == 1:
            return 0.0  # a single pixel has no differences
    inside = planes if mask is None else planes[mask]
    return float(np.median(np.abs(inside)) / 0.6744897501960817) if inside.size else 0.0
