"""Networks for images in [0, 1], applied to images in any unit and with any number of channels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from difffilter.checks import check_whole
from difffilter.ddpm.contrast import check_levels, levels, limited
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.tiles import SMALLEST_TILE, in_tiles, overlap_of
from difffilter.denoiser import Denoiser, prepare
from difffilter.docstring import shared

__all__ = ["Network", "UnitRangeDenoiser", "denoised"]

# network(images (B, C, H, W), σ)
Network = Callable[[Tensor, float], Tensor]

# A size that the tiles are a multiple of, which most networks ask for.
MULTIPLE = 16


@shared
@dataclass(frozen=True, kw_only=True)
class UnitRangeDenoiser(Denoiser):
    """A network for images in [0, 1] as a Denoiser; a subclass says which.

    Parameters
    ----------
    %(unit_range)s

    Raises
    ------
    TypeError, ValueError
        If a parameter is not as described above.
    """

    # A network takes all cores for one block.
    blocks_at_once = 1

    black: float | None = None
    white: float | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        check_levels(self.black, self.white)
        if self.tile is not None:
            check_whole("tile", self.tile, least=SMALLEST_TILE)

    @shared
    def __call__(
        self, noisy: ArrayLike, sigma: Any = None, *, channel_axis: int | None = None
    ) -> NDArray:
        """Denoise an image or, slice by slice, a volume.

        Parameters
        ----------
        %(noisy)s

        Returns
        -------
        %(denoised)s
        """
        image, sigma = prepare(noisy, sigma, channel_axis)
        network, channels = self._network()
        return denoised(
            network, image, sigma, channel_axis, channels=channels,
            black=self.black, white=self.white, tile=self.tile,
        )  # fmt: skip

    def _network(self) -> tuple[Network, int | None]:
        """The network, and the number of channels that it takes; ``None``: any."""
        raise NotImplementedError(f"{type(self).__name__} must define _network")


def denoised(
    network: Network,
    image: NDArray,
    sigma: float,
    channel_axis: int | None = None,
    *,
    channels: int | None = None,
    black: float | None = None,
    white: float | None = None,
    tile: int | None = None,
) -> NDArray:
    """Denoise an image, or each slice of a volume, by a network for images in [0, 1].

    Parameters
    ----------
    network : callable
        ``network(x, sigma)`` with x a float32 Tensor ``(B, C, H, W)`` on the CPU, about in [0, 1],
        and σ in the same unit; it returns a Tensor of the same shape.
    image : ndarray
        Floating point, ``(H, W)`` or ``(D, H, W)``, or either with channels, in any unit.
    sigma : float
        Standard deviation of the noise, in units of intensity. With 0 the image is returned as it
        is.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    channels : int, optional
        The number C of channels that the network takes. Of an image with another number each
        channel is denoised by itself, as C equal ones. ``None``: any.
    black, white : float, optional
        Intensities that the network sees as 0 and 1. ``None``: about the range of the image without
        its noise. What is more than 4σ beyond them, such as bright stars, stays where it is.
    tile : int, optional
        Largest side of a tile in pixels, at least 64; larger images are cut into tiles that overlap
        and are blended. ``None``: the image is not cut.

    Returns
    -------
    ndarray
        A new array with the shape and the dtype of `image`.

    Raises
    ------
    ValueError
        If black is not below white, or the network returns another shape.
    MemoryError
        If the image does not fit into memory.

    Examples
    --------
    >>> image = np.array([[100.0, 200.0], [100.0, 200.0]])
    >>> denoised(lambda x, sigma: x / 2, image, 1.0, black=0, white=200)
    array([[ 50., 100.],
           [ 50., 100.]])
    """
    if sigma == 0:
        return image.copy()
    low, high = levels(image, sigma, channel_axis)
    low, high = low if black is None else black, high if white is None else white
    check_levels(low, high)
    span = high - low
    seen = limited(image, sigma, low, high, least=math.inf)
    last = seen[..., None] if channel_axis is None else np.moveaxis(seen, channel_axis, -1)
    stack = np.moveaxis(last.reshape(-1, *last.shape[-3:]), 3, 1)
    unit = torch.from_numpy(np.ascontiguousarray((stack - low) / span)).float()
    with memory_errors():
        clean = _of_any_channels(network, unit, sigma / span, channels, tile)
    change = span * np.moveaxis((clean - unit).numpy(), 1, 3).reshape(last.shape)
    change = change[..., 0] if channel_axis is None else np.moveaxis(change, -1, channel_axis)
    return np.ascontiguousarray(image + change.astype(image.dtype))


def _of_any_channels(network, unit, sigma, channels, tile):
    """The network's result for images (B, C, H, W), where it takes `channels` of them."""
    if channels is None or channels == unit.shape[1]:
        return _of_any_size(network, unit, sigma, tile)
    alone = unit.reshape(-1, 1, *unit.shape[2:]).expand(-1, channels, -1, -1)
    # n equal channels are √n times as noisy along the grey axis as n independent ones.
    clean = _of_any_size(network, alone, math.sqrt(channels) * sigma, tile)
    return clean.mean(dim=1).reshape(unit.shape)


def _of_any_size(network, unit, sigma, tile):
    """The network's result for images (B, C, H, W), cut into tiles if they are to be."""

    def checked(x, _=None):
        clean = network(x, sigma)
        if clean.shape != x.shape:
            raise ValueError(
                f"model returns shape {tuple(clean.shape)} for {tuple(x.shape)}; expected the same"
            )
        return clean.float().cpu()

    if tile is None:
        return checked(unit)
    overlap = overlap_of(tile)
    return in_tiles(checked, unit, tile=tile, overlap=overlap, multiple=MULTIPLE, pixels=tile**2)
