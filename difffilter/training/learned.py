"""Train a learned diffusion on a folder of photographs, as `ddpm` trains a DDPM."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import cast

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from difffilter.docstring import shared
from difffilter.pde import weights
from difffilter.pde.solve.convex import Convex
from difffilter.pde.solve.stages import Stages
from difffilter.training.convex_network import ConvexDiffusion
from difffilter.training.data import draw_noisy, read_photos
from difffilter.training.learned_network import LearnedDiffusion
from difffilter.training.loss import GROWTH, Loss
from difffilter.training.photo_configs import ConvexConfig, DiffusionConfig, LearnedConfig
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method, run
from difffilter.training.state import TrainingState
from difffilter.training.validation import SIGMA, validation_psnr, with_white_noise

__all__ = ["METHOD", "fit_learned"]


@shared
def fit_learned(
    folder: str | PathLike,
    output: str | PathLike,
    config: DiffusionConfig | None = None,
    *,
    init: str | PathLike | None = None,
    resume: bool = False,
    steps: int | None = None,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Train a learned diffusion; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    %(run_folders)s
    config : LearnedConfig or ConvexConfig, optional
        A deep or a convex diffusion; ``None``: ``PRESETS["deep-gray"]``; with `resume`, that of the
        checkpoint, which another one must not contradict.
    init : str or Path, optional
        Weights of the same kind to start from, a name or a file; what has another shape starts
        afresh. Filters for grey become filters for colour. ``None``: random filters; with `resume`,
        the weights of the run, which others must not contradict.
    %(run_options)s

    Returns
    -------
    Path
        The weight file, for ``learned(weights=...)``.

    Raises
    ------
    %(run_errors)s

    Notes
    -----
    The noise is white, the network sees images in units of its σ, and ``log.jsonl`` is as `fit`
    writes it.

    References
    ----------
    Y. Chen, T. Pock, "Trainable nonlinear reaction diffusion: a flexible framework for fast and
    effective image restoration", IEEE Trans. Pattern Analysis and Machine Intelligence 39(6), 2017.
    A. Goujon, S. Neumayer, M. Unser, "Learning weakly convex regularizers for convergent
    image-reconstruction algorithms", SIAM J. Imaging Sciences 17(1), 2024.

    Examples
    --------
    >>> fit_learned("photographs", "runs/gray")  # doctest: +SKIP
    >>> fit_learned(
    ...     "photographs", "runs/color", PRESETS["deep-color"], init="deep-gray"
    ... )  # doctest: +SKIP
    >>> fit_learned("photographs", "runs/convex", PRESETS["convex-gray"])  # doctest: +SKIP
    """
    return run(
        METHOD, folder, output, config, init=init, resume=resume, steps=steps, device=device,
        checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


class DiffusionLoss(Loss[DiffusionConfig]):
    """Squared error of the denoised image; of a deep diffusion also, with a small weight, before its end.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        crops, strengths, seed = draw_noisy(self.data, self.config, step)
        noise = self.noise(crops.shape, seed)[self.share]
        sigma = torch.from_numpy(strengths[self.share]).to(self.device)
        # Crops are in [−1, 1], hence σ twice as large.
        x = torch.from_numpy(crops[self.share]).to(self.device) / (2 * sigma.view(-1, 1, 1, 1))
        images = images_of(self.forward(x + noise))
        *before, error = ((u - x).square().mean(dim=(1, 2, 3)) for u in images)
        if before:
            weight = cast(LearnedConfig, self.config).intermediate
            error = error + weight * sum(before) / len(before)
        return (sigma**2 * error * sigma**-GROWTH).mean()


def images_of(output: Tensor | list[Tensor]) -> list[Tensor]:
    """The images that a network gives, the denoised one last."""
    return output if isinstance(output, list) else [output]


def start(state: TrainingState, init: Stages | Convex) -> None:
    """Start a run from trained weights."""
    config = cast(DiffusionConfig, state.config)
    colour = init.channels == 1 and config.channels == 3
    net: nn.Module
    if isinstance(init, Convex) and isinstance(config, ConvexConfig):
        convex = ConvexDiffusion.from_convex(init)
        net = convex.coloured(config.banks, config.seed) if colour else convex
    elif isinstance(init, Stages) and isinstance(config, LearnedConfig):
        deep = LearnedDiffusion.from_stages(init)
        net = deep.coloured(config.seed) if colour else deep
    else:
        given, expected = ("convex", "deep") if isinstance(init, Convex) else ("deep", "convex")
        raise ValueError(f"init is a {given} diffusion; expected a {expected} one, as config is")
    state.start_from(net)


def psnr(state: TrainingState, images: list[NDArray]) -> float:
    """Mean PSNR of the denoised image."""
    net, sigma = state.averaged, 2 * SIGMA
    device = next(net.parameters()).device
    return validation_psnr(
        images, lambda y: sigma * images_of(net(y / sigma))[-1], with_white_noise, device
    )


def write_weights(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    net = cast("ConvexDiffusion | LearnedDiffusion", state.averaged)
    weights.save(path, net.convex() if isinstance(net, ConvexDiffusion) else net.stages())


METHOD = Method(
    PRESETS["deep-gray"], read_photos, weights.load, start, DiffusionLoss, psnr, write_weights
)
