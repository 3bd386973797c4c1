"""Filtering one block of a large image so that it comes out as in the whole."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from difffilter.denoiser import Box, Denoiser
from difffilter.pde.solve.tiles import spread

__all__ = ["BlockFilter", "cut_up", "sample_boxes", "settle", "use_threads"]

# Parameters are chosen on so many pixels of an image, in evenly spread tiles. (Their sides are
# multiples of those that the choice itself samples by, so that no sample has a seam in it.)
ENOUGH = 1 << 20
TILE = {2: (128, 128), 3: (16, 32, 32)}

# Pixels, halos and channels included, that are worked on at the same time.
IN_FLIGHT = 1 << 23

# How much more work the halos may make, if there are pixels enough to choose from.
OVERHEAD = 1.25


@dataclass(frozen=True)
class BlockFilter:
    """A Denoiser, settled for a large image, that works on one block of it at a time.

    Attributes
    ----------
    denoiser : Denoiser
        With every parameter set.
    sigma : float or None
        The σ of each call.
    channel_axis : int or None
        Of the pixels it is given.
    shape : tuple of int
        The spatial shape of the whole image.
    """

    denoiser: Denoiser
    sigma: float | None
    channel_axis: int | None
    shape: tuple[int, ...]

    @property
    def halo(self) -> tuple[int, ...] | None:
        """How many pixels a block may need on either side, along each axis; ``None``: all."""
        return self.denoiser.halo(len(self.shape))

    def surroundings(self, box: Box) -> Box:
        """The box of pixels that a block depends on."""
        return self.denoiser.block(box, self.shape)[0]

    def __call__(self, pixels, box: Box):
        """The result for a block, given the pixels of its `surroundings`."""
        around, denoiser = self.denoiser.block(box, self.shape)
        result = denoiser(pixels, self.sigma, channel_axis=self.channel_axis)
        inner = [slice(a - lo, b - lo) for (a, b), (lo, _) in zip(box, around, strict=True)]
        if self.channel_axis is not None:
            inner.insert(self.channel_axis % (len(box) + 1), slice(None))
        return result[tuple(inner)]

    def warn_if_whole(self) -> None:
        """Say so if the Denoiser cannot go block by block."""
        if self.halo is None:
            warnings.warn(
                f"{self.denoiser!r} does not say how far it looks (see Denoiser.halo), so each image "
                "is filtered as a whole, in memory",
                stacklevel=3,
            )


def use_threads(count: int) -> None:
    """Set how many threads Numba's loops use when this thread calls them."""
    import numba

    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


# --- choosing once for the whole ------------------------------------------------------------


def sample_boxes(shape: tuple[int, ...], images: int = 1) -> list[tuple[int, Box]]:
    """Evenly spread (image, box) to choose parameters on; the whole image if it is not large.

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
    corners = spread((images, *shape), (1, *side), max(1, ENOUGH // math.prod(side)))
    return [
        (image, tuple((a, a + s) for a, s in zip(corner, side, strict=True)))
        for image, *corner in corners
    ]


def settle(
    denoiser: Denoiser, sigma: float | None, tiles, channel_axis: int | None
) -> tuple[Denoiser, float]:
    """Choose, once for all blocks, what is open.

    Parameters
    ----------
    denoiser : Denoiser
    sigma : float or None
        ``None``: estimated.
    tiles : ndarray (N, ...) or (N, ..., C)
        What `sample_boxes` asks for.
    channel_axis : -1 or None

    Returns
    -------
    tuple of (Denoiser, float)
        With every parameter set; σ.
    """
    if sigma is None:
        last = tiles.shape[len(tiles.shape) - 2 - (channel_axis is not None) :]
        sigma = denoiser.estimate_sigma(tiles.reshape(-1, *last), channel_axis=channel_axis)
    return denoiser.choose_on(tiles, sigma, channel_axis=channel_axis), sigma


# --- cutting up -----------------------------------------------------------------------------


def cut_up(shape, halo, chunk, channels=1, workers=1, side=None, whole_lines=False):
    """The shape of a block, and how many blocks to work on at the same time.

    Parameters
    ----------
    shape : tuple of int
        The spatial shape of the image.
    halo : tuple of int or None
        How far a block looks beyond itself; ``None``: everywhere, so that the image is one block.
    chunk : tuple of int
        A block's shape is a multiple of this.
    channels, workers : int
    side : int, optional
        Of a block, about; ``None``: chosen.
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

    if halo is None:
        return tuple(shape), 1

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
