"""The Denoiser protocol and what every Denoiser shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from difffilter.image import as_float
from difffilter.noise.estimation import check_sigma, estimate_sigma

__all__ = ["Denoiser", "Identity", "prepare"]


@runtime_checkable
class Denoiser(Protocol):
    """Anything that takes a noisy image and returns a cleaner one.

    The Denoisers of this package are frozen dataclasses whose fields are their parameters; a
    field that is ``None`` is chosen from σ and the image. Those that choose have a method
    ``choose(noisy, sigma=None, *, channel_axis=None)`` which returns a copy with every field set;
    where it has keywords ``weight`` and ``deviation`` as well, they say for each pixel how much its
    error counts and how strong its noise is.
    One for other than white Gaussian noise says so by an attribute ``noise``, a kind of
    `difffilter.noise.estimation.EXPONENTS`, of which σ is the strength.
    """

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        """Denoise an image.

        Parameters
        ----------
        noisy : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        sigma : float, optional
            Standard deviation of the noise in units of intensity; ``None``: it is estimated.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.

        Returns
        -------
        ndarray
            Same shape; float32, or float64 for float64 input. Never the input itself.
        """


def prepare(noisy, sigma, channel_axis):
    """What every Denoiser does first: check the image, and estimate σ where it is not given.

    Returns
    -------
    tuple of (ndarray, float)
        The image as floating point, which may be the input itself, and σ.
    """
    image = as_float(noisy, channel_axis)
    if sigma is None:
        return image, estimate_sigma(image, channel_axis)
    return image, check_sigma(sigma, image)


def strength(denoiser, image, channel_axis):
    """σ of the noise that a Denoiser is for, estimated as it would do it itself."""
    if hasattr(denoiser, "estimate_sigma"):
        return denoiser.estimate_sigma(image, channel_axis=channel_axis)
    return estimate_sigma(image, channel_axis, noise=getattr(denoiser, "noise", "gaussian"))


@dataclass(frozen=True)
class Identity:
    """The image as it is: what every denoiser has to beat.

    Examples
    --------
    >>> import numpy as np
    >>> Identity()(np.eye(2))
    array([[1., 0.],
           [0., 1.]])
    """

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return as_float(noisy, channel_axis).copy()
