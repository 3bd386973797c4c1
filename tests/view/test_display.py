"""Pixels as they are shown."""

import io

import numpy as np
import pytest
from PIL import Image

from difffilter.image import as_float
from difffilter.io.picture import Picture
from difffilter.view.curve import strength_svg
from difffilter.view.display import Display, display_of, png


def shown(pages, data_range=None, **meta):
    picture = Picture(pages, meta=meta)
    page = as_float(pages[0], picture.channel_axis)
    display = display_of(picture, page, data_range)
    return display, display(page)


@pytest.mark.parametrize("shape", [(1, 5, 7), (1, 5, 7, 3)])
def test_eight_bits_are_shown_as_they_are(rng, shape):
    pages = rng.integers(0, 256, shape).astype(np.uint8)
    display, found = shown(pages)
    np.testing.assert_array_equal(found, pages[0])
    assert not display.stretched


def test_twelve_bits_in_sixteen_are_stretched(rng):
    pages = rng.integers(0, 4096, (1, 64, 64)).astype(np.uint16)
    display, found = shown(pages)
    assert display.stretched
    assert found.min() == 0
    assert found.max() == 255


def test_floats_of_any_range_are_stretched(rng):
    display, found = shown(rng.normal(300, 20, (1, 64, 64, 3)).astype(np.float32))
    assert display.stretched
    assert 100 < found.mean() < 155


def test_a_flat_image_is_shown():
    assert shown(np.full((1, 4, 4), 7, np.float32))[1].max() == 0


def test_a_given_range_is_not_stretched(rng):
    pages = rng.integers(0, 256, (1, 64, 64)).astype(np.uint16)
    assert not shown(pages, data_range=4095)[0].stretched


@pytest.mark.parametrize("channels", [2, 5])
def test_of_other_channels_three_are_shown(rng, channels):
    found = Display()(rng.random((4, 5, channels)).astype(np.float32))
    assert found.shape == (4, 5, 3)
    assert bool(found[..., 2].any()) == (channels > 2)


def test_inks_become_colours():
    pages = np.zeros((1, 4, 4, 4), np.uint8)  # no ink
    assert shown(pages, colours="CMYK")[1].min() == 255


def test_large_pictures_are_made_smaller(rng):
    pixels = rng.integers(0, 256, (90, 40)).astype(np.uint8)
    assert Image.open(io.BytesIO(png(pixels, 30))).size == (13, 30)
    np.testing.assert_array_equal(Image.open(io.BytesIO(png(pixels, 90))), pixels)


def test_the_curve_has_the_colours_of_the_page(rng):
    from difffilter.noise.measure import estimate_noise

    for shape in ((64, 64), (64, 64, 3)):
        image = rng.normal(0.5, 0.1, shape)
        channel_axis = -1 if len(shape) == 3 else None
        svg = strength_svg(estimate_noise(image, channel_axis=channel_axis))
        assert "var(--ink)" in svg
        assert "#000000" not in svg
        assert "<script" not in svg
