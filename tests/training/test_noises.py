import numpy as np
import pytest
from skimage import data

from difffilter.training.noises import draw_map, draw_noise


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_of_all_kinds_and_strengths(channels):
    photo = data.astronaut()[100:196, 100:196].astype(np.float32) / 255
    photo = photo if channels == 3 else photo[..., 0]
    results = [draw_noise(photo, np.random.default_rng(seed)) for seed in range(60)]
    assert all(r.shape == photo.shape and r.dtype == np.float32 for r in results)
    strengths = [255 * np.sqrt(np.mean((r - photo) ** 2)) for r in results]
    assert min(strengths) < 4
    assert max(strengths) > 25
    np.testing.assert_array_equal(results[7], draw_noise(photo, np.random.default_rng(7)))


def test_maps_have_a_mean_square_of_one():
    photo = data.camera()[100:148, 100:164] / 255
    maps = [draw_map(photo, np.random.default_rng(seed)) for seed in range(200)]
    assert all(m.shape == photo.shape and m.dtype == np.float32 for m in maps)
    assert min(m.min() for m in maps) > 0
    np.testing.assert_allclose([np.mean(m**2) for m in maps], 1, rtol=1e-5)
    assert max(m.max() / m.min() for m in maps) > 4
    np.testing.assert_array_equal(maps[7], draw_map(photo, np.random.default_rng(7)))


def test_one_half_of_the_maps_follow_the_photograph():
    """σ² = a + b v there; elsewhere the place alone counts, smoothly."""
    photo = np.random.default_rng(0).random((32, 32))
    follow = 0
    for seed in range(200):
        variance = draw_map(photo, np.random.default_rng(seed)).astype(float) ** 2
        slope, start = np.polyfit(photo.ravel(), variance.ravel(), 1)
        if np.allclose(start + slope * photo, variance, atol=1e-4):
            follow += 1
            assert slope >= 0
        else:
            assert np.abs(np.diff(np.log2(variance), axis=0)).max() < 1.5
    assert 75 < follow < 125
