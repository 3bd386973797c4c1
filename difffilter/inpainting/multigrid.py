"""Laplace's and Poisson's equation on the pixels of holes: conjugate gradients with multigrid.

Solves A u = b, where (A u)_i = Σ_j w_ij (u_i − u_j) over the neighbours j of a pixel, those that are known
counting as 0. A cycle smooths by Gauss–Seidel, forwards on the way to coarser levels and backwards on the way
back, so that it is symmetric and may precondition conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.inpainting.graph import coarsen
from difffilter.pde.kernels.common import inlined, kernel

__all__ = ["Level", "apply", "conjugate_gradients", "cycle", "levels", "solve"]

# A level of so few nodes is the last; it is smoothed so often.
FEW, SWEEPS = 64, 16

# Iterations of conjugate gradients at most.
MOST = 500


@dataclass(frozen=True)
class Level:
    """A level of the hierarchy; arrays as in `graph`.

    Attributes
    ----------
    neighbours, weights : ndarray (n, links)
    diagonal, inverse : ndarray (n,)
        The diagonal of A, and 1 over it.
    parents : ndarray (n,) or None
        Numbers of the nodes of the next level; ``None``: there is none.
    """

    neighbours: NDArray
    weights: NDArray
    diagonal: NDArray
    inverse: NDArray
    parents: NDArray | None


def levels(neighbours: NDArray, diagonal: NDArray, positions: NDArray, strengths, shape):
    """The hierarchy of levels, from what `graph.link` returns."""
    weights = np.empty(neighbours.shape, np.float32)
    weights[:] = np.repeat(strengths, 2)
    hierarchy = []
    while True:
        coarse = coarsen(neighbours, weights, diagonal, positions, shape)
        last = len(diagonal) <= FEW or len(coarse[3]) == len(diagonal)
        parents = None if last else coarse[0]
        hierarchy.append(Level(neighbours, weights, diagonal, 1 / diagonal, parents))
        if last:
            return hierarchy
        _, neighbours, weights, diagonal, positions = coarse
        shape = tuple((extent + 1) >> 1 for extent in shape)


@inlined
def around(u, neighbours, weights, i):
    """Σ_j w_ij u_j."""
    total = weights[i, 0] * u[neighbours[i, 0]]
    for d in range(1, neighbours.shape[1]):
        total += weights[i, d] * u[neighbours[i, d]]
    return total


@kernel
def apply(u, neighbours, weights, diagonal, out):
    """out = A u; u has a further node, which is 0."""
    for i in range(len(out)):
        out[i] = diagonal[i] * u[i] - around(u, neighbours, weights, i)


@kernel
def smooth(u, b, neighbours, weights, inverse, backwards):
    """A sweep of Gauss–Seidel."""
    n = len(b)
    for k in range(n):
        i = n - 1 - k if backwards else k
        u[i] = (b[i] + around(u, neighbours, weights, i)) * inverse[i]


@kernel
def restrict(u, b, neighbours, weights, diagonal, parents, coarse):
    """The residual b − A u, added up over the nodes of each node of the next level."""
    coarse[:] = 0
    for i in range(len(b)):
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
            smooth(u, b, *links, level.inverse, backwards)
        return u
    smooth(u, b, *links, level.inverse, False)
    coarse = np.empty(len(hierarchy[1].diagonal), b.dtype)
    restrict(u, b, *links, level.diagonal, level.parents, coarse)
    correct(u, level.parents, cycle(hierarchy[1:], coarse))
    smooth(u, b, *links, level.inverse, True)
    return u


def solve(hierarchy: list[Level], b: NDArray, tolerance: float) -> NDArray:
    """Solve A u = b by conjugate gradients.

    Parameters
    ----------
    hierarchy : list of Level
    b : float64 ndarray (n,)
    tolerance : float
        Relative error, as the preconditioner measures it.

    Returns
    -------
    float64 ndarray (n,)
    """
    level, product = hierarchy[0], np.empty(len(b))

    def times(p: NDArray) -> NDArray:
        apply(p, level.neighbours, level.weights, level.diagonal, product)
        return product

    def precondition(r: NDArray) -> NDArray:
        return cycle(hierarchy, r.astype(np.float32))

    return conjugate_gradients(times, precondition, b, tolerance)


def conjugate_gradients(
    times: Callable[[NDArray], NDArray],
    precondition: Callable[[NDArray], NDArray],
    b: NDArray,
    tolerance: float,
) -> NDArray:
    """Solve A u = b by preconditioned conjugate gradients (Hestenes & Stiefel 1952).

    Parameters
    ----------
    times : callable
        A p (n,) of a p that has a further node, which is 0.
    precondition : callable
        An approximation of A⁻¹ r, symmetric, of an r (n,); it may have a further node.
    b : float64 ndarray (n,)
    tolerance : float
        Relative error, in the norm of the residual by the preconditioner.

    Returns
    -------
    float64 ndarray (n,)
    """
    n = len(b)
    u, r, p = np.zeros(n), b.copy(), np.zeros(n + 1)
    p[:n] = precondition(r)[:n]
    rho = first = dot(p, r)
    for _ in range(MOST):
        if rho <= tolerance**2 * first:
            break
        product = times(p)
        advance(u, r, p, product, rho / dot(p, product))
        z = precondition(r)
        rho, before = dot(z, r), rho
        turn(p, z, n, rho / before)
    return u
