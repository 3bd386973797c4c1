"""How to diffuse and how long, from the noisy image alone: the least risk, by Monte Carlo SURE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from difffilter.pde.kernels.risk import row_moments
from difffilter.pde.solve.evolution import Evolution, WithFidelity
from difffilter.pde.solve.schemes import Diffusion, cycle_steps
from difffilter.pde.solve.stability import SAFETY, equal_steps, stability_bound
from difffilter.pde.solve.tiles import sample

__all__ = ["OneByOne", "SideBySide", "least", "least_risk"]

# The probe's size, as a share of σ: small against the contrasts that κ tells apart, large against
# float32 rounding.
PROBE = 0.1


def least_risk(
    state: NDArray,
    sigma: float | NDArray,
    candidates: Iterable[Evolution],
    time: float | None = None,
    *,
    fidelity: float = 0.0,
    weight: NDArray | None = None,
    contest: type[OneByOne] | type[SideBySide] | None = None,
) -> tuple[Evolution, float]:
    """The evolution and the stopping time of least risk.

    Stein's unbiased estimate of the mean squared error of f(y), for Gaussian noise of standard
    deviation σ that is independent from pixel to pixel, is the mean over the pixels of

        (f(y) - y)² - σ² + 2 σ² ∂f/∂y,

    with b·(f(y + εσb) - f(y))/(εσ) in place of the divergence for one vector b of random signs [1]_.
    It is followed along each evolution by diffusing y and y + εσb beside each other: all
    candidates on a small part of the image, the best of them on a larger one. σ may vary from
    pixel to pixel; it then stands under the sums.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The noisy image.
    sigma : float or ndarray (B, C, D, H, W)
        Standard deviation of its noise, above 0; or that of each pixel.
    candidates : iterable of Evolution
        What to choose from; the first of equals wins.
    time : float, optional
        The stopping time, if it is given; ``None``: chosen as well.
    fidelity : float
        λ of the fidelity term (see `WithFidelity`).
    weight : ndarray (B, C, D, H, W), optional
        How much the squared error of each pixel counts; ``None``: 1.
    contest : type, optional
        How the candidates evolve: `SideBySide` for diffusions, with one σ and neither fidelity nor
        weight; ``None``: `OneByOne`.

    Returns
    -------
    tuple of (Evolution, float)
        The winner, and its time, to four digits if it was chosen.

    References
    ----------
    .. [1] S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of
       regularization parameters for general denoising algorithms", IEEE Trans. Image Processing
       17(9), 2008.
    """
    contest = OneByOne if contest is None else contest
    candidates = list(candidates)
    for enough, sides, keep in contest.ROUNDS:
        y, tile = sample(state, enough, sides[2 if state.shape[2] == 1 else 3])
        deviation = tile(sigma) if isinstance(sigma, np.ndarray) else sigma
        found = []
        for alike in contest.groups(candidates):
            tiled = [candidate.tiled(tile) for candidate in alike]
            evolving = contest(y, deviation, tiled, fidelity, tile(weight))
            lowest = _follow(evolving, len(alike), time)
            found += [(risk, at, each) for (at, risk), each in zip(lowest, alike, strict=True)]
        found.sort(key=lambda each: each[0])
        candidates = [candidate for *_, candidate in found[:keep]]
        if y is state:  # the next round would see no more
            break
    _, at, best = found[0]
    return best, (float(f"{at:.4g}") if time is None else time)


def _follow(evolving, count, time):
    """For each of the evolutions the time of least risk, and that risk; stops when all are past it."""
    moving = np.arange(count)
    times, risks = [], []
    for now in evolving.looks() if time is None else [time]:
        evolving.advance(now)
        times.append(now)
        risks.append(np.full(count, np.inf))
        risks[-1][moving] = evolving.risks()
        turn = np.take(times, np.argmin(risks, axis=0)[moving])
        going = now <= evolving.PATIENCE * turn + 2 * evolving.unit
        if not going.any():
            break
        if not going.all():
            moving = moving[going]
            evolving.keep(going)
    return [least(times, risk, evolving.unit) for risk in np.transpose(risks)]


def least(times: Sequence[float], risks: Sequence[float], unit: float) -> tuple[float, float]:
    """Where and how low the risk is least: by a parabola in log(time + unit) about the least seen."""
    k = int(np.argmin(risks))
    if not 0 < k < len(risks) - 1 or not np.isfinite(risks[k + 1]):
        return times[k], risks[k]
    x, above = np.log(np.asarray(times[k - 1 : k + 2]) + unit), risks[k - 1 : k + 2] - risks[k]
    (left, _, right), (x_left, _, x_right) = above, x - x[1]
    bend = (right / x_right - left / x_left) / (x_right - x_left)
    if bend == 0:
        return times[k], risks[k]
    tilt = right / x_right - bend * x_right
    return math.exp(x[1] - tilt / (2 * bend)) - unit, risks[k] - tilt**2 / (4 * bend)


def _signs(y):
    """b: signs at random, the same each time."""
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    return sign.astype(y.dtype)


class OneByOne:
    """An evolution of any kind of the image and, beside it, of the image with the probe."""

    # On how many pixels, in evenly spread tiles of which side in 2-D and 3-D if the image has more,
    # and how many of the candidates go on.
    ROUNDS: ClassVar = (
        (1 << 15, {2: (1, 64, 64), 3: (16, 32, 32)}, 2),
        (1 << 17, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
    )
    # How far past its minimum the risk is followed.
    PATIENCE: ClassVar = 1.2
    # How much later each look is than the last, and the last than the first.
    LATER, LAST = 1.4, 1200

    def __init__(self, y, sigma, alike, fidelity, weight):
        [evolution] = alike
        self.y, self.sigma, self.sign = y, sigma, _signs(y)
        self.weight = 1.0 if weight is None else weight
        self.u = np.concatenate([y, y + PROBE * sigma * self.sign])
        self.unit = evolution.first
        if fidelity:
            evolution = WithFidelity(evolution, fidelity, self.u.copy())
        self.evolution, self.now = evolution, 0.0
        self.variance = np.mean(self.weight * np.square(sigma), dtype=np.float64)

    @staticmethod
    def groups(candidates: Sequence[Evolution]) -> Iterable[Sequence[Evolution]]:
        """Each alone."""
        return [[candidate] for candidate in candidates]

    def looks(self) -> Iterator[float]:
        """0, then ever larger times."""
        yield 0.0
        time = self.unit
        while time < self.LAST * self.unit:
            yield time
            time *= self.LATER

    def advance(self, to: float) -> None:
        """Evolve until a time."""
        self.u = self.evolution.evolve(self.u, to - self.now)
        self.now = to

    def risks(self) -> NDArray:
        """The estimate of the mean squared error now."""
        u, v = self.u[: len(self.y)], self.u[len(self.y) :]
        residual = np.mean(self.weight * np.square(u - self.y), dtype=np.float64)
        # σ² times the divergence.
        spread = np.mean(self.weight * self.sigma * self.sign * (v - u), dtype=np.float64) / PROBE
        return residual - self.variance + 2 * spread

    def keep(self, going: NDArray) -> None:
        """Go on with some evolutions only; here there is one."""


class SideBySide:
    """Diffusions that differ in κ alone, all in one state.

    With a contrast parameter κ, u moves as u/κ does with one of 1: so one call of the kernel
    evolves all of them, which on small tiles is several times as fast as one call for each.
    """

    ROUNDS: ClassVar = (
        (1 << 15, {2: (1, 64, 64), 3: (8, 16, 16)}, 2),
        (1 << 18, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
    )
    PATIENCE: ClassVar = 1.3
    MOST = 320  # steps

    def __init__(self, y, sigma, alike, fidelity, weight):
        self.y, self.sigma, self.sign = y, sigma, _signs(y)
        pair = np.stack([y, y + y.dtype.type(PROBE * sigma) * self.sign])
        self.kappas = np.asarray([diffusion.kappa for diffusion in alike], y.dtype)
        scaled = pair[:, None] / self.kappas[:, None, None, None, None, None]
        self.u = scaled.reshape(-1, *y.shape[1:])
        self.spare = np.empty_like(self.u)
        self.diffusion = replace(alike[0], kappa=1.0)
        self.bound = stability_bound(y.shape[2:], self.diffusion.spacing)
        self.unit, self.now = SAFETY * self.bound, 0.0

    @staticmethod
    def groups(candidates: Sequence[Diffusion]) -> Iterable[Sequence[Diffusion]]:
        """Lists of those that differ in nothing but κ."""
        groups: dict = {}
        for diffusion in candidates:
            groups.setdefault((diffusion.kind, diffusion.presmooth), []).append(diffusion)
        return groups.values()

    def looks(self):
        """Times after 0, 1, 2, ... steps, then a third more each time."""
        count = 0
        while count <= self.MOST:
            yield count * self.unit
            count += max(1, count // 3)

    def advance(self, to):
        time = to - self.now
        steps, size = equal_steps(time, self.unit)
        cycle = cycle_steps(time, self.bound)
        if cycle < steps and self.now > 0:  # short against what was: a cycle is accurate enough
            self.u, self.spare = self.diffusion.semi_iterative(self.u, self.spare, 1, cycle, time)
        else:
            self.diffusion.explicit(self.u, steps, size)
        self.now = to

    def risks(self):
        squares, products = (
            rows.reshape(len(self.kappas), -1).sum(axis=1)
            for rows in row_moments(self.u, self.y, self.sign, self.kappas)
        )
        return (squares + 2 * self.sigma * products / PROBE) / self.y.size - self.sigma**2

    def keep(self, going):
        shape = self.y.shape
        self.u = self.u.reshape(2, -1, *shape)[:, going].reshape(-1, *shape[1:])
        self.spare = np.empty_like(self.u)
        self.kappas = self.kappas[going]
