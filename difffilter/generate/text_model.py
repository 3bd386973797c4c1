"""A text-to-image network, ready for use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.checks import check_number, check_whole
from difffilter.ddpm.evolution import from_tensor
from difffilter.ddpm.process import NoisePredictor
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.threads import one_thread
from difffilter.generate import weights
from difffilter.generate.autoencoder import Autoencoder
from difffilter.generate.guidance import classifier_free
from difffilter.generate.neighbours import in_known_words
from difffilter.generate.text import trimmed
from difffilter.generate.text_to_image import TextToImage
from difffilter.generate.tokens import Tokeniser

__all__ = ["TextModel", "inference"]


@dataclass(frozen=True)
class TextModel:
    """A text-to-image network with its tokeniser, schedule and autoencoder.

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
    def load(cls, model: str | PathLike, device: torch.device) -> TextModel:
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
        """tuple of int: Shape (1, C, S, S) of a picture, or of its latents."""
        channels, size = self.net.config.unet.channels, self.net.config.size
        return 1, channels, size, size

    @property
    def side(self) -> int:
        """int: Height and width of a picture in pixels."""
        return self.net.config.size * (self.autoencoder.config.factor if self.autoencoder else 1)

    @property
    def grey(self) -> bool:
        """bool: Whether its pictures are grey."""
        return self.autoencoder is None and self.net.config.unet.channels == 1

    def encode(self, x: Tensor) -> Tensor:
        """The latents of pictures (B, 3, S, S) in [−1, 1], or these themselves."""
        with inference():
            return x if self.autoencoder is None else self.autoencoder.encode(x)

    def shown(self, y: Tensor, sigma_tilde: float) -> NDArray:
        """Pictures (B, S, S, 3) or (B, S, S) in [0, 1] of y = x_t/√ᾱ_t with noise of strength σ̃."""
        # (x_t rather than y, whose noise is beyond all bounds in the beginning.)
        x = y / (1 + sigma_tilde**2) ** 0.5
        with inference():
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

        with inference():
            without = given([negative] * len(texts))
            return classifier_free(given(texts, embedding), without, guidance, rescale)


@contextmanager
def inference() -> Iterator[None]:
    """Apply networks without gradients, on one thread: several would wait for each other at every layer."""
    with torch.inference_mode(), one_thread():
        yield
