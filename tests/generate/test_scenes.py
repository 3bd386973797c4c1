"""Scenes: what is held out of training stays out, and two things stand as their relation says."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.generate.scenes import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_PAIRS,
    HELD_OUT_TRIPLES,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    draw_scene,
    twin,
)

SEEDS = st.integers(0, 2**32 - 1)


def thing(place, colour="red", shape="circle", size="small"):
    return Thing(colour, shape, size, place)


def draws(count, unseen, seed=0):
    rng = np.random.default_rng(seed)
    return [draw_scene(rng, unseen=unseen) for _ in range(count)]


def pairs(scene):
    return {(each.colour, each.shape) for each in scene.things}


def triples(scene):
    if len(scene.things) == 1:
        return set()
    first, second = scene.things
    return {(first.shape, scene.relation, second.shape)}


# --- the held-out combinations ----------------------------------------------------------------


def test_held_out_combinations_are_those_that_trained_models_have_not_seen():
    """A model trained with one list must not be judged with another."""
    assert {f"{colour} {shape}" for colour, shape in HELD_OUT_PAIRS} == {
        *("red circle", "red triangle", "orange square", "orange star", "yellow triangle"),
        *("green star", "blue heart", "purple ring", "pink circle", "brown square"),
    }
    assert {" ".join(triple) for triple in HELD_OUT_TRIPLES} == {
        *("circle above square", "circle above triangle", "square above triangle"),
        *("triangle above star", "star above heart", "heart above ring", "ring above circle"),
        *("circle left of star", "circle left of heart", "square left of heart"),
        *("triangle left of ring", "star left of circle", "heart left of square"),
        "ring left of triangle",
    }


def test_a_fifth_is_held_out_and_no_word_often():
    assert len(HELD_OUT_PAIRS) == round(len(COLOURS) * len(SHAPES) / 5)
    assert len(HELD_OUT_TRIPLES) == round(len(SHAPES) ** 2 * len(RELATIONS) / 5)
    for position in (0, 1):
        assert max(Counter(pair[position] for pair in HELD_OUT_PAIRS).values()) == 2
    for relation in RELATIONS:
        related = [(first, second) for first, name, second in HELD_OUT_TRIPLES if name == relation]
        assert len(related) == 7
        for position in (0, 1):
            assert max(Counter(pair[position] for pair in related).values()) == 2


def test_training_shows_all_combinations_but_the_held_out():
    scenes = draws(4000, unseen=False)
    assert (
        set().union(*map(pairs, scenes))
        == {(colour, shape) for colour in COLOURS for shape in SHAPES} - HELD_OUT_PAIRS
    )
    assert (
        set().union(*map(triples, scenes))
        == {
            (first, relation, second)
            for first in SHAPES
            for relation in RELATIONS
            for second in SHAPES
        }
        - HELD_OUT_TRIPLES
    )


def test_unseen_scenes_have_a_held_out_combination_each_and_together_all():
    scenes = draws(2000, unseen=True)
    for scene in scenes:
        expected = (pairs(scene) & HELD_OUT_PAIRS) | (triples(scene) & HELD_OUT_TRIPLES)
        assert expected
        assert set(scene.held_out) == expected
    assert {each for scene in scenes for each in scene.held_out} == (
        HELD_OUT_PAIRS | HELD_OUT_TRIPLES
    )


def test_scenes_of_both_kinds_are_drawn_for_none():
    assert {bool(scene.held_out) for scene in draws(50, unseen=None)} == {False, True}


@pytest.mark.parametrize("unseen", [False, True, None])
def test_numbers_relations_places_and_backgrounds_are_evenly_spread(unseen):
    """Although many more draws of two things than of one are rejected."""
    scenes = draws(2000, unseen)
    two = [scene for scene in scenes if len(scene.things) == 2]
    spread = 4 * 0.5 / np.sqrt(1000)  # four standard deviations of a share of half of 1000
    assert abs(len(two) / 2000 - 0.5) < spread
    assert abs(sum(scene.relation == "above" for scene in two) / len(two) - 0.5) < spread
    for words, drawn in [
        (BACKGROUNDS, [scene.background for scene in scenes]),
        (PLACES, [each.place for scene in scenes for each in scene.things]),
        (SIZES, [each.size for scene in scenes for each in scene.things]),
    ]:
        count, share = Counter(drawn), 1 / len(words)
        assert set(count) == set(words)
        assert all(abs(count[word] / len(drawn) - share) < spread for word in words)


# --- geometry ---------------------------------------------------------------------------------


@given(SEEDS, st.sampled_from([False, True, None]))
def test_two_things_stand_as_their_relation_says(seed, unseen):
    scene = draw_scene(np.random.default_rng(seed), unseen=unseen)
    if len(scene.things) == 1:
        assert scene.relation is None
        return
    (row, column), (other_row, other_column) = (each.cell for each in scene.things)
    if scene.relation == "above":
        assert column == other_column
        assert row < other_row
    else:
        assert scene.relation == "left of"
        assert row == other_row
        assert column < other_column


def test_the_relation_of_each_two_places():
    """18 of the 72 pairs of places have one: 3 in each row and each column."""
    found = Counter()
    for first in PLACES:
        for second in set(PLACES) - {first}:
            try:
                found[Scene((thing(first), thing(second)), "plain").relation] += 1
            except ValueError:
                found["none"] += 1
    assert found == {"above": 9, "left of": 9, "none": 54}


def test_places_name_their_cells():
    rows, columns = {"top": 0, "bottom": 2}, {"left": 0, "right": 2}
    for place in PLACES:
        words = place.split()
        row = next((rows[word] for word in words if word in rows), 1)
        column = next((columns[word] for word in words if word in columns), 1)
        assert thing(place).cell == (row, column)


def test_twins_differ_in_one_word_or_have_exchanged_one():
    kinds = Counter()
    for seed in range(1500):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rng)
        other = twin(scene, rng)
        assert not other.held_out
        assert len(other.things) == len(scene.things)
        assert len({(thing.colour, thing.shape) for thing in other.things}) == len(other.things)
        pairs = list(zip(scene.things, other.things, strict=True))
        new = [
            (name, getattr(one, name), getattr(two, name))
            for one, two in pairs
            for name in ("colour", "shape", "size", "place")
            if getattr(one, name) != getattr(two, name)
        ]
        if scene.background != other.background:
            new.append(("background", scene.background, other.background))
        if len(new) == 2:  # exchanged
            (name, *before), (other_name, *after) = new
            assert (name, before) == (other_name, after[::-1])
            kinds["exchange"] += 1
        else:
            ((name, *_),) = new
            kinds[name, len(pairs)] += 1
    expected = {(name, n) for name in ("colour", "shape", "size", "background") for n in (1, 2)}
    assert set(kinds) == expected | {("place", 1), "exchange"}
    assert min(kinds.values()) > 80


@pytest.mark.parametrize("unseen", [False, True, None])
def test_two_things_differ_in_colour_or_shape(unseen):
    assert all(len(pairs(scene)) == len(scene.things) for scene in draws(1000, unseen))


@given(SEEDS, st.sampled_from([False, True, None]))
def test_the_same_seed_draws_the_same_scene(seed, unseen):
    first, second = (draw_scene(np.random.default_rng(seed), unseen=unseen) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Thing("teal", "circle", "small", "top"),
            "colour is 'teal'; expected one of red, orange, yellow, green, blue, purple, pink, brown",
        ),
        (
            lambda: Thing("red", "cirle", "small", "top"),
            "shape is 'cirle'; expected one of circle, square, triangle, star, heart, ring; "
            "did you mean 'circle'?",
        ),
        (
            lambda: Thing("red", "circle", "tiny", "top"),
            "size is 'tiny'; expected one of small, medium, large",
        ),
        (
            lambda: thing("middle"),
            "place is 'middle'; expected one of top left, top, top right, left, centre, right, "
            "bottom left, bottom, bottom right",
        ),
        (
            lambda: Scene((thing("top"),), "white"),
            "background is 'white'; expected one of plain, striped, checked, dotted, grainy",
        ),
        (
            lambda: Scene((), "plain"),
            "things is a tuple of 0; expected one or two Things",
        ),
        (
            lambda: Scene((thing("bottom"), thing("top")), "plain"),
            "places of the things is ('bottom', 'top'); expected the first above the second in one "
            "column, or left of it in one row",
        ),
        (
            lambda: draw_scene(np.random.default_rng(0), unseen="yes"),
            "unseen is 'yes'; expected True, False or None",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
