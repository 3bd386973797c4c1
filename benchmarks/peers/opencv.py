"""OpenCV: Perona–Malik diffusion and non-local means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from difffilter.search_space import Choice, Range

from .base import Peer

__all__ = ["OpenCVDiffusion", "OpenCVNonLocalMeans", "as_bytes"]


def as_bytes(image, lowest_byte=0):
    """The image in 8 bits, its scale, and a function that converts a result back.

    Where the image exceeds [0, 1], its own range is used: clipping noise would shift the mean of
    dark and bright areas.
    """
    low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    scale = (255 - lowest_byte) / (high - low)
    pixels = np.rint((image - low) * scale).astype(np.uint8) + np.uint8(lowest_byte)
    return pixels, scale, lambda result: (result.astype(np.float32) - lowest_byte) / scale + low


@dataclass(frozen=True, kw_only=True)
class OpenCVDiffusion(Peer):
    """Perona–Malik diffusion [1]_ by OpenCV's `ximgproc.anisotropicDiffusion`.

    The library works on three channels of 8 bits and rounds to them after every iteration, so that
    small steps have no effect; a grey image is passed three times. A pixel has eight neighbours of
    equal weight; the diffusivity is exp(-(s/κ)²), where s is the mean absolute difference over the
    channels.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    alpha : float, optional
        The time step, stable up to 1/8; ``None``: calibrated.
    iterations : int, optional
        Number of steps; ``None``: calibrated.

    References
    ----------
    .. [1] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(OpenCVDiffusion(kappa=0.3, alpha=0.1, iterations=10)(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("cv2.ximgproc",)
    PACKAGES = ("opencv-contrib-python-headless",)
    SEARCH: ClassVar[dict] = {
        "kappa": Range(0.1, 10, per_sigma=True),
        "alpha": Range(0.01, 0.125),
        "iterations": Range(1, 200, whole=True),
    }
    JOINT = True

    kappa: float | None = None
    alpha: float | None = None
    iterations: int | None = None

    def smooth(self, image, sigma):
        # From 1: for a difference of 255 in all channels, the library reads beyond its table.
        pixels, scale, restored = as_bytes(image, lowest_byte=1)
        if image.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        # One at a time: from the second on, the library reads pixels around the image from
        # uninitialised memory.
        for _ in range(self.iterations):
            pixels = self.library.anisotropicDiffusion(
                pixels, self.alpha, self.kappa * scale / 255, 1
            )
        return restored(pixels if image.ndim == 3 else pixels[..., 0])


@dataclass(frozen=True, kw_only=True)
class OpenCVNonLocalMeans(Peer):
    """Non-local means [1]_ by OpenCV's `fastNlMeansDenoising`, for colour `...Colored`.

    The library works on 8 bits and filters the lightness and the two chroma channels of colours
    (CIELAB) separately. The search window is the library's default, 21×21.

    Attributes
    ----------
    h : float, optional
        Allowed difference between patches, in units of intensity (of lightness for colours);
        ``None``: calibrated.
    h_color : float, optional
        The same for the chroma of colours; ``None``: calibrated.
    patch_size : int, optional
        Width of a patch; ``None``: calibrated.

    References
    ----------
    .. [1] A. Buades, B. Coll, J.-M. Morel, "Non-local means denoising", Image Processing On Line
       1, 2011.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(OpenCVNonLocalMeans(h=0.1, patch_size=7)(noisy, 0.1).std() < 0.07)
    True
    """

    MODULES = ("cv2",)
    PACKAGES = ("opencv-contrib-python-headless",)
    SEARCH: ClassVar[dict] = {
        "h": Range(0.3, 3, per_sigma=True),
        "patch_size": Choice((3, 5, 7)),
    }
    SEARCH_COLOUR: ClassVar[dict] = {"h_color": Range(0.3, 5, per_sigma=True)}
    JOINT = True

    h: float | None = None
    h_color: float | None = None
    patch_size: int | None = None

    def smooth(self, image, sigma):
        pixels, scale, restored = as_bytes(image)
        if image.ndim == 2:
            return restored(
                self.library.fastNlMeansDenoising(
                    pixels, h=self.h * scale, templateWindowSize=self.patch_size
                )
            )
        return restored(
            self.library.fastNlMeansDenoisingColored(
                pixels,
                h=self.h * scale,
                hColor=self.h_color * scale,
                templateWindowSize=self.patch_size,
            )
        )
