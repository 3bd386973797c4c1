"""Weight files: safetensors with the configuration of their network, each beside a model card.

No file is ever unpickled. This module imports PyTorch only when it loads a network, so that the
weights can be listed without it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.io.files import replacing

if TYPE_CHECKING:
    from difffilter.ddpm.unet import UNet

__all__ = ["Weights", "available", "card", "find", "load", "save"]

FOLDER = Path(__file__).parent / "weights"
FORMAT = "difffilter-ddpm-1"


@dataclass(frozen=True)
class Weights:
    """A trained network and what is needed to use it.

    Attributes
    ----------
    net : UNet
        The network, in evaluation mode, float32.
    schedule : NoiseSchedule
        The noise schedule of its training.
    sigma_range : tuple of float
        Smallest and largest σ it was trained on, for an image in [0, 1].
    sha256 : str
        Checksum of the content, in hexadecimal.
    blind : float or None, default None
        For weights trained on noise of unknown kind and strength: the σ to give to the network in
        any case, for an image in [0, 1]. ``None``: it needs the σ of the noise, which is white.
    """

    net: UNet
    schedule: NoiseSchedule
    sigma_range: tuple[float, float]
    sha256: str
    blind: float | None = None


def available() -> list[str]:
    """Names of the weights that come with the package, sorted.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "natural-gray" in available()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def find(name_or_path: str | PathLike) -> Path:
    """The file of a name in `available`, or the path itself.

    Parameters
    ----------
    name_or_path : str or Path

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If it is neither.
    """
    name = str(name_or_path)
    if name in available():
        return FOLDER / f"{name}.safetensors"
    path = Path(name_or_path)
    if path.is_file():
        return path
    near = difflib.get_close_matches(name, available(), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise FileNotFoundError(
        f"weights is {name!r}; expected a file or one of {', '.join(available()) or '(none)'}{hint}"
    )


def card(name_or_path: str | PathLike) -> dict[str, Any]:
    """The model card beside a weight file.

    Parameters
    ----------
    name_or_path : str or Path

    Returns
    -------
    dict
        Empty if there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such weight file.
    ValueError
        If the card is not JSON.

    Examples
    --------
    >>> card("natural-gray")["channels"]
    1
    """
    path = find(name_or_path).with_suffix(".json")
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"the model card {path} is damaged: {error}") from None


def save(
    path: str | PathLike,
    net: UNet,
    schedule: NoiseSchedule,
    sigma_range: tuple[float, float],
    blind: float | None = None,
) -> None:
    """Write a weight file, whole or not at all. The weights are stored as float16.

    Parameters
    ----------
    path : str or Path
    net : UNet
    schedule : NoiseSchedule
    sigma_range : tuple of float
        Smallest and largest σ it was trained on, for an image in [0, 1].
    blind : float, optional
        As in `Weights`.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If a weight is not finite in float16.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {
        name: value.detach().cpu().contiguous().numpy().astype(np.float16)
        for name, value in net.state_dict().items()
    }
    for name, value in tensors.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name} of the network is not finite in float16")
    settings: dict[str, Any] = {
        "unet": asdict(net.config),
        "schedule": asdict(schedule),
        "sigma_range": list(sigma_range),
    }
    if blind is not None:
        settings["blind"] = blind
    config = json.dumps(settings)
    metadata = {"format": FORMAT, "config": config, "sha256": digest(config, tensors)}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:
            raise OSError(f"cannot write {path}: {error}") from None


def load(name_or_path: str | PathLike) -> Weights:
    """Read a weight file.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `available`, or a file.

    Returns
    -------
    Weights
        With the network on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, not written by `save`, or its weights do not fit the
        network that it describes.

    Examples
    --------
    >>> load("natural-gray").net.config.channels
    1
    """
    path = find(name_or_path)
    metadata, tensors = read(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path} is a foreign safetensors file; expected the format {FORMAT!r}")
    if metadata.get("sha256") != digest(metadata.get("config", ""), tensors):
        raise ValueError(
            f"{path} is damaged: its content does not have the checksum that it states"
        )

    import torch

    from difffilter.ddpm.unet import UNet, UNetConfig

    try:
        config = json.loads(metadata["config"])
        unet, schedule = UNetConfig(**config["unet"]), NoiseSchedule(**config["schedule"])
        low, high = map(float, config["sigma_range"])
        blind = None if config.get("blind") is None else float(config["blind"])
        net = UNet(unet)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged: its config does not describe a network: {error}"
        ) from None
    try:
        net.load_state_dict(
            {name: torch.from_numpy(value.astype(np.float32)) for name, value in tensors.items()}
        )
    except RuntimeError as error:
        raise ValueError(f"{path} is damaged: its weights do not fit its config: {error}") from None
    sha256 = metadata["sha256"]
    return Weights(net.eval().requires_grad_(False), schedule, (low, high), sha256, blind)


def read(path: str | PathLike) -> tuple[dict[str, str], dict[str, NDArray]]:
    """Metadata and arrays of a safetensors file.

    Raises
    ------
    ValueError
        If the file is damaged or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    with open(path, "rb") as stream:
        start = stream.read(2)
    try:
        with safe_open(path, framework="numpy") as file:
            names = file.keys()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, ValueError) as error:
        # (A safetensors file, too, may start like that: with the length of its header.)
        if start == b"PK" or start[:1] == b"\x80":
            raise ValueError(f"{path} is a pickled checkpoint, which is never loaded") from None
        raise ValueError(
            f"{path} is damaged, truncated or not a safetensors file: {error}"
        ) from None


def digest(config: str, tensors: dict[str, NDArray]) -> str:
    """SHA-256 of a text and of arrays, in the order of their names, in hexadecimal."""
    state = hashlib.sha256(config.encode())
    for name in sorted(tensors):
        state.update(name.encode())
        state.update(np.ascontiguousarray(tensors[name]).tobytes())
    return state.hexdigest()
