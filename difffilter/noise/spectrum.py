"""The spectrum of the noise, measured in the flattest patches of an image.

Patches of 8×8 pixels are transformed by an orthonormal DCT. The coefficients of noise at different
frequencies are nearly independent, be it white or not, while those of an image are small or large
together. The frequencies are therefore divided like the squares of a chessboard: patches with the
least energy on the white squares are taken for flat, their noise is measured on the black ones, and
vice versa. So patches that happen to have little noise are not preferred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.noise.dct import FREQUENCY, PATCH, cosines
from difffilter.noise.padding import without_padding

__all__ = ["Patches", "intensity_classes", "spectrum_of"]

# About the largest number of patches, and the least that are measured together.
MOST, FEWEST = 1 << 15, 24

# The largest share of saturated values in a patch.
SATURATED = 0.03

# The median of the square of a standard normal number.
MEDIAN_OF_SQUARE = 0.45493642

BLACK, WHITE = FREQUENCY % 2 == 1, (FREQUENCY % 2 == 0) & (FREQUENCY > 0)
LOW = (FREQUENCY > 0) & (FREQUENCY < 4)
# (Those along an axis show slopes, of which a flat patch is not free.)
ALONG_AXIS = (np.indices((PATCH, PATCH)) == 0).any(axis=0).ravel()
MIDDLE = (FREQUENCY >= 4) & (FREQUENCY < 8) & ~ALONG_AXIS


@dataclass(frozen=True)
class Patches:
    """The DCT coefficients of unsaturated patches of an image, without padding.

    Attributes
    ----------
    means : ndarray (N, C)
        Mean intensities.
    coefficients : ndarray (N, C, 64)
    """

    means: NDArray
    coefficients: NDArray

    @classmethod
    def of(cls, planes: NDArray, mask: NDArray | None = None) -> Patches:
        """The patches of planes ``(D, C, H, W)``, evenly spread; `mask` is ``(D, H, W)``."""
        depth, channels, height, width = planes.shape
        if min(height, width) < PATCH:
            empty = np.empty((0, channels, PATCH * PATCH), planes.dtype)
            return cls(empty[..., 0], empty)
        positions = depth * (height - PATCH + 1) * (width - PATCH + 1)
        # Every third position holds nearly all of the information; small images need every one.
        step = 1 if positions < 1 << 12 else max(3, math.ceil(math.sqrt(positions / MOST)))
        windows = np.lib.stride_tricks.sliding_window_view(planes, (PATCH, PATCH), (2, 3))
        patches = windows[:, :, ::step, ::step].transpose(0, 2, 3, 1, 4, 5)
        patches = patches.reshape(-1, channels, PATCH * PATCH)
        # Saturation cuts the noise off; a few pixels of a patch do little harm.
        low, high = (f(patches, axis=(0, 2), keepdims=True) for f in (np.min, np.max))
        good = ((patches <= low) | (patches >= high)).mean(axis=(1, 2)) <= SATURATED
        if mask is not None:
            inside = np.lib.stride_tricks.sliding_window_view(mask, (PATCH, PATCH), (1, 2))
            good &= inside[:, ::step, ::step].all(axis=(-2, -1)).ravel()
        patches = without_padding(patches[good])
        return cls(patches.mean(axis=2), patches @ cosines().astype(patches.dtype))

    def __len__(self):
        return len(self.means)

    def part(self, members: NDArray) -> Patches:
        """Some of the patches."""
        return Patches(self.means[members], self.coefficients[members])


def spectrum_of(patches: Patches, share: float) -> NDArray:
    """Covariance of the noise in the channels at each frequency, from the flattest patches.

    Parameters
    ----------
    patches : Patches
    share : float
        Fraction of the patches that are taken for flat.

    Returns
    -------
    ndarray (64, C, C)
        At the frequency (0, 0), which the image hides, it is the mean of its two neighbours.
    """
    coefficients = patches.coefficients
    count = min(len(patches), max(FEWEST, round(share * len(patches))))
    channels = coefficients.shape[1]
    spectrum = np.empty((PATCH * PATCH, channels, channels))
    for selecting, measured in ((WHITE, BLACK), (BLACK, WHITE)):
        energy = np.square(coefficients[..., selecting]).sum(axis=(1, 2))
        flat = np.argpartition(energy, count - 1)[:count]
        values = coefficients[flat][..., measured].astype(np.float64)
        # Outliers belong to the image; a median is hardly affected by them.
        squares = np.square(values)
        typical = np.median(squares, axis=0) / MEDIAN_OF_SQUARE
        products = np.einsum("ncf,ndf->fcd", values, values) / count
        scale = np.sqrt(typical / np.maximum(squares.mean(axis=0), np.finfo(float).tiny)).T
        spectrum[measured] = products * scale[:, :, None] * scale[:, None, :]
    spectrum[0] = (spectrum[1] + spectrum[PATCH]) / 2
    return spectrum


def intensity_classes(patches: Patches, most: int = 8) -> list[Patches]:
    """Divide the patches into classes of intensity of equal size, at most `most`."""
    count = min(most, len(patches) // (8 * FEWEST))
    if count < 2:
        return [patches]
    order = np.argsort(patches.means.mean(axis=1), kind="stable")
    return [patches.part(members) for members in np.array_split(order, count)]
