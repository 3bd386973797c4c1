"""The weights of a training run as a weight file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import torch

from difffilter.training import ddpm, generate, learned, sound
from difffilter.training.run import CHECKPOINT
from difffilter.training.state import TrainingState

__all__ = ["export"]

METHODS = {
    "ddpm": ddpm.METHOD,
    "learned": learned.METHOD,
    "convex": learned.METHOD,
    **generate.METHODS,
    "sound": sound.METHOD,
}


def export(run: str | PathLike, path: str | PathLike) -> None:
    """Write the averaged weights of a training run, finished or not, as a weight file.

    Parameters
    ----------
    run : str or Path
        The folder that `fit`, `fit_learned` or `fit_generate` wrote to.
    path : str or Path
        The file, ``*.safetensors``.

    Raises
    ------
    FileNotFoundError
        If the run has no checkpoint yet.
    ValueError
        If the checkpoint is damaged.

    Examples
    --------
    >>> export("runs/mine", "mine.safetensors")  # doctest: +SKIP
    """
    checkpoint = Path(run) / CHECKPOINT
    if not checkpoint.exists():
        raise FileNotFoundError(f"there is no {checkpoint}")
    state = TrainingState.load(checkpoint, torch.device("cpu"))
    METHODS[state.config.kind].write(state, path)
