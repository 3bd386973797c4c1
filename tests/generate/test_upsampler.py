"""Large pictures of small ones."""

import re

import numpy as np
import pytest
import torch
from tiny_models import tiny_model, tiny_upsampler

from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate import Upsampler, UpsamplerConfig, load, upsample

SCHEDULE = NoiseSchedule()


@pytest.fixture
def model(tmp_path):
    return tiny_upsampler(tmp_path)


def test_details_and_their_inverse():
    config, generator = UpsamplerConfig(), torch.Generator().manual_seed(0)
    large = torch.rand((2, 3, 32, 48), generator=generator)
    enlarged = config.enlarged(torch.nn.functional.avg_pool2d(large, 4))
    assert enlarged.shape == large.shape
    details = config.details(large, enlarged)
    torch.testing.assert_close(config.with_details(enlarged, details), large)
    assert config.details(enlarged, enlarged).abs().max() == 0


def test_a_small_picture_of_one_colour_is_enlarged_to_that():
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(UpsamplerConfig().enlarged(flat), torch.full((1, 3, 32, 32), 0.3))


def test_the_predictor_turns_velocity_into_noise(model):
    """For a network that knows v, the posterior mean is x_0 itself."""
    net = load(model).net
    x0, eps = torch.randn((2, 1, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    net.forward = lambda x, t, enlarged: known_velocity(t)

    def known_velocity(t):
        alpha_bar = float(SCHEDULE.alpha_bar(float(t[0])))
        return alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * x0

    t = 321.0
    y = add_noise(x0, t, eps, SCHEDULE) / SCHEDULE.alpha_bar(t) ** 0.5
    found = posterior_mean(net.given(x0, SCHEDULE), y, float(SCHEDULE.sigma_tilde(t)), SCHEDULE)
    torch.testing.assert_close(found.float(), x0, atol=1e-4, rtol=0)


def test_the_small_picture_tells_the_network(model):
    net = load(model).net
    x, t = torch.zeros(1, 3, 32, 32), torch.tensor([500.0])
    one, other = (net(x, t, torch.full_like(x, value)) for value in (-0.5, 0.5))
    assert one.shape == x.shape
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (1, 1)])
def test_pictures_of_any_size_are_four_times_as_large(model, shape, rng):
    pictures = rng.random((2, *shape, 3))
    large = upsample(pictures, model=model, steps=2)
    assert large.dtype == np.float32
    assert large.shape == (2, 4 * shape[0], 4 * shape[1], 3)
    assert 0 <= large.min() <= large.max() <= 1
    np.testing.assert_array_equal(upsample(pictures[0], model=model, steps=2), large[0])


def test_a_picture_follows_from_pixels_seed_and_number(model, rng):
    pictures, calls = (255 * rng.random((2, 8, 8, 3))).astype(np.uint8), []
    large = upsample(pictures, model=model, steps=2, seed=5, callback=lambda *n: calls.append(n))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(large, upsample(pictures, model=model, steps=2, seed=5))
    floats = upsample(pictures / np.float32(255), model=model, steps=2, seed=5)
    np.testing.assert_allclose(large, floats, atol=1e-5)
    assert np.abs(large - upsample(pictures, model=model, steps=2, seed=6)).max() > 0.01


def test_without_noise_the_seed_has_no_effect(model, rng):
    picture = rng.random((8, 8, 3))
    cold = [upsample(picture, model=model, steps=2, temperature=0, seed=seed) for seed in (0, 1)]
    np.testing.assert_array_equal(*cold)
    warm = upsample(picture, model=model, steps=2, temperature=1)
    assert np.abs(warm - cold[0]).max() > 0.01


@pytest.mark.parametrize("shape", [(8, 8), (2, 8, 8, 1), (2, 8, 8, 4), (0, 8, 8, 3), (8, 0, 3)])
def test_other_shapes_are_refused(model, shape):
    message = f"images has shape {shape}; expected (n, H, W, 3) or (H, W, 3)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        upsample(np.zeros(shape), model=model)


def test_bad_settings(model, tmp_path):
    with pytest.raises(ValueError, match=r"^steps is 0; expected a whole number ≥ 1$"):
        upsample(np.zeros((8, 8, 3)), model=model, steps=0)
    with pytest.raises(
        ValueError, match=r"^temperature is 2; expected a finite number ≥ 0 and ≤ 1$"
    ):
        upsample(np.zeros((8, 8, 3)), model=model, temperature=2)
    text = tiny_model(tmp_path, "pixel")
    with pytest.raises(ValueError, match=r"of kind text-to-image; expected upsampler$"):
        upsample(np.zeros((8, 8, 3)), model=text)
    for settings, message in (
        ({"factor": 1}, "factor is 1; expected a whole number ≥ 2"),
        ({"gain": 0}, "gain is 0; expected a finite number > 0"),
        ({"unet": UNetConfig(channels=3)}, "unet.channels is 3; expected an even number"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            Upsampler(UpsamplerConfig(**settings))
