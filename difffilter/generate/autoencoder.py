"""The autoencoder of latent diffusion: 64×64 pixels to 8×8 numbers in 4 channels, and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole

__all__ = ["Autoencoder", "AutoencoderConfig"]

# log σ² of a latent is kept in this range, in which exp does not overflow.
LOG_VARIANCE = (-30.0, 20.0)

# The share of a batch in the scale of the latents.
FOLLOWED = 0.02


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of an `Autoencoder`.

    Parameters
    ----------
    channels : int, default 3
        Channels of the image.
    latent : int, default 4
        Channels of the latents.
    widths : tuple of int, default (48, 96, 128)
        Channels of each level, fine to coarse; the finest has half the image's resolution, and each
        further one half of the last.
    blocks : tuple of int, default (2, 2, 2)
        Residual blocks of each level, in the encoder and in the decoder.
    groups : int, default 8
        Groups of the group normalisation.

    Raises
    ------
    ValueError
        If a number is below 1, `groups` does not divide a width, or `blocks` and `widths` differ in
        length.
    """

    channels: int = 3
    latent: int = 4
    widths: tuple[int, ...] = (48, 96, 128)
    blocks: tuple[int, ...] = (2, 2, 2)
    groups: int = 8

    def __post_init__(self) -> None:
        # A config read from JSON has lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "blocks", tuple(self.blocks))
        for name in ("channels", "latent", "groups"):
            check_whole(name, getattr(self, name), least=1)
        if not self.widths or any(w < 1 or w % self.groups for w in self.widths):
            raise ValueError(f"widths is {self.widths}; expected multiples of groups={self.groups}")
        if len(self.blocks) != len(self.widths) or any(b < 1 for b in self.blocks):
            raise ValueError(
                f"blocks is {self.blocks}; expected {len(self.widths)} numbers ≥ 1, one for each width"
            )

    @property
    def factor(self) -> int:
        """int: Pixels along each axis that one latent stands for."""
        return 2 ** len(self.widths)


class Block(nn.Module):
    """GroupNorm, Swish, Conv, GroupNorm, Swish, Conv, Add."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        for weight in self.conv2.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


class Autoencoder(nn.Module):
    """Encode images as few latents, and decode them.

    Parameters
    ----------
    config : AutoencoderConfig

    Attributes
    ----------
    scale : Tensor
        Factor that gives latents the variance 1, as a diffusion needs them; it follows the latents
        of the training.

    Notes
    -----
    The encoder gives a mean and a variance for each latent; during training they are drawn, and the
    Kullback–Leibler divergence from a standard normal distribution holds them near 0, with a small
    weight. An image of 64×64×3 = 12 288 numbers has 8×8×4 = 256 latents, 48 times fewer.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser & Ommer, "High-resolution image synthesis with latent diffusion
    models", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> net = Autoencoder(AutoencoderConfig())
    >>> latents = net.encode(torch.zeros(1, 3, 64, 64))
    >>> latents.shape, net.decode(latents).shape
    (torch.Size([1, 4, 8, 8]), torch.Size([1, 3, 64, 64]))
    """

    scale: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        widths, blocks, groups = config.widths, config.blocks, config.groups

        def level(width: int, count: int) -> list[nn.Module]:
            return [Block(width, groups) for _ in range(count)]

        down: list[nn.Module] = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * config.channels, widths[0], 3, padding=1),
            *level(widths[0], blocks[0]),
        ]
        for (fine, coarse), count in zip(pairwise(widths), blocks[1:], strict=True):
            down += [nn.Conv2d(fine, coarse, 2, stride=2), *level(coarse, count)]
        down += [
            nn.GroupNorm(groups, widths[-1]),
            nn.SiLU(),
            nn.Conv2d(widths[-1], 2 * config.latent, 1),
        ]
        up: list[nn.Module] = [nn.Conv2d(config.latent, widths[-1], 3, padding=1)]
        for width, finer, count in zip(
            reversed(widths), [*reversed(widths[:-1]), None], reversed(blocks), strict=True
        ):
            up += level(width, count)
            if finer:
                up.append(nn.ConvTranspose2d(width, finer, 2, stride=2))
        up += [
            nn.GroupNorm(groups, widths[0]),
            nn.SiLU(),
            nn.Conv2d(widths[0], 4 * config.channels, 3, padding=1),
            nn.PixelShuffle(2),
        ]
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)
        self.register_buffer("scale", torch.ones(()))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log σ² of the latents of images in [−1, 1], not scaled: as `encode` is shaped."""
        factor = self.config.factor
        if x.shape[2] % factor or x.shape[3] % factor:  # of which the network would drop the rest
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected a height and a width that are multiples of "
                f"{factor}"
            )
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def encode(self, x: Tensor) -> Tensor:
        """Latents of images, of variance 1 over the images of the training.

        Parameters
        ----------
        x : Tensor (B, channels, H, W)
            In [−1, 1]; H and W multiples of ``config.factor``.

        Returns
        -------
        Tensor (B, latent, H/factor, W/factor)

        Raises
        ------
        ValueError
            If `factor` does not divide H or W.
        """
        return self.scale * self.moments(x)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents: the inverse of `encode`, nearly.

        Parameters
        ----------
        latents : Tensor (B, latent, h, w)

        Returns
        -------
        Tensor (B, channels, h·factor, w·factor)
            In [−1, 1], up to slight overshoot.
        """
        return self.decoder(latents / self.scale)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct images from latents that are drawn, for training.

        Parameters
        ----------
        x : Tensor (B, channels, H, W)
        noise : Tensor (B, latent, h, w)
            Standard normal.

        Returns
        -------
        images : Tensor
            Shaped like `x`.
        divergence : Tensor (B,)
            Kullback–Leibler divergence of the latents from a standard normal distribution, in nats
            per latent.
        """
        mean, log_variance = self.moments(x)
        if (
            self.training and mean.requires_grad
        ):  # else the latents stay as they are, and so does it
            self.scale.lerp_(1 / mean.detach().float().std(), FOLLOWED)
        drawn = mean + (0.5 * log_variance).exp() * noise
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return self.decoder(drawn), divergence.mean(dim=(1, 2, 3))
