"""From words to pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import Any, cast

import torch
from numpy.typing import NDArray

from difffilter.checks import check_whole
from difffilter.ddpm.process import keyed_generator, pure_noise, reverse_path
from difffilter.devices import find_device
from difffilter.generate import weights
from difffilter.generate.neighbours import nearest
from difffilter.generate.text_model import TextModel, inference
from difffilter.generate.tokens import Tokeniser
from difffilter.generate.unclip import draw_embeddings
from difffilter.generate.zero_shot import best_of

__all__ = ["candidates_for", "images", "path", "unknown_words"]

# Candidates for each picture.
CANDIDATES = 4

Callback = Callable[[int, int], Any]


def images(
    prompt: str | Sequence[str],
    n: int = 1,
    *,
    candidates: int | None = None,
    model: str | PathLike = "latent",
    prior: str | PathLike = "prior",
    guidance: float = 2.0,
    rescale: float = 0.0,
    negative: str = "",
    steps: int = 30,
    solver: str = "dpm++",
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> NDArray:
    """Make pictures of a text.

    Parameters
    ----------
    prompt : str or sequence of str
        Such as "a green frog" or "a small red circle above a blue star"; "" for any picture; or
        several, whose pictures are made together, in less time than one after the other. Words that
        the model does not know are replaced, see `unknown_words`.
    n : int, default 1
        Number of pictures of each text. Each follows from `seed`, its number, its text and
        `candidates` alone, but for rounding.
    candidates : int, optional
        Pictures that are made for each, of which the one is kept that CLIP finds most similar to the
        text, as DALL·E did it. ``None``: 4 with models of the package for pictures in colour, whose
        texts its CLIP knows, if there is a text; else 1.
    model : str or Path, default "latent"
        Weights: a name in `available`, or a file; ``"unclip"`` stands for ``"decoder"``.
    prior : str or Path, default "prior"
        Weights of the prior, which draws an embedding for models that take one, with the same guidance
        and as many steps.
    guidance : float, default 2
        w of classifier-free guidance: 0 ignores the text, 1 takes it as it was learned, more makes
        pictures more typical and less diverse.
    rescale : float, default 0
        As in `classifier_free`.
    negative : str, default ""
        A text of what the pictures should not show.
    steps : int, default 30
        Evaluations of the network, twice as many with guidance.
    solver : {"dpm++", "ddim"}, default "dpm++"
        DPM-Solver++ or DDIM, both without further noise.
    seed : int, default 0
        Seed of the draws.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    callback : callable, optional
        Called after each step with its number, from 1, and `steps`.

    Returns
    -------
    ndarray
        ``(n, H, W, 3)`` or, of a grey model, ``(n, H, W)``; float32 in [0, 1]. Of several texts, n
        pictures of the first, then of the second, and so on.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If there is no text, the weights are of another kind or their autoencoder was replaced, or a
        number is out of range.

    References
    ----------
    Rombach, Blattmann, Lorenz, Esser & Ommer, "High-resolution image synthesis with latent diffusion
    models", CVPR 2022.
    Ho & Salimans, "Classifier-free diffusion guidance", 2022.
    Ramesh et al., "Zero-shot text-to-image generation", ICML 2021, for candidates.

    Examples
    --------
    >>> images("a red heart", n=2, steps=3).shape
    (2, 64, 64, 3)
    """
    check_whole("n", n, least=1)
    count = candidates_for(candidates, model, prompt, guidance, device)
    way = path(
        prompt, n * count, model=model, prior=prior, guidance=guidance, rescale=rescale, negative=negative,
        steps=steps, solver=solver, seed=seed, device=device, callback=callback,
    )  # fmt: skip
    made = deque(way, maxlen=1).pop()()
    prompts = [prompt] if isinstance(prompt, str) else prompt
    return made[best_of(made, [text for text in prompts for _ in range(n * count)], count)]


def candidates_for(
    candidates: int | None,
    model: str | PathLike,
    prompt: str | Sequence[str],
    guidance: float,
    device: str = "auto",
) -> int:
    """Number of candidates for each picture, as `images` takes it."""
    grey = TextModel.load(model, find_device(device)).grey
    if candidates is None:
        known = str(model) in (*weights.available(), *weights.ALIASES)
        said = any(prompt) and guidance > 0
        return CANDIDATES if known and said and not grey else 1
    check_whole("candidates", candidates, least=1)
    if candidates > 1 and grey:
        raise ValueError(
            f"candidates is {candidates}; expected 1: CLIP does not know the grey pictures of this model"
        )
    return candidates


def path(
    prompt: str | Sequence[str],
    n: int = 1,
    *,
    model: str | PathLike = "latent",
    prior: str | PathLike = "prior",
    guidance: float = 2.0,
    rescale: float = 0.0,
    negative: str = "",
    steps: int = 30,
    solver: str = "dpm++",
    seed: int = 0,
    device: str = "auto",
    callback: Callback | None = None,
) -> Iterator[Callable[[], NDArray]]:
    """The pictures of a text on their way from noise, all candidates.

    Parameters
    ----------
    prompt, n, model, prior, guidance, rescale, negative, steps, solver, seed, device, callback
        As for `images`.

    Yields
    ------
    callable
        Returns the pictures x_t, as `images` does: pure noise first, then after each step.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As for `images`.

    Examples
    --------
    >>> frames = [picture() for picture in path("a red heart", steps=3)]
    >>> len(frames)
    4
    """
    check_whole("steps", steps, least=1)
    own = find_device(device)
    network = TextModel.load(model, own)
    texts, schedule = network.texts(prompt, n), network.schedule
    generators = [keyed_generator(seed, k) for k in range(len(texts))]
    y = torch.cat([pure_noise(network.shape, schedule, each) for each in generators]).to(own)
    embedding = None
    if network.net.config.image and guidance > 0:
        with inference():
            embedding = draw_embeddings(
                texts, negative, generators, prior=prior, guidance=guidance, steps=steps,
                clip=network.embeddings, device=str(own),
            )  # fmt: skip
    eps_theta = network.predictor(texts, guidance, rescale, negative, embedding)
    sigma_tilde = float(schedule.sigma_tilde(schedule.T))
    yield partial(network.shown, y, sigma_tilde)
    way = reverse_path(
        eps_theta, y, sigma_tilde, schedule, steps=steps, eta=0.0, solver=solver,
        clip=network.autoencoder is None,
    )  # fmt: skip
    for number in range(1, steps + 1):
        with inference():
            sigma_tilde, y = next(way)
        if callback is not None:
            callback(number, steps)
        yield partial(network.shown, y, sigma_tilde)


def unknown_words(prompt: str, model: str | PathLike = "latent") -> dict[str, str | None]:
    """Words of a text that no caption of a model's training had, and how they are read instead.

    Parameters
    ----------
    prompt : str
    model : str or Path, default "latent"
        Weights: a name in `available`, or a file.

    Returns
    -------
    dict of str to (str or None)
        Each word, once, with the known word that is nearest in meaning, which is read in its place;
        ``None``: no known word is near, and it is read letter by letter.

    Raises
    ------
    FileNotFoundError, ValueError
        If there are no such weights, or they are of another kind.

    Examples
    --------
    >>> unknown_words("a huge red quark")
    {'huge': 'big', 'quark': None}
    """
    words = cast(Tokeniser, weights.load_once(model, "text-to-image").tokeniser)
    return {word: nearest(word, words.words) for word in words.unknown(prompt)}
