"""Train a DDPM that listens to words, on pixels or on latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from difffilter.ddpm.process import shares
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate import weights
from difffilter.generate.autoencoder import Autoencoder
from difffilter.generate.clip import CLIP
from difffilter.generate.colours import with_colours
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import Scene, draw_scene
from difffilter.generate.text import trimmed
from difffilter.generate.text_to_image import TextToImage
from difffilter.generate.tokens import Tokeniser
from difffilter.training.autoencoder import stacked
from difffilter.training.clip import start, with_tokeniser
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import TextToImageTraining
from difffilter.training.pictures import VALIDATION, Pictures, check_channels, read_pictures
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method
from difffilter.training.state import TrainingState

__all__ = ["METHOD"]

# Pictures that are encoded at once.
TOGETHER = 64

# Pictures of a validation.
VALIDATED = 256


class Example(NamedTuple):
    """A picture (C, S, S), or its latents, a caption, and the embedding (m,) if one is needed."""

    picture: Tensor
    text: str
    embedding: Tensor | None = None


@dataclass(frozen=True)
class Latents:
    """Latents of pictures, computed once, with what their captions are drawn from.

    Attributes
    ----------
    pictures : Pictures
    of_folder : Tensor (N, C, h, w)
        Latents of the pictures of the folder.
    scenes : list of Scene
    of_scenes : Tensor (M, C, h, w)
        Latents of the scenes.
    embeddings : Tensor (N + M, m) or None
        What a CLIP makes of the pictures, and of the scenes.
    """

    pictures: Pictures
    of_folder: Tensor
    scenes: list[Scene]
    of_scenes: Tensor
    embeddings: Tensor | None = None

    def draw(self, rng: np.random.Generator) -> Example:
        """The latents of a picture, and a caption."""
        captioned = self.pictures.captioned
        if captioned is None or rng.random() < self.pictures.scenes:
            index, before = int(rng.integers(len(self.scenes))), len(self.of_folder)
            latents, text = self.of_scenes[index], caption(self.scenes[index], rng).text
        else:
            index, before = int(rng.integers(len(captioned))), 0
            latents, text = self.of_folder[index], captioned.caption(index, rng)
        embedding = None if self.embeddings is None else self.embeddings[before + index]
        return Example(latents, text, embedding)


@dataclass(frozen=True)
class Pixels:
    """Pictures as they are.

    Attributes
    ----------
    pictures : Pictures
    """

    pictures: Pictures

    def draw(self, rng: np.random.Generator) -> Example:
        """A picture in [−1, 1], and a caption."""
        picture, text = self.pictures.draw(rng)
        return Example(stacked([picture])[0], text)


def read(
    folder: str | PathLike, config: TextToImageTraining
) -> tuple[Latents | Pixels, Latents | Pixels | None]:
    """The pictures to train on, and those set aside, as latents if there is an autoencoder."""
    size, channels = config.net.size, config.net.unet.channels
    share, count = config.scenes, config.validation
    if config.autoencoder is None:
        pictures, held = read_pictures(folder, share, count, size, channels)
        pictures = coloured(pictures) if config.coloured else pictures
        return Pixels(pictures), None if held is None else Pixels(held)
    net = cast(Autoencoder, weights.load(config.autoencoder, "autoencoder").net)
    check_channels(channels, net.config.latent, f"the latents of {config.autoencoder}")
    size *= net.config.factor
    pictures, held = read_pictures(folder, share, count, size, net.config.channels)
    pictures = coloured(pictures) if config.coloured else pictures
    embedder = None
    if config.embeddings is not None:
        embedder = cast(CLIP, weights.load(config.embeddings, "clip").net)
        if (found := embedder.config.dimension) != config.net.image:
            raise ValueError(
                f"image is {config.net.image}; expected {found}, as the embeddings of "
                f"{config.embeddings} have"
            )
    embed = None if embedder is None else embedder.embed_images
    train = encoded(net.encode, pictures, config.pool, [config.seed, 0], embed)
    if held is None:
        return train, None
    return train, encoded(net.encode, held, min(VALIDATED, config.pool), [config.seed, 1], embed)


def coloured(pictures: Pictures) -> Pictures:
    """Pictures whose captions name their colours now and then."""
    if pictures.captioned is None:
        return pictures
    return replace(pictures, captioned=with_colours(pictures.captioned))


def encoded(
    encode: Callable[[Tensor], Tensor],
    pictures: Pictures,
    count: int,
    seed: list[int],
    embed: Callable[[Tensor], Tensor] | None = None,
) -> Latents:
    """The latents of the pictures of a folder, and of scenes that are drawn, and their embeddings."""
    rng = np.random.default_rng(seed)
    captioned = pictures.captioned
    count = count if captioned is None or pictures.scenes > 0 else 0
    scenes = [draw_scene(rng) for _ in range(count)]
    number = 0 if captioned is None else len(captioned)
    found, embeddings = [], []
    with tqdm(total=number + count, unit="picture", desc="encoding", disable=None) as bar:
        for start_ in range(0, number + count, TOGETHER):
            chosen = range(start_, min(start_ + TOGETHER, number + count))
            batch = [
                captioned.over(i)
                if captioned is not None and i < number
                else render(scenes[i - number], rng, size=pictures.size) / np.float32(255)
                for i in chosen
            ]
            with torch.inference_mode():
                x = stacked(batch)
                found.append(encode(x))
                if embed is not None:
                    embeddings.append(embed(x))
            bar.update(len(batch))
    latents = torch.cat(found)  # outside of the inference mode, whose tensors cannot be trained on
    embedded = torch.cat(embeddings) if embeddings else None
    return Latents(pictures, latents[:number], scenes, latents[number:], embedded)


class VelocityLoss(Loss[TextToImageTraining]):
    """Squared error of the predicted velocity, given a caption or, now and then, none.

    Parameters are those of `Loss`.
    """

    def __init__(self, state: TrainingState, data: Latents | Pixels, rank: int, world: int) -> None:
        super().__init__(state, data, rank, world)
        self.tokeniser = Tokeniser.from_json(self.config.tokeniser)

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, step])
        x0, ids, embedding, t, seed = examples(
            self.config, self.tokeniser, self.data, self.config.batch, rng
        )
        eps = self.noise(x0.shape, seed)[self.share]
        x0, ids, t = x0[self.share].to(self.device), ids[self.share].to(self.device), t[self.share]
        given = () if embedding is None else (embedding[self.share].to(self.device),)
        xt, v = along(x0, t, eps, self.config.schedule)
        found = self.forward(xt, torch.from_numpy(t).float().to(self.device), ids, *given)
        return (found.float() - v).square().mean()


def along(x0: Tensor, t: NDArray, eps: Tensor, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """x_t and its velocity, both shaped like `x0`."""
    signal, noise = shares(t, x0, schedule)
    return signal * x0 + noise * eps, signal * eps - noise * x0


def examples(
    config: TextToImageTraining,
    words: Tokeniser,
    data: Latents | Pixels,
    count: int,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor | None, NDArray, int]:
    """Pictures (B, C, S, S), tokens (B, L), embeddings (B, m), steps (B,), a seed for the noise."""
    drawn = [data.draw(rng) for _ in range(count)]
    dropped = rng.random(count) < config.dropped
    texts = ["" if empty else each.text for each, empty in zip(drawn, dropped, strict=True)]
    t = steps_of(config, count, rng)
    ids = trimmed(words.encode_all(texts))
    seed = int(rng.integers(2**63))
    embedding = None
    if config.embeddings is not None:
        embedding = torch.stack([cast(Tensor, each.embedding) for each in drawn])
        embedding[torch.from_numpy(rng.random(count) < config.embeddings_dropped)] = 0
    return torch.stack([each.picture for each in drawn]), ids, embedding, t, seed


def steps_of(config: TextToImageTraining, count: int, rng: np.random.Generator) -> NDArray:
    """Steps of the diffusion to train on, from 1 to T."""
    if config.median is None:
        share = rng.random(count)
    else:
        odds = config.median / (1 - config.median) * np.exp(rng.standard_normal(count))
        share = odds / (1 + odds)
    return 1 + (config.schedule.T - 1) * share


def score(state: TrainingState, data: Latents | Pixels) -> float:
    """The mean square error of the velocity, on pictures that were set aside, with their captions."""
    net, config = cast(TextToImage, state.averaged), cast(TextToImageTraining, state.config)
    words = Tokeniser.from_json(config.tokeniser)
    whole = replace(config, dropped=0.0, embeddings_dropped=0.0)
    x0, ids, embedding, t, seed = examples(
        whole, words, data, VALIDATED, np.random.default_rng(VALIDATION)
    )
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed))
    xt, v = along(x0, t, eps, config.schedule)
    device, total = next(net.parameters()).device, 0.0
    for part in torch.arange(len(x0)).split(TOGETHER):
        with torch.inference_mode():
            t_part = torch.from_numpy(t).float()[part]
            given = () if embedding is None else (embedding[part].to(device),)
            found = net(xt[part].to(device), t_part.to(device), ids[part].to(device), *given).cpu()
        total += float((found - v[part]).square().mean(dim=(1, 2, 3)).sum())
    return total / len(x0)


def checksum(clip: str) -> str:
    """The checksum of the weights of a CLIP."""
    return weights.load_once(clip, "clip").sha256


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    config = cast(TextToImageTraining, state.config)
    latents = None
    if config.autoencoder is not None:
        latents = weights.load_once(config.autoencoder, "autoencoder").sha256
    model = weights.Model(
        "text-to-image",
        state.averaged,
        Tokeniser.from_json(config.tokeniser),
        config.schedule,
        config.autoencoder,
        latents,
        clip=config.embeddings,
        embeddings=None if config.embeddings is None else checksum(config.embeddings),
    )
    weights.save(path, model)


METHOD = Method(
    PRESETS["latent"],
    read,
    lambda path: weights.load(path, "text-to-image"),
    start,
    VelocityLoss,
    score,
    write,
    "error",
    with_tokeniser,
)
