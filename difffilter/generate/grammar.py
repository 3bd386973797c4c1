"""Captions of scenes, from a small grammar that says the same in many ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from difffilter.generate.scenes import Scene, pick

__all__ = ["SYNONYMS", "WITHHELD", "Caption", "Mention", "caption"]

# The two ends of each relation.
CONVERSE = {"above": "below", "left of": "right of"}

# All that can be said in more than one way; the other words of a scene are used as they are.
SYNONYMS = {
    "small": ("small", "little"),
    "medium": ("medium", "medium sized"),
    "large": ("large", "big"),
    "circle": ("circle", "disc"),
    "top left": ("at the top left", "in the top left corner", "in the upper left corner"),
    "top": ("at the top", "at the top centre", "at the top center"),
    "top right": ("at the top right", "in the top right corner", "in the upper right corner"),
    "left": ("on the left", "at the left", "on the left side"),
    "centre": ("in the centre", "in the center", "in the middle"),
    "right": ("on the right", "at the right", "on the right side"),
    "bottom left": ("at the bottom left", "in the bottom left corner", "in the lower left corner"),
    "bottom": ("at the bottom", "at the bottom centre", "at the bottom center"),
    "bottom right": (
        "at the bottom right",
        "in the bottom right corner",
        "in the lower right corner",
    ),
    "striped": ("striped", "stripy"),
    "checked": ("checked", "checkered"),
    "dotted": ("dotted", "spotted"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
}

# Synonyms that captions for training never use, so that an encoder can be tested on unseen words.
WITHHELD = {"small": "tiny", "large": "huge", "circle": "disk", "below": "beneath"}


class Mention(NamedTuple):
    """The attributes of a thing that a caption states, in the words of `Thing`; None: not stated."""

    colour: str
    shape: str
    size: str | None
    place: str | None


@dataclass(frozen=True)
class Caption:
    """A sentence about a scene, and what it states: all that a picture of it can be held to.

    Attributes
    ----------
    text : str
        At most 25 lower-case words with single spaces between them, no punctuation.
    things : tuple of Mention
        In the scene's order, not the sentence's.
    relation : str or None
        Of the first of `things` to the second: above or left of, even where the sentence says below
        or right of. None for one thing.
    background : str or None
        None: not stated.
    """

    text: str
    things: tuple[Mention, ...]
    relation: str | None
    background: str | None


def caption(
    scene: Scene, rng: np.random.Generator, *, stated: float = 0.5, withheld: bool = False
) -> Caption:
    """Describe a scene in a sentence drawn from the grammar.

    Colours, shapes and the relation are always stated. The size of a thing (medium as well as the
    others), the background and the place of a single thing are stated half the time; of two things,
    the one named last has its place stated half as often, and the other never.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
    stated : float, default 0.5
        How often these are stated, from 0 to 1.
    withheld : bool, default False
        False: only synonyms in `SYNONYMS`. True: those in `WITHHELD` for all that has one; nothing else
        changes, so that the same seed gives the same sentence but for these words.

    Returns
    -------
    Caption

    Examples
    --------
    >>> from difffilter.generate.scenes import Thing
    >>> pink = Thing("pink", "ring", "small", "top")
    >>> scene = Scene((pink, Thing("green", "heart", "large", "bottom")), "striped")
    >>> said = caption(scene, np.random.default_rng(2))
    >>> said.text
    'a green heart under a little pink ring at the top center'
    >>> said.things[0], said.relation
    (Mention(colour='pink', shape='ring', size='small', place='top'), 'above')
    >>> caption(scene, np.random.default_rng(2), withheld=True).text
    'a green heart beneath a tiny pink ring at the top center'
    """
    single, reverse = len(scene.things) == 1, rng.random() < 0.5
    things = [
        Mention(thing.colour, thing.shape, thing.size if rng.random() < stated else None, None)
        for thing in scene.things
    ]
    last = 0 if single or reverse else 1  # the thing that is named last
    if rng.random() < (stated if single else stated / 2):
        things[last] = things[last]._replace(place=scene.things[last].place)
    background = scene.background if rng.random() < stated else None
    link, named = scene.relation, things
    if link is not None and reverse:
        link, named = CONVERSE[link], things[::-1]
    text = sentence(named, link, background, rng, withheld)
    return Caption(text, tuple(things), scene.relation, background)


def sentence(
    named: list[Mention],
    link: str | None,
    background: str | None,
    rng: np.random.Generator,
    withheld: bool,
) -> str:
    """Put into words: one thing, or two with a link between them, and the background."""

    def say(concept: str) -> str:
        word = pick(SYNONYMS.get(concept, (concept,)), rng)
        return WITHHELD.get(concept, word) if withheld else word

    def name(thing: Mention) -> str:
        words = [say(thing.size)] if thing.size else []
        words += [thing.colour, say(thing.shape)]
        return " ".join(["an" if words[0] == "orange" else "a", *words])

    subject = name(named[0]) if link is None else f"{name(named[0])} {say(link)} {name(named[1])}"
    details = [say(named[-1].place)] if named[-1].place else []
    movable = [] if link else list(details)  # at the front, it could be the place of either of two
    if background:
        ground = f"{pick(('on', 'against'), rng)} a {say(background)} background"
        details.append(ground)
        movable.append(ground)
    front = pick(["", *movable], rng)
    details = [detail for detail in details if detail != front]
    there_is = pick(["", "there is"], rng)
    return " ".join(part for part in [front, there_is, subject, *details] if part)
