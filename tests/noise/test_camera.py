import numpy as np
import pytest
from skimage import data

from difffilter.noise.camera import Camera, compress, demosaic, exposed, mosaic, read_variance


@pytest.fixture
def photo():
    return data.astronaut()[:128, :128].astype(np.float32) / 255


@pytest.mark.parametrize("tone", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_processing_undoes_unprocessing(photo, tone, channels):
    camera = Camera(tone=tone)
    colours = photo if channels == 3 else photo[..., 0]
    np.testing.assert_allclose(camera.process(camera.unprocess(colours)), colours, atol=2e-5)


def test_raw_noise_has_its_variance(rng):
    raw = np.full((400, 400), 0.3)
    noisy = exposed(raw, 0.01, 1e-4, rng)
    assert np.var(noisy) == pytest.approx(0.01 * 0.3 + 1e-4, rel=0.03)


def test_read_noise_grows_faster_than_shot_noise():
    assert read_variance(0.02) / read_variance(0.01) > 4


@pytest.mark.parametrize("method", ["edges", "bilinear"])
def test_demosaicing_keeps_what_the_sensor_saw(photo, method):
    sensor = mosaic(photo)
    np.testing.assert_allclose(mosaic(demosaic(sensor, method)), sensor, atol=1e-6)


def test_demosaicing_along_edges_is_better_than_across(photo):
    error = {m: np.square(demosaic(mosaic(photo), m) - photo).mean() for m in ("edges", "bilinear")}
    assert error["edges"] < 0.7 * error["bilinear"]


def test_demosaicing_finds_the_colours_of_a_slope():
    y, x = np.mgrid[:16, :16] / 16
    slope = np.stack([x, y, (x + y) / 2], axis=2)
    inside = (slice(3, -3), slice(3, -3))
    for method in ("edges", "bilinear"):
        np.testing.assert_allclose(
            demosaic(mosaic(slope), method)[inside], slope[inside], atol=1e-12
        )


def test_camera_noise_is_correlated_and_strongest_in_midtones(rng):
    camera = Camera()
    strength = []
    for level in (0.05, 0.4, 0.95):
        noise = camera.noise_of(np.full((256, 256, 3), level, np.float32), 0.002, 1e-5, rng)
        strength.append(noise.std())
        luma = noise.mean(axis=2)
        across = np.mean(luma[:, 1:] * luma[:, :-1]) / np.mean(luma**2)
        assert across > 0.15
    assert strength[1] > strength[0]
    assert strength[1] > strength[2]


def test_no_noise_makes_no_difference(photo, rng):
    assert np.abs(Camera().noise_of(photo, 0.0, 0.0, rng)).max() == 0


def test_compression_loses_little_at_high_quality(photo):
    errors = [np.abs(compress(photo, quality, 0) - photo).mean() for quality in (98, 50)]
    assert errors[0] < 0.006 < errors[1]
    assert compress(photo[..., 0], 90).shape == photo.shape[:2]
