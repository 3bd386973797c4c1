"""How far a solution depends on the image around it: what a block needs to come out as in the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from difffilter.pde.solve.evolution import fidelity_steps
from difffilter.pde.solve.stability import equal_steps

__all__ = ["FARTHEST", "aos_halo", "explicit_halo", "heat_halo", "steps_taken"]

# What diffusion may carry past a halo, as a share of what is there.
LEAK = 1e-7

# Pixels: where the exact dependence goes farther, the halo ends where next to nothing arrives.
FARTHEST = {2: 512, 3: 64}


def steps_taken(time: float, step: float, fidelity: float) -> tuple[int, float]:
    """How many steps there are, and how long they are at most.

    The fidelity term itself looks nowhere, but the steps between its turns are shorter, and the
    first of them is cut in two. (It weakens what comes from afar.)
    """
    count, size = equal_steps(time, step)
    if not (fidelity and count):
        return count, size
    count, size = fidelity_steps(time, size, fidelity)
    return (count + 1 if count else 0), size


def heat_halo(time: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """For each axis the least n for which linear diffusion carries at most `LEAK` past n pixels.

    By Chernoff's bound: what a dot becomes after time t has the sum exp(2t (cosh θ - 1)) with the
    weights exp(θ x), for any θ.

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
    """The same for steps that are the mean over the axes of (1 - d τ ∂²/h²)⁻¹ along each."""
    axes = len(spacing)
    theta = np.geomspace(1e-4, 20, 2000)

    def tail(rate):
        left = 1 - 2 * rate * (np.cosh(theta) - 1)
        inside = left > 0
        moment = np.log(1 - 1 / axes + 1 / (axes * left[inside]))
        return _chernoff(theta[inside], steps * moment)

    return tuple(tail(axes * size / h**2) if steps else 0 for h in spacing)


def explicit_halo(
    steps: int, look: int, time: float, spacing: Sequence[float], widen: int = 1
) -> tuple[int, ...]:
    """Explicit steps, each of which looks so many pixels far.

    Exact up to `FARTHEST`; beyond, it ends where `widen` times the halo of linear diffusion of the
    same time does (g = 1, as fast as it gets).
    """
    exact = steps * look
    if exact <= FARTHEST[len(spacing)]:
        return (exact,) * len(spacing)
    return tuple(min(exact, widen * tail) for tail in heat_halo(time, spacing))


def _chernoff(theta, log_moment):
    return math.ceil(((math.log(2 / LEAK) + log_moment) / theta).min())
