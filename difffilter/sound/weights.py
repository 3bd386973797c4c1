"""Weight files of the DDPM on sounds, each beside a model card."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from difffilter.ddpm import weights as ddpm
from difffilter.io.weights import Collection

if TYPE_CHECKING:
    from difffilter.sound.network import SpectrogramNet

__all__ = ["USUAL", "available", "card", "find", "load", "save"]

COLLECTION = Collection(Path(__file__).with_name("weights"), "difffilter-sound-1")
available, card, find = COLLECTION.available, COLLECTION.card, COLLECTION.find

# The default weights.
USUAL = "sound"


def save(path: str | PathLike, net: SpectrogramNet, sigma_range: tuple[float, float]) -> None:
    """Write a weight file, as `difffilter.ddpm.weights.save` does, for a sound in [−1, 1]."""
    ddpm.save(path, net.unet, net.schedule, sigma_range, collection=COLLECTION)


def load(name_or_path: str | PathLike) -> ddpm.Weights:
    """Read a weight file, as `difffilter.ddpm.weights.load` does."""
    return ddpm.load(name_or_path, COLLECTION)
