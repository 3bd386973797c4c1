"""How close an image is to the clean one: PSNR and SSIM, for images in [0, 1]."""

from __future__ import annotations

import math

import numpy as np

from difffilter.image import as_float

__all__ = ["METRICS", "psnr", "ssim"]


def _pair(clean, image, channel_axis):
    clean = as_float(clean, channel_axis, name="clean").astype(np.float64)
    image = as_float(image, channel_axis).astype(np.float64)
    if clean.shape != image.shape:
        raise ValueError(f"clean has shape {clean.shape} but image {image.shape}")
    return clean, image


def psnr(clean, image, *, channel_axis=None):
    """Peak signal-to-noise ratio, 10·log₁₀(1 / mean (clean - image)²), in dB.

    Parameters
    ----------
    clean, image : array_like
        Of one shape; integers are scaled to [0, 1]. Nothing is clipped.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels. All channels count alike.

    Returns
    -------
    float
        Infinity for equal images.

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


def ssim(clean, image, *, channel_axis=None):
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
    spatial = list(clean.shape)
    if channel_axis is not None:
        del spatial[channel_axis]
    if min(spatial) < 11:
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


METRICS = {"psnr": psnr, "ssim": ssim}
