"""PyTorch tensors as images: conversion, what is chosen from them, the exact heat equation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from difffilter.image import as_float, check_shape, not_finite
from difffilter.noise.estimation import estimate_sigma
from difffilter.pde.backends.arrays import Arrays
from difffilter.pde.backends.torch_schemes import evolve
from difffilter.pde.solve.tiles import sample

__all__ = ["HostTensors", "Tensors"]

# States up to so many pixels, as many as any choice looks at, are copied whole for it.
JUDGED = 1 << 18

# Images up to so many pixels a channel are copied whole for σ; of others the CPU is shown tiles.
SHOWN = 1 << 20
TILE = {2: (1, 128, 128), 3: (16, 64, 64)}


@dataclass(frozen=True)
class HostTensors(Arrays):
    """Tensors in the CPU's memory, which arrays share, filtered as arrays.

    Attributes
    ----------
    back : torch.device
        Where results go.
    """

    back: torch.device

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        if image.is_floating_point() and image.dtype != torch.float64:
            image = image.float()  # there are kinds that NumPy has not
        return super().as_float(image.detach().cpu().numpy(), channel_axis, axes=axes)

    def as_image(self, state, shape, channel_axis):
        return torch.from_numpy(super().as_image(state, shape, channel_axis)).to(self.back)

    def damped(self, image, axes, factors):
        return torch.from_numpy(super().damped(image, axes, factors)).to(self.back)


@dataclass(frozen=True)
class Tensors:
    """Tensors on a device, filtered there by `torch_schemes`; functions are those of `Arrays`.

    Attributes
    ----------
    device : torch.device
        Where to filter.
    back : torch.device or None
        Where results go; ``None``: into NumPy arrays.
    """

    device: torch.device
    back: torch.device | None

    def check(self, scheme="explicit", kappa=None, fidelity=0.0):
        if scheme == "aos":
            raise ValueError(
                "scheme is 'aos', which works on the CPU only; expected auto, explicit or fsi on "
                f"{self.device}"
            )
        if isinstance(kappa, str):
            raise ValueError(
                f"kappa is {kappa!r}, a rule that works on the CPU only; expected a number or None "
                f"on {self.device}"
            )
        if fidelity:
            raise ValueError(
                f"fidelity is {fidelity}, which works on the CPU only; expected 0 on {self.device}"
            )

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        if not isinstance(image, torch.Tensor):
            image = np.array(as_float(image, channel_axis, axes=axes))
            return torch.from_numpy(image).to(self.device)
        if image.is_complex():
            dtype = str(image.dtype).removeprefix("torch.")
            raise TypeError(f"image must hold real numbers; got dtype {dtype}")
        check_shape(image.shape, channel_axis, axes=axes)
        image = image.detach().to(self.device)
        if image.dtype == torch.bool:
            return image.float()
        if not image.is_floating_point():
            return (image.double() / torch.iinfo(image.dtype).max).float()
        image = image if image.dtype == torch.float64 else image.float()
        if not torch.isfinite(image.sum()):  # which may have overflowed
            bad = image.numel() - int(torch.isfinite(image).sum())
            if bad:
                raise not_finite("image", bad)
        return image

    def as_state(self, image, channel_axis, *, coupled=True):
        planes = _planes(image, channel_axis)
        planes = planes[None] if coupled else planes[:, None]
        return planes.clone(memory_format=torch.contiguous_format)

    def as_image(self, state, shape, channel_axis):
        if channel_axis is not None:
            shape = list(shape)
            shape.insert(0, shape.pop(channel_axis))
        image = state.reshape(shape)
        if channel_axis is not None:
            image = image.movedim(0, channel_axis).contiguous()
        return self._returned(image)

    def extremes(self, image):
        return torch.stack(image.aminmax()).cpu().numpy()

    def shown(self, image, channel_axis):
        planes = _planes(image, channel_axis)
        if planes[0].numel() <= SHOWN:
            return image.cpu().numpy(), channel_axis
        dimensions = image.ndim - (channel_axis is not None)
        tiles, _ = sample(_Remote(planes[None]), SHOWN, TILE[dimensions])
        return tiles.reshape(-1, *tiles.shape[-dimensions:]), 0

    def estimate_sigma(self, image, channel_axis, mask):
        planes = _planes(image, channel_axis)
        if planes[0].numel() <= SHOWN:
            return estimate_sigma(image.cpu().numpy(), channel_axis, mask=mask)
        side = TILE[2 if planes.shape[1] == 1 else 3]
        tiles, tile = sample(_Remote(planes[None]), SHOWN, side)
        # (C, N, D, H, W), for each channel has the same mask.
        tiles, mask = tiles.swapaxes(0, 1), tile(mask)
        return estimate_sigma(tiles.reshape(-1, *tiles.shape[2:]), 0, mask=mask)

    def judged(self, state):
        if state[0, 0].numel() * len(state) <= JUDGED:
            return state.cpu().numpy()
        return _Remote(state)

    def evolve(self, evolution, state, time):
        return evolve(evolution, state, time)

    def copy(self, state):
        return state.clone()

    def damped(self, image, axes, factors):
        # Here each factor belongs to one axis. A cosine mode is a Fourier mode of the image and its
        # mirror image side by side.
        for axis, factor in zip(axes, factors, strict=True):
            length = image.shape[axis]
            modes = torch.fft.rfft(torch.cat([image, image.flip(axis)], axis), dim=axis)
            # Of the last mode, which is no cosine mode, there is nothing.
            factor = np.concatenate([factor, np.zeros_like(factor[:1])])
            modes *= torch.from_numpy(factor).to(image)
            image = torch.fft.irfft(modes, n=2 * length, dim=axis).narrow(axis, 0, length)
        return self._returned(image.contiguous())

    def _returned(self, image):
        return image.cpu().numpy() if self.back is None else image.to(self.back)


class _Remote:
    """A tensor of which pieces can be had as arrays, by their index."""

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tuple(tensor.shape)

    def __getitem__(self, index):
        return self.tensor[index].cpu().numpy()


def _planes(image, channel_axis):
    """An image as (C, D, H, W)."""
    planes = image[None] if channel_axis is None else image.movedim(channel_axis, 0)
    return planes.reshape(len(planes), *(1,) * (4 - planes.ndim), *planes.shape[1:])
