"""Settings of a training run of a DDPM on sounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.sound.network import SpectrogramNet
from difffilter.training.config import RunConfig

__all__ = ["SoundTraining"]

NETWORK = UNetConfig(
    channels=1, shuffle=2, widths=(32, 48, 64, 96), blocks=2, middle=2, attention=(), embedding=64
)


@dataclass(frozen=True)
class SoundTraining(RunConfig):
    """Settings of a training run of a DDPM on spectrograms of sounds.

    Parameters
    ----------
    unet : UNetConfig
        The network.
    schedule : NoiseSchedule
        The noise schedule.
    steps : int, default 4000
        Length of the run; the learning rate falls to 0 along a cosine that ends here.
    batch : int, default 8
        Crops per step, over all processes.
    crop : int, default 96
        Frames of a crop, of 10 ms each.
    band : int, default 192
        Frequencies of a crop, of 25 Hz each.
    snr : tuple of float, default (-8, 30)
        Lowest and highest ratio of sound to noise in dB, drawn evenly.
    babble : float, default 0.2
        Share of crops whose noise is a murmur of other sounds rather than Gaussian.
    learning_rate : float, default 3e-3
        Peak learning rate, reached after `warmup` steps.
    warmup : int, default 100
        Steps of linear warm-up.
    ema : float, default 0.998
        Decay of the moving average of the weights, which is what is kept in the end.
    clip : float, default 1.0
        Largest norm of the gradient.
    validation, validate_every : int, default 8 and 500
        Number of sounds set aside from the folder for validation, and steps between validations.
    precision : {"auto", "bfloat16", "float32"}, default "auto"
        Number format of the forward pass; auto is bfloat16 where the hardware multiplies it.
    seed : int, default 0
        Seed of the weights, the crops and the noise.

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    method: ClassVar[str] = "sound"
    kind: ClassVar[str] = "sound"

    unet: UNetConfig = NETWORK
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    steps: int = 4000
    batch: int = 8
    crop: int = 96
    band: int = 192
    snr: tuple[float, float] = (-8.0, 30.0)
    babble: float = 0.2
    learning_rate: float = 3e-3
    warmup: int = 100
    ema: float = 0.998
    clip: float = 1.0
    validation: int = 8
    validate_every: int = 500
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        # A config read from JSON has a list.
        object.__setattr__(self, "snr", tuple(self.snr))
        for name in ("crop", "band"):
            if check_whole(name, getattr(self, name), least=1) % self.unet.multiple:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; expected a multiple of {self.unet.multiple}"
                )
        check_number("babble", self.babble, least=0, most=1)

    def network(self) -> SpectrogramNet:
        return SpectrogramNet(UNet(self.unet), self.schedule)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SoundTraining:
        """The inverse of `dataclasses.asdict`."""
        nested = {
            "unet": UNetConfig(**values["unet"]),
            "schedule": NoiseSchedule(**values["schedule"]),
        }
        return cls(**values | nested)
