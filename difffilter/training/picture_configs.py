"""Settings of training runs for text to image."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar, cast

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate.autoencoder import Autoencoder, AutoencoderConfig
from difffilter.generate.clip import CLIP, CLIPConfig
from difffilter.generate.judge import Judge, JudgeConfig
from difffilter.generate.text import TextConfig
from difffilter.generate.text_to_image import TextToImage, TextToImageConfig
from difffilter.generate.tokens import Tokeniser
from difffilter.generate.upsampler import Upsampler, UpsamplerConfig
from difffilter.training.config import RunConfig

__all__ = [
    "AutoencoderTraining",
    "CLIPTraining",
    "JudgeTraining",
    "PictureTraining",
    "TextToImageTraining",
    "UpsamplerTraining",
    "with_vocabulary",
]

SUBJECTS = ("scenes", "groups")


@dataclass(frozen=True)
class PictureTraining(RunConfig):
    """The settings of every run on pictures with captions.

    Parameters
    ----------
    scenes : float, default 0
        The share of scenes that are drawn among the pictures; the others are those of the folder.
    steps : int, default 10 000
        Length of the run; the learning rate falls to 0 along a cosine that ends here.
    batch : int, default 32
        Pictures per step, over all processes.
    learning_rate : float, default 3e-3
        Peak learning rate, reached after `warmup` steps: of Muon for the weights that are matrices,
        and of AdamW for the others.
    warmup : int, default 200
        Steps of linear warm-up.
    ema : float, default 0.998
        Decay of the moving average of the weights, which is what is kept in the end.
    clip : float, default 1.0
        Largest norm of the gradient; a longer one is scaled down to it.
    validation : int, default 64
        Pictures of the folder that are set aside, evenly spaced; at most half. If there is none, a
        run is validated on scenes alone, or not at all without them.
    validate_every : int, default 500
        Steps between two validations.
    precision : {"auto", "bfloat16", "float32"}, default "auto"
        As in `TrainingConfig`.
    seed : int, default 0
        Seed of the initial weights and of all draws.
    """

    method: ClassVar[str] = "generate"

    scenes: float = 0.0
    steps: int = 10_000
    batch: int = 32
    learning_rate: float = 3e-3
    warmup: int = 200
    ema: float = 0.998
    clip: float = 1.0
    validation: int = 64
    validate_every: int = 500
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("validation", self.validation, least=0)
        check_number("scenes", self.scenes, least=0, most=1)


@dataclass(frozen=True)
class AutoencoderTraining(PictureTraining):
    """Settings of a training run of an autoencoder.

    Parameters
    ----------
    net : AutoencoderConfig
        The network.
    divergence : float, default 1e-5
        Weight of the Kullback–Leibler divergence of a latent, in nats, beside the mean square error
        of a pixel in [−1, 1].
    relative : float, default 0.003
        Weight of the square error over the variance around a pixel, beside the same; 0: faint textures
        count little beside edges.
    frozen : bool, default False
        Train the decoder alone: latents, and networks trained on them, stay as they are.

    Other parameters are those of `PictureTraining`.

    Examples
    --------
    >>> AutoencoderTraining().net.factor
    8
    """

    kind: ClassVar[str] = "autoencoder"

    net: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    divergence: float = 1e-5
    relative: float = 0.003
    frozen: bool = False

    def network(self) -> Autoencoder:
        net = Autoencoder(self.net)
        net.encoder.requires_grad_(not self.frozen)
        return net

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AutoencoderTraining:
        """The inverse of `dataclasses.asdict`."""
        return cls(**values | {"net": AutoencoderConfig(**values["net"])})


@dataclass(frozen=True)
class CLIPTraining(PictureTraining):
    """Settings of a training run of a CLIP.

    Parameters
    ----------
    net : CLIPConfig
        The network; a run takes the size of its vocabulary and the length of its texts from
        `tokeniser`.
    twins : float, default 0
        How often, instead of a picture, two scenes are drawn which differ in one word of their captions
        (Yuksekgonul et al., 2023): from 0 to 1. Any word tells most pictures apart, and only such pairs
        make all of them count.
    tokeniser : str, default ""
        The vocabulary, as JSON (`Tokeniser.to_json`); empty: made from the captions, with as many
        tokens as `net` says at most; with `resume`, that of the run.

    Other parameters are those of `PictureTraining`.

    Examples
    --------
    >>> CLIPTraining().net.dimension
    128
    """

    kind: ClassVar[str] = "clip"

    net: CLIPConfig = field(default_factory=CLIPConfig)
    twins: float = 0.0
    tokeniser: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("twins", self.twins, least=0, most=1)

    def network(self) -> CLIP:
        return CLIP(self.net)

    def completed(self, saved: RunConfig) -> CLIPTraining:
        return completed(self, cast(CLIPTraining, saved))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> CLIPTraining:
        """The inverse of `dataclasses.asdict`."""
        net = values["net"]
        return cls(**values | {"net": CLIPConfig(**net | {"text": TextConfig(**net["text"])})})


@dataclass(frozen=True)
class TextToImageTraining(PictureTraining):
    """Settings of a training run of text to image.

    Parameters
    ----------
    net : TextToImageConfig
        The network, whose channels are those of the pictures or of their latents; a run takes the
        size of its vocabulary and the length of its texts from `tokeniser`.
    schedule : NoiseSchedule
        The noise schedule.
    autoencoder : str, optional
        Weights of the autoencoder whose latents are trained on, a name or a file; ``None``: pixels.
    dropped : float, default 0.1
        The share of captions that are left empty, for guidance.
    coloured : bool, default False
        Give some captions of the folder an article and the main colour of their picture, "frog" becoming
        "a green frog": for captions that are labels rather than sentences.
    median : float, optional
        Half of the steps of the diffusion that are trained on lie below this share of T; their log-odds
        are normal, with a standard deviation of 1 (Esser et al., 2024). ``None``: uniform.
    pool : int, default 24 000
        Scenes that are drawn and encoded before the first step, if there is an autoencoder.
    tokeniser : str, default ""
        As in `CLIPTraining`.
    embeddings : str, optional
        Weights of the CLIP whose embeddings of the pictures are given beside the captions, a name or a
        file; needs an autoencoder, and ``net.image``. ``None``: none are.
    embeddings_dropped : float, default 0.1
        The share of embeddings that are left out, for guidance.

    Other parameters are those of `PictureTraining`.

    Raises
    ------
    ValueError
        If a number is out of range, or `embeddings` needs what is not there.

    Examples
    --------
    >>> TextToImageTraining().schedule.T
    1000
    """

    kind: ClassVar[str] = "text-to-image"

    net: TextToImageConfig = field(default_factory=TextToImageConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    autoencoder: str | None = None
    dropped: float = 0.1
    coloured: bool = False
    median: float | None = None
    pool: int = 24_000
    tokeniser: str = ""
    embeddings: str | None = None
    embeddings_dropped: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("pool", self.pool, least=1)
        check_number("dropped", self.dropped, least=0, most=1)
        check_number("embeddings_dropped", self.embeddings_dropped, least=0, most=1)
        if self.median is not None:
            check_number("median", self.median, above=0, most=0.99)
        if self.embeddings is not None and self.autoencoder is None:
            raise ValueError("autoencoder is None; expected weights, as embeddings is not None")
        if (self.embeddings is None) != (self.net.image == 0):
            raise ValueError(
                f"embeddings is {self.embeddings!r}; expected "
                f"{'weights' if self.net.image else None}, as net.image is {self.net.image}"
            )

    def network(self) -> TextToImage:
        return TextToImage(self.net)

    def completed(self, saved: RunConfig) -> TextToImageTraining:
        return completed(self, cast(TextToImageTraining, saved))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TextToImageTraining:
        """The inverse of `dataclasses.asdict`."""
        net = values["net"]
        nested = {"unet": UNetConfig(**net["unet"]), "text": TextConfig(**net["text"])}
        return cls(
            **values
            | {
                "net": TextToImageConfig(**net | nested),
                "schedule": NoiseSchedule(**values["schedule"]),
            }
        )


@dataclass(frozen=True)
class UpsamplerTraining(PictureTraining):
    """Settings of a training run of an upsampler.

    Parameters
    ----------
    net : UpsamplerConfig
        The network.
    schedule : NoiseSchedule
        The noise schedule.
    size, crop : int, default 256 and 128
        Sides of a large picture, and of what a step sees of it.
    autoencoder : str or None, default "autoencoder"
        Weights of the autoencoder that half of the small pictures go through, a name or a file;
        ``None``: none do.

    Other parameters are those of `PictureTraining`.

    Raises
    ------
    ValueError
        If `size` or `crop` does not fit the network.

    Examples
    --------
    >>> UpsamplerTraining().net.factor
    4
    """

    kind: ClassVar[str] = "upsampler"

    net: UpsamplerConfig = field(default_factory=UpsamplerConfig)
    schedule: NoiseSchedule = field(default_factory=NoiseSchedule)
    size: int = 256
    crop: int = 128
    autoencoder: str | None = "autoencoder"

    def __post_init__(self) -> None:
        super().__post_init__()
        multiple = math.lcm(self.net.unet.multiple, self.net.factor)
        for name in ("size", "crop"):
            check_whole(name, getattr(self, name), least=1)
            if getattr(self, name) % multiple:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; expected a multiple of {multiple}"
                )
        if self.crop > self.size:
            raise ValueError(f"crop is {self.crop}; expected at most size={self.size}")

    def network(self) -> Upsampler:
        return Upsampler(self.net)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> UpsamplerTraining:
        """The inverse of `dataclasses.asdict`."""
        unet = UNetConfig(**values["net"]["unet"])
        net = UpsamplerConfig(**values["net"] | {"unet": unet})
        return cls(**values | {"net": net, "schedule": NoiseSchedule(**values["schedule"])})


@dataclass(frozen=True)
class JudgeTraining(PictureTraining):
    """Settings of a training run of a judge.

    Parameters
    ----------
    net : JudgeConfig
        The network; a run takes its questions and channels from the subject.
    subject : {"scenes", "groups"}, default "scenes"
        ``"scenes"``: the colour, shape, size and background of a cell of a scene; ``"groups"``: the
        group of a picture of the folder.

    Other parameters are those of `PictureTraining`, of which `scenes` has no effect.
    """

    kind: ClassVar[str] = "judge"

    net: JudgeConfig = field(default_factory=lambda: JudgeConfig((("no", "yes"),)))
    subject: str = "scenes"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("subject", self.subject, SUBJECTS)

    def network(self) -> Judge:
        return Judge(self.net)

    def completed(self, saved: RunConfig) -> JudgeTraining:
        asked = cast(JudgeTraining, saved).net
        net = replace(self.net, questions=asked.questions, channels=asked.channels)
        return replace(self, net=net)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> JudgeTraining:
        """The inverse of `dataclasses.asdict`."""
        return cls(**values | {"net": JudgeConfig(**values["net"])})


Worded = TypeVar("Worded", CLIPTraining, TextToImageTraining)


def with_vocabulary(config: Worded, tokeniser: str) -> Worded:
    """The settings with a vocabulary, as JSON, and a network of its size."""
    words = Tokeniser.from_json(tokeniser)
    text = replace(config.net.text, vocabulary=len(words.vocabulary), length=words.length)
    return replace(config, net=replace(config.net, text=text), tokeniser=tokeniser)


def completed(config: Worded, saved: Worded) -> Worded:
    """The settings with a vocabulary: their own, or else that of a run."""
    if config.tokeniser:
        return with_vocabulary(config, config.tokeniser)
    size = min(config.net.text.vocabulary, saved.net.text.vocabulary)
    net = replace(config.net, text=replace(config.net.text, vocabulary=size))
    return replace(config, net=net, tokeniser=saved.tokeniser)
