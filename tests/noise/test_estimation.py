"""Estimating the noise."""

import math

import numpy as np
import pytest
from skimage import data

import difffilter as df
from difffilter.noise.estimation import check_sigma

PHOTOS = {
    "camera": lambda: data.camera(),
    "astronaut": lambda: data.astronaut()[..., 1],
    "coffee": lambda: data.coffee()[..., 0],
    "chelsea": lambda: data.chelsea()[..., 1],
}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_photographs(name, sigma, rng):
    clean = PHOTOS[name]() / 255
    noisy = clean + rng.normal(0, sigma / 255, clean.shape)
    assert df.estimate_sigma(noisy) * 255 == pytest.approx(sigma, rel=0.05, abs=0.6)


@pytest.mark.parametrize(("sigma", "rel"), [(15, 0.12), (25, 0.05), (50, 0.03)])
def test_texture_everywhere_is_hard(sigma, rel, rng):
    clean = data.grass() / 255
    noisy = clean + rng.normal(0, sigma / 255, clean.shape)
    assert df.estimate_sigma(noisy) * 255 == pytest.approx(sigma, rel=rel)


@pytest.mark.parametrize(
    "shape", [(128, 128), (6, 64, 64), (20, 300), (9, 60), (300, 7), (1, 4000)]
)
def test_pure_noise_of_any_shape(shape, rng):
    assert df.estimate_sigma(rng.normal(0.5, 0.1, shape)) == pytest.approx(0.1, rel=0.1)


def test_channels_count_together(colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    for axis in (0, 1, 2):
        moved = np.moveaxis(noisy, -1, axis)
        assert df.estimate_sigma(moved, channel_axis=axis) == pytest.approx(0.1, rel=0.05)


def test_scales_with_the_image_and_ignores_an_offset(photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    sigma = df.estimate_sigma(noisy)
    assert df.estimate_sigma(1000 * noisy - 300) == pytest.approx(1000 * sigma, rel=1e-6)


def test_saturation_does_not_hide_the_noise(rng):
    scene = np.zeros((128, 128))
    scene[:, 64:] = 0.5  # half of the image is black, and its noise cut off
    noisy = np.clip(scene + rng.normal(0, 0.1, scene.shape), 0, 1)
    noisy[:, :32] = 0
    assert df.estimate_sigma(noisy) == pytest.approx(0.1, rel=0.1)


def test_only_pixels_in_the_mask_are_used(rng):
    noisy = rng.normal(0.5, 0.3, (96, 96))
    noisy[:, :48] = rng.normal(0.5, 0.05, (96, 48))
    mask = np.arange(96) < 48
    for image, axis in ((noisy, None), (np.stack([noisy] * 3), 0)):
        sigma = df.estimate_sigma(image, channel_axis=axis, mask=np.broadcast_to(mask, (96, 96)))
        assert sigma == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (5, 5), (40, 40)])
def test_no_noise(shape):
    assert df.estimate_sigma(np.full(shape, 0.3)) == pytest.approx(0, abs=1e-15)


def test_tiny_images_have_some_estimate(rng):
    noisy = rng.normal(0, 0.1, (200, 3, 3))
    estimates = [df.estimate_sigma(image) for image in noisy]
    assert np.median(estimates) == pytest.approx(0.1, rel=0.25)


def test_check_sigma():
    assert check_sigma(0.1) == 0.1
    assert check_sigma(25, np.array([-1000.0, 1000.0])) == 25  # such an image has room for it
    with pytest.raises(TypeError, match="sigma is 'x'; expected a finite number ≥ 0"):
        check_sigma("x")
    with pytest.raises(ValueError, match="sigma is inf; expected a finite number ≥ 0"):
        check_sigma(math.inf)
    with pytest.raises(ValueError, match="did you mean 25/255"):
        check_sigma(25, np.zeros(3))


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (np.uint8, "; did you mean 200/255?"),
        (np.uint16, "; did you mean 200/65535, or 200/255 with data_range=255? (uint16 is divided by 65535; "
         "a float image keeps its own unit)"),
        (np.int16, "; did you mean 200/32767, or 200/255 with data_range=255? (int16 is divided by "
         "32767; a float image keeps its own unit)"),
        (bool, "; did you mean 200/255?"),
    ],
)  # fmt: skip
def test_a_sigma_in_the_unit_of_integers_is_suggested_as_a_fraction(image, hint):
    pixels = np.array([[0, 100]]).astype(image)
    message = f"sigma is 200; expected at most 1, the range of the image{hint}"
    for refuse in (lambda: check_sigma(200, pixels), lambda: df.denoise(pixels, 200, "heat")):
        with pytest.raises(ValueError, match=r".") as caught:
            refuse()
        assert str(caught.value) == message


def test_rounding_errors_are_not_noise():
    # Blocks of 8×8 with low frequencies alone, as a coarse JPEG has them, beside flat ones.
    ramp = np.tile(np.cos(np.pi * (np.arange(8) + 0.5) / 8), (64, 8)) / 3
    assert df.estimate_sigma(np.hstack([ramp, np.full((64, 64), 0.1)])) == 0


@pytest.mark.parametrize("width", [4, 20, 50])
@pytest.mark.parametrize("amplitude", [6000, 1e5])
def test_a_bright_source_does_not_hide_the_noise_of_photons(width, amplitude, rng):
    rows, columns = np.indices((200, 200)) - 99.5
    squared = rows**2 + columns**2
    counts = rng.poisson((squared < 60**2) + amplitude * np.exp(-squared / width)).astype(float)
    assert df.estimate_sigma(counts, noise="poisson") == pytest.approx(1, rel=0.12)


def test_nothing_but_one_bright_source_on_black():
    counts = np.zeros((100, 100))
    counts[50:52, 50:52] = 9.0
    assert df.estimate_sigma(counts, noise="poisson") >= 0
