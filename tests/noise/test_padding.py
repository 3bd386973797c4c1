"""Constant areas: padding beside noise is left out, drawings have no noise."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import difffilter as df
from difffilter.noise.measure import assumed_noise
from difffilter.noise.padding import without_padding

PHOTOS = {
    "camera": lambda: data.camera(),
    "coins": lambda: data.coins(),
    "brick": lambda: data.brick(),
    "coffee": lambda: data.coffee()[..., 0],
}


def both(image, channel_axis=None):
    return [
        df.estimate_sigma(image, channel_axis=channel_axis),
        assumed_noise(image, channel_axis=channel_axis).sigma,
    ]


def test_a_constant_background_that_is_not_the_extreme(rng):
    image = rng.normal(0.5, 0.1, (128, 128))
    image[:60] = 0.02
    image[70, 3], image[80, 80] = -1, 2
    assert both(image) == pytest.approx([0.1, 0.1], rel=0.05)
    colour = np.stack([image, rng.permuted(image, axis=1), rng.permuted(image, axis=1)])
    assert both(colour, 0) == pytest.approx([0.1, 0.1], rel=0.05)


def test_a_sector(rng):
    rows, columns = np.indices((200, 200))
    outside = np.hypot(rows, columns - 100) > 180
    image = np.where(outside, 0.3, 0.5 + rng.normal(0, 0.05, outside.shape))
    image[150, 100], image[199, 0] = 1, 0
    assert both(image) == pytest.approx([0.05, 0.05], rel=0.05)


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("level", [5, 15, 30])
def test_photographs_of_8_bits_with_a_margin(name, level, rng):
    clean = PHOTOS[name]() / 255
    image = np.full(np.add(clean.shape, (150, 40)), 0.3)
    image[150:, 40:] = clean + rng.normal(0, level / 255, clean.shape)
    image[0, :2] = 0, 1
    pixels = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    # (Clipping makes strong noise in dark areas weaker.)
    assert both(pixels) == pytest.approx([level / 255] * 2, rel=0.08)


def test_speckle_with_a_constant_background(rng):
    image = np.linspace(0.5, 1, 160)[:, None] * np.ones((1, 160))
    image *= 1 + 0.1 * rng.standard_normal(image.shape)
    image[:50] = 0.4
    assert df.estimate_sigma(image, noise="speckle") == pytest.approx(0.1, rel=0.1)


def written(size, scale=1.0, contrast=160):
    picture = Image.new("L", (300, 300), 200)
    draw = ImageDraw.Draw(picture)
    for row in range(0, 200, size + 3):
        line = "The quick brown fox jumps over the lazy dog 0123456789"
        draw.text((5, row), line, fill=200 - contrast, font=ImageFont.load_default(size))
    draw.rectangle((280, 280, 299, 299), fill=255)
    draw.rectangle((280, 260, 299, 270), fill=0)
    return picture.resize((int(300 * scale),) * 2, Image.Resampling.BICUBIC)


def drawn(count):
    rng = np.random.default_rng(count)
    picture = Image.new("L", (256, 256), 120)
    draw = ImageDraw.Draw(picture)
    for _ in range(count):
        (x, y), (width, height) = rng.integers(0, 256, 2), rng.integers(5, 100, 2)
        box = tuple(int(value) for value in (x, y, x + width, y + height))
        draw.ellipse(box, fill=int(rng.integers(256)), outline=int(rng.integers(256)))
        draw.line(tuple(rng.integers(0, 256, 4).tolist()), fill=int(rng.integers(256)), width=2)
    return picture


def compressed(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize("quality", [None, 50, 75, 95])
def test_text_and_drawings_have_no_noise(quality):
    pictures = [written(8), written(12), written(20), written(11, 0.7), written(16, 0.7)]
    pictures += [written(10, contrast=12), drawn(5), drawn(25)]
    for number, picture in enumerate(pictures):
        pixels = np.asarray(compressed(picture, quality) if quality else picture)
        assert both(pixels) == pytest.approx([0, 0], abs=0.5 / 255), number


def test_quantised_ramps_have_no_noise():
    rows, columns = np.indices((256, 256))
    for ramp in (0.7 * columns, (rows + columns) / 2, 0.6 * columns + 0.35 * rows):
        pixels = np.rint(ramp).astype(np.uint8)
        pixels[:60] = 128
        pixels[0, :2] = 0, 255
        assert both(pixels) == pytest.approx([0, 0], abs=0.3 / 255)


def test_what_has_no_constant_patches_is_left_as_it_is(rng):
    patches = rng.standard_normal((200, 64))
    assert without_padding(patches) is patches
    few = np.concatenate([patches[:30], np.ones((200, 64))])
    assert without_padding(few) is few
    none = patches[:0]
    assert without_padding(none) is none
