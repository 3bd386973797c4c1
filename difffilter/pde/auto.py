"""The method of least estimated risk: several PDEs compete for each image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from difffilter.denoiser import Denoiser
from difffilter.pde.anisotropic import EdgeEnhancing
from difffilter.pde.filter import PDEFilter, Spacing, least_risk_of
from difffilter.pde.kernels.threads import threads_for
from difffilter.pde.perona_malik import PeronaMalik
from difffilter.pde.problem import Problem, arrays_only, pose, with_ample_range
from difffilter.pde.tv_flow import TVFlow

__all__ = ["Auto"]

# Edge-enhancing diffusion is best for most photographs, Perona–Malik diffusion for the sharp edges of
# drawings and screenshots, total-variation flow for some textures. In volumes tensors would take twenty
# times as long.
PLANE = (EdgeEnhancing(), PeronaMalik(), TVFlow())
VOLUME = (PeronaMalik(), TVFlow())

# As `OneByOne.ROUNDS`.
ROUNDS = (
    (1 << 14, {2: (1, 64, 64), 3: (16, 32, 32)}, 5),
    (1 << 15, {2: (1, 64, 64), 3: (16, 32, 32)}, 2),
    (1 << 16, {2: (1, 64, 64), 3: (16, 32, 32)}, 1),
)


@dataclass(frozen=True, kw_only=True)
class Auto(Denoiser):
    """For any image: edge-enhancing, Perona–Malik or total-variation diffusion, by estimated risk.

    `choose` returns the winner: edge-enhancing or Perona–Malik diffusion or total-variation flow, for
    a volume one of the latter two. All candidates are judged on the same tiles of the image (see
    Notes of `perona_malik`).

    Parameters
    ----------
    spacing : float or sequence of float, optional
        Distance h of the pixels along each spatial axis; ``None``: 1.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> bool(Auto()(noisy).std() < 0.02)
    True
    """

    takes_models: ClassVar[bool] = True

    spacing: Spacing = None

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        problem = self._pose(noisy, sigma, channel_axis)
        with threads_for(problem.size):
            winner, evolution = self._winner(problem)
            return winner._solution(problem, evolution, None)[0]

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        problem = self._pose(noisy, sigma, channel_axis)
        with threads_for(problem.size):
            return self._winner(problem)[0]

    def choose_weighted(self, noisy, sigma, *, channel_axis=None, weight=None, deviation=None):
        problem = self._pose(noisy, sigma, channel_axis)
        problem.weight, problem.deviation = weight, deviation
        with threads_for(problem.size):
            return self._winner(problem)[0]

    def is_settled(self, sigma=None):
        return False

    def halo(self, axes):
        raise ValueError(f"{self!r} has parameters that are not set; call choose first")

    def warm_up(self, dtype=np.float32):
        for method in PLANE:
            method.warm_up(dtype)

    def _pose(self, image, sigma, channel_axis) -> Problem:
        arrays_only(image)
        return with_ample_range(pose(image, sigma, channel_axis, spacing=self.spacing))

    def _winner(self, problem: Problem):
        """The method with all its parameters, and its evolution."""
        methods: list[PDEFilter] = [
            replace(method, spacing=self.spacing)
            for method in (PLANE if problem.volume[0] == 1 else VOLUME)
        ]
        if problem.strength() == 0:  # nothing to remove
            return methods[-1]._settle(problem)
        entries = [(c, method) for method in methods for c in method.candidates(problem)]
        winner, time = least_risk_of(
            problem,
            [candidate for candidate, _ in entries],
            side_by_side=problem.weight is None,
            rounds=ROUNDS,
        )
        method = next(method for candidate, method in entries if candidate is winner)
        return method.settled_as(problem, winner, time)
