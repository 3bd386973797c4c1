"""The settings that every training run has, and what a resumed run may change."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import nn

from difffilter.checks import check_choice, check_number, check_whole

__all__ = ["RunConfig", "check_init", "check_unchanged", "learning_rate"]

PRECISIONS = ("auto", "bfloat16", "float32")

# The end of errors about what contradicts a run.
RESUMED = "as in the run that is resumed, of which only steps can change"

# Characters of a text in a message.
LONGEST = 200


class RunConfig(ABC):
    """The settings that every run has, and the network that it trains.

    Attributes
    ----------
    method : str
        The method of the catalog that uses the weights.
    kind : str
        The name of these settings in a checkpoint; a method may have several kinds of networks.
    adam_most, adam_decay : float
        Of the weights that are not matrices: the highest peak of the learning rate, and the weight
        decay.
    """

    method: ClassVar[str]
    kind: ClassVar[str]
    adam_most: ClassVar[float] = math.inf
    adam_decay: ClassVar[float] = 0.01

    steps: int
    batch: int
    learning_rate: float
    warmup: int
    ema: float
    clip: float
    validation: int
    validate_every: int
    precision: str
    seed: int

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "validate_every"):
            check_whole(name, getattr(self, name), least=1)
        check_number("learning_rate", self.learning_rate, above=0)
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def batches(self) -> set[int]:
        """The sizes of the batches of a run."""
        return {self.batch}

    @property
    def adam_rate(self) -> float:
        """The peak learning rate of the weights that are not matrices."""
        return min(self.learning_rate, self.adam_most)

    def completed(self, saved: RunConfig) -> RunConfig:
        """These settings, with what they leave open as in the run that is resumed."""
        return self

    @abstractmethod
    def network(self) -> nn.Module:
        """A network with random weights."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: dict[str, Any]) -> RunConfig:
        """The inverse of `dataclasses.asdict`."""


def check_unchanged(given: Mapping[str, Any], saved: RunConfig) -> None:
    """Raise an error for settings that contradict those of the run that is resumed.

    Parameters
    ----------
    given : mapping of str to Any
        Fields of a config; those that are missing contradict nothing.
    saved : RunConfig
        That of the run.

    Raises
    ------
    ValueError
        If one of them differs; the message names all that do.

    Examples
    --------
    >>> from difffilter.training.photo_configs import TrainingConfig
    >>> check_unchanged({"batch": 4}, TrainingConfig(batch=2))
    Traceback (most recent call last):
    ValueError: batch is 4; expected 2, as in the run that is resumed, of which only steps can change
    """
    wrong = [
        f"{name} is {shown(value)}; expected {shown(getattr(saved, name))}"
        for name, value in given.items()
        if value != getattr(saved, name)
    ]
    if wrong:
        raise ValueError(f"{'; '.join(wrong)}, {RESUMED}")


def shown(value: Any) -> str:
    """A value in a message; of a long text, such as a vocabulary, the beginning."""
    return (
        f"{value[:LONGEST]}..." if isinstance(value, str) and len(value) > LONGEST else str(value)
    )


def check_init(given: Mapping[str, str], saved: Mapping[str, str] | None) -> None:
    """Raise an error for initial weights that are not those of the run that is resumed.

    Parameters
    ----------
    given : mapping of str to str
        Their ``name`` and ``sha256``.
    saved : mapping of str to str, or None
        Those of the run: empty if they were random, ``None`` if it is not known.

    Raises
    ------
    ValueError
        If the checksums differ.

    Examples
    --------
    >>> check_init({"name": "natural-gray", "sha256": "4fd1"}, {})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: init is natural-gray (sha256 4fd1); expected none, as in the run that is resumed...
    """
    if saved is not None and given["sha256"] != saved.get("sha256"):
        shown, expected = (
            f"{weights['name']} (sha256 {weights['sha256'][:12]})" if weights else "none"
            for weights in (given, saved)
        )
        raise ValueError(f"init is {shown}; expected {expected}, {RESUMED}")


def learning_rate(config: RunConfig, step: int) -> float:
    """Learning rate of the step that follows `step` finished ones: warm-up, then a cosine to 0."""
    warm = min(1, (step + 1) / max(config.warmup, 1))
    return config.learning_rate * warm * (1 + math.cos(math.pi * step / config.steps)) / 2
