"""∂u/∂t = F(u), discretised in space and time, with or without a fidelity term."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from difffilter.pde.solve.stability import check_step, equal_steps

__all__ = ["Evolution", "WithFidelity", "fidelity_steps"]

# Largest share of the difference from its image that the fidelity term may remove in one step.
BIAS = 0.05


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """A discretised PDE, which evolves a state in time.

    Attributes
    ----------
    spacing : tuple of 3 float
        h for the axes z, y, x.
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound of explicit steps.
    mask : ndarray (M, D, H, W) of bool, or None
        True where the image moves, image b having mask b mod M; ``None``: everywhere.
    """

    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    step: float | None = None
    mask: NDArray | None = None

    @property
    def first(self) -> float:
        """The first time > 0 at which to estimate the risk: the image has changed only a little."""
        return 0.1 * min(self.spacing[-2:]) ** 2

    def largest_step(self, volume: Sequence[int]) -> float:
        """The largest time step for a state of shape (D, H, W)."""
        return check_step(self.step, volume, self.spacing)

    def steps(self, volume: Sequence[int], time: float) -> tuple[int, float]:
        """The number of equal steps for a state of shape (D, H, W) and a time, and their size."""
        return equal_steps(time, self.largest_step(volume))

    def count(self, volume: Sequence[int], time: float) -> int:
        """The total number of steps, counting those within cycles."""
        return self.steps(volume, time)[0]

    def evolve(self, u: NDArray, time: float) -> NDArray:
        """Evolve a state.

        Parameters
        ----------
        u : ndarray (B, C, D, H, W)
            B images, independent of each other; may be overwritten.
        time : float
            The duration.

        Returns
        -------
        ndarray (B, C, D, H, W)
        """
        raise NotImplementedError

    def with_step(self, step: float) -> Evolution:
        """A copy with another largest time step."""
        return replace(self, step=step)

    def coarsened(self, step: float) -> Evolution:
        """A copy whose steps may grow to `step`, if its scheme is stable for steps of any size.

        Here a step is within a stability bound, and stays.
        """
        return self

    def tiled(self, tile: Callable[[NDArray | None], NDArray | None]) -> Evolution:
        """A copy for tiles of the image; `tile` cuts the same tiles out of a mask."""
        return replace(self, mask=tile(self.mask))

    def masks(self, u: NDArray) -> NDArray:
        """The masks of all images of a state: (B, D, H, W), or empty if there are none."""
        if self.mask is None:
            return np.empty((0, 0, 0, 0), np.bool_)
        return np.resize(self.mask, (len(u), *u.shape[2:]))


@dataclass(frozen=True)
class WithFidelity(Evolution):
    """∂u/∂t = F(u) + λ(f - u): an evolution with a fidelity term for its initial image f [1]_.

    Short steps of F alone alternate with steps of the fidelity term alone, whose exact solution is
    f + (u - f) exp(-λt). The first and the last step of F are half as long as the others, which
    makes the scheme one of second order (Strang splitting [2]_).

    Attributes
    ----------
    evolution : Evolution
        ∂u/∂t = F(u).
    fidelity : float
        λ, in units of one over time.
    source : ndarray (B, C, D, H, W)
        The initial image f.

    References
    ----------
    .. [1] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.
    .. [2] G. Strang, "On the construction and comparison of difference schemes", SIAM J. Numerical
       Analysis 5(3), 1968.
    """

    evolution: Evolution
    fidelity: float
    source: NDArray

    @property
    def first(self):
        return self.evolution.first

    def steps(self, volume, time):
        return self.evolution.steps(volume, time)

    def with_step(self, step):
        return replace(self, evolution=self.evolution.with_step(step))

    def coarsened(self, step):
        return replace(self, evolution=self.evolution.coarsened(step))

    def evolve(self, u, time):
        count, size = fidelity_steps(time, self.evolution.largest_step(u.shape[2:]), self.fidelity)
        if count == 0:
            return u
        keep = u.dtype.type(math.exp(-self.fidelity * size))
        u = self.evolution.evolve(u, size / 2)
        for left in reversed(range(count)):
            u -= self.source
            u *= keep
            u += self.source
            u = self.evolution.evolve(u, size if left else size / 2)
        return u


def fidelity_steps(time: float, step: float, fidelity: float) -> tuple[int, float]:
    """The number of splitting steps, and their size, for steps of F of at most `step`."""
    return equal_steps(time, 1 / max(1 / step, fidelity / BIAS))
