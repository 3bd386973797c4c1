"""Weight files of the DDPM, each beside a model card.

This module imports PyTorch only when it loads a network, so that the weights can be listed without it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.io.weights import Collection

if TYPE_CHECKING:
    from difffilter.ddpm.networks import Network
    from difffilter.ddpm.runtime import ExportedNetwork

__all__ = ["Weights", "available", "card", "find", "load", "save"]

COLLECTION = Collection(Path(__file__).with_name("weights"), "difffilter-ddpm-1")
available, card, find = COLLECTION.available, COLLECTION.card, COLLECTION.find


@dataclass(frozen=True)
class Weights:
    """A trained network and what is needed to use it.

    Attributes
    ----------
    net : UNet, BiasFreeUNet or ExportedNetwork
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

    net: Network | ExportedNetwork
    schedule: NoiseSchedule
    sigma_range: tuple[float, float]
    sha256: str
    blind: float | None = None


def save(
    path: str | PathLike,
    net: Network,
    schedule: NoiseSchedule,
    sigma_range: tuple[float, float],
    blind: float | None = None,
    collection: Collection = COLLECTION,
) -> None:
    """Write a weight file, whole or not at all. The weights are stored as float16.

    Parameters
    ----------
    path : str or Path
    net : UNet or BiasFreeUNet
    schedule : NoiseSchedule
    sigma_range : tuple of float
        Smallest and largest σ it was trained on, for an image in [0, 1].
    blind : float, optional
        As in `Weights`.
    collection : Collection
        The format of the file.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If a weight is not finite in float16.
    """
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
    collection.save(path, tensors, settings)


def load(name_or_path: str | PathLike, collection: Collection = COLLECTION) -> Weights:
    """Read a weight file.

    Parameters
    ----------
    name_or_path : str or Path
        A name in `available`, or a file; an ONNX file of `export_onnx`, too.
    collection : Collection
        The weights that the name is among, and the format of the file.

    Returns
    -------
    Weights
        With the network on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, truncated, not written by `save` or `export_onnx`, or its weights do
        not fit the network that it describes. For an ONNX file also if ONNX Runtime is not installed.

    Examples
    --------
    >>> load("natural-gray").net.config.channels
    1
    """
    path = collection.find(name_or_path)
    if path.suffix.lower() == ".onnx" and collection is COLLECTION:
        from difffilter.ddpm.runtime import load_exported

        exported, about = load_exported(path)
        return Weights(exported, **about)
    tensors, text, sha256 = collection.load(path)

    import torch

    from difffilter.ddpm.networks import network, network_config

    try:
        config = json.loads(text)
        schedule = NoiseSchedule(**config["schedule"])
        low, high = map(float, config["sigma_range"])
        blind = None if config.get("blind") is None else float(config["blind"])
        net = network(network_config(config["unet"]), schedule)
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
    return Weights(net.eval().requires_grad_(False), schedule, (low, high), sha256, blind)
