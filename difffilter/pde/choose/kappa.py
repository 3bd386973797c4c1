"""Named rules for the contrast parameter κ."""

from __future__ import annotations

import math

import numpy as np

from difffilter.checks import check_number, nearest

__all__ = ["KAPPA_RULES", "check_kappa", "contrast"]

KAPPA_RULES = ("mad", "quantile", "sigma")

# The fraction of the gradients that are below κ by the rule "quantile".
QUANTILE = 0.9

# The standard deviation of a Gaussian x, as a multiple of the median of |x|.
MAD_TO_SIGMA = 1.4826022185056018

# κ as a multiple of the gradient s at which the flux s·g(s) is greatest. (Charbonnier's flux has no
# maximum.)
PEAKS = {
    "exponential": math.sqrt(2),
    "rational": 1.0,
    "charbonnier": 1.0,
    "tukey": math.sqrt(5),
    "weickert": 1.0,
}

# The least κ, as a share of the range of intensities per unit of length.
LEAST = 1e-6


def check_kappa(kappa: float | str | None) -> None:
    """Check that κ is None, a number above 0, or the name of a rule.

    Raises
    ------
    TypeError, ValueError
        If it is none of these.

    Examples
    --------
    >>> check_kappa("mda")
    Traceback (most recent call last):
    ValueError: kappa is 'mda'; expected a number or one of mad, quantile, sigma; did you mean 'mad'?
    """
    if isinstance(kappa, str):
        if kappa not in KAPPA_RULES:
            rules = ", ".join(KAPPA_RULES)
            close = nearest(kappa, KAPPA_RULES)
            hint = close if "did you mean" in close else ""
            raise ValueError(f"kappa is {kappa!r}; expected a number or one of {rules}{hint}")
    elif kappa is not None:
        check_number("kappa", kappa, above=0)


def contrast(rule, u, sigma, spacing, *, mask=None, presmoothed=False, gain=None, peak=1.0):
    """The contrast parameter κ by a rule.

    Parameters
    ----------
    rule : {"mad", "quantile", "sigma"}
        ``"mad"``: the flux s·g(s) is greatest where s is the robust standard deviation 1.4826 ·
        median of |differences| [1]_. ``"quantile"``: 90 % of the gradients are below κ [2]_,
        following the noise estimate of [3]_. ``"sigma"``: κ is the standard deviation of the noise
        in the gradient, which is √2 σ/h for differences between neighbours.
    u : ndarray (B, C, D, H, W)
        The image; the presmoothed one if gradients are taken of that.
    sigma : float or None
        Standard deviation of the noise; only for ``"sigma"``.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    mask : ndarray (M, D, H, W) of bool, optional
        The pixels to use; ``None``: all.
    presmoothed : bool, default False
        Whether the diffusivity depends on |∇u| at pixels, by central differences, rather than on
        the differences across faces.
    gain : float, optional
        Standard deviation of the discrete derivative of white noise with σ = 1; ``None``: √2/h.
    peak : float, default 1
        κ as a multiple of the gradient of the greatest flux; only for ``"mad"``.

    Returns
    -------
    float
        κ > 0, in units of intensity per unit of length, to four digits.

    References
    ----------
    .. [1] M. J. Black, G. Sapiro, D. H. Marimont, D. Heeger, "Robust anisotropic diffusion", IEEE
       Trans. Image Processing 7(3), 1998.
    .. [2] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.
    .. [3] J. Canny, "A computational approach to edge detection", IEEE Trans. Pattern Analysis and
       Machine Intelligence 8(6), 1986.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0.5, 0.1, (1, 1, 1, 256, 256))
    >>> for rule in KAPPA_RULES:  # √2·0.1; 1.64 times as much; the same from σ
    ...     print(rule, round(contrast(rule, noise, 0.1, (1, 1, 1)), 2))
    mad 0.14
    quantile 0.23
    sigma 0.14
    """
    if rule == "sigma":
        kappa = sigma * (math.sqrt(2) / min(spacing[-2:]) if gain is None else gain)
    else:
        slopes = (_gradients if presmoothed else _differences)(u, spacing, mask)
        if rule == "mad":
            kappa = peak * MAD_TO_SIGMA * float(np.median(slopes))
        else:
            kappa = float(np.quantile(slopes, QUANTILE))
    least = LEAST * (float(u.max() - u.min()) or 1.0)
    return max(float(f"{kappa:.4g}"), least)


def _differences(u, spacing, mask):
    """|u(neighbour) - u(pixel)| / h over all channels, for the faces inside the mask."""
    found = [np.zeros(0)]
    for axis, h in enumerate(spacing, 2):
        slopes = np.sqrt(np.square(np.diff(u, axis=axis) / h).sum(axis=1))
        if mask is not None:
            n = mask.shape[axis - 1]
            both = mask.take(range(n - 1), axis - 1) & mask.take(range(1, n), axis - 1)
            slopes = slopes[np.broadcast_to(both, slopes.shape)]
        found.append(slopes.ravel())
    slopes = np.concatenate(found)
    return slopes if slopes.size else np.zeros(1)


def _gradients(u, spacing, mask):
    """|∇u| over all channels, for the pixels inside the mask whose neighbours are inside as well."""
    axes = [(axis, h) for axis, h in enumerate(spacing, 2) if u.shape[axis] > 1]
    square = sum(np.square(np.gradient(u, h, axis=axis)).sum(axis=1) for axis, h in axes)
    slopes = np.sqrt(square + np.zeros((len(u), *u.shape[2:])))
    if mask is None:
        return slopes
    for axis, _ in axes:
        ends = [(int(each == axis - 1),) * 2 for each in range(mask.ndim)]
        around, n = np.pad(mask, ends, mode="edge"), mask.shape[axis - 1]
        mask = mask & around.take(range(n), axis - 1) & around.take(range(2, n + 2), axis - 1)
    inside = slopes[np.broadcast_to(mask, slopes.shape)]
    return inside if inside.size else np.zeros(1)
