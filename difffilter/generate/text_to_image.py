"""A DDPM that listens to words: a text encoder, and a U-Net that looks at its tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from difffilter.checks import check_whole
from difffilter.ddpm.process import NoisePredictor, shares
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.generate.text import TextConfig, TextEncoder

__all__ = ["TextToImage", "TextToImageConfig"]

LATENT = UNetConfig(
    channels=4, shuffle=1, widths=(112, 160), blocks=2, middle=2, attention=(0, 1), context=128
)


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

    Raises
    ------
    ValueError
        If `size` is not a multiple of ``unet.multiple``, or ``unet.context`` is not ``text.width``.
    """

    unet: UNetConfig = field(default_factory=lambda: LATENT)
    text: TextConfig = field(default_factory=TextConfig)
    size: int = 8

    def __post_init__(self) -> None:
        check_whole("size", self.size, least=1)
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

    def forward(self, x: Tensor, t: Tensor, ids: Tensor) -> Tensor:
        """Velocity of `x`.

        Parameters
        ----------
        x : Tensor (B, channels, size, size)
            x_t.
        t : Tensor (B,)
            The step of each picture, float32.
        ids : int64 Tensor (B, L)
            The tokens of each text.

        Returns
        -------
        Tensor
            Shaped like `x`.
        """
        return self.unet(x, t, self.text(ids))

    def given(self, ids: Tensor, schedule: NoiseSchedule) -> NoisePredictor:
        """The noise predictor ε_θ(x, t) = √ᾱ_t v + √(1 − ᾱ_t) x of texts, which are encoded once.

        Parameters
        ----------
        ids : int64 Tensor (B, L)
            The tokens of the text of each picture.
        schedule : NoiseSchedule
            Tells ᾱ_t.

        Returns
        -------
        callable
            ``eps_theta(x, t)``, as the functions of `difffilter.ddpm.process` take it.
        """
        context = self.text(ids)

        def eps_theta(x: Tensor, t: Tensor) -> Tensor:
            signal, noise = shares(t.cpu(), x, schedule)
            return signal * self.unet(x, t, context) + noise * x

        return eps_theta
