"""Train a judge: of the cells of scenes, or of the groups of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from difffilter.generate import weights
from difffilter.generate.captioned import Captioned, is_fashion, read_captions
from difffilter.generate.judge import Judge
from difffilter.generate.reading import QUESTIONS, answers_of, windows
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.training.autoencoder import stacked, start
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import JudgeTraining
from difffilter.training.pictures import SCENES, VALIDATION, Pictures, read_pictures, vary
from difffilter.training.presets import PRESETS
from difffilter.training.run import Method
from difffilter.training.state import TrainingState

__all__ = ["METHOD"]

# Cells of scenes of a validation.
VALIDATED = 512

# The answer to a question that does not arise; it is not learned.
NONE = -1


class JudgeLoss(Loss[JudgeTraining]):
    """Cross-entropy of the answers, over the questions that arise.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        rng, count = np.random.default_rng([self.config.seed, step]), self.config.batch
        captioned = self.data.captioned
        if captioned is None:
            x, answers = of_scenes(count, rng)
        else:
            chosen = rng.integers(len(captioned), size=count).tolist()
            images = [vary(captioned, index, rng, recoloured=True) for index in chosen]
            x, answers = stacked(images), of_groups(self.config, captioned, chosen)
        logits = self.forward(x[self.share].to(self.device))
        right = answers[self.share].to(self.device).unbind(dim=1)
        # Means over the answers that there are, and 0 without any, where `reduction="mean"` is NaN.
        losses = [
            F.cross_entropy(each.float(), answer, ignore_index=NONE, reduction="sum")
            / (answer != NONE).sum().clamp(min=1)
            for each, answer in zip(logits, right, strict=True)
        ]
        return torch.stack(losses).sum()


def of_scenes(count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Cells of scenes (count, 3, 32, 32) in [−1, 1], and the right answers (count, questions).

    Of the nine cells of a scene those with things, and one of the others.
    """
    images: list[NDArray] = []
    answers: list[tuple[int, ...]] = []
    while len(images) < count:
        scene = draw_scene(rng, unseen=None)
        cells, right = windows(render(scene, rng) / np.float32(255)), answers_of(scene)
        chosen = [cell for cell in right if right[cell][0]]
        chosen.append(str(rng.choice([cell for cell in right if not right[cell][0]])))
        images += [cells[cell] for cell in chosen]
        answers += [right[cell] for cell in chosen]
    return stacked(images[:count]), torch.tensor(answers[:count])


def of_groups(config: JudgeTraining, captioned: Captioned, chosen: Sequence[int]) -> Tensor:
    """The numbers (N, 1) of the groups of some pictures."""
    (groups,) = config.net.questions
    return torch.tensor([[groups.index(captioned.groups[index])] for index in chosen])


def score(state: TrainingState, pictures: Pictures) -> float:
    """The share of right answers, on pictures that were set aside or new scenes."""
    net, config = cast(Judge, state.averaged), cast(JudgeTraining, state.config)
    captioned = pictures.captioned
    if captioned is None:
        x, answers = of_scenes(VALIDATED, np.random.default_rng(VALIDATION))
    else:
        every = range(len(captioned))
        x = stacked([captioned.over(index) for index in every])
        answers = of_groups(config, captioned, every)
    with torch.inference_mode():
        logits = net(x.to(next(net.parameters()).device))
    right = [
        (each.argmax(dim=1).cpu() == answer)[answer != NONE].double().mean().item()
        for each, answer in zip(logits, answers.unbind(dim=1), strict=True)
    ]
    return float(np.mean(right))


def with_questions(folder: str | PathLike, config: JudgeTraining) -> JudgeTraining:
    """The settings with the questions that the subject asks, and the channels of its pictures."""
    if config.subject == "scenes":
        return replace(config, net=replace(config.net, questions=QUESTIONS, channels=3))
    groups = {""} if str(folder) == SCENES else set(read_captions(folder).groups)
    if "" in groups:
        raise ValueError(
            f"subject is 'groups'; expected 'scenes', as not every picture in {folder} has a group"
        )
    channels = 1 if is_fashion(Path(folder)) else 3
    net = replace(config.net, questions=(tuple(sorted(groups)),), channels=channels)
    return replace(config, net=net)


def read(folder: str | PathLike, config: JudgeTraining) -> tuple[Pictures, Pictures | None]:
    """The pictures to train on, and those set aside; for scenes, whatever the folder."""
    if config.subject == "scenes":
        return read_pictures(SCENES, 1.0, 0)
    (groups,), channels = config.net.questions, config.net.channels
    size = 32 if channels == 1 else 64
    train, held = read_pictures(folder, 0.0, config.validation, size, channels)
    found = () if train.captioned is None else train.captioned.groups
    found += () if held is None or held.captioned is None else held.captioned.groups
    if not set(found) <= set(groups) or not found:  # another folder than that of the run
        raise ValueError(
            f"groups in {folder} is {', '.join(sorted(set(found))) or 'none'}; expected some of "
            f"{', '.join(groups)}"
        )
    return train, held


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    weights.save(path, weights.Model("judge", state.averaged))


METHOD = Method(
    PRESETS["judge-scenes"],
    read,
    lambda path: weights.load(path, "judge"),
    start,
    JudgeLoss,
    score,
    write,
    "accuracy",
    with_questions,
)
