"""The transform: its inverse, its scale, its meaning at every rate."""

import numpy as np
import pytest

from difffilter.sound.spectrogram import Transform


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("n", [1, 7, 159, 160, 161, 4999])
def test_the_inverse_is_exact(rate, n):
    samples = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    transform = Transform(rate)
    np.testing.assert_allclose(transform.inverse(transform(samples), n), samples, atol=3e-6)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_white_noise_keeps_its_standard_deviation(rate):
    transform = Transform(rate)
    noise = 0.3 * np.random.default_rng(0).standard_normal(2 * rate)
    inner = transform(noise)[1:-1]
    assert inner.real.std() == pytest.approx(0.3, rel=0.03)
    assert inner.imag.std() == pytest.approx(0.3, rel=0.03)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_a_tone_is_in_the_same_bin_at_every_rate(rate):
    tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    level = np.abs(Transform(rate)(tone)).mean(axis=1)
    assert level.argmax() == pytest.approx(40, abs=1)  # of 25 Hz each


def test_a_spectrum_is_linear():
    a, b = np.random.default_rng(0).standard_normal((2, 3000)).astype(np.float32)
    transform = Transform(8000)
    np.testing.assert_allclose(transform(2 * a - b), 2 * transform(a) - transform(b), atol=1e-4)
