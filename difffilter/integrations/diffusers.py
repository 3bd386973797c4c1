"""DDPMs of Hugging Face diffusers as Denoisers, and ours as folders for its pipelines.

Nothing is downloaded, no pickle is opened and no code of a folder is run. Importing this module
imports PyTorch and diffusers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from difffilter.checks import check_whole
from difffilter.ddpm.denoiser import DDPM
from difffilter.ddpm.evolution import from_noise
from difffilter.ddpm.loading import check_reversible, load
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.threads import one_thread
from difffilter.ddpm.unet import UNet
from difffilter.ddpm.weights import Weights
from difffilter.devices import find_device
from difffilter.generate.pipeline_folders import check_files, find_variant, is_installed

try:
    import diffusers

    from difffilter.integrations.networks import (
        PREDICTIONS,
        NoiseUNet,
        NoiseUNetConfig,
        UnshuffledUNet,
    )  # fmt: skip
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"difffilter.integrations.diffusers needs {error.name}: pip install 'difffilter[diffusers]'",
        name=error.name,
    ) from None

__all__ = ["DiffusersDDPM", "as_scheduler", "as_unet2d", "from_diffusers", "save_diffusers"]

SCHEDULERS = ("DDPMScheduler", "DDIMScheduler")
NETWORKS = ("UNet2DModel", "UnshuffledUNet")


# --- theirs as a Denoiser -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DiffusersDDPM(DDPM):
    """DDPM: a network of diffusers, from a folder, in place of the weights of this package.

    `from_diffusers` makes one. Parameters not listed here are those of `difffilter.ddpm.DDPM`, as are
    its modes, tiles and range of intensities.

    Parameters
    ----------
    weights : str or Path
        The folder, as `from_diffusers` takes it.
    dtype : {"float32", "bfloat16", "float16", "auto"}, default "float32"
        Precision of the layers. What another costs depends on the network and on what it predicts.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    TypeError, ValueError
        If the folder is not as `from_diffusers` expects, or another parameter is out of range.

    Notes
    -----
    σ is clamped to the schedule: from half of σ̃_1 to half of σ̃_T.

    Examples
    --------
    >>> DiffusersDDPM(weights="google/ddpm-cat-256")
    Traceback (most recent call last):
    FileNotFoundError: folder is 'google/ddpm-cat-256'; expected a folder on this machine, since nothing \
is downloaded
    """

    PACKAGES: ClassVar[tuple[str, ...]] = ("diffusers",)

    weights: str | PathLike | None = field()
    dtype: str = "float32"

    def check_weights(self, weights: str | PathLike) -> None:
        """Raise an error unless the folder can be opened, by what its configurations say."""
        read_configs(Path(weights))

    def load_weights(self, weights: str | PathLike) -> Weights:
        """The network of a folder, on the device, read once for as long as its files stay the same."""
        folder = Path(weights)
        modified = max(
            file.stat().st_mtime_ns for part in parts_of(folder) for file in part.iterdir()
        )
        return load_once(folder, modified, find_device(self.device))

    def generate(self, n: int, shape: tuple[int, int] | None = None) -> NDArray:
        """Generate images from pure noise, by `steps`, `eta` and `seed`; each estimate is clipped.

        Parameters
        ----------
        n : int
            Number of images.
        shape : tuple of int, optional
            Height and width, in pixels. ``None``: those of the images of its training.

        Returns
        -------
        ndarray
            ``(n, H, W)`` or, for several channels, ``(n, H, W, C)``; float32 in [0, 1].

        Raises
        ------
        ValueError
            If `n` is below 1, or `shape` is ``None`` and the folder does not say it.
        MemoryError
            If the images do not fit into memory.
        """
        folder = Path(cast(str, self.weights))
        trained = self.load_weights(folder)
        sides = shape or sides_of(read_configs(folder)[0])
        if sides is None:
            raise ValueError("shape is None; expected height and width, which the folder lacks")
        steps = self.steps or trained.schedule.T
        with memory_errors(), one_thread():
            return from_noise(
                trained, n, sides, steps=steps, eta=self.eta, seed=self.seed, tile=self.tile
            )


def from_diffusers(folder: str | PathLike, **options: Any) -> DiffusersDDPM:
    """A Denoiser with the network and the schedule of a DDPM of diffusers.

    Parameters
    ----------
    folder : str or Path
        What ``DDPMPipeline.save_pretrained`` or ``DDIMPipeline.save_pretrained`` wrote: ``unet/`` with
        a UNet2DModel for pixels in [−1, 1] and ``scheduler/``; or a folder with the model itself and
        scheduler_config.json. Weights must be safetensors. A network that `save_diffusers` wrote is
        opened, too.
    **options
        Parameters of `DiffusersDDPM` and `difffilter.ddpm.DDPM`, such as ``mode="sample"``. `tile` is
        by default 128, or the side of the images of the training where that is larger.

    Returns
    -------
    DiffusersDDPM
        ``denoise(image)`` is x̂_0, the posterior mean; ``denoise.generate(n)`` makes images.

    Raises
    ------
    FileNotFoundError
        If there is no such folder. Names of models on the Hugging Face Hub are not looked up.
    ModuleNotFoundError
        On import of the module, if diffusers is missing.
    TypeError, ValueError
        If the folder is incomplete, damaged or holds pickles in place of safetensors; the network is
        of another kind, needs classes, or its steps are not embedded by position; the scheduler is of
        another kind or prediction type; or an option is out of range.

    Notes
    -----
    The betas are those of the scheduler, whatever its ``beta_schedule``; the prediction types
    ``"epsilon"``, ``"v_prediction"`` and ``"sample"`` are converted to ε. Other settings of the scheduler
    belong to its own sampling, and are not used. Where ``rescale_betas_zero_snr`` makes β_T = 1,
    it is 0.999.

    The network sees the image's own range of intensities as [−1, 1]; ``black=0, white=1`` keep an
    image in [0, 1] as it is.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Salimans & Ho, "Progressive distillation for fast sampling of diffusion models", ICLR 2022, for v.
    Lin, Liu, Li & Yang, "Common diffusion noise schedules and sample steps are flawed", WACV 2024, for
    β_T = 1.

    Examples
    --------
    >>> import tempfile
    >>> import diffusers
    >>> model = diffusers.UNet2DModel(
    ...     sample_size=8, block_out_channels=(8, 8), norm_num_groups=4,
    ...     down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     diffusers.DDPMPipeline(model, diffusers.DDPMScheduler()).save_pretrained(folder)
    ...     denoise = from_diffusers(folder)
    ...     denoise(np.full((8, 8, 3), 0.5), sigma=0.1, channel_axis=-1).shape
    (8, 8, 3)
    """
    config, _ = read_configs(Path(folder))
    options.setdefault("tile", max(NoiseUNetConfig.tile, *(sides_of(config) or (0,))))
    denoiser = DiffusersDDPM(weights=str(folder), **options)
    denoiser.warm_up()  # so that a damaged file is known now
    return denoiser


def parts_of(folder: Path) -> tuple[Path, Path]:
    """The folders of the network and of the scheduler, which may be the folder itself."""
    if not folder.is_dir():
        raise FileNotFoundError(
            f"folder is {str(folder)!r}; expected a folder on this machine, since nothing is downloaded"
        )
    return tuple(  # type: ignore[return-value]
        folder / name if (folder / name).is_dir() else folder for name in ("unet", "scheduler")
    )


def read_configs(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configurations of the network and of the scheduler in a folder, which can be used.

    Raises
    ------
    FileNotFoundError, ValueError
        As `from_diffusers`.
    """
    network, scheduler = parts_of(folder)
    check_files([network])
    config = read_config(network / "config.json", NETWORKS)
    settings = read_config(scheduler / "scheduler_config.json", SCHEDULERS)
    prediction = settings.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise ValueError(
            f"prediction_type of {scheduler} is {prediction!r}; expected one of {', '.join(PREDICTIONS)}"
        )
    if config["_class_name"] == "UNet2DModel":
        check_unet2d(network, config)
    return config, settings


def read_config(file: Path, kinds: tuple[str, ...]) -> dict[str, Any]:
    """A configuration that diffusers wrote, of one of several classes."""
    if not file.is_file():
        raise ValueError(
            f"{file.parent} has no {file.name}; expected a folder that diffusers wrote"
        )
    try:
        config = json.loads(file.read_text("utf-8"))
        kind = config["_class_name"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{file} is damaged; expected JSON that names a class") from None
    if kind not in kinds:
        raise ValueError(f"{file} is of a {kind}; expected a {' or '.join(kinds)}")
    return config


def check_unet2d(network: Path, config: dict[str, Any]) -> None:
    """Raise ValueError for a UNet2DModel that needs more than an image and a step."""
    if config.get("num_class_embeds") is not None or config.get("class_embed_type") is not None:
        raise ValueError(f"{network} is a network of classes; expected one without")
    if config.get("time_embedding_type", "positional") != "positional":
        raise ValueError(
            f"time_embedding_type of {network} is {config['time_embedding_type']!r}; expected 'positional'"
        )
    channels, out = config.get("in_channels", 3), config.get("out_channels", 3)
    if out not in (channels, 2 * channels):
        raise ValueError(
            f"out_channels of {network} is {out}; expected {channels}, as in_channels, or twice that"
        )


def sides_of(config: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of the images that a network was trained on, if its configuration says it."""
    size = config.get("sample_size")
    if not isinstance(size, list | tuple):
        return None if size is None else (size, size)
    height, width = size
    return height, width


@lru_cache(maxsize=4)
def load_once(folder: Path, modified: int, device: torch.device) -> Weights:
    """The network of a folder on a device, read once for as long as it is not modified."""
    config, settings = read_configs(folder)
    network, _ = parts_of(folder)
    kind = UnshuffledUNet if config["_class_name"] == "UnshuffledUNet" else diffusers.UNet2DModel
    try:
        schedule = schedule_of(settings)
        with memory_errors(), one_thread():
            model, found = kind.from_pretrained(
                str(network),
                variant=find_variant([network]),
                use_safetensors=True,
                local_files_only=True,
                # (Without accelerate, diffusers would say so each time.)
                low_cpu_mem_usage=is_installed("accelerate"),
                output_loading_info=True,
            )
    except MemoryError:
        raise
    except Exception as error:  # diffusers raises anything if a file is not as it expects
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(f"{folder} cannot be opened: {reason}") from error
    # It would give random weights to layers that the file lacks.
    if amiss := [name for names in found.values() for name in names]:
        raise ValueError(f"{network} is damaged: its weights do not fit its config: {amiss[0]}")
    model.float().eval().requires_grad_(False)
    if kind is UnshuffledUNet:
        net, sigma_range = model.net, tuple(model.config.sigma_range)
    else:
        net = NoiseUNet(model, settings.get("prediction_type", "epsilon"), schedule)
        sigma_range = tuple(float(schedule.sigma_tilde(t)) / 2 for t in (1, schedule.T))
    with one_thread():
        net.to(device, memory_format=torch.channels_last)
    return Weights(net, schedule, cast(tuple[float, float], sigma_range), checksum(network))


def schedule_of(settings: dict[str, Any]) -> NoiseSchedule:
    """The noise schedule of the configuration of a scheduler."""
    scheduler = getattr(diffusers, settings["_class_name"]).from_config(settings)
    betas = scheduler.betas.double().numpy()
    # x_T/√ᾱ_T would be infinite if x_T was noise alone; Nichol & Dhariwal have the same limit.
    return NoiseSchedule("explicit", betas=tuple(np.where(betas == 1, 0.999, betas)))


def checksum(network: Path) -> str:
    """SHA-256 of the safetensors of a folder, in the order of their names, in hexadecimal."""
    state = hashlib.sha256()
    for file in sorted(network.glob("*.safetensors")):
        with file.open("rb") as stream:
            while part := stream.read(2**24):
                state.update(part)
    return state.hexdigest()


# --- ours in diffusers ----------------------------------------------------------------------


def as_unet2d(
    weights: str | PathLike | DDPM, *, size: int | tuple[int, int] = 64
) -> UnshuffledUNet:
    """A network of this package with the call of UNet2DModel.

    Parameters
    ----------
    weights : str, Path or DDPM
        A name in `difffilter.ddpm.available`, a file, or a `DDPM` whose `weights` are set; for white
        noise.
    size : int or tuple of int, default 64
        Side, or height and width, of the images that a pipeline generates, in pixels; multiples of
        ``net.config.multiple``, 16 for the weights of this package.

    Returns
    -------
    UnshuffledUNet
        On the CPU, float32. ``forward(sample, timestep).sample``, ``config.sample_size``,
        ``config.in_channels``, ``dtype`` and ``device`` are as in UNet2DModel.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If `weights` is of another type or a `DDPM` without any, they are for real noise or of a
        `BiasFreeUNet`, or `size` is out of range.

    Notes
    -----
    The network is not converted to a UNet2DModel, since none computes the same: ours has a pixel-unshuffle
    in front, adds its skips rather than concatenating them, and halves by 2×2 convolutions.

    Examples
    --------
    >>> import diffusers
    >>> pipeline = diffusers.DDPMPipeline(as_unet2d("natural-gray"), as_scheduler("natural-gray"))
    >>> pipeline.set_progress_bar_config(disable=True)
    >>> pipeline(num_inference_steps=2, output_type="np").images.shape
    (1, 64, 64, 1)
    """
    trained = trained_of(weights)
    net = trained.net
    if not isinstance(net, UNet):
        raise ValueError(
            f"weights is {str(weights)!r}, of a {type(net).__name__}; expected those of a UNet, which "
            "takes steps as the networks of diffusers do"
        )
    multiple = net.config.multiple
    for side in size if isinstance(size, tuple | list) else (size,):
        if check_whole("size", side, least=1) % multiple:
            raise ValueError(f"size is {size}; expected a multiple of {multiple}")
    return UnshuffledUNet.of(net, trained.sigma_range, size)


def as_scheduler(weights: str | PathLike | DDPM) -> Any:
    """The DDPMScheduler of diffusers for weights of this package.

    Parameters
    ----------
    weights : str, Path or DDPM
        As for `as_unet2d`.

    Returns
    -------
    diffusers.DDPMScheduler
        With steps as `difffilter.ddpm.generate` takes them with ``eta=1``: from T to 0, evenly spaced if
        their number divides T, each estimate clipped. That of ``eta=0`` is
        ``DDIMScheduler.from_config(scheduler.config)``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As `as_unet2d`.

    Examples
    --------
    >>> as_scheduler("natural-gray").config.beta_schedule
    'linear'
    """
    schedule = trained_of(weights).schedule
    betas: dict[str, dict[str, Any]] = {
        "linear": {"beta_start": schedule.beta_min, "beta_end": schedule.beta_max},
        "cosine": {"beta_schedule": "squaredcos_cap_v2"},
        "explicit": {"trained_betas": list(schedule.betas or ())},
    }
    return diffusers.DDPMScheduler(
        num_train_timesteps=schedule.T, timestep_spacing="trailing", **betas[schedule.kind]
    )


def save_diffusers(
    weights: str | PathLike | DDPM,
    folder: str | PathLike,
    *,
    size: int | tuple[int, int] = 64,
) -> None:
    """Write weights of this package as a folder from which DDPMPipeline generates.

    Parameters
    ----------
    weights : str, Path or DDPM
        As for `as_unet2d`.
    folder : str or Path
        A new or an empty folder.
    size : int or tuple of int, default 64
        As for `as_unet2d`.

    Raises
    ------
    FileNotFoundError, TypeError
        As `as_unet2d`.
    OSError
        If the folder cannot be written.
    ValueError
        As `as_unet2d`, or if the folder is not empty.

    Notes
    -----
    The folder holds no code. Its network is an `UnshuffledUNet` (see `as_unet2d` for why it is no
    UNet2DModel), a class of this package: diffusers finds it if ``difffilter.integrations.diffusers`` has
    been imported before, and needs no ``trust_remote_code``; it logs that it expected a UNet2DModel. On a
    machine without difffilter the folder cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> import diffusers
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_diffusers("natural-color", folder)
    ...     pipeline = diffusers.DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False)
    >>> pipeline.unet.config.in_channels
    3
    """
    target = Path(folder)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise ValueError(f"folder is {str(folder)!r}, which is not empty; expected a new folder")
    pipeline = diffusers.DDPMPipeline(as_unet2d(weights, size=size), as_scheduler(weights))
    pipeline.save_pretrained(target)


def trained_of(weights: str | PathLike | DDPM) -> Weights:
    """Weights for white noise by their name or file, or those of a DDPM, on the CPU."""
    name = weights.weights if isinstance(weights, DDPM) else weights
    if not isinstance(name, str | PathLike):
        raise TypeError(
            f"weights is {weights!r}; expected a name such as 'natural-gray', a file, or a DDPM with either"
        )
    trained = load(name, "cpu")
    check_reversible(trained, name)
    return trained
