"""Fit a U-Net to a folder of photographs; stop, be killed, and go on as if nothing had happened.

The crops, steps and noise of training step n come from a generator seeded by (seed, n), so there
is no generator to save: a resumed run sees what the unbroken one would have seen, and a run on
several processes sees what a single one would.
"""

import json
import math
import os
import time
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from difffilter.ddpm import weights
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.devices import multiplies_bfloat16
from difffilter.io.files import replacing
from difffilter.training.data import draw_batch, load_images, set_aside
from difffilter.training.optimisers import Muon

CHECKPOINT = "checkpoint.safetensors"
WEIGHTS = "weights.safetensors"
LOG = "log.jsonl"


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training run computes.

    Parameters
    ----------
    unet : UNetConfig
        The network.
    schedule : NoiseSchedule
        The noise schedule.
    steps : int, default 12 000
        Length of the run; the learning rate falls to 0 along a cosine that ends here.
    batch, crop : int, default 8 and 96
        Crops a step, over all processes, and their side in pixels.
    learning_rate : float, default 3e-3
        Of Muon for the weights that are matrices and of AdamW for the others, reached after `warmup`
        steps.
    warmup : int, default 200
        Steps of linear warm-up.
    ema : float, default 0.998
        Decay of the moving average of the weights, which is what one keeps.
    clip : float, default 1.0
        The gradient's norm is clipped to this.
    sigma, spread : float, default 28/255 and 0.8
        log σ of the noise is normal with mean log `sigma` and deviation `spread`; σ is in units
        of an image in [0, 1].
    sigma_range : tuple of float, default (2/255, 120/255)
        σ drawn is clipped to this.
    uniform : float, default 0.1
        This fraction of the draws has t uniform in 1 ... T instead, so that the network knows the
        whole way from noise and images can be generated with it.
    validation : int, default 24
        Images set aside for validation, evenly spaced in the sorted list of files.
    validate_every : int, default 500
        Steps between two validations.
    precision : {"auto", "bfloat16", "float32"}, default "auto"
        What the layers compute in, forwards; weights and loss are float32 in any case. ``"auto"``
        is bfloat16 on CUDA and on processors that multiply in it (AVX512-BF16), where a step takes
        little more than half the time, else float32.
    seed : int, default 0
        Of the initial weights and all draws.
    """

    unet: UNetConfig = field(default_factory=UNetConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    steps: int = 12_000
    batch: int = 8
    crop: int = 96
    learning_rate: float = 3e-3
    warmup: int = 200
    ema: float = 0.998
    clip: float = 1.0
    sigma: float = 28 / 255
    spread: float = 0.8
    sigma_range: tuple[float, float] = (2 / 255, 120 / 255)
    uniform: float = 0.1
    validation: int = 24
    validate_every: int = 500
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "sigma_range", tuple(self.sigma_range))
        for name in ("steps", "batch", "crop", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; expected a number above 0")
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise ValueError(f"precision is {self.precision!r}; expected auto, bfloat16 or float32")
        if self.crop % self.unet.multiple:
            raise ValueError(f"crop is {self.crop}; expected a multiple of {self.unet.multiple}")

    @classmethod
    def from_dict(cls, values):
        """The inverse of `dataclasses.asdict`."""
        nested = {
            "unet": UNetConfig(**values["unet"]),
            "schedule": NoiseSchedule(**values["schedule"]),
        }
        return cls(**{**values, **nested})


# Six times the weights and eight times the work of the small network, for training on a GPU.
BASE = UNetConfig(
    widths=(128, 192, 192, 192), blocks=4, middle=2, heads=8, groups=16, embedding=256
)
LONG = {"steps": 50_000, "batch": 32, "crop": 128, "warmup": 500, "ema": 0.9995}

PRESETS = {
    "gray-small": TrainingConfig(),
    "color-small": TrainingConfig(unet=UNetConfig(channels=3)),
    "gray-base": TrainingConfig(unet=BASE, **LONG),
    "color-base": TrainingConfig(unet=replace(BASE, channels=3), **LONG),
}


def learning_rate(config, step):
    """Learning rate of the step that follows `step` finished ones: warm-up, then a cosine to 0."""
    warm = min(1, (step + 1) / max(config.warmup, 1))
    return config.learning_rate * warm * (1 + math.cos(math.pi * step / config.steps)) / 2


def validation_psnr(net, images, schedule, sigma=25 / 255):
    """Mean PSNR in dB of the posterior mean on the central 256² of each image.

    Parameters
    ----------
    net : UNet
    images : list of uint8 ndarray (C, H, W)
    schedule : NoiseSchedule
    sigma : float, default 25/255
        Noise for an image in [0, 1].

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
        x0 = torch.from_numpy(crop / np.float32(127.5) - 1)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(index))
        with torch.inference_mode():
            y = (x0 + 2 * sigma * noise).to(device)
            estimate = posterior_mean(net, y, 2 * sigma, schedule).clamp(-1, 1).cpu()
        scores.append(-10 * math.log10((estimate - x0).square().mean().item() / 4))
    return float(np.mean(scores))


class TrainingState:
    """What changes during a run: weights, their moving average, the optimisers, the step.

    Parameters
    ----------
    config : TrainingConfig
    device : torch.device
    """

    def __init__(self, config, device):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = UNet(config.unet)
        self.config = config
        self.step = 0
        self.net = net.to(device, memory_format=torch.channels_last)
        self.ema = deepcopy(self.net).eval().requires_grad_(False)
        matrices = [weight for weight in self.net.parameters() if weight.ndim > 1]
        others = [weight for weight in self.net.parameters() if weight.ndim == 1]
        self.optimizers = (
            Muon(matrices, config.learning_rate),
            torch.optim.AdamW(others, config.learning_rate, fused=True),
        )

    def start_from(self, net):
        """Take over the layers of another network that are shaped like ours: all but the first
        and the last, when it is for another number of channels."""
        for mine in (self.net, self.ema):
            given = net.state_dict()
            for name, weight in mine.state_dict().items():
                if name in given and given[name].shape == weight.shape:
                    weight.copy_(given[name])

    def average(self):
        """Let the moving average follow the weights, faster while the run is young."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for mean, weight in zip(self.ema.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(weight.detach(), 1 - decay)

    def moments(self, weight):
        """What an optimiser remembers of the gradients of a parameter."""
        muon, adam = self.optimizers
        return (muon if weight.ndim > 1 else adam).state[weight]

    def save(self, path):
        """Write a checkpoint, whole or not at all."""
        tensors = {f"net/{name}": value for name, value in self.net.state_dict().items()}
        tensors |= {f"ema/{name}": value for name, value in self.ema.state_dict().items()}
        for parameter, weight in self.net.named_parameters():
            for name, value in self.moments(weight).items():
                tensors[f"moments/{parameter}/{name}"] = value
        metadata = {"config": json.dumps(asdict(self.config)), "step": str(self.step)}
        contiguous = {name: value.cpu().contiguous() for name, value in tensors.items()}
        with replacing(path) as temporary:
            try:
                save_file(contiguous, temporary, metadata)
            except SafetensorError as error:
                raise OSError(f"cannot write {path}: {error}") from None
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())

    @classmethod
    def load(cls, path, device, steps=None):
        """Read a checkpoint; `steps`, if given, is a new length for the run."""
        metadata, arrays = weights.read(path)
        if "step" not in metadata:
            raise ValueError(f"{path} is no training checkpoint")
        config = TrainingConfig.from_dict(json.loads(metadata["config"]))
        state = cls(config if steps is None else replace(config, steps=steps), device)
        state.step = int(metadata["step"])
        groups = {"net": {}, "ema": {}, "moments": {}}
        for name, value in arrays.items():
            group, rest = name.split("/", 1)
            groups[group][rest] = torch.from_numpy(value)
        state.net.load_state_dict(groups["net"])
        state.ema.load_state_dict(groups["ema"])
        # Not by load_state_dict, which leaves the moments in a memory format other than that of
        # the weights: the fused AdamW then pairs each weight with the moments of another.
        parameters = dict(state.net.named_parameters())
        for name, value in groups["moments"].items():
            parameter, moment = name.split("/")
            weight = parameters[parameter]
            if value.shape == weight.shape:
                value = torch.empty_like(weight, requires_grad=False).copy_(value)
            state.moments(weight)[moment] = value.to(device)
        return state

    def export(self, path):
        """Write the averaged weights as a weight file."""
        config = self.config
        low, high = config.sigma_range
        if config.uniform > 0:
            schedule = config.schedule
            low = min(low, float(schedule.sigma_tilde(1)) / 2)
            high = max(high, float(schedule.sigma_tilde(schedule.T)) / 2)
        weights.save(path, self.ema, config.schedule, (low, high))


def export(run, path):
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
    TrainingState.load(checkpoint, torch.device("cpu")).export(path)


@memory_errors()
def fit(
    folder,
    output,
    config=None,
    *,
    init=None,
    resume=False,
    steps=None,
    device="auto",
    checkpoint_seconds=60.0,
):
    """Train a network; under ``torchrun``, on several processes at once.

    Parameters
    ----------
    folder : str or Path
        Folder of training images.
    output : str or Path
        Folder for ``checkpoint.safetensors``, to resume from, ``weights.safetensors``, to denoise
        with, and ``log.jsonl``; made if missing.
    config : TrainingConfig, optional
        None chooses ``PRESETS["gray-small"]``; with `resume` the checkpoint's own is used.
    init : str or Path, optional
        Weights to start from, a name or a file; layers of another shape start afresh. Colour
        learns much from grey. None starts all afresh.
    resume : bool, default False
        Go on from the checkpoint in `output`, exactly as if the run had never stopped.
    steps : int, optional
        New length of the run. A resumed run then follows the cosine to the new end from the step
        it is at. None keeps the config's.
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
        If no image is as large as a crop, or the batch does not divide among the processes.
    FloatingPointError
        If the loss stops being a finite number.

    Notes
    -----
    ``log.jsonl`` has one line a step, ``{"step": 1, "loss": 1.0}``, and one a validation,
    ``{"step": 500, "psnr": 28.1, "seconds": 70.2}``, whose seconds are since (re)starting. On
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
    with processes(device) as (device, rank, world):
        if resume:
            state = TrainingState.load(checkpoint, device, steps)
        else:
            config = config or PRESETS["gray-small"]
            state = TrainingState(config if steps is None else replace(config, steps=steps), device)
            if init is not None:
                state.start_from(weights.load(init).net)
        config = state.config
        if config.batch % world:
            raise ValueError(f"batch is {config.batch}; expected a multiple of {world} processes")
        train, validation = set_aside(load_images(folder, config.unet.channels), config.validation)
        train = [image for image in train if min(image.shape[1:]) >= config.crop]
        if not train:
            raise ValueError(f"no image in {folder} is {config.crop} pixels high and wide")
        if rank == 0:
            output.mkdir(parents=True, exist_ok=True)
        run(state, train, validation, output, rank, world, checkpoint_seconds)
    return output / WEIGHTS


@contextmanager
def processes(device):
    """Join the processes that ``torchrun`` started, if any: (device, rank, number of them)."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(device)
    if "WORLD_SIZE" not in os.environ:
        yield device, 0, 1
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device, dist.get_rank(), dist.get_world_size()
        # A process that leaves while another still saves may be aborted by its own threads.
        dist.barrier()
    finally:
        dist.destroy_process_group()


class Log:
    """The JSON lines of a run; the losses are fetched from the device only now and then.

    Parameters
    ----------
    path : Path
    step : int
        Lines of later steps, which a resumed run will write again, are dropped.
    """

    def __init__(self, path, step):
        self.path = path
        self.losses = []
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        with replacing(path) as temporary:
            temporary.write_text("".join(kept))

    def add(self, **record):
        """Write a line."""
        with open(self.path, "a") as file:
            file.write(json.dumps(record) + "\n")

    def flush(self):
        """Write the losses since the last time, (step, Tensor) each; return their mean."""
        values = [(step, loss.item()) for step, loss in self.losses]
        self.losses = []
        for step, value in values:
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the loss of step {step} is {value}; the last checkpoint is from before it; "
                    "try a lower learning rate"
                )
            self.add(step=step, loss=round(value, 6))
        return float(np.mean([value for _, value in values])) if values else math.nan


def training_step(state, model, images, rank, world):
    """One step of the optimiser on this process's part of the batch; returns the batch's loss."""
    config, device = state.config, next(state.net.parameters()).device
    crops, t, seed = draw_batch(images, config, state.step)
    x0 = torch.from_numpy(crops).to(device).float() / 127.5 - 1
    generator = torch.Generator(device).manual_seed(seed)
    eps = torch.randn(x0.shape, generator=generator, device=device)
    x0, eps, t = x0[rank::world], eps[rank::world], t[rank::world]
    xt = add_noise(x0, t, eps, config.schedule).contiguous(memory_format=torch.channels_last)
    narrow = {"auto": multiplies_bfloat16(device), "bfloat16": True}.get(config.precision, False)
    with torch.autocast(device.type, torch.bfloat16, enabled=narrow):
        predicted = model(xt, torch.from_numpy(t).float().to(device))
    loss = (predicted.float() - eps).square().mean()

    state.net.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), config.clip)
    for optimizer in state.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, state.step)
        optimizer.step()
    state.average()
    state.step += 1

    loss = loss.detach()
    if world > 1:
        dist.all_reduce(loss)
        loss /= world
    return loss


def run(state, train, validation, output, rank, world, checkpoint_seconds):
    """The loop of `fit`. The first process logs, validates and saves; the others only compute."""
    config = state.config
    cuda = next(state.net.parameters()).is_cuda
    model = torch.compile(state.net) if cuda else state.net
    if world > 1:
        model = DistributedDataParallel(model)
    if rank > 0:
        while state.step < config.steps:
            training_step(state, model, train, rank, world)
        return

    log = Log(output / LOG, state.step)
    start = saved = time.monotonic()
    psnr = math.nan
    with tqdm(initial=state.step, total=config.steps, unit="step", disable=None) as bar:
        while state.step < config.steps:
            loss = training_step(state, model, train, rank, world)
            log.losses.append((state.step, loss))
            bar.update()
            done = state.step == config.steps
            if state.step % 50 == 0:
                bar.set_postfix(loss=f"{log.flush():.4f}", psnr=f"{psnr:.2f}")
            if validation and (done or state.step % config.validate_every == 0):
                log.flush()
                psnr = round(validation_psnr(state.ema, validation, config.schedule), 4)
                log.add(step=state.step, psnr=psnr, seconds=round(time.monotonic() - start, 1))
            if done or time.monotonic() - saved >= checkpoint_seconds:
                log.flush()
                state.save(output / CHECKPOINT)
                state.export(output / WEIGHTS)
                saved = time.monotonic()


def plot_log(log, path):
    """Plot the log of a training run: the loss, smoothed, and the PSNR on validation images.

    Parameters
    ----------
    log : str or Path
        ``log.jsonl`` of `fit`.
    path : str or Path
        The figure, of a type Matplotlib can write.

    Raises
    ------
    ValueError
        If the log has no step yet.

    Examples
    --------
    >>> plot_log("runs/mine/log.jsonl", "training.png")  # doctest: +SKIP
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    losses = np.array([line["loss"] for line in lines if "loss" in line])
    scores = [(line["step"], line["psnr"]) for line in lines if "psnr" in line]
    if not len(losses):
        raise ValueError(f"{log} has no finished step")
    window = min(len(losses), 200)
    smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(np.arange(len(smooth)) + window, smooth)
    left.set(xlabel="step", ylabel=f"loss, mean of {window} steps")
    if scores:
        right.plot(*zip(*scores, strict=True), marker=".")
    right.set(xlabel="step", ylabel="PSNR at σ = 25/255 / dB")
    figure.savefig(path, dpi=150)
