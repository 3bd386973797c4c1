"""The method of least risk."""

import numpy as np
import pytest
from skimage import data

import difffilter as df
from difffilter.pde.auto import PLANE, VOLUME


def drawing():
    y, x = np.mgrid[:160, :160] - 80
    return np.where(np.hypot(x, y) < 50, 0.9, 0.1) + 0.1 * ((x // 8 + y // 8) % 2)


IMAGES = {
    "photograph": lambda: data.camera()[100:260, 180:340] / 255,
    "scanned text": lambda: data.page()[:160, 100:260] / 255,
    "drawing": drawing,
    "phantom": lambda: data.shepp_logan_phantom()[60:220, 120:280],
    "colour": lambda: data.astronaut()[:160, 180:340] / 255,
}


@pytest.mark.parametrize("sigma", [5 / 255, 25 / 255])
@pytest.mark.parametrize("name", IMAGES)
def test_it_is_nearly_as_good_as_the_best_of_them(name, sigma, rng):
    clean = IMAGES[name]()
    axis = -1 if clean.ndim == 3 else None
    noisy = clean + rng.normal(0, sigma, clean.shape)
    best = max(df.psnr(clean, m(noisy, sigma, channel_axis=axis), channel_axis=axis) for m in PLANE)
    chosen = df.psnr(clean, df.Auto()(noisy, sigma, channel_axis=axis), channel_axis=axis)
    assert chosen > best - 0.1


def test_in_volumes_too(rng):
    z, y, x = np.mgrid[:24, :40, :40]
    clean = np.where((z - 12) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 100, 0.8, 0.2)
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    best = max(df.psnr(clean, m(noisy, 0.1)) for m in VOLUME)
    assert df.psnr(clean, df.Auto()(noisy, 0.1)) > best - 0.1


def test_sharp_edges_and_photographs_have_different_winners(rng):
    winners = []
    for name in ("drawing", "photograph"):
        clean = IMAGES[name]()
        winners.append(type(df.Auto().choose(clean + rng.normal(0, 0.1, clean.shape), 0.1)))
    assert winners == [df.PeronaMalik, df.EdgeEnhancing]


def test_the_winner_repeats_the_result(photo, rng):
    noisy = df.add_noise(photo, 0.1, rng=rng)
    result, chosen = df.denoise(noisy, full_output=True)
    assert chosen.method.is_settled()
    np.testing.assert_allclose(df.make(str(chosen))(noisy), result, atol=2e-3)  # rounded steps
    np.testing.assert_array_equal(df.Auto()(noisy, chosen.sigma), df.denoise(noisy, chosen.sigma))


def test_spacing_is_passed_on(rng):
    noisy = rng.random((8, 20, 20))
    assert df.Auto(spacing=(3, 1, 1)).choose(noisy, 0.2).spacing == (3, 1, 1)


def test_it_is_not_settled():
    with pytest.raises(ValueError, match=r"Auto.* has parameters that are not set; call choose"):
        df.Auto().halo(2)
