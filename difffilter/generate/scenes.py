"""Scenes of one or two coloured shapes, on which a small text-to-image model is trained and judged.

A scene says which colour goes with which shape, and which shape is above or left of which, so that a
generated picture can be scored for composition. A fixed fifth of these combinations is held out of
training: a model that draws one of them has learned the parts and put them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from difffilter.checks import check_choice

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "HELD_OUT_PAIRS",
    "HELD_OUT_TRIPLES",
    "PLACES",
    "RELATIONS",
    "SHAPES",
    "SIZES",
    "Scene",
    "Thing",
    "draw_scene",
    "twin",
]

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
SHAPES = ("circle", "square", "triangle", "star", "heart", "ring")
SIZES = ("small", "medium", "large")
# The cells of a 3×3 grid, row by row.
PLACES = (
    *("top left", "top", "top right"),
    *("left", "centre", "right"),
    *("bottom left", "bottom", "bottom right"),
)
BACKGROUNDS = ("plain", "striped", "checked", "dotted", "grainy")
RELATIONS = ("above", "left of")

VALUES = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "place": PLACES}

# A fifth of the 48 pairs of colour and shape: 10, with no colour and no shape in more than two.
HELD_OUT_PAIRS = frozenset((COLOURS[i % 8], SHAPES[i % 6]) for i in range(10))

# A fifth of the 72 triples of shape, relation, shape: 14, 7 for each relation, in which no shape comes
# first more than twice, or second more than twice. Two of the same shape are never held out.
HELD_OUT_TRIPLES = frozenset(
    (SHAPES[i % 6], relation, SHAPES[(i + i // 6 + shift) % 6])
    for relation, shift in zip(RELATIONS, (1, 3), strict=True)
    for i in range(7)
)


@dataclass(frozen=True)
class Thing:
    """A coloured shape in a cell of the picture.

    Attributes
    ----------
    colour : str
        One of `COLOURS`.
    shape : str
        One of `SHAPES`.
    size : str
        One of `SIZES`.
    place : str
        One of `PLACES`.

    Raises
    ------
    ValueError
        If one of them is none of these words.
    """

    colour: str
    shape: str
    size: str
    place: str

    def __post_init__(self) -> None:
        check_choice("colour", self.colour, COLOURS)
        check_choice("shape", self.shape, SHAPES)
        check_choice("size", self.size, SIZES)
        check_choice("place", self.place, PLACES)

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of its place, from 0 to 2."""
        return divmod(PLACES.index(self.place), 3)


@dataclass(frozen=True)
class Scene:
    """One thing, or two of which the first is above or left of the second, on a background.

    Attributes
    ----------
    things : tuple of Thing
    background : str
        One of `BACKGROUNDS`.

    Raises
    ------
    ValueError
        If the background is none of these words, if there are not one or two things, or if two stand
        neither in one column, the first above the second, nor in one row, the first on the left.

    Examples
    --------
    >>> pink = Thing("pink", "ring", "small", "top")
    >>> green = Thing("green", "heart", "large", "bottom")
    >>> Scene((pink, green), "plain").relation
    'above'
    """

    things: tuple[Thing, ...]
    background: str

    def __post_init__(self) -> None:
        check_choice("background", self.background, BACKGROUNDS)
        if len(self.things) not in (1, 2):
            raise ValueError(f"things is a tuple of {len(self.things)}; expected one or two Things")
        if len(self.things) == 2 and self.relation is None:
            places = tuple(thing.place for thing in self.things)
            raise ValueError(
                f"places of the things is {places}; expected the first above the second in one column, "
                "or left of it in one row"
            )

    @property
    def relation(self) -> str | None:
        """The relation of the first thing to the second, one of `RELATIONS`; None for one thing."""
        if len(self.things) == 1:
            return None
        first, second = self.things
        return relation_of(first.place, second.place)

    @property
    def held_out(self) -> tuple[tuple[str, ...], ...]:
        """Its combinations that training never shows.

        Pairs (colour, shape) in `HELD_OUT_PAIRS`, and the triple (shape, relation, shape) if that is in
        `HELD_OUT_TRIPLES`.

        Examples
        --------
        >>> Scene((Thing("red", "circle", "small", "top"),), "plain").held_out
        (('red', 'circle'),)
        """
        pairs = [(thing.colour, thing.shape) for thing in self.things]
        found: list[tuple[str, ...]] = [pair for pair in pairs if pair in HELD_OUT_PAIRS]
        if self.relation is not None:
            triple = (self.things[0].shape, self.relation, self.things[1].shape)
            found += [triple] if triple in HELD_OUT_TRIPLES else []
        return tuple(found)


def relation_of(first: str, second: str) -> str | None:
    """The relation of a place to another, one of `RELATIONS`, if they have one."""
    (row, column), (other_row, other_column) = (
        divmod(PLACES.index(place), 3) for place in (first, second)
    )
    if column == other_column and row < other_row:
        return "above"
    return "left of" if row == other_row and column < other_column else None


def draw_scene(rng: np.random.Generator, *, unseen: bool | None = False) -> Scene:
    """Draw a scene at random.

    One thing or two, each relation and each background are equally likely. Two things differ in
    colour or shape.

    Parameters
    ----------
    rng : numpy.random.Generator
    unseen : bool or None, default False
        False: a scene for training, without held-out combinations. True: a scene for a test of
        composition, with at least one (`Scene.held_out` lists them). None: any scene.

    Returns
    -------
    Scene

    Raises
    ------
    ValueError
        If `unseen` is none of these.

    Examples
    --------
    >>> scene = draw_scene(np.random.default_rng(2), unseen=True)
    >>> scene.things, scene.held_out
    ((Thing(colour='yellow', shape='triangle', size='large', place='top right'),), (('yellow', 'triangle'),))
    """
    if unseen not in (None, False, True):
        raise ValueError(f"unseen is {unseen!r}; expected True, False or None")
    places = draw_places(rng)
    background = pick(BACKGROUNDS, rng)
    while True:
        things = tuple(
            Thing(pick(COLOURS, rng), pick(SHAPES, rng), pick(SIZES, rng), place)
            for place in places
        )
        scene = Scene(things, background)
        alike = len({(thing.colour, thing.shape) for thing in things}) < len(things)
        if not alike and (unseen is None or bool(scene.held_out) == unseen):
            return scene


def draw_places(rng: np.random.Generator) -> tuple[str, ...]:
    """One place, or two in the order of a relation."""
    if rng.integers(2):
        return (pick(PLACES, rng),)
    line = int(rng.integers(3))
    first, second = ((0, 1), (0, 2), (1, 2))[rng.integers(3)]
    if pick(RELATIONS, rng) == "above":
        return PLACES[3 * first + line], PLACES[3 * second + line]
    return PLACES[3 * line + first], PLACES[3 * line + second]


def pick(options: Sequence[str], rng: np.random.Generator) -> str:
    """One of several, at random, and much faster than ``rng.choice``."""
    return options[int(rng.integers(len(options)))]


def twin(scene: Scene, rng: np.random.Generator) -> Scene:
    """A scene for training that differs from another in one word of a full caption.

    In the colour, shape or size of a thing, the place of a single thing, or the background; or two
    things have exchanged their colours or their shapes.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator

    Returns
    -------
    Scene

    Examples
    --------
    >>> scene = Scene((Thing("pink", "ring", "small", "top"),), "plain")
    >>> twin(scene, np.random.default_rng(0)).things
    (Thing(colour='pink', shape='ring', size='small', place='right'),)
    """
    pair = len(scene.things) == 2
    kinds = ("colour", "shape", "size", "background", "exchange" if pair else "place")
    while True:
        kind, things = pick(kinds, rng), list(scene.things)
        if kind == "background":
            found = replace(scene, background=pick(BACKGROUNDS, rng))
        elif kind == "exchange":
            name = pick(("colour", "shape"), rng)
            one, other = (getattr(thing, name) for thing in things)
            things = [replace(things[0], **{name: other}), replace(things[1], **{name: one})]
            found = replace(scene, things=tuple(things))
        else:
            number, values = int(rng.integers(len(things))), VALUES[kind]
            things[number] = replace(things[number], **{kind: pick(values, rng)})
            found = replace(scene, things=tuple(things))
        alike = pair and things[0].colour == things[1].colour and things[0].shape == things[1].shape
        if found != scene and not alike and not found.held_out:
            return found
