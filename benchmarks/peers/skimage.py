"""scikit-image: total variation, bilateral filter, non-local means, wavelets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from difffilter.search_space import Choice, Range

from .base import Peer

__all__ = ["Bilateral", "NonLocalMeans", "TotalVariation", "Wavelet"]


@dataclass(frozen=True, kw_only=True)
class TotalVariation(Peer):
    """Total variation by scikit-image's `denoise_tv_chambolle` [1]_, channel by channel.

    Attributes
    ----------
    weight : float, optional
        Weight of the total variation, in units of intensity; ``None``: calibrated.

    References
    ----------
    .. [1] A. Chambolle, "An algorithm for total variation minimization and applications", Journal
       of Mathematical Imaging and Vision 20, 2004.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(TotalVariation(weight=0.2)(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("skimage.restoration",)
    PACKAGES = ("scikit-image",)
    SEARCH: ClassVar[dict] = {"weight": Range(0.2, 8, per_sigma=True)}

    weight: float | None = None

    def smooth(self, image, sigma):
        # The default tolerance of 2e-4 stops so early that PSNR is not monotone near its peak.
        return self.library.denoise_tv_chambolle(
            image, weight=self.weight, eps=1e-6, max_num_iter=500
        )


@dataclass(frozen=True, kw_only=True)
class Bilateral(Peer):
    """The bilateral filter [1]_ by scikit-image's `denoise_bilateral`; jointly over colours.

    The spatial weights are uniform: scikit-image (up to 0.26 at least) reads its table of spatial
    weights with a wrong row length, which skews a Gaussian window and costs nearly 2 dB.

    Attributes
    ----------
    sigma_color : float, optional
        Standard deviation of the Gaussian over differences of intensity; ``None``: calibrated.
    win_size : int, optional
        Width of the window, odd; ``None``: calibrated.

    References
    ----------
    .. [1] C. Tomasi, R. Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(Bilateral(sigma_color=0.5, win_size=5)(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("skimage.restoration",)
    PACKAGES = ("scikit-image",)
    SEARCH: ClassVar[dict] = {
        "sigma_color": Range(0.3, 20, per_sigma=True),
        "win_size": Choice((3, 5, 7, 9)),
    }
    JOINT = True

    sigma_color: float | None = None
    win_size: int | None = None

    def smooth(self, image, sigma):
        lowest = image.min()  # the library rejects negative intensities
        result = self.library.denoise_bilateral(
            image - lowest,
            win_size=self.win_size,
            sigma_color=self.sigma_color,
            sigma_spatial=1000,
            mode="symmetric",
            channel_axis=_last_axis(image),
        )
        return result + lowest


@dataclass(frozen=True, kw_only=True)
class NonLocalMeans(Peer):
    """Non-local means [1]_ by scikit-image's `denoise_nl_means`, in fast mode [2]_ and given σ.

    Attributes
    ----------
    h : float, optional
        Allowed difference between patches, in units of intensity; ``None``: calibrated.
    patch_size : int, optional
        Width of a patch; ``None``: calibrated.
    patch_distance : int, default 10
        Largest distance to a patch; 10 gives the 21×21 window of [1]_.

    References
    ----------
    .. [1] A. Buades, B. Coll, J.-M. Morel, "A non-local algorithm for image denoising", CVPR 2005.
    .. [2] J. Darbon, A. Cunha, T. F. Chan, S. Osher, G. J. Jensen, "Fast nonlocal filtering applied
       to electron cryomicroscopy", ISBI 2008.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(NonLocalMeans(h=0.08, patch_size=5)(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("skimage.restoration",)
    PACKAGES = ("scikit-image",)
    SEARCH: ClassVar[dict] = {
        "h": Range(0.1, 3, per_sigma=True),
        "patch_size": Choice((3, 5, 7)),
    }
    JOINT = True

    h: float | None = None
    patch_size: int | None = None
    patch_distance: int = 10

    def smooth(self, image, sigma):
        return self.library.denoise_nl_means(
            image,
            patch_size=self.patch_size,
            patch_distance=self.patch_distance,
            h=self.h,
            sigma=sigma,
            fast_mode=True,
            channel_axis=_last_axis(image),
        )


@dataclass(frozen=True, kw_only=True)
class Wavelet(Peer):
    """BayesShrink [1]_ by scikit-image's `denoise_wavelet`; colours are converted to YCbCr.

    Attributes
    ----------
    wavelet : str, optional
        A wavelet of PyWavelets; ``None``: calibrated.

    References
    ----------
    .. [1] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image denoising and
       compression", IEEE Trans. Image Processing 9(9), 2000.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(Wavelet(wavelet="db2")(noisy, 0.1).std() < 0.05)
    True
    """

    MODULES = ("skimage.restoration", "pywt")
    PACKAGES = ("scikit-image", "PyWavelets")
    SEARCH: ClassVar[dict] = {"wavelet": Choice(("db1", "db2", "db4", "sym4", "sym8"))}
    JOINT = True

    wavelet: str | None = None

    def smooth(self, image, sigma):
        return self.library.denoise_wavelet(
            image,
            sigma=sigma if image.ndim == 2 else [sigma] * 3,
            wavelet=self.wavelet,
            method="BayesShrink",
            convert2ycbcr=image.ndim == 3,
            rescale_sigma=True,
            channel_axis=_last_axis(image),
        )


def _last_axis(image):
    return -1 if image.ndim == 3 else None
