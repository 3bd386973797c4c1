"""The halo of a block: how many pixels around it the solution depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from difffilter.pde.solve.evolution import fidelity_steps
from difffilter.pde.solve.stability import equal_steps

__all__ = ["FARTHEST", "aos_halo", "explicit_halo", "heat_halo", "steps_taken"]

# Largest share of an intensity that diffusion may carry across the whole width of a halo.
LEAK = 1e-7

# The widest exact halo, in pixels, in 2-D and 3-D. If the exact domain of dependence is larger, the
# halo ends where the influence falls below LEAK.
FARTHEST = {2: 512, 3: 64}


def steps_taken(time: float, step: float, fidelity: float) -> tuple[int, float]:
    """The number of steps, fidelity term included, and the largest size of one.

    The fidelity term itself is pointwise and only weakens the influence of distant pixels, but it
    makes the steps of F shorter and splits the first in two.
    """
    count, size = equal_steps(time, step)
    if not (fidelity and count):
        return count, size
    count, size = fidelity_steps(time, size, fidelity)
    return (count + 1 if count else 0), size


def heat_halo(time: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """The halo of linear diffusion: for each axis the least n such that at most `LEAK` gets past n.

    This is Chernoff's bound: for any θ, the impulse response at time t, summed with weights
    exp(θx), gives exp(2t (cosh θ - 1)).

    Examples
    --------
    >>> heat_halo(2.0, (1.0, 1.0))
    (14, 14)
    """
    theta = np.geomspace(1e-4, 20, 400)
    return tuple(
        _chernoff(theta, 2 * time / h**2 * (np.cosh(theta) - 1)) if time else 0 for h in spacing
    )


def aos_halo(steps: int, size: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """The halo of additive operator splitting, whose step is the mean of (1 - d τ ∂²/h²)⁻¹ by axis.

    Parameters
    ----------
    steps : int
        Number of steps.
    size : float
        Their size τ.
    spacing : sequence of float
        h for each of the d spatial axes.
    """
    axes = len(spacing)
    theta = np.geomspace(1e-4, 20, 2000)

    def tail(rate):
        left = 1 - 2 * rate * (np.cosh(theta) - 1)
        inside = left > 0
        moment = np.log(1 - 1 / axes + 1 / (axes * left[inside]))
        return _chernoff(theta[inside], steps * moment)

    return tuple(tail(axes * size / h**2) if steps else 0 for h in spacing)


def explicit_halo(
    steps: int, radius: int, time: float, spacing: Sequence[float], widen: int = 1
) -> tuple[int, ...]:
    """The halo of explicit steps with stencils of a radius.

    It is exact up to `FARTHEST` pixels; beyond that it is at most `widen` times the halo of linear
    diffusion for the same time, the fastest that there is (g = 1).
    """
    exact = steps * radius
    if exact <= FARTHEST[len(spacing)]:
        return (exact,) * len(spacing)
    return tuple(min(exact, widen * tail) for tail in heat_halo(time, spacing))


def _chernoff(theta, log_moment):
    """The least n for which Chernoff's bound is below `LEAK`, minimised over θ."""
    return math.ceil(((math.log(2 / LEAK) + log_moment) / theta).min())
