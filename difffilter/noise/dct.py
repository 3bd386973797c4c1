"""The discrete cosine transform of patches of 8×8 pixels, in which noise is measured."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["FREQUENCY", "HIGH", "LOWER_HALF", "PATCH", "cosines"]

PATCH = 8

# The sum of the two indices of each coefficient. Low frequencies show the image; at middle and high ones
# a flat patch has little but noise.
FREQUENCY = np.add.outer(np.arange(PATCH), np.arange(PATCH)).ravel()
LOWER_HALF = (FREQUENCY > 0) & (FREQUENCY < PATCH)
HIGH = FREQUENCY >= 9


def cosines() -> NDArray:
    """The orthonormal 2-D DCT-II of a patch, as a matrix ``(64, 64)``."""
    k = np.arange(PATCH)
    basis = np.cos(np.pi * np.outer(2 * k + 1, k) / (2 * PATCH)) * math.sqrt(2 / PATCH)
    basis[:, 0] /= math.sqrt(2)
    return np.kron(basis, basis)
