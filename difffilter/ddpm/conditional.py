"""The process of an image of which some pixels are known, in y = x_t/√ᾱ_t = x_0 + σ̃_t ε."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.ddpm.process import (
    NoisePredictor,
    posterior_mean,
    predict_noise,
    reverse_path,
    white_noise,
)
from difffilter.ddpm.schedule import NoiseSchedule

__all__ = ["Conditional", "Turning", "draw", "most_probable"]


# Of known pixels without noise, the details that the network took away come back so many times: once leaves
# holes too smooth, twice makes them rough.
FEEDBACK = 1.5


class Conditional:
    """The noise ε in y, given its known pixels: a predictor for the reverse process.

    Parameters
    ----------
    eps_theta : callable
        The predictor of the prior, ``eps_theta(x, t)``.
    values : Tensor (B, ...)
        Values of known pixels, in [−1, 1]; of others, anything finite.
    known : bool Tensor
        Shaped like `values`.
    schedule : NoiseSchedule
    noise : float, default 0
        Standard deviation σ̃_n of the noise of known pixels.
    """

    def __init__(
        self,
        eps_theta: NoisePredictor,
        values: Tensor,
        known: Tensor,
        schedule: NoiseSchedule,
        noise: float = 0.0,
    ) -> None:
        self.eps_theta = eps_theta
        self.values = values
        self.known = known
        self.schedule = schedule
        self.noise = noise
        self.found = torch.zeros_like(values)  # in known pixels, by the last call

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        step = float(t[0])
        sigma = float(self.schedule.sigma_tilde(step))
        y = x / self.schedule.alpha_bar(step) ** 0.5
        weight = trust(sigma, self.noise)
        seen = y + weight * (self.values - y) + sigma * self.found
        seen = torch.where(self.known, seen, y)
        eps = predict_noise(self.eps_theta, seen, step, self.schedule)
        self.found = weight * eps
        x0 = self.values if self.noise == 0 else seen - sigma * eps
        return torch.where(self.known, (y - x0) / sigma, eps)


class Turning:
    """A predictor that sees each call's images (..., H, W) in another of their eight orientations.

    Errors of a network that depend on the orientation cancel over the steps of a process.

    Parameters
    ----------
    eps_theta : callable
        The predictor, ``eps_theta(x, t)``.
    """

    def __init__(self, eps_theta: NoisePredictor) -> None:
        self.eps_theta = eps_theta
        self.calls = 0

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        quarters = 3 * self.calls % 8  # from the fifth on, mirrored
        flipped, plane = quarters >= 4, (-2, -1)
        self.calls += 1
        x = torch.rot90(x.flip(-1) if flipped else x, quarters, plane)
        eps = torch.rot90(self.eps_theta(x, t), -quarters, plane)
        return eps.flip(-1) if flipped else eps


def trust(sigma: float, noise: float) -> float:
    """w = σ̃²/(σ̃² + σ̃_n²), the weight of a known pixel beside an estimate of variance σ̃²."""
    return sigma**2 / (sigma**2 + noise**2)


def draw(
    eps_theta: NoisePredictor,
    values: Tensor,
    known: Tensor,
    schedule: NoiseSchedule,
    start: float,
    noise: float = 0.0,
    *,
    steps: int,
    eta: float = 1.0,
    generator: torch.Generator | None = None,
    report: Callable[[], Any] = lambda: None,
) -> Tensor:
    """Draw x_0 given its known pixels, by the reverse process from `values` with noise.

    Parameters
    ----------
    eps_theta, values, known, schedule, noise
        As for `Conditional`; unknown pixels of `values` are where the process starts.
    start : float
        Standard deviation σ̃ of the noise from which it starts.
    steps, eta, generator
        As for `reverse_path`.
    report : callable, optional
        Called after each step.

    Returns
    -------
    Tensor (B, ...)
    """
    y = values + start * white_noise(values, generator)
    predictor = Conditional(eps_theta, values, known, schedule, noise)
    path = reverse_path(predictor, y, start, schedule, steps=steps, eta=eta, generator=generator)
    for _, left in path:
        report()
        y = left
    return y


def most_probable(
    eps_theta: NoisePredictor,
    values: Tensor,
    known: Tensor,
    schedule: NoiseSchedule,
    falling: NDArray,
    noise: float = 0.0,
    *,
    report: Callable[[], Any] = lambda: None,
) -> Tensor:
    """The most probable x_0 given its known pixels, by plug and play from `values`.

    Parameters
    ----------
    eps_theta, values, known, schedule, noise
        As for `Conditional`; unknown pixels of `values` are where it starts.
    falling : float ndarray (n,)
        The σ̃ of each step.
    report : callable, optional
        Called after each step.

    Returns
    -------
    Tensor (B, ...)
        Without noise, holes alone: known pixels are beyond `values` by what the network took away.
    """
    y, relaxed = values, FEEDBACK if noise == 0 else 1.0
    for sigma in falling.tolist():
        x0 = posterior_mean(eps_theta, y, sigma, schedule)
        y = torch.where(known, x0 + relaxed * trust(sigma, noise) * (values - x0), x0)
        report()
    return y
