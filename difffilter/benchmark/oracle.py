"""The best that a method can do on an image: its parameters searched on the clean one."""

from __future__ import annotations

from dataclasses import dataclass

from difffilter.benchmark.calibration import NotCalibrated
from difffilter.benchmark.search import fit, mean_psnr
from difffilter.catalog import make
from difffilter.denoiser import prepare

__all__ = ["Oracle"]


@dataclass(frozen=True)
class Oracle:
    """A method with the parameters that suit the clean image best.

    It is not a Denoiser, because it is shown the image it should recover. It bounds what any choice
    of the method's parameters can reach, and is labelled ``oracle(...)`` wherever it appears.

    Attributes
    ----------
    method : str
        What `make` takes. The parameters it sets stay; those in its class's ``SEARCH`` (and, for
        colour images, ``SEARCH_COLOUR``) that are ``None`` are searched.

    Raises
    ------
    ValueError
        If the method is unknown or has no parameters to search.

    Examples
    --------
    >>> import numpy as np
    >>> clean = np.repeat([0.2, 0.8], 16) * np.ones((32, 1))
    >>> noisy = clean + np.random.default_rng(0).normal(0, 0.1, (32, 32))
    >>> oracle = Oracle("heat")
    >>> oracle.label
    'oracle(heat)'
    >>> oracle.choose(noisy, 0.1, clean).time > 0.1
    True
    """

    method: str

    def __post_init__(self):
        if not _space(make(self.method), channel_axis=None):
            raise ValueError(f"{self.label}: {self.method} has no parameters to search")

    @property
    def label(self):
        """Its name wherever its results are shown."""
        return f"oracle({self.method})"

    def choose(self, noisy, sigma, clean, channel_axis=None):
        """The method with the parameters of highest PSNR.

        Parameters
        ----------
        noisy, clean : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels, of the same shape; integers are
            scaled to [0, 1].
        sigma : float or None
            Standard deviation of the noise; ``None``: estimated.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.

        Returns
        -------
        Denoiser
            With every parameter set. Never worse than what the method itself chooses, which is
            tried as well.
        """
        noisy, sigma = prepare(noisy, sigma, channel_axis)
        denoiser = make(self.method)
        space = _space(denoiser, channel_axis)
        itself = _itself(denoiser, space, noisy, sigma, channel_axis)
        if sigma == 0:
            return itself or denoiser
        best, score = fit(denoiser, space, [clean], [noisy], sigma, channel_axis=channel_axis)
        if itself is not None:
            result = itself(noisy, sigma, channel_axis=channel_axis)
            if mean_psnr([clean], [result], channel_axis) > score:
                return itself
        return best

    def __call__(self, noisy, sigma, clean, channel_axis=None):
        """Denoise an image by the method that `choose` returns.

        Parameters
        ----------
        noisy, sigma, clean, channel_axis
            As for `choose`.

        Returns
        -------
        ndarray
            Same shape; float32, or float64 for float64 input.
        """
        best = self.choose(noisy, sigma, clean, channel_axis)
        return best(noisy, sigma, channel_axis=channel_axis)


def _space(denoiser, channel_axis):
    """Where to search the parameters that a Denoiser leaves open."""
    space = denoiser.SEARCH | ({} if channel_axis is None else denoiser.SEARCH_COLOUR)
    return {name: where for name, where in space.items() if getattr(denoiser, name) is None}


def _itself(denoiser, space, noisy, sigma, channel_axis):
    """The method with the parameters it chooses blindly; ``None`` if it does not choose them."""
    try:
        chosen = denoiser.choose(noisy, sigma, channel_axis=channel_axis)
    except NotCalibrated:
        return None
    return None if any(getattr(chosen, name) is None for name in space) else chosen
