"""The main colours of pictures, and captions that name them."""

import numpy as np
import pytest

from difffilter.generate.captioned import Captioned
from difffilter.generate.colours import NAMED, main_colour, with_colours


def of(*parts):
    """A picture of 10×10 pixels, of whose rows each part takes a number: (rows, RGB, alpha)."""
    rows = [np.full((rows, 10, 4), (*rgb, alpha), np.uint8) for rows, rgb, alpha in parts]
    return np.concatenate(rows)


@pytest.mark.parametrize("name", NAMED)
def test_a_picture_of_one_colour_has_that(name):
    assert main_colour(of((10, NAMED[name], 255))) == name


def test_a_shade_has_the_nearest_name():
    assert main_colour(of((10, (230, 60, 60), 255))) == "red"
    assert main_colour(of((10, (90, 200, 110), 255))) == "green"


def test_the_main_colour_covers_four_tenths_of_what_is_opaque():
    red, green, blue = (NAMED[name] for name in ("red", "green", "blue"))
    assert main_colour(of((4, red, 255), (3, green, 255), (3, blue, 255))) == "red"
    purple = NAMED["purple"]
    three = (3, red, 255), (3, green, 255), (2, blue, 255), (2, purple, 255)
    assert main_colour(of(*three)) == ""
    assert main_colour(of((7, red, 127), (3, green, 128))) == "green"
    assert main_colour(of((10, red, 0))) == ""


@pytest.fixture
def captioned():
    names = ("green", "red", "blue", "brown")
    return Captioned(
        np.stack([of((10, NAMED[name], 255)) for name in names]),
        ("frog", "red apple", "orange fish", "person"),
        ((),) * 4,
        ("animals", "food", "animals", "people-body"),
    )


def captions(captioned, index):
    rng = np.random.default_rng(0)
    return [captioned.caption(index, rng) for _ in range(2000)]


def test_captions_name_colours_now_and_then(captioned):
    found = captions(with_colours(captioned), 0)
    assert set(found) == {"frog", "a frog", "a green frog"}
    assert found.count("a green frog") == pytest.approx(0.3 * 0.75 * 2000, rel=0.15)
    assert found.count("a frog") == pytest.approx(0.3 * 0.25 * 2000, rel=0.3)


def test_a_colour_is_not_named_twice_and_articles_fit(captioned):
    coloured = with_colours(captioned)
    assert set(captions(coloured, 1)) == {"red apple", "a red apple"}
    assert set(captions(coloured, 2)) == {"orange fish", "an orange fish", "a blue orange fish"}
    assert set(captions(with_labels(coloured, "grapes"), 0)) == {"grapes", "green grapes"}


def test_sentences_stay_as_they_are(captioned):
    coloured = with_colours(captioned)
    for label in ("a frog", "an eye", "the moon"):
        assert set(captions(with_labels(coloured, label), 0)) == {label}


def with_labels(captioned, label):
    return Captioned(
        captioned.images, (label,) * 4, captioned.tags, captioned.groups, captioned.colours
    )


def test_people_get_no_colour(captioned):
    assert with_colours(captioned).colours == ("green", "red", "blue", "")
    assert set(captions(with_colours(captioned), 3)) == {"person", "a person"}


def test_without_colours_captions_are_as_ever(captioned):
    assert set(captions(captioned, 0)) == {"frog"}
    grey = Captioned(captioned.images[..., :1], ("",) * 4, ((),) * 4, ("",) * 4)
    assert with_colours(grey) is grey
