"""Settings of training runs on photographs."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm.bias_free import BiasFreeConfig
from difffilter.ddpm.networks import Network, NetworkConfig, network, network_config
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.training.config import RunConfig
from difffilter.training.convex_network import BANKS, BankConfig, ConvexDiffusion
from difffilter.training.learned_network import PLAN, LearnedDiffusion, StepConfig

__all__ = ["ConvexConfig", "DiffusionConfig", "LearnedConfig", "PhotoConfig", "TrainingConfig"]

NOISES = ("gaussian", "real")


class PhotoConfig(RunConfig):
    """The settings of every run on noisy crops of photographs."""

    crop: int
    sigma_range: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        # A config read from JSON has a list.
        object.__setattr__(self, "sigma_range", tuple(self.sigma_range))
        check_whole("crop", self.crop, least=1)

    @property
    @abstractmethod
    def channels(self) -> int:
        """1 for grey, 3 for colour."""

    def crops(self, step: int) -> tuple[int, range]:
        """The side of the crops of a step, and their positions in the order of the run."""
        return self.crop, range(step * self.batch, (step + 1) * self.batch)


@dataclass(frozen=True)
class TrainingConfig(PhotoConfig):
    """Settings of a training run of a DDPM.

    Parameters
    ----------
    unet : UNetConfig or BiasFreeConfig
        The network.
    schedule : NoiseSchedule
        The noise schedule.
    steps : int, default 12 000
        Length of the run; the learning rate falls to 0 along a cosine that ends here.
    batch, crop : int, default 8 and 96
        Crops per step, over all processes, and their side in pixels.
    growth : tuple of float, default (1.0,)
        Sides of the crops in units of `crop`, one for each of equal parts of the run. Larger crops
        come in smaller batches, so that every step takes about the same time.
    learning_rate : float, default 3e-3
        Peak learning rate, reached after `warmup` steps: of Muon for the weights that are matrices,
        and of AdamW for the others.
    warmup : int, default 200
        Steps of linear warm-up.
    ema : float, default 0.998
        Decay of the moving average of the weights, which is what is kept in the end.
    clip : float, default 1.0
        Largest norm of the gradient; a longer one is scaled down to it.
    sigma, spread : float, default 28/255 and 0.8
        log σ of the noise is normal with mean log `sigma` and standard deviation `spread`; σ is in
        units of an image in [0, 1].
    sigma_range : tuple of float, default (2/255, 120/255)
        Range to which σ is clipped.
    noise : {"gaussian", "real"}, default "gaussian"
        ``"gaussian"``: white noise whose strength is an input of the network. ``"real"``: noise of
        many kinds (`difffilter.training.noises`), with `sigma` as that input whatever the noise.
    drawings : float, default 0.0
        Fraction of the crops that are drawn instead, from `difffilter.training.drawings`: patterns, shapes
        and letters, of which photographs teach too little.
    maps : float, default 0.0
        Fraction of the crops in which the strength of the noise varies, with intensity or with
        position; for a `BiasFreeConfig` and ``noise="gaussian"``.
    uniform : float, default 0.1
        Fraction of the other draws whose t is uniform in 1 ... T instead, so that the network knows the
        whole way from noise and can generate images.
    validation : int, default 24
        Number of images set aside for validation, evenly spaced in the sorted list of files.
    validate_every : int, default 500
        Steps between two validations.
    precision : {"auto", "bfloat16", "float32"}, default "auto"
        Precision of the forward pass; weights and loss are float32 in any case. ``"auto"`` is
        bfloat16 on CUDA and on processors that multiply in it (AVX512-BF16), where a step takes
        little more than half the time, else float32.
    seed : int, default 0
        Seed of the initial weights and of all draws.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range, a crop is not a multiple of what the network needs, or there are
        `maps` for a network that takes none.

    Examples
    --------
    >>> TrainingConfig(crop=64).batch
    8
    """

    method: ClassVar[str] = "ddpm"
    kind: ClassVar[str] = "ddpm"

    unet: NetworkConfig = field(default_factory=UNetConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    steps: int = 12_000
    batch: int = 8
    crop: int = 96
    growth: tuple[float, ...] = (1.0,)
    learning_rate: float = 3e-3
    warmup: int = 200
    ema: float = 0.998
    clip: float = 1.0
    sigma: float = 28 / 255
    spread: float = 0.8
    sigma_range: tuple[float, float] = (2 / 255, 120 / 255)
    noise: str = "gaussian"
    drawings: float = 0.0
    maps: float = 0.0
    uniform: float = 0.1
    validation: int = 24
    validate_every: int = 500
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "growth", tuple(self.growth))
        check_choice("noise", self.noise, NOISES)
        if not self.growth or list(self.growth) != sorted(self.growth) or self.growth[0] < 1:
            raise ValueError(f"growth is {self.growth}; expected numbers ≥ 1 in ascending order")
        for factor in self.growth:
            if factor * self.crop % self.unet.multiple:
                times = "" if factor == 1 else f" × {factor:g}"
                raise ValueError(
                    f"crop is {self.crop}{times}; expected a multiple of {self.unet.multiple}"
                )
        for name in ("drawings", "maps"):
            check_number(name, getattr(self, name), least=0, most=1)
        if self.maps and not isinstance(self.unet, BiasFreeConfig):
            raise ValueError(f"maps is {self.maps}; expected 0 for a network that takes no map")
        if self.maps and self.noise == "real":
            raise ValueError(
                f"maps is {self.maps}; expected 0 for noise='real', of unknown strength"
            )

    @property
    def channels(self) -> int:
        return self.unet.channels

    def network(self) -> Network:
        return network(self.unet, self.schedule)

    @property
    def batches(self) -> set[int]:
        return set(self._batches)

    @property
    def _batches(self) -> list[int]:
        """The size of the batches in each part of the run."""
        return [max(1, round(self.batch / factor**2)) for factor in self.growth]

    def crops(self, step: int) -> tuple[int, range]:
        length = math.ceil(self.steps / len(self.growth))
        part, before = divmod(step, length)
        batch = self._batches[part]
        first = length * sum(self._batches[:part]) + before * batch
        return round(self.growth[part] * self.crop), range(first, first + batch)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The inverse of `dataclasses.asdict`."""
        nested = {
            "unet": network_config(values["unet"]),
            "schedule": NoiseSchedule(**values["schedule"]),
        }
        return cls(**{**values, **nested})


class DiffusionConfig(PhotoConfig):
    """The settings that every run of a learned diffusion has."""

    method: ClassVar[str] = "learned"
    # Decay would draw each κ, and each first knot, to the norm of its filter.
    adam_decay: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}; expected 1 or 3")
        low, high = self.sigma_range
        if not 0 < low <= high:
            raise ValueError(f"sigma_range is {self.sigma_range}; expected 0 < low ≤ high")


@dataclass(frozen=True)
class LearnedConfig(DiffusionConfig):
    """Settings of a training run of a deep learned diffusion.

    Parameters
    ----------
    channels : {1, 3}, default 1
        1 for grey, 3 for colour.
    plan : tuple of StepConfig, optional
        The steps of the diffusion; the default has eight.
    steps : int, default 14 000
        Length of the run; the learning rate falls to 0 along a cosine that ends here.
    batch, crop : int, default 12 and 64
        Crops per training step, over all processes, and their side in pixels.
    learning_rate : float, default 6e-3
        Peak learning rate, reached after `warmup` steps: of Muon for the weights that are matrices;
        of AdamW for the others, at most 3e-3.
    warmup : int, default 200
        Steps of linear warm-up.
    ema : float, default 0.997
        Decay of the moving average of the weights, which is what is kept in the end.
    clip : float, default 1.0
        Largest norm of the gradient; a longer one is scaled down to it.
    sigma_range : tuple of float, default (3/255, 60/255)
        Range of the σ of the noise, which is log-uniform, in units of an image in [0, 1].
    intermediate : float, default 0.1
        Weight of the mean error of the images before the last, which makes each a denoised one.
    validation : int, default 12
        Number of images set aside for validation, evenly spaced in the sorted list of files.
    validate_every : int, default 500
        Training steps between two validations.
    precision : {"auto", "bfloat16", "float32"}, default "auto"
        As in `TrainingConfig`.
    seed : int, default 0
        Seed of the initial weights and of all draws.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> len(LearnedConfig(channels=3).plan)
    8
    """

    kind: ClassVar[str] = "learned"
    adam_most: ClassVar[float] = 3e-3

    channels: int = 1
    plan: tuple[StepConfig, ...] = field(default_factory=lambda: PLAN)
    steps: int = 14_000
    batch: int = 12
    crop: int = 64
    learning_rate: float = 6e-3
    warmup: int = 200
    ema: float = 0.997
    clip: float = 1.0
    sigma_range: tuple[float, float] = (3 / 255, 60 / 255)
    intermediate: float = 0.1
    validation: int = 12
    validate_every: int = 500
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "plan", tuple(self.plan))
        if not self.plan:
            raise ValueError("plan is empty; expected at least one step")
        check_number("intermediate", self.intermediate, least=0)

    def network(self) -> LearnedDiffusion:
        return LearnedDiffusion(self.channels, self.plan)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LearnedConfig:
        """The inverse of `dataclasses.asdict`."""
        return cls(**values | {"plan": tuple(StepConfig(**step) for step in values["plan"])})


@dataclass(frozen=True)
class ConvexConfig(DiffusionConfig):
    """Settings of a training run of a convex learned diffusion.

    Parameters
    ----------
    channels : {1, 3}, default 1
        1 for grey, 3 for colour.
    banks : tuple of BankConfig, optional
        The filters; the default has three banks, of 3, 6 and 12 pixels.
    knots : int, default 4
        Number of knots of each influence function.
    steps : int, default 3000
        Length of the run; the learning rates fall to 0 along a cosine that ends here.
    batch, crop : int, default 8 and 48
        Crops per training step, over all processes, and their side in pixels.
    learning_rate, adam_rate : float, default 3e-2 and 7e-2
        Peak learning rates, reached after `warmup` steps: of Muon for the filters, and of AdamW for
        the knots and slopes.
    warmup : int, default 50
        Steps of linear warm-up.
    ema : float, default 0.99
        Decay of the moving average of the weights, which is what is kept in the end.
    clip : float, default 1.0
        Largest norm of the gradient; a longer one is scaled down to it.
    sigma_range : tuple of float, default (3/255, 60/255)
        Range of the σ of the noise, which is log-uniform, in units of an image in [0, 1].
    validation : int, default 12
        Number of images set aside for validation, evenly spaced in the sorted list of files.
    validate_every : int, default 500
        Training steps between two validations.
    precision : {"float32"}, default "float32"
        bfloat16 rounds images by more than the minimum may be off.
    seed : int, default 0
        Seed of the initial weights and of all draws.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> len(ConvexConfig(channels=3).banks)
    3
    """

    kind: ClassVar[str] = "convex"

    channels: int = 1
    banks: tuple[BankConfig, ...] = field(default_factory=lambda: BANKS)
    knots: int = 4
    steps: int = 3_000
    batch: int = 8
    crop: int = 48
    learning_rate: float = 3e-2
    adam_rate: float = 7e-2
    warmup: int = 50
    ema: float = 0.99
    clip: float = 1.0
    sigma_range: tuple[float, float] = (3 / 255, 60 / 255)
    validation: int = 12
    validate_every: int = 500
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "banks", tuple(self.banks))
        if not self.banks:
            raise ValueError("banks is empty; expected at least one bank")
        check_whole("knots", self.knots, least=1)
        check_number("adam_rate", self.adam_rate, above=0)
        check_choice("precision", self.precision, ("float32",))

    def network(self) -> ConvexDiffusion:
        return ConvexDiffusion(self.channels, self.banks, self.knots)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ConvexConfig:
        """The inverse of `dataclasses.asdict`."""
        return cls(**values | {"banks": tuple(BankConfig(**bank) for bank in values["banks"])})
