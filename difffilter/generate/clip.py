"""CLIP: pictures and texts on one sphere, where those that belong together are near each other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole
from difffilter.generate.autoencoder import Block
from difffilter.generate.text import TextConfig, TextEncoder

__all__ = ["CLIP", "CLIPConfig", "contrastive_loss"]

# The largest log 1/τ: Radford et al. limit the factor of the cosines to 100.
STEEPEST = math.log(100)


@dataclass(frozen=True)
class CLIPConfig:
    """Shape of a `CLIP`.

    Parameters
    ----------
    text : TextConfig
        The text tower.
    size : int, default 64
        Height and width of a picture in pixels.
    widths : tuple of int, default (48, 72, 96)
        Channels of each level of the image tower, from a quarter of the resolution down.
    blocks : int, default 2
        Residual blocks of each level.
    dimension : int, default 128
        m: numbers of an embedding.
    groups, heads : int, default 8 and 4
        Groups of the group normalisation, heads of the pooling.

    Raises
    ------
    ValueError
        If a number is below 1, a width is not a multiple of `groups`, `heads` does not divide the last
        width, or `size` is not a multiple of `factor`.
    """

    text: TextConfig = field(default_factory=TextConfig)
    size: int = 64
    widths: tuple[int, ...] = (48, 72, 96)
    blocks: int = 2
    dimension: int = 128
    groups: int = 8
    heads: int = 4

    def __post_init__(self) -> None:
        # A config read from JSON has lists.
        object.__setattr__(self, "widths", tuple(self.widths))
        for name in ("size", "blocks", "dimension", "groups", "heads"):
            check_whole(name, getattr(self, name), least=1)
        if not self.widths or any(w < 1 or w % self.groups for w in self.widths):
            raise ValueError(f"widths is {self.widths}; expected multiples of groups={self.groups}")
        if self.widths[-1] % self.heads:
            raise ValueError(
                f"heads is {self.heads}; expected a divisor of the last width {self.widths[-1]}"
            )
        if self.size % self.factor:
            raise ValueError(f"size is {self.size}; expected a multiple of {self.factor}")

    @property
    def factor(self) -> int:
        """int: Pixels along each axis for one place of the coarsest level."""
        return 2 ** (len(self.widths) + 1)


class ImageTower(nn.Module):
    """Residual blocks at falling resolution, and a query that looks at every place."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        widths, places = config.widths, (config.size // config.factor) ** 2
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(4),
            nn.Conv2d(3 * 4**2, widths[0], 3, padding=1),
            *(Block(widths[0], config.groups) for _ in range(config.blocks)),
        ]
        for fine, coarse in pairwise(widths):
            layers.append(nn.Conv2d(fine, coarse, 2, stride=2))
            layers += [Block(coarse, config.groups) for _ in range(config.blocks)]
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(widths[-1])
        self.places = nn.Parameter(0.02 * torch.randn(places, widths[-1]))
        self.query = nn.Parameter(0.02 * torch.randn(1, 1, widths[-1]))
        self.pool = nn.MultiheadAttention(widths[-1], config.heads, batch_first=True)
        self.out = nn.Sequential(
            nn.LayerNorm(widths[-1]),
            nn.Linear(widths[-1], 4 * config.dimension),
            nn.GELU(),
            nn.Linear(4 * config.dimension, config.dimension),
        )

    def forward(self, x: Tensor) -> Tensor:  # (B, 3, S, S)
        h = self.layers(x).flatten(2).transpose(1, 2)  # (B, places, W)
        h = self.norm(h) + self.places
        pooled, _ = self.pool(self.query.expand(len(x), -1, -1), h, h, need_weights=False)
        return self.out(pooled[:, 0])  # (B, m)


class CLIP(nn.Module):
    """Embed pictures and texts on the sphere of m dimensions.

    Parameters
    ----------
    config : CLIPConfig

    Attributes
    ----------
    log_steepness : Parameter (1,)
        log 1/τ, which is learned.

    References
    ----------
    Radford et al., "Learning transferable visual models from natural language supervision", ICML
    2021.

    Examples
    --------
    >>> import torch
    >>> net = CLIP(CLIPConfig())
    >>> net.embed_images(torch.zeros(2, 3, 64, 64)).norm(dim=1).round().tolist()
    [1.0, 1.0]
    """

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.image = ImageTower(config)
        self.text = TextEncoder(config.text)
        self.out = nn.Linear(config.text.width, config.dimension)
        self.log_steepness = nn.Parameter(torch.tensor([math.log(1 / 0.07)]))

    @property
    def steepness(self) -> Tensor:
        """1/τ."""
        return self.log_steepness.clamp(max=STEEPEST).exp()

    def embed_images(self, x: Tensor) -> Tensor:
        """Unit vectors (B, m) of pictures (B, 3, size, size) in [−1, 1]."""
        size = self.config.size
        if x.shape[2:] != (size, size):
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (B, 3, {size}, {size})")
        return F.normalize(self.image(x), dim=1)

    def embed_texts(self, ids: Tensor) -> Tensor:
        """Unit vectors (B, m) of texts, int64 tokens (B, L)."""
        return F.normalize(self.out(self.text(ids).mean()), dim=1)

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings of pictures and of texts, and 1/τ."""
        if self.training:
            # The parameter itself is held: beyond the limit it would have no gradient to come back.
            with torch.no_grad():
                self.log_steepness.clamp_(max=STEEPEST)
        return self.embed_images(x), self.embed_texts(ids), self.steepness


def contrastive_loss(
    images: Tensor, texts: Tensor, steepness: Tensor, same: Tensor | None = None
) -> Tensor:
    """Symmetric cross-entropy over the cosines of a batch, divided by τ.

    Parameters
    ----------
    images, texts : Tensor (B, m)
        Unit vectors; those of the same row belong together.
    steepness : Tensor
        1/τ.
    same : bool Tensor (B, B), optional
        Pairs in different rows that belong together as well; ``None``: there is none. The target is
        spread over all that do.

    Returns
    -------
    Tensor
        A number.

    Examples
    --------
    >>> import torch
    >>> contrastive_loss(torch.eye(2), torch.eye(2), torch.tensor(3.0))
    tensor(0.0486)
    """
    logits = steepness * images.float() @ texts.float().T
    target = torch.eye(len(images), device=logits.device)
    if same is not None:
        target = torch.maximum(target, same.to(target))
    of_images, of_texts = (each / each.sum(dim=1, keepdim=True) for each in (target, target.T))
    return (F.cross_entropy(logits, of_images) + F.cross_entropy(logits.T, of_texts)) / 2
