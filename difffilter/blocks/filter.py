"""Filtering of a large image block by block, with the same result as in one piece."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

from difffilter.denoiser import Box, Denoiser
from difffilter.noise.model import Sigma, strength_of
from difffilter.pde.solve.tiles import spread

__all__ = ["BlockFilter", "choose_on_tiles", "cut_up", "sample_boxes", "use_threads"]

# Number of pixels on which parameters are chosen, and the shape of the evenly spread tiles that
# they come in. (The sides are multiples of those that `choose` samples by, so that no sample
# straddles two tiles.)
SAMPLE_PIXELS = 1 << 20
TILE = {2: (128, 128), 3: (16, 32, 32)}

# Largest number of samples (pixels times channels, halos included) in process at the same time.
IN_FLIGHT = 1 << 23

# Largest acceptable ratio of pixels filtered, halos included, to pixels of the result.
OVERHEAD = 1.25


@dataclass(frozen=True)
class BlockFilter:
    """A settled Denoiser, applied to one block of a large image at a time.

    Attributes
    ----------
    denoiser : Denoiser
        With every parameter set.
    sigma : float or None
        Standard deviation of the noise, passed to every call.
    channel_axis : int or None
        The axis of the channels of a block.
    shape : tuple of int
        The spatial shape of the whole image.
    """

    denoiser: Denoiser
    sigma: Sigma | None
    channel_axis: int | None
    shape: tuple[int, ...]

    @property
    def halo(self) -> tuple[int, ...] | None:
        """Pixels needed on either side of a block, along each axis; ``None``: the whole image."""
        return self.denoiser.halo(len(self.shape))

    def with_halo(self, box: Box) -> Box:
        """The box of a block and its halo, cut off at the border of the image."""
        return self.denoiser.block(box, self.shape)[0]

    def __call__(self, pixels, box: Box):
        """Filter a block.

        Parameters
        ----------
        pixels : ndarray
            The pixels of ``with_halo(box)``.
        box : tuple of (int, int)
            The start and the stop of the block along each spatial axis.

        Returns
        -------
        ndarray
            The result for the block itself, without its halo.
        """
        padded, denoiser = self.denoiser.block(box, self.shape)
        result = denoiser(pixels, self.sigma, channel_axis=self.channel_axis)
        inner = [slice(a - lo, b - lo) for (a, b), (lo, _) in zip(box, padded, strict=True)]
        if self.channel_axis is not None:
            inner.insert(self.channel_axis % (len(box) + 1), slice(None))
        return result[tuple(inner)]

    def warn_if_whole(self) -> None:
        """Warn if the Denoiser cannot work block by block."""
        if self.halo is None:
            warnings.warn(
                f"{self.denoiser!r} does not define its halo (see Denoiser.halo), so each image is "
                "filtered as a whole, in memory",
                stacklevel=3,
            )


def use_threads(count: int) -> None:
    """Set the number of threads of Numba's parallel loops when called from this thread."""
    import numba

    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


# --- choosing parameters --------------------------------------------------------------------


def sample_boxes(shape: tuple[int, ...], images: int = 1) -> list[tuple[int, Box]]:
    """Evenly spread tiles on which to choose parameters; the whole of a single small image.

    Parameters
    ----------
    shape : tuple of int
        The spatial shape of an image.
    images : int, default 1
        Number of images of this shape.

    Returns
    -------
    list of (int, Box)
        The number of the image, and the box of the tile in it.

    Examples
    --------
    >>> sample_boxes((200, 300))
    [(0, ((0, 200), (0, 300)))]
    >>> len(sample_boxes((40000, 40000)))
    64
    """
    if images == 1 and math.prod(shape) <= SAMPLE_PIXELS:
        return [(0, tuple((0, n) for n in shape))]
    side = tuple(min(s, n) for s, n in zip(TILE[len(shape)], shape, strict=True))
    corners = spread((images, *shape), (1, *side), max(1, SAMPLE_PIXELS // math.prod(side)))
    return [
        (image, tuple((a, a + s) for a, s in zip(corner, side, strict=True)))
        for image, *corner in corners
    ]


def choose_on_tiles(
    denoiser: Denoiser, sigma: Sigma | None, tiles, channel_axis: int | None
) -> tuple[Denoiser, float]:
    """Choose, once for all blocks, σ and the parameters that are not given.

    Parameters
    ----------
    denoiser : Denoiser
    sigma : float, NoiseModel or None
        The noise; ``None``: estimated.
    tiles : ndarray (N, ...) or (N, ..., C)
        The pixels of the `sample_boxes`.
    channel_axis : -1 or None
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    tuple of (Denoiser, float)
        The Denoiser with every parameter set, and σ.
    """
    if sigma is None:
        last = tiles.shape[len(tiles.shape) - 2 - (channel_axis is not None) :]
        sigma = denoiser.estimate_noise(tiles.reshape(-1, *last), channel_axis=channel_axis)
    settled = denoiser.choose_on(tiles, sigma, channel_axis=channel_axis)
    return settled, strength_of(sigma)


# --- the size of a block --------------------------------------------------------------------


def cut_up(shape, halo, chunk, channels=1, workers=1, side=None, whole_lines=False):
    """Choose the shape of a block, and how many blocks to process at the same time.

    Parameters
    ----------
    shape : tuple of int
        The spatial shape of the image.
    halo : tuple of int or None
        Pixels that a block needs on either side; ``None``: the whole image, so that it is one
        block.
    chunk : tuple of int
        The shape of a chunk of the file; a block's shape is a multiple of it.
    channels : int, default 1
        Number of channels.
    workers : int, default 1
        Number of threads or processes available.
    side : int, optional
        Approximate side of a block; ``None``: chosen.
    whole_lines : bool, default False
        Whether blocks should be as wide as the image because the file stores whole lines.

    Returns
    -------
    tuple of (tuple of int, int)
        The shape of a block, and the number of blocks.

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
        # The largest block that fits; each trial side is an eighth longer than the last.
        block = fitted(1)
        length = 16
        while length < max(shape):
            length += max(1, length // 8)
            if pixels(fitted(length)) <= IN_FLIGHT // jobs:
                block = fitted(length)
        work = pixels(block) / channels / math.prod(block)
        if work <= OVERHEAD:
            break
    # With a halo wider than the blocks that fit, most pixels would be filtered many times over:
    # exceed the limit of memory rather than that.
    while work > 4 * OVERHEAD and block != fitted(max(shape)):
        block = fitted(2 * max(block))
        work = pixels(block) / channels / math.prod(block)
    return block, at_once(block)
