"""The loop of everything here that learns. Data, logs, checkpoints and plots are the caller's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from difffilter.devices import find_device
from difffilter.training.config import learning_rate
from difffilter.training.state import TrainingState

__all__ = ["processes", "training_steps"]


def training_steps(
    state: TrainingState, loss: Callable[[int], Tensor], world: int = 1
) -> Iterator[Tensor]:
    """Take the steps from where the state is to the end of the run, one each time it is asked.

    Parameters
    ----------
    state : TrainingState
        Each step changes it; between two of them it may be saved.
    loss : callable
        ``loss(step)`` is the loss of this process's share of the batch of a step, counted from 0: a
        function of ``state.net`` that can be differentiated.
    world : int, default 1
        Number of processes that share a batch.

    Yields
    ------
    Tensor
        The loss of the whole batch, after the step.
    """
    config = state.config
    while state.step < config.steps:
        share = loss(state.step)
        state.net.zero_grad()
        share.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
        rate = learning_rate(config, state.step)
        muon, adam = state.optimizers
        muon.param_groups[0]["lr"] = rate
        adam.param_groups[0]["lr"] = rate * config.adam_rate / config.learning_rate
        muon.step()
        adam.step()
        state.ema.update_parameters(state.net)
        state.step += 1

        mean = share.detach()
        if world > 1:
            dist.all_reduce(mean)
            mean /= world
        yield mean


@contextmanager
def processes(device: str) -> Iterator[tuple[torch.device, int, int]]:
    """Join the processes that ``torchrun`` started, if any.

    Parameters
    ----------
    device : str
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.

    Yields
    ------
    tuple of (torch.device, int, int)
        The device of this process, its rank, and the number of processes.
    """
    if "WORLD_SIZE" not in os.environ:
        yield find_device(device), 0, 1
        return
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    own = torch.device(device)
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield own, dist.get_rank(), dist.get_world_size()
        # A process that leaves while another still saves may be aborted by its own threads.
        dist.barrier()
    finally:
        dist.destroy_process_group()
