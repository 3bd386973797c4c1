"""Pictures and captions for training: those set aside, shares of sources, and variations."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from captioned_folders import write_fashion, write_squares
from hypothesis import given
from hypothesis import strategies as st

from difffilter.generate.captioned import Captioned
from difffilter.training import pictures
from difffilter.training.pictures import (
    VALIDATION,
    Pictures,
    check_channels,
    read_pictures,
    tokeniser,
    transformed,
    vary,
)


def numbered(count, size=2):
    """Pictures whose red is their number, with captions that say it."""
    images = np.zeros((count, size, size, 4), np.uint8)
    images[..., 0] = np.arange(count)[:, None, None]
    images[..., 3] = 255
    names = tuple(map(str, range(count)))
    return Captioned(images, names, ((),) * count, names)


@pytest.fixture
def squares(tmp_path):
    write_squares(tmp_path)
    return tmp_path


# --- those set aside ------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(0, 40))
def test_pictures_set_aside_are_never_trained_on(count, aside):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "read_captioned", lambda folder, size: numbered(count))
        train, held = read_pictures("folder", 0.0, aside)
    kept = [int(name) for name in train.captioned.labels]
    wanted = min(aside, count // 2)
    if wanted == 0:
        assert held is None
        assert kept == list(range(count))
        return
    chosen = [int(name) for name in held.captioned.labels]
    assert sorted(kept + chosen) == list(range(count))
    assert len(chosen) == wanted
    gaps = np.diff(chosen)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1
    for part in (train.captioned, held.captioned):  # with all that belongs to them
        assert part.groups == part.labels
        assert len(part.tags) == len(part)
        assert part.images[:, 0, 0, 0].tolist() == [int(name) for name in part.labels]


def test_without_pictures_set_aside_a_run_is_validated_on_scenes_if_it_has_any(squares):
    assert read_pictures(squares, 0.0, 0)[1] is None
    assert read_pictures(squares, 0.3, 0)[1] == Pictures(None, 1.0, 64)
    assert read_pictures(squares, 0.3, 4)[1].scenes == 0.3


def test_scenes_need_no_folder():
    train, held = read_pictures("scenes", 0.2, 64, 32)
    assert train == held == Pictures(None, 1.0, 32)


@given(st.integers(0, 5), st.integers(0, 5))
def test_a_validation_draws_what_no_step_draws(seed, step):
    """Not even the first of seed 0, as 0 and [0, 0] are one seed to NumPy."""
    assert np.random.default_rng(0).random() == np.random.default_rng([0, 0]).random()
    drawn = np.random.default_rng([seed, step]).random()
    assert drawn != np.random.default_rng(VALIDATION).random()


# --- drawing --------------------------------------------------------------------------------


@pytest.mark.parametrize("varied", [False, True])
def test_the_generator_decides_what_is_drawn(squares, varied):
    train, _ = read_pictures(squares, 0.4, 2, 32)

    def drawn(seed):
        rng = np.random.default_rng(seed)
        return [train.draw(rng, varied=varied) for _ in range(8)]

    for (one, text), (other, same) in zip(drawn(3), drawn(3), strict=True):
        np.testing.assert_array_equal(one, other)
        assert text == same
    assert [text for _, text in drawn(3)] != [text for _, text in drawn(4)]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_scenes_have_their_share(squares, share):
    train, _ = read_pictures(squares, share, 0, 32)
    rng, count = np.random.default_rng(0), 300
    found = 0
    for _ in range(count):
        picture, _ = train.draw(rng)
        assert picture.shape == (32, 32, 3)
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
        found += bool(picture[-1, -1].max() < 1)  # the backgrounds of scenes are greys
    expected = count * share
    assert abs(found - expected) <= 4 * np.sqrt(expected * (1 - share))


def test_every_picture_is_drawn_with_its_own_caption():
    source = Pictures(numbered(6), 0.0, 2)
    rng = np.random.default_rng(0)
    drawn = [source.draw(rng) for _ in range(120)]
    assert all(round(255 * float(picture[0, 0, 0])) == int(text) for picture, text in drawn)
    assert Counter(text for _, text in drawn).keys() == set(source.captioned.labels)


# --- variations -----------------------------------------------------------------------------


def halves(label, channels=4, size=32):
    """A picture whose left half is dark and whose right half is bright."""
    images = np.full((1, size, size, channels), 255, np.uint8)
    images[:, :, : size // 2, : min(channels, 3)] = 30
    return Captioned(images, (label,), ((),), ("",))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_varied_picture_has_the_shape_and_range_of_a_picture(channels, rng):
    images = rng.integers(256, size=(4, 9, 9, channels), dtype=np.uint8)
    source = Captioned(images, ("a",) * 4, ((),) * 4, ("",) * 4)
    before = images.copy()
    found = [vary(source, k % 4, rng, recoloured=True) for k in range(200)]
    assert {each.shape for each in found} == {(9, 9, min(channels, 3))}
    assert {each.dtype for each in found} == {np.dtype(np.float32)}
    assert min(each.min() for each in found) >= 0
    assert max(each.max() for each in found) <= 1
    np.testing.assert_array_equal(images, before)
    plain = [np.array_equal(each, source.over(k % 4)) for k, each in enumerate(found)]
    assert 0 < np.mean(plain) < 0.4  # each of the changes is made only sometimes


@pytest.mark.parametrize(
    ("label", "mirrored"),
    [("an arrow", True), ("Left arrow", False), ("a leftwards hand", False), ("bright", True)],
)
def test_a_picture_is_mirrored_unless_its_caption_names_a_side(label, mirrored, rng):
    source = halves(label)
    # Pixels that no shift of 10 of 64 takes out of their half.
    sides = [
        bool(picture[16, 6, 0] > picture[16, 25, 0])
        for picture in (vary(source, 0, rng) for _ in range(60))
    ]
    assert any(sides) == mirrored
    assert not all(sides)


def test_a_picture_is_shifted_by_at_most_ten_of_64_pixels(rng):
    images = np.zeros((1, 64, 64, 4), np.uint8)
    images[0, 32, 20] = 255
    source = Captioned(images, ("left",), ((),), ("",))
    places = set()
    for _ in range(300):
        picture = vary(source, 0, rng)
        # White, on a background of one colour or of white but for this.
        if picture.min() < 1:
            places |= {tuple(place) for place in np.argwhere((picture == 1).all(axis=2))}
    shifts = np.array(sorted(places)) - (32, 20)
    assert abs(shifts).max() == 10
    assert (shifts == 0).all(axis=1).any()
    assert len(shifts) > 20


def test_a_background_is_white_a_colour_or_another_picture(rng):
    images = np.zeros((3, 8, 8, 4), np.uint8)
    images[1:] = (200, 100, 50, 255)
    source = Captioned(images, ("clear", "a", "b"), ((),) * 3, ("",) * 3)
    found = [vary(source, 0, rng) for _ in range(600)]
    white = [bool((each == 1).all()) for each in found]
    other = [np.allclose(each[4, 4], np.array([200, 100, 50]) / 255) for each in found]
    # (A third of the pictures it may be laid over is clear, too.)
    assert np.mean(white) == pytest.approx(0.6 + 0.2 / 3, abs=0.06)
    assert np.mean(other) == pytest.approx(0.2 * 2 / 3, abs=0.05)


def test_colours_are_exchanged_only_where_no_caption_tells_of_them(rng):
    images = np.zeros((1, 8, 8, 4), np.uint8)
    images[:] = (250, 100, 20, 255)
    source = Captioned(images, ("orange",), ((),), ("",))
    orange = np.array([250, 100, 20], np.float32) / 255
    for _ in range(100):
        np.testing.assert_array_equal(vary(source, 0, rng)[4, 4], orange)
    drawn = [vary(source, 0, rng, recoloured=True)[4, 4] for _ in range(400)]
    np.testing.assert_array_equal(np.sort(drawn), np.sort([orange] * 400))
    kept = np.mean([np.array_equal(each, orange) for each in drawn])
    assert kept == pytest.approx(0.7 + 0.3 / 6, abs=0.06)


def test_a_draw_varies_its_picture_as_it_is_told(monkeypatch, rng):
    told = []
    monkeypatch.setattr(
        pictures,
        "vary",
        lambda *_, **how: told.append((how["recoloured"], how["turned"])) or np.zeros((2, 2, 3)),
    )
    source = Pictures(numbered(3), 0.0, 2)
    source.draw(rng)
    assert told == []
    source.draw(rng, varied=True)
    source.draw(rng, varied=True, recoloured=True)
    source.draw(rng, varied=True, turned=True)
    assert told == [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize("channels", [1, 4])
def test_a_picture_is_turned_to_the_left_about_its_centre(channels):
    pixels = np.zeros((32, 32, channels), np.uint8)
    pixels[4:8, 15:17] = 255  # above the centre
    y, x = np.argwhere(transformed(pixels, np.pi / 2, 1.0)[..., 0] > 128).mean(axis=0)
    assert (y, x) == pytest.approx((15.5, 5.5))


def test_a_scaled_picture_has_its_colour_up_to_its_edge():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[24:40, 24:40] = (200, 100, 50, 255)
    large = transformed(pixels, 0.3, 1.5)
    area = large[..., 3].sum() / 255
    assert area == pytest.approx(1.5**2 * 16**2, rel=0.02)
    seen = large[large[..., 3] > 128][:, :3]
    assert abs(seen - np.array([200.0, 100, 50])).max() <= 2


def test_pictures_are_turned_and_scaled_within_bounds(monkeypatch, rng):
    told = []

    def transform(pixels, angle, scale):
        told.append((angle, scale))
        return pixels

    monkeypatch.setattr(pictures, "transformed", transform)
    for _ in range(200):
        vary(halves("left"), 0, rng)
    assert not told
    for _ in range(400):
        vary(halves("left"), 0, rng, turned=True)
    assert len(told) / 400 == pytest.approx(0.75, abs=0.08)
    angles, scales = np.transpose(told)
    assert np.degrees([angles.min(), angles.max()]) == pytest.approx([-20, 20], abs=1)
    assert [scales.min(), scales.max()] == pytest.approx([0.75, 1.2], abs=0.02)


# --- channels -------------------------------------------------------------------------------


def refused(message):
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_pictures_have_the_channels_of_the_network(squares, tmp_path_factory, rng):
    fashion = tmp_path_factory.mktemp("fashion")
    write_fashion(fashion, rng.integers(256, size=(4, 28, 28)), [0, 1, 2, 3])
    train, _ = read_pictures(fashion, 0.0, 1, 32, channels=1)
    assert train.draw(rng)[0].shape == (32, 32, 1)
    with refused(f"channels is 3; expected 1, those of the pictures in {fashion}"):
        read_pictures(fashion, 0.0, 1, 32)
    in_colour, _ = read_pictures(squares, 0.0, 0)
    in_grey, _ = read_pictures(squares, 0.0, 0, channels=1)
    for index in range(len(in_colour.captioned)):
        luminance = in_colour.captioned.over(index) @ np.array([0.299, 0.587, 0.114])
        np.testing.assert_allclose(
            in_grey.captioned.over(index)[..., 0], luminance, atol=0.51 / 255
        )
    with refused(f"scenes is 0.5; expected 0, as the pictures in {squares} are grey"):
        read_pictures(squares, 0.5, 0, channels=1)
    with refused("channels is 1; expected 3, those of scenes"):
        read_pictures("scenes", 1.0, 1, channels=1)
    with refused(f"scenes is 0.5; expected 0, as the pictures in {fashion} are grey"):
        read_pictures(fashion, 0.5, 1, 32, channels=1)
    check_channels(4, 4, "the latents")


# --- the vocabulary -------------------------------------------------------------------------


def test_a_vocabulary_is_that_of_the_sources(squares, monkeypatch):
    monkeypatch.setattr(pictures, "CAPTIONS", 300)
    of_folder = "a red square", "top corner"
    of_scenes = "there is a small yellow triangle"
    for folder, scenes, known, unknown in (
        (squares, 0.0, of_folder, ("there", "yellow")),
        (squares, 0.5, (*of_folder, of_scenes), ("corned",)),
        ("scenes", 0.0, (of_scenes,), ("beneath",)),
    ):
        words = tokeniser(folder, scenes, 120, 16)
        assert words.length == 16
        assert 75 < len(words.vocabulary) <= 120
        for text in known:
            assert words.unknown(text) == [], (folder, scenes)
        for text in unknown:
            assert words.unknown(text) == [text]
        assert tokeniser(folder, scenes, 120, 16) == words


def test_a_vocabulary_is_that_of_the_training_split(squares):
    path = squares / "captions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1] |= {"split": "test", "label": "an aubergine"}
    path.write_text("\n".join(map(json.dumps, lines)))
    assert tokeniser(squares, 0.0, 120, 16).unknown("an aubergine") == ["an", "aubergine"]
