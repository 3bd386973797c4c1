"""The best that a method can do on an image, by searching its constants on the clean one."""

from __future__ import annotations

from dataclasses import dataclass

from difffilter.benchmark.calibration import NotCalibrated
from difffilter.benchmark.search import Choice, Range, fit, mean_psnr
from difffilter.catalog import make
from difffilter.denoiser import prepare
from difffilter.pde.heat import Heat
from difffilter.pde.perona_malik import PeronaMalik
from difffilter.pde.solve.schemes import DIFFUSIVITIES

__all__ = ["Oracle"]

# Where to look for the constants that difffilter's own methods choose from the noisy image.
OWN = {
    Heat: {"time": Range(1e-3, 1e3)},
    PeronaMalik: {
        "diffusivity": Choice(tuple(DIFFUSIVITIES)),
        "presmooth": Choice((0.0, 0.5, 0.7)),
        "kappa": Range(0.03, 5, per_sigma=True),
        "time": Range(0.1, 200, along=True),
    },
}


@dataclass(frozen=True)
class Oracle:
    """A method with the constants that suit the clean image best.

    No denoiser, for it is shown what it should find: a bound for every way of choosing the
    method's constants, and labelled ``oracle(...)`` wherever it appears.

    Attributes
    ----------
    method : str
        What `make` takes. The constants that it gives stay; those that are ``None`` are searched:
        time, kappa, diffusivity and presmooth of difffilter's own methods, for others what their
        class names in ``SEARCH`` (see `difffilter.benchmark.calibration`).

    Raises
    ------
    ValueError
        If the method is unknown or has no constants to search.

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
        denoiser = make(self.method)
        if not _space(denoiser, channel_axis=None):
            raise ValueError(f"{self.label}: {self.method} has no constants to search")

    @property
    def label(self):
        """What it is to be called wherever its results are shown."""
        return f"oracle({self.method})"

    def choose(self, noisy, sigma, clean, channel_axis=None):
        """The method with the constants of best PSNR.

        Parameters
        ----------
        noisy, clean : array_like
            ``(H, W)`` or ``(D, H, W)``, or either with channels, of one shape; integers are scaled
            to [0, 1].
        sigma : float or None
            Standard deviation of the noise; ``None``: it is estimated.
        channel_axis : int, optional
            The axis of the channels; ``None``: no channels.

        Returns
        -------
        Denoiser
            With every constant filled in. Not worse than what the method itself chooses, which
            is tried as well.
        """
        noisy, sigma = prepare(noisy, sigma, channel_axis)
        denoiser = make(self.method)
        itself = _itself(denoiser, noisy, sigma, channel_axis)
        if sigma == 0:
            return itself or denoiser
        space = _space(denoiser, channel_axis)
        best, score = fit(denoiser, space, [clean], [noisy], sigma, channel_axis=channel_axis)
        if itself is not None:
            result = itself(noisy, sigma, channel_axis=channel_axis)
            if mean_psnr([clean], [result], channel_axis) > score:
                return itself
        return best

    def denoise(self, noisy, sigma, clean, channel_axis=None):
        """The image by the method that `choose` returns.

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
    """Where to search the constants that a Denoiser leaves open."""
    space = OWN.get(type(denoiser)) or getattr(denoiser, "SEARCH", {})
    if channel_axis is not None:
        space = space | getattr(denoiser, "SEARCH_COLOUR", {})
    return {name: where for name, where in space.items() if getattr(denoiser, name) is None}


def _itself(denoiser, noisy, sigma, channel_axis):
    """The method with what it chooses without being shown the clean image; None if it cannot."""
    try:
        return denoiser.choose(noisy, sigma, channel_axis=channel_axis)
    except (AttributeError, NotCalibrated):
        return None
