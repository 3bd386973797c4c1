"""A DDPM that listens to words: a text encoder, and a U-Net that looks at its tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from difffilter.checks import check_whole
from difffilter.ddpm.process import NoisePredictor, from_velocity
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import Context, UNet, UNetConfig
from difffilter.generate.text import TextConfig, TextEncoder

__all__ = ["TextToImage", "TextToImageConfig"]

LATENT = UNetConfig(
    channels=4, shuffle=1, widths=(112, 160), blocks=2, middle=2, attention=(0, 1), context=128
)

# Tokens that the embedding of an image becomes; DALL·E 2 has 4.
IMAGE_TOKENS = 8


@dataclass(frozen=True)
class TextToImageConfig:
    """Shape of a `TextToImage`.

    Parameters
    ----------
    unet : UNetConfig
        The U-Net; its ``context`` is the width of the text's tokens. The default is for latents.
    text : TextConfig
        The text encoder.
    size : int, default 8
        Height and width of the pictures, or of their latents.
    image : int, default 0
        Numbers of the embedding of an image that the network listens to beside the text, as the
        decoder of unCLIP does; 0: it takes none.

    Raises
    ------
    ValueError
        If `size` is not a multiple of ``unet.multiple``, or ``unet.context`` is not ``text.width``.
    """

    unet: UNetConfig = field(default_factory=lambda: LATENT)
    text: TextConfig = field(default_factory=TextConfig)
    size: int = 8
    image: int = 0

    def __post_init__(self) -> None:
        check_whole("size", self.size, least=1)
        check_whole("image", self.image, least=0)
        if self.size % self.unet.multiple:
            raise ValueError(
                f"size is {self.size}; expected a multiple of unet.multiple={self.unet.multiple}"
            )
        if self.unet.context != self.text.width:
            raise ValueError(
                f"unet.context is {self.unet.context}; expected text.width={self.text.width}"
            )


class TextToImage(nn.Module):
    """Predict the velocity v = √ᾱ_t ε − √(1 − ᾱ_t) x_0 of x_t, given a text.

    With ``config.image``, given the embedding of an image as well: it becomes eight tokens after those
    of the text.

    Parameters
    ----------
    config : TextToImageConfig

    Notes
    -----
    What a text says of a picture is decided where there is hardly anything but noise. There ε is
    nearly x_t itself: a network that is trained to tell ε learns little of texts, but one that is
    trained to tell v, which is nearly −x_0 there, learns them first. `given` turns v into ε.

    References
    ----------
    Salimans & Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022.
    Rombach, Blattmann, Lorenz, Esser & Ommer, "High-resolution image synthesis with latent diffusion
    models", CVPR 2022.
    Ramesh, Dhariwal, Nichol, Chu & Chen, "Hierarchical text-conditional image generation with CLIP
    latents", 2022, for the embedding.

    Examples
    --------
    >>> import torch
    >>> net = TextToImage(TextToImageConfig())
    >>> ids = torch.tensor([[1, 17, 2]])
    >>> net(torch.zeros(1, 4, 8, 8), torch.tensor([500.0]), ids).shape
    torch.Size([1, 4, 8, 8])
    """

    def __init__(self, config: TextToImageConfig) -> None:
        super().__init__()
        self.config = config
        self.text = TextEncoder(config.text)
        self.unet = UNet(config.unet)
        self.image = None
        if config.image:
            # At first the tokens say little, so that training can begin with a network of texts; but not
            # nothing: tokens that begin alike have the same gradients, and stay alike.
            self.image = nn.Linear(config.image, IMAGE_TOKENS * config.text.width)
            nn.init.normal_(self.image.weight, std=0.02)
            nn.init.zeros_(self.image.bias)

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Velocity of `x`.

        Parameters
        ----------
        x : Tensor (B, channels, size, size)
            x_t.
        t : Tensor (B,)
            The step of each picture, float32.
        ids : int64 Tensor (B, L)
            The tokens of each text.
        embedding : Tensor (B, image), optional
            Unit vectors; zeros, or ``None`` for all, where there is none.

        Returns
        -------
        Tensor
            Shaped like `x`.

        Raises
        ------
        ValueError
            If there are embeddings of another size than ``config.image``.
        """
        return self.unet(x, t, self.context(ids, embedding))

    def context(self, ids: Tensor, embedding: Tensor | None = None) -> Context:
        """The tokens of texts (B, L), and of embeddings (B, image), that the U-Net looks at."""
        text = self.text(ids)
        if embedding is None:
            return text
        size = self.config.image
        if self.image is None or embedding.shape != (len(ids), size):
            raise ValueError(
                f"embedding has shape {tuple(embedding.shape)}; expected "
                f"{(len(ids), size) if size else None}"
            )
        # √m: the numbers of a unit vector have a mean square of 1/m, and those of a token of 1.
        tokens = self.image(size**0.5 * embedding).unflatten(1, (IMAGE_TOKENS, -1))
        there = (embedding != 0).any(dim=1, keepdim=True).expand(-1, IMAGE_TOKENS)
        return Context(
            torch.cat((text.tokens, tokens), dim=1), torch.cat((text.mask, there), dim=1)
        )

    def given(
        self, ids: Tensor, schedule: NoiseSchedule, embedding: Tensor | None = None
    ) -> NoisePredictor:
        """The noise predictor ε_θ(x, t) = √ᾱ_t v + √(1 − ᾱ_t) x of texts, which are encoded once.

        Parameters
        ----------
        ids : int64 Tensor (B, L)
            The tokens of the text of each picture.
        schedule : NoiseSchedule
            Tells ᾱ_t.
        embedding : Tensor (B, image), optional
            As in `forward`.

        Returns
        -------
        callable
            ``eps_theta(x, t)``, as the functions of `difffilter.ddpm.process` take it.
        """
        context = self.context(ids, embedding)
        return from_velocity(lambda x, t: self.unet(x, t, context), schedule)
