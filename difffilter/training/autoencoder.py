"""Train an autoencoder on pictures."""

from __future__ import annotations

from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

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

# Side of the square in which the contrast around a pixel is measured, and the contrast at which an error
# counts half as much as without any: that of a standard deviation of 4 levels of 255, in [−1, 1].
AROUND, FAINT = 7, (2 * 4 / 255) ** 2


def stacked(pictures: list[NDArray]) -> Tensor:
    """Pictures (S, S, C) in [0, 1] as a tensor (B, C, S, S) in [−1, 1]."""
    return torch.from_numpy(2 * np.moveaxis(np.stack(pictures), 3, 1) - 1)


class ReconstructionLoss(Loss[AutoencoderTraining]):
    """Square error of the decoded picture, twice, and the divergence of the latents.

    The mean square error hardly sees faint textures beside bright edges, so errors count a second time, in
    relation to the contrast around them.

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
        error = (images.float() - x).square()
        relative = error / (contrast(x) + FAINT)
        return (
            error.mean()
            + self.config.relative * relative.mean()
            + self.config.divergence * divergence.float().mean()
        )


def contrast(x: Tensor) -> Tensor:
    """The variance of pictures (B, C, H, W) around each pixel."""

    def mean(a: Tensor) -> Tensor:
        return avg_pool2d(a, AROUND, 1, AROUND // 2, count_include_pad=False)

    return (mean(x.square()) - mean(x).square()).clamp(min=0)


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
