"""Scenes read from pictures, and verdicts on their captions."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.generate import rendering
from difffilter.generate.grammar import Caption, Mention, caption
from difffilter.generate.reading import (
    QUESTIONS,
    Reading,
    Verdict,
    answers_of,
    reading_of,
    verdict,
    windows,
)
from difffilter.generate.rendering import render
from difffilter.generate.scenes import (
    BACKGROUNDS,
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    draw_scene,
    relation_of,
)

SEEDS = st.integers(0, 2**32 - 1)
WORDS = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "place": PLACES}


def drawn(seed, unseen=None):
    """A scene, a caption of it, and the generator that drew them."""
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng, unseen=unseen)
    return scene, caption(scene, rng, withheld=bool(rng.integers(2))), rng


def mentions(scene):
    return tuple(Mention(t.colour, t.shape, t.size, t.place) for t in scene.things)


def another(word, words, rng):
    return str(rng.choice([each for each in words if each != word]))


# --- windows ----------------------------------------------------------------------------------


def test_windows_are_the_pixels_around_the_centres_of_cells(rng):
    """16 on each side; beyond the border, the nearest pixel of the picture."""
    picture = rng.random((64, 64, 3))
    found = windows(picture)
    assert tuple(found) == PLACES
    for number, place in enumerate(PLACES):
        centre = [round((k + 0.5) * 64 / 3) for k in divmod(number, 3)]
        rows, columns = ([min(max(c + i, 0), 63) for i in range(-16, 16)] for c in centre)
        expected = [[picture[row, column] for column in columns] for row in rows]
        np.testing.assert_array_equal(found[place], expected)


def test_windows_of_a_picture_that_is_turned_over_are_turned_over(rng):
    picture = rng.random((64, 64, 1))
    cells, upside_down, transposed = (
        windows(each) for each in (picture, picture[::-1], picture.swapaxes(0, 1))
    )
    for number, place in enumerate(PLACES):
        row, column = divmod(number, 3)
        opposite, across = PLACES[3 * (2 - row) + column], PLACES[3 * column + row]
        np.testing.assert_array_equal(upside_down[opposite], cells[place][::-1])
        np.testing.assert_array_equal(transposed[across], cells[place].swapaxes(0, 1))


@pytest.mark.parametrize("place", PLACES)
def test_things_stand_in_the_middle_of_their_windows(place, monkeypatch):
    """Whole, and but for the third of a pixel by which the centres of the outer cells are rounded."""
    monkeypatch.setattr(rendering, "SHIFT", 0)
    thing = Thing("blue", "circle", "medium", place)
    picture = render(Scene((thing,), "plain"), np.random.default_rng(0))
    cell, whole = (
        np.ptp(each.astype(float), axis=2) for each in (windows(picture)[place], picture)
    )
    assert cell.sum() == whole.sum()  # greys have none
    for axis, number in enumerate(thing.cell):
        centre = cell.sum(axis=1 - axis) @ (np.arange(32) + 0.5) / cell.sum()
        assert centre == pytest.approx(16 + (number - 1) / 3, abs=0.1)


@pytest.mark.parametrize("shape", [(64, 64), (32, 32, 3), (64, 96, 3)])
def test_pictures_of_another_size_are_refused(shape):
    message = f"picture has shape {shape}; expected (64, 64, C)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        windows(np.zeros(shape))


# --- answers ----------------------------------------------------------------------------------


@given(SEEDS)
def test_answers_spell_the_scene(seed):
    scene, _, _ = drawn(seed)
    answers = answers_of(scene)
    assert tuple(answers) == PLACES
    there = {thing.place: thing for thing in scene.things}
    for place, numbers in answers.items():
        words = [
            None if number == -1 else words[number]
            for number, words in zip(numbers, QUESTIONS, strict=True)
        ]
        thing = there.get(place)
        expected = (
            ["empty", None, None] if thing is None else [thing.colour, thing.shape, thing.size]
        )
        assert words == [*expected, scene.background]


@given(SEEDS)
def test_a_reading_is_the_inverse_of_the_answers(seed):
    """In whichever order the cells come, and whatever is said of the shape and size of nothing."""
    scene, _, rng = drawn(seed)
    expected, answers = Reading(mentions(scene), scene.background), answers_of(scene)
    assert reading_of(answers) == expected
    guessed = {
        place: (colour, max(shape, 0), max(size, 0), background)
        for place, (colour, shape, size, background) in answers.items()
    }
    shuffled = {str(place): guessed[place] for place in rng.permutation(PLACES)}
    assert reading_of(shuffled) == expected


@given(SEEDS)
def test_the_background_is_that_of_most_cells(seed):
    scene, _, rng = drawn(seed)
    answers = answers_of(scene)
    for place in rng.choice(PLACES, 4, replace=False):
        wrong = BACKGROUNDS.index(another(scene.background, BACKGROUNDS, rng))
        answers[place] = (*answers[place][:3], wrong)
    assert reading_of(answers).background == scene.background


def test_a_reading_may_hold_any_number_of_things():
    """A picture that was generated need not be a scene."""
    answers = answers_of(Scene((Thing("red", "ring", "small", "top"),), "plain"))
    empty = dict.fromkeys(PLACES, answers["left"])
    assert reading_of(empty) == Reading((), "plain")
    full = dict.fromkeys(PLACES, answers["top"])
    assert [thing.place for thing in reading_of(full).things] == list(PLACES)


# --- verdicts ---------------------------------------------------------------------------------

RED = Mention("red", "circle", "small", "top")
BLUE = Mention("blue", "star", "large", "bottom")
BOTH = Reading((RED, BLUE), "striped")

# All that there is to say about `BOTH`, though the grammar would not say it in one sentence.
FULL = Caption("", (RED, BLUE), "above", "striped")
RIGHT = Verdict(True, True, True, True, True)
BARE = Caption(
    "", (Mention("red", "circle", None, None), Mention("blue", "star", None, None)), "above", None
)
WITHOUT_RED = Verdict(False, False, False, True, False)


def seen(*things, background="striped"):
    return Reading(things, background)


@pytest.mark.parametrize(
    ("reading", "said", "expected"),
    [
        (BOTH, FULL, RIGHT),
        (BOTH, BARE, Verdict(True, None, None, None, True)),
        # One attribute is wrong.
        (seen(RED._replace(colour="pink"), BLUE), FULL, WITHOUT_RED),
        (seen(RED._replace(shape="ring"), BLUE), FULL, WITHOUT_RED),
        (seen(RED._replace(size="large"), BLUE), FULL, replace(RIGHT, sizes=False)),
        (seen(RED._replace(place="centre"), BLUE), FULL, replace(RIGHT, places=False)),
        (
            seen(RED._replace(place="top left"), BLUE),
            FULL,
            replace(RIGHT, places=False, relation=False),
        ),
        (seen(RED, BLUE, background="plain"), FULL, replace(RIGHT, background=False)),
        # The same, where the caption does not state it.
        (seen(RED._replace(size="large"), BLUE), BARE, Verdict(True, None, None, None, True)),
        (seen(RED._replace(place="centre"), BLUE), BARE, Verdict(True, None, None, None, True)),
        (seen(RED, BLUE, background="plain"), BARE, Verdict(True, None, None, None, True)),
        # The two in each other's place.
        (
            seen(BLUE._replace(place="top"), RED._replace(place="bottom")),
            FULL,
            replace(RIGHT, places=False, relation=False),
        ),
        # The colours, or the shapes, exchanged.
        (
            seen(RED._replace(colour="blue"), BLUE._replace(colour="red")),
            FULL,
            WITHOUT_RED,
        ),
        # Too few things, and too many.
        (seen(BLUE), FULL, WITHOUT_RED),
        (seen(), FULL, WITHOUT_RED),
        (
            seen(RED, Mention("pink", "ring", "small", "left"), BLUE),
            FULL,
            replace(RIGHT, things=False),
        ),
        (seen(RED, RED._replace(place="left"), BLUE), FULL, replace(RIGHT, things=False)),
        # What is stated about the one that is there is not enough.
        (
            seen(BLUE),
            replace(FULL, things=(RED._replace(size=None, place=None), BLUE)),
            Verdict(False, True, True, True, False),
        ),
        # The reading's order does not matter.
        (seen(BLUE, RED), FULL, RIGHT),
    ],
)
def test_verdicts(reading, said, expected):
    found = verdict(reading, said)
    assert found == expected
    assert found.joint == (False not in vars(expected).values())


@given(SEEDS, st.booleans())
def test_the_truth_is_right(seed, unseen):
    """Also for combinations that training never shows."""
    scene, said, _ = drawn(seed, unseen)
    found = verdict(reading_of(answers_of(scene)), said)
    assert found.joint
    assert found.things
    stated = {
        "sizes": any(mention.size for mention in said.things),
        "places": any(mention.place for mention in said.things),
        "background": said.background,
        "relation": said.relation,
    }
    for name, value in stated.items():
        assert getattr(found, name) is (True if value else None)


@given(SEEDS)
def test_the_truth_with_another_attribute_is_wrong_where_that_is_stated(seed):
    scene, said, rng = drawn(seed)
    things, right = mentions(scene), verdict(reading_of(answers_of(scene)), said)
    for number, (thing, mention) in enumerate(zip(things, said.things, strict=True)):
        for name, words in WORDS.items():
            word = another(getattr(thing, name), words, rng)
            changed = list(things)
            changed[number] = thing._replace(**{name: word})
            found = verdict(Reading(tuple(changed), scene.background), said)
            expected = right
            if name in ("colour", "shape"):
                assert not found.things
                assert not found.joint
                continue
            if name == "size" and mention.size:
                expected = replace(right, sizes=False)
            if name == "place":
                holds = said.relation and relation_of(*(t.place for t in changed)) == said.relation
                places = False if mention.place else right.places
                expected = replace(right, places=places, relation=holds)
            assert found == expected


@given(SEEDS)
def test_the_truth_on_another_background_is_wrong_where_that_is_stated(seed):
    scene, said, rng = drawn(seed)
    things, right = mentions(scene), verdict(reading_of(answers_of(scene)), said)
    found = verdict(Reading(things, another(scene.background, BACKGROUNDS, rng)), said)
    assert found == (replace(right, background=False) if said.background else right)


@given(SEEDS)
def test_the_truth_with_a_thing_more_or_less_is_wrong(seed):
    scene, said, rng = drawn(seed)
    things, right = mentions(scene), verdict(reading_of(answers_of(scene)), said)
    more = Mention(*(str(rng.choice(words)) for words in WORDS.values()))
    assert verdict(Reading((*things, more), scene.background), said) == replace(right, things=False)
    for number in range(len(things)):
        fewer = things[:number] + things[number + 1 :]
        found = verdict(Reading(fewer, scene.background), said)
        assert not found.things
        assert not found.joint
        assert not found.relation


# --- the judge of the package -----------------------------------------------------------------


@pytest.mark.usefixtures("torch_threads")
def test_the_judge_of_the_package_reads_pictures_of_unseen_combinations():
    torch = pytest.importorskip("torch")
    from difffilter.generate.weights import load

    judge, right = load("judge-scenes", "judge").net, []
    for seed in range(24):
        scene, said, rng = drawn(seed, unseen=True)
        cells = windows(render(scene, rng) / np.float32(255))
        x = torch.from_numpy(2 * np.moveaxis(np.stack(list(cells.values())), 3, 1) - 1)
        with torch.inference_mode():
            answers = torch.stack([logits.argmax(dim=1) for logits in judge(x)], dim=1).tolist()
        right.append(verdict(reading_of(dict(zip(cells, answers, strict=True))), said).joint)
    assert np.mean(right) > 0.9
