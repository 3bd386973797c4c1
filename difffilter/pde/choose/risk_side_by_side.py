"""How hard and how long to diffuse, from the noisy image alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import parallel
from difffilter.pde.solve.schemes import SAFETY, Diffusion, plan, stability_bound
from difffilter.pde.solve.steps import cycle_steps
from difffilter.pde.solve.tiles import sample

__all__ = ["Candidate", "best_candidate", "least"]

# The probe's size, as a share of σ: small against the contrasts that κ tells apart, large
# against float32 rounding.
PROBE = 0.1

# Rounds of the choice: on how many pixels, in evenly spread tiles of which side in 2-D and 3-D if
# the image has more, and how many of the candidates go on.
ROUNDS = (
    (1 << 15, {2: (1, 64, 64), 3: (8, 16, 16)}, 2),
    (1 << 18, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
)


@dataclass(frozen=True)
class Candidate:
    """A way to diffuse and when to stop.

    Attributes
    ----------
    diffusion : Diffusion
    time : float
        In units of the PDE.
    risk : float
        Estimate of the mean squared error at that time.
    """

    diffusion: Diffusion
    time: float
    risk: float


def best_candidate(state, sigma, diffusions, time=None):
    """The diffusion and the stopping time of least risk, by Monte Carlo SURE.

    Stein's unbiased estimate of the mean squared error of f(y), for white Gaussian noise, is

        ‖f(y) - y‖²/N - σ² + 2σ² · bᵀ(f(y + εb) - f(y)) / (εN)

    with a fixed vector b of random signs standing in for the divergence of f [1]_. It is followed
    along the evolution by diffusing y and y + εb side by side, all candidates on a small part of
    the image and the best of them on a larger one.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The noisy image.
    sigma : float
        Standard deviation of its noise, above 0.
    diffusions : iterable of Diffusion
        What to choose from; the first of equals wins.
    time : float, optional
        The stopping time, if it is settled; ``None``: it is chosen as well.

    Returns
    -------
    Candidate

    References
    ----------
    .. [1] S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE: a black-box optimization of
       regularization parameters for general denoising algorithms", IEEE Trans. Image Processing
       17(9), 2008.
    """
    candidates = list(diffusions)
    for enough, sides, keep in ROUNDS:
        y, tile = sample(state, enough, sides[2 if state.shape[2] == 1 else 3])
        found = []
        for alike in _but_for_contrast(candidates):
            sampled = replace(alike[0], mask=tile(alike[0].mask))
            kappas = [diffusion.kappa for diffusion in alike]
            lowest = _least_risks(y, sigma, sampled, kappas, time)
            found += [
                Candidate(diffusion, *at) for diffusion, at in zip(alike, lowest, strict=True)
            ]
        found.sort(key=lambda candidate: candidate.risk)
        candidates = [candidate.diffusion for candidate in found[:keep]]
        if y is state:
            break
    return found[0]


def _but_for_contrast(diffusions):
    """Lists of those that differ in nothing but κ."""
    groups = {}
    for diffusion in diffusions:
        groups.setdefault((diffusion.kind, diffusion.presmooth), []).append(diffusion)
    return groups.values()


def _least_risks(y, sigma, diffusion, kappas, time):
    """For each κ the time of least risk, and that risk.

    All evolve side by side: with a contrast parameter κ, u moves as u/κ does with one of 1.
    """
    count = len(y)
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    sign = sign.astype(y.dtype)
    pair = np.stack([y, y + y.dtype.type(PROBE * sigma) * sign])
    kappas = np.asarray(kappas, y.dtype)
    u = (pair[:, None] / kappas[:, None, None, None, None, None]).reshape(-1, *y.shape[1:])
    diffusion = replace(diffusion, kappa=1.0)
    bound = stability_bound(y.shape[2:], diffusion.spacing)
    step = SAFETY * bound
    moving = np.arange(len(kappas))
    times, risks = [], []
    spare, now = np.empty_like(u), 0.0
    for look in _looks(step) if time is None else [time]:
        steps, size = plan(look - now, step)
        cycle = cycle_steps(look - now, bound)
        if cycle < steps and now > 0:  # short against what was: a cycle is accurate enough
            u, spare = diffusion.semi_iterative(u, spare, 1, cycle, look - now)
        else:
            diffusion.explicit(u, steps, size)
        now = look
        squares, products = (
            rows.reshape(len(moving), -1).sum(axis=1)
            for rows in row_moments(u, y, sign, kappas[moving])
        )
        times.append(now)
        risks.append(np.full(len(kappas), np.inf))
        risks[-1][moving] = (squares + 2 * sigma * products / PROBE) / y.size - sigma**2
        turn = np.take(times, np.argmin(risks, axis=0)[moving])
        going = now <= 1.3 * turn + 2 * step
        if not going.any():
            break
        if not going.all():
            moving = moving[going]
            u = u.reshape(2, -1, count, *y.shape[1:])[:, going].reshape(-1, *y.shape[1:])
            spare = np.empty_like(u)
    return [least(times, risk, step) for risk in np.transpose(risks)]


def _looks(step, most=320):
    """Times to look at: after 0, 1, 2, ... steps, then a third more each time."""
    count = 0
    while count <= most:
        yield count * step
        count += max(1, count // 3)


def least(times, risks, unit):
    """Where and how low the risk is least: of a parabola in log(time + unit) about the least one seen."""
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


@parallel(fastmath={"contract", "reassoc"})
def row_moments(u, y, b, scale):
    """Row by row, Σ (s u - y)² and Σ b·(s u' - s u) for some evolutions, each with a scale s.

    ``y`` and ``b`` are (N, C, D, H, W), ``u`` holds first N images for each evolution, then as
    many u' again.
    """
    count, channels, depth, height, width = y.shape
    runs, rows = len(scale), channels * depth * height
    squares, products = np.empty(runs * count * rows), np.empty(runs * count * rows)
    for job in prange(runs * count * rows):
        k, row = job // rows, job % rows
        c, z, h = row // (depth * height), row // height % depth, row % height
        p, r = u[k, c, z, h], u[runs * count + k, c, z, h]
        o, s = y[k % count, c, z, h], b[k % count, c, z, h]
        square = product = y.dtype.type(0.0)
        factor = scale[k // count]
        for i in range(width):
            d = factor * p[i] - o[i]
            square += d * d
            product += s[i] * (r[i] - p[i])
        squares[job] = square
        products[job] = factor * product
    return squares, products
