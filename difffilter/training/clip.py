"""Train a CLIP on pictures and their captions."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from difffilter.generate import weights
from difffilter.generate.clip import CLIP, contrastive_loss
from difffilter.generate.grammar import caption
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene, twin
from difffilter.generate.text import trimmed
from difffilter.generate.tokens import Tokeniser
from difffilter.training.autoencoder import stacked
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import CLIPTraining, Worded, with_vocabulary
from difffilter.training.pictures import VALIDATION, Pictures, read_pictures, tokeniser
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method
from difffilter.training.state import TrainingState

__all__ = ["METHOD", "start", "with_tokeniser"]

# Scenes of a validation, beside the pictures of the folder.
VALIDATED = 64


class ContrastiveLoss(Loss[CLIPTraining]):
    """Cross-entropy between the pictures and the captions of a batch.

    All processes draw the whole batch, and each compares all of it.

    Parameters are those of `Loss`.
    """

    def __init__(self, state: TrainingState, data: Pictures, rank: int, world: int) -> None:
        super().__init__(state, data, rank, world)
        self.tokeniser = Tokeniser.from_json(self.config.tokeniser)

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, step])
        pictures, captions = zip(*batch(self.data, self.config, rng), strict=True)
        x = stacked(list(pictures)).to(self.device, memory_format=torch.channels_last)
        ids = trimmed(self.tokeniser.encode_all(captions)).to(self.device)
        same = (ids[:, None] == ids[None]).all(dim=2)
        images, texts, steepness = self.forward(x, ids)
        return contrastive_loss(images, texts, steepness, same)


def batch(
    data: Pictures, config: CLIPTraining, rng: np.random.Generator
) -> list[tuple[NDArray, str]]:
    """Pictures (S, S, C) in [0, 1] and their captions."""
    found: list[tuple[NDArray, str]] = []
    while len(found) < config.batch:
        if config.twins and rng.random() < config.twins:
            scene = draw_scene(rng)
            for each in (scene, twin(scene, rng)):
                picture = render(each, rng, size=data.size) / np.float32(255)
                found.append((picture, caption(each, rng, stated=1.0).text))
        else:
            found.append(data.draw(rng, varied=True, turned=True))
    return found[: config.batch]


def score(state: TrainingState, pictures: Pictures) -> float:
    """The share of pictures, set aside or scenes, whose caption is nearer than those of the others."""
    net, config = cast(CLIP, state.averaged), cast(CLIPTraining, state.config)
    words, device = Tokeniser.from_json(config.tokeniser), next(net.parameters()).device
    recalls = []
    for images, captions in examples(pictures):
        with torch.inference_mode():
            cosines = (
                net.embed_images(images.to(device))
                @ net.embed_texts(trimmed(words.encode_all(captions)).to(device)).T
            )
        nearest = cosines.argmax(dim=1).tolist()
        recalls.append(np.mean([captions[i] == captions[k] for i, k in enumerate(nearest)]))
    return float(np.mean(recalls))


def examples(pictures: Pictures) -> list[tuple[Tensor, list[str]]]:
    """Pictures of the folder with their labels, and scenes with captions."""
    found = []
    if pictures.captioned is not None:
        labels = list(pictures.captioned.labels)
        images = [pictures.captioned.over(index) for index in range(len(labels))]
        found.append((stacked(images), labels))
    if pictures.scenes > 0:
        rng = np.random.default_rng(VALIDATION)
        scenes = replace(pictures, scenes=1.0)
        drawn = [scenes.draw(rng) for _ in range(VALIDATED)]
        found.append((stacked([image for image, _ in drawn]), [text for _, text in drawn]))
    return found


def read(folder: str | PathLike, config: CLIPTraining) -> tuple[Pictures, Pictures | None]:
    """The pictures to train on, and those set aside."""
    return read_pictures(folder, config.scenes, config.validation, config.net.size)


def with_tokeniser(folder: str | PathLike, config: Worded) -> Worded:
    """The settings with a vocabulary: their own, or one made from the captions."""
    words, text = config.tokeniser, config.net.text
    if not words:
        words = tokeniser(folder, config.scenes, text.vocabulary, text.length).to_json()
    return with_vocabulary(config, words)


def start(state: TrainingState, init: weights.Model) -> None:
    """Start a run from trained weights; a token that both vocabularies have keeps its vector."""
    mine, theirs = (
        {token: number for number, token in enumerate(words.vocabulary)}
        for words in (
            Tokeniser.from_json(cast(CLIPTraining, state.config).tokeniser),
            cast(Tokeniser, init.tokeniser),
        )
    )
    shared = [token for token in mine if token in theirs]
    rows, given = ([numbers[token] for token in shared] for numbers in (mine, theirs))
    vectors = [cast(CLIP, net).text.tokens.weight for net in (state.net, state.averaged)]
    fresh = [each.detach().clone() for each in vectors]
    state.start_from(init.net)
    learned = cast(CLIP, init.net).text.tokens.weight
    with torch.no_grad():
        for each, before in zip(vectors, fresh, strict=True):
            if before.shape[1] == learned.shape[1]:
                before[rows] = learned[given].to(before)
            each.copy_(before)


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    config = cast(CLIPTraining, state.config)
    words = Tokeniser.from_json(config.tokeniser)
    weights.save(path, weights.Model("clip", state.averaged, words))


METHOD = Method(
    PRESETS["clip"],
    read,
    lambda path: weights.load(path, "clip"),
    start,
    ContrastiveLoss,
    score,
    write,
    "recall",
    with_tokeniser,
)
