"""SimpleITK: Perona–Malik and modified curvature diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Diffusion

__all__ = ["SimpleITKCurvature", "SimpleITKGradient"]


@dataclass(frozen=True, kw_only=True)
class SimpleITKDiffusion(Diffusion):
    """One of SimpleITK's two diffusions; a subclass names it in ``FILTER``.

    The library's conductance c means κ = c·√(2 · mean |∇u|²), with the mean over the image. It is
    set to give the κ asked for, and the mean is computed only once, so that κ stays constant.
    """

    MODULES = ("SimpleITK",)
    PACKAGES = ("SimpleITK",)
    LARGEST_STEP = 0.125
    FILTER: ClassVar[str]

    def diffuse(self, image, steps, step):
        padded = np.pad(image.astype(np.float64), 1, mode="edge")
        squares = sum(np.square(g[1:-1, 1:-1]) for g in np.gradient(padded))
        conductance = self.kappa / math.sqrt(2 * squares.mean())
        run = getattr(self.library, self.FILTER)
        result = run(self.library.GetImageFromArray(image), step, conductance, steps, steps)
        return self.library.GetArrayFromImage(result)


@dataclass(frozen=True, kw_only=True)
class SimpleITKGradient(SimpleITKDiffusion):
    """Perona–Malik diffusion [1]_ by SimpleITK's `GradientAnisotropicDiffusion`.

    The diffusivity is exp(-(s/κ)²), where s is the norm of the gradient at the face between two
    pixels. Channels are filtered one by one.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/8; ``None``: calibrated.

    References
    ----------
    .. [1] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(SimpleITKGradient(kappa=0.3, time=5)(noisy, 0.1).std() < 0.05)
    True
    """

    FILTER = "GradientAnisotropicDiffusion"


@dataclass(frozen=True, kw_only=True)
class SimpleITKCurvature(SimpleITKDiffusion):
    """Modified curvature diffusion [1]_ by SimpleITK's `CurvatureAnisotropicDiffusion`.

    ∂u/∂t = |∇u| div(g(|∇u|) ∇u/|∇u|), with the diffusivity of `SimpleITKGradient`.
    Channels are filtered one by one.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/8; ``None``: calibrated.

    References
    ----------
    .. [1] R. T. Whitaker, X. Xue, "Variable-conductance, level-set curvature for image denoising",
       ICIP 2001.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(SimpleITKCurvature(kappa=0.3, time=5)(noisy, 0.1).std() < 0.08)
    True
    """

    FILTER = "CurvatureAnisotropicDiffusion"
