"""DIPlib: Perona–Malik and coherence-enhancing diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from difffilter.search_space import Choice, Range

from .base import Diffusion, Peer

__all__ = ["DIPlibCoherence", "DIPlibPeronaMalik"]


@dataclass(frozen=True, kw_only=True)
class DIPlibPeronaMalik(Diffusion):
    """Perona–Malik diffusion [1]_ by DIPlib's `PeronaMalikDiffusion`, channel by channel.

    The library takes pixels outside the image to be 0; the image is therefore extended by reflection
    first.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/5; ``None``: calibrated.
    g : str, optional
        The diffusivity by its name in the library, with q = (s/κ)²: ``"Gauss"`` exp(-q),
        ``"quadratic"`` 1/(1+q), ``"exponential"`` exp(-√q), ``"Tukey"`` (1-q)² below κ and 0 above;
        ``None``: calibrated.

    References
    ----------
    .. [1] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(DIPlibPeronaMalik(kappa=0.3, time=5, g="Gauss")(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("diplib",)
    PACKAGES = ("diplib",)
    SEARCH: ClassVar[dict] = Diffusion.SEARCH | {
        "g": Choice(("Gauss", "quadratic", "exponential", "Tukey"))
    }
    LARGEST_STEP = 0.2

    g: str | None = None

    def diffuse(self, image, steps, step):
        # What enters from outside spreads by √(2·time) pixels.
        margin = math.ceil(4 * math.sqrt(2 * steps * step)) + 2
        padded = np.pad(image, margin, mode="symmetric")
        result = self.library.PeronaMalikDiffusion(
            padded, iterations=steps, K=self.kappa, stepSizeLambda=step, g=self.g
        )
        return np.asarray(result)[margin:-margin, margin:-margin]


@dataclass(frozen=True, kw_only=True)
class DIPlibCoherence(Peer):
    """Coherence-enhancing diffusion [1]_ by DIPlib's `CoherenceEnhancingDiffusion`.

    Designed to close interrupted lines rather than to remove noise. The library measures contrast
    relative to the image, so that no parameter is in units of intensity. Channels are filtered one
    by one.

    Attributes
    ----------
    derivative_sigma : float, optional
        Standard deviation of the Gaussian derivatives, in pixels, from 0.4; ``None``: calibrated.
    regularization_sigma : float, optional
        Standard deviation of the window of the structure tensor, in pixels, from 1; ``None``:
        calibrated.
    iterations : int, optional
        Number of steps; ``None``: calibrated.
    tensor : str, optional
        The diffusion tensor as a function of the structure tensor: ``"first"``, as by Weickert, or
        ``"all"``, its inverse; ``None``: calibrated.

    References
    ----------
    .. [1] J. Weickert, "Coherence-enhancing diffusion filtering", International Journal of
       Computer Vision 31, 1999.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> smooth = DIPlibCoherence(
    ...     derivative_sigma=1.0, regularization_sigma=1.0, iterations=5, tensor="all"
    ... )
    >>> bool(smooth(noisy, 0.1).std() < 0.08)
    True
    """

    MODULES = ("diplib",)
    PACKAGES = ("diplib",)
    SEARCH: ClassVar[dict] = {
        "derivative_sigma": Range(0.4, 2.5),
        "regularization_sigma": Range(1, 6),
        "iterations": Range(1, 100, whole=True),
        "tensor": Choice(("first", "all")),
    }

    derivative_sigma: float | None = None
    regularization_sigma: float | None = None
    iterations: int | None = None
    tensor: str | None = None

    def smooth(self, image, sigma):
        result = self.library.CoherenceEnhancingDiffusion(
            image,
            derivativeSigma=self.derivative_sigma,
            regularizationSigma=self.regularization_sigma,
            iterations=self.iterations,
            flags={self.tensor},
        )
        return np.asarray(result)
