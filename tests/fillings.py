"""Holes, and direct solves of the equations of filling, as oracles."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve


def box(shape, *slices):
    """A mask that is True in a box."""
    mask = np.zeros(shape, bool)
    mask[slices] = True
    return mask


def laplacian(usable, spacing):
    """−Δ on the usable pixels of an image, without flux to others: a sparse matrix."""
    numbers = np.arange(usable.size).reshape(usable.shape)
    total = sparse.csr_array((usable.size, usable.size))
    for axis, h in enumerate(spacing):
        near, far = (
            np.take(numbers, range(start, usable.shape[axis] - 1 + start), axis).ravel()
            for start in (0, 1)
        )
        joined = usable.ravel()[near] & usable.ravel()[far]
        near, far = near[joined], far[joined]
        edge = np.arange(len(near))
        one = np.ones(len(near))
        difference = sparse.csr_array(
            (np.r_[-one, one], (np.r_[edge, edge], np.r_[near, far])),
            shape=(len(near), usable.size),
        )
        total = total + difference.T @ difference / h**2
    return total


def solved(image, mask, *, power=1, ignore=None, spacing=None):
    """The image with (−Δ)^power u = 0 in the mask, by a sparse direct solve."""
    usable = np.ones(mask.shape, bool) if ignore is None else ~ignore
    matrix = laplacian(usable, spacing or (1.0,) * mask.ndim)
    if power == 2:
        matrix = matrix @ matrix
    hole = np.flatnonzero(mask & usable)
    known = np.where(mask | ~usable, 0, image).ravel()
    result = np.array(image, float)
    rows = sparse.csr_array(matrix)[hole]
    result.flat[hole] = spsolve(sparse.csc_array(rows[:, hole]), -(rows @ known))
    return result
