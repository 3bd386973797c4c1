"""Weight files of learned diffusion, each beside a model card.

This module imports Numba only when it loads weights, so that they can be listed without it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difffilter.io.weights import Collection

if TYPE_CHECKING:
    from difffilter.pde.solve.convex import Convex
    from difffilter.pde.solve.stages import Stages

__all__ = ["available", "card", "find", "load", "save"]

COLLECTION = Collection(Path(__file__).with_name("weights"), "difffilter-learned-1")
available, card, find = COLLECTION.available, COLLECTION.card, COLLECTION.find

# The arrays of a step, and those of a bank of filters, in a file.
OF_STAGE = ("filters", "kappa", "mixing", "bias", "influence", "level", "fidelity")
OF_BANK = ("filters", "knots", "slopes")


def save(path: str | PathLike, learned: Stages | Convex) -> None:
    """Write a weight file, whole or not at all.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If a weight is not finite.
    """
    from difffilter.pde.solve.convex import Convex

    settings: dict[str, Any]
    if isinstance(learned, Convex):
        settings = {"convexity": learned.convexity, "steepness": learned.steepness}
        settings["banks"] = [{"stride": bank.stride} for bank in learned.banks]
        arrays = _arrays(learned.banks, OF_BANK, "bank")
    else:
        layout = [{"cell": stage.cell, "offset": stage.offset} for stage in learned.stages]
        settings = {"stages": layout}
        arrays = _arrays(learned.stages, OF_STAGE, "step")
    COLLECTION.save(path, arrays, {"channels": learned.channels} | settings)


def _arrays(parts, names, kind):
    """The arrays of steps or banks, by the names that they have in a file."""
    arrays = {}
    for number, part in enumerate(parts):
        for name in names:
            value = np.array(getattr(part, name), np.float32, order="C")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} of {kind} {number + 1} is not finite")
            arrays[f"{number}/{name}"] = value
    return arrays


def load(name_or_path: str | PathLike) -> Stages | Convex:
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
def _load(path: Path, *_changed: int) -> Stages | Convex:
    arrays, text, sha256 = COLLECTION.load(path)
    try:
        config = json.loads(text)
        read = _convex if "banks" in config else _stages
        return read(config, arrays, sha256)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def _stages(config, arrays, sha256):
    """The steps of a file."""
    from difffilter.pde.solve.stages import Stage, Stages

    channels = int(config["channels"])
    stages = []
    for number, layout in enumerate(config["stages"]):
        given = {name: arrays[f"{number}/{name}"].astype(np.float32) for name in OF_STAGE}
        fidelity = float(given.pop("fidelity"))
        stage = Stage(int(layout["cell"]), int(layout["offset"]), fidelity=fidelity, **given)
        _check(stage, channels)
        stages.append(stage)
    if not stages:
        raise ValueError("there is no step")
    return Stages(channels, tuple(stages), sha256)


def _convex(config, arrays, sha256):
    """The convex energy of a file."""
    from difffilter.pde.solve.banks import Bank
    from difffilter.pde.solve.convex import Convex

    channels = int(config["channels"])
    convexity, steepness = float(config["convexity"]), float(config["steepness"])
    if not 0 < convexity <= 1 <= steepness:
        raise ValueError(f"the Hessian cannot be between {convexity} and {steepness}")
    banks = []
    for number, layout in enumerate(config["banks"]):
        given = {name: arrays[f"{number}/{name}"].astype(np.float32) for name in OF_BANK}
        banks.append(Bank(int(layout["stride"]), **given))
        _check_bank(banks[-1], channels, banks[0].knots.shape[-1])
    if not banks:
        raise ValueError("there is no filter")
    return Convex(channels, tuple(banks), convexity, steepness, sha256)


def _check_bank(bank, channels, knots):
    """Raise ValueError for filters that the kernel cannot use."""
    count, size = len(bank.filters), bank.filters.shape[-1]
    if bank.filters.shape != (count, channels, size, size) or count % 4:
        raise ValueError(
            f"filters has shape {bank.filters.shape}; expected (F, {channels}, k, k), F a multiple of 4"
        )
    if bank.stride not in (1, 2, 4) or not 1 <= size <= 8 + bank.stride:
        raise ValueError(f"filters of {size}×{size} pixels cannot be moved by {bank.stride}")
    if bank.knots.ndim != 2 or not bank.knots.shape == bank.slopes.shape == (count, knots):
        raise ValueError(f"{bank.knots.shape} knots do not go with {bank.slopes.shape} slopes")
    if not (np.diff(bank.knots, prepend=0, axis=1) > 0).all():
        raise ValueError("the knots do not rise")


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
