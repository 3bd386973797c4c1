"""The estimate of the noise."""

import numpy as np
import pytest
from scipy.signal import lfilter

from difffilter.sound import Noise, estimate_noise
from difffilter.sound.floor import NoiseFloor
from difffilter.sound.spectrogram import Transform


@pytest.mark.parametrize("sigma", [1e-4, 0.01, 0.3, 1000.0])
def test_white_noise_alone(sigma):
    noise = sigma * np.random.default_rng(0).standard_normal(32000)
    estimate = estimate_noise(noise, 16000)
    assert estimate.white
    assert estimate.sigma == pytest.approx(sigma, rel=0.05)


def test_white_noise_under_a_sound(noisy):
    estimate = estimate_noise(noisy, 16000)
    assert estimate.white
    assert estimate.sigma == pytest.approx(0.05, rel=0.05)


def test_hiss_is_not_white_and_its_spectrum_is_found(clean):
    white = np.random.default_rng(0).standard_normal(len(clean))
    estimate = estimate_noise(clean + 0.05 * lfilter([1, -0.85], [1], white), 16000)
    assert not estimate.white
    angle = np.linspace(0, np.pi, len(estimate.floor[0]))
    true = 0.05 * np.abs(1 - 0.85 * np.exp(-1j * angle))
    apart = 20 * np.log10(estimate.floor[0] / true)
    assert np.abs(np.median(apart)) < 1
    assert np.quantile(np.abs(apart), 0.9) < 3


def test_channels_have_floors_of_their_own():
    noise = np.random.default_rng(0).standard_normal((32000, 2)) * (0.1, 0.01)
    floor = estimate_noise(noise, 16000).floor
    np.testing.assert_allclose(floor.mean(axis=1), (0.1, 0.01), rtol=0.05)


def test_silence_has_no_noise_and_does_not_hide_that_of_the_rest():
    noise = 0.1 * np.random.default_rng(0).standard_normal(32000)
    assert estimate_noise(np.zeros(32000), 16000).sigma == 0
    padded = np.concatenate((np.zeros(64000), noise))
    assert estimate_noise(padded, 16000).sigma == pytest.approx(0.1, rel=0.1)


def test_the_order_of_the_parts_is_of_no_account():
    transform = Transform(8000)
    spectrum = transform(np.random.default_rng(0).standard_normal(16000))
    whole, parts = NoiseFloor(transform.bins), NoiseFloor(transform.bins)
    whole.add(spectrum)
    for part in np.array_split(spectrum, 5, axis=1)[::-1]:
        parts.add(part)
    np.testing.assert_array_equal(whole.sigma(), parts.sigma())


def test_noise_in_words():
    assert str(Noise(np.zeros((1, 5)))) == "no noise"
    assert str(Noise(np.full((2, 5), 0.1))) == "white noise, sigma 0.1 (-20 dB)"
    assert str(Noise(np.array([[0.1, 0.2]]))) == "coloured noise, sigma 0.158 (-16 dB)"
