"""The mathematics of a DDPM on tensors: q(x_t | x_0), the posterior mean, the reverse process.

All but `add_noise` is written in y = x_t/√ᾱ_t = x_0 + σ̃_t ε, an image of constant strength plus
noise, rather than in x_t, which fades while the noise grows. It is the same process, but y is the
image to be denoised, and the equations lose their ᾱ's. Networks still take x_t and t.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm.schedule import NoiseSchedule

__all__ = [
    "add_noise",
    "from_velocity",
    "from_x0",
    "keyed_generator",
    "posterior_mean",
    "predict_noise",
    "pure_noise",
    "reverse",
    "reverse_path",
]

# ε_θ(x_t, t)
NoisePredictor = Callable[[Tensor, Tensor], Tensor]

SOLVERS = ("ddim", "dpm++")
SPACINGS = ("t", "log")


def add_noise(x0: Tensor, t: ArrayLike, eps: Tensor, schedule: NoiseSchedule) -> Tensor:
    """x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε.

    Parameters
    ----------
    x0 : Tensor (B, ...)
        Clean images in [−1, 1].
    t : float or array_like (B,)
        Steps in [0, T], not necessarily whole.
    eps : Tensor
        Standard normal noise, shaped like `x0`.
    schedule : NoiseSchedule

    Returns
    -------
    Tensor
        Shaped like `x0`.

    Raises
    ------
    ValueError
        If a step lies outside [0, T].

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 4.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> x0 = torch.ones(1, 1, 1, 2)
    >>> add_noise(x0, 0, torch.randn(x0.shape), NoiseSchedule())
    tensor([[[[1., 1.]]]])
    """
    signal, noise = shares(t, x0, schedule)
    return signal * x0 + noise * eps


def shares(t: ArrayLike, images: Tensor, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """√ᾱ_t and √(1 − ᾱ_t) of steps t (B,), as factors (B, 1, ...) of images (B, ...)."""
    alpha_bar = torch.as_tensor(schedule.alpha_bar(t)).reshape(-1, *[1] * (images.ndim - 1))
    return alpha_bar.sqrt().to(images), (1 - alpha_bar).sqrt().to(images)


def from_velocity(velocity: NoisePredictor, schedule: NoiseSchedule) -> NoisePredictor:
    """The noise predictor ε_θ(x, t) = √ᾱ_t v + √(1 − ᾱ_t) x of a predictor ``velocity(x, t)`` of v.

    References
    ----------
    Salimans & Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> x0, eps, t = torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([500.0])
    >>> signal, noise = shares(t, x0, NoiseSchedule())
    >>> eps_theta = from_velocity(lambda x, t: signal * eps - noise * x0, NoiseSchedule())
    >>> eps_theta(signal * x0 + noise * eps, t)
    tensor([[1.]])
    """

    def eps_theta(x: Tensor, t: Tensor) -> Tensor:
        signal, noise = shares(t.cpu(), x, schedule)
        return signal * velocity(x, t) + noise * x

    return eps_theta


def from_x0(x0_theta: NoisePredictor, schedule: NoiseSchedule) -> NoisePredictor:
    """The noise predictor ε_θ(x, t) = (x − √ᾱ x̂_0)/√(1 − ᾱ) of a predictor ``x0_theta(x, t)`` of x_0.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> x0, eps, t = torch.zeros(1, 1), torch.ones(1, 1), torch.tensor([500.0])
    >>> signal, noise = shares(t, x0, NoiseSchedule())
    >>> eps_theta = from_x0(lambda x, t: x0, NoiseSchedule())
    >>> eps_theta(signal * x0 + noise * eps, t)
    tensor([[1.]])
    """

    def eps_theta(x: Tensor, t: Tensor) -> Tensor:
        signal, noise = shares(t.cpu(), x, schedule)
        return (x - signal * x0_theta(x, t)) / noise

    return eps_theta


def predict_noise(
    eps_theta: NoisePredictor, y: Tensor, t: float, schedule: NoiseSchedule
) -> Tensor:
    """ε_θ(√ᾱ_t y, t), with one t for the whole batch y (B, ...)."""
    x = schedule.alpha_bar(t) ** 0.5 * y
    return eps_theta(x, torch.full((len(y),), t, dtype=torch.float32, device=y.device))


def posterior_mean(
    eps_theta: NoisePredictor, y: Tensor, sigma_tilde: float, schedule: NoiseSchedule
) -> Tensor:
    """E[x_0 | y] = y − σ̃ ε_θ(√ᾱ_t y, t), where t is the step whose noise is σ̃.

    No estimate has a smaller mean squared error.

    Parameters
    ----------
    eps_theta : callable
        ``eps_theta(x, t)`` with x (B, ...) and t (B,) predicts the noise in x = x_t.
    y : Tensor (B, ...)
        Noisy images x_0 + σ̃ ε with x_0 in [−1, 1].
    sigma_tilde : float
        Standard deviation of their noise.
    schedule : NoiseSchedule

    Returns
    -------
    Tensor
        Shaped like `y`.

    Raises
    ------
    ValueError
        If σ̃ is beyond the schedule.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 15.

    Examples
    --------
    A standard normal pixel is halved where the noise is as strong as itself:

    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> schedule = NoiseSchedule()
    >>> def eps_theta(x, t):  # x_t is standard normal at all t
    ...     return (1 - torch.from_numpy(schedule.alpha_bar(t))).sqrt() * x
    >>> posterior_mean(eps_theta, torch.ones(1, 1), 1.0, schedule)
    tensor([[0.5000]], dtype=torch.float64)
    """
    t = float(schedule.step_of(sigma_tilde))
    return y - sigma_tilde * predict_noise(eps_theta, y, t, schedule)


def pure_noise(
    shape: Sequence[int], schedule: NoiseSchedule, generator: torch.Generator | None = None
) -> Tensor:
    """x_T ~ N(0, I) as `reverse` takes it: y = x_T/√ᾱ_T, of the given shape."""
    return torch.randn(shape, generator=generator) / schedule.alpha_bar(schedule.T) ** 0.5


def reverse(
    eps_theta: NoisePredictor,
    y: Tensor,
    sigma_tilde: float,
    schedule: NoiseSchedule,
    **options: Any,
) -> Tensor:
    """Draw x_0 from its posterior given y: the last image of `reverse_path`.

    Parameters
    ----------
    eps_theta, y, sigma_tilde, schedule, **options
        As for `reverse_path`.

    Returns
    -------
    Tensor
        Shaped like `y`.

    Raises
    ------
    ValueError
        As for `reverse_path`.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> y = torch.tensor([[0.7]])
    >>> reverse(lambda x, t: torch.zeros_like(x), y, 0.1, NoiseSchedule(), eta=0)
    tensor([[0.7000]])
    """
    path = reverse_path(eps_theta, y, sigma_tilde, schedule, **options)
    _, x0 = deque(path, maxlen=1).pop()  # runs the path, keeps the last
    return x0


def reverse_path(
    eps_theta: NoisePredictor,
    y: Tensor,
    sigma_tilde: float,
    schedule: NoiseSchedule,
    *,
    steps: int | Sequence[float] | None = None,
    eta: float = 1.0,
    solver: str = "ddim",
    spacing: str | None = None,
    generator: torch.Generator | None = None,
    clip: bool = False,
) -> Iterator[tuple[float, Tensor]]:
    """The images of the reverse process from the step t(σ̃) to 0, one per step.

    One loop serves the ancestral sampler of DDPM (``eta=1``), DDIM (``eta=0``) and DPM-Solver++,
    a noisy image and generation from `pure_noise`, whose σ̃ is σ̃_T.

    Parameters
    ----------
    eps_theta : callable
        ``eps_theta(x, t)`` with x (B, ...) and t (B,) predicts the noise in x = x_t.
    y : Tensor (B, ...)
        Noisy images x_0 + σ̃ ε with x_0 in [−1, 1].
    sigma_tilde : float
        Standard deviation of their noise.
    schedule : NoiseSchedule
    steps : int or sequence of float, optional
        Number of steps, or the t they lead to, falling from below t(σ̃) to 0. ``None``: t(σ̃)
        rounded, which is steps of length 1, as in training, if they are evenly spaced in t.
    eta : float, default 1
        1 adds the noise of the true posterior q(x_s | x_t, x_0), 0 none at all.
    solver : {"ddim", "dpm++"}, default "ddim"
        ``"dpm++"`` is DPM-Solver++(2M), of second order where DDIM is of first, with one
        evaluation of `eps_theta` a step like DDIM. It needs ``eta=0``.
    spacing : {"t", "log"}, optional
        Steps evenly spaced in t, or in log σ̃ down to σ̃_1 and from there to 0. ``None``: ``"log"``
        for DPM-Solver++, else ``"t"``. ``"t"`` suits DPM-Solver++ better where few steps start
        from pure noise of the cosine schedule, whose σ̃_T is far larger. Only for a number of steps.
    generator : torch.Generator, optional
        Source of the noise, which is drawn on its device. ``None``: PyTorch's global one.
    clip : bool, default False
        Clip each estimate of x_0 to [−1, 1], which steadies generation from pure noise.

    Yields
    ------
    sigma_tilde : float
        Standard deviation of the noise that is left; 0 in the end.
    y : Tensor
        Shaped like the argument.

    Raises
    ------
    ValueError
        If σ̃ is 0 or beyond the schedule, `steps` is below 1 or does not fall to 0, `eta` is
        outside [0, 1] or not 0 for DPM-Solver++, `solver` or `spacing` is unknown, or `spacing`
        is given beside named steps.

    Notes
    -----
    From step t to step s < t, with x̂_0 = y_t − σ̃_t ε_θ and v = η² σ̃_s² (1 − σ̃_s²/σ̃_t²),

        y_s = x̂_0 + √(σ̃_s² − v) ε_θ + √v z,    z ~ N(0, I).

    This is eq. 12 of Song et al. divided by √ᾱ_s. DPM-Solver++(2M) takes the same step with v = 0
    and x̂_0 extrapolated, linearly in log σ̃, from the last two estimates to the middle of the
    step; its first and last steps are those of DDIM.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Song, Meng & Ermon, "Denoising diffusion implicit models", ICLR 2021.
    Lu et al., "DPM-Solver++: fast solver for guided sampling of diffusion probabilistic models",
    arXiv:2211.01095, 2022, algorithm 2.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.schedule import NoiseSchedule
    >>> path = reverse_path(
    ...     lambda x, t: torch.zeros_like(x), torch.zeros(1, 1), 0.1, NoiseSchedule(), steps=2
    ... )
    >>> [round(sigma_tilde, 3) for sigma_tilde, y in path]
    [0.056, 0.0]
    """
    check_number("eta", eta, least=0, most=1)
    check_choice("solver", solver, SOLVERS)
    multistep = solver == "dpm++"
    if multistep and eta != 0:
        raise ValueError(f"eta is {eta}; expected 0 for solver='dpm++', which adds no noise")
    path = path_of(sigma_tilde, schedule, steps, spacing, default="log" if multistep else "t")
    before: tuple[float, Tensor] | None = None
    for t, s in pairwise(path):
        sigma_t, sigma_s = float(schedule.sigma_tilde(t)), float(schedule.sigma_tilde(s))
        eps = predict_noise(eps_theta, y, float(t), schedule)
        x0 = y - sigma_t * eps
        if clip:
            x0 = x0.clamp(-1, 1)
        if multistep:
            x0, before = extrapolate(x0, sigma_t, sigma_s, before), (sigma_t, x0)
        if clip or multistep:
            eps = (y - x0) / sigma_t
        variance = (eta * sigma_s) ** 2 * (1 - (sigma_s / sigma_t) ** 2)
        y = x0 + (sigma_s**2 - variance) ** 0.5 * eps
        if variance > 0:
            y = y + variance**0.5 * white_noise(y, generator)
        yield sigma_s, y


def path_of(
    sigma_tilde: float,
    schedule: NoiseSchedule,
    steps: int | Sequence[float] | None,
    spacing: str | None,
    default: str,
) -> NDArray:
    """The steps t, from t(σ̃) to 0, that `reverse_path` goes through."""
    t_start = float(schedule.step_of(sigma_tilde))
    if t_start == 0:
        raise ValueError("sigma_tilde is 0; expected a number > 0: a clean image has no way back")
    if steps is not None and np.ndim(steps):
        if spacing is not None:
            raise ValueError(f"spacing is {spacing!r}; expected None beside named steps")
        path = np.array([t_start, *cast(Sequence[float], steps)])
        if not np.all(np.diff(path) < 0) or path[-1] != 0:
            raise ValueError(f"steps is {steps}; expected numbers that fall from {t_start:g} to 0")
        return path
    spacing = check_choice("spacing", default if spacing is None else spacing, SPACINGS)
    n = max(1, round(t_start)) if steps is None else check_whole("steps", steps, least=1)
    if spacing == "t":
        return np.linspace(t_start, 0, n + 1)
    return schedule.step_of(schedule.levels(sigma_tilde, n))


def extrapolate(
    x0: Tensor, sigma_t: float, sigma_s: float, before: tuple[float, Tensor] | None
) -> Tensor:
    """x̂_0 in the middle of the step from σ̃_t to σ̃_s, from its values at σ̃_t and one step before.

    The middle is that of log σ̃. Where there is no step before, or the middle is infinitely far
    because σ̃_s = 0, x̂_0 stays as it is.
    """
    if before is None or sigma_s == 0:
        return x0
    sigma_r, x0_r = before
    ratio = np.log(sigma_t / sigma_s) / np.log(sigma_r / sigma_t)
    return x0 + float(ratio) / 2 * (x0 - x0_r)


def white_noise(y: Tensor, generator: torch.Generator | None) -> Tensor:
    """z ~ N(0, I), shaped like y and on its device, drawn on the device of the generator."""
    device = y.device if generator is None else generator.device
    return torch.randn(y.shape, generator=generator, dtype=y.dtype, device=device).to(y.device)


def keyed_generator(*key: int) -> torch.Generator:
    """A torch.Generator seeded by all of the integers given."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed[0]))
