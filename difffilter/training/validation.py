"""PSNR on the validation images of a run."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.training.data import signed

__all__ = ["SIGMA", "validation_psnr", "with_white_noise"]

# The strength of white noise, for an image in [0, 1].
SIGMA = 25 / 255


def validation_psnr(
    images: list[NDArray],
    denoise: Callable[[Tensor], Tensor],
    noisy: Callable[[Tensor, int], Tensor],
    device: torch.device,
    multiple: int = 1,
) -> float:
    """Mean PSNR in dB on the central 256² of each image.

    Parameters
    ----------
    images : list of ndarray (C, H, W)
    denoise : callable
        Denoises an image (1, C, H, W) in [−1, 1].
    noisy : callable
        Adds noise to such an image, whose number is the second argument.
    device : torch.device
        Where to denoise.
    multiple : int, default 1
        Height and width are cut to multiples of it.

    Returns
    -------
    float
    """
    scores = []
    for index, image in enumerate(images):
        height, width = (min(256, extent) // multiple * multiple for extent in image.shape[1:])
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        x0 = torch.from_numpy(signed(image[None, :, top : top + height, left : left + width]))
        y = noisy(x0, index).to(device)
        with torch.inference_mode():
            estimate = denoise(y).clamp(-1, 1).cpu()
        scores.append(-10 * math.log10((estimate - x0).square().mean().item() / 4))
    return float(np.mean(scores))


def with_white_noise(x0: Tensor, index: int) -> Tensor:
    """The image number `index`, in [−1, 1], with white noise of strength `SIGMA`."""
    return x0 + 2 * SIGMA * torch.randn(x0.shape, generator=torch.Generator().manual_seed(index))
