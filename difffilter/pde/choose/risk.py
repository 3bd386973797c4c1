"""Choice of the evolution and its stopping time by the least estimated risk (Monte Carlo SURE)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from difffilter.pde.kernels.risk import row_moments
from difffilter.pde.solve.evolution import Evolution, WithFidelity
from difffilter.pde.solve.schemes import Diffusion, cycle_steps
from difffilter.pde.solve.stability import SAFETY, equal_steps, stability_bound
from difffilter.pde.solve.tiles import sample

__all__ = ["least", "least_risk"]

# The size of the probe, as a multiple of σ: small compared with the contrasts that κ separates, and
# large compared with rounding in float32.
PROBE = 0.1

# The largest step, as a share of the time so far, while evolutions are compared. Where the time of
# least risk is long, the image has become so smooth that short steps would tell no more.
COARSE = 0.05


def least_risk(
    state: NDArray,
    sigma: float | NDArray | Callable,
    candidates: Iterable[Evolution],
    time: float | None = None,
    *,
    fidelity: float = 0.0,
    weight: NDArray | None = None,
    shaped: Callable[[NDArray], NDArray] | None = None,
    side_by_side: bool = False,
    rounds: Sequence[tuple[int, dict, int]] | None = None,
) -> tuple[Evolution, float]:
    """Choose the evolution and the stopping time of least risk.

    Stein's unbiased estimate of the mean squared error of f(y), for Gaussian noise of standard
    deviation σ that is independent from pixel to pixel, is the mean over the pixels of

        (f(y) - y)² - σ² + 2 σ² ∂f/∂y,

    where b·(f(y + εσb) - f(y))/(εσ), with one vector b of random signs, estimates the divergence
    [1]_. For noise of covariance C it is that of (f(y) - y)² - C_ii + 2 (C J)_ii, J being the
    Jacobian of f [2]_, and σb has the covariance C. Each candidate evolves y together with y + εσb,
    and the risk is estimated along the way: for all candidates on a small sample of the image, for
    the best of them on a larger one. If σ
    varies from pixel to pixel, it is a factor inside the sums.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The noisy image.
    sigma : float, ndarray (B, C, D, H, W) or callable
        Standard deviation of the noise, above 0: of all pixels, of each, or as a function
        ``sigma(tiles, mask)`` of tiles of the image.
    candidates : iterable of Evolution
        The evolutions to choose from; of equal ones the first wins.
    time : float, optional
        The stopping time; ``None``: chosen as well.
    fidelity : float, default 0
        λ of the fidelity term (see `WithFidelity`).
    weight : ndarray (B, C, D, H, W), optional
        The weight of the squared error of each pixel; ``None``: 1.
    shaped : callable, optional
        Gives white noise ``(N, C, d, h, w)`` of variance 1 the correlation of the image's noise;
        ``None``: that is white.
    side_by_side : bool, default False
        Whether to evolve candidates that are a `Diffusion` together, which takes neither fidelity
        nor weight.
    rounds : sequence of (int, dict, int), optional
        As `OneByOne.ROUNDS`; ``None``: those of how the candidates are evolved.

    Returns
    -------
    tuple of (Evolution, float)
        The evolution, and the stopping time, rounded to four digits if it was chosen.

    References
    ----------
    .. [1] S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of
       regularization parameters for general denoising algorithms", IEEE Trans. Image Processing
       17(9), 2008.
    .. [2] Y. C. Eldar, "Generalized SURE for exponential families: applications to regularization",
       IEEE Trans. Signal Processing 57(2), 2009.
    """
    candidates = list(candidates)
    if rounds is None:
        rounds = (SideBySide if side_by_side else OneByOne).ROUNDS
    for pixels, sides, keep in rounds:
        side = sides[2 if state.shape[2] == 1 else 3]
        y, tile = sample(state, pixels, side, candidates[0].mask)
        deviation: Any = sigma
        if callable(sigma):
            deviation = sigma(y, tile(candidates[0].mask))
        elif isinstance(sigma, np.ndarray):
            deviation = tile(sigma)
        signs = _signs(y)
        probe = signs if shaped is None else shaped(signs)
        found = []
        for group in _groups(candidates, side_by_side):
            tiled = [candidate.tiled(tile) for candidate in group]
            contest = SideBySide if side_by_side and _is_diffusion(group[0]) else OneByOne
            evolving = contest(y, deviation, tiled, fidelity, tile(weight), probe)
            lowest = _follow(evolving, len(group), time)
            found += [(risk, at, each) for (at, risk), each in zip(lowest, group, strict=True)]
        found.sort(key=lambda each: each[0])
        candidates = [candidate for *_, candidate in found[:keep]]
        if y is state:  # the next round would use the same pixels
            break
    _, at, best = found[0]
    return best, (float(f"{at:.4g}") if time is None else time)


def _is_diffusion(candidate):
    return isinstance(candidate, Diffusion)


def _groups(candidates: Sequence, side_by_side: bool) -> Iterable[list]:
    """The candidates to evolve together: diffusions that differ only in κ, or one alone."""
    groups: dict = {}
    for number, each in enumerate(candidates):
        together = side_by_side and _is_diffusion(each)
        groups.setdefault((each.kind, each.presmooth) if together else number, []).append(each)
    return groups.values()


def _follow(evolving, count, time):
    """The time and the value of the least risk of each evolution; stops when all are past it."""
    moving = np.arange(count)
    times, risks = [], []
    for now in evolving.times() if time is None else [time]:
        evolving.advance(now)
        times.append(now)
        risks.append(np.full(count, np.inf))
        risks[-1][moving] = evolving.risks()
        best = np.take(times, np.argmin(risks, axis=0)[moving])
        going = now <= evolving.PATIENCE * best + 2 * evolving.unit
        if not going.any():
            break
        if not going.all():
            moving = moving[going]
            evolving.keep(going)
    return [least(times, risk, evolving.unit) for risk in np.transpose(risks)]


def least(times: Sequence[float], risks: NDArray, unit: float) -> tuple[float, float]:
    """The time and the value of the minimum of the risk.

    The minimum is that of a parabola in log(time + unit) through the least value and its neighbours.

    Parameters
    ----------
    times : sequence of float
        The times in ascending order.
    risks : ndarray
        The risk at each of them; infinity where it was not computed.
    unit : float
        The length of a short step.

    Returns
    -------
    tuple of (float, float)
    """
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
    """The probe b: random signs, the same each time."""
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    return sign.astype(y.dtype)


class OneByOne:
    """Candidates of any kind, each evolved by itself, with and without the probe."""

    # For each round: the number of pixels to sample, the shape of a tile in 2-D and 3-D, and the
    # number of candidates that go on to the next round.
    ROUNDS: ClassVar = (
        (1 << 15, {2: (1, 64, 64), 3: (16, 32, 32)}, 2),
        (1 << 17, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
    )
    # The evolution goes on to this multiple of the time of least risk so far.
    PATIENCE: ClassVar = 1.2
    # The ratio of successive times at which the risk is estimated, and of the last to the first.
    RATIO, LAST = 1.4, 1200

    def __init__(self, y, sigma, group, fidelity, weight, probe):
        [evolution] = group
        self.y, self.sigma, self.probe = y, sigma, probe
        self.weight = 1.0 if weight is None else weight
        self.u = np.concatenate([y, y + PROBE * sigma * probe])
        self.unit = evolution.first
        if fidelity:
            evolution = WithFidelity(evolution, fidelity, self.u.copy())
        self.evolution, self.now = evolution, 0.0
        self.variance = np.mean(self.weight * np.square(sigma), dtype=np.float64)

    def times(self) -> Iterator[float]:
        """The times at which to estimate the risk: 0, then a geometric sequence."""
        yield 0.0
        time = self.unit
        while time < self.LAST * self.unit:
            yield time
            time *= self.RATIO

    def advance(self, to: float) -> None:
        """Evolve to a time."""
        coarse = self.evolution.coarsened(COARSE * self.now)
        self.u = coarse.evolve(self.u, to - self.now)
        self.now = to

    def risks(self) -> NDArray:
        """The estimated mean squared error at the present time, of each evolution."""
        u, v = self.u[: len(self.y)], self.u[len(self.y) :]
        residual = np.mean(self.weight * np.square(u - self.y), dtype=np.float64)
        # σ² times the divergence.
        spread = np.mean(self.weight * self.sigma * self.probe * (v - u), dtype=np.float64) / PROBE
        return residual - self.variance + 2 * spread

    def keep(self, going: NDArray) -> None:
        """Drop the evolutions where `going` is false; here there is only one."""


class SideBySide:
    """Diffusions that differ only in κ, evolved as the images of a single state.

    Diffusion of u with contrast parameter κ equals κ times that of u/κ with contrast parameter 1, so
    one call of the kernel evolves all of them. On small tiles this is several times as fast as a
    call for each.
    """

    ROUNDS: ClassVar = (
        (1 << 15, {2: (1, 64, 64), 3: (8, 16, 16)}, 2),
        (1 << 18, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
    )
    PATIENCE: ClassVar = 1.3
    MOST = 320  # steps

    def __init__(self, y, sigma, group, fidelity, weight, probe):
        self.y, self.variance = y, np.mean(np.square(sigma), dtype=np.float64)
        # What is added, and so multiplies the difference it makes, is σ·b.
        self.probe = (np.asarray(sigma, y.dtype) * probe).astype(y.dtype, copy=False)
        pair = np.stack([y, y + y.dtype.type(PROBE) * self.probe])
        self.kappas = np.asarray([diffusion.kappa for diffusion in group], y.dtype)
        scaled = pair[:, None] / self.kappas[:, None, None, None, None, None]
        self.u = scaled.reshape(-1, *y.shape[1:])
        self.spare = np.empty_like(self.u)
        self.diffusion = replace(group[0], kappa=1.0)
        self.bound = stability_bound(y.shape[2:], self.diffusion.spacing)
        self.unit, self.now = SAFETY * self.bound, 0.0

    def times(self):
        """The times after 0, 1, 2, ... steps, then a third more each time."""
        count = 0
        while count <= self.MOST:
            yield count * self.unit
            count += max(1, count // 3)

    def advance(self, to):
        time = to - self.now
        steps, size = equal_steps(time, self.unit)
        cycle = cycle_steps(time, self.bound)
        if cycle < steps and self.now > 0:  # short compared with `now`: a cycle is accurate enough
            self.u, self.spare = self.diffusion.semi_iterative(self.u, self.spare, 1, cycle, time)
        else:
            self.diffusion.explicit(self.u, steps, size)
        self.now = to

    def risks(self):
        squares, products = (
            rows.reshape(len(self.kappas), -1).sum(axis=1)
            for rows in row_moments(self.u, self.y, self.probe, self.kappas)
        )
        return (squares + 2 * products / PROBE) / self.y.size - self.variance

    def keep(self, going):
        shape = self.y.shape
        self.u = self.u.reshape(2, -1, *shape)[:, going].reshape(-1, *shape[1:])
        self.spare = np.empty_like(self.u)
        self.kappas = self.kappas[going]
