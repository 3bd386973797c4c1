"""Noise has the statistics it promises."""

import math

import numpy as np
import pytest

import difffilter as df
from difffilter.noise.models import KINDS

FLAT = np.full((400, 400), 0.6)


@pytest.mark.parametrize(
    ("noise", "mean", "variance"),
    [
        ("gaussian", 0.6, 0.1**2),
        ("poisson", 0.6, 0.6 * 0.1**2),
        ("speckle", 0.6, 0.6**2 * 0.1**2),
        ("salt_and_pepper", 0.9 * 0.6 + 0.05, 0.9 * 0.6**2 + 0.05 - (0.9 * 0.6 + 0.05) ** 2),
    ],
)
def test_mean_and_variance(noise, mean, variance):
    noisy = df.add_noise(FLAT, 0.1, noise, 1)
    assert noisy.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance) / 400)
    assert noisy.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("noise", KINDS)
def test_noise_depends_on_the_generator_alone(noise, photo):
    before = photo.copy()
    noisy = df.add_noise(photo, 0.1, noise, np.random.default_rng(5))
    np.testing.assert_array_equal(noisy, df.add_noise(photo, 0.1, noise, 5))
    np.testing.assert_array_equal(
        df.add_noise(photo, 0.1, noise), df.add_noise(photo, 0.1, noise, 0)
    )
    assert (noisy != df.add_noise(photo, 0.1, noise, 6)).any()
    np.testing.assert_array_equal(photo, before)
    assert noisy.dtype == np.float64
    assert df.add_noise((photo * 255).astype(np.uint8), 0.1, noise).dtype == np.float32
    np.testing.assert_array_equal(df.add_noise(photo, 0, noise), photo)


def test_bad_noise(photo):
    with pytest.raises(ValueError, match="noise is 'pink'; expected one of gaussian, poisson"):
        df.add_noise(photo, 0.1, "pink")
    with pytest.raises(ValueError, match="did you mean 25/255"):
        df.add_noise(photo, 25)
    with pytest.raises(ValueError, match="image has masked values; expected none"):
        df.add_noise(np.ma.masked_less(photo, 0.2), 0.1)
    assert type(df.add_noise(np.ma.array(photo), 0.1)) is np.ndarray
