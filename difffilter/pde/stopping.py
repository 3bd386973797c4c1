"""How hard and how long to diffuse, from the noisy image alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from difffilter.pde import kernels
from difffilter.pde.sample import sample
from difffilter.pde.schemes import SAFETY, Diffusion, plan, stability_bound

__all__ = ["Candidate", "best_candidate"]

# The probe's size, as a share of σ: small against the contrasts that κ tells apart, large
# against float32 rounding.
PROBE = 0.1

# Pixels that the choice looks at. On more, it looks at evenly spread tiles of the image.
ENOUGH = 1 << 19
TILE = {2: (1, 256, 256), 3: (32, 64, 64)}


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
    along the evolution by diffusing y and y + εb side by side.

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
    y, tile = sample(state, ENOUGH, TILE[2 if state.shape[2] == 1 else 3])
    best = None
    for diffusion in diffusions:
        sampled = replace(diffusion, mask=tile(diffusion.mask))
        for time_, risk in _risks(y, sigma, sampled, time):
            if best is None or risk < best.risk:
                best = Candidate(diffusion, time_, risk)
    return best


def _risks(y, sigma, diffusion, time):
    """(time, risk) along one evolution, until the risk has passed its minimum."""
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    sign = sign.astype(y.dtype)
    u = np.concatenate([y, y + y.dtype.type(PROBE * sigma) * sign])
    step = SAFETY * stability_bound(y.shape[2:], diffusion.spacing)
    counts = _counts()
    if time is not None:
        count, step = plan(time, step)
        counts = [count]
    lowest, turn, done = np.inf, 0, 0
    for count in counts:
        diffusion.explicit(u, count - done, step)
        done = count
        squares, products = kernels.row_moments(u, y, sign)
        risk = (squares.sum() + 2 * sigma * products.sum() / PROBE) / y.size - sigma**2
        yield done * step, risk
        if risk < lowest:
            lowest, turn = risk, done
        elif done > 1.3 * turn + 2:
            return


def _counts(most=320):
    """Numbers of steps at which to look: 0, 1, 2, ..., then a tenth more each time."""
    count = 0
    while count <= most:
        yield count
        count += max(1, count // 10)
