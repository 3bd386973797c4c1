"""From words to pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.denoiser import keyed_generator
from difffilter.ddpm.evolution import from_tensor
from difffilter.ddpm.process import NoisePredictor, pure_noise, reverse_path
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.threads import one_thread
from difffilter.devices import find_device
from difffilter.generate import weights
from difffilter.generate.autoencoder import Autoencoder
from difffilter.generate.guidance import classifier_free
from difffilter.generate.neighbours import in_known_words, nearest
from difffilter.generate.text import trimmed
from difffilter.generate.text_to_image import TextToImage
from difffilter.generate.tokens import Tokeniser
from difffilter.generate.unclip import draw_embeddings

__all__ = ["Painter", "images", "path", "unknown_words"]

Callback = Callable[[int, int], Any]

# unCLIP is the prior and the decoder; the name stands for the latter.
UNCLIP = {"unclip": "decoder"}


def images(
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
) -> NDArray:
    """Make pictures of a text.

    Parameters
    ----------
    prompt : str or sequence of str
        Such as "a green frog" or "a small red circle above a blue star"; "" for any picture; or
        several, whose pictures are made together, in less time than one after the other. Words that
        the model does not know are replaced, see `unknown_words`.
    n : int, default 1
        Number of pictures of each text. Each follows from `seed`, its number and its text alone, but
        for rounding.
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

    Examples
    --------
    >>> images("a red heart", n=2, steps=3).shape
    (2, 64, 64, 3)
    """
    way = path(
        prompt, n, model=model, prior=prior, guidance=guidance, rescale=rescale, negative=negative,
        steps=steps, solver=solver, seed=seed, device=device, callback=callback,
    )  # fmt: skip
    return deque(way, maxlen=1).pop()()


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
    """The pictures of a text on their way from noise.

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
    painter = Painter.load(UNCLIP.get(str(model), model), own)
    texts, schedule = painter.texts(prompt, n), painter.schedule
    generators = [keyed_generator(seed, k) for k in range(len(texts))]
    y = torch.cat([pure_noise(painter.shape, schedule, each) for each in generators]).to(own)
    embedding = None
    if painter.net.config.image and guidance > 0:
        with at_work():
            embedding = draw_embeddings(
                texts, negative, generators, prior=prior, guidance=guidance, steps=steps,
                clip=painter.embeddings, device=str(own),
            )  # fmt: skip
    eps_theta = painter.predictor(texts, guidance, rescale, negative, embedding)
    sigma_tilde = float(schedule.sigma_tilde(schedule.T))
    yield partial(painter.shown, y, sigma_tilde)
    way = reverse_path(
        eps_theta, y, sigma_tilde, schedule, steps=steps, eta=0.0, solver=solver,
        clip=painter.autoencoder is None,
    )  # fmt: skip
    for number in range(1, steps + 1):
        with at_work():
            sigma_tilde, y = next(way)
        if callback is not None:
            callback(number, steps)
        yield partial(painter.shown, y, sigma_tilde)


@dataclass(frozen=True)
class Painter:
    """A network that makes pictures of texts, with all that it needs.

    Attributes
    ----------
    net : TextToImage
    words : Tokeniser
    schedule : NoiseSchedule
    autoencoder : Autoencoder or None
        Of a network that works on latents.
    embeddings : str or None
        Of a decoder, the CLIP whose embeddings it listens to.
    """

    net: TextToImage
    words: Tokeniser
    schedule: NoiseSchedule
    autoencoder: Autoencoder | None
    embeddings: str | None

    @classmethod
    def load(cls, model: str | PathLike, device: torch.device) -> Painter:
        """Read weights, a name or a file, once for as long as the file is not modified."""
        found, autoencoder = weights.load_once(model, "text-to-image", str(device)), None
        if found.autoencoder is not None:
            of_latents = weights.load_once(found.autoencoder, "autoencoder", str(device))
            if of_latents.sha256 != found.latents:
                raise ValueError(
                    f"autoencoder of {str(model)!r} is another {found.autoencoder!r} than the one whose "
                    f"latents it was trained on; expected the checksum {found.latents}"
                )
            autoencoder = cast(Autoencoder, of_latents.net)
        return cls(
            cast(TextToImage, found.net),
            cast(Tokeniser, found.tokeniser),
            cast(NoiseSchedule, found.schedule),
            autoencoder,
            found.embeddings,
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape (1, C, S, S) of a picture, or of its latents."""
        channels, size = self.net.config.unet.channels, self.net.config.size
        return 1, channels, size, size

    @property
    def side(self) -> int:
        """The height and width of a picture in pixels."""
        return self.net.config.size * (self.autoencoder.config.factor if self.autoencoder else 1)

    @property
    def colourless(self) -> bool:
        """Whether pictures are grey."""
        return self.autoencoder is None and self.net.config.unet.channels == 1

    def encode(self, x: Tensor) -> Tensor:
        """The latents of pictures (B, 3, S, S) in [−1, 1], or these themselves."""
        with at_work():
            return x if self.autoencoder is None else self.autoencoder.encode(x)

    def shown(self, y: Tensor, sigma_tilde: float) -> NDArray:
        """Pictures (B, S, S, 3) or (B, S, S) in [0, 1] of y = x_t/√ᾱ_t with noise of strength σ̃."""
        # (x_t rather than y, whose noise is beyond all bounds in the beginning.)
        x = y / (1 + sigma_tilde**2) ** 0.5
        with at_work():
            x = x if self.autoencoder is None else self.autoencoder.decode(x)
        return from_tensor(x.float().cpu()).clip(0, 1)

    def texts(self, prompt: str | Sequence[str], n: int) -> list[str]:
        """The text of each picture: n times the first, then the second, and so on."""
        check_whole("n", n, least=1)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if not prompts:
            raise ValueError(f"prompt is {prompt!r}; expected a text or several")
        return [text for text in prompts for _ in range(n)]

    def predictor(
        self,
        texts: Sequence[str],
        guidance: float,
        rescale: float = 0.0,
        negative: str = "",
        embedding: Tensor | None = None,
    ) -> NoisePredictor:
        """The guided noise predictor of pictures, given a text and perhaps an embedding of each."""
        check_number("guidance", guidance, least=0)
        device = next(self.net.parameters()).device

        def given(texts: Sequence[str], embedding: Tensor | None = None) -> NoisePredictor:
            known = [in_known_words(text, self.words) for text in texts]
            ids = trimmed(self.words.encode_all(known)).to(device)
            return self.net.given(ids, self.schedule, embedding)

        with at_work():
            without = given([negative] * len(texts))
            return classifier_free(given(texts, embedding), without, guidance, rescale)


@contextmanager
def at_work() -> Iterator[None]:
    """Within, networks are applied, on one thread: several would wait for each other at every layer."""
    with torch.inference_mode(), one_thread():
        yield


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
    model = UNCLIP.get(str(model), model)
    words = cast(Tokeniser, weights.load_once(model, "text-to-image").tokeniser)
    return {word: nearest(word, words.words) for word in words.unknown(prompt)}
