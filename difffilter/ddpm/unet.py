"""The U-Net ε_θ(x_t, t) of a DDPM."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole

__all__ = ["Context", "UNet", "UNetConfig"]


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a `UNet`.

    Parameters
    ----------
    channels : int, default 1
        Channels of the image: 1 for grey, 3 for colour.
    shuffle : int, default 2
        Factor of the pixel-unshuffle in front of the network; 1 is none. Two makes the network
        four times as fast for an image of the same size.
    widths : tuple of int, default (64, 96, 96, 96)
        Channels of each level, fine to coarse. Each level halves the resolution.
    blocks : int, default 2
        Residual blocks per level on the way down, and as many on the way up.
    middle : int, default 2
        Residual blocks at the coarsest level.
    attention : tuple of int, default (2, 3)
        Levels (0 is the finest) with self-attention, by default those at 1/8 and 1/16 of the
        image. At 1/4, a level finer, attention would cost more than all the convolutions.
    heads, groups, embedding : int, default 4, 8 and 192
        Attention heads, groups of the group normalisation, size of the time embedding.
    context : int, default 0
        Size of the tokens, of a text for instance, that the network looks at in the levels with
        attention, and whose mean is added to the time embedding; 0: it takes none.

    Raises
    ------
    ValueError
        If a number is below 1, `heads` or `groups` does not divide a width that uses it, or
        `attention` names a level that does not exist.
    """

    channels: int = 1
    shuffle: int = 2
    widths: tuple[int, ...] = (64, 96, 96, 96)
    blocks: int = 2
    middle: int = 2
    attention: tuple[int, ...] = (2, 3)
    heads: int = 4
    groups: int = 8
    embedding: int = 192
    context: int = 0

    def __post_init__(self) -> None:
        # A config read from JSON has lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "attention", tuple(self.attention))
        for name in ("channels", "shuffle", "blocks", "middle", "heads", "groups"):
            check_whole(name, getattr(self, name), least=1)
        check_whole("context", self.context, least=0)
        if not self.widths or any(w < 1 or w % self.groups for w in self.widths):
            raise ValueError(f"widths is {self.widths}; expected multiples of groups={self.groups}")
        if self.embedding < 4 or self.embedding % 2:
            raise ValueError(f"embedding is {self.embedding}; expected an even number ≥ 4")
        for level in self.attention:
            if not 0 <= level < len(self.widths):
                raise ValueError(
                    f"attention is {self.attention}; expected levels in [0, {len(self.widths) - 1}]"
                )
            if self.widths[level] % self.heads:
                raise ValueError(
                    f"heads is {self.heads}; expected a divisor of the width {self.widths[level]}"
                )

    @property
    def multiple(self) -> int:
        """int: Number that must divide the height and the width of an input."""
        return self.shuffle * 2 ** (len(self.widths) - 1)

    @property
    def tile(self) -> int:
        """int: Largest side of the tiles that an image is cut into unless asked otherwise."""
        # Networks trained on crops of 64² do best on tiles not much larger, whose statistics and
        # numbers of tokens they know: 0.03 dB better at 128 than at 320, 0.06 dB than the whole image.
        return 128


class Context(NamedTuple):
    """A sequence of tokens that tell a network what to make.

    Attributes
    ----------
    tokens : Tensor (B, L, C)
    mask : bool Tensor (B, L)
        True where there is a token; the rest is padding. Each sequence has at least one.
    """

    tokens: Tensor
    mask: Tensor

    def mean(self) -> Tensor:
        """The mean of the tokens (B, C)."""
        share = self.mask[:, :, None].to(self.tokens)
        return (self.tokens * share).sum(dim=1) / share.sum(dim=1)


def sinusoidal(t: Tensor, size: int) -> Tensor:
    """Embed steps t (B,) as sines and cosines (B, size), frequencies 1 down to 1/10 000."""
    frequency = torch.exp(
        -math.log(10_000) * torch.arange(size // 2, device=t.device) / (size // 2 - 1)
    )
    angle = t[:, None] * frequency  # (B, size/2)
    return torch.cat((angle.sin(), angle.cos()), dim=1)  # (B, size)


class ResidualBlock(nn.Module):
    """GroupNorm, Swish, Conv, + time, GroupNorm, Swish, Conv, Add."""

    def __init__(self, width: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(config.groups, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(config.embedding, width)
        self.norm2 = nn.GroupNorm(config.groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        zero(self.conv2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:  # (B, W, h, w), (B, E)
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(time)[:, :, None, None]
        return x + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """Self-attention of each pixel to all, and Add."""

    def __init__(self, width: int, config: UNetConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.GroupNorm(config.groups, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        zero(self.out)

    def forward(self, x: Tensor) -> Tensor:  # (B, W, h, w)
        batch, width, height, columns = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (B, hw, W)
        qkv = self.qkv(tokens).unflatten(2, (3, self.heads, -1))  # (B, hw, 3, heads, W/heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, hw, W/heads)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, hw, W)
        return x + self.out(mixed).transpose(1, 2).reshape(batch, width, height, columns)


class CrossAttention(nn.Module):
    """Attention of each pixel to the tokens of a context, and Add."""

    def __init__(self, width: int, config: UNetConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = nn.GroupNorm(config.groups, width)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(config.context, 2 * width)
        self.out = nn.Linear(width, width)
        zero(self.out)

    def forward(self, x: Tensor, context: Context) -> Tensor:  # (B, W, h, w), (B, L, C)
        batch, width, height, columns = x.shape
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # (B, hw, W)
        q = self.q(pixels).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, hw, W/heads)
        kv = self.kv(context.tokens).unflatten(2, (2, self.heads, -1))  # (B, L, 2, heads, W/heads)
        k, v = kv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, W/heads)
        seen = context.mask[:, None, None]  # (B, 1, 1, L)
        mixed = F.scaled_dot_product_attention(q, k, v, seen).transpose(1, 2).flatten(2)
        return x + self.out(mixed).transpose(1, 2).reshape(batch, width, height, columns)


class Level(nn.Module):
    """Residual blocks in a row, with attention after the first if the level has it."""

    def __init__(self, width: int, blocks: int, attention: bool, config: UNetConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(ResidualBlock(width, config) for _ in range(blocks))
        self.attention = Attention(width, config) if attention else nn.Identity()
        self.cross = CrossAttention(width, config) if attention and config.context else None

    def forward(self, x: Tensor, time: Tensor, context: Context | None) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, time)
            if index == 0:
                x = self.attention(x)
                if self.cross is not None and context is not None:
                    x = self.cross(x, context)
        return x


class UNet(nn.Module):
    """Predict the noise ε in x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε.

    Parameters
    ----------
    config : UNetConfig

    Notes
    -----
    The network of Ho et al. with three savings: a pixel-unshuffle in front, skips that are added
    rather than concatenated, and 2×2 convolutions of stride 2 between the levels. The last
    convolution of every residual block starts at zero, so that a fresh network is a shallow one.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> net = UNet(UNetConfig(channels=3))
    >>> net(torch.zeros(2, 3, 16, 32), torch.tensor([1.0, 57.3])).shape
    torch.Size([2, 3, 16, 32])
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        shuffled = config.channels * config.shuffle**2
        widths, coarsest = config.widths, len(config.widths) - 1

        def level(index: int, blocks: int) -> Level:
            return Level(widths[index], blocks, index in config.attention, config)

        self.time = nn.Sequential(
            nn.Linear(config.embedding, config.embedding),
            nn.SiLU(),
            nn.Linear(config.embedding, config.embedding),
            nn.SiLU(),
        )
        self.context = nn.Linear(config.context, config.embedding) if config.context else None
        self.unshuffle = nn.PixelUnshuffle(config.shuffle)
        self.head = nn.Conv2d(shuffled, widths[0], 3, padding=1)
        self.down = nn.ModuleList(level(i, config.blocks) for i in range(coarsest))
        self.shrink = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(coarsest)
        )
        self.middle = level(coarsest, config.middle)
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in range(coarsest)
        )
        self.up = nn.ModuleList(level(i, config.blocks) for i in range(coarsest))
        self.norm = nn.GroupNorm(config.groups, widths[0])
        self.tail = nn.Conv2d(widths[0], shuffled, 3, padding=1)
        self.shuffle = nn.PixelShuffle(config.shuffle)

    def forward(self, x: Tensor, t: Tensor, context: Context | None = None) -> Tensor:
        """Noise in `x`.

        Parameters
        ----------
        x : Tensor (B, channels, H, W)
            x_t; H and W multiples of ``config.multiple``.
        t : Tensor (B,)
            The step of each image, float32, not necessarily whole.
        context : Context, optional
            Tokens of the size ``config.context``; ``None`` if that is 0.

        Returns
        -------
        Tensor (B, channels, H, W)

        Raises
        ------
        ValueError
            If the network needs a context and there is none, or the reverse, or the tokens are of
            another size.
        """
        size = 0 if context is None else context.tokens.shape[2]
        if size != self.config.context:
            given, needed = (
                f"tokens of size {n}" if n else "None" for n in (size, self.config.context)
            )
            raise ValueError(f"context is {given}; expected {needed}")
        # (The steps are float32 in any precision of the layers, since float16 would round them.)
        time = self.time(sinusoidal(t, self.config.embedding).to(x.dtype))  # (B, E)
        if self.context is not None and context is not None:
            time = time + self.context(context.mean())
        h = self.head(self.unshuffle(x))
        skips = []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            h = level(h, time, context)
            skips.append(h)
            h = shrink(h)
        h = self.middle(h, time, context)
        for level, grow, skip in reversed(list(zip(self.up, self.grow, skips, strict=True))):
            h = level(grow(h) + skip, time, context)
        return self.shuffle(self.tail(F.silu(self.norm(h))))


def zero(layer: nn.Module) -> None:
    """Set the weights and the bias of a layer to zero."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)
