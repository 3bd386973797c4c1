"""Judges: classifiers trained apart from the networks whose pictures they judge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole
from difffilter.generate.autoencoder import Block

__all__ = ["Judge", "JudgeConfig"]


@dataclass(frozen=True)
class JudgeConfig:
    """Shape of a `Judge`.

    Parameters
    ----------
    questions : tuple of tuple of str
        The possible answers to each question.
    channels : int, default 3
        Channels of a picture.
    widths : tuple of int, default (24, 48, 72)
        Channels of each level, from half of the resolution down.
    blocks : int, default 2
        Residual blocks of each level.
    groups : int, default 8
        Groups of the group normalisation.

    Raises
    ------
    ValueError
        If there is no question, one is a str or has fewer than two answers, a number is below 1, or a
        width is not a multiple of `groups`.
    """

    questions: tuple[tuple[str, ...], ...]
    channels: int = 3
    widths: tuple[int, ...] = (24, 48, 72)
    blocks: int = 2
    groups: int = 8

    def __post_init__(self) -> None:
        if not self.questions or any(isinstance(e, str) or len(e) < 2 for e in self.questions):
            raise ValueError(
                f"questions is {self.questions}; expected one or more tuples of at least two answers"
            )
        # A config read from JSON has lists.
        object.__setattr__(self, "questions", tuple(tuple(each) for each in self.questions))
        object.__setattr__(self, "widths", tuple(self.widths))
        for name in ("channels", "blocks", "groups"):
            check_whole(name, getattr(self, name), least=1)
        if not self.widths or any(w < 1 or w % self.groups for w in self.widths):
            raise ValueError(f"widths is {self.widths}; expected multiples of groups={self.groups}")


class Judge(nn.Module):
    """Answer questions about a picture, each by a choice.

    Parameters
    ----------
    config : JudgeConfig

    Examples
    --------
    >>> import torch
    >>> judge = Judge(JudgeConfig((("cat", "dog"), ("small", "medium", "large"))))
    >>> [logits.shape for logits in judge(torch.zeros(5, 3, 32, 32))]
    [torch.Size([5, 2]), torch.Size([5, 3])]
    """

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * config.channels, widths[0], 3, padding=1),
            *(Block(widths[0], config.groups) for _ in range(config.blocks)),
        ]
        for fine, coarse in pairwise(widths):
            layers.append(nn.Conv2d(fine, coarse, 2, stride=2))
            layers += [Block(coarse, config.groups) for _ in range(config.blocks)]
        self.layers = nn.Sequential(*layers, nn.GroupNorm(config.groups, widths[-1]), nn.SiLU())
        self.answers = nn.ModuleList(
            nn.Linear(widths[-1], len(answers)) for answers in config.questions
        )

    def features(self, x: Tensor) -> Tensor:
        """The features (B, W) of pictures, from which the answers follow linearly."""
        return F.adaptive_avg_pool2d(self.layers(x), 1).flatten(1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of the answers.

        Parameters
        ----------
        x : Tensor (B, channels, H, W)
            Pictures in [−1, 1]; H and W multiples of 2 for each level.

        Returns
        -------
        list of Tensor (B, answers)
            For each question.
        """
        features = self.features(x)
        return [answer(features) for answer in self.answers]
