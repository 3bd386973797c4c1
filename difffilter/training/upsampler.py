"""Train an upsampler on pictures, some of whose small versions went through an autoencoder."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from difffilter.generate import weights
from difffilter.generate.autoencoder import Autoencoder
from difffilter.generate.upsampler import Upsampler
from difffilter.training.autoencoder import examples, stacked, start
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import UpsamplerTraining
from difffilter.training.pictures import VALIDATION, Pictures, read_pictures
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method
from difffilter.training.state import TrainingState
from difffilter.training.text_to_image import along

__all__ = ["METHOD"]


@dataclass(frozen=True)
class LargePictures:
    """Large pictures, and the autoencoder that some of their small versions go through.

    Attributes
    ----------
    pictures : Pictures
    autoencoder : Autoencoder or None
        Half of the small pictures go through it, for what is made from latents has its faults.
    """

    pictures: Pictures
    autoencoder: Autoencoder | None

    def small(self, large: Tensor, factor: int, through: Tensor) -> Tensor:
        """Small versions of pictures (B, C, S, S); those of a bool Tensor (B,) go through the autoencoder."""
        small = avg_pool2d(large, factor)
        if self.autoencoder is None or not through.any():
            return small
        net = self.autoencoder
        with torch.inference_mode():
            decoded = net.decode(net.encode(small[through])).clamp(-1, 1)
        small[through] = decoded
        return small


class DetailLoss(Loss[UpsamplerTraining]):
    """Square error of the velocity of the details, on crops.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        config, rng = self.config, np.random.default_rng([self.config.seed, step])
        large = stacked([self.data.pictures.draw(rng, varied=True)[0] for _ in range(config.batch)])
        through = torch.from_numpy(rng.random(config.batch) < 0.5)
        t = rng.uniform(1, config.schedule.T, config.batch)
        # (Where the crops lie, in small pixels.)
        factor, side = config.net.factor, large.shape[2]
        y, x = factor * rng.integers((side - config.crop) // factor + 1, size=2)
        eps = self.noise((*large.shape[:2], config.crop, config.crop), int(rng.integers(2**63)))[
            self.share
        ]
        large, through, t = large[self.share], through[self.share], t[self.share]
        enlarged = config.net.enlarged(self.data.small(large, factor, through))
        window = (..., slice(y, y + config.crop), slice(x, x + config.crop))
        large, enlarged = (each[window].to(self.device) for each in (large, enlarged))
        xt, v = along(config.net.details(large, enlarged), t, eps, config.schedule)
        found = self.forward(xt, torch.from_numpy(t).float().to(self.device), enlarged)
        return (found.float() - v).square().mean()


def score(state: TrainingState, data: LargePictures) -> float:
    """The mean square error of the velocity, on pictures that were set aside."""
    net, config = cast(Upsampler, state.averaged), cast(UpsamplerTraining, state.config)
    device, errors = next(net.parameters()).device, []
    for number, picture in enumerate(examples(data.pictures)):
        rng = np.random.default_rng([*VALIDATION, number])
        large, t = stacked([picture]), rng.uniform(1, config.schedule.T, 1)
        through = torch.tensor([number % 2 > 0])
        enlarged = config.net.enlarged(data.small(large, config.net.factor, through))
        eps = torch.from_numpy(rng.standard_normal(large.shape, np.float32))
        xt, v = along(config.net.details(large, enlarged), t, eps, config.schedule)
        with torch.inference_mode():
            steps = torch.from_numpy(t).float()
            found = net(*(each.to(device) for each in (xt, steps, enlarged))).cpu()
        errors.append((found - v).square().mean().item())
    return float(np.mean(errors))


def read(
    folder: str | PathLike, config: UpsamplerTraining
) -> tuple[LargePictures, LargePictures | None]:
    """The pictures to train on, and those set aside."""
    net = None
    if config.autoencoder is not None:
        net = cast(Autoencoder, weights.load(config.autoencoder, "autoencoder").net)
    channels = config.net.channels
    pictures, held = read_pictures(folder, config.scenes, config.validation, config.size, channels)
    return LargePictures(pictures, net), None if held is None else LargePictures(held, net)


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    config = cast(UpsamplerTraining, state.config)
    weights.save(path, weights.Model("upsampler", state.averaged, schedule=config.schedule))


METHOD = Method(
    PRESETS["upsampler"],
    read,
    lambda path: weights.load(path, "upsampler"),
    start,
    DetailLoss,
    score,
    write,
    "error",
)
