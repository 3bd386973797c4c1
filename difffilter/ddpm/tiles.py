"""A network on overlapping tiles, blended without a seam, in the memory there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from math import ceil
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from difffilter.ddpm.networks import Network
from difffilter.ddpm.runtime import ExportedNetwork
from difffilter.ddpm.threads import in_threads

# Size and starts of the tiles, along H and along W.
Layout = tuple[tuple[int, tuple[int, ...]], ...]

# Pixels.
SMALLEST_TILE = 64
OVERLAP = 32


class TiledNetwork:
    """ε_θ(x, t) for images of any size: the images in main memory, tile by tile on the device.

    When the device runs out of memory it takes fewer tiles at once, then smaller ones, and then
    goes on on the CPU, with a warning each time.

    Parameters
    ----------
    net : UNet, BiasFreeUNet or ExportedNetwork
        On its device.
    dtype : torch.dtype
        Precision of the layers.
    tile : int, optional
        Largest side of a tile, in pixels. ``None``: that of the network's config, 128 or 288.
    batch : int, optional
        Tiles of that size per call of the network. ``None``: 1 on the CPU and 256 elsewhere.
    calls : int, default 1
        Number of calls to come, for the progress bar, which is shown on a terminal if they take
        more than a second.
    layout : tuple of (int, tuple of int), optional
        Size and starts of the tiles along H and W of an image that is a part of a larger one.
        ``None``: as they follow from the image's own size.

    Examples
    --------
    >>> import torch
    >>> from difffilter.ddpm.unet import UNet, UNetConfig
    >>> with TiledNetwork(UNet(UNetConfig()), torch.float32) as eps_theta:
    ...     eps_theta(torch.zeros(1, 1, 37, 1), torch.tensor([57.3])).shape
    torch.Size([1, 1, 37, 1])
    """

    def __init__(
        self,
        net: Network | ExportedNetwork,
        dtype: torch.dtype,
        *,
        tile: int | None = None,
        batch: int | None = None,
        calls: int = 1,
        layout: Layout | None = None,
    ) -> None:
        self.net = net
        self.dtype = dtype
        self.device = next(net.parameters()).device
        self.tile = tile or net.config.tile
        self.batch = batch or (1 if self.device.type == "cpu" else 256)
        self.layout = layout
        self.bar = tqdm(
            total=calls,
            disable=None,
            delay=1,
            leave=False,
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        )

    def __enter__(self) -> TiledNetwork:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Noise in `x` (B, C, H, W), any H and W, at steps `t` (B,), as float32 on the CPU.

        For a network that takes them, `t` may be strengths (B, 1, H, W). The gradient is recorded if
        `x` requires one.
        """
        recorded = x.requires_grad and torch.is_grad_enabled()
        channels, mapped = x.shape[1], t.ndim > 1
        if mapped:
            x = torch.cat((x, t.to(x)), dim=1)

        def of_tiles(stack: Tensor, indices: Tensor) -> Tensor:
            stack = stack.float().to(self.device, memory_format=torch.channels_last)
            level = stack[:, channels:] if mapped else t[indices].to(self.device)
            autocast = torch.autocast(
                self.device.type, self.dtype, enabled=self.dtype != torch.float32
            )
            with torch.inference_mode(not recorded), autocast:
                return self.net(stack[:, :channels], level).float().cpu()

        while True:
            done = self.bar.n
            try:
                return in_tiles(
                    of_tiles,
                    x,
                    tile=self.tile,
                    overlap=overlap_of(self.tile),
                    multiple=self.net.config.multiple,
                    pixels=self.batch * self.tile**2,
                    progress=self.bar.update,
                    layout=self.layout,
                    apply=in_threads if self.device.type == "cpu" else map,
                )
            except torch.OutOfMemoryError as error:
                failure = error.with_traceback(None)  # which would keep the tensors alive
            self.bar.n = done
            self._retreat(failure)

    def _retreat(self, failure: Exception) -> None:
        """Ask for less memory, or raise the failure if there is nothing left to give up."""
        if self.batch > 1:
            self.batch //= 2
            remedy = f"{self.batch} tiles at once"
        elif self.tile // 2 >= SMALLEST_TILE and self.layout is None:
            self.tile //= 2
            remedy = f"tiles of {self.tile} pixels"
        elif self.device.type == "cpu":
            raise failure
        else:
            self.net, self.device = deepcopy(self.net).cpu(), torch.device("cpu")
            remedy = "the CPU"
        warnings.warn(f"out of memory on the device; going on with {remedy}", stacklevel=2)


def overlap_of(tile: int) -> int:
    """Pixels that tiles of this size share with their neighbours."""
    return min(OVERLAP, tile // 4)


def cut(extent: int, largest: int, overlap: int, multiple: int) -> tuple[int, list[int]]:
    """Size and starts of the tiles along one axis, as even as possible.

    Parameters
    ----------
    extent : int
        Length of the axis.
    largest : int
        Upper bound of the size, a multiple of `multiple`, above `overlap`.
    overlap : int
        Least number of pixels that neighbours share.
    multiple : int
        Number that divides the size.

    Returns
    -------
    size : int
        May exceed `extent`; the image then needs padding.
    starts : list of int

    Examples
    --------
    >>> cut(512, 320, 32, 16)
    (272, [0, 240])
    """
    count = max(1, ceil((extent - overlap) / (largest - overlap)))
    size = ceil((extent + (count - 1) * overlap) / count / multiple) * multiple
    return size, np.linspace(0, max(extent - size, 0), count).round().astype(int).tolist()


def ramp(size: int, overlap: int) -> Tensor:
    """Weights (size,) that rise linearly over `overlap` from each end, and are never 0."""
    position = torch.arange(size, dtype=torch.float32) + 0.5
    return torch.minimum(position, size - position).div(max(overlap, 1)).clamp(max=1)


def in_tiles(
    function: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    *,
    tile: int,
    overlap: int,
    multiple: int,
    pixels: int,
    progress: Callable[[float], Any] = lambda part: None,
    layout: Layout | None = None,
    apply: Callable = map,
) -> Tensor:
    """Apply a function to a batch of images, tile by tile.

    Parameters
    ----------
    function : callable
        Maps a Tensor (b, C, h, w) and the indices (b,) in `x` of the images the tiles are of, to
        a float32 Tensor (b, D, h, w) on the CPU.
    x : Tensor (B, C, H, W)
        On the CPU. Where H or W is less than the side of a tile, it is mirrored.
    tile : int
        Largest side of a tile; it is rounded down to a multiple of `multiple`.
    overlap : int
        Overlap of neighbours, over which they are blended linearly.
    multiple : int
        Number that divides h and w.
    pixels : int
        Largest number of pixels in a call, though it gets one tile at least.
    progress : callable, optional
        Called after each call with the part of the whole that it was.
    layout : tuple of (int, tuple of int), optional
        Size and starts of the tiles along H and W. ``None``: by `cut`.
    apply : callable, default map
        How to call the function for all batches of tiles, as `map` does.

    Returns
    -------
    float32 Tensor (B, D, H, W)

    Raises
    ------
    ValueError
        If `tile` is not above `overlap`, or holds no `multiple`.

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(1, 1, 50, 70)
    >>> y = in_tiles(lambda z, _: 2 * z, x, tile=32, overlap=8, multiple=16, pixels=2048)
    >>> torch.allclose(y, 2 * x)
    True
    """
    tile = tile // multiple * multiple
    if tile <= overlap:
        raise ValueError(f"tile is {tile}; expected a multiple of {multiple} above {overlap}")
    height, width = x.shape[2:]
    (tall, tops), (wide, lefts) = layout or [
        cut(extent, tile, overlap, multiple) for extent in (height, width)
    ]
    x = mirrored(x, max(tall - height, 0), max(wide - width, 0))
    window = ramp(tall, overlap)[:, None] * ramp(wide, overlap)
    total = torch.zeros(0)
    weight = torch.zeros(x.shape[2:])
    for top in tops:
        for left in lefts:
            weight[top : top + tall, left : left + wide] += window
    places = [(i, top, left) for i in range(len(x)) for top in tops for left in lefts]
    batch = max(1, pixels // (tall * wide))
    batches = [places[first : first + batch] for first in range(0, len(places), batch)]

    def of_batch(some):
        stack = torch.stack(
            [x[i, :, top : top + tall, left : left + wide] for i, top, left in some]
        )
        return function(stack, torch.tensor([i for i, _, _ in some]))

    for some, results in zip(batches, apply(of_batch, batches), strict=True):
        if not len(total):
            total = torch.zeros(len(x), results.shape[1], *x.shape[2:])
        for (i, top, left), result in zip(some, results, strict=True):
            total[i, :, top : top + tall, left : left + wide] += window * result
        progress(len(some) / len(places))
    return total.div_(weight)[:, :, :height, :width]


def mirrored(x: Tensor, below: int, right: int) -> Tensor:
    """`x` (B, C, H, W) with more rows and columns, mirrored as often as it takes."""
    if not below and not right:
        return x
    # NumPy's padding, unlike PyTorch's, may exceed the image. Of indices, it can be differentiated.
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(extent), (0, more), mode="reflect"))
        for extent, more in zip(x.shape[2:], (below, right), strict=True)
    )
    return x[:, :, rows[:, None], columns]
