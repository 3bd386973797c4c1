"""Noise has the statistics it promises; the metrics have their definitions."""

import math

import numpy as np
import pytest
from scipy.signal import convolve2d

import difffilter as df
from difffilter.metrics import ms_ssim, texture, vif
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
def test_keyed_by_the_generator(noise, photo):
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


def test_psnr(photo):
    assert df.psnr(photo, photo) == math.inf
    assert df.psnr(photo, photo + 0.01) == pytest.approx(40)
    noisy = df.add_noise(photo, 25 / 255)
    assert df.psnr(photo, noisy) == pytest.approx(20.17, abs=0.1)
    assert df.psnr(np.uint8([[0, 255]]), np.uint8([[255, 0]])) == 0
    with pytest.raises(ValueError, match=r"clean has shape \(128, 128\) but image \(2, 2\)"):
        df.psnr(photo, np.zeros((2, 2)))


def naive_ssim(x, y):
    """Wang et al. 2004, where the 11×11 window fits."""
    offset = np.arange(-5, 6)
    g = np.exp(-(offset**2) / (2 * 1.5**2))
    window = np.outer(g, g) / g.sum() ** 2

    def mean(a):
        return convolve2d(a, window, mode="valid")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return index.mean()


def test_ssim(photo, colour_photo):
    noisy = df.add_noise(photo, 0.1)
    assert df.ssim(photo, noisy) == pytest.approx(naive_ssim(photo, noisy), abs=1e-10)
    assert df.ssim(photo, photo) == pytest.approx(1)
    noisy = df.add_noise(colour_photo, 0.1)
    channels = [naive_ssim(colour_photo[..., c], noisy[..., c]) for c in range(3)]
    assert df.ssim(colour_photo, noisy, channel_axis=-1) == pytest.approx(np.mean(channels))
    assert math.isnan(df.ssim(np.zeros((5, 20)), np.zeros((5, 20))))


@pytest.mark.parametrize(("metric", "narrowest"), [(ms_ssim, 176), (vif, 41)])
def test_metrics_of_torchmetrics(metric, narrowest, photo):
    pytest.importorskip("torchmetrics")
    clean = np.tile(photo, (2, 2))[:200, :210]
    colour = np.stack([clean, clean**2, 1 - clean], axis=-1)
    assert metric(clean, clean) == pytest.approx(1, abs=1e-4)
    values = [metric(clean, df.add_noise(clean, sigma)) for sigma in (0.02, 0.05, 0.1)]
    assert 1 > values[0] > values[1] > values[2] > 0
    noisy = df.add_noise(colour, 0.1)
    channels = [metric(colour[..., c], noisy[..., c]) for c in range(3)]
    assert metric(colour, noisy, channel_axis=-1) == pytest.approx(np.mean(channels), rel=0.01)
    first = (np.moveaxis(x, -1, 0) for x in (colour, noisy))
    assert metric(*first, channel_axis=0) == pytest.approx(np.mean(channels), rel=0.01)
    assert math.isnan(metric(clean[: narrowest - 1], clean[: narrowest - 1]))
    assert not math.isnan(metric(clean[:narrowest, :narrowest], clean[:narrowest, :narrowest]))


def test_vif_knows_more_contrast_from_less(photo):
    """The one metric that does not take a clearer image for a worse one."""
    pytest.importorskip("torchmetrics")
    middle = 0.5 + (photo - 0.5) / 2
    assert vif(middle, photo) > 1 > vif(photo, middle)


def test_texture_of_noise_alone(rng):
    """Differences of two normal numbers are normal, with the mean modulus 2σ/√π; flat has none."""
    flat = np.full((300, 300), 0.5)
    noisy = flat + rng.normal(0, 0.1, flat.shape)
    assert texture(flat, noisy) == pytest.approx(0.2 / math.sqrt(math.pi), rel=0.01)
    colour = np.stack([noisy, flat, flat], axis=0)
    assert texture(0 * colour, colour, channel_axis=0) == pytest.approx(
        texture(flat, noisy) / 3, rel=1e-6
    )


def test_texture_looks_at_distributions_only(photo, rng):
    assert texture(photo, photo) == 0
    assert texture(photo, photo[::-1] + 0.1) < texture(photo, photo[:, ::-1] * 0.9)
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    assert texture(photo, noisy) == pytest.approx(texture(noisy, photo))
    assert texture(photo, df.heat(photo, 10)) > texture(photo, df.heat(photo, 1)) > 0
    assert math.isnan(texture(np.zeros((1, 1)), np.zeros((1, 1))))
