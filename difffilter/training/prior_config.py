"""Settings of training runs of the prior of unCLIP."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate.prior import Prior, PriorConfig
from difffilter.generate.text import TextConfig
from difffilter.training.config import RunConfig
from difffilter.training.picture_configs import PictureTraining

__all__ = ["PriorTraining"]


@dataclass(frozen=True)
class PriorTraining(PictureTraining):
    """Settings of a training run of the prior of unCLIP.

    Parameters
    ----------
    net : PriorConfig
        The network; a run takes its vocabulary and the size of its embeddings from the CLIP.
    schedule : NoiseSchedule
        The noise schedule.
    embeddings : str, default "clip"
        Weights of the CLIP, a name or a file.
    dropped : float, default 0.1
        The share of captions that are left empty, for guidance.
    pool : int, default 24 000
        Scenes that are drawn and embedded before the first step.

    Other parameters are those of `PictureTraining`.

    Examples
    --------
    >>> PriorTraining().net.dimension
    128
    """

    kind: ClassVar[str] = "prior"

    net: PriorConfig = field(default_factory=PriorConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    embeddings: str = "clip"
    dropped: float = 0.1
    pool: int = 24_000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("pool", self.pool, least=1)
        check_number("dropped", self.dropped, least=0, most=1)

    def network(self) -> Prior:
        return Prior(self.net)

    def completed(self, saved: RunConfig) -> PriorTraining:
        theirs = cast(PriorTraining, saved).net
        text = replace(self.net.text, vocabulary=theirs.text.vocabulary, length=theirs.text.length)
        return replace(self, net=replace(self.net, text=text, dimension=theirs.dimension))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PriorTraining:
        """The inverse of `dataclasses.asdict`."""
        net = PriorConfig(**values["net"] | {"text": TextConfig(**values["net"]["text"])})
        return cls(**values | {"net": net, "schedule": NoiseSchedule(**values["schedule"])})
