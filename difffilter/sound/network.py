"""The network ε_θ(x_t, t) on complex spectrograms: a U-Net that sees magnitudes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet

__all__ = ["SpectrogramNet"]

# Above this magnitude, in units of the noise, the predicted noise no longer grows with it.
BEND = 3.0


class SpectrogramNet(nn.Module):
    """Predict the noise ε in x_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, a complex spectrogram.

    With y = x_t/√(1 − ᾱ_t) = x_0/σ̃_t + ε, the spectrogram in units of its noise,

        ε_θ = u_θ(log(1 + |y|), t) · y/√(1 + |y|²/9).

    The U-Net u_θ sees the magnitude in decibels, whose range it can handle, and what it predicts has
    the phase of y and is bounded: where the sound is far above the noise, no error is large.

    Parameters
    ----------
    unet : UNet
        With one channel.
    schedule : NoiseSchedule
    """

    def __init__(self, unet: UNet, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.unet, self.schedule = unet, schedule

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise in `x`.

        Parameters
        ----------
        x : Tensor (B, 2, H, W)
            x_t, real and imaginary part; H and W multiples of ``unet.config.multiple``.
        t : Tensor (B,)
            The step of each spectrogram, not necessarily whole.

        Returns
        -------
        Tensor (B, 2, H, W)
        """
        alpha_bar = torch.as_tensor(self.schedule.alpha_bar(t.detach().cpu().numpy()))
        y = x / (1 - alpha_bar).sqrt().to(x).view(-1, 1, 1, 1)
        power = y.square().sum(dim=1, keepdim=True)
        u = self.unet(torch.log1p(power.sqrt()) - 1, t).float()
        return u * y * torch.rsqrt(1 + power / BEND**2)
