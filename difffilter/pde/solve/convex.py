"""The minimum of a learned convex energy, Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|²."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CELL", "Bank", "Convex", "norm"]

# Side in pixels of the cells by which the kernel sorts the image; filters are moved by 1, 2 or 4.
CELL = 4

# Frequencies along each axis at which the norm of filters is computed.
FREQUENCIES = 32


@dataclass(frozen=True)
class Bank:
    """Filters W of one size with their influence functions φ = ψ′, in units of σ.

    Each φ is odd, linear between knots, and constant beyond the last.

    Attributes
    ----------
    stride : {1, 2, 4}
        The filters are applied at every `stride`-th pixel along both axes.
    filters : float32 ndarray (F, C, k, k)
        W; each has the sum 0, and k is at most 12.
    knots : float32 ndarray (F, J)
        0 < t₁ < … < t_J.
    slopes : float32 ndarray (F, J)
        φ′ below t₁, between t₁ and t₂, and so on.
    """

    stride: int
    filters: NDArray
    knots: NDArray
    slopes: NDArray


def norm(banks: Sequence[Bank], weights: Sequence[NDArray]) -> float:
    """An upper bound of the largest eigenvalue of Σᵢ wᵢ Wᵢᵀ Wᵢ, on images of every size.

    Parameters
    ----------
    banks : sequence of Bank
    weights : sequence of ndarray (F,)
        The wᵢ ≥ 0 of each bank.

    Returns
    -------
    float

    Notes
    -----
    The operator repeats itself from cell to cell, so that the Fourier transform makes of it one matrix
    over the pixels of a cell for each frequency. Filters reach two cells further, hence v* M(ω) v is a
    trigonometric polynomial of degree 2 in each frequency; its maximum is at most that over N samples
    divided by cos(2π/N) for each axis.
    """
    channels = banks[0].filters.shape[1]
    places = channels * CELL**2
    angles = 2 * np.pi * np.arange(FREQUENCIES) / FREQUENCIES
    total = np.zeros((FREQUENCIES, FREQUENCIES, places, places), complex)
    for bank, weight in zip(banks, weights, strict=True):
        k = bank.filters.shape[2]
        for top in range(0, CELL, bank.stride):
            for left in range(0, CELL, bank.stride):
                # Filters by cell (y, x), and by channel and place in the cell.
                wide = np.zeros((len(weight), channels, 3 * CELL, 3 * CELL))
                wide[:, :, top : top + k, left : left + k] = bank.filters
                cells = wide.reshape(len(weight), channels, 3, CELL, 3, CELL)
                cells = cells.transpose(2, 4, 0, 1, 3, 5).reshape(3, 3, len(weight), places)
                phase = np.exp(1j * np.outer(angles, np.arange(3)))
                symbol = np.einsum("ay,bx,yxfp->abfp", phase, phase, cells, optimize=True)
                scaled = symbol * np.asarray(weight, float)[:, None]
                total += np.einsum("abfp,abfq->abpq", symbol.conj(), scaled, optimize=True)
    return float(np.linalg.eigvalsh(total).max() / math.cos(2 * np.pi / FREQUENCIES) ** 2)


@dataclass(frozen=True)
class Convex:
    """A learned energy E(u) = Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|² that is convex, of images in units of σ.

    Attributes
    ----------
    channels : int
        1 for grey, 3 for colour.
    banks : tuple of Bank
    sha256 : str
        Checksum of the weight file, in hexadecimal.
    """

    channels: int
    banks: tuple[Bank, ...]
    sha256: str = ""

    @cached_property
    def convexity(self) -> float:
        """A lower bound of the eigenvalues of the Hessian of E: E is at least so strongly convex.

        Where it is positive, E has one minimum u, |u − v| ≤ |∇E(v)| / `convexity` for every v, and u
        is Lipschitz continuous in f with the constant 1 / `convexity`.
        """
        falls = [np.maximum(-bank.slopes, 0).max(axis=1) for bank in self.banks]
        return 1 - norm(self.banks, falls)

    @cached_property
    def steepness(self) -> float:
        """An upper bound of the eigenvalues of the Hessian of E."""
        return 1 + norm(self.banks, [np.maximum(bank.slopes, 0).max(axis=1) for bank in self.banks])
