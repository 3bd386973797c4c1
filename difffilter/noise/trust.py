"""Whether an estimate of the noise can be trusted, and what to say if not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from difffilter.noise.model import estimate_noise

__all__ = ["doubt"]

# Noise that is not white is spoken of if it is this many times as strong as was assumed.
STRONGER = 1.5

# A result hardly differs whose root mean square difference is below this share of the range, and an
# estimate is small that is below this one.
UNCHANGED, SMALL = 0.1 / 255, 1 / 255


def doubt(
    image: NDArray, result: NDArray, sigma: float, channel_axis: int | None = None
) -> str | None:
    """Why a result for which σ was estimated may not be what was wanted, and what to try.

    Parameters
    ----------
    image, result : ndarray
        Floating point, of the same shape.
    sigma : float
        The estimate, for white noise.
    channel_axis : int, optional

    Returns
    -------
    str or None
        A line of text; ``None``: nothing is wrong.

    Examples
    --------
    >>> flat = np.full((64, 64), 0.5)
    >>> doubt(flat, flat, 0.0)
    'the result hardly differs from the image: sigma was estimated as 0; give a larger one'
    """
    model = estimate_noise(image, channel_axis=channel_axis)
    if not model.white and model.sigma > STRONGER * sigma:
        return (
            f"the noise is not white and was removed as if sigma were {sigma:.2g}; it is about "
            f"{model.sigma:.2g}: give a larger sigma"
            + (", or -m \"ddpm(weights='natural-color-real')\"" if model.channels == 3 else "")
        )
    extent = float(np.ptp(image))
    if sigma > SMALL * extent:
        return None
    if np.sqrt(np.mean(np.square(result - image), dtype=np.float64)) <= UNCHANGED * extent:
        return (
            "the result hardly differs from the image: sigma was estimated as "
            f"{sigma:.2g}; give a larger one"
        )
    return None
