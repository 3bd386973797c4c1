"""Words of a similar meaning, in place of those that a model does not know."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from numpy.typing import NDArray

from difffilter.generate.tokens import Tokeniser, normalise
from difffilter.io.weights import read

__all__ = ["in_known_words", "nearest"]

TABLE = Path(__file__).with_name("neighbours.safetensors")


@lru_cache(maxsize=1)
def table() -> tuple[dict[str, int], list[str], NDArray]:
    """Words and their numbers, and the numbers (N, 32) of the words nearest to each."""
    metadata, arrays = read(TABLE)
    words = metadata["words"].split()
    return {word: number for number, word in enumerate(words)}, words, arrays["neighbours"]


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that is nearest in meaning to another.

    Parameters
    ----------
    word : str
        In lower case.
    known : collection of str

    Returns
    -------
    str or None
        The nearest of the 32 words that a sentence encoder puts next to `word`, of 21 000 English
        words; ``None`` if none of them is known, or `word` is not among those.

    References
    ----------
    Wang et al., "MiniLM: deep self-attention distillation for task-agnostic compression of
    pre-trained transformers", NeurIPS 2020.

    Examples
    --------
    >>> nearest("huge", {"small", "big", "red"}), nearest("huge", {"red"})
    ('big', None)
    """
    numbers, words, neighbours = table()
    if word not in numbers:
        return None
    return next((words[k] for k in neighbours[numbers[word]].tolist() if words[k] in known), None)


def in_known_words(text: str, tokeniser: Tokeniser) -> str:
    """A text, with `nearest` in place of words that no caption of a model's training had.

    Parameters
    ----------
    text : str
    tokeniser : Tokeniser
        Of the model.

    Returns
    -------
    str
        Normalised; a word without a neighbour that is known stays.

    Examples
    --------
    >>> in_known_words("A HUGE red cat", Tokeniser.train(["a big red cat"]))
    'a big red cat'
    """
    known = set(tokeniser.words)
    return " ".join(
        word if word in known else nearest(word, known) or word for word in normalise(text).split()
    )
