"""∂u/∂t = F(u), discretised in space and time; and the same with a fidelity term."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from numpy.typing import NDArray

from difffilter.pde.solve.stability import check_step, equal_steps

__all__ = ["Evolution", "WithFidelity", "fidelity_steps"]

# How far the fidelity term may go at once, as a share of the way back to its image.
BIAS = 0.05


class Evolution:
    """What moves a state through time; subclasses are frozen dataclasses.

    Attributes
    ----------
    spacing : tuple of 3 float
        h for the axes z, y, x.
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound of explicit steps.
    """

    spacing: tuple[float, float, float]
    step: float | None

    @property
    def first(self) -> float:
        """A time after which a little has happened: the first at which to estimate the risk."""
        return 0.05 * min(self.spacing[-2:]) ** 2

    def largest_step(self, volume: Sequence[int]) -> float:
        """The largest time step for a state of shape (D, H, W)."""
        return check_step(self.step, volume, self.spacing)

    def steps(self, volume: Sequence[int], time: float) -> tuple[int, float]:
        """How many equal steps take a state of shape (D, H, W) through `time`, and their size."""
        return equal_steps(time, self.largest_step(volume))

    def count(self, volume: Sequence[int], time: float) -> int:
        """How many steps that is in all, those of cycles included."""
        return self.steps(volume, time)[0]

    def evolve(self, u: NDArray, time: float) -> NDArray:
        """The state that ``u`` (B, C, D, H, W) becomes after `time`; ``u`` may be written to.

        The images b evolve each on its own.
        """
        raise NotImplementedError

    def tiled(self, tile: Callable[[NDArray | None], NDArray | None]) -> Evolution:
        """The same where the image is replaced by some tiles of it, a mask by `tile` of it."""
        return self


@dataclass(frozen=True)
class WithFidelity(Evolution):
    """∂u/∂t = F(u) + λ(f - u): an evolution held back by the image it started from [1]_.

    The image moves in turns, for a short time each, by F alone and by the fidelity term alone,
    which takes it exactly from u to f + (u - f) exp(-λt). The first and the last piece of F are
    half as long as the others, which makes the error one of second order (Strang's splitting [2]_).

    Attributes
    ----------
    evolution : Evolution
        ∂u/∂t = F(u).
    fidelity : float
        λ, in units of one over time.
    source : ndarray (B, C, D, H, W)
        f.

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
    """How many turns F and the fidelity term take, and how long each is, as `equal_steps`."""
    return equal_steps(time, 1 / max(1 / step, fidelity / BIAS))
