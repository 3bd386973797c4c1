"""Denoisers of other libraries, for studies: ``peers:TotalVariation`` and so on.

    pip install 'difffilter[peers]'

Each is a frozen dataclass like difffilter's own. A constant that is None is the one that was
calibrated on training images for the noise level (`difffilter.benchmark.calibration`). Intensities,
σ and κ are in units of the range [0, 1] whatever the library's own scale is; images are computed in
float32 and have two axes besides the channels. A method that knows colour gets its three channels
together, the others channel by channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from importlib import import_module
from typing import ClassVar

import numpy as np

from difffilter.benchmark.calibration import calibrated
from difffilter.benchmark.search import Choice, Range
from difffilter.catalog import MissingExtra
from difffilter.denoiser import prepare
from difffilter.image import as_float
from difffilter.pde.solve.schemes import check_positive, plan

__all__ = [
    "BM3D",
    "Bilateral",
    "DIPlibCoherence",
    "DIPlibPeronaMalik",
    "MedPyDiffusion",
    "NonLocalMeans",
    "OpenCVDiffusion",
    "OpenCVNonLocalMeans",
    "SimpleITKCurvature",
    "SimpleITKGradient",
    "TotalVariation",
    "Wavelet",
]


# Smaller images are continued by reflection: some of the libraries fail on them, or warn.
SMALLEST = 32


class Peer:
    """What the peers share; a subclass has the library's call in a method ``smooth``.

    Attributes
    ----------
    MODULES : tuple of str
        What is imported: the library's module first.
    PACKAGES : tuple of str
        The packages that they come from.
    SEARCH, SEARCH_COLOUR : dict of str to Range or Choice
        The constants that are calibrated, and further ones that only colour images need.
    JOINT : bool
        Whether ``smooth`` takes ``(H, W, 3)`` as well as ``(H, W)``.
    """

    MODULES: ClassVar[tuple] = ()
    PACKAGES: ClassVar[tuple] = ()
    SEARCH: ClassVar[dict] = {}
    SEARCH_COLOUR: ClassVar[dict] = {}
    JOINT: ClassVar[bool] = False

    def __post_init__(self):
        for module, package in zip(self.MODULES, self.PACKAGES, strict=True):
            try:
                import_module(module)
            except ModuleNotFoundError as error:
                raise MissingExtra(
                    f"{type(self).__name__} needs {package}: pip install 'difffilter[peers]'"
                ) from error
        for name, where in (self.SEARCH | self.SEARCH_COLOUR).items():
            if isinstance(where, Range) and getattr(self, name) is not None:
                check_positive(name, getattr(self, name))

    @property
    def library(self):
        """The module that does the work."""
        return import_module(self.MODULES[0])

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy with every constant filled in for this noise level."""
        image, sigma = prepare(noisy, sigma, channel_axis)
        return self._filled(sigma, self._joint(image, channel_axis))

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image, sigma = prepare(noisy, sigma, channel_axis)
        as_float(image, channel_axis, axes=(2,))
        if sigma == 0:
            return image.copy()
        joint = self._joint(image, channel_axis)
        chosen = self._filled(sigma, joint)
        if channel_axis is None:
            result = chosen._large_enough(image, sigma)
        elif joint:
            result = chosen._large_enough(np.moveaxis(image, channel_axis, -1), sigma)
            result = np.moveaxis(result, -1, channel_axis)
        else:
            planes = np.moveaxis(image, channel_axis, 0)
            planes = [chosen._large_enough(plane, sigma) for plane in planes]
            result = np.stack(planes, axis=channel_axis)
        return np.array(result, image.dtype, order="C")

    def _joint(self, image, channel_axis):
        return self.JOINT and channel_axis is not None and image.shape[channel_axis] == 3

    def _filled(self, sigma, joint):
        space = self.SEARCH | (self.SEARCH_COLOUR if joint else {})
        missing = [name for name in space if getattr(self, name) is None]
        if not missing:
            return self
        # Where there is no noise nothing is done, so that the constants of any level will do.
        constants = calibrated(f"peers:{type(self).__name__}", sigma or 1 / 255, colour=joint)
        return replace(self, **{name: constants[name] for name in missing})

    def _large_enough(self, image, sigma):
        """`smooth` what it can be relied on for: float32, C-contiguous, neither flat nor tiny."""
        if (image == image[0, 0]).all():
            return image
        height, width = image.shape[:2]
        missing = [(0, max(0, SMALLEST - n)) for n in (height, width)]
        padded = np.pad(image, missing + [(0, 0)] * (image.ndim - 2), mode="symmetric")
        return self.smooth(np.ascontiguousarray(padded, np.float32), sigma)[:height, :width]


# --- scikit-image ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TotalVariation(Peer):
    """Total variation by scikit-image's `denoise_tv_chambolle` [1]_, channel by channel.

    Attributes
    ----------
    weight : float, optional
        Of the total variation, in units of intensity; ``None``: calibrated.

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
        # The library's own tolerance of 2e-4 stops so early that PSNR jumps up and down with the
        # weight.
        return self.library.denoise_tv_chambolle(
            image, weight=self.weight, eps=1e-6, max_num_iter=500
        )


@dataclass(frozen=True)
class Bilateral(Peer):
    """The bilateral filter [1]_ by scikit-image's `denoise_bilateral`; colours by their distance.

    All pixels of the window weigh alike but for their intensity: scikit-image (up to 0.26 at
    least) reads its table of spatial weights with a wrong row length, which turns a Gaussian
    window into a skew one and costs nearly 2 dB.

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
        lowest = image.min()  # the library takes no negative intensities
        result = self.library.denoise_bilateral(
            image - lowest,
            win_size=self.win_size,
            sigma_color=self.sigma_color,
            sigma_spatial=1000,
            mode="symmetric",
            channel_axis=_last_axis(image),
        )
        return result + lowest


@dataclass(frozen=True)
class NonLocalMeans(Peer):
    """Non-local means [1]_ by scikit-image's `denoise_nl_means`, fast mode [2]_, knowing σ.

    Attributes
    ----------
    h : float, optional
        How different patches may be, in units of intensity; ``None``: calibrated.
    patch_size : int, optional
        Width of a patch; ``None``: calibrated.
    patch_distance : int
        How far away patches are looked for; 10 is the window of 21×21 of [1]_.

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


@dataclass(frozen=True)
class Wavelet(Peer):
    """BayesShrink [1]_ by scikit-image's `denoise_wavelet`; colours as luma and chroma.

    Attributes
    ----------
    wavelet : str, optional
        A name that PyWavelets knows; ``None``: calibrated.

    References
    ----------
    .. [1] S. G. Chang, B. Yu, M. Vetterli, "Adaptive wavelet thresholding for image denoising and
       compression", IEEE Trans. Image Processing 9(9), 2000.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(Wavelet("db2")(noisy, 0.1).std() < 0.05)
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


# --- anisotropic diffusion in several libraries ---------------------------------------------


class Diffusion(Peer):
    """What the Perona–Malik filters share: ``diffuse`` takes a number of steps and their size."""

    LARGEST_STEP: ClassVar[float]
    SEARCH: ClassVar[dict] = {
        "kappa": Range(0.1, 10, per_sigma=True),
        "time": Range(0.1, 100, along=True),
    }

    def smooth(self, image, sigma):
        count, size = plan(self.time, self.LARGEST_STEP)
        return self.diffuse(image, count, size)


class SimpleITKDiffusion(Diffusion):
    """What SimpleITK's two filters share: a subclass has the filter's name and largest step.

    The library's conductance c stands for κ = c·√(2 · mean |∇u|²), the mean being over the image.
    It is set so that κ is what it should be, and measured once, so that κ stays.
    """

    MODULES = ("SimpleITK",)
    PACKAGES = ("SimpleITK",)
    FILTER: ClassVar[str]

    def diffuse(self, image, count, size):
        padded = np.pad(image.astype(np.float64), 1, mode="edge")
        squares = sum(np.square(g[1:-1, 1:-1]) for g in np.gradient(padded))
        conductance = self.kappa / math.sqrt(2 * squares.mean())
        run = getattr(self.library, self.FILTER)
        result = run(self.library.GetImageFromArray(image), size, conductance, count, count)
        return self.library.GetArrayFromImage(result)


@dataclass(frozen=True)
class SimpleITKGradient(SimpleITKDiffusion):
    """Perona–Malik diffusion [1]_ by SimpleITK's `GradientAnisotropicDiffusion`.

    The diffusivity is exp(-(s/κ)²), s being the gradient's norm at the face between two pixels.
    Channel by channel.

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
    LARGEST_STEP = 0.125

    kappa: float | None = None
    time: float | None = None


@dataclass(frozen=True)
class SimpleITKCurvature(SimpleITKDiffusion):
    """Modified curvature diffusion [1]_ by SimpleITK's `CurvatureAnisotropicDiffusion`.

    ∂u/∂t = |∇u| div(g(|∇u|) ∇u/|∇u|), with the diffusivity of `SimpleITKGradient`. Channel by
    channel.

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
    LARGEST_STEP = 0.125

    kappa: float | None = None
    time: float | None = None


@dataclass(frozen=True)
class DIPlibPeronaMalik(Diffusion):
    """Perona–Malik diffusion [1]_ by DIPlib's `PeronaMalikDiffusion`, channel by channel.

    The library takes the pixels outside the image to be 0, so that the image is continued by
    reflection first.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/5; ``None``: calibrated.
    g : str, optional
        The diffusivity by the library's name, with q = (s/κ)²: ``"Gauss"`` exp(-q),
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

    kappa: float | None = None
    time: float | None = None
    g: str | None = None

    def diffuse(self, image, count, size):
        # What comes in from outside has spread by √(2·time) pixels.
        margin = math.ceil(4 * math.sqrt(2 * count * size)) + 2
        padded = np.pad(image, margin, mode="symmetric")
        result = self.library.PeronaMalikDiffusion(
            padded, iterations=count, K=self.kappa, stepSizeLambda=size, g=self.g
        )
        return np.asarray(result)[margin:-margin, margin:-margin]


@dataclass(frozen=True)
class MedPyDiffusion(Diffusion):
    """Perona–Malik diffusion [1]_ by MedPy's `anisotropic_diffusion`, channel by channel.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    time : float, optional
        How long to diffuse, in steps of at most 1/5; ``None``: calibrated.
    option : int, optional
        The diffusivity by the library's number, with q = (s/κ)²: 1 exp(-q), 2 1/(1+q),
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

    kappa: float | None = None
    time: float | None = None
    option: int | None = None

    def diffuse(self, image, count, size):
        return self.library.anisotropic_diffusion(
            image, niter=count, kappa=self.kappa, gamma=size, option=self.option
        )


@dataclass(frozen=True)
class DIPlibCoherence(Peer):
    """Coherence-enhancing diffusion [1]_ by DIPlib's `CoherenceEnhancingDiffusion`.

    Made to close interrupted lines rather than to remove noise. The library measures contrasts
    against the image's own, so that no constant is in units of intensity. Channel by channel.

    Attributes
    ----------
    derivative_sigma : float, optional
        Standard deviation of the Gaussian derivatives, in pixels, from 0.4; ``None``: calibrated.
    regularization_sigma : float, optional
        Standard deviation of the window of the structure tensor, in pixels, from 1; ``None``:
        calibrated.
    iterations : int, optional
        How many steps; ``None``: calibrated.
    tensor : str, optional
        How diffusion follows from the structure tensor: ``"first"``, Weickert's way, or ``"all"``,
        by its inverse; ``None``: calibrated.

    References
    ----------
    .. [1] J. Weickert, "Coherence-enhancing diffusion filtering", International Journal of
       Computer Vision 31, 1999.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32))
    >>> bool(DIPlibCoherence(1.0, 1.0, 5, "all")(noisy, 0.1).std() < 0.08)
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


# --- OpenCV ---------------------------------------------------------------------------------


def _as_bytes(image, lowest_byte=0):
    """The image on 8 bits, and what to call to get it back.

    The range is the image's own where it goes beyond [0, 1], for clipping noise would shift the
    mean of what is dark or bright.
    """
    low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    scale = (255 - lowest_byte) / (high - low)
    pixels = np.rint((image - low) * scale).astype(np.uint8) + np.uint8(lowest_byte)
    return pixels, scale, lambda result: (result.astype(np.float32) - lowest_byte) / scale + low


@dataclass(frozen=True)
class OpenCVDiffusion(Peer):
    """Perona–Malik diffusion [1]_ by OpenCV's `ximgproc.anisotropicDiffusion`.

    The library works on three channels of 8 bits and rounds to them after every iteration, so that
    small steps come to nothing; a grey image goes in three times. The neighbours of a pixel are
    eight, diagonal ones like the others; the diffusivity is exp(-(s/κ)²), s being the mean
    absolute difference over the channels.

    Attributes
    ----------
    kappa : float, optional
        The contrast parameter κ, in units of intensity; ``None``: calibrated.
    alpha : float, optional
        The step, stable up to 1/8; ``None``: calibrated.
    iterations : int, optional
        How many steps; ``None``: calibrated.

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
        # From 1: for a step from 0 to 255 in all channels, the library reads beyond its table.
        pixels, scale, restored = _as_bytes(image, lowest_byte=1)
        if image.ndim == 2:
            pixels = np.repeat(pixels[..., None], 3, axis=2)
        # One at a time: from the second on, the library takes the pixels around the image from
        # memory that nobody has written to.
        for _ in range(self.iterations):
            pixels = self.library.anisotropicDiffusion(
                pixels, self.alpha, self.kappa * scale / 255, 1
            )
        return restored(pixels if image.ndim == 3 else pixels[..., 0])


@dataclass(frozen=True)
class OpenCVNonLocalMeans(Peer):
    """Non-local means [1]_ by OpenCV's `fastNlMeansDenoising`, for colour `...Colored`.

    The library works on 8 bits; colours become lightness and two chromas (CIELAB), which are
    filtered apart. The windows are the library's usual ones, 21×21 for the search.

    Attributes
    ----------
    h : float, optional
        How different patches may be, in units of intensity (of lightness for colours); ``None``:
        calibrated.
    h_color : float, optional
        Likewise for the chromas of colours; ``None``: calibrated.
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
        pixels, scale, restored = _as_bytes(image)
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


# --- BM3D -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class BM3D(Peer):
    """Block matching and 3-D filtering [1]_ by its authors' `bm3d` [2]_; colours by `bm3d_rgb`.

    σ is all it takes; its constants are the published ones (profile ``"np"``). It runs on one
    thread. The package is free for uses that are not commercial.

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

    def smooth(self, image, sigma):
        # Several threads add up in whatever order they end, and results differ by up to 1e-3.
        profile = self.library.BM3DProfile()
        profile.num_threads = 1
        denoise = self.library.bm3d if image.ndim == 2 else self.library.bm3d_rgb
        return denoise(image, sigma, profile)
