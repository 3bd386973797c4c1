"""Images on their way: a photograph into noise, and noise into an image."""

import numpy as np
import torch

from difffilter.ddpm.denoiser import keyed_generator, load
from difffilter.ddpm.process import add_noise, pure_noise, reverse, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.tiles import TiledNetwork
from difffilter.image import as_float


def generate(n, shape, *, weights="natural-gray", steps=200, eta=1.0, seed=0, device="auto"):
    """Images out of pure noise.

    Parameters
    ----------
    n : int
        How many.
    shape : tuple of int
        Height and width.
    weights : str or Path, default "natural-gray"
        A name in `available` or a file.
    steps : int, default 200
        Steps from T down to 0.
    eta : float, default 1
        1 is DDPM, 0 DDIM.
    seed : int, default 0
    device : str, default "auto"

    Returns
    -------
    float32 ndarray (n, H, W) or, with colour weights, (n, H, W, 3)
        Values in [0, 1].

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
    if n < 1:
        raise ValueError(f"n is {n}; expected at least 1")
    trained = load(weights, device)
    generator = keyed_generator(seed)
    schedule = trained.schedule
    y = pure_noise((n, trained.net.config.channels, *shape), schedule, generator)
    sigma_tilde = float(schedule.sigma_tilde(schedule.T))
    with TiledNetwork(trained.net, torch.float32, calls=steps) as eps_theta:
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
    image,
    t,
    *,
    channel_axis=None,
    schedule=None,
    backward=None,
    steps=None,
    eta=1.0,
    seed=0,
    device="auto",
):
    """One image on its way to noise and, with weights, back from there.

    Parameters
    ----------
    image : array_like (H, W) or, with `channel_axis`, of three axes
        In [0, 1]; integers are scaled.
    t : sequence of int
        Steps at which to look, rising, from 0 to T.
    channel_axis : int, optional
        The axis of the channels; None if there are none.
    schedule : NoiseSchedule, optional
        None is that of the weights, or the linear one if there are none.
    backward : str or Path, optional
        Weights for the way back, which starts from the last image of the way there. None does
        not go back.
    steps : int, optional
        Steps of the way back, evenly spaced, besides those at which to look. None takes steps of
        length 1, as in training.
    eta : float, default 1
        1 is DDPM, 0 DDIM.
    seed : int, default 0
    device : str, default "auto"

    Returns
    -------
    there : list of float32 ndarray
        x_t for each t, in [0, 1] but for the noise, shaped like `image` with the channels last.
        All share one ε, so that they are one image growing noisier.
    back : list of float32 ndarray
        x_t for each t on the way back from the last; empty without `backward`. At t = 0 it is a
        draw from the posterior.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If `image` is no image, there are no such weights, they are for another number of
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
    if steps is not None and steps < 1:
        raise ValueError(f"steps is {steps}; expected at least 1")
    image = as_float(image, channel_axis)
    last = image[..., None] if channel_axis is None else np.moveaxis(image, channel_axis, -1)
    if last.ndim != 3:
        raise ValueError(f"image has shape {image.shape}; expected a single image")
    x0 = torch.from_numpy(2 * np.moveaxis(last, -1, 0)[None].astype(np.float32) - 1)
    trained = None if backward is None else load(backward, device)
    if trained and trained.net.config.channels != x0.shape[1]:
        raise ValueError(
            f"backward is {str(backward)!r}, weights for {trained.net.config.channels} channels; "
            f"the image has {x0.shape[1]}"
        )
    schedule = schedule or (trained.schedule if trained else NoiseSchedule())
    generator = keyed_generator(seed)
    eps = torch.randn(x0.shape, generator=generator)
    there = [add_noise(x0, step, eps, schedule) for step in t]
    back = [] if trained is None else way_back(there[-1], t, trained, steps, eta, generator)
    return [from_tensor(x)[0] for x in there], [from_tensor(x)[0] for x in back]


def way_back(x, t, trained, steps, eta, generator):
    """The images at the rising steps t, on the way back from the last of them, which is `x`."""
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


def from_tensor(x):
    """Images (B, C, H, W) in [−1, 1] as an array (B, H, W) or (B, H, W, C) in [0, 1]."""
    images = (np.moveaxis(x.numpy(), 1, -1) + 1) / 2
    return images[..., 0] if images.shape[-1] == 1 else images
