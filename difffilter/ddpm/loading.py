"""Weights of the DDPM on a device, and their limits."""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from pathlib import Path

import torch

from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.threads import one_thread
from difffilter.ddpm.weights import Weights
from difffilter.devices import find_device

__all__ = ["check_reversible", "clamped", "default_weights", "least_of", "load", "load_once"]


def default_weights(channels: int, *, real: bool = False) -> str:
    """Name of the weights for an image of so many channels, with white noise or any other."""
    name = "natural-color" if channels == 3 else "natural-gray"
    return f"{name}-real" if real and f"{name}-real" in weight_files.available() else name


def load(weights: str | PathLike, device: str) -> Weights:
    """The weights of a name or file, with their network on a device."""
    path = weight_files.find(weights)
    return load_once(path, path.stat().st_mtime_ns, find_device(device))


def check_reversible(trained: Weights, name: str | PathLike | None) -> None:
    """Raise ValueError for weights for real noise, which know no reverse process."""
    if trained.blind is not None:
        raise ValueError(
            f"weights is {str(name)!r}, for real noise; expected weights for white noise, from which "
            "the reverse process starts"
        )


@lru_cache(maxsize=4)
def load_once(path: Path, modified: int, device: torch.device) -> Weights:
    """Weights on a device, read once for as long as the file is not modified."""
    with one_thread():
        trained = weight_files.load(path)
        # A gradient may be taken with respect to an image, but the weights stay as they are.
        trained.net.requires_grad_(False)
        trained.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return trained


def least_of(trained: Weights) -> float:
    """The least noise that the weights know, as a share of the range that the network sees."""
    return trained.sigma_range[0] if trained.blind is None else 0.0


def clamped(sigma: float, trained: Weights) -> float:
    """σ within the range of the weights."""
    low, high = trained.sigma_range
    return min(max(sigma, low), high)
