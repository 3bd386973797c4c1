"""Schemes for ∂u/∂t = div(g ∇u): explicit steps, fast semi-iterative cycles, implicit steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray

from difffilter.pde.kernels import common as kernels
from difffilter.pde.kernels.common import empty
from difffilter.pde.kernels.implicit import implicit
from difffilter.pde.kernels.pixel_diffusivity import pixel_diffusivity
from difffilter.pde.kernels.presmoothed import MOST_BLURS, evolve_presmoothed
from difffilter.pde.kernels.strips import evolve, pieces, room
from difffilter.pde.solve.evolution import Evolution
from difffilter.pde.solve.stability import SAFETY, equal_steps, stability_bound

__all__ = ["DIFFUSIVITIES", "SCHEMES", "Diffusion", "cycle_steps", "cycle_weights"]

DIFFUSIVITIES = {
    "exponential": kernels.EXPONENTIAL,
    "rational": kernels.RATIONAL,
    "charbonnier": kernels.CHARBONNIER,
    "tukey": kernels.TUKEY,
    "weickert": kernels.WEICKERT,
}

SCHEMES = ("explicit", "fsi", "aos")

# Number of columns that the implicit scheme solves at the same time.
COLUMNS = 128


def cycle_steps(time: float, bound: float) -> int:
    """The number of steps of a cycle that covers a time.

    A cycle of n steps is n(n+1)/3 times as long as an explicit step at the stability bound.

    Examples
    --------
    >>> cycle_steps(2.0, 0.25)
    5
    """
    return max(1, math.ceil(math.sqrt(3 * time / bound + 0.25) - 0.5 - 1e-9))


def cycle_weights(steps: int, time: float) -> tuple[NDArray, float]:
    """The weights α_k of a cycle of the fast semi-iterative scheme, and the step size τ.

    Step k computes α_k (u + τ F(u)) + (1 - α_k) u' from the last two states u and u' [1]_.

    Parameters
    ----------
    steps : int
        Number of steps of the cycle.
    time : float
        Length of the cycle.

    Returns
    -------
    tuple of (ndarray (steps,), float)

    References
    ----------
    .. [1] D. Hafner, P. Ochs, J. Weickert, M. Reißel, S. Grewenig, "FSI schemes: fast
       semi-iterative solvers for PDEs and optimisation methods", GCPR 2016.
    """
    k = np.arange(steps)
    return (4 * k + 2) / (2 * k + 3), 3 * time / (steps * (steps + 1))


@dataclass(frozen=True)
class Diffusion(Evolution):
    """∂u/∂t = div(g ∇u), discretised in space, with a scheme for the time.

    Attributes
    ----------
    kind : int
        Code of the diffusivity (`kernels.CONSTANT` for linear diffusion).
    kappa : float
        Contrast parameter κ, in units of intensity per unit of length.
    presmooth : float
        Standard deviation, in units of length, of the Gaussian by which u is smoothed before the
        gradient is taken; 0: g follows from the difference across each face.
    scheme : {"explicit", "fsi", "aos"}
        Explicit steps, cycles of the fast semi-iterative scheme, additive operator splitting.
    step : float or None
        Largest step, or length of a cycle; ``None``: 0.8 of the stability bound.
    spacing, mask
        As in `Evolution`.
    """

    kind: int = kernels.CONSTANT
    kappa: float = 1.0
    presmooth: float = 0.0
    scheme: str = "explicit"

    @property
    def first(self):
        return 0.02 * min(self.spacing[-2:]) ** 2

    def largest_step(self, volume):
        return self.step or SAFETY * stability_bound(volume, self.spacing)

    def count(self, volume, time):
        count, size = self.steps(volume, time)
        if self.scheme == "fsi":
            count *= cycle_steps(size, stability_bound(volume, self.spacing))
        return count

    def evolve(self, u, time):
        count, size = self.steps(u.shape[2:], time)
        if self.scheme == "explicit":
            self.explicit(u, count, size)
            return u
        spare = empty(u.shape, u.dtype)
        if self.scheme == "aos":
            return self.implicit(u, spare, count, size)[0]
        steps = cycle_steps(size, stability_bound(u.shape[2:], self.spacing))
        return self.semi_iterative(u, spare, count, steps, size)[0]

    def explicit(self, u, steps, step):
        """Take explicit steps of size `step` in place, on a C-contiguous ``u`` (B, C, D, H, W)."""
        self._evolve(u, u, steps, np.ones(1), step)

    def semi_iterative(self, u, spare, cycles, steps, time):
        """Take cycles of the fast semi-iterative scheme, of `steps` steps and length `time` each.

        Both ``u`` and ``spare`` are overwritten; returns the one with the result, and the other.
        """
        if steps == 1:
            self.explicit(u, cycles, time)
            return u, spare
        alpha, step = cycle_weights(steps, time)
        return self._evolve(u, spare, cycles * steps, alpha, step)

    def implicit(self, u, spare, steps, step):
        """Take steps by additive operator splitting: (1/d) Σ_axes (1 - d τ A_axis)⁻¹ u.

        Both ``u`` and ``spare`` are overwritten; returns the one with the result, and the other.
        """
        axes = [axis for axis in range(3) if u.shape[2 + axis] > 1]
        inverse, mask = self._inverse(u.dtype), self._mask()
        workers = numba.get_num_threads()
        weights = np.empty((workers, 3, COLUMNS), u.dtype)
        for _ in range(steps if axes else 0):
            g, place = self._diffusivity(u), -2
            self._update(g, u, spare)
            spare[:] = 0
            for axis in axes:
                rate = u.dtype.type(len(axes) * step / self.spacing[axis] ** 2)
                # Transposed so that this axis takes the place of y. Transposing g again each time,
                # rather than from the original, saves the memory of a third copy.
                g = np.ascontiguousarray(np.swapaxes(np.swapaxes(g, place, -2), axis - 3, -2))
                place = axis - 3
                solved, turned_mask = (np.swapaxes(array, place, -2).copy() for array in (u, mask))
                ratio = np.empty((workers, solved.shape[-2], COLUMNS), u.dtype)
                implicit(solved, self.kind, inverse[axis], rate, g, turned_mask, ratio, weights)
                spare += np.swapaxes(solved, place, -2)
                del solved, turned_mask  # freed before the next ones are allocated
            spare /= len(axes)
            u, spare = spare, u
        return u, spare

    def _evolve(self, u, v, steps, alpha, step):
        """Take steps as `strips.evolve` does; returns the array with the result, and the other."""
        rate = (alpha[:, None] * step / np.square(self.spacing)).astype(u.dtype)
        alpha, inverse, mask = alpha.astype(u.dtype), self._inverse(u.dtype), self._mask()
        workers = numba.get_num_threads()
        blurs, blur = self._blur(u)
        in_one_pass = self.mask is None and blurs <= MOST_BLURS[3 if u.shape[2] > 1 else 2]
        if self._presmoothed and in_one_pass:
            blur_rate = (blur / np.square(self.spacing)).astype(u.dtype)
            result = evolve_presmoothed(
                u, v, steps, blurs, alpha, self.kind, inverse / 4, rate, blur_rate, workers
            )
            return (u, v) if result is u else (v, u)
        g = self._diffusivity(u)
        strips, at_once = pieces(u.shape, u.itemsize * (1 if v is u else 2), workers)
        together = 1 if len(g) else max(1, steps)  # a new g for each step
        slopes, space = room(u.shape, u.dtype, strips, min(at_once, together), workers)
        smooth = empty(u.shape, u.dtype) if len(g) else None
        for done in range(0, steps, together):
            self._update(g, u, smooth)
            evolve(u, v, done % len(alpha), min(together, steps), alpha, self.kind, inverse,
                           rate, g, mask, slopes, space)  # fmt: skip
            if together % 2:
                u, v = v, u
        return u, v

    def _inverse(self, dtype):
        """1/(κh)² for the axes z, y, x."""
        # The limits, far beyond any contrast, keep it from vanishing or overflowing in float32.
        inverse = (self.kappa * np.asarray(self.spacing)) ** -2.0
        return np.clip(inverse, np.finfo(dtype).tiny, 1e37).astype(dtype)

    def _mask(self):
        return np.empty((0, 0, 0, 0), np.bool_) if self.mask is None else self.mask

    @property
    def _presmoothed(self):
        """Whether g is computed at pixels rather than at faces."""
        return self.presmooth > 0 and self.kind != kernels.CONSTANT

    def _diffusivity(self, u):
        """An uninitialised array for g at each pixel; empty if it is not needed."""
        return empty((len(u) if self._presmoothed else 0, *u.shape[2:]), u.dtype)

    def _update(self, g, u, smooth):
        """Write the diffusivity of the presmoothed ``u`` to ``g``; ``smooth`` is scratch."""
        if len(g):
            self.smooth(u, smooth)
            inverse = self._inverse(u.dtype) / 4
            workers = numba.get_num_threads()
            pixel_diffusivity(smooth, self.kind, inverse, self._mask(), g, workers)

    def smooth(self, u, result):
        """Write ``u``, smoothed by a Gaussian of standard deviation `presmooth`, to ``result``.

        The smoothing is the heat equation at time presmooth²/2, which respects mask and border.
        """
        np.copyto(result, u)
        replace(self, kind=kernels.CONSTANT).explicit(result, *self._blur(u))

    def _blur(self, u):
        """The number of steps of `smooth`, and their size."""
        # With half the stable step, no frequency gets a negative factor.
        return equal_steps(self.presmooth**2 / 2, stability_bound(u.shape[2:], self.spacing) / 2)
