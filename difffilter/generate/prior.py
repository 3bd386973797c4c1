"""The prior of unCLIP: from a text to the CLIP embedding of an image that it may describe."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from difffilter.checks import check_whole
from difffilter.ddpm.process import NoisePredictor, shares
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import sinusoidal
from difffilter.generate.text import TextConfig, transformer
from difffilter.generate.tokens import PAD

__all__ = ["Prior", "PriorConfig"]

# Tokens after those of the text: its embedding, the step, the noised embedding, and the query.
MORE = 4


@dataclass(frozen=True)
class PriorConfig:
    """Shape of a `Prior`.

    Parameters
    ----------
    text : TextConfig
        The transformer: its vocabulary, and the longest text; width, layers and heads.
    dimension : int, default 128
        m: numbers of an embedding.
    regression : bool, default False
        Do not look at the noised embedding and the step: the network tells the mean of the embeddings
        that a text may have, rather than drawing one of them.

    Raises
    ------
    ValueError
        If `dimension` is below 1.
    """

    text: TextConfig = field(default_factory=lambda: TextConfig(layers=4))
    dimension: int = 128
    regression: bool = False

    def __post_init__(self) -> None:
        check_whole("dimension", self.dimension, least=1)


class Prior(nn.Module):
    """Predict x_0 = √m e of x_t, where e is the embedding of an image, given a text.

    A transformer that reads, from left to right, the tokens of the text, its embedding, the step t, x_t
    and a query, in whose place it answers.

    Parameters
    ----------
    config : PriorConfig

    Notes
    -----
    Embeddings are unit vectors; times √m their numbers have a mean square of 1, as those of the noise.
    The mean of several embeddings is the embedding of none of them: one that is drawn is an example of
    what the text says.

    References
    ----------
    Ramesh, Dhariwal, Nichol, Chu & Chen, "Hierarchical text-conditional image generation with CLIP
    latents", 2022, section 2.2.

    Examples
    --------
    >>> import torch
    >>> net = Prior(PriorConfig())
    >>> x, t, ids = torch.zeros(1, 128), torch.tensor([500.0]), torch.tensor([[1, 17, 2]])
    >>> net(x, t, ids, torch.zeros(1, 128)).shape
    torch.Size([1, 128])
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        text = config.text
        self.tokens = nn.Embedding(text.vocabulary, text.width)
        self.places = nn.Parameter(0.01 * torch.randn(text.length, text.width))
        self.embedded = nn.Linear(config.dimension, text.width)
        self.noised = nn.Linear(config.dimension, text.width)
        self.time = nn.Linear(text.width, text.width)
        self.query = nn.Parameter(0.02 * torch.randn(text.width))
        self.layers = transformer(text)
        self.norm = nn.LayerNorm(text.width)
        self.out = nn.Linear(text.width, config.dimension)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, text: Tensor) -> Tensor:
        """x_0 of `x`.

        Parameters
        ----------
        x : Tensor (B, m)
            x_t.
        t : Tensor (B,)
            The step of each, float32.
        ids : int64 Tensor (B, L)
            The tokens of each text.
        text : Tensor (B, m)
            Their embeddings, unit vectors.

        Returns
        -------
        Tensor (B, m)
        """
        if self.config.regression:
            x, t = torch.zeros_like(x), torch.zeros_like(t)
        more = torch.stack(
            (
                self.embedded(self.config.dimension**0.5 * text),
                self.time(sinusoidal(t, self.config.text.width)),
                self.noised(x),
                self.query.expand(len(x), -1),
            ),
            dim=1,
        )  # (B, 4, W)
        h = torch.cat((self.tokens(ids) + self.places[: ids.shape[1]], more), dim=1)
        padding = nn.functional.pad(ids == PAD, (0, MORE))  # (B, L + 4)
        later = torch.ones(2 * h.shape[1:2], dtype=torch.bool, device=h.device).triu(1)
        h = self.layers(h, mask=later, src_key_padding_mask=padding)
        return self.out(self.norm(h[:, -1]))

    def given(self, ids: Tensor, text: Tensor, schedule: NoiseSchedule) -> NoisePredictor:
        """The noise predictor ε_θ(x, t) = (x − √ᾱ_t x_0)/√(1 − ᾱ_t) of texts.

        Parameters
        ----------
        ids : int64 Tensor (B, L)
            The tokens of each text.
        text : Tensor (B, m)
            Their embeddings, unit vectors.
        schedule : NoiseSchedule
            Tells ᾱ_t.

        Returns
        -------
        callable
            ``eps_theta(x, t)``, as the functions of `difffilter.ddpm.process` take it.
        """

        def eps_theta(x: Tensor, t: Tensor) -> Tensor:
            signal, noise = shares(t.cpu(), x, schedule)
            return (x - signal * self(x, t, ids, text)) / noise

        return eps_theta
