"""Train a DDPM on a folder of photographs; stop, be killed, and resume as if nothing had happened."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.ddpm import weights
from difffilter.ddpm.networks import Network
from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.docstring import shared
from difffilter.training.data import draw_batch, read_photos
from difffilter.training.loss import GROWTH, Loss
from difffilter.training.noises import draw_map, draw_noise
from difffilter.training.photo_configs import TrainingConfig
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method, run
from difffilter.training.state import TrainingState
from difffilter.training.validation import SIGMA, validation_psnr, with_white_noise

__all__ = ["METHOD", "fit"]

# Weaker noise has the weight of noise of this strength.
FAINT = 2 / 255


@shared
def fit(
    folder: str | PathLike,
    output: str | PathLike,
    config: TrainingConfig | None = None,
    *,
    init: str | PathLike | None = None,
    resume: bool = False,
    steps: int | None = None,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Train a DDPM; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    %(run_folders)s
    config : TrainingConfig, optional
        ``None``: ``PRESETS["gray-small"]``; with `resume`, that of the checkpoint, which another
        one must not contradict.
    init : str or Path, optional
        Weights to start from, a name or a file; layers of another shape start afresh. Colour
        learns much from grey. ``None``: random weights; with `resume`, those of the run, which
        others must not contradict.
    %(run_options)s

    Returns
    -------
    Path
        The weight file.

    Raises
    ------
    %(run_errors)s

    Notes
    -----
    ``log.jsonl`` has one line per step, ``{"step": 1, "loss": 1.0}``, and one per validation,
    ``{"step": 500, "psnr": 28.1, "seconds": 70.2}``, whose seconds are since the (re)start. On
    CUDA the forward pass is compiled.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Karras, Aittala, Aila & Laine, "Elucidating the design space of diffusion-based generative
    models", NeurIPS 2022, for the log-normal draw of the noise.

    Examples
    --------
    >>> fit("photographs", "runs/mine", PRESETS["gray-small"])  # doctest: +SKIP
    >>> fit("photographs", "runs/mine", resume=True)  # doctest: +SKIP
    """
    return run(
        METHOD, folder, output, config, init=init, resume=resume, steps=steps, device=device,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


class NoiseLoss(Loss[TrainingConfig]):
    """Squared error of the predicted noise: what a DDPM minimises.

    Parameters are those of `Loss`.
    """

    def predicted(self, xt: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in x_t, where t is the step or a map of the strength of the noise."""
        xt = xt.contiguous(memory_format=torch.channels_last)
        return self.forward(xt, t.float().to(self.device)).float()

    def __call__(self, step: int) -> Tensor:
        crops, t, seed = draw_batch(self.data, self.config, step)
        x0 = torch.from_numpy(crops[self.share]).to(self.device)
        eps, t = self.noise(crops.shape, seed)[self.share], t[self.share]
        xt = add_noise(x0, t, eps, self.config.schedule)
        return (self.predicted(xt, torch.from_numpy(t)) - eps).square().mean()


class MappedNoiseLoss(NoiseLoss):
    """Squared error of the predicted noise, for a network that takes a map of its strength.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        crops, t, seed = draw_batch(self.data, self.config, step)
        schedule, rng = self.config.schedule, np.random.default_rng(seed)
        eps = self.noise(crops.shape, seed)
        maps = np.ones((2, len(crops), 1, *crops.shape[2:]), np.float32)  # true, and known
        for index, crop in enumerate(crops):
            if rng.random() < self.config.maps:
                photo, drawn = (crop.mean(axis=0) + 1) / 2, eps[index].mean(dim=0).cpu().numpy()
                strength = schedule.sigma_tilde(t[index]) / 2
                maps[:, index, 0] = draw_map(photo, strength * drawn, rng)
        x0, true, known = (
            torch.from_numpy(part[self.share]).to(self.device) for part in (crops, *maps)
        )
        alpha_bar = torch.from_numpy(schedule.alpha_bar(t[self.share])).to(self.device)
        fade, sigma = (
            factor.sqrt().float()[:, None, None, None] for factor in (alpha_bar, 1 - alpha_bar)
        )
        noise = true * eps[self.share]
        found = self.predicted(fade * x0 + sigma * noise, sigma * known) * known
        return (found - noise).square().mean()


class RealNoiseLoss(NoiseLoss):
    """Squared error of the predicted noise where its kind and strength are unknown to the network.

    It is divided by the power `GROWTH` of the strength of the noise.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        crops, _, seed = draw_batch(self.data, self.config, step)
        rngs = [np.random.default_rng([seed, index]) for index in range(len(crops))]
        pairs = list(zip(crops[self.share], rngs[self.share], strict=True))
        x0 = torch.from_numpy(crops[self.share])
        y = torch.from_numpy(np.stack([signed_noisy(crop, rng) for crop, rng in pairs]))
        sigma, schedule = 2 * self.config.sigma, self.config.schedule
        eps = (y - x0) / sigma
        t = schedule.step_of(sigma)
        xt = (schedule.alpha_bar(t) ** 0.5 * y).to(self.device)
        rms = eps.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=FAINT / self.config.sigma)
        error = self.predicted(xt, torch.full((len(y),), float(t))) - eps.to(self.device)
        return (error.square().mean(dim=(1, 2, 3)) * rms.to(self.device) ** -GROWTH).mean()


def signed_noisy(crop: NDArray, rng: np.random.Generator) -> NDArray:
    """Add real noise to an image (C, H, W) in [−1, 1]."""
    photo = np.moveaxis((crop + 1) / 2, 0, 2)
    noisy = draw_noise(photo if len(crop) == 3 else photo[..., 0], rng)
    return 2 * np.moveaxis(np.atleast_3d(noisy), 2, 0) - 1


def psnr(state: TrainingState, images: list[NDArray]) -> float:
    """Mean PSNR of the posterior mean; for a run on real noise, with noise of random kind."""
    net, config = cast(Network, state.averaged), cast(TrainingConfig, state.config)
    real = config.noise == "real"
    sigma = 2 * (config.sigma if real else SIGMA)
    return validation_psnr(
        images,
        lambda y: posterior_mean(net, y, sigma, config.schedule),
        with_real_noise if real else with_white_noise,
        next(net.parameters()).device,
        net.config.multiple,
    )


def with_real_noise(x0: Tensor, index: int) -> Tensor:
    """The image number `index` (1, C, H, W), in [−1, 1], with noise of random kind and strength."""
    return torch.from_numpy(signed_noisy(x0[0].numpy(), np.random.default_rng(index)))[None]


def write_weights(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    net, config = cast(Network, state.averaged), cast(TrainingConfig, state.config)
    low, high = config.sigma_range
    if config.noise == "real":
        weights.save(path, net, config.schedule, (low, high), blind=config.sigma)
        return
    if config.uniform > 0:
        schedule = config.schedule
        low = min(low, float(schedule.sigma_tilde(1)) / 2)
        high = max(high, float(schedule.sigma_tilde(schedule.T)) / 2)
    weights.save(path, net, config.schedule, (low, high))


def start(state: TrainingState, init: weights.Weights) -> None:
    """Start a run from trained weights.

    Raises
    ------
    ValueError
        If they are those of a network of another kind.
    """
    given, own = type(init.net).__name__, type(state.net).__name__
    if given != own:
        raise ValueError(f"init is of a {given}; expected weights of a {own}")
    state.start_from(init.net)


def loss(state: TrainingState, images: list[NDArray], rank: int, world: int) -> NoiseLoss:
    """The loss for the run's kind of noise."""
    config = cast(TrainingConfig, state.config)
    kind = MappedNoiseLoss if config.maps else NoiseLoss
    return (RealNoiseLoss if config.noise == "real" else kind)(state, images, rank, world)


METHOD = Method(PRESETS["gray-small"], read_photos, weights.load, start, loss, psnr, write_weights)
