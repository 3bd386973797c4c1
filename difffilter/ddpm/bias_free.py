"""A U-Net without biases and normalisation, with a map of the strength of the noise as input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole
from difffilter.ddpm.schedule import NoiseSchedule

__all__ = ["BiasFreeConfig", "BiasFreeUNet"]


@dataclass(frozen=True)
class BiasFreeConfig:
    """Shape of a `BiasFreeUNet`.

    Parameters
    ----------
    channels : int, default 1
        Channels of the image: 1 for grey, 3 for colour.
    widths : tuple of int, default (32, 64, 96, 128)
        Channels of each level, fine to coarse. The finest has the resolution of the image, and each
        level halves it.
    blocks : tuple of int, default (2, 4, 3, 2)
        Residual blocks of each level on the way down, and as many on the way up; the last number is
        that of the coarsest level, which is passed once.

    Raises
    ------
    TypeError, ValueError
        If a number is below 1, or there are not as many `blocks` as `widths`.
    """

    channels: int = 1
    widths: tuple[int, ...] = (32, 64, 96, 128)
    blocks: tuple[int, ...] = (2, 4, 3, 2)

    def __post_init__(self) -> None:
        # A config read from JSON has lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        check_whole("channels", self.channels, least=1)
        for name in ("widths", "blocks"):
            for value in getattr(self, name):
                check_whole(name, value, least=1)
        if not self.widths or len(self.blocks) != len(self.widths):
            raise ValueError(
                f"blocks is {self.blocks}; expected a number for each of {len(self.widths)} widths"
            )

    @property
    def multiple(self) -> int:
        """int: Number that must divide the height and the width of an input."""
        return 2 ** (len(self.widths) - 1)

    @property
    def tile(self) -> int:
        """int: Largest side of the tiles that an image is cut into unless asked otherwise."""
        # Nothing in the network depends on the size of a tile, and less of a large one is overlap. Of 288
        # pixels, an image of 512² takes four, which keep two cores busy.
        return 288


class Block(nn.Module):
    """Conv, ReLU, Conv, Add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x), inplace=True)) + x


class BiasFreeUNet(nn.Module):
    """Predict the noise in an image, from the image and a map of the strength of its noise.

    Parameters
    ----------
    config : BiasFreeConfig
    schedule : NoiseSchedule
        What a step t stands for.

    Notes
    -----
    Without biases and with ReLU alone, the noise n(y, σ) that the network finds is homogeneous:
    n(a y, a σ) = a n(y, σ) for a ≥ 0. So it makes no difference whether the network sees x_t, which
    fades while the noise grows, or y = x_t/√ᾱ_t; nor does contrast matter.

    References
    ----------
    Mohan, Kadkhodaie, Simoncelli & Fernandez-Granda, "Robust and interpretable blind image denoising
    via bias-free convolutional neural networks", ICLR 2020.
    Zhang, Li, Zuo, Zhang, Van Gool & Timofte, "Plug-and-play image restoration with deep denoiser
    prior", TPAMI 2021, for the U-Net with a noise map (DRUNet).

    Examples
    --------
    >>> net = BiasFreeUNet(BiasFreeConfig(channels=3), NoiseSchedule())
    >>> x = torch.ones(2, 3, 16, 32)
    >>> net(x, torch.tensor([1.0, 57.3])).shape, net(x, torch.full((2, 1, 16, 32), 0.1)).shape
    (torch.Size([2, 3, 16, 32]), torch.Size([2, 3, 16, 32]))
    """

    def __init__(self, config: BiasFreeConfig, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.config = config
        widths, blocks, coarsest = config.widths, config.blocks, len(config.widths) - 1

        def level(index: int) -> nn.Sequential:
            return nn.Sequential(*(Block(widths[index]) for _ in range(blocks[index])))

        log_sigma = torch.from_numpy(np.log(schedule.sigma_tilde(np.arange(1, schedule.T + 1))))
        self.log_sigma: Tensor
        self.register_buffer("log_sigma", log_sigma.float(), persistent=False)
        self.head = nn.Conv2d(config.channels + 1, widths[0], 3, padding=1, bias=False)
        self.down = nn.ModuleList(level(i) for i in range(coarsest))
        self.shrink = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2, bias=False) for i in range(coarsest)
        )
        self.middle = level(coarsest)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2, bias=False)
            for i in range(coarsest)
        )
        self.up = nn.ModuleList(level(i) for i in range(coarsest))
        self.tail = nn.Conv2d(widths[0], config.channels, 3, padding=1, bias=False)

    def strength(self, t: Tensor) -> Tensor:
        """√(1 − ᾱ_t), the standard deviation of the noise in x_t, of steps t > 0 (B,)."""
        table = self.log_sigma.double()
        before = t.long().clamp(1, max(1, len(table) - 1)) - 1
        after = (before + 1).clamp(max=len(table) - 1)
        share = (t.double() - before - 1).clamp(min=0)
        sigma = torch.lerp(table[before], table[after], share).exp() * t.double().clamp(max=1)
        return (sigma / (1 + sigma.square()).sqrt()).float()

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise in `x`, in units of its standard deviation.

        Parameters
        ----------
        x : Tensor (B, channels, H, W)
            x_t, or any image with noise; H and W multiples of ``config.multiple``.
        t : Tensor (B,) or (B, 1, H, W)
            The step of each image, float32, above 0 and not necessarily whole; or the standard
            deviation of the noise in `x`, above 0, at each pixel.

        Returns
        -------
        Tensor (B, channels, H, W)
        """
        sigma = t if t.ndim > 1 else self.strength(t)[:, None, None, None].to(x)
        h = self.head(torch.cat((x, sigma.expand(-1, 1, *x.shape[2:])), dim=1))
        skips = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            h = level(h)
            skips.append(h)
            h = shrink(h)
        h = self.middle(h)
        for level, grow, skip in reversed(list(zip(self.up, self.grow, skips, strict=True))):
            h = level(grow(h) + skip)
        return self.tail(h) / sigma
