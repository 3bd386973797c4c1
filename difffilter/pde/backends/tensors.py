"""The backends for PyTorch tensors: conversion, samples for the choice, the exact heat equation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from difffilter.image import as_float, check_shape, not_finite
from difffilter.noise.measure import assumed_noise
from difffilter.pde.backends.arrays import Arrays
from difffilter.pde.backends.torch_schemes import evolve
from difffilter.pde.solve.tiles import sample

__all__ = ["Differentiable", "HostTensors", "Tensors"]

# States of at most this many pixels, the largest sample that any choice takes, are copied whole to
# the CPU.
STATE_PIXELS = 1 << 18

# Images of at most this many pixels per channel are copied whole to the CPU to estimate σ; of
# larger ones, tiles are.
IMAGE_PIXELS = 1 << 20
TILE = {2: (1, 128, 128), 3: (16, 64, 64)}


@dataclass(frozen=True)
class HostTensors(Arrays):
    """Tensors in the memory of the CPU, filtered as NumPy arrays that share it.

    Attributes
    ----------
    back : torch.device
        The device of the results.
    """

    back: torch.device

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        if image.is_floating_point() and image.dtype != torch.float64:
            image = image.float()  # NumPy has no bfloat16
        return super().as_float(image.detach().cpu().numpy(), channel_axis, axes=axes)

    def as_image(self, state, shape, channel_axis):
        return torch.from_numpy(super().as_image(state, shape, channel_axis)).to(self.back)

    def damped(self, image, axes, factors):
        return torch.from_numpy(super().damped(image, axes, factors)).to(self.back)


@dataclass(frozen=True)
class Tensors:
    """Tensors on a device, filtered there by `torch_schemes`; the methods are those of `Arrays`.

    Attributes
    ----------
    device : torch.device
        The device that filters.
    back : torch.device or None
        The device of the results; ``None``: NumPy arrays.
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
            raise TypeError(f"image has dtype {dtype}; expected real numbers")
        check_shape(image.shape, channel_axis, axes=axes)
        image = image.detach().to(self.device)
        if image.dtype == torch.bool:
            return image.float()
        if not image.is_floating_point():
            largest = 1 if image.dtype == torch.int64 else torch.iinfo(image.dtype).max
            return (image.double() / largest).float()
        image = image if image.dtype == torch.float64 else image.float()
        if not torch.isfinite(image.sum()):  # the sum may also have overflowed
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

    def host_image(self, image, channel_axis):
        planes = _planes(image, channel_axis)
        if planes[0].numel() <= IMAGE_PIXELS:
            return image.cpu().numpy(), channel_axis
        dimensions = image.ndim - (channel_axis is not None)
        tiles, _ = sample(_OnDevice(planes[None]), IMAGE_PIXELS, TILE[dimensions])
        return tiles.reshape(-1, *tiles.shape[-dimensions:]), 0

    def assumed_noise(self, image, channel_axis, mask):
        planes = _planes(image, channel_axis)
        if planes[0].numel() <= IMAGE_PIXELS:
            return assumed_noise(image.cpu().numpy(), channel_axis=channel_axis, mask=mask)
        side = TILE[2 if planes.shape[1] == 1 else 3]
        tiles, tile = sample(_OnDevice(planes[None]), IMAGE_PIXELS, side, mask)
        # The planes of all tiles follow each other, as those of a volume (C, N·D, H, W).
        tiles, mask = tiles.swapaxes(0, 1), tile(mask)
        volume = tiles.reshape(len(tiles), -1, *tiles.shape[3:])
        mask = None if mask is None else mask.reshape(volume.shape[1:])
        return assumed_noise(volume, channel_axis=0, mask=mask)

    def host_state(self, state):
        if state[0, 0].numel() * len(state) <= STATE_PIXELS:
            return state.cpu().numpy()
        return _OnDevice(state)

    def every(self, step, state, mask):
        pixels = state if mask is None else state[:, :, torch.from_numpy(mask[0])]
        return pixels.reshape(-1)[::step].cpu().numpy()

    def evolve(self, evolution, state, time):
        return evolve(evolution, state, time)

    def copy(self, state):
        return state.clone()

    def damped(self, image, axes, factors):
        # Here each factor belongs to one axis. A cosine mode is a Fourier mode of the image
        # followed by its mirror image.
        for axis, factor in zip(axes, factors, strict=True):
            length = image.shape[axis]
            modes = torch.fft.rfft(torch.cat([image, image.flip(axis)], axis), dim=axis)
            # The last mode, which is not a cosine mode, is zero.
            factor = np.concatenate([factor, np.zeros_like(factor[:1])])
            modes *= torch.from_numpy(factor).to(image)
            image = torch.fft.irfft(modes, n=2 * length, dim=axis).narrow(axis, 0, length)
        return self._returned(image.contiguous())

    def _returned(self, image):
        return image.cpu().numpy() if self.back is None else image.to(self.back)


@dataclass(frozen=True)
class Differentiable(Tensors):
    """Tensors whose gradient PyTorch records, for an evolution with nothing left to choose."""

    def check(self, scheme="explicit", kappa=None, fidelity=0.0):
        if scheme == "aos":
            raise ValueError(
                "scheme is 'aos', which has no gradient; expected auto, explicit or fsi"
            )
        if fidelity:
            raise ValueError(f"fidelity is {fidelity}, which has no gradient; expected 0")

    def as_float(self, image, channel_axis=None, *, axes=(2, 3)):
        super().as_float(image, channel_axis, axes=axes)  # which checks it
        return image if image.dtype == torch.float64 else image.float()


class _OnDevice:
    """A tensor on a device, whose parts are copied to arrays when they are indexed."""

    def __init__(self, tensor):
        self.tensor, self.shape = tensor, tuple(tensor.shape)

    def __getitem__(self, index):
        return self.tensor[index].cpu().numpy()


def _planes(image, channel_axis):
    """An image as (C, D, H, W)."""
    planes = image[None] if channel_axis is None else image.movedim(channel_axis, 0)
    return planes.reshape(len(planes), *(1,) * (4 - planes.ndim), *planes.shape[1:])
