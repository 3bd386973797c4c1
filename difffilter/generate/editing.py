"""Editing pictures by text."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skimage.transform import resize
from torch import Tensor
from torch.nn.functional import max_pool2d

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.conditional import Conditional
from difffilter.ddpm.process import keyed_generator, pure_noise, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.devices import find_device
from difffilter.generate.sampling import Callback
from difffilter.generate.text_model import TextModel, inference
from difffilter.image import as_float, check_boolean_mask

__all__ = ["edit"]

# The side of the window around a hole, in widths of the hole.
ROOM = 1.5


def edit(
    image: ArrayLike,
    prompt: str,
    n: int = 1,
    *,
    mask: ArrayLike | None = None,
    strength: float | None = None,
    model: str | PathLike = "latent",
    guidance: float = 2.0,
    negative: str = "",
    steps: int = 30,
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> NDArray:
    """Change a picture, or a part of it, to what a text says.

    Noise is added to the picture up to a step of the diffusion, and the reverse process leads from
    there to another picture [1]_. With a mask, the rest of the picture stays as it is: what the network
    sees of it is, at each step, the picture itself with noise [2]_.

    Parameters
    ----------
    image : array_like
        ``(H, W, 3)``, or grey ``(H, W)``; integers are scaled to [0, 1]. Without a mask it is square
        and brought to the size of the model, 64×64; with one, a window around the hole is.
    prompt : str
        What the picture shows in the end, not only in the hole.
    n : int, default 1
        Number of results.
    mask : array_like of bool, optional
        ``(H, W)``, True where the picture may change. ``None``: everywhere.
    strength : float, optional
        From 0, hardly a change, to 1, which leaves nothing of what may change: the standard deviation
        √(1 − ᾱ_t) of the noise in x_t. ``None``: 0.5, and 1 with a mask.
    model, guidance, negative, steps, seed, device, callback
        As for `images`.

    Returns
    -------
    float32 ndarray
        ``(n, S, S, 3)``, S being the size of the model, or with a mask ``(n, H, W, 3)``, the input's own
        values outside of it.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If image or mask have other shapes, the mask is not boolean or all False, a number is out of
        range, or the model makes grey pictures.

    References
    ----------
    .. [1] C. Meng et al., "SDEdit: guided image synthesis and editing with stochastic differential
       equations", ICLR 2022.
    .. [2] A. Lugmayr et al., "RePaint: inpainting using denoising diffusion probabilistic models",
       CVPR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.full((64, 64, 3), 0.9)
    >>> hole = np.zeros((64, 64), bool)
    >>> hole[20:44, 20:44] = True
    >>> changed = edit(image, "a red heart", mask=hole, steps=3)
    >>> bool((changed[0][~hole] == np.float32(0.9)).all())
    True
    """
    strength = (0.5 if mask is None else 1.0) if strength is None else strength
    check_number("strength", strength, least=0, most=1)
    check_whole("steps", steps, least=1)
    picture, own = in_colour(image), find_device(device)
    network = TextModel.load(model, own)
    if network.grey:
        raise ValueError(f"model is {str(model)!r}, for grey pictures; expected one in colour")
    eps_theta = network.predictor(network.texts(prompt, n), guidance, negative=negative)
    hole, (rows, columns) = None, (np.arange(extent) for extent in picture.shape[:2])
    if mask is not None:
        hole = check_boolean_mask("mask", mask, picture.shape[:2])
        if not hole.any():
            raise ValueError("mask is False everywhere; expected True where the picture may change")
        rows, columns = window_around(hole, network.side)
    elif len(rows) != len(columns):
        raise ValueError(
            f"image is {len(columns)}×{len(rows)} pixels; expected a square one, or a mask"
        )

    x0 = network.encode(resized(picture[np.ix_(rows, columns)], network.side).to(own))
    x0 = x0.repeat(n, 1, 1, 1)
    if hole is not None:
        small = resized(hole[np.ix_(rows, columns)][..., None], network.side)
        # (Latents of squares that the hole touches.)
        free = max_pool2d((small > -0.99).float(), network.side // x0.shape[2]) > 0
        eps_theta = Conditional(eps_theta, x0, ~free.expand_as(x0).to(own), network.schedule)
    y, sigma_tilde = noisy(x0, strength, network.schedule, seed)
    how: dict[str, Any] = {"eta": 0.0, "solver": "dpm++"}
    if (
        hole is not None
    ):  # draws need noise in each step: without, holes and their borders do not fit
        how = {"eta": 1.0, "spacing": "log", "generator": keyed_generator(seed, n)}
    way = reverse_path(eps_theta, y, sigma_tilde, network.schedule, steps=steps, **how)
    for number in range(1, steps + 1):
        with inference():
            _, y = next(way)
        if callback is not None:
            callback(number, steps)
    made = network.shown(y, 0.0)
    if hole is None:
        return made
    results = np.repeat(picture[None], n, axis=0)
    within = hole[np.ix_(rows, columns)]
    y_, x_ = np.nonzero(within)
    for result, change in zip(results, made, strict=True):
        result[rows[y_], columns[x_]] = enlarged(change, len(rows))[y_, x_]
    return results


def in_colour(image: ArrayLike) -> NDArray:
    """An image as float32 (H, W, 3) in [0, 1]."""
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3) or not array.size:
        raise ValueError(f"image has shape {array.shape}; expected (H, W, 3) or (H, W)")
    values = as_float(array, -1 if array.ndim == 3 else None).astype(np.float32)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def window_around(hole: NDArray, least: int) -> tuple[NDArray, NDArray]:
    """Rows and columns of a window around a hole, as many of both, each within the image.

    A window larger than the image repeats the last row or column.
    """
    spans = [np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0)]
    width = max(int(span[-1]) - int(span[0]) + 1 for span in spans)
    side = max(math.ceil(ROOM * width), min(least, max(hole.shape)))
    found = []
    for span, extent in zip(spans, hole.shape, strict=True):
        centre = (int(span[0]) + int(span[-1]) + 1) // 2
        start = min(max(0, centre - side // 2), max(0, extent - side))
        found.append(np.minimum(start + np.arange(side), extent - 1))
    return found[0], found[1]


def resized(picture: NDArray, side: int) -> Tensor:
    """A picture (H, W, C) in [0, 1] as a tensor (1, C, side, side) in [−1, 1]."""
    values = picture.astype(np.float32)
    if values.shape[:2] != (side, side):
        values = resize(values, (side, side), order=1, mode="edge", anti_aliasing=True)
    return torch.from_numpy(2 * np.moveaxis(values, -1, 0)[None] - 1)


def enlarged(picture: NDArray, side: int) -> NDArray:
    """A picture (S, S, C) at another size, (side, side, C), in [0, 1]."""
    if len(picture) == side:
        return picture
    return resize(picture, (side, side), order=3, mode="edge", anti_aliasing=True).clip(0, 1)


def noisy(x0: Tensor, strength: float, schedule: NoiseSchedule, seed: int) -> tuple[Tensor, float]:
    """Pictures or latents y = x_t/√ᾱ_t at the step t with √(1 − ᾱ_t) = strength, and its σ̃."""
    most, least = (float(schedule.sigma_tilde(t)) for t in (schedule.T, 1))
    sigma_tilde = min(max(strength / math.sqrt(max(1 - strength**2, 1e-9)), least), most)
    noise = torch.cat(
        [pure_noise(x0[:1].shape, schedule, keyed_generator(seed, k)) for k in range(len(x0))]
    )
    return x0 + sigma_tilde / most * noise.to(x0), sigma_tilde
