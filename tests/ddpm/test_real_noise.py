"""Weights for real noise."""

import numpy as np
import pytest
from skimage import data

import difffilter as df
from difffilter.ddpm import DDPM, evolve, generate
from difffilter.denoiser import choose_and_apply
from difffilter.noise.camera import Camera, compress


@pytest.fixture(scope="module")
def camera_noise():
    photo = data.astronaut()[:128, 64:192].astype(np.float32) / 255
    rng = np.random.default_rng(0)
    return photo, np.clip(photo + Camera().noise_of(photo, 0.008, 1e-4, rng), 0, 1)


def test_weights_for_real_noise_remove_that_of_a_camera(camera_noise):
    photo, noisy = camera_noise
    gain = {
        name: df.psnr(photo, DDPM(weights=name)(noisy, channel_axis=2)) - df.psnr(photo, noisy)
        for name in ("natural-color", "natural-color-real")
    }
    assert gain["natural-color-real"] > 5
    assert gain["natural-color-real"] > gain["natural-color"] + 3


def test_weights_for_real_noise_need_no_sigma(camera_noise):
    _, noisy = camera_noise
    denoise = DDPM(weights="natural-color-real", black=0.0, white=1.0)
    results = [denoise(noisy, sigma, channel_axis=2) for sigma in (0.01, 0.2)]
    np.testing.assert_array_equal(*results)


def test_weights_for_real_noise_draw_no_samples(camera_noise):
    _, noisy = camera_noise
    name = "natural-color-real"
    message = "weights is 'natural-color-real', for real noise; expected weights for white noise"
    for call in (
        lambda: DDPM(weights=name, mode="sample")(noisy, channel_axis=2),
        lambda: generate(1, (16, 16), weights=name),
        lambda: evolve(noisy, [0, 5], channel_axis=2, backward=name),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_weights_for_real_noise_are_used_where_the_estimate_is_0():
    """JPEG removes the high frequencies by which σ is estimated."""
    photo = data.astronaut()[:128, 64:192].astype(np.float32) / 255
    noisy = compress(photo, 20)
    assert DDPM().estimate_sigma(noisy, channel_axis=2) < 0.001
    smooth, chosen, sigma = choose_and_apply(
        DDPM(weights="natural-color-real"), noisy, channel_axis=2
    )
    assert sigma == chosen.sigma > 0
    assert df.psnr(photo, smooth) > df.psnr(photo, noisy) + 0.2
