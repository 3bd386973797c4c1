"""Train the prior of unCLIP on the embeddings of pictures and their captions."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.ddpm.process import add_noise
from difffilter.generate import weights
from difffilter.generate.clip import CLIP
from difffilter.generate.prior import Prior
from difffilter.generate.text import trimmed
from difffilter.generate.tokens import Tokeniser
from difffilter.training.autoencoder import start
from difffilter.training.loss import Loss
from difffilter.training.pictures import VALIDATION, read_pictures
from difffilter.training.presets import PRESETS
from difffilter.training.prior_config import PriorTraining
from difffilter.training.run import Method
from difffilter.training.state import TrainingState
from difffilter.training.text_to_image import VALIDATED, Latents, encoded

__all__ = ["METHOD"]


class PriorLoss(Loss[PriorTraining]):
    """Squared error of the predicted embedding, given a caption or, now and then, none.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, step])
        x0, ids, text, t, seed = examples(self.config, self.data, self.config.batch, rng)
        eps = self.noise(x0.shape, seed)[self.share]
        x0, ids, text = (each[self.share].to(self.device) for each in (x0, ids, text))
        t = t[self.share]
        xt = add_noise(x0, t, eps, self.config.schedule)
        found = self.forward(xt, torch.from_numpy(t).float().to(self.device), ids, text)
        return (found.float() - x0).square().mean()


def examples(
    config: PriorTraining, data: Latents, count: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, NDArray, int]:
    """x_0 (B, m), tokens (B, L), embeddings of texts (B, m), steps (B,), and a seed for the noise."""
    model = weights.load_once(config.embeddings, "clip")
    drawn = [data.draw(rng) for _ in range(count)]
    dropped = rng.random(count) < config.dropped
    texts = ["" if empty else each.text for each, empty in zip(drawn, dropped, strict=True)]
    ids = trimmed(cast(Tokeniser, model.tokeniser).encode_all(texts))
    with torch.no_grad():
        text = cast(CLIP, model.net).embed_texts(ids)
    x0 = config.net.dimension**0.5 * torch.stack([each.picture for each in drawn])
    return x0, ids, text, rng.uniform(1, config.schedule.T, count), int(rng.integers(2**63))


def score(state: TrainingState, data: Latents) -> float:
    """The mean square error of x_0, on pictures that were set aside, with their captions."""
    net, config = cast(Prior, state.averaged), cast(PriorTraining, state.config)
    x0, ids, text, t, seed = examples(
        replace(config, dropped=0.0), data, VALIDATED, np.random.default_rng(VALIDATION)
    )
    eps = torch.randn(x0.shape, generator=torch.Generator().manual_seed(seed))
    xt = add_noise(x0, t, eps, config.schedule)
    device = next(net.parameters()).device
    with torch.inference_mode():
        found = net(
            *(each.to(device) for each in (xt, torch.from_numpy(t).float(), ids, text))
        ).cpu()
    return float((found - x0).square().mean())


def read(folder: str | PathLike, config: PriorTraining) -> tuple[Latents, Latents | None]:
    """The embeddings of the pictures to train on, and of those set aside."""
    net = cast(CLIP, weights.load(config.embeddings, "clip").net)
    pictures, held = read_pictures(folder, config.scenes, config.validation, net.config.size)
    train = encoded(net.embed_images, pictures, config.pool, [config.seed, 0])
    if held is None:
        return train, None
    count = min(VALIDATED, config.pool)
    return train, encoded(net.embed_images, held, count, [config.seed, 1])


def with_clip(folder: str | PathLike, config: PriorTraining) -> PriorTraining:
    """The settings with the vocabulary, and the size of the embeddings, of their CLIP."""
    theirs = cast(CLIP, weights.load(config.embeddings, "clip").net).config
    text = replace(config.net.text, vocabulary=theirs.text.vocabulary, length=theirs.text.length)
    return replace(config, net=replace(config.net, text=text, dimension=theirs.dimension))


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    config = cast(PriorTraining, state.config)
    clip = weights.load_once(config.embeddings, "clip")
    model = weights.Model(
        "prior", state.averaged, clip.tokeniser, config.schedule,
        clip=config.embeddings, embeddings=clip.sha256,
    )  # fmt: skip
    weights.save(path, model)


METHOD = Method(
    PRESETS["prior"],
    read,
    lambda path: weights.load(path, "prior"),
    start,
    PriorLoss,
    score,
    write,
    "error",
    with_clip,
)
