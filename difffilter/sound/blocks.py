"""Sounds of any length in constant memory: in blocks that overlap and fade into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from difffilter.parallel import cores
from difffilter.sound.denoiser import SoundDenoiser, Spectrum
from difffilter.sound.floor import Noise, NoiseFloor
from difffilter.sound.spectrogram import Transform

__all__ = ["measured", "restored"]

# Seconds of a block, of what it sees on either side, and of the fade from one to the next.
BLOCK, MARGIN, FADE = 8.0, 0.5, 0.05

# Samples (stop - start, channels), float32, of a sound, from start to stop.
Read = Callable[[int, int], NDArray]


class Block(NamedTuple):
    """Samples from `start` to `stop`, restored from those from `low` to `high`."""

    start: int
    stop: int
    low: int
    high: int


def blocks_of(n: int, transform: Transform) -> Iterator[Block]:
    """The blocks of a sound of n samples, the last one at least half as long as the others."""
    rate, hop = transform.rate, transform.hop
    # Starts are multiples of a hop.
    size, margin = (round(seconds * rate / hop) * hop for seconds in (BLOCK, MARGIN))
    count = max(1, round(n / size))
    for index in range(count):
        start, stop = index * size, n if index == count - 1 else (index + 1) * size
        yield Block(start, stop, max(0, start - margin), min(n, stop + margin))


def measured(read: Read, n: int, channels: int, transform: Transform) -> Noise:
    """The noise of a sound, from all of it."""
    floors = [NoiseFloor(transform.bins) for _ in range(channels)]
    for start, stop, *_ in blocks_of(n, transform):
        for floor, samples in zip(floors, read(start, stop).T, strict=True):
            floor.add(transform(samples))
    return Noise(np.stack([floor.sigma() for floor in floors]))


def restored(
    read: Read, n: int, transform: Transform, denoiser: SoundDenoiser, noise: Noise
) -> Iterator[NDArray]:
    """A sound without its noise, in pieces (m, channels), float32, one after another.

    Channels without noise are returned as they are.
    """
    fade = round(FADE * transform.rate)
    rise = np.linspace(0, 1, fade, dtype=np.float32)[:, None]
    tail = None
    noisy = np.flatnonzero(noise.floor.max(axis=1) > 0)
    every, step = list(blocks_of(n, transform)), cores()
    for first in range(0, len(every), step):
        group = every[first : first + step]
        sounds = [read(block.low, block.high).astype(np.float32) for block in group]
        spectra = [
            Spectrum(transform(sound[:, channel]), noise.floor[channel])
            for sound in sounds
            for channel in noisy
        ]
        results = denoiser(spectra)
        for block, sound in zip(group, sounds, strict=True):
            for channel in noisy:
                sound[:, channel] = transform.inverse(next(results), len(sound))
            last = block.stop == n
            piece = sound[block.start - block.low : block.stop - block.low + (0 if last else fade)]
            if tail is not None:
                piece[:fade] = rise * piece[:fade] + (1 - rise) * tail
            if not last:
                piece, tail = piece[:-fade], piece[-fade:].copy()
            yield piece
