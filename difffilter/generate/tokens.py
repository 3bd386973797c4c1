"""Captions as token ids: byte-pair encoding (Sennrich, Haddow & Birch 2016), as in CLIP.

A word begins as its characters, the last of them with an end-of-word mark, ``</w>``. Training joins
the most frequent pair of neighbouring tokens, again and again, until frequent words are one token
and rare ones a few pieces.
"""

from __future__ import annotations

import json
import math
import reprlib
import string
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_whole

__all__ = ["END", "PAD", "START", "Tokeniser", "normalise"]

PAD, START, END = range(3)
SPECIAL = ("<pad>", "<start>", "<end>")
ALPHABET = string.ascii_lowercase + string.digits
MARK = "</w>"
BASE = (*SPECIAL, *ALPHABET, *(character + MARK for character in ALPHABET))

# Categories of Unicode. Emoji (So) are in neither set, so that `unknown` reports them.
PUNCTUATION = {"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm"}
ACCENTS = {"Mn", "Me", "Cc", "Cf", "Cs"}  # with invisible characters

Pair = tuple[str, str]


@dataclass(frozen=True)
class Tokeniser:
    """Turns a caption into a fixed number of token ids, and back.

    Parameters
    ----------
    merges : tuple of tuple of (str, str)
        Pairs of tokens that become one, in the order in which they were learned.
    length : int, default 32
        Number of ids of an encoded text, the start and end tokens included.
    words : tuple of str, default ()
        Words seen in training, for `unknown`.

    Raises
    ------
    ValueError
        If a merge is not of two earlier tokens within a word or makes a token that exists, `length`
        is below 3, or a word has characters other than a–z and 0–9.

    References
    ----------
    Sennrich, Haddow & Birch, "Neural machine translation of rare words with subword units", ACL 2016.
    Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.

    Examples
    --------
    >>> tokeniser = Tokeniser.train(["a red cat", "a red dog", "a black cat"], length=8)
    >>> ids = tokeniser.encode("A red, red cat!")
    >>> [tokeniser.vocabulary[i] for i in ids]
    ['<start>', 'a</w>', 'red</w>', 'red</w>', 'cat</w>', '<end>', '<pad>', '<pad>']
    >>> tokeniser.decode(ids)
    'a red red cat'
    >>> tokeniser.unknown("a pink cat")
    ['pink']
    """

    merges: tuple[Pair, ...]
    length: int = 32
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_whole("length", self.length, least=3)
        known = set(BASE) - set(SPECIAL)
        for i, pair in enumerate(self.merges):
            if not (
                isinstance(pair, tuple)
                and len(pair) == 2
                and known.issuperset(pair)
                and not pair[0].endswith(MARK)
                and "".join(pair) not in known
            ):
                raise ValueError(
                    f"merges[{i}] is {reprlib.repr(pair)}; expected two earlier tokens of one word "
                    "that make a new one"
                )
            known.add("".join(pair))
        for i, word in enumerate(self.words):
            if not (isinstance(word, str) and word and set(word) <= set(ALPHABET)):
                raise ValueError(
                    f"words[{i}] is {reprlib.repr(word)}; expected a word of a–z and 0–9"
                )

    @classmethod
    def train(cls, captions: Iterable[str], size: int = 1024, length: int = 32) -> Tokeniser:
        """Learn the merges from captions; their order does not matter.

        Parameters
        ----------
        captions : iterable of str
        size : int, default 1024
            Limit of the size of the vocabulary, at least 75: special tokens and characters. The
            vocabulary is smaller if the captions run out of pairs that occur twice.
        length : int, default 32
            Number of ids of an encoded text.

        Returns
        -------
        Tokeniser

        Raises
        ------
        TypeError
            If `captions` is one str, or has an element that is not a str.
        ValueError
            If no caption has a word of a–z and 0–9, or `size` or `length` is too small.
        """
        check_whole("size", size, least=len(BASE))
        _check_several("captions", captions)
        frequency = Counter(word for text in captions for word in normalise(text).split())
        if not frequency:
            raise ValueError(
                f"captions is {reprlib.repr(captions)}; expected texts with words of a–z and 0–9"
            )
        merges = _learn(frequency, size - len(BASE))
        return cls(merges, length, tuple(sorted(frequency)))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Tokens in the order of their ids: pad, start, end; characters; merges.

        There are 36 characters within a word, a–z and 0–9, and the same 36 with the mark ``</w>`` at
        the end of one.
        """
        return (*BASE, *(first + second for first, second in self.merges))

    def encode(self, text: str) -> NDArray[np.int64]:
        """Token ids of a text.

        Parameters
        ----------
        text : str
            Normalised first, see `normalise`. The end of a text that is too long is cut off
            without a warning, as by CLIP's ``truncate=True``; `truncated` returns that end.

        Returns
        -------
        int64 ndarray (length,)
            The start token (1), at most ``length - 2`` tokens, the end token (2), and padding (0).

        Raises
        ------
        TypeError
            If `text` is not a str.
        """
        ids = [START, *self._ids(text)[: self.length - 2], END]
        return np.array(ids + [PAD] * (self.length - len(ids)), dtype=np.int64)

    def encode_all(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Token ids of several texts, each as by `encode`.

        Parameters
        ----------
        texts : sequence of str, of length N

        Returns
        -------
        int64 ndarray (N, length)

        Raises
        ------
        TypeError
            If `texts` is one str, or has an element that is not a str.
        """
        _check_several("texts", texts)
        ids = np.empty((len(texts), self.length), dtype=np.int64)
        for row, text in zip(ids, texts, strict=True):
            row[:] = self.encode(text)
        return ids

    def decode(self, ids: ArrayLike) -> str:
        """The normalised text of token ids; start, end and padding are left out.

        Parameters
        ----------
        ids : array_like of int (n,)

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If `ids` does not have one dimension, or an element is not the id of a token.
        """
        array, last = np.asarray(ids), len(self.vocabulary) - 1
        if array.ndim != 1:
            raise ValueError(f"ids has shape {array.shape}; expected one dimension")
        given = array.tolist()
        for i, id in enumerate(given):
            if not isinstance(id, int) or not 0 <= id <= last:
                raise ValueError(f"ids[{i}] is {id!r}; expected a whole number from 0 to {last}")
        return self._text(id for id in given if id >= len(SPECIAL))

    def truncated(self, text: str) -> str:
        """The normalised end of a text that `encode` cuts off; empty if the text fits.

        The cut may be inside a word.

        Parameters
        ----------
        text : str

        Returns
        -------
        str

        Raises
        ------
        TypeError
            If `text` is not a str.

        Examples
        --------
        >>> Tokeniser.train(["a cat and a cat and"], length=5).truncated("A cat and a cat")
        'a cat'
        """
        return self._text(self._ids(text)[self.length - 2 :])

    def unknown(self, text: str) -> list[str]:
        """Words of a text that are not among those of training, each once, in order.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of str
            In lower case, with their accents. A word with a character that `normalise` drops is
            always listed.

        Raises
        ------
        TypeError
            If `text` is not a str.

        Examples
        --------
        >>> Tokeniser.train(["a cat in a cafe"]).unknown("A Zèbre (a zèbre!) in a café, 猫 cat")
        ['zèbre', '猫']
        """
        spelled = {word: _without_accents(word) for word in _split(text)}
        return [word for word, plain in spelled.items() if plain and plain not in self._known]

    def to_json(self) -> str:
        """The tokeniser as JSON, for the metadata of a weight file.

        Returns
        -------
        str
            An object of ``length``, ``merges`` (strings of two tokens) and ``words`` (one string).
        """
        merges = [" ".join(pair) for pair in self.merges]
        return json.dumps({"length": self.length, "merges": merges, "words": " ".join(self.words)})

    @classmethod
    def from_json(cls, text: str) -> Tokeniser:
        """The tokeniser that `to_json` wrote.

        Parameters
        ----------
        text : str

        Returns
        -------
        Tokeniser

        Raises
        ------
        ValueError
            If `text` is not JSON, or not that of a tokeniser.

        Examples
        --------
        >>> tokeniser = Tokeniser.train(["a red cat", "a red dog"])
        >>> Tokeniser.from_json(tokeniser.to_json()) == tokeniser
        True
        """
        try:
            fields = json.loads(text)
            length, merges, words = fields["length"], fields["merges"], fields["words"]
            merges = tuple(tuple(merge.split(" ")) for merge in merges)
            words = tuple(words.split())
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise ValueError(
                f"text is {reprlib.repr(text)}; expected the JSON of a tokeniser: length, merges, words"
            ) from None
        return cls(merges, length, words)

    @cached_property
    def _rank(self) -> dict[Pair, int]:
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def _id(self) -> dict[str, int]:
        return {token: id for id, token in enumerate(self.vocabulary)}

    @cached_property
    def _known(self) -> dict[str, list[int]]:
        """Ids of the words of training, which most texts consist of: computed once."""
        return {word: self._ids_of_word(word) for word in self.words}

    def _ids_of_word(self, word: str) -> list[int]:
        tokens = _characters(word)
        while len(tokens) > 1:
            # The earliest merge first: the order in which training applied them.
            pair = min(pairwise(tokens), key=lambda pair: self._rank.get(pair, math.inf))
            if pair not in self._rank:
                break
            tokens = _merge(tokens, pair)
        return [self._id[token] for token in tokens]

    def _ids(self, text: str) -> list[int]:
        """Ids of a text of any length, without start, end and padding."""
        ids: list[int] = []
        for word in normalise(text).split():
            ids += self._known.get(word) or self._ids_of_word(word)
        return ids

    def _text(self, ids: Iterable[int]) -> str:
        return "".join(self.vocabulary[id] for id in ids).replace(MARK, " ").strip()


def normalise(text: str) -> str:
    """Reduce a text to words of a–z and 0–9 with single spaces between them.

    Compatibility forms are replaced (NFKC), case is folded, accents are stripped, and punctuation,
    currency and mathematical signs become spaces. Any other character is dropped.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Raises
    ------
    TypeError
        If `text` is not a str.

    Examples
    --------
    >>> normalise(" A light-blue CAFÉ № ２, 猫")
    'a light blue cafe no 2'
    """
    plain = _without_accents(" ".join(_split(text)))
    foreign = {ord(c): None for c in set(plain).difference(ALPHABET, " ")}
    return " ".join(plain.translate(foreign).split())


def _split(text: str) -> list[str]:
    """Words in lower case, still with their accents and the letters of other alphabets."""
    if not isinstance(text, str):
        raise TypeError(f"text is {reprlib.repr(text)}; expected a str")
    text = unicodedata.normalize("NFKC", text).casefold()
    return _replace(text, PUNCTUATION, " ").split()


def _without_accents(text: str) -> str:
    # NFKD writes an accent as a character of its own, behind its letter.
    return _replace(unicodedata.normalize("NFKD", text), ACCENTS, None)


def _replace(text: str, categories: set[str], by: str | None) -> str:
    return text.translate({ord(c): by for c in set(text) if unicodedata.category(c) in categories})


def _characters(word: str) -> list[str]:
    return [*word[:-1], word[-1] + MARK]


def _merge(tokens: list[str], pair: Pair) -> list[str]:
    """Join each occurrence of a pair of neighbours, from the left."""
    merged: list[str] = []
    for token in tokens:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged


def _learn(frequency: Mapping[str, int], number: int) -> tuple[Pair, ...]:
    """At most `number` merges, each of the most frequent pair; of equals, the first in the alphabet."""
    spelling = {word: _characters(word) for word in frequency}
    counts: Counter[Pair] = Counter()
    words_with = defaultdict(set)  # a word stays listed when it has lost the pair

    def count(word: str, times: int) -> None:
        for pair in pairwise(spelling[word]):
            counts[pair] += times
            words_with[pair].add(word)

    for word, times in frequency.items():
        count(word, times)
    merges: list[Pair] = []
    # A pair that occurs once says nothing about other captions.
    while len(merges) < number and (most := max(counts.values(), default=0)) > 1:
        best = min(pair for pair, times in counts.items() if times == most)
        merges.append(best)
        for word in words_with.pop(best):
            count(word, -frequency[word])
            spelling[word] = _merge(spelling[word], best)
            count(word, frequency[word])
    return tuple(merges)


def _check_several(name: str, texts: Any) -> None:
    if isinstance(texts, str):
        raise TypeError(f"{name} is {reprlib.repr(texts)}; expected several texts, not one")
