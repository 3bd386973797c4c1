"""From a photograph to noise, and from noise to an image."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from difffilter.checks import check_whole
from difffilter.ddpm.loading import check_reversible, load
from difffilter.ddpm.process import add_noise, keyed_generator, pure_noise, reverse, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.tiles import TiledNetwork
from difffilter.ddpm.weights import Weights
from difffilter.image import as_float

__all__ = ["evolve", "from_noise", "generate"]


def generate(
    n: int,
    shape: tuple[int, int],
    *,
    weights: str | PathLike = "natural-gray",
    steps: int = 200,
    eta: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> NDArray:
    """Generate images from pure noise.

    Parameters
    ----------
    n : int
        Number of images.
    shape : tuple of int
        Height and width.
    weights : str or Path, default "natural-gray"
        A name in `available`, or a file.
    steps : int, default 200
        Steps from T down to 0.
    eta : float, default 1
        Noise of the reverse process: 1 is DDPM, 0 the deterministic DDIM.
    seed : int, default 0
        Seed of the draws.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.

    Returns
    -------
    ndarray
        ``(n, H, W)`` or, with colour weights, ``(n, H, W, 3)``; float32 in [0, 1].

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such weights, or a number is out of range.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, algorithm 2.

    Examples
    --------
    >>> generate(2, (32, 48), steps=3).shape
    (2, 32, 48)
    """
    trained = load(weights, device)
    check_reversible(trained, weights)
    return from_noise(trained, n, shape, steps=steps, eta=eta, seed=seed)


def from_noise(
    trained: Weights,
    n: int,
    shape: tuple[int, int],
    *,
    steps: int,
    eta: float,
    seed: int,
    tile: int | None = None,
) -> NDArray:
    """Images of a trained network from pure noise, in tiles of a side, as `generate` returns them."""
    check_whole("n", n, least=1)
    generator = keyed_generator(seed)
    schedule = trained.schedule
    y = pure_noise((n, trained.net.config.channels, *shape), schedule, generator)
    sigma_tilde = float(schedule.sigma_tilde(schedule.T))
    with TiledNetwork(trained.net, torch.float32, tile=tile, calls=steps) as eps_theta:
        x0 = reverse(
            eps_theta,
            y,
            sigma_tilde,
            schedule,
            steps=steps,
            eta=eta,
            generator=generator,
            clip=True,
        )
    return from_tensor(x0).clip(0, 1)


def evolve(
    image: ArrayLike,
    t: Sequence[int],
    *,
    channel_axis: int | None = None,
    schedule: NoiseSchedule | None = None,
    backward: str | PathLike | None = None,
    steps: int | None = None,
    eta: float = 1.0,
    seed: int = 0,
    device: str = "auto",
) -> tuple[list[NDArray], list[NDArray]]:
    """Diffuse an image to noise and, with weights, back.

    Parameters
    ----------
    image : array_like
        ``(H, W)``, or with an axis of channels; in [0, 1], to which integers are scaled.
    t : sequence of int
        Steps to return, rising, from 0 to T.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    schedule : NoiseSchedule, optional
        ``None``: that of the weights, or the linear one without weights.
    backward : str or Path, optional
        Weights for the reverse process, which starts from the last image of the forward one.
        ``None``: no reverse process.
    steps : int, optional
        Steps of the reverse process, evenly spaced, besides those in `t`. ``None``: steps of
        length 1, as in training.
    eta : float, default 1
        Noise of the reverse process: 1 is DDPM, 0 the deterministic DDIM.
    seed : int, default 0
        Seed of the draws.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.

    Returns
    -------
    there : list of ndarray
        x_t for each t, float32, in [0, 1] but for the noise, shaped like `image` with the channels
        last. All share one ε, so that they show one image growing noisier.
    back : list of ndarray
        x_t for each t of the reverse process; empty without `backward`. At t = 0 it is a draw from
        the posterior.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If `image` is not an image, there are no such weights, they are for another number of
        channels, or `t` is out of range or not rising.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, figure 2.

    Examples
    --------
    >>> import numpy as np
    >>> there, back = evolve(np.zeros((8, 8), np.float32), [0, 500, 1000])
    >>> [round(float(x.std()), 1) for x in there], back
    ([0.0, 0.5, 0.5], [])
    """
    t = [int(step) for step in t]
    if not t or t != sorted(set(t)):
        raise ValueError(f"t is {t}; expected rising steps")
    if steps is not None:
        check_whole("steps", steps, least=1)
    pixels: NDArray = as_float(image, channel_axis)
    last = pixels[..., None] if channel_axis is None else np.moveaxis(pixels, channel_axis, -1)
    if last.ndim != 3:
        raise ValueError(f"image has shape {pixels.shape}; expected a single image")
    x0 = torch.from_numpy(2 * np.moveaxis(last, -1, 0)[None].astype(np.float32) - 1)
    trained = None if backward is None else load(backward, device)
    if trained:
        check_reversible(trained, backward)
    if trained and trained.net.config.channels != x0.shape[1]:
        raise ValueError(
            f"backward is {str(backward)!r}, for {trained.net.config.channels} channels; "
            f"expected weights for {x0.shape[1]}"
        )
    schedule = schedule or (trained.schedule if trained else NoiseSchedule())
    generator = keyed_generator(seed)
    eps = torch.randn(x0.shape, generator=generator)
    there = [add_noise(x0, step, eps, schedule) for step in t]
    back = [] if trained is None else way_back(there[-1], t, trained, steps, eta, generator)
    return [from_tensor(x)[0] for x in there], [from_tensor(x)[0] for x in back]


def way_back(
    x: Tensor,
    t: list[int],
    trained: Weights,
    steps: int | None,
    eta: float,
    generator: torch.Generator,
) -> list[Tensor]:
    """The images at the rising steps t of the reverse process from the last of them, `x`."""
    schedule = trained.schedule
    damping = schedule.alpha_bar(np.array(t)) ** 0.5
    between = np.linspace(0, t[-1], (steps or t[-1]) + 1).round().astype(int).tolist()
    path = sorted({0, *between, *t} - {t[-1]}, reverse=True)
    with TiledNetwork(trained.net, torch.float32, calls=len(path)) as eps_theta:
        ys = reverse_path(
            eps_theta,
            x / damping[-1],
            float(schedule.sigma_tilde(t[-1])),
            schedule,
            steps=path,
            eta=eta,
            generator=generator,
            clip=True,
        )
        seen = {step: y for step, (_, y) in zip(path, ys, strict=True) if step in t}
    return [d * seen[step] for d, step in zip(damping, t[:-1], strict=False)] + [x]


def from_tensor(x: Tensor) -> NDArray:
    """Images (B, C, H, W) in [−1, 1] as an array (B, H, W) or (B, H, W, C) in [0, 1]."""
    images = (np.moveaxis(x.numpy(), 1, -1) + 1) / 2
    return images[..., 0] if images.shape[-1] == 1 else images
