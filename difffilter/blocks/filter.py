"""Filtering one block of a large image so that it comes out as in the whole."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from difffilter.blocks.reach import reach
from difffilter.denoiser import strength
from difffilter.pde.heat import Heat

__all__ = ["BlockFilter", "cut_up", "is_settled", "sample_boxes", "settle", "told"]

# Parameters are chosen on so many pixels of an image, in evenly spread tiles. (Their sides are
# multiples of those that the choice itself samples by, so that no sample has a seam in it.)
ENOUGH = 1 << 20
TILE = {2: (128, 128), 3: (16, 32, 32)}

# Pixels, with all surroundings and channels, that are worked on at the same time.
IN_FLIGHT = 1 << 23

# How much more work the surroundings may make, if there are pixels enough to choose from.
OVERHEAD = 1.25


@dataclass(frozen=True)
class BlockFilter:
    """A Denoiser, settled for a large image, that works on one block of it at a time.

    A *box* is a tuple of (start, stop) along each spatial axis.

    Attributes
    ----------
    denoiser : Denoiser
        With every parameter set.
    sigma : float or None
        What to tell it.
    channel_axis : int or None
        Of the pixels it is handed.
    shape : tuple of int
        The spatial shape of the whole image.
    """

    denoiser: object
    sigma: float | None
    channel_axis: int | None
    shape: tuple[int, ...]

    @property
    def halo(self):
        """How many pixels a block may need on either side, along each axis."""
        if self._tiles is None:
            return self._reach.pixels
        return (0,) * (len(self.shape) - 2) + tuple(min(size, 256) for size, _ in self._tiles)

    @property
    def exact(self):
        """Whether blocks come out exactly as in the whole, but for rounding."""
        return self._tiles is not None or self._reach.exact

    @cached_property
    def _reach(self):
        return reach(self.denoiser, len(self.shape))

    @cached_property
    def _tiles(self):
        """For the last two axes the size and the starts of the tiles, where there are tiles."""
        layout = getattr(self.denoiser, "layout", None)
        return layout and layout(self.shape[-2:])

    def surroundings(self, box):
        """The box of pixels that a block depends on."""
        if self._tiles is None:
            return tuple(
                (max(0, a - far), min(n, b + far))
                for (a, b), far, n in zip(box, self._reach.pixels, self.shape, strict=True)
            )
        needed = list(box)
        for axis, (size, starts) in zip((-2, -1), self._tiles, strict=True):
            touching = _touching(box[axis], size, starts)
            needed[axis] = touching[0], min(touching[-1] + size, self.shape[axis])
        return tuple(needed)

    def __call__(self, pixels, box):
        """The result for a block, given the pixels of its `surroundings`."""
        around = self.surroundings(box)
        if self._tiles is None:
            result = self.denoiser(pixels, self.sigma, channel_axis=self.channel_axis)
        else:
            layout = [
                (
                    size,
                    [start - around[axis][0] for start in _touching(box[axis], size, starts)],
                )
                for axis, (size, starts) in zip((-2, -1), self._tiles, strict=True)
            ]
            result = self.denoiser.part(pixels, self.sigma, layout, channel_axis=self.channel_axis)
        inner = [slice(a - lo, b - lo) for (a, b), (lo, _) in zip(box, around, strict=True)]
        if self.channel_axis is not None:
            inner.insert(self.channel_axis % (len(box) + 1), slice(None))
        return result[tuple(inner)]


def _touching(span, size, starts):
    """The starts of the tiles that reach into a span."""
    return [start for start in starts if start < span[1] and start + size > span[0]]


# --- choosing once for the whole ------------------------------------------------------------


def sample_boxes(shape, images=1):
    """Evenly spread (image, box) to choose parameters on; all there is, if it is not much.

    Parameters
    ----------
    shape : tuple of int
        The spatial shape of an image.
    images : int
        How many such images there are.

    Examples
    --------
    >>> sample_boxes((200, 300))
    [(0, ((0, 200), (0, 300)))]
    >>> len(sample_boxes((40000, 40000)))
    64
    """
    if images == 1 and math.prod(shape) <= ENOUGH:
        return [(0, tuple((0, n) for n in shape))]
    side = tuple(min(s, n) for s, n in zip(TILE[len(shape)], shape, strict=True))
    fit = [images, *(n // s for n, s in zip(shape, side, strict=True))]
    wanted = min(max(1, ENOUGH // math.prod(side)), math.prod(fit))
    # Multiples of the powers of a generalised golden ratio, modulo 1, leave no large gaps.
    long = np.array(fit) > 1
    ratio = 2.0
    for _ in range(50):
        ratio = (1 + ratio) ** (1 / (long.sum() + 1))
    powers = np.where(long, ratio ** -np.cumsum(long, dtype=float), 0.0)
    shares = (0.5 + np.outer(np.arange(8 * wanted), powers)) % 1
    places = dict.fromkeys(tuple(int(p) for p in row) for row in shares * fit)
    boxes = []
    for image, *cell in itertools.islice(places, wanted):
        corner = [
            round((n - s) * k / max(1, f - 1))
            for n, s, k, f in zip(shape, side, cell, fit[1:], strict=True)
        ]
        boxes.append((image, tuple((a, a + s) for a, s in zip(corner, side, strict=True))))
    return boxes


def settle(denoiser, sigma, tiles, channel_axis):
    """Choose, once for all blocks, what is left open.

    Parameters
    ----------
    denoiser : Denoiser
    sigma : float or None
        None: it is estimated.
    tiles : ndarray (N, ...) or (N, ..., C)
        What `sample_boxes` asks for.
    channel_axis : -1 or None

    Returns
    -------
    tuple of (Denoiser, float)
        With every parameter set; σ.
    """
    spatial = tiles.shape[1:] if channel_axis is None else tiles.shape[1:-1]
    if sigma is None:
        last = tiles.shape[len(tiles.shape) - 2 - (channel_axis is not None) :]
        sigma = strength(denoiser, tiles.reshape(-1, *last), channel_axis)
    if hasattr(denoiser, "choose"):
        if isinstance(denoiser, Heat):
            # Linear, so that tiles may pass for channels.
            image = np.moveaxis(tiles, 0, -1).reshape(*spatial, -1)
            denoiser = denoiser.choose(image, sigma, channel_axis=-1)
        else:
            image = _mosaic(tiles, len(spatial))
            denoiser = denoiser.choose(image, sigma, channel_axis=channel_axis)
    return denoiser, sigma


def _mosaic(tiles, axes):
    """Tiles side by side along the last two spatial axes."""
    rows = math.isqrt(len(tiles))
    columns = len(tiles) // rows
    grid = tiles[: rows * columns].reshape(rows, columns, *tiles.shape[1:])
    return np.concatenate(np.concatenate(grid, axis=axes), axis=axes - 2)


def is_settled(denoiser, sigma):
    """Whether there is nothing to choose."""
    if sigma is None and told(denoiser, 1.0) is not None:
        return False
    if hasattr(denoiser, "layout"):
        return denoiser.weights is not None
    try:
        return not hasattr(denoiser, "choose") or reach(denoiser, 2) is not None
    except ValueError:
        return False


def told(denoiser, sigma):
    """The σ that a settled Denoiser needs in a call: a PDE has no more use for it."""
    needless = type(denoiser).__module__.startswith(("difffilter.pde.", "difffilter.denoiser"))
    return None if needless else sigma


# --- cutting up -----------------------------------------------------------------------------


def cut_up(shape, halo, chunk, channels=1, workers=1, side=None, whole_lines=False):
    """The shape of a block, and how many of them to work on at the same time.

    Parameters
    ----------
    shape : tuple of int
        The spatial shape of the image.
    halo : tuple of int
        How far a block looks beyond itself.
    chunk : tuple of int
        Of what a block's shape is to be a multiple.
    channels, workers : int
    side : int, optional
        What the sides of a block should be; ``None``: chosen.
    whole_lines : bool
        Whether blocks should be as wide as the image, which is stored that way.

    Returns
    -------
    tuple of (tuple of int, int)

    Examples
    --------
    >>> cut_up((40000, 40000), (10, 10), (256, 256), workers=2)
    ((1792, 1792), 2)
    """

    def fitted(length):
        sides = [min(n, max(1, round(length / c)) * c) for n, c in zip(shape, chunk, strict=True)]
        return (*sides[:-1], shape[-1]) if whole_lines else tuple(sides)

    def pixels(block):
        return channels * math.prod(
            min(n, b + 2 * far) for b, far, n in zip(block, halo, shape, strict=True)
        )

    def at_once(block):
        return max(1, min(workers, IN_FLIGHT // pixels(block)))

    if side is not None:
        block = fitted(side)
        return block, at_once(block)
    for jobs in sorted({workers, *(workers >> k for k in range(1, 8)), 1} - {0}, reverse=True):
        # The largest block that fits, whose sides grow by an eighth each time.
        block = fitted(1)
        length = 16
        while length < max(shape):
            length += max(1, length // 8)
            if pixels(fitted(length)) <= IN_FLIGHT // jobs:
                block = fitted(length)
        work = pixels(block) / channels / math.prod(block)
        if work <= OVERHEAD:
            break
    # A halo wider than what fits would have nearly all the work done many times.
    while work > 4 * OVERHEAD and block != fitted(max(shape)):
        block = fitted(2 * max(block))
        work = pixels(block) / channels / math.prod(block)
    return block, at_once(block)
