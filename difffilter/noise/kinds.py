"""Synthetic noise: of a textbook, of a camera, and of JPEG."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_choice, check_number, nearest
from difffilter.image import as_float, check_axis
from difffilter.labels import keeps_labels
from difffilter.noise.estimation import check_sigma
from difffilter.spelling import parse

__all__ = ["KINDS", "PROCESSED", "add_noise", "check_kind", "strength"]

# The full width at half maximum of a Gaussian, in standard deviations.
FWHM = math.sqrt(8 * math.log(2))

DEMOSAICING = ("edges", "bilinear", "none")
SUBSAMPLING = ("4:2:0", "4:2:2", "4:4:4")


# --- the kinds: an image (N, H, W, C) with noise, N planes of C channels ----------------------


def gaussian(image, sigma, rng):
    """x + σ·n: additive white Gaussian noise."""
    return image + sigma * rng.standard_normal(image.shape)


def poisson(image, sigma, rng):
    """Photon counts of variance x·σ²: as strong as Gaussian noise where the image is 1."""
    if sigma == 0:  # infinitely many photons
        return image
    return rng.poisson(np.clip(image, 0, None) / sigma**2) * sigma**2


def speckle(image, sigma, rng):
    """x·(1 + σ·n): multiplicative Gaussian noise."""
    return image * (1 + sigma * rng.standard_normal(image.shape))


def salt_and_pepper(image, sigma, rng):
    """0 or 1, with equal probability, in place of a fraction σ of the values."""
    draw = rng.random(image.shape)
    return np.where(draw < sigma / 2, 0.0, np.where(draw < sigma, 1.0, image))


def correlated(image, sigma, rng, *, fwhm=2.0, kernel=None):
    """x + σ·(k ∗ n)/‖k‖: Gaussian noise blurred by a point spread k, of standard deviation σ.

    k is a Gaussian of `fwhm` pixels, sampled, or `kernel`. It wraps around at the border, so that the
    noise is the same everywhere.
    """
    rows, columns = image.shape[1:3]
    if kernel is None:
        fwhm = check_number("fwhm", fwhm, above=0, most=1000)
        spread = np.outer(_gaussian(fwhm, rows), _gaussian(fwhm, columns))
    else:
        spread = _wrapped(_wrapped(_check_kernel(kernel), rows, 0), columns, 1)
    # What wraps around may cancel, so the norm is that on the image.
    norm = np.linalg.norm(spread)
    if norm == 0:
        raise ValueError(
            f"kernel is 0 when wrapped around {rows}×{columns} pixels; expected a point spread"
        )
    white = rng.standard_normal(image.shape)
    response = np.fft.rfft2(spread / norm)[..., None]
    spectrum = np.fft.rfft2(white, axes=(1, 2)) * response
    return image + sigma * np.fft.irfft2(spectrum, s=(rows, columns), axes=(1, 2))


def camera(image, sigma, rng, *, read=None, demosaic="edges", quality=None):
    """x + P(D(r + n)) − P(D(r)): noise n of variance σ²·r + read in the raw values r.

    P is the camera's processing (white balance, colour matrix, gamma, tone curve), D demosaicing
    of a Bayer mosaic, and r = P⁻¹(x), sampled by that mosaic. The sum is clipped to [0, 1] and, with
    a `quality`, compressed by JPEG. A grey image comes from a sensor without colours.
    """
    from difffilter.noise.camera import Camera, compress, read_variance

    shot = sigma**2
    if read is None:
        read = read_variance(shot) if shot else 0.0
    read = check_number("read", read, least=0, most=1)
    check_choice("demosaic", demosaic, DEMOSAICING)
    _check_quality(quality, none=True)
    noisy = []
    for photo in _photographs(image, "camera"):
        taken = np.clip(photo + Camera().noise_of(photo, shot, read, rng, demosaic), 0, 1)
        noisy.append(taken if quality is None else compress(taken, quality))
    return np.reshape(noisy, image.shape)


def jpeg(image, sigma, rng, *, quality=75, subsampling="4:2:0"):
    """JPEG(x + σ·n): white Gaussian noise, clipped to [0, 1], rounded to 8 bits and compressed.

    The chroma of colour images is subsampled.
    """
    from difffilter.noise.camera import compress

    _check_quality(quality)
    level = SUBSAMPLING[::-1].index(check_choice("subsampling", subsampling, SUBSAMPLING))
    noisy = gaussian(image, sigma, rng)
    compressed = [compress(photo, quality, level) for photo in _photographs(noisy, "JPEG")]
    return np.reshape(compressed, image.shape)


KINDS = {
    "gaussian": gaussian,
    "poisson": poisson,
    "speckle": speckle,
    "salt_and_pepper": salt_and_pepper,
    "camera": camera,
    "correlated": correlated,
    "jpeg": jpeg,
}

# Kinds whose σ is not that of the noise in the image: processing changes it.
PROCESSED = ("camera", "jpeg")


@keeps_labels
def add_noise(
    image: ArrayLike,
    sigma: float,
    noise: str = "gaussian",
    rng: np.random.Generator | int | None = None,
    *,
    channel_axis: int | None = None,
    **parameters: Any,
) -> NDArray:
    """Add noise to an image.

    Parameters
    ----------
    image : array_like
        Any shape; integers are scaled to [0, 1]. Camera, correlated and JPEG noise is added to each
        plane of the last two axes, channels aside.
    sigma : float
        Strength of the noise, from 0 to 1: its standard deviation in units of intensity (gaussian,
        correlated, and jpeg before it is compressed), its standard deviation where the image is 1
        (poisson, speckle) or where the linear raw value is 1 (camera), or the fraction of the
        values that is replaced (salt_and_pepper).
    noise : str, default "gaussian"
        The kind of noise, alone or with parameters, such as ``"camera(quality=90)"``:

        - ``"gaussian"``, ``"poisson"``, ``"speckle"``, ``"salt_and_pepper"``
        - ``"camera"``: of a sensor, through demosaicing, gamma and tone curve; for photographs,
          which it clips to [0, 1]. `read`: variance of the read noise, by default typical for σ;
          `demosaic`: ``"edges"``, ``"bilinear"``, or ``"none"`` for a sensor without Bayer mosaic;
          `quality`: that of a JPEG, from 1 to 100, by default none
        - ``"correlated"``: Gaussian, blurred by a Gaussian of `fwhm` pixels, 2 by default, or by
          any 2-D `kernel`
        - ``"jpeg"``: Gaussian, clipped and compressed; σ = 0 only compresses. `quality`, 75 by
          default; `subsampling` of the chroma: ``"4:2:0"``, ``"4:2:2"`` or ``"4:4:4"``
    rng : numpy.random.Generator or int, optional
        The generator of the noise, or its seed; ``None``: seed 0, the same noise each time.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels. Camera and JPEG noise needs 1 or 3 channels
        and correlated noise keeps channels apart; it makes no difference to the other kinds.
    **parameters
        Parameters of the kind of noise, which win over those in `noise`.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input. Neither clipped nor quantised, but for
        camera and JPEG noise.

    Raises
    ------
    TypeError
        If the image, σ or a parameter has the wrong type.
    ValueError
        If `noise` or a parameter is unknown, σ is not from 0 to 1, a parameter is out of range, the
        kind of noise is not defined for this number of channels, or the array has masked values.

    Examples
    --------
    >>> import numpy as np
    >>> add_noise(np.zeros((2, 2)), 0.1, rng=0).round(2)
    array([[ 0.01, -0.01],
           [ 0.06,  0.01]])
    >>> photo = np.full((64, 64, 3), 0.5)
    >>> noisy = add_noise(photo, 0.1, "camera(quality=90)", channel_axis=-1)
    """
    image = np.asanyarray(image)  # which leaves the mask to be refused
    values = as_float(image.reshape(1, -1)).reshape(image.shape)  # any number of axes
    sigma = check_sigma(sigma)
    kind, parameters = check_kind(noise, parameters)
    if channel_axis is not None:
        check_axis("channel_axis", channel_axis, image.shape)
        values = np.moveaxis(values, channel_axis, -1)
    else:
        if kind in (*PROCESSED, "correlated") and image.ndim > 2 and image.shape[-1] in (3, 4):
            raise ValueError(
                f"image has shape {image.shape} with channel_axis=None; expected planes of more than "
                f"{image.shape[-1]} columns; did you mean channel_axis=-1?"
            )
        values = values[..., None]
    planes = values.reshape(-1, *(1, 1, *values.shape)[-3:])
    noisy = KINDS[kind](
        planes, sigma, np.random.default_rng(0 if rng is None else rng), **parameters
    )
    noisy = noisy.astype(values.dtype).reshape(values.shape)
    if channel_axis is None:
        return noisy.reshape(image.shape)
    return np.ascontiguousarray(np.moveaxis(noisy, -1, channel_axis))


def check_kind(noise: str, parameters: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
    """Split ``"name(key=value, ...)"`` into a kind of noise and its parameters.

    Parameters
    ----------
    noise : str
        As for `add_noise`.
    parameters : dict of str to Any, optional
        More parameters, which win over those in `noise`.

    Returns
    -------
    tuple of (str, dict of str to Any)

    Raises
    ------
    ValueError
        If the kind or a parameter is unknown, or the text cannot be read.

    Examples
    --------
    >>> check_kind("correlated(fwhm=3)")
    ('correlated', {'fwhm': 3})
    """
    kind: str = noise
    given: dict[str, Any] = {}
    if isinstance(noise, str) and "(" in noise:
        kind, given = parse(noise, "noise")
    check_choice("noise", kind, KINDS)
    given |= parameters or {}
    known = list(inspect.signature(KINDS[kind]).parameters)[3:]
    for key in given:
        if key not in known:
            hint = nearest(key, known) if known else ""
            raise ValueError(f"{kind} noise has no parameter {key!r}{hint}")
    return kind, given


def strength(clean: NDArray, noisy: NDArray, sigma: float, noise: str) -> float:
    """The σ to tell a denoiser.

    Parameters
    ----------
    clean, noisy : ndarray
        An image without and with the noise.
    sigma, noise
        As `add_noise` was given.

    Returns
    -------
    float
        `sigma`; with camera and JPEG noise, where that says little about the noise in the image, the
        root mean square of the latter.

    Examples
    --------
    >>> strength(np.zeros(2), np.full(2, 0.5), 0.1, "gaussian")
    0.1
    >>> strength(np.zeros(2), np.full(2, 0.5), 0.1, "camera(quality=90)")
    0.5
    """
    if check_kind(noise)[0] not in PROCESSED:
        return sigma
    return float(np.sqrt(np.mean(np.square(np.subtract(noisy, clean, dtype=np.float64)))))


# --- the parts of the kinds -------------------------------------------------------------------


def _gaussian(fwhm, length):
    """A Gaussian centred on 0, wrapped around to a length."""
    deviation = fwhm / FWHM
    radius = int(5 * deviation + 0.5)
    return _wrapped(np.exp(-((np.arange(-radius, radius + 1) / deviation) ** 2) / 2), length, 0)


def _wrapped(kernel, length, axis):
    """A kernel wrapped around along an axis, to a length."""
    kernel = np.moveaxis(kernel, axis, 0)
    result = np.zeros((length, *kernel.shape[1:]))
    np.add.at(result, np.arange(len(kernel)) % length, kernel)
    return np.moveaxis(result, 0, axis)


def _check_kernel(kernel):
    kernel = as_float(kernel, name="kernel", axes=(2,)).astype(np.float64)
    if not kernel.any():
        raise ValueError("kernel is 0 everywhere; expected a point spread")
    return kernel / np.abs(kernel).max()


def _check_quality(quality, none=False):
    if none and quality is None:
        return
    whole = isinstance(quality, (int, np.integer)) and not isinstance(quality, bool)
    if not whole or not 1 <= quality <= 100:
        expected = "a whole number from 1 to 100" + (", or None" if none else "")
        raise ValueError(f"quality is {quality!r}; expected {expected}")


def _photographs(image, noise):
    """The planes of an image ``(N, H, W, C)``, each ``(H, W)`` or ``(H, W, 3)``."""
    channels = image.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"image has {channels} channels; expected 1 or 3 for {noise} noise")
    return image[..., 0] if channels == 1 else image
