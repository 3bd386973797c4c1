"""Constant areas beside noise: padding, or a part of an image that has no noise at all?

The background of an ultrasound sector and the margin of registered images are exactly constant, and
say nothing about the noise of the rest. Those of a drawing or a screenshot say that there is none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from difffilter.noise.dct import HIGH, LOWER_HALF, PATCH, cosines

__all__ = ["without_padding"]

# What is beside constant areas is noise if it differs from pixel to pixel: in half of the patches at most
# this share of neighbours is equal. (8-bit noise of σ = 2/255 has 0.14, drawings and text mostly above 0.5.)
EQUAL = 0.2

# Furthermore it is white, and equally strong: the flattest patches have at most this multiple of the
# variance of high frequencies at low ones, and so has the 10th percentile of the patches' energy at high
# frequencies of the 1st. (Photographs with white noise of σ = 5/255 are below 1.1 and 1.5; text that is
# resized or compressed, without equal neighbours, has more than 2.4 of the one or 1.9 of the other.)
UNEVEN = 1.8

# Patches with more equal neighbours reach into the padding.
PARTLY = 0.35

# The least number of patches that are measured, and about the number that decides.
FEWEST, ENOUGH = 64, 1 << 12


def without_padding(patches: NDArray) -> NDArray:
    """Leave out patches in constant areas if the others have noise.

    Parameters
    ----------
    patches : ndarray (N, ..., 64)
        Pixels of patches of 8×8, of one or several channels.

    Returns
    -------
    ndarray
        `patches` itself, if none is constant or there is no noise beyond doubt; else a part.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).standard_normal((100, 64))
    >>> len(without_padding(np.concatenate([noisy, np.ones((50, 64))])))
    100
    """
    constant = _constant(patches)
    if not constant.any():
        return patches
    varied = np.flatnonzero(~constant)
    if len(varied) < FEWEST:
        return patches
    some = patches[varied[:: -(-len(varied) // ENOUGH)]]
    equal = _equal_neighbours(some)
    if np.median(equal, axis=1).max() > EQUAL:
        return patches
    some = some[equal.max(axis=0) <= PARTLY]
    if len(some) < FEWEST or not _like_noise(some):
        return patches
    return patches[varied[_equal_neighbours(patches[varied]).max(axis=0) <= PARTLY]]


def _constant(patches):
    """Whether each patch is constant in every channel."""
    first = patches[..., :1]
    inside = tuple(range(1, patches.ndim))
    found = (patches[..., 1::9] == first).all(axis=inside)
    candidates = np.flatnonzero(found)  # (a few pixels rule most patches out)
    found[candidates] = (patches[candidates] == first[candidates]).all(axis=inside)
    return found


def _equal_neighbours(patches):
    """The share of equal neighbours in each patch ``(N,)``, along four directions."""
    squares = patches.reshape(-1, patches[0].size // PATCH**2, PATCH, PATCH)
    rounding = 1e-6 * np.abs(squares).max()
    pairs = (
        (squares[..., 1:, :], squares[..., :-1, :]),
        (squares[..., 1:], squares[..., :-1]),
        (squares[..., 1:, 1:], squares[..., :-1, :-1]),
        (squares[..., 1:, :-1], squares[..., :-1, 1:]),
    )
    return np.stack([(np.abs(a - b) <= rounding).mean(axis=(1, 2, 3)) for a, b in pairs])


def _like_noise(patches):
    """Whether the flattest of the patches have white noise, and the patches about the same energy of it."""
    squares = np.square(patches.astype(np.float64) @ cosines())
    squares = squares.reshape(len(patches), -1, PATCH * PATCH).mean(axis=1)
    energy = squares[:, LOWER_HALF].sum(axis=1)
    count = max(FEWEST, len(patches) // 20)
    flat = squares[np.argpartition(energy, count - 1)[:count]].mean(axis=0)
    least, low = np.quantile(squares[:, HIGH].mean(axis=1), (0.01, 0.1))
    return flat[LOWER_HALF].mean() <= UNEVEN * np.median(flat[HIGH]) and low <= UNEVEN * least
