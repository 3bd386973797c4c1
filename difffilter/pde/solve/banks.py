"""Filters on cells of 4×4 pixels, and images sorted into such cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CELL",
    "MARGIN",
    "Bank",
    "bounds",
    "from_cells",
    "matrices",
    "norm",
    "strengths",
    "to_cells",
    "with_margin",
]

# Side of a cell in pixels; filters are moved by 1, 2 or 4.
CELL = 4

# Cells around the image, which goes on there as in a mirror.
MARGIN = 2

# Frequencies along each axis at which the norm of filters is computed.
FREQUENCIES = 64


@dataclass(frozen=True)
class Bank:
    """Filters W of one size with their influence functions φ = ψ′, in units of σ.

    Each φ is odd, linear between knots, and constant beyond the last.

    Attributes
    ----------
    stride : {1, 2, 4}
        The filters are applied at every `stride`-th pixel along both axes.
    filters : float32 ndarray (F, C, k, k)
        W; each has the sum 0, and k is at most 8 + `stride`.
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
    rows = []
    for bank, weight in zip(banks, weights, strict=True):
        count, channels, k, _ = bank.filters.shape
        for top in range(0, CELL, bank.stride):
            for left in range(0, CELL, bank.stride):
                # By cell (y, x), filter, and by channel and place in the cell.
                wide = np.zeros((count, channels, 3 * CELL, 3 * CELL))
                wide[:, :, top : top + k, left : left + k] = bank.filters
                wide *= np.sqrt(weight)[:, None, None, None]
                cells = wide.reshape(count, channels, 3, CELL, 3, CELL)
                rows.append(cells.transpose(2, 4, 0, 1, 3, 5).reshape(3, 3, count, -1))
    filters = np.concatenate(rows, axis=2)
    turns = np.exp(2j * np.pi * np.outer(np.arange(FREQUENCIES), np.arange(3)) / FREQUENCIES)
    largest = 0.0
    for down in turns[: FREQUENCIES // 2 + 1]:  # the others give the conjugates
        across = np.tensordot(turns, np.tensordot(down, filters, 1), 1)
        symbols = across.conj().swapaxes(1, 2) @ across
        largest = max(largest, float(np.linalg.eigvalsh(symbols).max()))
    return largest / math.cos(2 * np.pi / FREQUENCIES) ** 2


def bounds(banks: Sequence[Bank]) -> tuple[float, float]:
    """Upper bounds of the eigenvalues of Wᵀ S W and of its negative, with S any slopes of φ."""
    rise, fall = (
        norm(banks, [np.maximum(sign * bank.slopes, 0).max(axis=1) for bank in banks])
        for sign in (1, -1)
    )
    return rise, fall


def to_cells(image: NDArray) -> NDArray:
    """An image (N, C, H, W), mirrored beyond its border, as (N, 16 C, lines, columns) of cells.

    Planes are in the order of channels, of quarters of a cell, and of pixels in the quarter.
    """
    for axis in (2, 3):
        extent = image.shape[axis]
        cells = -(-extent // CELL) + 2 * MARGIN
        places = (np.arange(cells * CELL) - MARGIN * CELL) % (2 * extent)
        image = image.take(np.minimum(places, 2 * extent - 1 - places), axis)
    batch, channels, height, width = image.shape
    parts = image.reshape(batch, channels, height // CELL, 2, 2, width // CELL, 2, 2)
    cells = parts.transpose(0, 1, 3, 6, 4, 7, 2, 5)
    return np.ascontiguousarray(cells).reshape(batch, -1, *cells.shape[-2:])


def with_margin(cells: NDArray) -> NDArray:
    """Images (N, C, H, W) of cells (N, 16 C, lines, columns), the margin included."""
    batch, places, lines, columns = cells.shape
    parts = cells.reshape(batch, -1, 2, 2, 2, 2, lines, columns)
    image = parts.transpose(0, 1, 6, 2, 4, 7, 3, 5)
    return image.reshape(batch, places // CELL**2, CELL * lines, CELL * columns)


def from_cells(cells: NDArray, shape: tuple[int, ...]) -> NDArray:
    """The inverse of `to_cells`."""
    first = CELL * MARGIN
    return with_margin(cells)[..., first : first + shape[2], first : first + shape[3]]


def strengths(scale: NDArray, banks: Sequence[Bank]) -> NDArray:
    """The mean of a map (N, H, W) over the pixels of each bank's filters, by the cell they begin in.

    Returns
    -------
    float32 ndarray (N, banks, lines, columns)
    """
    cells = to_cells(scale[:, None])
    whole = with_margin(cells)[:, 0]
    lines, columns = cells.shape[2:]
    found = np.empty((len(cells), len(banks), lines, columns), np.float32)
    for number, bank in enumerate(banks):
        reach = CELL - bank.stride + bank.filters.shape[2]
        means = np.pad(whole, ((0, 0), (0, reach), (0, reach)), "edge")
        for axis, count in ((1, lines), (2, columns)):
            sums = np.insert(np.cumsum(means, axis=axis, dtype=float), 0, 0.0, axis=axis)
            begin = CELL * np.arange(count)
            means = (sums.take(begin + reach, axis) - sums.take(begin, axis)) / reach
        found[:, number] = means
    return found


def matrices(channels: int, banks: Sequence[Bank]) -> tuple[NDArray, ...]:
    """W and Wᵀ as weights of shifted planes; see `kernels.convex.gradient`."""
    planes = np.arange(channels * CELL**2).reshape(channels, 2, 2, 2, 2)
    planes = planes.transpose(0, 1, 3, 2, 4).reshape(channels, CELL, CELL)
    analysis: list[NDArray] = []
    rows: list[tuple[int, ...]] = []
    taps: list[NDArray] = []
    adjoint: dict[tuple[int, int, int], NDArray] = {}
    bank_of: list[int] = []
    reach: list[tuple[int, int]] = []
    sizes = [0, 0, 0]  # of responses, weights, taps
    for number, bank in enumerate(banks):
        count, _, k, _ = bank.filters.shape
        c, y, x = (each.ravel() for each in np.indices((channels, k, k)))
        columns = -(-c.size // 4) * 4
        weights = np.zeros((count, columns), np.float32)
        weights[:, : c.size] = bank.filters.reshape(count, -1)
        analysis.append(weights.ravel())
        for top in range(0, CELL, bank.stride):
            for left in range(0, CELL, bank.stride):
                places = np.zeros((columns, 3), np.int64)
                plane = planes[c, (top + y) % CELL, (left + x) % CELL]
                lines, across = (top + y) // CELL, (left + x) // CELL
                places[: c.size] = np.stack([plane, lines, across], axis=1)
                rows.append((sizes[0], count, columns, sizes[1], sizes[2]))
                taps.append(places)
                for filter_, own in enumerate(weights):
                    for p, dy, dx, value in zip(plane, lines, across, own, strict=False):
                        key = (sizes[0] + filter_, dy, dx)
                        adjoint.setdefault(key, np.zeros(planes.size, np.float32))[p] += value
                bank_of += [number] * count
                reach += [((top + k - 1) // CELL, (left + k - 1) // CELL)] * count
                sizes[0] += count
                sizes[2] += columns
        sizes[1] += weights.size
    sources, every = np.array(list(adjoint)), np.array(list(adjoint.values())).T
    synthesis, outputs, places_of, begin = [], [], [], [0, 0]
    for quarter in every.reshape(-1, 4, every.shape[1]):
        used = np.flatnonzero(quarter.any(axis=0))
        columns = -(-used.size // 4) * 4
        weights = np.zeros((4, columns), np.float32)
        weights[:, : used.size] = quarter[:, used]
        where = np.zeros((columns, 3), np.int64)
        where[: used.size] = sources[used]
        outputs.append((columns, *begin))
        synthesis.append(weights.ravel())
        places_of.append(where)
        begin = [begin[0] + weights.size, begin[1] + columns]
    knots, factors = [], []
    for bank in banks:
        phases = (CELL // bank.stride) ** 2
        next_slope = np.pad(bank.slopes[:, 1:], ((0, 0), (0, 1)))
        knots.append(np.tile(bank.knots, (phases, 1)))
        factors.append(np.tile(bank.slopes - next_slope, (phases, 1)))
    return (
        np.concatenate(analysis), np.array(rows), np.concatenate(taps), np.concatenate(synthesis),
        np.array(outputs), np.concatenate(places_of), np.concatenate(knots).astype(np.float32),
        np.concatenate(factors).astype(np.float32), np.array(bank_of), np.array(reach),
    )  # fmt: skip
