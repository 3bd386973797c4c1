"""The state of a training run, and the checkpoint that holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from os import PathLike
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from difffilter.io.files import replacing
from difffilter.io.weights import read
from difffilter.training.config import RunConfig
from difffilter.training.optimisers import Muon
from difffilter.training.presets import CONFIGS

__all__ = ["TrainingState", "progress"]

# The kind of a checkpoint that names none.
USUAL = "ddpm"


class TrainingState:
    """The weights, their moving average, the optimisers and the step of a run.

    There is no generator among them: the draws of step n are seeded by n, so that a resumed run
    draws what the unbroken one would have drawn.

    Parameters
    ----------
    config : RunConfig
    device : torch.device

    Attributes
    ----------
    step : int
        Number of finished steps.
    net : torch.nn.Module
    ema : torch.optim.swa_utils.AveragedModel
        Moving average of the weights of `net`.
    optimizers : tuple of torch.optim.Optimizer
        Muon for the weights that are matrices, AdamW for the others.
    init : dict of str to str, or None
        The name and the checksum of the weights that the run began with; empty if they were random,
        ``None`` if the checkpoint is of a version that did not record it.
    """

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = config.network()
        self.config = config
        self.net: nn.Module = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = AveragedModel(self.net, multi_avg_fn=warmed_up(config.ema))
        self.ema.eval().requires_grad_(False)
        learned = [weight for weight in self.net.parameters() if weight.requires_grad]
        matrices = [weight for weight in learned if weight.ndim > 1]
        others = [weight for weight in learned if weight.ndim <= 1]
        self.optimizers = (
            Muon(matrices, config.learning_rate),
            # (In a group, since a network may have none of these.)
            torch.optim.AdamW([{"params": others}], weight_decay=config.adam_decay, fused=True),
        )
        self.init: dict[str, str] | None = {}
        self._start_at(0)

    def _start_at(self, step: int) -> None:
        self.step = step
        # The initial weights count as the first: the average starts from them, not from a copy of
        # those after the first step.
        self.ema.n_averaged.fill_(step + 1)

    @property
    def averaged(self) -> nn.Module:
        """The network with the averaged weights, which is what is kept in the end."""
        return self.ema.module

    def start_from(self, net: nn.Module) -> None:
        """Copy the weights of another network wherever their shapes are those of this one.

        Between networks for grey and for colour these are all but the first and the last layer.
        """
        given = net.state_dict()
        for mine in (self.net, self.averaged):
            for name, weight in mine.state_dict().items():
                if name in given and given[name].shape == weight.shape:
                    weight.copy_(given[name])

    def moments(self, weight: Tensor) -> dict[str, Any]:
        """The running moments that an optimiser keeps of the gradients of a parameter."""
        muon, adam = self.optimizers
        return (muon if weight.ndim > 1 else adam).state[weight]

    def save(self, path: str | PathLike) -> None:
        """Write a checkpoint, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        tensors = {f"net/{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"ema/{name}": value for name, value in self.averaged.state_dict().items()}
        for parameter, weight in self.net.named_parameters():
            for name, value in self.moments(weight).items():
                tensors[f"moments/{parameter}/{name}"] = value
        metadata = {"config": json.dumps(vars(self.config), default=asdict), "step": str(self.step)}
        # (The key dates from when each method had one kind.)
        if self.config.kind != USUAL:
            metadata["method"] = self.config.kind
        if self.init is not None:
            metadata["init"] = json.dumps(self.init)
        contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
        with replacing(path) as temporary:
            try:
                save_file(contiguous, temporary, metadata)
            except SafetensorError as error:
                raise OSError(f"cannot write {path}: {error}") from None
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())

    @classmethod
    def load(
        cls, path: str | PathLike, device: torch.device, steps: int | None = None
    ) -> TrainingState:
        """Read a checkpoint.

        Parameters
        ----------
        path : path-like
        device : torch.device
        steps : int, optional
            New length of the run; ``None``: as it was.

        Returns
        -------
        TrainingState

        Raises
        ------
        ValueError
            If the file is damaged or is not a checkpoint, or more steps are done than `steps`.
        """
        metadata, arrays = read(path)
        config, done = _progress(path, metadata)
        if steps is not None and steps < done:
            raise ValueError(f"steps is {steps}; expected at least {done}, the steps that are done")
        state = cls(config if steps is None else replace(config, steps=steps), device)
        groups: dict[str, dict[str, Tensor]] = {"net": {}, "ema": {}, "moments": {}}
        for name, value in arrays.items():
            group, rest = name.split("/", 1)
            groups[group][rest] = torch.from_numpy(value)
        state.net.load_state_dict(groups["net"])
        state.averaged.load_state_dict(groups["ema"])
        # Not by load_state_dict, which leaves the moments in a memory format other than that of
        # the weights: the fused AdamW then pairs each weight with the moments of another.
        parameters = dict(state.net.named_parameters())
        for name, moment in groups["moments"].items():
            parameter, kind = name.split("/")
            weight = parameters[parameter]
            if moment.shape == weight.shape:
                moment = torch.empty_like(weight, requires_grad=False).copy_(moment)
            state.moments(weight)[kind] = moment.to(device)
        state.init = json.loads(metadata.get("init", "null"))
        state._start_at(done)
        return state


def progress(path: str | PathLike) -> tuple[RunConfig, int]:
    """The settings of a checkpoint, and the number of finished steps.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or is not a checkpoint.
    """
    return _progress(path, read(path)[0])


def _progress(path, metadata):
    kind = CONFIGS.get(metadata.get("method", USUAL))
    if "step" not in metadata or kind is None:
        raise ValueError(f"{path} is not a training checkpoint")
    return kind.from_dict(json.loads(metadata["config"])), int(metadata["step"])


def warmed_up(most: float) -> Callable[[Any, Any, Tensor | int], None]:
    """A moving average, for `AveragedModel`, that follows faster while the run is young.

    Its decay is n/(n + 9) after n averaged models, and `most` at most.
    """

    @torch.no_grad()
    def average(means: Any, weights: Any, count: Tensor | int) -> None:
        decay = min(most, int(count) / (int(count) + 9))
        for mean, weight in zip(means, weights, strict=True):
            mean.lerp_(weight, 1 - decay)

    return average
