"""The steps of a learned diffusion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from difffilter.pde.kernels import learned as kernels

__all__ = ["Stage", "Stages"]

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
    def longest(self) -> float:
        """The time after which nothing changes."""
        return float(len(self.stages))

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
    ) -> tuple[NDArray, dict[str, Any]]:
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
        found : dict
            time and steps, the number of steps that were taken.
        """
        u, now = f, 0.0
        for stage in self.stages[: math.ceil(time)]:
            after = stage(u, f, EVERYWHERE if scale is None else scale)
            share = min(1.0, time - now)
            u = after if share == 1 else u + np.float32(share) * (after - u)
            now += share
            if callback is not None and callback(now, u):
                break
        return u, {"time": now, "steps": math.ceil(now)}
