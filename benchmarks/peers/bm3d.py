"""BM3D, by its authors' package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from difffilter.search_space import Choice

from .base import Peer

__all__ = ["BM3D"]


@dataclass(frozen=True, kw_only=True)
class BM3D(Peer):
    """Block matching and 3-D filtering [1]_ by its authors' `bm3d` [2]_; colours by `bm3d_rgb`.

    Its only parameter is σ; all constants are the published ones (profile ``"np"``). It runs on one
    thread. The package is free for non-commercial use.

    Parameters
    ----------
    factor : float, optional
        The σ that it is told, as a multiple of the noise's; None for an oracle.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik, K. Egiazarian, "Image denoising by sparse 3-D
       transform-domain collaborative filtering", IEEE Trans. Image Processing 16(8), 2007.
    .. [2] Y. Mäkinen, L. Azzari, A. Foi, "Collaborative filtering of correlated noise", IEEE
       Trans. Image Processing 29, 2020.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(BM3D()(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("bm3d",)
    PACKAGES = ("bm3d",)
    JOINT = True
    SEARCH: ClassVar = {"factor": Choice((0.7, 0.85, 1.0, 1.2))}

    factor: float | None = 1.0

    def smooth(self, image, sigma):
        # Several threads add up in varying order, and results differ by up to 1e-3.
        profile = self.library.BM3DProfile()
        profile.num_threads = 1
        denoise = self.library.bm3d if image.ndim == 2 else self.library.bm3d_rgb
        return denoise(image, self.factor * sigma, profile)
