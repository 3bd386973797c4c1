"""A training run: its folder with checkpoint, weights and log, and how it starts, resumes and ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm.auto import tqdm

from difffilter.ddpm.memory import memory_errors
from difffilter.training.config import RunConfig, check_init, check_unchanged
from difffilter.training.log import Log
from difffilter.training.loop import processes, training_steps
from difffilter.training.loss import Loss
from difffilter.training.presets import CONFIGS
from difffilter.training.state import TrainingState

__all__ = ["CHECKPOINT", "LOG", "WEIGHTS", "Method", "run"]

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Method:
    """The parts of a run that depend on the method that is trained.

    Attributes
    ----------
    config : RunConfig
        The usual settings.
    read : callable
        Reads the data of a folder for a config: what is trained on, and what is set aside.
    load : callable
        Reads a weight file, by its name or path; the result has a ``sha256``.
    start : callable
        Starts a `TrainingState` from such weights.
    loss : callable
        Makes the `Loss` of a state, the training data, and the rank and number of processes.
    score : callable
        The score of a state on what was set aside.
    write : callable
        Writes the averaged weights of a state to a file.
    metric : str, default "psnr"
        The name of the score in the log.
    prepare : callable, optional
        Completes the settings of a new run by what is in the folder, a vocabulary for instance.
    """

    config: RunConfig
    read: Callable[[str | PathLike, Any], tuple[Any, Any]]
    load: Callable[[str | PathLike], Any]
    start: Callable[[TrainingState, Any], None]
    loss: Callable[[TrainingState, Any, int, int], Loss]
    score: Callable[[TrainingState, Any], float]
    write: Callable[[TrainingState, str | PathLike], None]
    metric: str = "psnr"
    prepare: Callable[[str | PathLike, Any], Any] = lambda folder, config: config


@memory_errors()
def run(
    method: Method,
    folder: str | PathLike,
    output: str | PathLike,
    config: RunConfig | None,
    *,
    init: str | PathLike | None,
    resume: bool,
    steps: int | None,
    device: str,
    checkpoint_seconds: float,
) -> Path:
    """Train by a method; the other parameters, and the errors, are those of `ddpm.fit`."""
    output = Path(output)
    checkpoint, name = output / CHECKPOINT, method.config.method
    if config is not None and config.method != name:
        kinds = (kind.__name__ for kind in CONFIGS.values() if kind.method == name)
        expected = " or ".join(kinds)
        raise TypeError(f"config is a {type(config).__name__}; expected a {expected}")
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"nothing to resume: there is no {checkpoint}")
    if not resume and checkpoint.exists():
        raise FileExistsError(f"{checkpoint} exists; resume it or choose another folder")
    with processes(device) as (own_device, rank, world):
        given = None if init is None else method.load(init)
        start = {} if given is None else {"name": str(init), "sha256": given.sha256}
        if resume:
            state = TrainingState.load(checkpoint, own_device, steps)
            check_unchanged({"method": name}, state.config)
            if config is not None:
                check_unchanged({"kind": config.kind}, state.config)
                config = config.completed(state.config)
                check_unchanged(vars(config) | {"steps": state.config.steps}, state.config)
            if start:
                check_init(start, state.init)
        else:
            config = method.prepare(folder, config or method.config)
            if steps is not None:
                config = replace(config, steps=steps)  # type: ignore[type-var]
            state = TrainingState(config, own_device)
            if given is not None:
                method.start(state, given)
            state.init = start
        config = state.config
        if wrong := [batch for batch in config.batches if batch % world]:
            raise ValueError(f"batch is {wrong[0]}; expected a multiple of {world} processes")
        train, validation = method.read(folder, config)

        losses = training_steps(state, method.loss(state, train, rank, world), world)
        if rank == 0:
            output.mkdir(parents=True, exist_ok=True)
            record(method, state, losses, validation, output, checkpoint_seconds)
        else:
            for _ in losses:  # the first process logs, validates and saves
                pass
    return output / WEIGHTS


def record(
    method: Method,
    state: TrainingState,
    losses: Iterator[Tensor],
    validation: Any,
    output: Path,
    checkpoint_seconds: float,
) -> None:
    """Take the steps of a run, and log, validate and save on the way."""
    config = state.config
    log = Log(output / LOG, state.step)
    start = saved = time.monotonic()
    score = math.nan
    with tqdm(initial=state.step, total=config.steps, unit="step", disable=None) as bar:
        for loss in losses:
            log.add_loss(state.step, loss)
            bar.update()
            done = state.step == config.steps
            if state.step % 50 == 0:
                bar.set_postfix(loss=f"{log.flush():.4f}", **{method.metric: f"{score:.2f}"})
            if validation and (done or state.step % config.validate_every == 0):
                log.flush()
                score = round(method.score(state, validation), 4)
                seconds = round(time.monotonic() - start, 1)
                log.add(step=state.step, **{method.metric: score}, seconds=seconds)
            if done or time.monotonic() - saved >= checkpoint_seconds:
                log.flush()
                state.save(output / CHECKPOINT)
                method.write(state, output / WEIGHTS)
                saved = time.monotonic()
