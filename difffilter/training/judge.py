"""Train a judge: of the cells of scenes, or of the groups of pictures."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from difffilter.generate import weights
from difffilter.generate.judge import Judge
from difffilter.generate.reading import QUESTIONS, answers_of, windows
from difffilter.generate.rendering import render
from difffilter.generate.scenes import draw_scene
from difffilter.training.autoencoder import stacked, start
from difffilter.training.loss import Loss
from difffilter.training.picture_configs import JudgeTraining
from difffilter.training.pictures import Pictures, read_pictures, vary
from difffilter.training.run import Method
from difffilter.training.state import TrainingState

__all__ = ["METHOD"]

# Pictures of a validation.
VALIDATED = 64

# The answer to a question that does not arise; it is not learned.
NONE = -1


class JudgeLoss(Loss[JudgeTraining]):
    """Cross-entropy of the answers, over the questions that arise.

    Parameters are those of `Loss`.
    """

    def __call__(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.config.seed, step])
        x, answers = examples(self.config, self.data, self.config.batch, rng, varied=True)
        logits = self.forward(x[self.share].to(self.device))
        right = answers[self.share].to(self.device).unbind(dim=1)
        losses = [
            F.cross_entropy(each.float(), answer, ignore_index=NONE)
            for each, answer in zip(logits, right, strict=True)
            if bool((answer != NONE).any())
        ]
        return sum(losses, torch.zeros((), device=self.device))


def examples(
    config: JudgeTraining, data: Pictures, count: int, rng: np.random.Generator, varied: bool
) -> tuple[Tensor, Tensor]:
    """Pictures (count, C, H, W) in [−1, 1], and the right answers (count, questions)."""
    images: list[NDArray] = []
    answers: list[tuple[int, ...]] = []
    while len(images) < count:
        if config.subject == "scenes":
            scene = draw_scene(rng, unseen=None)
            cells, right = windows(render(scene, rng) / np.float32(255)), answers_of(scene)
            # Of the nine cells those with things, and one of the others.
            chosen = [cell for cell in right if right[cell][0]]
            chosen.append(str(rng.choice([cell for cell in right if not right[cell][0]])))
            images += [cells[cell] for cell in chosen]
            answers += [right[cell] for cell in chosen]
        else:
            captioned = data.captioned
            assert captioned is not None  # as `read` made sure
            index = int(rng.integers(len(captioned)))
            images.append(vary(captioned, index, rng) if varied else captioned.over(index))
            answers.append((config.net.questions[0].index(captioned.groups[index]),))
    return stacked(images[:count]), torch.tensor(answers[:count])


def score(state: TrainingState, pictures: Pictures) -> float:
    """The share of right answers, on pictures that were set aside or new scenes."""
    net, config = cast(Judge, state.averaged), cast(JudgeTraining, state.config)
    x, answers = examples(config, pictures, 8 * VALIDATED, np.random.default_rng(0), varied=False)
    with torch.inference_mode():
        logits = net(x.to(next(net.parameters()).device))
    right = [
        (each.argmax(dim=1).cpu() == answer)[answer != NONE].double().mean().item()
        for each, answer in zip(logits, answers.unbind(dim=1), strict=True)
    ]
    return float(np.mean(right))


def with_questions(folder: str | PathLike, config: JudgeTraining) -> JudgeTraining:
    """The settings with the questions that the subject asks."""
    if config.subject == "scenes":
        return replace(config, net=replace(config.net, questions=QUESTIONS))
    captioned = read_pictures(folder, 0.0, 0)[0].captioned
    if captioned is None or not all(captioned.groups):
        raise ValueError(f"not every picture in {folder} has a group; expected one for each")
    groups, channels = tuple(sorted(set(captioned.groups))), captioned.over(0).shape[2]
    return replace(config, net=replace(config.net, questions=(groups,), channels=channels))


def read(folder: str | PathLike, config: JudgeTraining) -> tuple[Pictures, Pictures]:
    """The pictures to train on, and those set aside."""
    size = 32 if config.net.channels == 1 else 64
    return read_pictures(folder, 0.0, config.validation, size)


def write(state: TrainingState, path: str | PathLike) -> None:
    """Write the averaged weights as a weight file."""
    weights.save(path, weights.Model("judge", state.averaged))


METHOD = Method(
    JudgeTraining(),
    read,
    lambda path: weights.load(path, "judge"),
    start,
    JudgeLoss,
    score,
    write,
    "accuracy",
    with_questions,
)
