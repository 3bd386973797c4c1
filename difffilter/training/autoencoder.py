"""Train an autoencoder on pictures."""

from __future__ import annotations

from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.generate import weights
from difffilter.generate.autoencoder import Autoencoder
from difffilter.metrics import psnr
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import AutoencoderTraining
from difffilter.training.pictures import VALIDATION, Pictures, read_pictures
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method
from difffilter.training.state import TrainingState

__all__ = ["METHOD", "stacked", "start"]

# Scenes of a validation, beside the pictures of the folder.
VALIDATED = 32


def stacked(pictures: list[NDArray]) -> Tensor:
    """Pictures (S, S, C) in [0, 1] as a tensor (B, C, S, S) in [−1, 1]."""
    return torch.from_numpy(2 * np.moveaxis(np.stack(pictures), 3, 1) - 1)


class ReconstructionLoss(Loss[AutoencoderTraining]):
    """Mean square error of the decoded picture, and the divergence of the latents.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, step])
        drawn = [
            self.data.draw(rng, varied=True, recoloured=True)[0] for _ in range(self.config.batch)
        ]
        seed = int(rng.integers(2**63))
        x = stacked(drawn)[self.share].to(self.device, memory_format=torch.channels_last)
        side = x.shape[2] // self.config.net.factor
        shape = (self.config.batch, self.config.net.latent, side, side)
        images, divergence = self.forward(x, self.noise(shape, seed)[self.share])
        error = (images.float() - x).square().mean()
        return error + self.config.divergence * divergence.float().mean()


def score(state: TrainingState, pictures: Pictures) -> float:
    """Mean PSNR of the pictures that were set aside; without a folder, of scenes."""
    net = cast(Autoencoder, state.averaged)
    x = stacked(examples(pictures))
    with torch.inference_mode():
        device = next(net.parameters()).device
        decoded = net.decode(net.encode(x.to(device))).clamp(-1, 1).cpu()
    return float(
        np.mean([psnr(a.numpy() / 2, b.numpy() / 2) for a, b in zip(x, decoded, strict=True)])
    )


def examples(pictures: Pictures) -> list[NDArray]:
    """The pictures of the folder, or scenes if there are none."""
    if pictures.captioned is not None:
        return [pictures.captioned.over(index) for index in range(len(pictures.captioned))]
    rng = np.random.default_rng(VALIDATION)
    return [pictures.draw(rng)[0] for _ in range(VALIDATED)]


def read(folder: str | PathLike, config: AutoencoderTraining) -> tuple[Pictures, Pictures | None]:
    """The pictures to train on, and those set aside."""
    channels = config.net.channels
    return read_pictures(folder, config.scenes, config.validation, channels=channels)


def start(state: TrainingState, init: weights.Model) -> None:
    """Start a run from trained weights."""
    state.start_from(init.net)


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    net = cast(Autoencoder, state.averaged)
    weights.save(path, weights.Model("autoencoder", net))


METHOD = Method(
    PRESETS["autoencoder"],
    read,
    lambda path: weights.load(path, "autoencoder"),
    start,
    ReconstructionLoss,
    score,
    write,
    "reconstruction",
)
