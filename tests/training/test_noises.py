import numpy as np
import pytest
from skimage import data

from difffilter.training.noises import draw_noise


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
