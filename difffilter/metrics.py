"""Similarity of an image to the clean one, for images in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.image import as_float, check_boolean_mask, spatial_shape

__all__ = ["METRICS", "gmsd", "haarpsi", "ms_ssim", "psnr", "ssim", "texture", "vif"]


def _pair(clean, image, channel_axis) -> tuple[NDArray, NDArray]:
    """Both images as float64, checked."""
    clean = as_float(clean, channel_axis, name="clean").astype(np.float64)
    image = as_float(image, channel_axis).astype(np.float64)
    if clean.shape != image.shape:
        raise ValueError(f"image has shape {image.shape}; expected {clean.shape}, as clean has")
    return clean, image


def _counted(mask, image, channel_axis) -> NDArray:
    """A mask of pixels as one of values, checked."""
    found = check_boolean_mask("mask", mask, spatial_shape(image, channel_axis))
    if not found.any():
        raise ValueError("mask is False for all pixels; expected some that count")
    if channel_axis is not None:
        found = np.expand_dims(found, channel_axis)
    return np.broadcast_to(found, image.shape)


def psnr(
    clean: ArrayLike,
    image: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    channel_axis: int | None = None,
) -> float:
    """Peak signal-to-noise ratio, 10·log₁₀(1 / mean (clean - image)²), in dB.

    Parameters
    ----------
    clean, image : array_like
        Of equal shape; integers are scaled to [0, 1]. Nothing is clipped.
    mask : array_like of bool, optional
        Of the images' spatial shape: the mean is over pixels where it is True; ``None``: over all.
    channel_axis : int, optional
        The axis of the channels, which count alike; ``None``: no channels.

    Returns
    -------
    float
        In dB; infinity for equal images.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or the mask is not as described above or nowhere True.

    Examples
    --------
    >>> import numpy as np
    >>> psnr(np.zeros((4, 4)), np.full((4, 4), 0.1))
    20.0
    """
    clean, image = _pair(clean, image, channel_axis)
    errors = np.square(clean - image)
    if mask is not None:
        errors = errors[_counted(mask, clean, channel_axis)]
    error = float(np.mean(errors))
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(
    clean: ArrayLike,
    image: ArrayLike,
    *,
    mask: ArrayLike | None = None,
    channel_axis: int | None = None,
) -> float:
    """Structural similarity of Wang et al. [1]_: Gaussian window of σ = 1.5 on 11×11 pixels.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1].
    mask : array_like of bool, optional
        Of the images' spatial shape: the index is averaged over pixels where it is True, whose windows
        reach beyond, and are mirrored at the border; ``None``: over all pixels whose window is in the
        image.
    channel_axis : int, optional
        The axis of the channels, over which the index is averaged; ``None``: no channels.

    Returns
    -------
    float
        1 for equal images. NaN for an image narrower than the window.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or the mask is not as described above or nowhere True.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from
       error visibility to structural similarity", IEEE Trans. Image Processing 13(4), 2004.

    Examples
    --------
    >>> import numpy as np
    >>> ssim(np.eye(16), np.eye(16))
    1.0
    """
    from skimage.metrics import structural_similarity

    clean, image = _pair(clean, image, channel_axis)
    counted = None if mask is None else _counted(mask, clean, channel_axis)
    if _narrowest(clean, channel_axis) < 11:
        return math.nan
    mean, index = structural_similarity(
        clean,
        image,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=channel_axis,
        full=True,
    )
    return float(mean if counted is None else np.mean(index[counted]))


def ms_ssim(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Structural similarity at five scales (Wang, Simoncelli & Bovik [1]_), by torchmetrics.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    float
        1 for equal images. NaN for an image narrower than 176 pixels, too few for the coarsest window.

    Raises
    ------
    ModuleNotFoundError
        If torchmetrics is not installed.
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Z. Wang, E. P. Simoncelli, A. C. Bovik, "Multiscale structural similarity for image
       quality assessment", Asilomar Conference on Signals, Systems and Computers, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> ms_ssim(np.eye(8), np.eye(8))
    nan
    """
    clean, image = _pair(clean, image, channel_axis)
    if _narrowest(clean, channel_axis) < 176:
        return math.nan
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as measure,
    )

    ours, theirs = (_tensor(x, channel_axis) for x in (image, clean))
    return float(measure(ours, theirs, data_range=1.0))


def vif(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Visual information fidelity in the pixel domain (Sheikh & Bovik [1]_), by torchmetrics.

    The share of the information about the scene that an observer could extract from the clean
    image, and still can from the other.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels, over which it is averaged; ``None``: no channels.

    Returns
    -------
    float
        1 for equal images. NaN for an image narrower than 41 pixels, the coarsest window.

    Raises
    ------
    ModuleNotFoundError
        If torchmetrics is not installed.
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] H. R. Sheikh, A. C. Bovik, "Image information and visual quality", IEEE Trans. Image
       Processing 15(2), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> vif(np.eye(8), np.eye(8))
    nan
    """
    clean, image = _pair(clean, image, channel_axis)
    if _narrowest(clean, channel_axis) < 41:
        return math.nan
    from torchmetrics.functional.image import visual_information_fidelity as measure

    # The constant for the noise of the visual system is meant for intensities up to 255.
    tensors = (255 * _tensor(x, channel_axis) for x in (image, clean))
    return float(measure(*tensors))


def haarpsi(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Haar wavelet-based perceptual similarity of Reisenhofer et al. [1]_; needs no weights.

    With the Haar coefficients a_k(x) of the clean image and b_k(x) of the other, at scale k = 1, 2, 3
    and in both orientations, after halving the images,

    HaarPSI = (ℓ⁻¹(Σ ℓ(S) W / Σ W))²,  S = ½ Σ_{k ≤ 2} (2|a_k b_k| + C) / (a_k² + b_k² + C),
    W = max(|a₃|, |b₃|),

    with ℓ(s) = 1 / (1 + exp(-4.2 s)) and C = 30 for intensities up to 255. Edges, where W is large,
    count most. In its authors' tests it agrees better with human ratings than SSIM does.

    Parameters
    ----------
    clean, image : array_like
        Two-dimensional, of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels, over which it is averaged; ``None``: no channels. (Its authors
        weight luminance and chrominance of a colour image instead.)

    Returns
    -------
    float
        1 for equal images. NaN for an image narrower than 16 pixels, the coarsest wavelet.

    Raises
    ------
    ValueError
        If the shapes differ, or there are not two spatial axes.

    References
    ----------
    .. [1] R. Reisenhofer, S. Bosse, G. Kutyniok, T. Wiegand, "A Haar wavelet-based perceptual
       similarity index for image quality assessment", Signal Processing: Image Communication 61,
       2018.

    Examples
    --------
    >>> import numpy as np
    >>> float(np.round(haarpsi(np.eye(16), np.eye(16)), 6))
    1.0
    """
    return _mean_over_channels(_haarpsi, clean, image, channel_axis, narrowest=16)


def _haarpsi(clean, image):
    clean, image = 255 * _halved(clean), 255 * _halved(image)
    total = weight = 0.0
    for axis in (0, 1):
        a, b = ([np.abs(_haar(x, k, axis)) for k in (1, 2, 3)] for x in (clean, image))
        similarity = sum((2 * a[k] * b[k] + 30) / (a[k] ** 2 + b[k] ** 2 + 30) for k in (0, 1)) / 2
        weights = np.maximum(a[2], b[2])
        total += float(np.sum(weights / (1 + np.exp(-4.2 * similarity))))
        weight += float(np.sum(weights))
    if weight == 0:  # both are black
        return 1.0
    score = total / weight
    return (math.log(score / (1 - score)) / 4.2) ** 2


def gmsd(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Gradient magnitude similarity deviation of Xue et al. [1]_; 0 is best, and no weights.

    The standard deviation, over the pixels of the halved images, of

    (2 m n + c) / (m² + n² + c),  c = 170 / 255²,

    where m and n are the magnitudes of the Prewitt gradients of the two. An even loss of contrast
    costs little; damage in some places and not in others costs much.

    Parameters
    ----------
    clean, image : array_like
        Two-dimensional, of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels, over which it is averaged; ``None``: no channels. (Its authors
        compare the luminance of colour images.)

    Returns
    -------
    float
        0 for equal images. NaN for an image narrower than 6 pixels, a gradient in the halved image.

    Raises
    ------
    ValueError
        If the shapes differ, or there are not two spatial axes.

    References
    ----------
    .. [1] W. Xue, L. Zhang, X. Mou, A. C. Bovik, "Gradient magnitude similarity deviation: a highly
       efficient perceptual image quality index", IEEE Trans. Image Processing 23(2), 2014.

    Examples
    --------
    >>> import numpy as np
    >>> gmsd(np.eye(16), np.eye(16))
    0.0
    """
    return _mean_over_channels(_gmsd, clean, image, channel_axis, narrowest=6)


def _gmsd(clean, image):
    from scipy.ndimage import prewitt

    m, n = (
        np.hypot(*(prewitt(_halved(x), axis, mode="constant") / 3 for axis in (0, 1)))
        for x in (clean, image)
    )
    c = 170 / 255**2
    return float(np.std((2 * m * n + c) / (m**2 + n**2 + c)))


def _mean_over_channels(metric, clean, image, channel_axis, narrowest):
    """The mean of a metric of two planes over the channels; NaN for narrower images."""
    clean, image = _pair(clean, image, channel_axis)
    if channel_axis is None:
        clean, image = clean[..., None], image[..., None]
        channel_axis = -1
    if clean.ndim != 3:
        raise ValueError(f"image has {clean.ndim - 1} spatial axes; expected 2")
    if _narrowest(clean, channel_axis) < narrowest:
        return math.nan
    planes = (np.moveaxis(x, channel_axis, 0) for x in (clean, image))
    return float(np.mean([metric(*pair) for pair in zip(*planes, strict=True)]))


def _halved(plane):
    """Means of 2×2 pixels; beyond an odd edge are zeros."""
    height, width = plane.shape
    plane = np.pad(plane, ((0, height % 2), (0, width % 2)))
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def _haar(plane, scale, axis):
    """Haar coefficients of a scale, one at every pixel; outside are zeros."""
    from scipy.ndimage import correlate1d

    ones = np.ones(2**scale)
    step = np.repeat([-1.0, 1.0], 2 ** (scale - 1))
    # The window of even length reaches one pixel further to the right.
    along = correlate1d(plane, step, axis, mode="constant", origin=-1)
    return correlate1d(along, ones, 1 - axis, mode="constant", origin=-1) / 2**scale


def texture(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Distance between the distributions of the differences of neighbouring pixels; 0 is best.

    This is the first Wasserstein distance, in units of intensity. It measures whether the image
    looks like the clean one rather than whether each pixel is right: too smooth is as bad as too
    rough. It is the simplest of the distances between distributions of natural and of restored
    images that the perception-distortion trade-off is about [1]_.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    float
        0 for equal distributions. NaN for a single pixel.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [1] Y. Blau, T. Michaeli, "The perception-distortion tradeoff", CVPR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> checks = np.indices((8, 8)).sum(axis=0) % 2
    >>> texture(checks, 1 - checks), texture(checks, checks / 2)
    (0.0, 0.5)
    """
    clean, image = _pair(clean, image, channel_axis)
    axes = [
        axis
        for axis in range(clean.ndim)
        if channel_axis is None or axis != channel_axis % clean.ndim
    ]
    # For samples of equal size, the distance is the mean distance of the sorted values.
    distances = [
        np.abs(np.subtract(*(np.sort(np.diff(x, axis=axis), axis=None) for x in (clean, image))))
        for axis in axes
    ]
    together = np.concatenate(distances)
    return float(together.mean()) if together.size else math.nan


def _narrowest(image, channel_axis):
    """The length of the shortest spatial axis."""
    shape = list(image.shape)
    if channel_axis is not None:
        del shape[channel_axis]
    return min(shape)


def _tensor(image, channel_axis):
    """The image as a tensor ``(1, C, H, W)`` of float32."""
    from torch import from_numpy

    planes = image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    return from_numpy(np.ascontiguousarray(planes[None], np.float32))


METRICS = {
    "psnr": psnr,
    "ssim": ssim,
    "ms_ssim": ms_ssim,
    "vif": vif,
    "haarpsi": haarpsi,
    "gmsd": gmsd,
    "texture": texture,
}
