"""Similarity of an image to the clean one, for images in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.image import as_float

__all__ = ["METRICS", "ms_ssim", "psnr", "ssim", "texture", "vif"]


def _pair(clean, image, channel_axis) -> tuple[NDArray, NDArray]:
    """Both images as float64, checked."""
    clean = as_float(clean, channel_axis, name="clean").astype(np.float64)
    image = as_float(image, channel_axis).astype(np.float64)
    if clean.shape != image.shape:
        raise ValueError(f"image has shape {image.shape}; expected {clean.shape}, as clean has")
    return clean, image


def psnr(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Peak signal-to-noise ratio, 10·log₁₀(1 / mean (clean - image)²), in dB.

    Parameters
    ----------
    clean, image : array_like
        Of equal shape; integers are scaled to [0, 1]. Nothing is clipped.
    channel_axis : int, optional
        The axis of the channels, which count alike; ``None``: no channels.

    Returns
    -------
    float
        In dB; infinity for equal images.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> psnr(np.zeros((4, 4)), np.full((4, 4), 0.1))
    20.0
    """
    clean, image = _pair(clean, image, channel_axis)
    error = float(np.mean(np.square(clean - image)))
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(clean: ArrayLike, image: ArrayLike, *, channel_axis: int | None = None) -> float:
    """Structural similarity of Wang et al. [1]_: Gaussian window of σ = 1.5 on 11×11 pixels.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1].
    channel_axis : int, optional
        The axis of the channels, over which the index is averaged; ``None``: no channels.

    Returns
    -------
    float
        1 for equal images. NaN for an image narrower than the window.

    Raises
    ------
    ValueError
        If the shapes differ.

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
    if _narrowest(clean, channel_axis) < 11:
        return math.nan
    return float(
        structural_similarity(
            clean,
            image,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=channel_axis,
        )
    )


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


METRICS = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim, "vif": vif, "texture": texture}
