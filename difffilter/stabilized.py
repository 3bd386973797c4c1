"""Denoisers of Gaussian noise for noise that grows with the image."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, is_dataclass, replace
from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter

from difffilter.catalog import make, spell
from difffilter.denoiser import Denoiser
from difffilter.image import as_float
from difffilter.noise.estimation import check_noise, check_sigma, estimate_noise, estimate_sigma
from difffilter.noise.stabilization import TRANSFORMS, Transform

__all__ = ["Stabilized"]

# What a transform takes to 1: this quantile of the image.
TOP = 0.999

# The standard deviation, in pixels, of the Gaussian for the intensities that errors are weighed by.
LOCAL = 1.5


# An image whose brightest places have fewer photons than this is dark.
FAINT = 1e-6


def _level(even, transform):
    """σ on the stabilized image: what is estimated may be absurd where there is hardly an image."""
    return min(transform.sigma, max(1.0, float(np.ptp(even))))


@dataclass(frozen=True)
class Stabilized(Denoiser):
    """Another method, for Poisson noise or speckle: on an image whose noise was made even.

    The image goes through a function after which the noise has the same strength everywhere, is
    denoised as if that were Gaussian, and comes back by the function that takes the expected value
    of what the first one makes of a noisy pixel to its intensity, so that no bias is left.

    Attributes
    ----------
    method : str or Denoiser, default "perona_malik"
        What `make` takes. What it leaves open it chooses from the transformed image; an intensity
        that it is given (such as κ) counts there, in an image of about [0, 1].
    noise : {"poisson", "speckle"}
        As `add_noise` has it: variance σ²x, or standard deviation σx, where the image is x.
    read : float, optional
        The standard deviation of Gaussian noise on top of that, in units of intensity, such as a
        camera's read noise; ``None``: it is estimated, and σ with it if it is not given.
    top : float, optional
        The intensity that the function takes to 1; ``None``: the 0.999 quantile of the image.

    Notes
    -----
    The σ of the call is the strength where the image is 1; ``None``: it is estimated. For photon
    counts σ² is the intensity of one photon, and an image of plain counts has σ = 1. An image that
    is nowhere above 0 has no such noise, and without read noise stays as it is.

    Poisson noise, with Gaussian noise or without, goes through the generalised Anscombe transform
    [1]_ and back by the closed form of its exact unbiased inverse [2]_ [3]_; speckle through
    asinh, a logarithm that is linear at 0, and back by the inverse of its expectation (of [2]_, for
    Gaussian speckle).

    References
    ----------
    .. [1] J.-L. Starck, F. Murtagh, A. Bijaoui, "Image Processing and Data Analysis", Cambridge
       University Press, 1998.
    .. [2] M. Mäkitalo, A. Foi, "A closed-form approximation of the exact unbiased inverse of the
       Anscombe variance-stabilizing transformation", IEEE Trans. Image Processing 20(9), 2011.
    .. [3] M. Mäkitalo, A. Foi, "Optimal inversion of the generalized Anscombe transformation for
       Poisson-Gaussian noise", IEEE Trans. Image Processing 22(1), 2013.

    Examples
    --------
    >>> import numpy as np
    >>> clean = np.repeat([0.05, 0.8], 32) * np.ones((64, 1))
    >>> photons = np.random.default_rng(0).poisson(100 * clean)
    >>> smooth = Stabilized("tv_flow", "poisson")(photons / 100, 0.1)
    >>> [round(float(smooth[:, half].mean()), 2) for half in (slice(0, 28), slice(36, 64))]
    [0.05, 0.8]
    """

    method: str | Denoiser = "perona_malik"
    noise: str = "poisson"
    read: float | None = 0.0
    top: float | None = None

    def __post_init__(self):
        if is_dataclass(self.method):
            object.__setattr__(self, "method", spell(self.method))
        if check_noise(self.noise) == "gaussian":
            raise ValueError("gaussian noise is equally strong everywhere: use the method alone")
        if self.read is not None:
            object.__setattr__(self, "read", check_sigma(self.read))
        if self.top is not None and not (isinstance(self.top, Real) and math.isfinite(self.top)):
            raise ValueError(f"top must be a finite number or None; got {self.top!r}")
        own = getattr(self.inner, "noise", "gaussian")
        if own != "gaussian":
            raise ValueError(f"{self.method} is for {own} noise itself: use it alone")

    @property
    def inner(self):
        """The method as a Denoiser."""
        return make(self.method) if isinstance(self.method, str) else self.method

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy with all that the method and this leave open set to what suits image and noise."""
        image = as_float(noisy, channel_axis)
        settled, transform = self._settle(image, sigma, channel_axis)
        if transform is None:  # nothing to remove
            inner = self.inner
            if hasattr(inner, "choose"):
                inner = inner.choose(image, 0.0, channel_axis=channel_axis)
            return replace(settled, method=inner)
        even = transform.forward(image).astype(image.dtype)
        return replace(settled, method=self._chosen(image, even, transform, channel_axis))

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image = as_float(noisy, channel_axis)
        transform = self.transform(image, sigma, channel_axis=channel_axis)
        if transform is None:
            return image.copy()
        even = transform.forward(image).astype(image.dtype)
        inner = self._chosen(image, even, transform, channel_axis)
        result = inner(even, _level(even, transform), channel_axis=channel_axis)
        return np.ascontiguousarray(transform.inverse(result).astype(image.dtype))

    def _chosen(self, image, even, transform, channel_axis):
        """The method with its parameters chosen for least error after the way back."""
        inner, options = self.inner, {}
        if not hasattr(inner, "choose"):
            return inner
        if "weight" in inspect.signature(inner.choose).parameters:
            widths = [LOCAL] * image.ndim
            if channel_axis is not None:
                widths[channel_axis] = 0.0
            mean = np.clip(gaussian_filter(image, widths), 0, None)
            slope = transform.slope(mean)
            options["weight"] = np.square(slope / slope.max()).astype(image.dtype)
            options["deviation"] = transform.deviation(mean).astype(image.dtype)
        return inner.choose(even, _level(even, transform), channel_axis=channel_axis, **options)

    def transform(self, noisy, sigma=None, *, channel_axis=None):
        """The `Transform` for an image; None if it has no noise."""
        return self._settle(as_float(noisy, channel_axis), sigma, channel_axis)[1]

    def reach(self, axes):
        """How far a result depends on the image around it: as far as that of the method.

        Raises
        ------
        ValueError
            If a parameter is not set, or the method does not say how far it looks.
        """
        from difffilter.blocks.reach import reach

        if None in (self.read, self.top):
            raise ValueError(f"{self!r} has parameters that are not set; call choose first")
        return reach(self.inner, axes)

    def estimate_sigma(self, noisy, *, channel_axis=None):
        """The σ of an image that the call would estimate."""
        return self._noise(as_float(noisy, channel_axis), None, channel_axis)[0]

    def _noise(self, image, sigma, channel_axis):
        """σ and the read noise; what is None is estimated."""
        if sigma is not None:
            sigma = check_sigma(sigma, image)
        if self.read is None:
            both = estimate_noise(image, channel_axis, noise=self.noise)
            return both[0] if sigma is None else sigma, float(f"{both[1]:.4g}")
        if sigma is None:
            sigma = estimate_sigma(image, channel_axis, noise=self.noise)
        return sigma, self.read

    def _settle(self, image, sigma, channel_axis):
        """A copy with `read` and `top` settled, and the transform; None if there is no noise."""
        sigma, read = self._noise(image, sigma, channel_axis)
        top = float(f"{np.quantile(image, TOP):.4g}") if self.top is None else self.top
        settled = replace(self, read=read, top=top)
        dark = top <= (FAINT * sigma**2 if self.noise == "poisson" else 0)
        if sigma == 0 or dark:
            even = (
                Transform(np.copy, np.copy, np.ones_like, lambda y: np.full_like(y, read), read)
                if read
                else None
            )
            return settled, even
        return settled, TRANSFORMS[self.noise](top, sigma, read)
