"""The text encoder: a small transformer from tokens to vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from difffilter.checks import check_whole
from difffilter.ddpm.unet import Context
from difffilter.generate.tokens import PAD

__all__ = ["TextConfig", "TextEncoder", "transformer", "trimmed"]

# Padding is cut to a multiple of this, so that a network is compiled for few lengths.
MULTIPLE = 8


@dataclass(frozen=True)
class TextConfig:
    """Shape of a `TextEncoder`.

    Parameters
    ----------
    vocabulary : int, default 1024
        Number of tokens that exist.
    length : int, default 32
        Largest number of tokens of a text.
    width, layers, heads : int, default 128, 3 and 4
        Size of a token's vector, number of transformer layers, attention heads.

    Raises
    ------
    ValueError
        If a number is below 1, or `heads` does not divide `width`.
    """

    vocabulary: int = 1024
    length: int = 32
    width: int = 128
    layers: int = 3
    heads: int = 4

    def __post_init__(self) -> None:
        for name in ("vocabulary", "length", "width", "layers", "heads"):
            check_whole(name, getattr(self, name), least=1)
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; expected a divisor of the width {self.width}")


class TextEncoder(nn.Module):
    """Vectors of the tokens of a text, each of which has seen all others.

    Parameters
    ----------
    config : TextConfig

    References
    ----------
    Vaswani et al., "Attention is all you need", NeurIPS 2017.

    Examples
    --------
    >>> import torch
    >>> encoder = TextEncoder(TextConfig(vocabulary=100))
    >>> context = encoder(torch.tensor([[1, 17, 42, 2, 0, 0]]))
    >>> context.tokens.shape, context.mask.tolist()
    (torch.Size([1, 6, 128]), [[True, True, True, True, False, False]])
    """

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Parameter(torch.zeros(config.length, config.width))
        self.layers = transformer(config)
        self.norm = nn.LayerNorm(config.width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places, std=0.01)

    def forward(self, ids: Tensor) -> Context:
        """Encode texts.

        Parameters
        ----------
        ids : int64 Tensor (B, L)
            Tokens, padded; L at most ``config.length``.

        Returns
        -------
        Context
            Tokens (B, L, width).

        Raises
        ------
        ValueError
            If the texts are too long.
        """
        if ids.shape[1] > self.config.length:
            raise ValueError(
                f"ids has shape {tuple(ids.shape)}; expected at most {self.config.length} tokens a text"
            )
        mask = ids != PAD
        embedded = self.tokens(ids) + self.places[: ids.shape[1]]
        return Context(self.norm(self.layers(embedded, src_key_padding_mask=~mask)), mask)


def transformer(config: TextConfig) -> nn.TransformerEncoder:
    """The layers of a transformer, which normalise first."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, 4 * config.width, dropout=0.0, activation="gelu",
        batch_first=True, norm_first=True,
    )  # fmt: skip
    return nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)


def trimmed(ids: NDArray) -> Tensor:
    """Tokens without the columns that are padding in every text.

    Parameters
    ----------
    ids : int64 ndarray (B, L)

    Returns
    -------
    int64 Tensor (B, M)
        M ≤ L, a multiple of 8 unless it is L.

    Examples
    --------
    >>> import numpy as np
    >>> trimmed(np.array([[1, 5, 2] + 29 * [0]])).shape
    torch.Size([1, 8])
    """
    longest = int((ids != PAD).sum(axis=1).max())
    return torch.from_numpy(ids[:, : -(-longest // MULTIPLE) * MULTIPLE])
