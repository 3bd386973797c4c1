"""Captions: an independent parser reads them back, and finds what they claim to state."""

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.generate.grammar import SYNONYMS, WITHHELD, caption
from difffilter.generate.scenes import COLOURS, Scene, Thing, draw_scene

SEEDS = st.integers(0, 2**32 - 1)

# --- an oracle: from a sentence back to what it states ------------------------------------------

SIZES = {"small|little|tiny": "small", "medium sized|medium": "medium", "large|big|huge": "large"}
SHAPES = {"circle|disc|disk": "circle"} | {
    shape: shape for shape in ("square", "triangle", "star", "heart", "ring")
}
GROUNDS = {
    "striped|stripy": "striped",
    "checked|checkered": "checked",
    "dotted|spotted": "dotted",
    "plain": "plain",
    "grainy": "grainy",
}
LINKS = {
    "above|over": "above",
    "below|under|beneath": "below",
    "to the left of|left of": "left of",
    "to the right of|right of": "right of",
}
PLACE_WORDS = {"upper": "top", "lower": "bottom", "center": "centre", "middle": "centre"}


def any_of(table):
    return "|".join(table)


def meaning(table, said):
    """The concept that a word of a table stands for; None for None."""
    return next((name for words, name in table.items() if said in words.split("|")), None)


def parse(text):
    """Return what a caption states: ``(things, relation, background)`` as in a `Caption`."""
    ground = re.search(rf"\b(?:on|against) a ({any_of(GROUNDS)}) background\b", text)
    if ground:
        text = text.replace(ground[0], "")
    text = " ".join(text.replace("there is", "").split())
    first, link, second = (*re.split(rf" ({any_of(LINKS)}) ", text), None, None)[:3]
    things = tuple(parse_thing(part) for part in (first, second) if part)
    relation = meaning(LINKS, link)
    if relation in ("below", "right of"):
        things, relation = things[::-1], {"below": "above", "right of": "left of"}[relation]
    return things, relation, meaning(GROUNDS, ground[1]) if ground else None


def parse_thing(part):
    """Return colour, shape, size and place of "a small red circle at the top" and the like."""
    noun = re.search(
        rf"\ban? (?:({any_of(SIZES)}) )?({any_of(COLOURS)}) ({any_of(SHAPES)})\b", part
    )
    size, colour, shape = noun.groups()
    where = part.replace(noun[0], "").strip()
    assert re.fullmatch(r"|(at|on|in) the [a-z ]+", where), part
    words = [PLACE_WORDS.get(word, word) for word in where.split()]
    words = [word for word in words if word in ("top", "bottom", "left", "right", "centre")]
    if len(words) == 2 and "centre" in words:
        words.remove("centre")  # "at the top centre" is "at the top"
    return colour, meaning(SHAPES, shape), meaning(SIZES, size), " ".join(words) or None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a small red circle at the top left",
            ((("red", "circle", "small", "top left"),), None, None),
        ),
        (
            "on a striped background there is a big blue star",
            ((("blue", "star", "large", None),), None, "striped"),
        ),
        (
            "in the middle a tiny brown square",
            ((("brown", "square", "small", "centre"),), None, None),
        ),
        (
            "a pink ring beneath a green heart on the left side",
            ((("green", "heart", None, "left"), ("pink", "ring", None, None)), "above", None),
        ),
        (
            "an orange disk to the right of a medium sized red ring against a plain background",
            (
                (("red", "ring", "medium", None), ("orange", "circle", None, None)),
                "left of",
                "plain",
            ),
        ),
    ],
)
def test_the_oracle(text, expected):
    assert parse(text) == expected


# --- captions ---------------------------------------------------------------------------------


@cache
def captions(scene):
    rng = np.random.default_rng(0)
    return [caption(scene, rng) for _ in range(8000)]


@given(SEEDS, st.booleans())
def test_captions_state_what_they_claim_and_it_is_true(seed, withheld):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        scene = draw_scene(rng, unseen=None)
        said = caption(scene, rng, withheld=withheld)
        assert parse(said.text) == (said.things, said.relation, said.background)
        assert said.relation == scene.relation
        assert said.background in (None, scene.background)
        assert len(said.things) == len(scene.things)
        for mention, thing in zip(said.things, scene.things, strict=True):
            assert (mention.colour, mention.shape) == (thing.colour, thing.shape)
            assert mention.size in (None, thing.size)
            assert mention.place in (None, thing.place)


@given(SEEDS, st.booleans())
def test_captions_are_lower_case_words_with_the_right_article(seed, withheld):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        text = caption(draw_scene(rng, unseen=None), rng, withheld=withheld).text
        assert re.fullmatch(r"[a-z]+( [a-z]+)*", text)
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text)
        assert len(text.split()) <= 25


ONE = Scene((Thing("red", "circle", "small", "centre"),), "striped")
TWO = Scene(
    (Thing("green", "heart", "medium", "left"), Thing("pink", "ring", "large", "right")), "dotted"
)


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (ONE, "a red circle"),
        (ONE, "there is a small red circle in the middle"),
        (ONE, "in the center a little red disc"),
        (ONE, "in the centre there is a red disc against a stripy background"),
        (ONE, "on a striped background there is a red circle in the middle"),
        (TWO, "a green heart left of a pink ring"),
        (TWO, "a pink ring to the right of a medium green heart"),
        (TWO, "a pink ring right of a medium sized green heart at the left"),
        (TWO, "on a spotted background a green heart to the left of a large pink ring"),
        (TWO, "there is a green heart left of a pink ring against a dotted background"),
    ],
)
def test_forms_of_captions(scene, text):
    assert text in {said.text for said in captions(scene)}


def test_attributes_are_stated_as_often_as_documented():
    counts = Counter()
    for said in captions(ONE):
        counts["size of one"] += said.things[0].size is not None
        counts["place of one"] += said.things[0].place is not None
        counts["background of one"] += said.background is not None
    for said in captions(TWO):
        first, second = said.things
        turned = said.text.index("ring") < said.text.index("heart")
        named_first, named_last = (second, first) if turned else (first, second)
        counts["first named first"] += not turned
        counts["size of two"] += first.size is not None
        counts["place of the one named first"] += named_first.place is not None
        counts["place of the one named last"] += named_last.place is not None
        counts["background of two"] += said.background is not None
    shares = {name: count / 8000 for name, count in counts.items()}
    assert shares.pop("place of the one named first") == 0
    assert shares.pop("place of the one named last") == pytest.approx(0.25, abs=0.03)
    assert len(shares) == 6
    assert all(share == pytest.approx(0.5, abs=0.03) for share in shares.values()), shares


def test_attributes_are_stated_always_or_never_on_request():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng)
        full, bare = (caption(scene, rng, stated=share) for share in (1.0, 0.0))
        assert (full.background, bare.background) == (scene.background, None)
        assert [thing.size for thing in full.things] == [thing.size for thing in scene.things]
        assert {each for thing in bare.things for each in (thing.size, thing.place)} == {None}
        if len(scene.things) == 1:
            assert full.things[0].place == scene.things[0].place


@given(SEEDS, st.booleans())
def test_the_same_seed_says_the_same(seed, withheld):
    scene = draw_scene(np.random.default_rng(seed), unseen=None)
    first, second = (
        caption(scene, np.random.default_rng(seed), withheld=withheld) for _ in range(2)
    )
    assert first == second


# --- withheld synonyms ------------------------------------------------------------------------


def test_withheld_words_are_no_synonyms_of_training():
    assert set(WITHHELD) <= set(SYNONYMS)
    said = {word for phrases in SYNONYMS.values() for phrase in phrases for word in phrase.split()}
    assert not set(WITHHELD.values()) & said


def test_withheld_words_replace_their_synonyms_and_nothing_else():
    """With the same seed, word for word."""
    replaced = set()
    for seed in range(500):
        scene = draw_scene(np.random.default_rng(seed), unseen=None)
        usual, other = (
            caption(scene, np.random.default_rng(seed), withheld=withheld)
            for withheld in (False, True)
        )
        assert (usual.things, usual.relation, usual.background) == (
            *(other.things, other.relation, other.background),
        )
        for before, after in zip(usual.text.split(), other.text.split(), strict=True):
            concept = next((name for name in WITHHELD if before in SYNONYMS[name]), None)
            assert after == (WITHHELD[concept] if concept else before)
            replaced.add(after if concept else None)
    assert replaced == {*WITHHELD.values(), None}
