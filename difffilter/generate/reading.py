"""Scenes read from pictures by a judge, and held to their captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.generate.grammar import Caption, Mention
from difffilter.generate.scenes import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    relation_of,
)

__all__ = ["QUESTIONS", "Reading", "Verdict", "answers_of", "reading_of", "verdict", "windows"]

# The questions of a judge about a cell.
QUESTIONS = (("empty", *COLOURS), SHAPES, SIZES, BACKGROUNDS)

# The answer to a question that does not arise.
NONE = -1

# Height and width, in pixels, of a picture and of the window around a cell's centre.
PICTURE, WINDOW = 64, 32


def windows(picture: NDArray) -> dict[str, NDArray]:
    """The surroundings of each cell's centre.

    Parameters
    ----------
    picture : ndarray (64, 64, C)

    Returns
    -------
    dict of str to ndarray (32, 32, C)
        By the cell's place; pixels beyond the picture repeat its border.

    Raises
    ------
    ValueError
        If the picture is of another size.
    """
    if picture.ndim != 3 or picture.shape[:2] != (PICTURE, PICTURE):
        raise ValueError(f"picture has shape {picture.shape}; expected ({PICTURE}, {PICTURE}, C)")
    half = WINDOW // 2
    wide = np.pad(picture, [(half, half), (half, half), (0, 0)], mode="edge")
    found = {}
    for number, place in enumerate(PLACES):
        top, left = (round(PICTURE * (2 * k + 1) / 6) for k in divmod(number, 3))
        found[place] = wide[top : top + WINDOW, left : left + WINDOW]
    return found


def answers_of(scene: Scene) -> dict[str, tuple[int, int, int, int]]:
    """The right answers to `QUESTIONS` for each cell of a scene, by its place; −1: it does not arise."""
    background = BACKGROUNDS.index(scene.background)
    answers = dict.fromkeys(PLACES, (0, NONE, NONE, background))
    for thing in scene.things:
        answers[thing.place] = (
            1 + COLOURS.index(thing.colour),
            SHAPES.index(thing.shape),
            SIZES.index(thing.size),
            background,
        )
    return answers


@dataclass(frozen=True)
class Reading:
    """A picture, as a judge reads it.

    Attributes
    ----------
    things : tuple of Mention
        The things in it, from the top left to the bottom right.
    background : str
    """

    things: tuple[Mention, ...]
    background: str


def reading_of(answers: Mapping[str, tuple[int, int, int, int]]) -> Reading:
    """The things that the answers for all cells tell of; the background is that of most."""
    things = []
    for place in PLACES:
        colour, shape, size, _ = answers[place]
        if colour > 0:
            things.append(Mention(COLOURS[colour - 1], SHAPES[shape], SIZES[size], place))
    votes = np.bincount([background for *_, background in answers.values()])
    return Reading(tuple(things), BACKGROUNDS[int(votes.argmax())])


@dataclass(frozen=True)
class Verdict:
    """Whether a picture shows what its caption says.

    Attributes
    ----------
    things : bool
        The number of things, and the colour and shape of each.
    sizes, places, background, relation : bool or None
        The other attributes; ``None``: the caption does not state them.
    """

    things: bool
    sizes: bool | None
    places: bool | None
    background: bool | None
    relation: bool | None

    @property
    def joint(self) -> bool:
        """bool: Everything that the caption states."""
        return all(each in (True, None) for each in vars(self).values())


def verdict(reading: Reading, said: Caption) -> Verdict:
    """Hold a reading to a caption.

    Parameters
    ----------
    reading : Reading
    said : Caption

    Returns
    -------
    Verdict
        Where a thing is missing, nothing that is stated about it is right. One too many makes `things`
        wrong, and nothing else.

    Examples
    --------
    >>> said = Caption("a red ring", (Mention("red", "ring", None, None),), None, None)
    >>> verdict(Reading((Mention("red", "ring", "small", "top"),), "plain"), said).joint
    True
    """
    found = [
        next((t for t in reading.things if (t.colour, t.shape) == (m.colour, m.shape)), None)
        for m in said.things
    ]
    right = None not in found and len(reading.things) == len(said.things)

    def all_right(name: str) -> bool | None:
        pairs = [(getattr(m, name), t) for m, t in zip(said.things, found, strict=True)]
        stated = [(word, t) for word, t in pairs if word is not None]
        if not stated:
            return None
        return all(t is not None and getattr(t, name) == word for word, t in stated)

    relation = None
    if said.relation is not None:
        first, second = found
        relation = related(first, second) == said.relation
    background = None if said.background is None else reading.background == said.background
    return Verdict(right, all_right("size"), all_right("place"), background, relation)


def related(first: Mention | None, second: Mention | None) -> str | None:
    """The relation of two things, if both are there and have one."""
    if first is None or second is None or first.place is None or second.place is None:
        return None
    return relation_of(first.place, second.place)
