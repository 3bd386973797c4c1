"""Parts of a study that differ when it fills in holes rather than removing noise."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial

import numpy as np

from difffilter.benchmark.degraded import Degraded
from difffilter.benchmark.study import keyed, noisy
from difffilter.catalog import imported
from difffilter.checks import nearest
from difffilter.inpainting.catalog import make_inpainter
from difffilter.inpainting.holes import make_holes
from difffilter.spelling import parse

__all__ = ["CHOSEN", "HOLES", "Mean", "filler", "given", "holed"]

# Sentences of the protocol.
HOLES = (
    "Holes are determined by image, kind and seed alone: every method fills in the same ones. Scores are "
    "those of hole pixels: PSNR comes from their mean squared error, and SSIM is the mean of its map over "
    "them, although its windows reach beyond. Results are clipped to [0, 1]. The method identity gives "
    "holes the mean of the known pixels of each channel."
)

CHOSEN = "Parameters come from the known pixels or from training images, never from the clean test image."


def given(sigmas):
    """The sentence of the protocol that says what methods are given, for a study's σ."""
    text = "Methods are given the mask and the image, which is 0 in holes"
    if any(sigmas):
        return f"{text}; known pixels have white Gaussian noise, whose σ methods are not given."
    return f"{text}; known pixels have no noise, and a method that changes one has failed."


def holed(clean, case, channel_axis=None):
    """Make the image with holes of a case, the same each time.

    Its holes come from a generator keyed by the image's content, the kind of holes and the seed; its known
    pixels have the Gaussian noise of a study of denoising.

    Parameters
    ----------
    clean : ndarray
        ``(H, W)`` or ``(H, W, 3)``.
    case : Case
    channel_axis : int or None

    Returns
    -------
    Degraded
    """
    mask = make_holes(clean.shape[:2], case.noise, keyed(f"{case.noise} {case.seed}", clean))
    image = clean
    if case.sigma:
        image = noisy(clean, case._replace(noise="gaussian"), channel_axis)
    image = np.where(mask if channel_axis is None else mask[..., None], np.float32(0), image)
    return Degraded(image, clean, channel_axis, case.sigma, mask)


@dataclass(frozen=True)
class Mean:
    """Fill in holes with the mean of the known pixels of each channel, as a baseline."""

    def __call__(self, image, mask, *, channel_axis=None):
        image = np.array(image)
        image[mask] = image[~mask].mean(axis=0, dtype=np.float64)
        return image


def filler(text):
    """Make the function that a study of filling calls: ``method(degraded)``.

    Parameters
    ----------
    text : str
        ``"identity"`` for `Mean`, a text for `make_inpainter`, or your own class or function,
        ``"my_module:my_filling(strength=2)"``, which is called as
        ``my_filling(image, mask, channel_axis=channel_axis)``.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If the method or a parameter is unknown; `MissingExtra` if it needs a library that is not
        installed.

    Examples
    --------
    >>> image = np.array([[0.2, 0.0, 0.4]])
    >>> filler("harmonic")(Degraded(image, None, mask=image == 0)).round(6).tolist()
    [[0.2, 0.3, 0.4]]
    """
    name, parameters = parse(text)
    if name == "identity":
        inpainter = Mean()
    elif ":" in name:
        inpainter = _own(name, parameters)
    else:
        inpainter = make_inpainter(text)

    def fill(degraded):
        return inpainter(
            degraded.image.copy(), degraded.mask.copy(), channel_axis=degraded.channel_axis
        )

    return fill


def _own(name, parameters):
    """An instance of a class with its parameters, or a function with them bound."""
    home, _, attribute = name.partition(":")
    module = imported(name, home)
    found = getattr(module, attribute, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise ValueError(
            f"{home} has no class or function {attribute!r}{nearest(attribute, known)}"
        )
    known = inspect.signature(found).parameters
    for key in parameters:
        if key not in known:
            raise ValueError(f"{name} has no parameter {key!r}{nearest(key, known)}")
    return found(**parameters) if isinstance(found, type) else partial(found, **parameters)
