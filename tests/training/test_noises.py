import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
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


def maps_of(photo, count=200):
    for seed in range(count):
        noise = 0.1 * np.random.default_rng(seed + 1000).standard_normal(photo.shape)
        yield noise, *draw_map(photo, noise, np.random.default_rng(seed))


def test_maps_have_a_mean_square_of_one():
    photo = data.camera()[100:148, 100:164] / 255
    maps = [(true, known) for _, true, known in maps_of(photo)]
    for m in sum(maps, ()):
        assert m.shape == photo.shape
        assert m.dtype == np.float32
        assert m.min() > 0
    np.testing.assert_allclose([np.mean(true**2) for true, _ in maps], 1, rtol=1e-5)
    assert max(true.max() / true.min() for true, _ in maps) > 4
    noise, true, known = next(maps_of(photo))
    again = draw_map(photo, noise, np.random.default_rng(0))
    np.testing.assert_array_equal(again, (true, known))


def test_one_half_of_the_maps_follow_the_photograph():
    """In that half σ² = a + b v; in the other it varies smoothly with position alone."""
    photo = np.random.default_rng(0).random((32, 32))
    follow = 0
    for noise, true, known in maps_of(photo):
        variance = true.astype(float) ** 2
        slope, start = np.polyfit(photo.ravel(), variance.ravel(), 1)
        if np.allclose(start + slope * photo, variance, atol=1e-4):
            follow += 1
            assert slope >= 0
            level = gaussian_filter(photo + true * noise, 2, radius=8).clip(0, 1)
            np.testing.assert_allclose(known**2, start + slope * level, atol=1e-3)
        else:
            assert np.abs(np.diff(np.log2(variance), axis=0)).max() < 1.5
            np.testing.assert_array_equal(known, true)
    assert 75 < follow < 125


def test_what_is_known_follows_from_the_noisy_image():
    """The map depends on the noisy image alone; otherwise it would show the network the photograph."""
    rng = np.random.default_rng(0)
    photo, other, noise = rng.random((3, 32, 32))
    for seed in range(20):
        one = draw_map(photo, noise, np.random.default_rng(seed))
        # The other photograph with the noise that makes the same noisy image of it.
        true = draw_map(other, noise, np.random.default_rng(seed))[0]
        same = (photo + one[0] * noise - other) / true
        two = draw_map(other, same, np.random.default_rng(seed))
        ratio = two[1] / one[1]
        np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)
