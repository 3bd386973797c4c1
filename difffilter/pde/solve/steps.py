"""By which scheme, and in how many steps, to go through time: as few as a tolerance allows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from difffilter.pde.solve.schemes import SCHEMES, Diffusion, cycle_steps
from difffilter.pde.solve.stability import SAFETY, check_step, equal_steps, stability_bound
from difffilter.pde.solve.tiles import sample

__all__ = ["CHOICES", "TOLERANCE", "Plan", "plan_steps"]

CHOICES = ("auto", *SCHEMES)

# How far, in units of intensity, the result may be from the solution (root mean square).
TOLERANCE = 0.5 / 255

# Pixels on which numbers of steps are tried, and the tiles that they come in.
ENOUGH = 1 << 14
TILE = {2: (1, 32, 32), 3: (8, 16, 16)}

# Where cycles would have fewer steps than this, or no fewer together than there are explicit ones,
# explicit steps get as far for the same work.
SHORTEST_CYCLE = 3

# How often a number of steps or cycles is doubled at most.
DOUBLINGS = 12


@dataclass(frozen=True)
class Plan:
    """How to get through the time.

    Attributes
    ----------
    scheme : {"explicit", "fsi", "aos"}
        Explicit steps, cycles of the fast semi-iterative scheme, additive operator splitting.
    count : int
        How many steps or cycles.
    size : float
        How long each of them is.
    """

    scheme: str
    count: int
    size: float

    def steps(self, shape, spacing) -> int:
        """Steps in all: a cycle has several."""
        bound = stability_bound(shape, spacing)
        return self.count * (cycle_steps(self.size, bound) if self.scheme == "fsi" else 1)

    def of(self, diffusion: Diffusion) -> Diffusion:
        """The diffusion that takes these steps."""
        return replace(diffusion, scheme=self.scheme, step=self.size or None)


def plan_steps(state, diffusion, time, scheme="auto", step=None, tol=None) -> Plan:
    """The plan by which a diffusion gets through the time.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The image at time 0.
    diffusion : Diffusion
        What moves it.
    time : float
        How far to go.
    scheme : {"auto", "explicit", "fsi", "aos"}
        ``"auto"``: explicit if a step is given; else cycles or explicit steps, whichever keep to
        the tolerance with less work.
    step : float, optional
        Largest step, or length of a cycle; ``None``: by the tolerance.
    tol : float, optional
        How far the result may be from the solution, in units of intensity (root mean square);
        ``None``: 0.5/255, but for the explicit scheme no more than 0.8 of the stability bound.

    Returns
    -------
    Plan

    Notes
    -----
    The error of 2N steps is taken to be 1.5 ‖u_N - u_2N‖, half as much again as it would be if it
    were of first order alone, on small tiles of the image only. Cycles or implicit steps are made
    twice as many until they keep to the tolerance, and then as few as do so if the error falls as
    1/N; of explicit steps, N is what 0.8 of the stability bound asks for, and more as 1/N asks for.
    """
    shape, spacing = state.shape[2:], diffusion.spacing
    bound = stability_bound(shape, spacing)
    if scheme == "auto" and step is not None:
        scheme = "explicit"
    if scheme == "explicit" and (step is not None or tol is None):
        return Plan("explicit", *equal_steps(time, check_step(step, shape, spacing)))
    if step is not None:
        return Plan(scheme, *equal_steps(time, step))
    if time == 0:
        return Plan("explicit", 0, 0.0)
    tol = TOLERANCE if tol is None else tol
    y, tile = sample(state, ENOUGH, TILE[2 if shape[0] == 1 else 3])
    diffusion = replace(diffusion, mask=tile(diffusion.mask))

    def moved(scheme, count):
        return Plan(scheme, count, time / count).of(diffusion).evolve(y.copy(), time)

    usual = equal_steps(time, SAFETY * bound)[0]
    if scheme != "explicit":
        kind = "fsi" if scheme == "auto" else scheme
        coarser = moved(kind, 1)
        for count in (1 << k for k in range(1, DOUBLINGS + 1)):
            found = Plan(kind, count, time / count)
            steps = found.steps(shape, spacing)
            if scheme == "auto" and (steps < SHORTEST_CYCLE * count or steps >= usual):
                break
            result = moved(kind, count)
            error = 1.5 * _rms(coarser, result)
            if error <= tol:
                fewest = max(count // 2 if count > 2 else 1, math.ceil(count * error / tol))
                plans = [Plan(kind, n, time / n) for n in range(fewest, count + 1)]
                return min(plans, key=lambda found: found.steps(shape, spacing))
            coarser = result
        else:
            return found
    excess = 3 * _rms(moved("explicit", usual), moved("explicit", 2 * usual)) / tol
    count = math.ceil(usual * min(max(1, excess), 1 << DOUBLINGS))
    return Plan("explicit", count, time / count)


def _rms(a, b):
    return math.sqrt(np.square(a - b, dtype=np.float64).mean())
