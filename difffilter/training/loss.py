"""The loss of a training step, on the crops that fall to one of several processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from difffilter.devices import multiplies_bfloat16
from difffilter.training.config import RunConfig
from difffilter.training.state import TrainingState

__all__ = ["GROWTH", "Loss"]

# The squared error that remains grows roughly as this power of the strength of the noise; divided by it,
# weak noise counts as much as strong noise.
GROWTH = 1.4

Config = TypeVar("Config", bound=RunConfig)


class Loss(ABC, Generic[Config]):
    """The loss of this process's share of the batch of a step, as a function of the step.

    Parameters
    ----------
    state : TrainingState
    data : list of ndarray (C, H, W), or of another type
        What is trained on, as the method's `read` returns it.
    rank, world : int
        This process, and how many of them share a batch.

    Attributes
    ----------
    config : RunConfig
        The settings of the run.
    device : torch.device
    share : slice
        This process's part of a batch.
    """

    def __init__(self, state: TrainingState, data: Any, rank: int, world: int) -> None:
        self.config, self.data = cast(Config, state.config), data
        self.share = slice(rank, None, world)
        self.device = next(state.net.parameters()).device
        self.model: Callable[..., Any] = state.net
        if self.device.type == "cuda":
            self.model = torch.compile(self.model)
        if world > 1:
            self.model = DistributedDataParallel(self.model)  # type: ignore[arg-type]
        narrow = {"auto": multiplies_bfloat16(self.device), "bfloat16": True, "float32": False}
        self.narrow = narrow[self.config.precision]

    @abstractmethod
    def __call__(self, step: int) -> Tensor:
        """The loss of a step, counted from 0."""

    def forward(self, *inputs: Tensor) -> Any:
        """The output of the network, in the precision of the run."""
        # On a CPU, the gradient of fused attention takes longer than all the rest of a step.
        attention = nullcontext() if self.device.type == "cuda" else sdpa_kernel(SDPBackend.MATH)
        with attention, torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
            return self.model(*inputs)

    def noise(self, shape: Sequence[int], seed: int) -> Tensor:
        """White noise of standard deviation 1."""
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=self.device)
