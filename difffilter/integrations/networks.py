"""The networks of either library in the shape that the other one expects.

The libraries count the steps differently: t = 0 is the clean image here and the first step of noise
in diffusers, so that t here is t − 1 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from difffilter.ddpm.process import from_velocity, from_x0
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig

__all__ = ["PREDICTIONS", "NoiseUNet", "UnshuffledUNet"]

# What networks of diffusers may predict, and how the noise follows from it.
PREDICTIONS: dict[str, Callable] = {
    "epsilon": lambda predict, schedule: predict,
    "v_prediction": from_velocity,
    "sample": from_x0,
}


@dataclass(frozen=True)
class NoiseUNetConfig:
    """Settings of a network that tiling needs: channels, divisor of the sides, and largest side."""

    channels: int
    multiple: int
    tile: int = 128


class NoiseUNet(nn.Module):
    """ε_θ(x_t, t), as this package calls it, from a UNet2DModel of any prediction type.

    Parameters
    ----------
    model : diffusers.UNet2DModel
        With positional embeddings of the steps and without classes. Of twice as many channels as the
        image has, as models of a learned variance have, the second half is ignored.
    prediction : {"epsilon", "v_prediction", "sample"}
        What it predicts.
    schedule : NoiseSchedule
        That of its training.

    Examples
    --------
    >>> from diffusers import UNet2DModel
    >>> model = UNet2DModel(
    ...     block_out_channels=(8, 8), norm_num_groups=4, down_block_types=("DownBlock2D",) * 2,
    ...     up_block_types=("UpBlock2D",) * 2,
    ... )
    >>> net = NoiseUNet(model, "epsilon", NoiseSchedule())
    >>> net(torch.zeros(2, 3, 8, 16), torch.tensor([1.0, 57.3])).shape
    torch.Size([2, 3, 8, 16])
    """

    def __init__(self, model: Any, prediction: str, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.model = model
        self.config = NoiseUNetConfig(
            model.config.in_channels, 2 ** (len(model.config.block_out_channels) - 1)
        )
        self.eps_theta = PREDICTIONS[prediction](self._predict, schedule)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise in `x` (B, C, H, W) at the steps `t` (B,), float32, not necessarily whole."""
        return self.eps_theta(x, t)

    def _predict(self, x: Tensor, t: Tensor) -> Tensor:
        # Below t = 1, where diffusers has no step, the network sees that of the least noise.
        return self.model(x, (t - 1).clamp(min=0)).sample[:, : self.config.channels]


class UnshuffledUNet(ModelMixin, ConfigMixin):
    """A `UNet` of this package with the call of UNet2DModel, for the pipelines of diffusers.

    Parameters
    ----------
    sample_size : int or tuple of int, default 64
        Side, or height and width, of the images that a pipeline generates, in pixels.
    in_channels, out_channels : int, default 1
        Channels of the image.
    sigma_range : tuple of float, default (0.005, 75)
        Smallest and largest σ of its training, for an image in [0, 1].
    **shape
        The other parameters of `UNetConfig`, with its defaults.

    Examples
    --------
    >>> net = UnshuffledUNet(16, widths=(8, 8), attention=(), groups=4)
    >>> net(torch.zeros(2, 1, 16, 16), 999).sample.shape
    torch.Size([2, 1, 16, 16])
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int | tuple[int, int] = 64,
        in_channels: int = 1,
        out_channels: int = 1,
        sigma_range: tuple[float, float] = (0.005, 75.0),
        shuffle: int = 2,
        widths: tuple[int, ...] = (64, 96, 96, 96),
        blocks: int = 2,
        middle: int = 2,
        attention: tuple[int, ...] = (2, 3),
        heads: int = 4,
        groups: int = 8,
        embedding: int = 192,
    ) -> None:
        super().__init__()
        self.net = UNet(
            UNetConfig(
                channels=in_channels, shuffle=shuffle, widths=widths, blocks=blocks, middle=middle,
                attention=attention, heads=heads, groups=groups, embedding=embedding,
            )
        )  # fmt: skip

    @classmethod
    def of(
        cls, net: UNet, sigma_range: tuple[float, float], size: int | tuple[int, int]
    ) -> UnshuffledUNet:
        """A copy of a network; see the class for the parameters."""
        shape = asdict(net.config)
        channels, context = shape.pop("channels"), shape.pop("context")
        if context:
            raise ValueError(
                f"context of the network is {context}; expected 0, as it takes no text"
            )
        made = cls(size, channels, channels, sigma_range, **shape)
        made.net.load_state_dict(net.state_dict())
        return made.eval().requires_grad_(False)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        class_labels: None = None,
        return_dict: bool = True,
    ) -> UNet2DOutput | tuple[Tensor]:
        """Noise in images, with the parameters and the result of UNet2DModel.

        Parameters
        ----------
        sample : Tensor (B, C, H, W)
            x_t; H and W multiples of ``net.config.multiple``.
        timestep : Tensor (B,) or (), float or int
            Steps 0 ... T − 1 of diffusers.
        class_labels : None
            There are no classes.
        return_dict : bool, default True
            Whether to return an object with the attribute ``sample``, or a tuple of one.

        Returns
        -------
        UNet2DOutput or tuple of Tensor
            ε, shaped like `sample`.
        """
        steps = torch.as_tensor(timestep, dtype=torch.float32, device=sample.device)
        eps = self.net(sample, steps.expand(len(sample)) + 1)
        return UNet2DOutput(sample=eps) if return_dict else (eps,)
