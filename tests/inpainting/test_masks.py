"""Masks that are found in the image itself."""

import re

import numpy as np
import pytest
from skimage import data
from skimage.draw import line_aa
from skimage.morphology import area_opening

from difffilter.inpainting import masks
from difffilter.inpainting.masks import MOST, dead_pixels, mask_of_colour

# --- a colour -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("colour", ["c86432", "#C86432", (200 / 255, 100 / 255, 50 / 255)])
def test_a_colour_is_found_exactly_in_every_dtype(dtype, colour):
    image = np.array([[[200, 100, 50], [200, 100, 51], [50, 100, 200]]], np.uint8)
    if dtype == np.uint16:
        image = image.astype(np.uint16) * 257
    elif dtype != np.uint8:
        image = image.astype(dtype) / dtype(255)
    assert mask_of_colour(image, colour).tolist() == [[True, False, False]]


@pytest.mark.parametrize("steps", range(5))
def test_tolerance_holds_for_each_channel(steps):
    """At a tolerance of n steps of 8 bits, n steps are within it and n + 1 are not."""
    image = np.array([[[255 - k, k, 255] for k in range(6)]], np.uint8)
    found = mask_of_colour(image, "f0f", tolerance=steps / 255)
    assert found.tolist() == [[k <= steps for k in range(6)]]


def test_channels_anywhere_and_grey_images():
    image = np.zeros((3, 4, 5), np.uint8)
    image[:, 1, 2] = 255, 0, 255
    found = mask_of_colour(image, "ff00ff", channel_axis=0)
    assert np.argwhere(found).tolist() == [[1, 2]]
    grey = np.array([[0, 128, 255]], np.uint8)
    assert mask_of_colour(grey, "808080", channel_axis=None).tolist() == [[False, True, False]]


def test_what_is_not_finite_has_no_colour():
    image = np.zeros((2, 2, 3))
    image[0, 0, 1], image[1, 1, 2] = np.nan, np.inf
    assert mask_of_colour(image, "000").tolist() == [[False, True], [True, False]]


EXPECTED = "expected red, green and blue in [0, 1], or hexadecimal digits such as 'ff00ff'"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("pink",), {}, ValueError, f"colour is 'pink'; {EXPECTED}"),
        (("##fff",), {}, ValueError, f"colour is '##fff'; {EXPECTED}"),
        (((255, 0, 255),), {}, ValueError, f"colour is (255, 0, 255); {EXPECTED}"),
        (((1, np.nan, 0),), {}, ValueError, f"colour is (1, nan, 0); {EXPECTED}"),
        ((None,), {}, ValueError, f"colour is None; {EXPECTED}"),
        (("fff",), {"tolerance": 8}, ValueError, "tolerance is 8; expected a number from 0 to 1"),
        (("f00",), {"channel_axis": None}, ValueError,
         "colour is 'f00'; expected a grey one for a grey image"),
        (("fff",), {"channel_axis": 0}, ValueError,
         "image has 4 channels; expected 3: red, green and blue"),
    ],
)  # fmt: skip
def test_bad_colours(arguments, options, error, message):
    image = np.zeros((4, 4) if options.get("channel_axis", 0) is None else (4, 4, 3))
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        mask_of_colour(image, *arguments, **options)


# --- defects --------------------------------------------------------------------------------


def with_defects(image, rng, count=60, highest=1.0):
    """The image with pixels at 0 or `highest`, none near another; and where they are."""
    height, width = (extent // 12 for extent in image.shape[:2])
    cells = rng.permutation(height * width)[:count]
    y, x = 12 * (cells // width) + rng.integers(3, 9, count), 12 * (cells % width) + 6
    damaged, mask = image.copy(), np.zeros(image.shape[:2], bool)
    mask[y, x] = True
    damaged[y, x] = np.where(image[y, x] > highest / 2, 0, highest)
    return damaged, mask


def test_defects_in_a_smooth_image_are_found_exactly(rng):
    y, x = np.mgrid[:240, :240] / 240
    image, mask = with_defects(0.5 + 0.2 * np.sin(5 * x + 3 * y), rng)
    np.testing.assert_array_equal(dead_pixels(image), mask)


@pytest.mark.parametrize("sigma", [0.01, 0.04])
def test_defects_in_noise_are_found_exactly(sigma, rng):
    image, mask = with_defects(0.4 + rng.normal(0, sigma, (240, 240)), rng)
    np.testing.assert_array_equal(dead_pixels(image), mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_defects_in_a_photograph(dtype, rng):
    photo = data.camera()[60:316, 100:356].astype(dtype)
    highest = np.iinfo(dtype).max
    photo *= highest // 255
    image, mask = with_defects(photo, rng, highest=highest)
    found, before = dead_pixels(image), dead_pixels(photo)
    assert found[mask].mean() > 0.85
    assert before.mean() < 1e-4
    assert (found & ~mask).sum() <= before.sum()


def test_a_defect_of_one_channel_is_one_of_the_pixel():
    image = data.astronaut()[60:316, 100:356] // 2 + 60
    before = dead_pixels(image, channel_axis=-1)
    assert before.mean() < 2e-4
    for channel in range(3):
        image[20 + 60 * channel, 95, channel] = 255
    after = dead_pixels(image, channel_axis=-1)
    assert np.argwhere(after & ~before).tolist() == [[20, 95], [80, 95], [140, 95]]
    moved = dead_pixels(np.moveaxis(image, -1, 0), channel_axis=0)
    np.testing.assert_array_equal(moved, after)


def test_planes_of_a_volume_are_searched_one_by_one(rng):
    volume = rng.normal(0.5, 0.02, (3, 40, 50))
    volume[1, 20, 20] = 1
    volume[:, 5, 30] = 0
    expected = np.stack([dead_pixels(plane) for plane in volume])
    np.testing.assert_array_equal(dead_pixels(volume), expected)
    assert np.argwhere(expected).tolist() == [[0, 5, 30], [1, 5, 30], [1, 20, 20], [2, 5, 30]]
    colour = np.stack([volume, volume[::-1], np.full_like(volume, 0.5)], axis=-1)
    np.testing.assert_array_equal(
        dead_pixels(colour, channel_axis=-1), expected | expected[::-1].copy()
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (2, 1), (3, 1), (1, 3)])
def test_the_largest_defect(shape):
    """Up to three pixels side by side are a defect, more are a structure."""
    image = np.zeros((40, 40))
    image[20 : 20 + shape[0], 20 : 20 + shape[1]] = 1
    expected = image > 0 if np.prod(shape) <= MOST else np.zeros(image.shape, bool)
    np.testing.assert_array_equal(dead_pixels(image), expected)
    np.testing.assert_array_equal(dead_pixels(-image), expected)


def test_defects_at_the_border():
    image = np.full((30, 30), 0.5)
    places = [(0, 0), (0, 14), (29, 29), (15, 29), (29, 0)]
    for place in places:
        image[place] = 1
    assert {tuple(place) for place in np.argwhere(dead_pixels(image)).tolist()} == set(places)


@pytest.mark.parametrize("sigma", [1e-4, 0.05, 3.0])
def test_white_noise_has_few_defects(sigma):
    noise = np.random.default_rng(1).normal(0.5, sigma, (300, 400))
    assert dead_pixels(noise).mean() < 1e-4


@pytest.mark.parametrize("sigma", [0.1, 0.5, 0.8, 1.0, 2.0, 20.0])
def test_rounded_noise_has_few_defects(sigma):
    """White noise of so many levels of 8 bits."""
    noise = np.random.default_rng(1).normal(128, sigma, (300, 400))
    assert dead_pixels(np.rint(np.clip(noise, 0, 255)).astype(np.uint8)).mean() < 1e-4


def edges(height, width):
    y, x = np.mgrid[:height, :width] - height / 2
    yield x > 3
    yield 0.3 * x + y > 0
    yield np.hypot(x, y) < height / 3
    yield (abs(x) < 20) & (abs(y) < 20)  # with corners
    yield (x // 8 + y // 8) % 2  # of checks


def test_edges_are_no_defects(rng):
    for edge in edges(120, 120):
        assert not dead_pixels(edge.astype(float)).any()
        assert not dead_pixels(edge + rng.normal(0, 0.05, edge.shape)).any()


def test_thin_lines_are_no_defects(rng):
    image = np.zeros((200, 200))
    for angle in np.linspace(0, np.pi, 16, endpoint=False):
        ends = [100 + r * f(angle) for r in (30, 95) for f in (np.sin, np.cos)]
        rows, columns, values = line_aa(*np.rint(ends).astype(int))
        image[rows, columns] = np.maximum(image[rows, columns], values)
    assert not dead_pixels(image).any()
    assert not dead_pixels(1 - image).any()
    assert not dead_pixels(image + rng.normal(0, 0.03, image.shape)).any()
    assert not dead_pixels(image > 0.4).any()


@pytest.mark.parametrize("width", [1.7, 2.0, 3.0])
def test_stars_are_no_defects(width, rng):
    """Gaussian ones of this full width at half maximum, at any place relative to the pixels."""
    y, x = np.mgrid[:200, :200]
    image = np.zeros((200, 200))
    for row in range(10, 200, 20):
        for column in range(10, 200, 20):
            v, u = rng.uniform(-0.5, 0.5, 2) + np.array([row, column])
            image += np.exp(-4 * np.log(2) * ((y - v) ** 2 + (x - u) ** 2) / width**2)
    assert not dead_pixels(image).any()
    noisy = image + rng.normal(0, 0.01, image.shape)
    assert not (dead_pixels(noisy) & (image > 0.02)).any()


@pytest.mark.parametrize("name", ["page", "text"])
def test_text_has_few_defects(name):
    assert dead_pixels(getattr(data, name)()).mean() < 1e-4


def test_what_is_not_finite_is_a_defect(rng):
    image = rng.normal(0.5, 0.02, (40, 40))
    image[3, 4], image[20:30, 10:20], image[35, 35] = np.nan, np.nan, np.inf
    expected = ~np.isfinite(image)
    np.testing.assert_array_equal(dead_pixels(image), expected)
    assert dead_pixels(np.full((3, 3), np.nan)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (6, 6), (7, 7), (7, 20)])
def test_small_images(shape):
    image = np.zeros(shape)
    image[-1, -1] = 1
    before = image.copy()
    expected = image > 0 if min(shape) >= 7 else np.zeros(shape, bool)
    np.testing.assert_array_equal(dead_pixels(image), expected)
    np.testing.assert_array_equal(image, before)


def test_the_level_of_a_peak_is_its_area_opening(rng, monkeypatch):
    monkeypatch.setattr(masks, "_among", masks._among.py_func)
    level = masks._level.py_func
    image = np.rint(rng.normal(0, 3, (24, 31)))
    opened = area_opening(image - image.min(), MOST + 1, connectivity=2) + image.min()
    closed = -area_opening(image.max() - image, MOST + 1, connectivity=2) + image.max()
    for y, x in np.ndindex(image.shape):
        assert level(image, 1.0, y, x) == opened[y, x]
        assert level(image, -1.0, y, x) == -closed[y, x]


@pytest.mark.parametrize("threshold", [0, -1, np.nan])
def test_bad_thresholds(threshold):
    with pytest.raises(
        ValueError, match=rf"^threshold is {threshold}; expected a finite number > 0$"
    ):
        dead_pixels(np.zeros((4, 4)), threshold=threshold)


def test_a_lower_threshold_finds_more(rng):
    noise = rng.normal(0, 1, (256, 256))
    strict, loose = (dead_pixels(noise, threshold=threshold) for threshold in (4, 3))
    assert strict.sum() < loose.sum()
    assert not (strict & ~loose).any()
