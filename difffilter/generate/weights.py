"""Weight files of text to image, each beside a model card.

PyTorch is imported only to load a network, so that the weights can be listed without it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate.tokens import Tokeniser
from difffilter.io.weights import Collection

if TYPE_CHECKING:
    from torch import nn

__all__ = ["KINDS", "Model", "available", "card", "find", "load", "load_once", "save"]

COLLECTION = Collection(Path(__file__).with_name("weights"), "difffilter-generate-1")
available, card = COLLECTION.available, COLLECTION.card

# unCLIP is a prior and a decoder; its name stands for the latter, which takes the former along.
ALIASES = {"unclip": "decoder"}

KINDS = ("autoencoder", "clip", "text-to-image", "prior", "upsampler", "judge")

# Kinds whose matrices are stored in eight bits: the rounding moves a picture by −49 dB, whereas the
# reconstructions of an autoencoder would lose 0.05 dB.
ROUNDED = ("text-to-image",)

# Whole numbers go up to this, for the largest value of a row, which is stored under the name of its
# matrix with a suffix.
WHOLE = np.float32(127)
LARGEST = ":largest"


@dataclass(frozen=True)
class Model:
    """A trained network and what is needed to use it.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    net : torch.nn.Module
        The network, in evaluation mode, float32, without gradients.
    tokeniser : Tokeniser or None, default None
        For networks that read texts.
    schedule : NoiseSchedule or None, default None
        For networks that predict noise.
    autoencoder : str or None, default None
        Of networks that work on latents, the name of their autoencoder's weights, or its file.
    latents : str or None, default None
        Checksum of that autoencoder: another one gives latents another meaning.
    sha256 : str, default ""
        Checksum of the content, in hexadecimal.
    clip, embeddings : str or None, default None
        Of networks that work on embeddings of images, the weights of their CLIP, and their checksum.
    """

    kind: str
    net: nn.Module
    tokeniser: Tokeniser | None = None
    schedule: NoiseSchedule | None = None
    autoencoder: str | None = None
    latents: str | None = None
    sha256: str = ""
    clip: str | None = None
    embeddings: str | None = None


def find(name_or_path: str | PathLike) -> Path:
    """The file of weights, by a name in `available`, "unclip" or its path."""
    return COLLECTION.find(ALIASES.get(str(name_or_path), name_or_path))


def save(path: str | PathLike, model: Model) -> None:
    """Write a network as a weight file, whole or not at all.

    In half precision, the matrices of text to image in eight bits, of which 127 stands for the largest
    value of a row.

    Parameters
    ----------
    path : str or Path
    model : Model

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    settings = {
        "kind": model.kind,
        "network": asdict(cast(Any, model.net.config)),
        "tokeniser": None if model.tokeniser is None else model.tokeniser.to_json(),
        "schedule": None if model.schedule is None else asdict(model.schedule),
        "autoencoder": model.autoencoder,
        "latents": model.latents,
    }
    if model.clip is not None:
        settings |= {"clip": model.clip, "embeddings": model.embeddings}
    arrays: dict[str, NDArray] = {}
    for name, value in model.net.state_dict().items():
        array = value.cpu().numpy()
        if model.kind in ROUNDED and array.ndim > 1:
            arrays[name], arrays[name + LARGEST] = rounded(array)
        else:
            arrays[name] = np.asarray(array, np.float16, order="C")
    COLLECTION.save(path, arrays, settings)


def rounded(matrix: NDArray) -> tuple[NDArray, NDArray]:
    """A matrix (M, ...) as whole numbers from −127 to 127, and the largest value (M, 1, ...) of each row."""
    axes = tuple(range(1, matrix.ndim))
    largest = np.abs(matrix).max(axis=axes, keepdims=True).astype(np.float16)
    unit = np.where(largest > 0, largest, np.inf).astype(np.float32) / WHOLE
    return np.rint(matrix / unit).astype(np.int8, order="C"), largest


def unrounded(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    """The weights of a file in single precision."""
    found = {}
    for name, array in arrays.items():
        if not name.endswith(LARGEST):
            found[name] = array.astype(np.float32)
            if (largest := arrays.get(name + LARGEST)) is not None:
                found[name] = found[name] * largest.astype(np.float32) / WHOLE
    return found


def load(name_or_path: str | PathLike, kind: str | None = None) -> Model:
    """Read a weight file that `save` wrote; nothing is unpickled.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `available`, or a file.
    kind : str, optional
        The kind that is expected, one of `KINDS`; ``None``: any.

    Returns
    -------
    Model

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or of another kind.
    """
    path = find(name_or_path)
    arrays, text, sha256 = COLLECTION.load(path)

    import torch

    try:
        settings = json.loads(text)
        found, schedule = settings["kind"], settings["schedule"]
        net = network(found, settings["network"])
        model = Model(
            found,
            net,
            settings["tokeniser"] and Tokeniser.from_json(settings["tokeniser"]),
            schedule and NoiseSchedule(**schedule),
            settings["autoencoder"],
            settings.get("latents"),
            sha256,
            settings.get("clip"),
            settings.get("embeddings"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged: its config does not describe a network: {error}"
        ) from None
    if kind is not None and found != kind:
        raise ValueError(f"weights is {str(name_or_path)!r}, of kind {found}; expected {kind}")
    try:
        net.load_state_dict(
            {name: torch.from_numpy(value) for name, value in unrounded(arrays).items()}
        )
    except RuntimeError as error:
        raise ValueError(f"{path} is damaged: its weights do not fit its config: {error}") from None
    net.eval().requires_grad_(False)
    return model


def load_once(name_or_path: str | PathLike, kind: str, device: str = "cpu") -> Model:
    """Weights of a kind on a device, read once for as long as the file is not modified."""
    path = find(name_or_path)
    return _load_once(path, path.stat().st_mtime_ns, kind, device)


@lru_cache(maxsize=8)
def _load_once(path: Path, modified: int, kind: str, device: str) -> Model:
    model = load(path, kind)
    model.net.to(device)
    return model


def network(kind: str, settings: dict[str, Any]) -> nn.Module:
    """A network of a kind, from the dictionary of its config, with random weights."""
    from difffilter.ddpm.unet import UNetConfig
    from difffilter.generate.autoencoder import Autoencoder, AutoencoderConfig
    from difffilter.generate.clip import CLIP, CLIPConfig
    from difffilter.generate.judge import Judge, JudgeConfig
    from difffilter.generate.prior import Prior, PriorConfig
    from difffilter.generate.text import TextConfig
    from difffilter.generate.text_to_image import TextToImage, TextToImageConfig
    from difffilter.generate.upsampler import Upsampler, UpsamplerConfig

    nested: dict[str, Any] = {"text": TextConfig, "unet": UNetConfig}
    settings = settings | {
        name: config(**settings[name]) for name, config in nested.items() if name in settings
    }
    networks: dict[str, tuple[Any, Any]] = {
        "autoencoder": (Autoencoder, AutoencoderConfig),
        "clip": (CLIP, CLIPConfig),
        "text-to-image": (TextToImage, TextToImageConfig),
        "prior": (Prior, PriorConfig),
        "upsampler": (Upsampler, UpsamplerConfig),
        "judge": (Judge, JudgeConfig),
    }
    if kind not in networks:
        raise ValueError(f"kind is {kind!r}; expected one of {', '.join(KINDS)}")
    made, config = networks[kind]
    return made(config(**settings))
