"""Harmonic filling: Laplace's equation Δu = 0 in the holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_number
from difffilter.inpainting import multigrid
from difffilter.inpainting.graph import OUTSIDE, link, reached, sources
from difffilter.inpainting.inpainter import Callback, Inpainter, Problem, shares

__all__ = ["Harmonic", "Holes"]


@dataclass(frozen=True, kw_only=True)
class Harmonic(Inpainter):
    """Fill in by Laplace's equation: heat diffusion from the known pixels until nothing changes.

    The filling is smooth and within the range of the pixels around it; edges that end at a hole are not
    continued, and single known pixels in wide holes become spikes.

    Parameters
    ----------
    tolerance : float, default 1e-7
        Relative error at which the iteration ends, in the norm of the gradient; at most 0.1.

    References
    ----------
    Trottenberg, Oosterlee & Schüller, "Multigrid", 2001.
    Notay, "An aggregation-based algebraic multigrid method", 2010.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.array([[0.0, np.nan, np.nan, 0.75]])
    >>> Harmonic()(line).round(6).tolist()
    [[0.0, 0.25, 0.5, 0.75]]
    """

    halo = 1

    tolerance: float = 1e-7

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, above=0, most=0.1)

    def fill(self, problem: Problem, callback: Callback | None) -> NDArray:
        holes = Holes(problem)
        filled = [
            multigrid.solve(holes.hierarchy, holes.sources(channel), self.tolerance, step)
            for channel, step in zip(
                np.moveaxis(problem.image, -1, 0),
                shares(callback, problem.image.shape[-1]),
                strict=True,
            )
        ]
        return np.stack(filled, axis=1)


class Holes:
    """The pixels of holes as a graph, with its coarser levels.

    Parameters
    ----------
    problem : Problem

    Attributes
    ----------
    hierarchy : list of Level
        Level 0 has a node for each pixel, in their order in the image.

    Raises
    ------
    ValueError
        If pixels that are ignored cut some of them off from every known one.
    """

    def __init__(self, problem: Problem) -> None:
        self.state = volume(problem.state)
        self.strengths = 1 / np.square(problem.spacing)
        neighbours, diagonal, positions = link(self.state, self.strengths)
        self.count = len(diagonal)
        if (self.state == OUTSIDE).any():
            lost = self.count - reached(neighbours, self.sources(np.ones(problem.state.shape)))
            if lost:
                raise ValueError(
                    f"ignore cuts {lost} pixels of the mask off from every known one; expected none"
                )
        self.hierarchy = multigrid.levels(
            neighbours, diagonal, positions, self.strengths, self.state.shape
        )

    def sources(self, image: NDArray) -> NDArray:
        """The right-hand side (n,) from the known pixels of an image without channels."""
        return sources(volume(image), self.state, self.state, self.count, self.strengths)


def volume(array: NDArray) -> NDArray:
    """An array (D, H, W) of one (H, W), or itself."""
    return np.ascontiguousarray(array if array.ndim == 3 else array[None])
