"""The steps of a learned diffusion: their weights, read from a file, and taking them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from difffilter.io import weights as files
from difffilter.pde.kernels import learned as kernels

__all__ = ["Stage", "Stages", "available", "card", "find", "load", "save"]

FOLDER = Path(__file__).parents[1] / "weights"
FORMAT = "difffilter-learned-1"

EVERYWHERE = np.zeros((0, 0, 0), np.float32)


@dataclass(frozen=True)
class Stage:
    """One step, u ← u − Wᵀ φ(W u) − λ (u − f), of images in units of σ.

    The filters W are applied to 3×3 cells of s×s pixels at a time; see `kernels.learned.step`.

    Attributes
    ----------
    cell : int
        s.
    offset : int
        How many pixels before the image its first cell begins.
    filters : float32 ndarray (F, C s², 3, 3)
        W; place (c, y, x) within a cell is number c s² + y s + x. Each filter has sum 0.
    kappa : float32 ndarray (F,)
        κ, the scale of each filter's response.
    mixing, bias : float32 ndarray (G, F, 3, 3) and (G,)
        A and a.
    influence, level : float32 ndarray (F, G) and (F,)
        B and b.
    fidelity : float
        λ.
    """

    cell: int
    offset: int
    filters: NDArray
    kappa: NDArray
    mixing: NDArray
    bias: NDArray
    influence: NDArray
    level: NDArray
    fidelity: float

    def __call__(self, u: NDArray, f: NDArray, scale: NDArray) -> NDArray:
        """The image (N, C, H, W) after the step; `scale` is (N, H, W), or empty for 1 everywhere."""
        count, places = self.filters.shape[:2]
        by_place = self.filters.reshape(count, places, 9).transpose(1, 0, 2)
        out = np.empty_like(u)
        kernels.step(
            u, f, scale, out, self.cell, self.offset, self.filters.reshape(count, -1), self.kappa,
            self.mixing.reshape(len(self.mixing), -1), self.bias, self.influence, self.level,
            np.ascontiguousarray(by_place.reshape(places, -1)), self.fidelity,
            numba.get_num_threads(),
        )  # fmt: skip
        return out


@dataclass(frozen=True)
class Stages:
    """A learned diffusion.

    Attributes
    ----------
    channels : int
        1 for grey, 3 for colour.
    stages : tuple of Stage
    sha256 : str
        Checksum of the weight file, in hexadecimal.
    """

    channels: int
    stages: tuple[Stage, ...]
    sha256: str = ""

    @property
    def multiple(self) -> int:
        """The distance by which an image can be moved without moving across cells."""
        return math.lcm(*(stage.cell for stage in self.stages))

    @property
    def radius(self) -> int:
        """Pixels around a pixel on which its result depends."""
        return sum((kernels.MARGIN + 1) * stage.cell - 1 for stage in self.stages)

    def evolve(
        self,
        f: NDArray,
        time: float,
        scale: NDArray | None = None,
        callback: Callable[[float, NDArray], Any] | None = None,
    ) -> tuple[NDArray, float]:
        """Take the steps; of the last, a part.

        Parameters
        ----------
        f : float32 ndarray (N, C, H, W)
            In units of σ.
        time : float
            The number of steps; all if there are fewer.
        scale : float32 ndarray (N, H, W), optional
            The strength of the noise at each pixel, in these units; ``None``: 1 everywhere.
        callback : callable, optional
            Called with the time and the image after each step; a true value ends the evolution.

        Returns
        -------
        u : float32 ndarray
        time : float
            The number of steps that were taken.
        """
        u, now = f, 0.0
        for stage in self.stages[: math.ceil(time)]:
            after = stage(u, f, EVERYWHERE if scale is None else scale)
            share = min(1.0, time - now)
            u = after if share == 1 else u + np.float32(share) * (after - u)
            now += share
            if callback is not None and callback(now, u):
                break
        return u, now


def available() -> list[str]:
    """Names of the weights that come with the package, sorted.

    Examples
    --------
    >>> "deep-gray" in available()
    True
    """
    return files.available(FOLDER)


def find(name_or_path: str | PathLike) -> Path:
    """The file of a name in `available`, or the path itself.

    Raises
    ------
    FileNotFoundError
        If it is neither.
    """
    return files.find(FOLDER, name_or_path)


def card(name_or_path: str | PathLike) -> dict[str, Any]:
    """The model card beside a weight file; empty if there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such weight file.
    ValueError
        If the card is not JSON.

    Examples
    --------
    >>> card("deep-gray")["channels"]
    1
    """
    return files.card(find(name_or_path))


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
    files.save_arrays(path, arrays, {"channels": learned.channels, "stages": layout}, FORMAT)


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
    arrays, text, sha256 = files.load_arrays(path, FORMAT)
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
