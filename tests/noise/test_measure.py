import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data

from difffilter.noise.camera import Camera
from difffilter.noise.measure import estimate_noise
from difffilter.noise.trust import doubt


@pytest.fixture(scope="module")
def photos():
    return [image / 255 for image in (data.astronaut(), data.coffee())]


def blurred(rng, shape, sigma, width=0.85):
    noise = gaussian_filter(rng.standard_normal(shape), (width, width) + (0,) * (len(shape) - 2))
    return sigma / noise.std() * noise


@pytest.mark.parametrize("level", [10, 25, 50])
def test_white_noise_is_white(photos, rng, level):
    for photo in photos:
        model = estimate_noise(
            photo + level / 255 * rng.standard_normal(photo.shape), channel_axis=2
        )
        assert model.white
        assert model.sigma == pytest.approx(level / 255, rel=0.05)
        np.testing.assert_allclose(model.correlation[3], np.eye(7)[3], atol=0.05)


@pytest.mark.parametrize("level", [10, 25])
def test_blurred_noise_is_not(photos, rng, level):
    for photo in photos:
        model = estimate_noise(photo + blurred(rng, photo.shape, level / 255), channel_axis=2)
        assert not model.white
        assert model.sigma == pytest.approx(level / 255, rel=0.5)


def test_the_correlation_of_noise_alone(rng):
    noise = blurred(rng, (512, 512), 0.1, width=1.0)
    model = estimate_noise(0.5 + noise)
    lags = np.exp(-(np.arange(4) ** 2) / 4)  # of a Gaussian of width 1 with itself
    np.testing.assert_allclose(model.correlation[3, 3:], lags, atol=0.08)
    np.testing.assert_allclose(model.correlation[3:, 3], lags, atol=0.08)
    assert model.sigma == pytest.approx(0.1, rel=0.1)


def test_the_correlation_of_channels(rng):
    common = blurred(rng, (256, 256, 1), 0.1)
    model = estimate_noise(0.5 + np.repeat(common, 3, axis=2), channel_axis=2)
    correlation = model.spectrum.mean(axis=(0, 1))
    np.testing.assert_allclose(correlation, np.ones((3, 3)), atol=0.05)


def test_shaped_noise_has_the_spectrum_of_the_model(rng):
    model = estimate_noise(0.5 + blurred(rng, (256, 256, 3), 0.1), channel_axis=2)
    again = model.shaped(rng.standard_normal((1, 3, 1, 256, 256)))[0, :, 0]
    assert again.var() == pytest.approx(1, rel=0.02)
    found = estimate_noise(0.5 + 0.1 * again, channel_axis=0)
    np.testing.assert_allclose(found.correlation, model.correlation, atol=0.08)


def test_camera_noise_by_intensity(rng):
    ramp = np.linspace(0.1, 0.9, 512, dtype=np.float32) * np.ones((512, 1), np.float32)
    clean = np.repeat(ramp[..., None], 3, axis=2)
    noise = Camera().noise_of(clean, 0.004, 1e-4, rng)
    model = estimate_noise(clean + noise, channel_axis=2)
    assert not model.white
    expected = model.deviation(clean, 2)
    for part in np.split(np.arange(512), 4):
        assert noise[:, part].std() == pytest.approx(expected[:, part].mean(), rel=0.25)


def test_a_small_image_has_white_noise(rng):
    model = estimate_noise(0.5 + 0.1 * rng.standard_normal((12, 12)))
    assert model.white
    assert model.deviation(np.zeros((2, 2)))[0, 0] == pytest.approx(model.sigma)


def test_doubts(photos, rng):
    photo = photos[0]
    noisy = photo + blurred(rng, photo.shape, 25 / 255)
    assert "not white" in doubt(noisy, photo, 3 / 255, 2)
    assert "hardly differs" in doubt(photo, photo, 0.001, 2)
    white = photo + 0.1 * rng.standard_normal(photo.shape)
    assert doubt(white, photo, 0.1, 2) is None


def test_a_sample_of_a_large_image_says_as_much(monkeypatch, rng):
    ramp = np.linspace(0.1, 0.9, 500, dtype=np.float32) * np.ones((400, 1), np.float32)
    noisy = np.repeat(ramp[..., None], 3, axis=2)
    noisy = noisy + Camera().noise_of(noisy, 0.004, 1e-4, rng)
    whole = estimate_noise(noisy, channel_axis=2)
    monkeypatch.setattr("difffilter.noise.measure.SAMPLE", 1 << 14)
    assert estimate_noise(noisy, channel_axis=2).sigma == pytest.approx(whole.sigma, rel=1e-3)
