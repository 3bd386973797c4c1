"""Black and white of an image, and a few pixels that stretch its range."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import difffilter as df
from difffilter.ddpm.contrast import levels, limited
from difffilter.ddpm.denoiser import DDPM


@pytest.fixture
def stars():
    """A smooth sky with 60 stars of up to 1, but one."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((160, 160))
    sky = 0.1 + 0.1 * gaussian_filter(rng.standard_normal(rows.shape), 20)
    for peak in (12.5, *10 ** rng.uniform(-2, 0, 60)):
        (row, column), width = rng.uniform(8, 152, 2), rng.uniform(1, 1.6)
        squared = (rows - row) ** 2 + (columns - column) ** 2
        sky += peak * np.exp(-squared / (2 * width**2))
    return sky


def rms(error):
    return np.sqrt(np.mean(np.square(error)))


@pytest.mark.parametrize("sigma", [0.003, 0.03])
def test_one_very_bright_star(stars, sigma, rng):
    noisy = stars + sigma * rng.standard_normal(stars.shape)
    result = df.denoise(noisy, method="ddpm")
    assert rms(result - stars) < 0.5 * sigma
    assert rms(result - stars) < 1.05 * rms(df.denoise(noisy) - stars)
    # Nor is the brightest star harmed.
    assert np.abs(result - stars).max() < 6 * sigma


def test_sigma_is_then_within_the_range_of_the_weights(stars, rng):
    noisy = stars + 0.003 * rng.standard_normal(stars.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = DDPM().choose(noisy, 0.003)
    estimated = DDPM().choose(noisy)
    assert estimated.white == pytest.approx(given.white, rel=0.1)
    assert given.white < 1


def test_the_unit_does_not_matter(stars, rng):
    noisy = stars + 0.003 * rng.standard_normal(stars.shape)
    black, white = levels(noisy, 0.003, least=0.005)
    scaled = levels(1000 * noisy - 5, 3.0, least=0.005)
    assert scaled == pytest.approx((1000 * black - 5, 1000 * white - 5))


def test_enough_noise_leaves_the_range_alone(stars):
    assert levels(stars, 0.1, least=0.005) == levels(stars, 0.1)
    assert limited(stars, 0.1, 0.0, 1.0, 0.005) is stars


def test_a_wide_range_of_many_pixels_stays(rng):
    ramp = np.linspace(0, 1, 128) * np.ones((128, 1))
    black, white = levels(ramp, 0.001, least=0.005)
    assert black < 0.02
    assert white > 0.98


def test_volumes_and_channels(stars):
    stack = np.stack([stars, stars])
    expected = levels(stars, 0.003, least=0.005)
    assert levels(np.moveaxis(stack, 0, 2), 0.003, 2, least=0.005) == pytest.approx(expected)
    assert levels(stack, 0.003, least=0.005) == pytest.approx(expected)
