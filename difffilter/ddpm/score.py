"""The score ∇ log p of noisy images, and two samplers that follow it.

The score of the density of y = x_0 + σ̃ ε is −ε_θ/σ̃. Langevin dynamics climbs it with noise of its
own at one level σ̃ after the other; the probability flow is an ordinary differential equation that
carries the density of one level into that of another, without noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.process import NoisePredictor, predict_noise, white_noise
from difffilter.ddpm.schedule import NoiseSchedule

__all__ = ["langevin", "probability_flow", "score"]


def score(
    eps_theta: NoisePredictor, y: Tensor, sigma_tilde: float, schedule: NoiseSchedule
) -> Tensor:
    """∇_y log p(y) = −ε_θ(√ᾱ_t y, t)/σ̃ of the density p of noisy images, where σ̃_t = σ̃.

    It points from y to the posterior mean: E[x_0 | y] = y + σ̃² ∇ log p(y) (Tweedie's formula).

    Parameters
    ----------
    eps_theta : callable
        ``eps_theta(x, t)`` with x (B, ...) and t (B,) predicts the noise in x = x_t.
    y : Tensor (B, ...)
        Noisy images x_0 + σ̃ ε with x_0 in [−1, 1].
    sigma_tilde : float
        Standard deviation of their noise, above 0.
    schedule : NoiseSchedule

    Returns
    -------
    Tensor
        Shaped like `y`.

    Raises
    ------
    TypeError, ValueError
        If σ̃ is not a number, not above 0, or beyond the schedule.

    References
    ----------
    Song et al., "Score-based generative modeling through stochastic differential equations",
    ICLR 2021.

    Examples
    --------
    Standard normal pixels with noise of variance 1 have variance 2, and the score −y/2:

    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> schedule = NoiseSchedule()
    >>> def eps_theta(x, t):  # x_t is standard normal at all t
    ...     return (1 - torch.from_numpy(schedule.alpha_bar(t))).sqrt() * x
    >>> score(eps_theta, torch.ones(1, 1), 1.0, schedule)
    tensor([[-0.5000]], dtype=torch.float64)
    """
    sigma = check_number("sigma_tilde", sigma_tilde, above=0)
    return -noise_at(eps_theta, y, sigma, schedule) / sigma


def langevin(
    eps_theta: NoisePredictor,
    y: Tensor,
    sigma_tilde: float | Sequence[float] | NDArray,
    schedule: NoiseSchedule,
    *,
    steps: int,
    step: float = 0.2,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw noisy images by Langevin dynamics at one level σ̃, or annealed over several.

    Any y will do as a start, given enough steps. Over levels that fall from that of pure noise,
    each starts from the samples of the one before; at a low level alone the chain hardly leaves
    the mode next to it.

    Parameters
    ----------
    eps_theta : callable
        ``eps_theta(x, t)`` with x (B, ...) and t (B,) predicts the noise in x = x_t.
    y : Tensor (B, ...)
        Start of the chains, such as noisy images or `pure_noise`.
    sigma_tilde : float, sequence of float or ndarray (L,)
        Standard deviation of the noise, above 0, or several that fall, such as
        ``schedule.levels(start, steps, end)``.
    schedule : NoiseSchedule
    steps : int
        Number of steps at each level; Song & Ermon take 100.
    step : float, default 0.2
        Length of a step in units of σ̃², at most 2, which goes all the way to the posterior mean
        before noise is added. Longer steps need fewer, but the variance of the samples is too
        large by a share of up to step/(4 − step), which it reaches where the clean images do not
        vary. The default is that of Song & Ermon.
    generator : torch.Generator, optional
        Source of the noise, which is drawn on its device. ``None``: PyTorch's global one.

    Returns
    -------
    Tensor
        Samples of the density of x_0 + σ̃ ε at the last level, shaped like `y`. `posterior_mean`
        removes their noise.

    Raises
    ------
    TypeError, ValueError
        If the levels are not above 0, do not fall or are beyond the schedule, `steps` is below 1,
        or `step` is outside (0, 2].

    Notes
    -----
    Each step is unadjusted:

        y ← y + step σ̃²/2 · ∇ log p(y) + √step σ̃ z,    z ~ N(0, I).

    References
    ----------
    Song & Ermon, "Generative modeling by estimating gradients of the data distribution",
    NeurIPS 2019, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> schedule = NoiseSchedule()
    >>> def eps_theta(x, t):  # x_t is standard normal at all t
    ...     return (1 - schedule.alpha_bar(float(t[0]))) ** 0.5 * x
    >>> generator = torch.Generator().manual_seed(0)
    >>> levels = schedule.levels(9, 4, end=1)
    >>> y = torch.zeros(10_000, 1)
    >>> samples = langevin(eps_theta, y, levels, schedule, steps=50, generator=generator)
    >>> round(float(samples.std()), 1)  # √(1 + σ̃²)
    1.4
    """
    levels = np.atleast_1d(np.asarray(sigma_tilde, dtype=np.float64))
    if (
        levels.ndim != 1
        or not levels.size
        or not np.all(levels > 0)
        or np.any(np.diff(levels) >= 0)
    ):
        raise ValueError(
            f"sigma_tilde is {sigma_tilde}; expected a number > 0, or several that fall"
        )
    schedule.step_of(levels)  # refuses levels beyond the schedule before the first step
    check_whole("steps", steps, least=1)
    check_number("step", step, above=0, most=2)
    for sigma in levels.tolist():
        for _ in range(steps):
            drift = step * sigma**2 / 2 * score(eps_theta, y, sigma, schedule)
            y = y + drift + step**0.5 * sigma * white_noise(y, generator)
    return y


def probability_flow(
    eps_theta: NoisePredictor,
    y: Tensor,
    sigma_tilde: float,
    schedule: NoiseSchedule,
    *,
    steps: int,
    end: float = 0.0,
) -> Tensor:
    """Solve dy/dσ̃ = −σ̃ ∇ log p(y) = ε_θ from σ̃ to another level, by Heun's method.

    The flow carries samples of the density of x_0 + σ̃ ε at one level into samples at the other:
    noise into images and, with `end` above σ̃, images into their noise. It is deterministic, and
    the way back ends where it began, but for the error of the steps.

    Parameters
    ----------
    eps_theta : callable
        ``eps_theta(x, t)`` with x (B, ...) and t (B,) predicts the noise in x = x_t.
    y : Tensor (B, ...)
        Noisy images x_0 + σ̃ ε with x_0 in [−1, 1], or `pure_noise`, whose σ̃ is σ̃_T.
    sigma_tilde : float
        Standard deviation of their noise, above 0.
    schedule : NoiseSchedule
    steps : int
        Number of steps, evenly spaced in log σ̃ as in `NoiseSchedule.levels`. Each takes two
        evaluations of `eps_theta`, the one that ends at 0 a single one.
    end : float, default 0
        Standard deviation of the noise at the end.

    Returns
    -------
    Tensor
        Shaped like `y`.

    Raises
    ------
    TypeError, ValueError
        If σ̃ is not above 0 or beyond the schedule, `end` is below 0 or beyond it, or `steps` is
        below 1.

    See Also
    --------
    reverse : The same flow by DPM-Solver++, which is more accurate where evaluations are few. From
        pure noise, Heun's method needs 10 steps with the linear schedule and 20 with the cosine one
        to end near the images at all.

    References
    ----------
    Karras et al., "Elucidating the design space of diffusion-based generative models", NeurIPS
    2022, algorithm 1.

    Examples
    --------
    The flow shrinks standard normal pixels with noise of variance 1 by a factor of √2:

    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> schedule = NoiseSchedule()
    >>> def eps_theta(x, t):  # x_t is standard normal at all t
    ...     return (1 - schedule.alpha_bar(float(t[0]))) ** 0.5 * x
    >>> y = torch.full((1, 1), 2.0**0.5)
    >>> round(float(probability_flow(eps_theta, y, 1.0, schedule, steps=50)), 3)
    1.0
    """
    sigma = check_number("sigma_tilde", sigma_tilde, above=0)
    check_number("end", end, least=0, most=float(schedule.sigma_tilde(schedule.T)))
    for here, there in pairwise(schedule.levels(sigma, steps, end).tolist()):
        slope = noise_at(eps_theta, y, here, schedule)
        step = there - here
        ahead = y + step * slope
        if there > 0:  # at 0, where ε is not defined, the step is Euler's
            slope = (slope + noise_at(eps_theta, ahead, there, schedule)) / 2
            ahead = y + step * slope
        y = ahead
    return y


def noise_at(eps_theta: NoisePredictor, y: Tensor, sigma: float, schedule: NoiseSchedule) -> Tensor:
    """ε_θ at the step whose noise is σ̃."""
    return predict_noise(eps_theta, y, float(schedule.step_of(sigma)), schedule)
