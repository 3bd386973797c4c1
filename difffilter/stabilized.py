"""Denoising of Poisson noise and speckle by a method for Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter

from difffilter.catalog import as_text, make
from difffilter.checks import check_number
from difffilter.denoiser import Denoiser, as_denoiser, rounded
from difffilter.image import as_float
from difffilter.noise.estimation import (
    check_noise,
    check_sigma,
    estimate_shot_noise,
    estimate_sigma,
)
from difffilter.noise.stabilization import TRANSFORMS, Transform

__all__ = ["Stabilized"]

# The quantile of the image that a transform maps to 1.
TOP = 0.999

# The standard deviation, in pixels, of the Gaussian for local means, by which errors are weighted.
LOCAL = 1.5

# A smaller share of pixels below 0 is not taken for read noise.
FEW = 1e-3

# So many standard deviations: an error by chance, and more than any noise.
CHANCE, BEYOND = 3, 6

# An image whose brightest places have fewer photons than this is dark, and so is one whose Poisson
# noise there is weaker than this share of its read noise.
FAINT = 1e-6


@dataclass(frozen=True, kw_only=True)
class Stabilized(Denoiser):
    """Stabilised variance: another method applied to photon counts (Poisson noise) or speckle.

    A variance-stabilising transform makes the noise equally strong everywhere; the result is
    denoised as if the noise were Gaussian, and transformed back by the unbiased inverse, which maps
    the expected value of a transformed noisy pixel to its intensity.

    Parameters
    ----------
    method : str or Denoiser, default "perona_malik"
        The method, as `make` takes it. Parameters that it leaves to be chosen are chosen from the
        transformed image, and given intensities (such as κ) refer to that image of about [0, 1].
    noise : {"poisson", "speckle"}, default "poisson"
        As `add_noise` defines it: variance σ²x, or standard deviation σx, where the image is x.
    sigma : float, optional
        σ, the strength where the image is 1; ``None``: that of the call, or else estimated.
    read : float, optional
        Standard deviation of additional Gaussian noise, in units of intensity, such as a camera's
        read noise; ``None``: estimated, together with σ if that is not given. With 0, the default,
        it is estimated as well if pixels are below 0, which Poisson noise alone never is.
    top : float, optional
        The intensity that the transform maps to 1; ``None``: the 0.999 quantile of the image.

    Notes
    -----
    For photon counts σ² is the intensity of one photon, and an image of plain counts has σ = 1. An
    image that is nowhere above 0 has no such noise, and without read noise is returned unchanged.
    With read noise, the results of dark areas are as often below 0 as above, so that their mean is
    right. An image with an offset, such as a camera's black level, has to lose it first; one whose
    values lie below 0 by more than noise is refused.

    The transform for Poisson noise, with or without Gaussian noise, is the generalised Anscombe
    transform [1]_, with the closed form of its exact unbiased inverse [2]_ [3]_. The transform for
    speckle is asinh, a logarithm that is linear at 0, with the inverse of its expected value (as in
    [2]_, for Gaussian speckle).

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
    >>> smooth = Stabilized(method="tv_flow", noise="poisson")(photons / 100, 0.1)
    >>> [round(float(smooth[:, half].mean()), 2) for half in (slice(0, 28), slice(36, 64))]
    [0.05, 0.8]
    """

    method: str | Denoiser = "perona_malik"
    noise: str = "poisson"
    sigma: float | None = None
    read: float | None = 0.0
    top: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "method", as_text(self.method))
        if check_noise(self.noise) == "gaussian":
            raise ValueError(
                "noise is 'gaussian'; expected poisson or speckle: use the method alone"
            )
        if self.sigma is not None:  # above 1 where the image is: counts of photons
            object.__setattr__(self, "sigma", check_number("sigma", self.sigma, least=0))
        if self.read is not None:
            object.__setattr__(self, "read", check_number("read", self.read, least=0))
        if self.top is not None and not (isinstance(self.top, Real) and math.isfinite(self.top)):
            raise ValueError(f"top is {self.top!r}; expected a finite number or None")
        if self.inner.noise != "gaussian":
            raise ValueError(
                f"method is {self.method}, for {self.inner.noise} noise; expected one for gaussian noise"
            )

    @property
    def inner(self) -> Denoiser:
        """The method as a Denoiser."""
        return make(self.method) if isinstance(self.method, str) else as_denoiser(self.method)

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image = as_float(noisy, channel_axis)
        _, transform = self._with_noise(image, sigma, channel_axis, noisy)
        if transform is None:  # nothing to remove
            return image.copy()
        stabilised = transform.forward(image).astype(image.dtype)
        inner = self._inner_for(image, stabilised, transform, channel_axis)
        result = inner(stabilised, _level(stabilised, transform), channel_axis=channel_axis)
        return np.ascontiguousarray(transform.inverse(result).astype(image.dtype))

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        image = as_float(noisy, channel_axis)
        settled, transform = self._with_noise(image, sigma, channel_axis, noisy)
        if transform is None:
            inner = self.inner.choose(image, 0.0, channel_axis=channel_axis)
        else:
            stabilised = transform.forward(image).astype(image.dtype)
            inner = self._inner_for(image, stabilised, transform, channel_axis)
        return settled.replace(method=inner)

    def is_settled(self, sigma=None):
        given = self.sigma if sigma is None else sigma
        return None not in (given, self.read, self.top) and self.inner.is_settled(given)

    def estimate_sigma(self, noisy, *, channel_axis=None):
        return self._noise(as_float(noisy, channel_axis), None, channel_axis, noisy)[0]

    def halo(self, axes):
        if None in (self.read, self.top):
            raise ValueError(f"{self!r} has parameters that are not set; call choose first")
        return self.inner.halo(axes)

    def warm_up(self, dtype=np.float32):
        self.inner.warm_up(dtype)

    def transform(self, noisy, sigma=None, *, channel_axis=None) -> Transform | None:
        """The transform for an image; None if it has no noise."""
        return self._with_noise(as_float(noisy, channel_axis), sigma, channel_axis, noisy)[1]

    def _inner_for(self, image, stabilised, transform, channel_axis):
        """The method, with its parameters chosen for the least error after the inverse transform."""
        inner = self.inner
        if inner.is_settled():
            return inner
        widths = [LOCAL] * image.ndim
        if channel_axis is not None:
            widths[channel_axis] = 0.0
        mean = np.clip(gaussian_filter(image, widths), 0, None)
        slope = transform.slope(mean)
        return inner.choose_weighted(
            stabilised,
            _level(stabilised, transform),
            channel_axis=channel_axis,
            weight=np.square(slope / slope.max()).astype(image.dtype),
            deviation=transform.deviation(mean).astype(image.dtype),
        )

    def _noise(self, image, sigma, channel_axis, noisy):
        """σ and the read noise, estimated where they are None; `noisy` is the image as given."""
        sigma = self.sigma if self.sigma is not None else sigma
        if sigma is not None:
            sigma = check_sigma(sigma, noisy)
        below = image[image < 0] if self.noise == "poisson" and self.top is None else image[:0]
        if self.read is None or (self.read == 0 and below.size > FEW * image.size):
            both = estimate_shot_noise(image, channel_axis=channel_axis, noise=self.noise)
            read = both[1] or _from_below_zero(below)
            return both[0] if sigma is None else sigma, rounded(read)
        if sigma is None:
            sigma = estimate_sigma(image, channel_axis=channel_axis, noise=self.noise)
        return sigma, self.read

    def _with_noise(self, image, sigma, channel_axis, noisy):
        """A copy with σ, `read` and `top` set, and the transform; None if there is no noise."""
        if self.top is None:
            _check_not_negative(image, self.noise)
        sigma, read = self._noise(image, sigma, channel_axis, noisy)
        if self.top is None and self.read != read > 0:
            _check_not_negative(image, self.noise, BEYOND * read)
        top = rounded(np.quantile(image, TOP)) if self.top is None else self.top
        settled = self.replace(sigma=sigma, read=read, top=top)
        dark = top <= 0
        if self.noise == "poisson":  # (products, since powers may overflow)
            weak = read > 0 and sigma * sigma * top <= FAINT * read * FAINT * read
            dark = weak or top <= FAINT * sigma**2
        if sigma == 0 or dark:
            transform = (
                Transform(np.copy, np.copy, np.ones_like, lambda y: np.full_like(y, read), read)
                if read
                else None
            )
            return settled, transform
        return settled, TRANSFORMS[self.noise](top, sigma, read)


def _from_below_zero(below):
    """The read noise that values below 0 show, as half of a normal distribution about 0."""
    return float(np.median(-below)) / 0.6744897501960817 if below.size else 0.0


def _check_not_negative(image, noise, least=0.0):
    """Raise ValueError unless an image can be one of intensities, which are not negative.

    Where there is no light, noise is negative in half of the pixels, and by chance so is its mean. More
    than one pixel in 20 below -`least`, if that is known, is not noise.
    """
    share, chance = np.mean(image < 0), CHANCE / math.sqrt(image.size)
    mean = float(image.mean(dtype=np.float64))
    if mean < -chance * float(image.std(dtype=np.float64)):
        found = f"mean {mean:.4g}"
    elif share > 0.5 + chance / 2:
        found = f"{share:.0%} of its values below 0"
    elif least and np.mean(image < -least) > 0.05:
        found = f"values down to {image.min():.4g}, which is more than noise"
    else:
        return
    raise ValueError(
        f"image has {found}; expected intensities, below 0 by no more than noise, for noise={noise!r}; "
        "subtract the offset (the value where there is no light) first"
    )


def _level(stabilised, transform):
    """σ of the stabilised image, limited: an estimate may be absurd if the image is nearly flat."""
    return min(transform.sigma, max(1.0, float(np.ptp(stabilised))))
