"""Train a DDPM on a folder of photographs; stop, be killed, and resume as if nothing had happened."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from difffilter.ddpm import weights
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.ddpm.unet import UNet
from difffilter.devices import multiplies_bfloat16
from difffilter.training.config import PRESETS, TrainingConfig, check_init, check_unchanged
from difffilter.training.data import draw_batch, load_images, set_aside, signed
from difffilter.training.log import Log
from difffilter.training.loop import processes, training_steps
from difffilter.training.noises import draw_noise
from difffilter.training.state import TrainingState

__all__ = ["export", "fit"]

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
LOG = "log.jsonl"

# Weaker noise has the weight of noise of this strength.
FAINT = 2 / 255


@memory_errors()
def fit(
    folder: str | PathLike,
    output: str | PathLike,
    config: TrainingConfig | None = None,
    *,
    init: str | PathLike | None = None,
    resume: bool = False,
    steps: int | None = None,
    device: str = "auto",
    checkpoint_seconds: float = 60.0,
) -> Path:
    """Train a network; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    folder : str or Path
        Folder of training images.
    output : str or Path
        Folder for ``checkpoint.safetensors``, to resume from, ``weights.safetensors``, to denoise
        with, and ``log.jsonl``; made if missing.
    config : TrainingConfig, optional
        ``None``: ``PRESETS["gray-small"]``; with `resume`, that of the checkpoint, which another
        one must not contradict.
    init : str or Path, optional
        Weights to start from, a name or a file; layers of another shape start afresh. Colour
        learns much from grey. ``None``: random weights; with `resume`, those of the run, which
        others must not contradict.
    resume : bool, default False
        Go on from the checkpoint in `output`, exactly as if the run had never stopped.
    steps : int, optional
        New length of the run. A resumed run then follows the cosine to the new end from the step
        it is at. ``None``: the config's.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    checkpoint_seconds : float, default 60
        Wall time between two checkpoints.

    Returns
    -------
    Path
        The weight file.

    Raises
    ------
    FileExistsError
        If `output` has a checkpoint and `resume` is False.
    FileNotFoundError
        If there are no images, or no checkpoint to resume from.
    ValueError
        If `config` or `init` contradicts the run that is resumed, or more than `steps` are done.
    ValueError
        If an image cannot be read, none is as large as a crop, or the batch does not divide among
        the processes.
    FloatingPointError
        If the loss stops being a finite number.
    MemoryError
        If the run does not fit into memory.

    Notes
    -----
    ``log.jsonl`` has one line per step, ``{"step": 1, "loss": 1.0}``, and one per validation,
    ``{"step": 500, "psnr": 28.1, "seconds": 70.2}``, whose seconds are since the (re)start. On
    CUDA the forward pass is compiled.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Karras, Aittala, Aila & Laine, "Elucidating the design space of diffusion-based generative
    models", NeurIPS 2022, for the log-normal draw of the noise.

    Examples
    --------
    >>> fit("photographs", "runs/mine", PRESETS["gray-small"])  # doctest: +SKIP
    >>> fit("photographs", "runs/mine", resume=True)  # doctest: +SKIP
    """
    output = Path(output)
    checkpoint = output / CHECKPOINT
    if resume and not checkpoint.exists():
        raise FileNotFoundError(f"nothing to resume: there is no {checkpoint}")
    if not resume and checkpoint.exists():
        raise FileExistsError(f"{checkpoint} exists; resume it or choose another folder")
    with processes(device) as (own_device, rank, world):
        given = None if init is None else weights.load(init)
        start = {} if given is None else {"name": str(init), "sha256": given.sha256}
        if resume:
            state = TrainingState.load(checkpoint, own_device, steps)
            if config is not None:
                check_unchanged(vars(config) | {"steps": state.config.steps}, state.config)
            if start:
                check_init(start, state.init)
        else:
            config = config or PRESETS["gray-small"]
            if steps is not None:
                config = replace(config, steps=steps)
            state = TrainingState(config, own_device)
            if given is not None:
                state.start_from(given.net)
            state.init = start
        config = state.config
        if config.batch % world:
            raise ValueError(f"batch is {config.batch}; expected a multiple of {world} processes")
        train, validation = set_aside(load_images(folder, config.unet.channels), config.validation)
        train = [image for image in train if min(image.shape[1:]) >= config.crop]
        if not train:
            raise ValueError(f"no image in {folder} is {config.crop} pixels high and wide")

        kind = RealNoiseLoss if config.noise == "real" else NoiseLoss
        losses = training_steps(state, kind(state, train, rank, world), world)
        if rank == 0:
            output.mkdir(parents=True, exist_ok=True)
            record(state, losses, validation, output, checkpoint_seconds)
        else:
            for _ in losses:  # the first process logs, validates and saves
                pass
    return output / WEIGHTS


class NoiseLoss:
    """Squared error of the predicted noise: what a DDPM minimises.

    Parameters
    ----------
    state : TrainingState
    images : list of ndarray (C, H, W)
        The training images.
    rank, world : int
        This process, and how many of them share a batch.
    """

    def __init__(self, state: TrainingState, images: list[NDArray], rank: int, world: int) -> None:
        self.config, self.images = state.config, images
        self.rank, self.world = rank, world
        self.device = next(state.net.parameters()).device
        self.model: Callable[..., Tensor] = state.net
        if self.device.type == "cuda":
            self.model = torch.compile(self.model)
        if world > 1:
            self.model = DistributedDataParallel(self.model)  # type: ignore[arg-type]
        narrow = {"auto": multiplies_bfloat16(self.device), "bfloat16": True, "float32": False}
        self.narrow = narrow[self.config.precision]

    def predicted(self, xt: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in x_t."""
        xt = xt.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
            predicted = self.model(xt, t.float().to(self.device))
        return predicted.float()

    def __call__(self, step: int) -> Tensor:
        """The loss of this process's share of the batch of a step."""
        crops, t, seed = draw_batch(self.images, self.config, step)
        generator = torch.Generator(self.device).manual_seed(seed)
        eps = torch.randn(crops.shape, generator=generator, device=self.device)
        share = slice(self.rank, None, self.world)
        x0, eps, t = torch.from_numpy(crops[share]).to(self.device), eps[share], t[share]
        xt = add_noise(x0, t, eps, self.config.schedule)
        return (self.predicted(xt, torch.from_numpy(t)) - eps).square().mean()


class RealNoiseLoss(NoiseLoss):
    """Squared error of the predicted noise where its kind and strength are unknown to the network.

    The squared error that remains grows roughly as the power 1.4 of the strength of the noise. It is
    divided by that, so that weak noise counts as much as strong noise.

    Parameters are those of `NoiseLoss`.
    """

    def __call__(self, step: int) -> Tensor:
        crops, _, seed = draw_batch(self.images, self.config, step)
        rngs = [np.random.default_rng([seed, index]) for index in range(len(crops))]
        share = slice(self.rank, None, self.world)
        pairs = list(zip(crops[share], rngs[share], strict=True))
        x0 = torch.from_numpy(crops[share])
        y = torch.from_numpy(np.stack([signed_noisy(crop, rng) for crop, rng in pairs]))
        sigma, schedule = 2 * self.config.sigma, self.config.schedule
        eps = (y - x0) / sigma
        t = schedule.step_of(sigma)
        xt = (schedule.alpha_bar(t) ** 0.5 * y).to(self.device)
        rms = eps.square().mean(dim=(1, 2, 3)).sqrt().clamp(min=FAINT / self.config.sigma)
        error = self.predicted(xt, torch.full((len(y),), float(t))) - eps.to(self.device)
        return (error.square().mean(dim=(1, 2, 3)) * rms.to(self.device) ** -1.4).mean()


def signed_noisy(crop: NDArray, rng: np.random.Generator) -> NDArray:
    """Add real noise to an image (C, H, W) in [−1, 1]."""
    photo = np.moveaxis((crop + 1) / 2, 0, 2)
    noisy = draw_noise(photo if len(crop) == 3 else photo[..., 0], rng)
    return 2 * np.moveaxis(np.atleast_3d(noisy), 2, 0) - 1


def record(
    state: TrainingState,
    losses: Iterator[Tensor],
    validation: list[NDArray],
    output: Path,
    checkpoint_seconds: float,
) -> None:
    """Take the steps of a run, and log, validate and save on the way."""
    config = state.config
    log = Log(output / LOG, state.step)
    start = saved = time.monotonic()
    psnr = math.nan
    with tqdm(initial=state.step, total=config.steps, unit="step", disable=None) as bar:
        for loss in losses:
            log.add_loss(state.step, loss)
            bar.update()
            done = state.step == config.steps
            if state.step % 50 == 0:
                bar.set_postfix(loss=f"{log.flush():.4f}", psnr=f"{psnr:.2f}")
            if validation and (done or state.step % config.validate_every == 0):
                log.flush()
                psnr = round(validation_psnr(state.averaged, validation, config), 4)
                log.add(step=state.step, psnr=psnr, seconds=round(time.monotonic() - start, 1))
            if done or time.monotonic() - saved >= checkpoint_seconds:
                log.flush()
                state.save(output / CHECKPOINT)
                write_weights(state, output / WEIGHTS)
                saved = time.monotonic()


def validation_psnr(net: UNet, images: list[NDArray], config: TrainingConfig) -> float:
    """Mean PSNR in dB of the posterior mean on the central 256² of each image.

    The noise is white with σ = 25/255 or, for a run on real noise, of random kind and strength.

    Parameters
    ----------
    net : UNet
    images : list of ndarray (C, H, W)
    config : TrainingConfig

    Returns
    -------
    float
    """
    device = next(net.parameters()).device
    multiple, scores = net.config.multiple, []
    for index, image in enumerate(images):
        height, width = (min(256, extent) // multiple * multiple for extent in image.shape[1:])
        top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
        crop = image[None, :, top : top + height, left : left + width]
        x0 = torch.from_numpy(signed(crop))
        if config.noise == "real":
            sigma = config.sigma
            noisy = signed_noisy(x0[0].numpy(), np.random.default_rng(index))
            y = torch.from_numpy(noisy)[None].to(device)
        else:
            sigma = 25 / 255
            noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(index))
            y = (x0 + 2 * sigma * noise).to(device)
        with torch.inference_mode():
            estimate = posterior_mean(net, y, 2 * sigma, config.schedule).clamp(-1, 1).cpu()
        scores.append(-10 * math.log10((estimate - x0).square().mean().item() / 4))
    return float(np.mean(scores))


def write_weights(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    config = state.config
    low, high = config.sigma_range
    if config.noise == "real":
        weights.save(path, state.averaged, config.schedule, (low, high), blind=config.sigma)
        return
    if config.uniform > 0:
        schedule = config.schedule
        low = min(low, float(schedule.sigma_tilde(1)) / 2)
        high = max(high, float(schedule.sigma_tilde(schedule.T)) / 2)
    weights.save(path, state.averaged, config.schedule, (low, high))


def export(run: str | PathLike, path: str | PathLike) -> None:
    """Write the averaged weights of a training run, finished or not, as a weight file.

    Parameters
    ----------
    run : str or Path
        The folder `fit` wrote to.
    path : str or Path
        The file, ``*.safetensors``.

    Raises
    ------
    FileNotFoundError
        If the run has no checkpoint yet.
    ValueError
        If the checkpoint is damaged.

    Examples
    --------
    >>> export("runs/mine", "mine.safetensors")  # doctest: +SKIP
    """
    checkpoint = Path(run) / CHECKPOINT
    if not checkpoint.exists():
        raise FileNotFoundError(f"there is no {checkpoint}")
    write_weights(TrainingState.load(checkpoint, torch.device("cpu")), path)
