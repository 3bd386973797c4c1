"""Removing noise from sound files, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.io.files import check_target, replacing
from difffilter.io.sounds import SUFFIXES
from difffilter.sound.api import check_length, check_rate, noise_of
from difffilter.sound.blocks import measured, restored
from difffilter.sound.denoiser import SoundDenoiser
from difffilter.sound.floor import Noise
from difffilter.sound.spectrogram import Transform

__all__ = ["Restored", "denoise_file", "read"]

# A sound is called clipped if this share of its samples is, like the one after it, at its largest
# magnitude, and that is full scale or nearly so.
CLIPPED, FULL = 1e-3, 0.99
# Encodings of less than 16 bits, which add noise of their own.
COARSE = {"PCM_S8": 8, "PCM_U8": 8, "ULAW": 8, "ALAW": 8}


@dataclass(frozen=True)
class Restored:
    """A sound file that was restored.

    Attributes
    ----------
    noise : Noise
        The noise that was removed.
    seconds, rate, channels
        Of the file.
    warnings : list of str
        Lines that say that the file is silent, clipped or of 8 bits.
    """

    noise: Noise
    seconds: float
    rate: int
    channels: int
    warnings: list[str]


def denoise_file(
    source: str | PathLike,
    target: str | PathLike,
    denoiser: SoundDenoiser,
    *,
    sigma: float | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> Restored:
    """Remove the noise of a sound file, of any length in constant memory.

    Parameters
    ----------
    source : str or Path
        WAV, FLAC, Ogg, MP3, AIFF or another format of libsndfile, recognised by its content.
    target : str or Path
        Written whole or not at all, with the rate, the encoding and the text tags of the source; its
        suffix names the format.
    denoiser : SoundDenoiser
        From `make`.
    sigma : float, optional
        Standard deviation of the noise, which is white, for samples in [−1, 1]. ``None``: estimated,
        from the whole file.
    overwrite : bool, default False
        Replace a target that exists.
    progress : callable, optional
        Called with the whole seconds that are done and that there are.

    Returns
    -------
    Restored

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ValueError
        If the source is not a sound, or is damaged, too short or not finite; if the target exists;
        or if soundfile is not installed.
    """
    check_target(target, overwrite, SUFFIXES)
    with opened(source) as file:
        rate, channels, n = file.samplerate, file.channels, file.frames
        check_rate(rate)
        check_length(str(source), n, rate)
        transform = Transform(rate)

        def samples(start: int, stop: int) -> NDArray:
            file.seek(start)
            block = file.read(stop - start, dtype="float32", always_2d=True)
            if len(block) < stop - start:
                raise ValueError(f"{source} is damaged: it ends after {start + len(block)} samples")
            return block

        watch = Watch(str(source), file.subtype)

        def watched(start: int, stop: int) -> NDArray:
            return watch(start, samples(start, stop))

        # Read whole in any case, so that nothing is written if a sample is not finite.
        found = measured(watched, n, channels, transform)
        noise = noise_of(sigma, channels, transform) or found
        with replacing(target) as temporary, created(temporary, file, target) as copy:
            done = 0
            for piece in restored(samples, n, transform, denoiser, noise):
                copy.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(done // rate, n // rate)
    return Restored(noise, n / rate, rate, channels, watch.warnings())


class Watch:
    """Warnings collected while a file is read."""

    def __init__(self, name: str, subtype: str) -> None:
        self.name, self.subtype = name, subtype
        self.peak, self.flat, self.count = 0.0, 0, 0

    def __call__(self, start: int, block: NDArray) -> NDArray:
        if not np.isfinite(block).all():
            first = int(np.argwhere(~np.isfinite(block))[0, 0])
            value = block[first][~np.isfinite(block[first])][0]
            raise ValueError(
                f"{self.name} is {value} at sample {start + first}; expected finite numbers"
            )
        size = np.abs(block)
        peak = float(size.max(initial=0))
        if peak > self.peak:
            self.peak, self.flat = peak, 0
        # (The lowest integer is one step further from zero than the highest.)
        at_peak = size >= self.peak - 2**-15
        self.flat += int(np.count_nonzero(at_peak[1:] & at_peak[:-1]))
        self.count += size.size
        return block

    def warnings(self) -> list[str]:
        """The warnings, a line each."""
        found = []
        if self.peak == 0:
            found.append(f"{self.name} is silent; the result is silent, too")
        elif self.flat >= CLIPPED * self.count and self.peak >= FULL:
            share = 100 * self.flat / self.count
            found.append(f"{self.name} is clipped, {share:.2g}% of it; that distortion stays")
        if self.subtype in COARSE:
            found.append(
                f"{self.name} has {COARSE[self.subtype]} bits, to which the result is rounded again; "
                "convert it to 16 bits first"
            )
        return found


def read(path: str | PathLike) -> tuple[NDArray, int]:
    """Samples (n, channels), float32 in [−1, 1], and rate of a sound file.

    Raises
    ------
    OSError, ValueError
        As `denoise_file`.
    """
    with opened(path) as file:
        return file.read(dtype="float32", always_2d=True), file.samplerate


@contextmanager
def opened(path: str | PathLike) -> Iterator[Any]:
    """A `soundfile.SoundFile`, whose errors name the file."""
    soundfile, path = library(path), Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected a sound file")
    with open(path, "rb") as stream:
        if not stream.read(1):
            raise ValueError(f"{path} is empty (0 bytes)")
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is not a sound file, or damaged: {error.error_string}") from None
    with file:
        try:
            yield file
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{path} is damaged: {error.error_string}") from None


@contextmanager
def created(temporary: Path, source: Any, target: str | PathLike) -> Iterator[Any]:
    """A file to write to, with the rate, the tags and, if its format has it, the encoding of another."""
    soundfile = library(target)
    suffix = Path(target).suffix.lower()
    name = {".aif": "AIFF", ".aiff": "AIFF"}.get(suffix, suffix[1:].upper())
    if name == "WAV" and source.format in ("WAVEX", "RF64", "WAV"):
        name = source.format  # which have the same suffix
    subtype, endian = source.subtype, source.endian if source.format == name else None
    if not soundfile.check_format(name, subtype, endian):
        subtype, endian = None, None  # the usual one of the format
    try:
        file = soundfile.SoundFile(
            temporary, "w", source.samplerate, source.channels, subtype, endian, name
        )
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{target} cannot be written: {error.error_string}") from None
    with file:
        for tag, text in source.copy_metadata().items():
            setattr(file, tag, text)
        yield file


def library(path: str | PathLike) -> Any:
    """The module soundfile."""
    try:
        import soundfile
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} is a sound file, which needs soundfile: pip install 'difffilter[sound]'"
        ) from None
    return soundfile
