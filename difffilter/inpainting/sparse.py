"""Choosing the pixels from which an image is best filled in again."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_number
from difffilter.image import as_float, check_shape

__all__ = ["belhachmi_mask"]


def belhachmi_mask(
    image: ArrayLike,
    share: float,
    *,
    sigma: float = 1.0,
    seed: int = 0,
    channel_axis: int | None = None,
) -> NDArray:
    """Choose pixels to keep, with a density proportional to |Δu_σ|, for filling in the others [1]_.

    The density is rounded to a mask by error diffusion (Floyd and Steinberg), row by row in alternating
    directions.

    Parameters
    ----------
    image : array_like
        ``(H, W)``, or with channels, of which |Δu_σ| is the mean; integers are scaled to [0, 1].
    share : float
        The share of pixels to keep, above 0 and at most 1.
    sigma : float, default 1
        Standard deviation σ of the Gaussian that precedes the Laplacian, in pixels; 0: none.
    seed : int, default 0
        Of the random errors that the rows start with.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    bool ndarray (H, W)
        True for the pixels to keep: the mask of an `Inpainter` is its negation. At least one is True.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above.

    References
    ----------
    .. [1] Z. Belhachmi, D. Bucur, B. Burgeth, J. Weickert, "How to choose interpolation data in images",
       SIAM J. Applied Mathematics 70(1), 2009.

    Examples
    --------
    >>> import numpy as np
    >>> step = np.repeat([[0.2, 0.8]], 16, axis=1).repeat(32, axis=0)
    >>> kept = belhachmi_mask(step, 0.1)
    >>> round(float(kept.mean()), 2), bool(kept[:, 12:20].mean() > 0.3)
    (0.1, True)
    """
    from scipy.ndimage import gaussian_filter, laplace  # slow to import, and needed here alone

    array = np.asarray(image)
    check_shape(array.shape, channel_axis)
    check_number("share", share, above=0, most=1)
    check_number("sigma", sigma, least=0)
    values = as_float(array, channel_axis).astype(np.float64)
    planes = values[None] if channel_axis is None else np.moveaxis(values, channel_axis, 0)
    if planes.ndim != 3:
        raise ValueError(f"image has {planes.ndim - 1} spatial axes; expected 2")
    curved = sum(abs(laplace(gaussian_filter(p, sigma), mode="reflect")) for p in planes)
    kept = _diffuse_errors(_density(curved, share), np.random.default_rng(seed))
    if not kept.any():
        kept[np.unravel_index(np.argmax(curved), kept.shape)] = True
    return kept


def _density(weight: NDArray, share: float) -> NDArray:
    """A density of a mean, proportional to the weights where that is less than 1."""
    if not weight.any():
        return np.full(weight.shape, float(share))
    if np.count_nonzero(weight) <= share * weight.size:  # all of those, and some of the others
        rest = (share * weight.size - np.count_nonzero(weight)) / max(np.sum(weight == 0), 1)
        return np.where(weight > 0, 1.0, rest)
    # With the k largest densities cut off at 1, the others sum to what is left.
    falling = np.sort(weight, axis=None)[::-1]
    rest = np.cumsum(falling[::-1])[::-1]
    left = share * weight.size - np.arange(weight.size)
    fits = falling * left <= rest  # the largest that is not cut off is at most 1
    k = int(np.argmax(fits))
    return np.minimum(weight * (left[k] / rest[k]), 1)


def _diffuse_errors(density: NDArray, rng: np.random.Generator) -> NDArray:
    """Round a density to a mask of about its sum."""
    height, width = density.shape
    kept = np.zeros(density.shape, bool)
    # Rows have a further pixel at either end, which takes the errors that leave the image; those of the
    # first row are random, so that flat parts do not all begin with a gap.
    owed = np.zeros(width + 2)
    owed[1:-1] = rng.uniform(-0.5, 0.5, width) * min(1.0, float(density.mean()) * 2)
    for y in range(height):
        below = np.zeros(width + 2)
        way = 1 if y % 2 == 0 else -1
        for x in range(width)[::way]:
            i = x + 1
            value = density[y, x] + owed[i]
            kept[y, x] = value >= 0.5
            error = value - kept[y, x]
            owed[i + way] += error * 7 / 16
            below[i - way] += error * 3 / 16
            below[i] += error * 5 / 16
            below[i + way] += error * 1 / 16
        # Errors that left the row continue below its ends.
        below[1] += below[0]
        below[-2] += below[-1]
        below[-2 if way == 1 else 1] += owed[-1 if way == 1 else 0]
        owed = below
        owed[0] = owed[-1] = 0
    return kept
