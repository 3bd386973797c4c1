"""Biharmonic filling: Δ²u = 0 in the holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_number
from difffilter.inpainting import multigrid
from difffilter.inpainting.graph import HOLE, KNOWN, link, sources, widened
from difffilter.inpainting.harmonic import Holes, volume
from difffilter.inpainting.inpainter import Callback, Inpainter, Problem, shares

__all__ = ["Biharmonic"]


@dataclass(frozen=True, kw_only=True)
class Biharmonic(Inpainter):
    """Fill in by the biharmonic equation: a thin plate, clamped to the known pixels.

    Gradients are continued into the holes as well as values, without spikes; the plate may swing beyond
    the range of the pixels around it.

    Parameters
    ----------
    tolerance : float, default 1e-6
        Relative error at which the iteration ends, in the energy of the plate.

    Notes
    -----
    The same equations as `skimage.restoration.inpaint_biharmonic` solves directly, here by conjugate
    gradients with two multigrid cycles of Laplace's equation, in memory in proportion to the holes.

    References
    ----------
    Damelin & Hoang, "On surface completion and image inpainting by biharmonic functions: numerical
    aspects", International Journal of Mathematics and Mathematical Sciences, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.array([[0.0, 0.1, 0.2, np.nan, np.nan, 0.5, 0.6, 0.7]])
    >>> Biharmonic()(line).round(4).tolist()
    [[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]]
    """

    halo = 2

    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_number("tolerance", self.tolerance, above=0, most=0.1)

    def fill(self, problem: Problem, callback: Callback | None) -> NDArray:
        plate = Plate(problem)
        filled = [
            multigrid.conjugate_gradients(
                plate.times, plate.precondition, plate.load(channel), self.tolerance, step
            )
            for channel, step in zip(
                np.moveaxis(problem.image, -1, 0),
                shares(callback, problem.image.shape[-1]),
                strict=True,
            )
        ]
        return np.stack(filled, axis=1)


class Plate:
    """L² on the pixels of holes, where L is −Δ on all pixels that are not ignored.

    L² at a hole takes L at the known pixels beside it as well: these are nodes, too.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.holes = Holes(problem)
        self.state, self.strengths = self.holes.state, self.holes.strengths
        self.wide = widened(self.state)
        neighbours, self.diagonal, positions = link(self.wide, self.strengths)
        self.count = len(self.diagonal)
        weights = np.broadcast_to(np.repeat(self.strengths, 2).astype(np.float32), neighbours.shape)
        chunks = multigrid.chunks_of(positions[:, 3 - len(self.strengths)])
        self.links = neighbours, weights, self.diagonal, chunks
        self.of_holes = np.flatnonzero(self.state[self.wide == HOLE] == HOLE)
        self.spread, self.bent = np.zeros(self.count + 1), np.zeros(self.count + 1)

    def times(self, p: NDArray) -> NDArray:
        """L² p at the holes."""
        self.spread[self.of_holes] = p[:-1]
        multigrid.apply(self.spread, *self.links, self.bent[:-1])
        return self.again()

    def again(self) -> NDArray:
        """L of what `bent` holds, at the holes."""
        product = np.empty(len(self.diagonal))
        multigrid.apply(self.bent, *self.links, product)
        return product[self.of_holes]

    def load(self, image: NDArray) -> NDArray:
        """−L² of the known pixels of an image without channels, at the holes."""
        image = volume(image)
        known = np.where(self.state == KNOWN, image, 0)[self.wide == HOLE]
        self.bent[:-1] = self.diagonal * known - sources(
            image, self.state, self.wide, self.count, self.strengths
        )
        return -self.again()

    def precondition(self, r: NDArray) -> NDArray:
        """Two cycles of Laplace's equation."""
        once = multigrid.cycle(self.holes.hierarchy, r.astype(np.float32))
        return multigrid.cycle(self.holes.hierarchy, once[:-1])
