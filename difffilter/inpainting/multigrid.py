"""Laplace's and Poisson's equation on the pixels of holes: conjugate gradients with multigrid.

Solves A u = b, where (A u)_i = Σ_j w_ij (u_i − u_j) over the neighbours j of a pixel, those that are known
counting as 0. A cycle smooths by Gauss–Seidel, forwards on the way to coarser levels and backwards on the way
back, so that it is symmetric and may precondition conjugate gradients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import prange
from numpy.typing import NDArray

from difffilter.inpainting.graph import coarsen
from difffilter.inpainting.inpainter import Callback
from difffilter.pde.kernels.common import inlined, kernel, parallel

__all__ = ["Level", "apply", "conjugate_gradients", "cycle", "levels", "solve"]

# A level with at most FEW nodes is the last, and is smoothed by SWEEPS pairs of sweeps.
FEW, SWEEPS = 64, 16

# Iterations of conjugate gradients, at most.
MOST = 500

# Steps that progress is reported in: the number of iterations is not known in advance.
STEPS = 100

# Nodes of a chunk, at least. Chunks are the same for any number of threads, and so are results.
CHUNK = 8192


@dataclass(frozen=True)
class Level:
    """A level of the hierarchy; arrays as in `graph`.

    Attributes
    ----------
    neighbours, weights : ndarray (n, links)
    diagonal, inverse : ndarray (n,)
        The diagonal of A, and 1 over it.
    chunks : ndarray (k + 1,)
        Where each chunk of nodes begins and ends. A link leads to the same chunk or the next to it.
    parents : ndarray (n,) or None
        Numbers of the nodes of the next level; ``None``: there is none.
    """

    neighbours: NDArray
    weights: NDArray
    diagonal: NDArray
    inverse: NDArray
    chunks: NDArray
    parents: NDArray | None


def levels(neighbours: NDArray, diagonal: NDArray, positions: NDArray, strengths, shape):
    """The hierarchy of levels, from the arrays of `graph.link`."""
    # (Strides of 0 spare level 0 the memory for weights that are all alike.)
    weights = np.broadcast_to(np.repeat(strengths, 2).astype(np.float32), neighbours.shape)
    axis, hierarchy = 3 - len(strengths), []
    while True:
        coarse = coarsen(neighbours, weights, diagonal, positions, shape)
        last = len(diagonal) <= FEW or len(coarse[3]) == len(diagonal)
        parents, chunks = None if last else coarse[0], chunks_of(positions[:, axis])
        hierarchy.append(Level(neighbours, weights, diagonal, 1 / diagonal, chunks, parents))
        if last:
            return hierarchy
        _, neighbours, weights, diagonal, positions = coarse
        shape = tuple((extent + 1) >> 1 for extent in shape)


def chunks_of(rows: NDArray) -> NDArray:
    """Where chunks of nodes begin and end: at even rows, so that parents have children in one chunk."""
    pairs = rows >> 1
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    chosen = [0]
    for start in starts.tolist():
        if start - chosen[-1] >= CHUNK:
            chosen.append(start)
    return np.array([*chosen, len(rows)])


@inlined
def around(u, neighbours, weights, i):
    """Σ_j w_ij u_j."""
    total = weights[i, 0] * u[neighbours[i, 0]]
    for d in range(1, neighbours.shape[1]):
        total += weights[i, d] * u[neighbours[i, d]]
    return total


@parallel
def apply(u, neighbours, weights, diagonal, chunks, out):
    """out = A u; u has a further node, which is 0."""
    for k in prange(len(chunks) - 1):
        for i in range(chunks[k], chunks[k + 1]):
            out[i] = diagonal[i] * u[i] - around(u, neighbours, weights, i)


@parallel
def smooth(u, b, neighbours, weights, inverse, chunks, backwards):
    """A sweep of Gauss–Seidel: every other chunk, and then those between them."""
    for colour in range(2):
        odd = 1 - colour if backwards else colour
        for k in prange((len(chunks) - odd) // 2):
            start, stop = chunks[2 * k + odd], chunks[2 * k + odd + 1]
            for m in range(stop - start):
                i = stop - 1 - m if backwards else start + m
                u[i] = (b[i] + around(u, neighbours, weights, i)) * inverse[i]


@parallel
def restrict(u, b, neighbours, weights, diagonal, chunks, parents, coarse):
    """The residual b − A u, added up over the nodes of each node of the next level."""
    for k in prange(len(chunks) - 1):
        for i in range(chunks[k], chunks[k + 1]):
            coarse[parents[i]] += b[i] - diagonal[i] * u[i] + around(u, neighbours, weights, i)


@kernel
def correct(u, parents, coarse):
    """Add the correction of the next level."""
    for i in range(len(parents)):
        u[i] += coarse[parents[i]]


@kernel
def dot(a, b):
    """Σ a_i b_i over the nodes of b. (BLAS would wake its threads, which costs more where cores are busy.)"""
    total = 0.0
    for i in range(len(b)):
        total += a[i] * b[i]
    return total


@kernel
def advance(u, r, p, product, alpha):
    """u += α p and r −= α A p."""
    for i in range(len(u)):
        u[i] += alpha * p[i]
        r[i] -= alpha * product[i]


@kernel
def turn(p, z, n, beta):
    """p = z + β p."""
    for i in range(n):
        p[i] = z[i] + beta * p[i]


def cycle(hierarchy: list[Level], b: NDArray) -> NDArray:
    """An approximate solution of A u = b by a V-cycle, with a further node, which is 0."""
    level = hierarchy[0]
    links = level.neighbours, level.weights
    u = np.zeros(len(b) + 1, b.dtype)
    if level.parents is None:
        for backwards in [False, True] * SWEEPS:
            smooth(u, b, *links, level.inverse, level.chunks, backwards)
        return u
    smooth(u, b, *links, level.inverse, level.chunks, False)
    coarse = np.zeros(len(hierarchy[1].diagonal), b.dtype)
    restrict(u, b, *links, level.diagonal, level.chunks, level.parents, coarse)
    correct(u, level.parents, cycle(hierarchy[1:], coarse))
    smooth(u, b, *links, level.inverse, level.chunks, True)
    return u


def solve(
    hierarchy: list[Level], b: NDArray, tolerance: float, callback: Callback | None = None
) -> NDArray:
    """Solve A u = b by conjugate gradients.

    Parameters
    ----------
    hierarchy : list of Level
    b : float64 ndarray (n,)
        Is overwritten.
    tolerance : float
        Relative error, as the preconditioner measures it.
    callback : callable, optional
        As for `conjugate_gradients`.

    Returns
    -------
    float64 ndarray (n,)
    """
    level, product = hierarchy[0], np.empty(len(b))

    def times(p: NDArray) -> NDArray:
        apply(p, level.neighbours, level.weights, level.diagonal, level.chunks, product)
        return product

    def precondition(r: NDArray) -> NDArray:
        return cycle(hierarchy, r.astype(np.float32))

    return conjugate_gradients(times, precondition, b, tolerance, callback)


def conjugate_gradients(
    times: Callable[[NDArray], NDArray],
    precondition: Callable[[NDArray], NDArray],
    b: NDArray,
    tolerance: float,
    callback: Callback | None = None,
) -> NDArray:
    """Solve A u = b by preconditioned conjugate gradients (Hestenes & Stiefel 1952).

    Parameters
    ----------
    times : callable
        A p (n,) of a p that has a further node, which is 0.
    precondition : callable
        An approximation of A⁻¹ r, symmetric, of an r (n,); it may have a further node.
    b : float64 ndarray (n,)
        Is overwritten.
    tolerance : float
        Relative error, in the norm of the residual by the preconditioner.
    callback : callable, optional
        Called after each iteration with the steps done, of 100: the fall of the residual's logarithm
        as a share of that to the tolerance. They never decrease, and end at 100.

    Returns
    -------
    float64 ndarray (n,)
    """
    n = len(b)
    u, r, p = np.zeros(n), b, np.zeros(n + 1)
    p[:n] = precondition(r)[:n]
    rho = first = dot(p, r)
    done = 0
    for _ in range(MOST):
        if rho <= tolerance**2 * first:
            break
        product = times(p)
        advance(u, r, p, product, rho / dot(p, product))
        z = precondition(r)
        rho, before = dot(z, r), rho
        turn(p, z, n, rho / before)
        if callback is not None:
            done = max(done, fallen(rho, first, tolerance))
            callback(done, STEPS)
    if callback is not None and done < STEPS:  # there was nothing to do, or it was not done in time
        callback(STEPS, STEPS)
    return u


def fallen(rho: float, first: float, tolerance: float) -> int:
    """Progress, in steps, of a squared residual ρ from the first one to the tolerance."""
    if rho <= tolerance**2 * first:
        return STEPS
    share = math.log(rho / first) / (2 * math.log(tolerance))
    return math.floor(STEPS * min(max(share, 0.0), 1.0))
