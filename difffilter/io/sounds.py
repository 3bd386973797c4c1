"""Names of sound files."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

__all__ = ["SUFFIXES", "are_sounds"]

# The formats that are read and written, of those that libsndfile knows.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".w64", ".caf", ".au")


def are_sounds(paths: Iterable[str | PathLike]) -> bool:
    """Whether all paths are sound files by their names.

    Examples
    --------
    >>> are_sounds(["speech.wav", "song.FLAC"]), are_sounds(["speech.wav", "photo.png"])
    (True, False)
    """
    return all(Path(path).suffix.lower() in SUFFIXES for path in paths)
