"""Choice of the scheme and the number of steps: as few as a tolerance allows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from difffilter.pde.solve.schemes import SCHEMES, Diffusion, cycle_steps
from difffilter.pde.solve.stability import SAFETY, check_step, equal_steps, stability_bound
from difffilter.pde.solve.tiles import sample

__all__ = ["CHOICES", "TOLERANCE", "Plan", "plan_steps"]

CHOICES = ("auto", *SCHEMES)

# Largest root-mean-square error of the time stepping, as a share of the range of intensities.
TOLERANCE = 0.5 / 255

# Number of pixels on which numbers of steps are tried, and the shape of their tiles.
SAMPLE_PIXELS = 1 << 14
TILE = {2: (1, 32, 32), 3: (8, 16, 16)}

# Explicit steps do as well with the same work if cycles would have fewer steps than this, or
# would need as many steps in all.
SHORTEST_CYCLE = 3

# Largest number of times that a number of steps or cycles is doubled.
DOUBLINGS = 12


@dataclass(frozen=True)
class Plan:
    """A scheme with its number of steps.

    Attributes
    ----------
    scheme : {"explicit", "fsi", "aos"}
        Explicit steps, cycles of the fast semi-iterative scheme, additive operator splitting.
    count : int
        Number of steps or cycles.
    size : float
        Size of a step, or length of a cycle.
    """

    scheme: str
    count: int
    size: float

    def steps(self, shape, spacing) -> int:
        """The total number of steps, counting those within cycles."""
        bound = stability_bound(shape, spacing)
        return self.count * (cycle_steps(self.size, bound) if self.scheme == "fsi" else 1)

    def of(self, diffusion: Diffusion) -> Diffusion:
        """A copy of a diffusion that takes these steps."""
        return replace(diffusion, scheme=self.scheme, step=self.size or None)


def plan_steps(state, diffusion, time, scheme="auto", step=None, tol=None, *, usual_tol) -> Plan:
    """Choose the scheme and the number of steps for a diffusion.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The image at time 0.
    diffusion : Diffusion
        The equation.
    time : float
        How long to diffuse.
    scheme : {"auto", "explicit", "fsi", "aos"}, default "auto"
        ``"auto"``: explicit if a step is given; otherwise cycles or explicit steps, whichever meet
        the tolerance with less work.
    step : float, optional
        Largest step, or length of a cycle; ``None``: by the tolerance.
    tol : float, optional
        Largest root-mean-square error of the time stepping, in units of intensity; ``None``:
        `usual_tol`, and for the explicit scheme just steps of 0.8 of the stability bound.
    usual_tol : float
        The tolerance where none is given.

    Returns
    -------
    Plan

    Notes
    -----
    The error of 2N steps is estimated, on small tiles of the image, as 1.5 ‖u_N - u_2N‖, one and a
    half times that of a purely first-order scheme. Cycles or implicit steps are doubled until they
    meet the tolerance, and then reduced to the fewest that meet it if the error falls as 1/N. For
    explicit steps, N starts from 0.8 of the stability bound and grows as the same law requires.
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
    tol = usual_tol if tol is None else tol
    y, tile = sample(state, SAMPLE_PIXELS, TILE[2 if shape[0] == 1 else 3], diffusion.mask)
    diffusion = replace(diffusion, mask=tile(diffusion.mask))

    def evolved(scheme, count):
        return Plan(scheme, count, time / count).of(diffusion).evolve(y.copy(), time)

    usual = equal_steps(time, SAFETY * bound)[0]
    if scheme != "explicit":
        kind = "fsi" if scheme == "auto" else scheme
        coarser = evolved(kind, 1)
        for count in (1 << k for k in range(1, DOUBLINGS + 1)):
            found = Plan(kind, count, time / count)
            steps = found.steps(shape, spacing)
            if scheme == "auto" and (steps < SHORTEST_CYCLE * count or steps >= usual):
                break
            result = evolved(kind, count)
            error = 1.5 * _rms(coarser, result)
            if error <= tol:
                fewest = max(count // 2 if count > 2 else 1, math.ceil(count * error / tol))
                plans = [Plan(kind, n, time / n) for n in range(fewest, count + 1)]
                return min(plans, key=lambda found: found.steps(shape, spacing))
            coarser = result
        else:
            return found
    excess = 3 * _rms(evolved("explicit", usual), evolved("explicit", 2 * usual)) / tol
    count = math.ceil(usual * min(max(1, excess), 1 << DOUBLINGS))
    return Plan("explicit", count, time / count)


def _rms(a, b):
    """The root mean square of a difference."""
    return math.sqrt(np.square(a - b, dtype=np.float64).mean())
