"""The learned diffusion in PyTorch, to train its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole
from difffilter.pde.kernels.learned import MARGIN
from difffilter.pde.solve.stages import Stage, Stages

__all__ = ["PLAN", "LearnedDiffusion", "StepConfig"]

# Share of random filters in those for colour that start from filters for grey.
NEW = 0.3


@dataclass(frozen=True)
class StepConfig:
    """Sizes of one step of a learned diffusion.

    Parameters
    ----------
    cell : int, default 4
        Side s of the cells in pixels, even; a filter covers 3×3 cells.
    offset : int, default 0
        Number of pixels before the image at which its first cell begins, less than `cell`.
    filters : int, default 64
        Number F of filters, a multiple of 4.
    hidden : int, default 64
        Number G of hidden values of the influence functions, a multiple of 4.

    Raises
    ------
    ValueError
        If one of them is out of range.

    Examples
    --------
    >>> StepConfig(cell=2, filters=32, hidden=32).offset
    0
    """

    cell: int = 4
    offset: int = 0
    filters: int = 64
    hidden: int = 64

    def __post_init__(self) -> None:
        # The kernel takes four planes at a time.
        for name, multiple in (("cell", 2), ("filters", 4), ("hidden", 4)):
            value = check_whole(name, getattr(self, name), least=1)
            if value % multiple:
                raise ValueError(f"{name} is {value}; expected a multiple of {multiple}")
        if check_whole("offset", self.offset, least=0) >= self.cell:
            raise ValueError(f"offset is {self.offset}; expected less than the cell's {self.cell}")


# Coarse and fine cells in turn, and each kind twice before its cells move by a pixel.
PLAN = tuple(
    StepConfig(4, number // 2 % 2, 64, 64) if number % 2 == 0 else
    StepConfig(2, number // 2 % 2, 32, 32)
    for number in range(8)
)  # fmt: skip


class Step(nn.Module):
    """One step u ← u − Wᵀ φ(W u) − λ (u − f) of images (N, C, H, W) in units of σ.

    It computes the same as `difffilter.pde.solve.stages.Stage`, from weights without constraints: each
    filter's mean is subtracted, and κ is exp(log κ) times the filter's norm.
    """

    def __init__(self, config: StepConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        places, count = channels * config.cell**2, config.filters
        filters = zero_sum(torch.randn(count, places, 3, 3))
        # Then Wᵀ W is about a projection, whatever the number of filters.
        self.filters = nn.Parameter(filters / norms(filters) * math.sqrt(places / count))
        self.log_kappa = nn.Parameter(torch.zeros(count))
        bound = 1 / math.sqrt(9 * count)
        self.mixing = nn.Parameter(torch.empty(config.hidden, count, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(config.hidden).uniform_(-bound, bound))
        self.influence = nn.Parameter(torch.zeros(count, config.hidden, 1, 1))
        self.level = nn.Parameter(torch.zeros(count))
        self.fidelity = nn.Parameter(torch.tensor(0.0))

    def effective(self) -> tuple[Tensor, Tensor]:
        """W, and κ as (F, 1, 1, 1)."""
        filters = zero_sum(self.filters)
        return filters, self.log_kappa.exp()[:, None, None, None] * norms(filters)

    def forward(self, u: Tensor, f: Tensor) -> Tensor:
        W, κ = self.effective()
        κ = κ.view(1, -1, 1, 1)
        n = F.conv2d(self.cells(u), W) / κ
        z = n * torch.rsqrt(1 + n * n)
        v = F.relu(F.conv2d(z, self.mixing, self.bias))
        φ = κ * F.conv2d(v, self.influence, self.level)
        change = self.pixels(F.conv_transpose2d(φ, W, padding=2), u.shape)
        return u - change - self.fidelity * (u - f)

    def cells(self, u: Tensor) -> Tensor:
        """The pixels of each cell as channels, of the cells that cover the image and `MARGIN` more."""
        cell, offset = self.config.cell, self.config.offset
        for axis in (2, 3):
            extent = u.shape[axis]
            count = -(-(extent + offset) // cell)
            places = torch.arange(-MARGIN * cell, (count + MARGIN) * cell, device=u.device) - offset
            places = places % (2 * extent)  # beyond its border the image goes on as in a mirror
            u = u.index_select(axis, torch.minimum(places, 2 * extent - 1 - places))
        return F.pixel_unshuffle(u, cell)

    def pixels(self, cells: Tensor, shape: Sequence[int]) -> Tensor:
        """The image (N, C, H, W) of what is given for the cells that cover it."""
        offset = self.config.offset
        image = F.pixel_shuffle(cells, self.config.cell)
        return image[..., offset : offset + shape[2], offset : offset + shape[3]]

    @torch.no_grad()
    def stage(self) -> Stage:
        """The same step in Numba."""
        filters, kappa = self.effective()
        return Stage(
            self.config.cell,
            self.config.offset,
            as_float32(filters),
            as_float32(kappa.flatten()),
            as_float32(self.mixing),
            as_float32(self.bias),
            as_float32(self.influence[:, :, 0, 0]),
            as_float32(self.level),
            self.fidelity.item(),
        )

    @torch.no_grad()
    def copy(self, stage: Stage) -> None:
        """Take the weights of a step of the same sizes."""
        filters = torch.from_numpy(stage.filters)
        self.filters.copy_(filters)
        self.log_kappa.copy_((torch.from_numpy(stage.kappa) / norms(filters).flatten()).log())
        self.mixing.copy_(torch.from_numpy(stage.mixing))
        self.bias.copy_(torch.from_numpy(stage.bias))
        self.influence.copy_(torch.from_numpy(stage.influence)[:, :, None, None])
        self.level.copy_(torch.from_numpy(stage.level))
        self.fidelity.fill_(stage.fidelity)


class LearnedDiffusion(nn.Module):
    """The learned diffusion as a network whose weights can be trained.

    Each step has weights of its own:

        u ← u − Wᵀ φ(W u) − λ (u − f)
        φ(h) = κ · (B max(0, A z + a) + b),    z = n/√(1 + n²),    n = h/κ

    A new network leaves every image as it is, since B, b and λ are 0.

    Parameters
    ----------
    channels : {1, 3}, default 1
        1 for grey, 3 for colour.
    plan : sequence of StepConfig, optional
        The steps; ``None``: the eight of the preset ``deep-gray``.

    Examples
    --------
    >>> net = LearnedDiffusion(plan=[StepConfig(cell=2, filters=8, hidden=8)])
    >>> noisy = torch.randn(1, 1, 9, 9)  # in units of σ
    >>> [image.shape for image in net(noisy)]
    [torch.Size([1, 1, 9, 9])]
    """

    def __init__(self, channels: int = 1, plan: Sequence[StepConfig] | None = None) -> None:
        super().__init__()
        self.channels = channels
        steps = nn.ModuleList(Step(config, channels) for config in plan or PLAN)
        self.steps = cast(Sequence[Step], steps)

    def forward(self, f: Tensor) -> list[Tensor]:
        """The image after each step, from the noisy image (N, C, H, W); all in units of σ."""
        images, u = [], f
        for step in self.steps:
            u = step(u, f)
            images.append(u)
        return images

    def stages(self) -> Stages:
        """The same diffusion in Numba.

        Returns
        -------
        difffilter.pde.solve.stages.Stages
        """
        return Stages(self.channels, tuple(step.stage() for step in self.steps))

    @classmethod
    def from_stages(cls, stages: Stages) -> LearnedDiffusion:
        """The inverse of `stages`."""
        net = cls(stages.channels, [sizes(stage) for stage in stages.stages])
        for step, stage in zip(net.steps, stages.stages, strict=True):
            step.copy(stage)
        return net

    @torch.no_grad()
    def coloured(self, seed: int) -> LearnedDiffusion:
        """A network for colour that starts from this one for grey.

        Each filter looks at the three channels alike, divided by √3, so that noise in its response is as
        strong as before; 0.3 times a random filter is added, since colours differ between channels.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = LearnedDiffusion(3, [step.config for step in self.steps])
        for step, grey in zip(net.steps, self.steps, strict=True):
            mixed = grey.filters.repeat(1, 3, 1, 1) / math.sqrt(3) + NEW * step.filters
            step.load_state_dict(grey.state_dict() | {"filters": mixed})
        return net


def zero_sum(filters: Tensor) -> Tensor:
    """Filters with their means subtracted."""
    return filters - filters.mean(dim=(1, 2, 3), keepdim=True)


def norms(filters: Tensor) -> Tensor:
    """Euclidean norm of each filter, as (F, 1, 1, 1)."""
    return filters.flatten(1).norm(dim=1)[:, None, None, None]


def sizes(stage: Stage) -> StepConfig:
    """The sizes of a step in Numba."""
    return StepConfig(stage.cell, stage.offset, len(stage.kappa), len(stage.bias))


def as_float32(weights: Tensor) -> NDArray:
    """A copy of weights as a float32 array."""
    return np.array(weights.detach().cpu().numpy(), np.float32, order="C")
