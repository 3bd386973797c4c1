"""Weight files of learned diffusion, each beside a model card.

This module imports Numba only when it loads weights, so that they can be listed without it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from difffilter.io.weights import Collection

if TYPE_CHECKING:
    from difffilter.pde.solve.stages import Stages

__all__ = ["available", "card", "find", "load", "save"]

COLLECTION = Collection(Path(__file__).with_name("weights"), "difffilter-learned-1")
available, card, find = COLLECTION.available, COLLECTION.card, COLLECTION.find

# The arrays of a step in a file.
ARRAYS = ("filters", "kappa", "mixing", "bias", "influence", "level", "fidelity")


def save(path: str | PathLike, learned: Stages) -> None:
    """Write a weight file, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If a weight is not finite.
    """
    arrays, layout = {}, []
    for number, stage in enumerate(learned.stages):
        layout.append({"cell": stage.cell, "offset": stage.offset})
        for name in ARRAYS:
            value = np.array(getattr(stage, name), np.float32, order="C")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} of step {number + 1} is not finite")
            arrays[f"{number}/{name}"] = value
    COLLECTION.save(path, arrays, {"channels": learned.channels, "stages": layout})


def load(name_or_path: str | PathLike) -> Stages:
    """Read a weight file.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `available`, or a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, or not written by `save`.

    Examples
    --------
    >>> load("deep-gray").channels
    1
    """
    path = find(name_or_path)
    status = path.stat()
    return _load(path.absolute(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _load(path: Path, *_changed: int) -> Stages:
    from difffilter.pde.solve.stages import Stage, Stages

    arrays, text, sha256 = COLLECTION.load(path)
    try:
        config = json.loads(text)
        channels = int(config["channels"])
        stages = []
        for number, layout in enumerate(config["stages"]):
            given = {name: arrays[f"{number}/{name}"].astype(np.float32) for name in ARRAYS}
            fidelity = float(given.pop("fidelity"))
            stage = Stage(int(layout["cell"]), int(layout["offset"]), fidelity=fidelity, **given)
            _check(stage, channels)
            stages.append(stage)
        if not stages:
            raise ValueError("there is no step")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return Stages(channels, tuple(stages), sha256)


def _check(stage, channels):
    """Raise ValueError for weights that the kernel, which does not look, cannot use."""
    if stage.cell < 1 or not 0 <= stage.offset < stage.cell:
        raise ValueError(f"cells of {stage.cell} pixels cannot begin {stage.offset} before")
    count, hidden = stage.kappa.size, stage.bias.size
    shapes = {
        "filters": (count, channels * stage.cell**2, 3, 3),
        "kappa": (count,),
        "mixing": (hidden, count, 3, 3),
        "bias": (hidden,),
        "influence": (count, hidden),
        "level": (count,),
    }
    for name, shape in shapes.items():
        if getattr(stage, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(stage, name).shape}; expected {shape}")
    if count % 4 or hidden % 4 or shapes["filters"][1] % 4:
        raise ValueError("the numbers of filters and of places are not multiples of 4")
