"""MedPy: Perona–Malik diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from difffilter.search_space import Choice

from .base import Diffusion

__all__ = ["MedPyDiffusion"]


@dataclass(frozen=True, kw_only=True)
class MedPyDiffusion(Diffusion):
    """Perona–Malik diffusion [1]_ by MedPy's `anisotropic_diffusion`, channel by channel.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/5; ``None``: calibrated.
    option : int, optional
        The diffusivity by its number in the library, with q = (s/κ)²: 1 exp(-q), 2 1/(1+q),
        3 (1-q/2)²/2 below √2·κ and 0 above; ``None``: calibrated.

    References
    ----------
    .. [1] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(MedPyDiffusion(kappa=0.3, time=5, option=1)(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("medpy.filter.smoothing",)
    PACKAGES = ("medpy",)
    SEARCH: ClassVar[dict] = Diffusion.SEARCH | {"option": Choice((1, 2, 3))}
    LARGEST_STEP = 0.2

    option: int | None = None

    def diffuse(self, image, steps, step):
        return self.library.anisotropic_diffusion(
            image, niter=steps, kappa=self.kappa, gamma=step, option=self.option
        )
