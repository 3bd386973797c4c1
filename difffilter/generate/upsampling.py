"""Upsampling of pictures by a DDPM."""

from __future__ import annotations

from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional as F

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.evolution import from_tensor
from difffilter.ddpm.process import keyed_generator, pure_noise, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.devices import find_device
from difffilter.generate import weights
from difffilter.generate.sampling import Callback
from difffilter.generate.text_model import inference
from difffilter.generate.upsampler import Upsampler
from difffilter.image import as_float

__all__ = ["upsample"]


def upsample(
    images: ArrayLike,
    *,
    model: str | PathLike = "upsampler",
    steps: int = 10,
    temperature: float = 0.4,
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> NDArray:
    """Make small pictures four times as high and as wide, with details that they do not have.

    Parameters
    ----------
    images : array_like
        ``(n, H, W, 3)`` or one picture ``(H, W, 3)``; integers are scaled to [0, 1]. The model that comes
        with the package was trained on emoji and on coloured shapes, 64 pixels wide.
    model : str or Path, default "upsampler"
        Weights: a name in `available`, or a file.
    steps : int, default 10
        Evaluations of the network.
    temperature : float, default 0.4
        Factor of the noise at the beginning: with 1 details are drawn from all that are probable, with less
        they are the more probable ones, and the picture has less grain.
    seed : int, default 0
        Seed of the draws; each picture follows from it, its number and its pixels.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    callback : callable, optional
        Called after each step with its number, from 1 over all pictures, and their number.

    Returns
    -------
    float32 ndarray
        ``(n, 4 H, 4 W, 3)`` or ``(4 H, 4 W, 3)``, in [0, 1].

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If the images have another shape, the weights are of another kind, or a number is out of range.

    References
    ----------
    Ho, Saharia, Chan, Fleet, Norouzi & Salimans, "Cascaded diffusion models for high fidelity image
    generation", JMLR 2022.
    Ramesh, Dhariwal, Nichol, Chu & Chen, "Hierarchical text-conditional image generation with CLIP
    latents", 2022.

    Examples
    --------
    >>> import numpy as np
    >>> upsample(np.full((64, 64, 3), 0.5), steps=2).shape
    (256, 256, 3)
    """
    check_whole("steps", steps, least=1)
    check_number("temperature", temperature, least=0, most=1)
    array = np.asarray(images)
    own = find_device(device)
    found = weights.load_once(model, "upsampler", str(own))
    net, schedule = cast(Upsampler, found.net), cast(NoiseSchedule, found.schedule)
    channels = net.config.channels
    if array.ndim not in (3, 4) or array.shape[-1] != channels or 0 in array.shape:
        raise ValueError(
            f"images has shape {array.shape}; expected (n, H, W, {channels}) or (H, W, {channels})"
        )
    pictures = as_float(array if array.ndim == 4 else array[None], -1).astype(np.float32)
    large = []
    for number, picture in enumerate(pictures):  # one at a time, in the memory of one
        low = torch.from_numpy(2 * np.moveaxis(picture, -1, 0)[None] - 1).to(own)
        with inference():
            enlarged = net.config.enlarged(low)
            height, width = enlarged.shape[2:]
            below, beside = (-extent % net.config.unet.multiple for extent in (height, width))
            enlarged = F.pad(enlarged, (0, beside, 0, below), mode="replicate")
        noise = pure_noise(tuple(enlarged.shape), schedule, keyed_generator(seed, number))
        noise = temperature * noise.to(own)
        way = reverse_path(
            net.given(enlarged, schedule), noise, float(schedule.sigma_tilde(schedule.T)), schedule,
            steps=steps, eta=0.0, solver="dpm++",
        )  # fmt: skip
        for step in range(1, steps + 1):
            with inference():
                _, details = next(way)
            if callback is not None:
                callback(number * steps + step, len(pictures) * steps)
        x = net.config.with_details(enlarged, details)[:, :, :height, :width]
        large.append(from_tensor(x.float().cpu()).clip(0, 1)[0])
    return np.stack(large) if array.ndim == 4 else large[0]
