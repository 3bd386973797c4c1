"""A DDPM that listens to words: a text encoder, and a U-Net that looks at its tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from difffilter.checks import check_whole
from difffilter.ddpm.process import NoisePredictor
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
    """Predict the noise in x_t, given a text.

    Parameters
    ----------
    config : TextToImageConfig

    References
    ----------
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
        """Noise in `x`.

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

    def given(self, ids: Tensor) -> NoisePredictor:
        """The noise predictor ε_θ(x, t) of texts, which are encoded once.

        Parameters
        ----------
        ids : int64 Tensor (B, L)
            The tokens of the text of each picture.

        Returns
        -------
        callable
            ``eps_theta(x, t)``, as the functions of `difffilter.ddpm.process` take it.
        """
        context = self.text(ids)
        return lambda x, t: self.unet(x, t, context)
