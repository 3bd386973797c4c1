"""A DDPM that makes a small picture four times as large: the last stage of a cascade."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.process import NoisePredictor, from_velocity
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig

__all__ = ["Upsampler", "UpsamplerConfig"]

# Of the picture and, beside it, of the small one enlarged.
BESIDE = UNetConfig(
    channels=6, shuffle=4, widths=(64, 80, 96), blocks=1, middle=1, attention=(), embedding=96
)


@dataclass(frozen=True)
class UpsamplerConfig:
    """Shape of an `Upsampler`.

    Parameters
    ----------
    unet : UNetConfig
        The U-Net, whose channels are twice those of a picture.
    factor : int, default 4
        How many times as high and as wide the large picture is.
    gain : float, default 10
        Factor of the details before noise is added: it brings them to the scale of the noise.

    Raises
    ------
    ValueError
        If `factor` is below 2, `gain` is not positive, or ``unet.channels`` is odd.
    """

    unet: UNetConfig = field(default_factory=lambda: BESIDE)
    factor: int = 4
    gain: float = 10.0

    def __post_init__(self) -> None:
        check_whole("factor", self.factor, least=2)
        check_number("gain", self.gain, above=0)
        if self.unet.channels % 2:
            raise ValueError(f"unet.channels is {self.unet.channels}; expected an even number")

    @property
    def channels(self) -> int:
        """int: Channels of a picture."""
        return self.unet.channels // 2

    def enlarged(self, small: Tensor) -> Tensor:
        """Small pictures (B, C, h, w) at the size of large ones, by bicubic interpolation."""
        return F.interpolate(small, scale_factor=self.factor, mode="bicubic")

    def details(self, large: Tensor, enlarged: Tensor) -> Tensor:
        """x_0: what large pictures have beyond the enlarged ones."""
        return self.gain * (large - enlarged)

    def with_details(self, enlarged: Tensor, details: Tensor) -> Tensor:
        """The inverse of `details`."""
        return enlarged + details / self.gain


class Upsampler(nn.Module):
    """Predict the velocity of the details of a large picture, given a small one.

    Parameters
    ----------
    config : UpsamplerConfig

    Notes
    -----
    The details are what the large picture has beyond the small one enlarged. The network sees the latter
    beside x_t, as further channels.

    References
    ----------
    Ho, Saharia, Chan, Fleet, Norouzi & Salimans, "Cascaded diffusion models for high fidelity image
    generation", JMLR 2022.
    Li et al., "SRDiff: single image super-resolution with diffusion probabilistic models",
    Neurocomputing 2022, for the details.

    Examples
    --------
    >>> import torch
    >>> net = Upsampler(UpsamplerConfig())
    >>> x, enlarged = torch.zeros(2, 1, 3, 64, 64)
    >>> net(x, torch.tensor([500.0]), enlarged).shape
    torch.Size([1, 3, 64, 64])
    """

    def __init__(self, config: UpsamplerConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(config.unet)

    def forward(self, x: Tensor, t: Tensor, enlarged: Tensor) -> Tensor:
        """Velocity v = √ᾱ_t ε − √(1 − ᾱ_t) x_0 of `x`.

        Parameters
        ----------
        x : Tensor (B, C, H, W)
            x_t; H and W multiples of ``config.unet.multiple``.
        t : Tensor (B,)
            The step of each picture, float32.
        enlarged : Tensor (B, C, H, W)
            The small pictures, as `UpsamplerConfig.enlarged` returns them, in [−1, 1].

        Returns
        -------
        Tensor
            Shaped like `x`.
        """
        return self.unet(torch.cat((x, enlarged), dim=1), t)[:, : x.shape[1]]

    def given(self, enlarged: Tensor, schedule: NoiseSchedule) -> NoisePredictor:
        """The noise predictor ε_θ(x, t) = √ᾱ_t v + √(1 − ᾱ_t) x, given small pictures.

        Parameters
        ----------
        enlarged : Tensor (B, C, H, W)
            As for the call.
        schedule : NoiseSchedule
            Tells ᾱ_t.

        Returns
        -------
        callable
            ``eps_theta(x, t)``, as the functions of `difffilter.ddpm.process` take it.
        """
        return from_velocity(lambda x, t: self(x, t, enlarged), schedule)
