"""Variations of a picture, interpolation between two, and changes by text, through CLIP embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import cast

import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.process import NoisePredictor, keyed_generator, pure_noise, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.score import probability_flow
from difffilter.devices import find_device
from difffilter.generate import weights
from difffilter.generate.clip import CLIP
from difffilter.generate.neighbours import in_known_words
from difffilter.generate.sampling import Callback
from difffilter.generate.text import trimmed
from difffilter.generate.text_model import TextModel, inference
from difffilter.generate.tokens import Tokeniser
from difffilter.generate.unclip import clip_of
from difffilter.generate.zero_shot import as_input

__all__ = ["slerp", "vary"]


def vary(
    image: ArrayLike,
    n: int = 1,
    *,
    between: ArrayLike | None = None,
    toward: str | None = None,
    away: str = "",
    amount: float = 0.4,
    model: str | PathLike = "decoder",
    guidance: float | None = None,
    steps: int = 30,
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> NDArray:
    """Make pictures that show what a picture shows, by way of its embedding.

    CLIP's embedding of a picture holds what can be said of it. A decoder makes other pictures of the
    same embedding: variations. On the sphere of embeddings there are others between those of two
    pictures, and beside that of one in the direction from one text to another [1]_.

    Parameters
    ----------
    image : array_like (H, W), (H, W, 3) or (H, W, 4)
        In [0, 1], to which integers are scaled. It is brought to the size of the model, not square
        ones with white beside them; what is transparent becomes white.
    n : int, default 1
        Number of pictures: variations, or steps on a way.
    between : array_like, optional
        A second picture: the first result shows what `image` does, the last what this one does, and
        the embeddings and the noise of those in between are interpolated.
    toward : str, optional
        A text: the last result has gone by `amount` in the direction from `away` to it, the others by
        less. The noise is that of `image`, so that all else stays.
    away : str, default ""
        A text of what `image` shows, such as "a blue star" where `toward` is "a red star".
    amount : float, default 0.4
        0 stays at `image`; 1 goes all the way to the direction of the text, and forgets the image.
    model : str or Path, default "decoder"
        Weights of a decoder of unCLIP: a name in `available`, or a file.
    guidance : float, optional
        w of classifier-free guidance: how closely to follow the embedding. ``None``: 2 for
        variations, and 1 with `between` or `toward`, where more would exaggerate what is new.
    steps, seed, device, callback
        As for `images`; with `between` or `toward`, `steps` more lead from the picture to its noise.

    Returns
    -------
    float32 ndarray (n, S, S, 3)
        S is the size of the model, 64.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If a picture is none, `between` and `toward` are both given, a number is out of range, or the
        weights are not those of a decoder.

    References
    ----------
    .. [1] A. Ramesh, P. Dhariwal, A. Nichol, C. Chu & M. Chen, "Hierarchical text-conditional image
       generation with CLIP latents", 2022, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> vary(np.full((64, 64, 3), 0.9), 2, steps=3).shape
    (2, 64, 64, 3)
    """
    if between is not None and toward is not None:
        raise ValueError("between and toward are both given; expected one of them")
    check_whole("n", n, least=1)
    check_whole("steps", steps, least=1)
    check_number("amount", amount, least=0, most=1)
    if guidance is None:
        guidance = 2.0 if between is None and toward is None else 1.0
    own = find_device(device)
    network = TextModel.load(model, own)
    of_clip = clip_of(weights.load_once(model, "text-to-image", str(own)), "model", model, str(own))
    pictures = [image] if between is None else [image, between]
    embeddings = of_images(cast(CLIP, of_clip.net), pictures, own)

    def eps_theta(embedding: Tensor) -> NoisePredictor:
        return network.predictor([""] * len(embedding), guidance, embedding=embedding)

    if between is None and toward is None:
        wanted = embeddings.expand(n, -1)
        y = torch.cat(
            [
                pure_noise(network.shape, network.schedule, keyed_generator(seed, k))
                for k in range(n)
            ]
        ).to(own)
    else:
        x0 = network.encode(torch.cat([as_input(each, network.side) for each in pictures]).to(own))
        noise = noise_of(eps_theta(embeddings), x0, network.schedule, steps)
        if toward is None:
            shares = torch.linspace(0, 1, n) if n > 1 else torch.tensor([0.5])
            wanted = slerp(embeddings[0], embeddings[1], shares)
            y = slerp(noise[0], noise[1], shares)
        else:
            goal = direction(of_clip, away, toward)
            wanted = slerp(embeddings[0], goal, amount * torch.arange(1, n + 1) / n)
            y = noise.expand(n, -1, -1, -1)
    way = reverse_path(
        eps_theta(wanted),
        y,
        float(network.schedule.sigma_tilde(network.schedule.T)),
        network.schedule,
        steps=steps,
        eta=0.0,
        solver="dpm++",
    )
    for number in range(1, steps + 1):
        with inference():
            _, y = next(way)
        if callback is not None:
            callback(number, steps)
    return network.shown(y, 0.0)


def of_images(clip: CLIP, pictures: Sequence[ArrayLike], device: torch.device) -> Tensor:
    """The embeddings (B, m) of pictures."""
    x = torch.cat([as_input(each, clip.config.size) for each in pictures])
    with inference():
        return clip.embed_images(x.to(device))


def noise_of(eps_theta: NoisePredictor, x0: Tensor, schedule: NoiseSchedule, steps: int) -> Tensor:
    """The noise from which the reverse process leads to pictures or latents."""
    least, most = (float(schedule.sigma_tilde(t)) for t in (1, schedule.T))
    with inference():
        return probability_flow(eps_theta, x0, least, schedule, steps=steps, end=most)


def direction(clip: weights.Model, away: str, toward: str) -> Tensor:
    """The unit vector (m,) from the embedding of a text to that of another."""
    words = cast(Tokeniser, clip.tokeniser)
    known = [in_known_words(text, words) for text in (away, toward)]
    device = next(clip.net.parameters()).device
    with inference():
        start, end = cast(CLIP, clip.net).embed_texts(trimmed(words.encode_all(known)).to(device))
        return F.normalize(end - start, dim=0)


def slerp(start: Tensor, end: Tensor, shares: Tensor) -> Tensor:
    """Points on the great circle from one vector to another, whose lengths are between theirs.

    Parameters
    ----------
    start, end : Tensor (...)
        Vectors, of which all dimensions count as one.
    shares : Tensor (K,)
        0 at `start`, 1 at `end`.

    Returns
    -------
    Tensor (K, ...)

    References
    ----------
    Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.

    Examples
    --------
    >>> slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.5]))
    tensor([[0.7071, 0.7071]])
    """
    one, other = start.flatten(), end.flatten()
    lengths = one.norm(), other.norm()
    angle = torch.acos((one @ other / (lengths[0] * lengths[1])).clamp(-1, 1))
    s = shares.to(one)[:, None]
    if angle.sin() < 1e-4:  # the great circle is a line, or any one
        points = (1 - s) * one + s * other
    else:
        points = ((1 - s) * angle).sin() * one / lengths[0] + (s * angle).sin() * other / lengths[1]
        points = points / angle.sin() * ((1 - s) * lengths[0] + s * lengths[1])
    return points.view(-1, *start.shape)
