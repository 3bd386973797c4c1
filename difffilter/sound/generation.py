"""Short sounds of words: a text-to-image model whose pictures are spectrograms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from difffilter.checks import check_whole
from difffilter.io.files import replacing
from difffilter.io.sounds import SUFFIXES
from difffilter.sound import files
from difffilter.sound.mel import RATE, from_mel, mel_picture

if TYPE_CHECKING:
    from difffilter.generate.sampling import Callback

__all__ = ["generate", "spectrograms"]

# Formats that sounds are written in, with a comment on their origin.
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "Ogg Vorbis"}

# The rates at which a sound is played to vary it: a quarter slower to a quarter faster.
SLOWER, FASTER = 0.8, 1.25


def generate(
    prompt: str,
    n: int = 1,
    *,
    model: str | PathLike = "sounds",
    guidance: float = 2.0,
    negative: str = "",
    steps: int = 30,
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> NDArray:
    """Make short sounds of a text.

    A diffusion model makes the spectrogram as a picture, and `from_mel` finds a sound that has it.

    Parameters
    ----------
    prompt : str
        Such as "snare drum" or "guitar harmonics".
    n : int, default 1
        Number of sounds.
    model, guidance, negative, steps, seed, device, callback
        As for `difffilter.generate.images`; the model makes grey pictures of 64×64 pixels.

    Returns
    -------
    float32 ndarray (n, 20 000)
        1.25 s at 16 kHz.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As `images`, or if the model makes other pictures.

    Examples
    --------
    >>> generate("bass drum", steps=3).shape
    (1, 20000)
    """
    from difffilter.generate import images

    pictures = images(
        prompt, n, model=model, guidance=guidance, negative=negative, steps=steps, seed=seed,
        device=device, callback=callback,
    )  # fmt: skip
    if pictures.ndim != 3:
        raise ValueError(f"model is {str(model)!r}, for colour pictures; expected one for sounds")
    return np.stack([from_mel(picture, seed=seed) for picture in pictures])


def spectrograms(
    folder: str | PathLike,
    output: str | PathLike,
    *,
    words: Mapping[str, str] | None = None,
    variants: int = 6,
    seed: int = 0,
) -> int:
    """Write the spectrograms of sound files as captioned pictures, to train a model on.

    Parameters
    ----------
    folder : str or Path
        Sound files, whose names become captions: "snare_hard2.wav" becomes "snare hard".
    output : str or Path
        A folder for the pictures and ``captions.jsonl``.
    words : mapping of str to str, optional
        What to write for a word of a name; "" leaves it out.
    variants : int, default 6
        Pictures of each sound: the first as it is, the others slower or faster, and so lower or
        higher, by up to a quarter.
    seed : int, default 0
        Seed of the variants.

    Returns
    -------
    int
        The number of pictures.

    Raises
    ------
    OSError, ValueError
        If there is no sound file, one is damaged, or soundfile is not installed.
    """
    check_whole("variants", variants, least=1)
    sources = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in SUFFIXES)
    if not sources:
        raise ValueError(f"{folder} has no sound files; expected some with {', '.join(SUFFIXES)}")
    target, rng, lines = Path(output), np.random.default_rng(seed), []
    (target / "images").mkdir(parents=True, exist_ok=True)
    for source in sources:
        samples, rate = files.read(source)
        if not samples.any():
            continue
        for number in range(variants):
            speed = rng.uniform(SLOWER, FASTER) if number else 1.0
            name = f"images/{source.stem}-{number}.png"
            levels = mel_picture(samples, rate * speed)
            Image.fromarray((255 * levels).round().astype(np.uint8)).save(target / name)
            lines.append(json.dumps({"file": name, "label": caption_of(source.stem, words or {})}))
    with replacing(target / "captions.jsonl") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def caption_of(name: str, words: Mapping[str, str]) -> str:
    """The words of a file's name, without numbers."""
    found = re.findall(r"[^\W\d_]+", name.lower())
    return " ".join(filter(None, (words.get(word, word) for word in found)))


def write_sound(path: str | PathLike, samples: NDArray, comment: str) -> None:
    """Write a sound of 16 kHz with 16 bits, whole or not at all, and a comment on its origin."""
    soundfile = files.library(path)
    with (
        replacing(path) as temporary,
        soundfile.SoundFile(temporary, "w", RATE, samples.ndim) as file,
    ):
        file.comment = comment
        file.write(samples)
