"""The base class of the PDE filters: from an image to its solution at the time of least risk."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_number
from difffilter.denoiser import Denoiser, rounded
from difffilter.image import filled_beyond, unmasked
from difffilter.noise.estimation import EXPONENTS
from difffilter.noise.model import Sigma
from difffilter.pde.choose.kappa import check_kappa, contrast
from difffilter.pde.choose.risk import least_risk
from difffilter.pde.kernels.threads import threads_for
from difffilter.pde.problem import Problem, arrays_only, pose, with_ample_range
from difffilter.pde.solve.evolution import Evolution, WithFidelity
from difffilter.pde.solve.halo import explicit_halo, steps_taken
from difffilter.pde.solve.stability import check_step
from difffilter.pde.solve.state import as_state, check_spacing

__all__ = ["Callback", "PDEFilter", "Spacing"]

# h for each spatial axis, or one for all; ``None``: 1.
Spacing = float | Sequence[float] | None

# Called as callback(time, image); a true value stops the evolution.
Callback = Callable[[float, Any], Any] | None

# The least tolerance: its square does not vanish.
LEAST = 1e-150

# The standard deviation of the Gaussian for local means, in pixels.
LOCAL = 1.5


class PDE(Denoiser):
    """A method that lets the image evolve, as a Denoiser.

    A subclass says how to pose the `Problem` (`_pose`), how to set what is ``None`` (`_settle`) and
    how to solve it (`_solution`).
    """

    takes_models: ClassVar[bool] = True

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return self.solve(noisy, sigma, channel_axis=channel_axis)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        if self.is_settled():
            return self
        problem = self._pose(noisy, sigma, channel_axis)
        with threads_for(problem.size):
            return self._settle(problem)[0]

    def solve(
        self,
        image: ArrayLike,
        sigma: Sigma | None = None,
        *,
        channel_axis: int | None = None,
        mask: ArrayLike | None = None,
        callback: Callback = None,
        full_output: bool = False,
    ) -> Any:
        """The filtered image and, with `full_output`, a dict of what was chosen.

        Parameters are those of the filter's function.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback is {callback!r}; expected a function of time and image")
        given, mask = unmasked(image, mask, channel_axis)
        filled = filled_beyond(given, mask, channel_axis)
        problem = self._pose(filled, sigma, channel_axis, mask)
        with threads_for(problem.size):
            chosen, evolution = self._settle(problem)
            result, found = chosen._solution(problem, evolution, callback)
        if filled is not given:
            result = np.where(np.isfinite(given), result, given.astype(result.dtype))
        if not full_output:
            return result
        return result, {"sigma": None} | chosen.parameters | {"sigma": problem.sigma} | found

    def _pose(self, image: Any, sigma: Any, channel_axis: Any, mask: Any = None) -> Problem:
        """The problem of filtering an image."""
        raise NotImplementedError

    def _settle(self, problem: Problem) -> tuple[Any, Any]:
        """This method with every parameter set, and the evolution of the image."""
        raise NotImplementedError

    def _solution(
        self, problem: Problem, evolution: Any, callback: Callback
    ) -> tuple[Any, dict[str, Any]]:
        """The image, and a dict with the time that was reached and the number of time steps."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PDEFilter(PDE):
    """A PDE ∂u/∂t = F(u) as a Denoiser.

    A subclass is a frozen dataclass with the fields ``time``, ``fidelity`` and ``spacing`` and one
    for each parameter of F. It names those that ``None`` leaves to be chosen in ``CHOSEN``, and
    makes the evolutions to choose from in `evolutions`.
    """

    CHOSEN: ClassVar[tuple[str, ...]] = ()
    # Parameters in units of intensity that are this share of the image's range if they are None.
    OF_RANGE: ClassVar[dict[str, float]] = {}
    RADIUS: ClassVar[int | None] = None  # radius in pixels of an explicit step's stencil
    # The limits of parameters, for filters that have one of this name.
    LIMITS: ClassVar[dict[str, dict[str, float]]] = {
        "time": {"least": 0},
        "fidelity": {"least": 0},
        "presmooth": {"least": 0},
        "integration": {"least": 0},
        "alpha": {"above": 0, "most": 1},
        "epsilon": {"above": 0},
        "q0": {"above": 0},
        "step": {"above": 0},
        "tol": {"above": 0},
    }

    if TYPE_CHECKING:  # every filter declares these fields, in an order of its own
        time: float | None
        fidelity: float
        spacing: Spacing

    def __post_init__(self):
        optional = {field.name for field in fields(self) if field.default is None}
        for name, value in self.parameters.items():
            if name in self.LIMITS and not (value is None and name in optional):
                check_number(name, value, **self.LIMITS[name])
            if name == "kappa":
                check_kappa(value)

    def evolutions(self, spacing: tuple[float, ...], sigma: float) -> list[Evolution]:
        """The evolutions to choose from, given h for the axes z, y, x, and σ."""
        raise NotImplementedError

    # --- the contract ---------------------------------------------------------------------------

    def choose_weighted(self, noisy, sigma, *, channel_axis=None, weight=None, deviation=None):
        if self.is_settled():
            return self
        problem = self._pose(noisy, sigma, channel_axis)
        problem.weight, problem.deviation = weight, deviation
        with threads_for(problem.size):
            return self._settle(problem)[0]

    def is_settled(self, sigma=None):
        given = self.parameters
        return given["time"] is not None and not any(
            given[name] is None or (name == "kappa" and isinstance(given[name], str))
            for name in (*self.CHOSEN, *self.OF_RANGE)
        )

    def halo(self, axes):
        if not self.is_settled():
            raise ValueError(f"{self!r} has parameters that are not set; call choose first")
        return self._halo(check_spacing(self.spacing, axes))

    def _halo(self, spacing: tuple[float, ...]) -> tuple[int, ...] | None:
        """The halo of settled parameters, given h for each spatial axis; here of explicit steps."""
        if self.RADIUS is None:
            return None
        step = check_step(self.parameters["step"], (2,) * len(spacing), spacing)
        time = self.time or 0.0
        steps, _ = steps_taken(time, step, self.fidelity)
        return explicit_halo(steps, self.RADIUS, time, spacing, widen=2)

    @property
    def autonomous(self):
        return not self.fidelity  # which refers to the first image

    def warm_up(self, dtype=np.float32):
        # A plane will do: its kernels are the volumes' as well, or compile quickly.
        replace(self, time=0.1, spacing=None)(np.eye(16, dtype=dtype), 0.1)

    def _differentiated(self, noisy, sigma, channel_axis):
        """`with_gradient` of filters that take tensors: only the evolution is recorded."""
        problem = self._pose(noisy.detach(), sigma, channel_axis)
        with threads_for(problem.size):
            chosen, evolution = self._settle(problem)
        problem = problem.with_gradient(noisy)
        problem.backend.check(chosen.parameters["scheme"], fidelity=chosen.fidelity)
        return chosen._solution(problem, evolution, None)[0]

    # --- from an image to its solution ----------------------------------------------------------

    def _solution(self, problem, evolution, callback):
        u, time, moving = problem.state, self.time, evolution
        if self.fidelity:
            moving = WithFidelity(evolution, self.fidelity, problem.backend.copy(u))
        if callback is None:
            u = problem.backend.evolve(moving, u, time)
        else:
            u, time = _watched(problem, moving, u, time, callback)
        # (Steps that are counted one by one may be longer than those of a shorter time.)
        _, size = evolution.steps(problem.volume, self.time)
        steps = evolution.with_step(size).count(problem.volume, time) if size else 0
        return problem.as_image(u), {"time": time, "steps": steps}

    def _pose(self, image, sigma, channel_axis, mask=None) -> Problem:
        arrays_only(image)
        problem = pose(
            image, sigma, channel_axis, spacing=self.spacing, mask=mask, noise=self.noise
        )
        return with_ample_range(problem)

    def _evolutions(self, problem, sigma):
        """`evolutions` within the problem's mask."""
        found = self.evolutions(problem.spacing, sigma)
        if problem.mask is None:
            return found
        return [replace(evolution, mask=problem.mask) for evolution in found]

    def _settle(self, problem: Problem) -> tuple[Any, Evolution]:
        """This filter with nothing left to choose, and its evolution."""
        tolerances = self.tolerances(problem)
        if tolerances:
            return self.replace(**tolerances)._settle(problem)
        kappa = self.parameters.get("kappa")
        if isinstance(kappa, str):
            sigma = problem.strength() if kappa == "sigma" else problem.sigma
            kappa = contrast(kappa, problem.state, sigma, problem.spacing, mask=problem.mask)
            return self.replace(kappa=kappa)._settle(problem)
        if self.is_settled():
            return self, self._evolutions(problem, 1.0)[0]
        sigma = problem.strength()
        if sigma == 0:  # nothing to remove
            evolution, time = self._evolutions(problem, 1.0)[0], self.time or 0.0
        else:
            evolution, time = least_risk_of(
                problem, self.candidates(problem), self.time, fidelity=self.fidelity
            )
        return self.settled_as(problem, evolution, time)

    def candidates(self, problem: Problem) -> list[Evolution]:
        """The evolutions to choose from for an image with noise."""
        # κ is held against a gradient that adds up over the channels, as does its noise.
        together = math.sqrt(problem.channels) if "kappa" in self.CHOSEN else 1.0
        ready = self.replace(**self.tolerances(problem))
        return ready._evolutions(problem, together * problem.strength())

    def settled_as(self, problem: Problem, evolution: Any, time: float) -> tuple[Any, Evolution]:
        """This filter with the parameters of a candidate, and its evolution."""
        given = self.parameters
        chosen = {name: getattr(evolution, name) for name in self.CHOSEN if given[name] is None}
        return replace(self, time=time, **chosen, **self.tolerances(problem)), evolution

    def tolerances(self, problem: Problem) -> dict[str, float]:
        """The parameters that follow from the image's range."""
        return {
            name: max(rounded(share * problem.intensity_range), LEAST)
            for name, share in self.OF_RANGE.items()
            if self.parameters[name] is None
        }


def _watched(problem, evolution, u, time, callback):
    """One step after the other, until the end or the callback says stop; the state, and its time."""
    count, size = evolution.steps(problem.volume, time)
    evolution = evolution.with_step(size)
    for done in range(1, count + 1):
        u = problem.backend.evolve(evolution, u, size)
        if callback(done * size, problem.as_image(problem.backend.copy(u))):
            return u, done * size
    return u, count * size


def least_risk_of(
    problem: Problem,
    candidates: Sequence[Evolution],
    time: float | None = None,
    *,
    fidelity: float = 0.0,
    **options: Any,
) -> tuple[Any, float]:
    """`least_risk` for the image and the noise of a problem, which has some."""
    sigma = problem.strength()  # which estimates the model as well
    model = problem.model
    return least_risk(
        problem.host_state,
        local_deviation(problem, sigma),
        candidates,
        time,
        fidelity=fidelity,
        weight=problem.as_state(problem.weight),
        shaped=None if model is None or model.white else model.shaped,
        **options,
    )


def local_deviation(problem: Problem, sigma: float) -> float | NDArray | Callable:
    """The standard deviation of the noise: σ, or at each pixel that of a map or of a local mean.

    Returns
    -------
    float, ndarray (B, C, D, H, W), or callable
        A function of tiles of the state and of their mask.
    """
    if problem.deviation is not None:
        return as_state(problem.deviation, problem.channel_axis, coupled=problem.coupled)
    exponent, model = EXPONENTS[problem.noise], problem.model
    if exponent == 0 and (model is None or model.uniform):
        return sigma
    widths = [LOCAL * min(problem.spacing[-2:]) / h for h in problem.spacing]

    def of_mean(tiles, mask):
        mean = local_mean(tiles, widths, mask)
        if model is None:
            return mean.dtype.type(sigma) * np.clip(mean, 0, None) ** mean.dtype.type(exponent)
        if problem.coupled:
            return model.deviation(mean, channel_axis=1)
        apart = mean.reshape(problem.channels, -1, *mean.shape[2:])
        return model.deviation(apart, channel_axis=0).reshape(mean.shape)

    return of_mean


def local_mean(tiles: NDArray, widths: Sequence[float], mask: NDArray | None) -> NDArray:
    """The Gaussian mean around each pixel of tiles ``(N, C, d, h, w)``, of those in the mask."""
    from scipy.ndimage import gaussian_filter

    def blurred(a):
        return gaussian_filter(a, (0, 0, *widths), mode="reflect", truncate=3.0)

    mean = blurred(tiles)
    if mask is not None:  # beyond it the state is 0
        share = blurred(mask[:, None].astype(tiles.dtype))[np.arange(len(tiles)) % len(mask)]
        mean /= np.maximum(share, np.finfo(tiles.dtype).tiny)
    return mean
