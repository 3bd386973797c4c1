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
from difffilter.noise.model import NoiseModel

__all__ = ["check_reversible", "clamped", "default_weights", "least_of", "load", "load_once"]


def default_weights(channels: int, *, steps: bool = False, model: NoiseModel | None = None) -> str:
    """Name of the weights for an image of so many channels.

    Parameters
    ----------
    channels : int
    steps : bool, default False
        Whether they are for the many steps of the reverse process, rather than for a single one.
    model : NoiseModel, optional
        Noise that is not white, or not equally strong everywhere.
    """
    kind = "color" if channels == 3 else "gray"
    installed = weight_files.available()
    best = f"bias-free-{kind}"
    if best in installed and not steps and (model is None or model.white):
        return best
    real = f"natural-{kind}-real"
    return real if model is not None and real in installed else f"natural-{kind}"


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
