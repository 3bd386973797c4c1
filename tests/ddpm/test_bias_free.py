"""The network with a noise map: properties that hold whatever its weights are."""

import re
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import assert_every_weight_matters, random_bias_free, randomised
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

from difffilter.ddpm import DDPM, generate, weights
from difffilter.ddpm.bias_free import BiasFreeConfig, BiasFreeUNet
from difffilter.ddpm.networks import network, network_config
from difffilter.ddpm.process import posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.noise.model import NoiseModel, white_noise

SMALL = BiasFreeConfig(widths=(8, 16), blocks=(2, 1))


def small(channels=1):
    config = BiasFreeConfig(channels=channels, widths=SMALL.widths, blocks=SMALL.blocks)
    return randomised(BiasFreeUNet, config, NoiseSchedule()).eval()


# --- the network ------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_output_is_shaped_like_the_input(channels):
    net = BiasFreeUNet(BiasFreeConfig(channels=channels), NoiseSchedule())
    assert net.config.multiple == 8
    x = torch.zeros(2, channels, 8, 24)
    for level in (torch.tensor([1.0, 1000.0]), torch.full((2, 1, 8, 24), 0.1)):
        assert net(x, level).shape == x.shape


@given(st.floats(1e-3, 1e3))
def test_it_is_homogeneous(a):
    """n(a y, a σ) = a n(y, σ); the result is n in units of σ."""
    net, y, sigma = small(), torch.randn(1, 1, 8, 12), torch.rand(1, 1, 8, 12) + 0.1
    torch.testing.assert_close(net(a * y, a * sigma), net(y, sigma), rtol=1e-4, atol=1e-5)


def test_the_step_stands_for_its_noise():
    schedule, net = NoiseSchedule(), small()
    t = np.concatenate((np.geomspace(0.01, 1, 20), np.linspace(1, 1000, 777)))
    expected = np.sqrt(1 - schedule.alpha_bar(t))
    found = net.strength(torch.from_numpy(t).float()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    x = torch.randn(1, 1, 8, 8)
    of_step = net(x, torch.tensor([57.3]))
    of_map = net(x, torch.full((1, 1, 8, 8), float(np.sqrt(1 - schedule.alpha_bar(57.3)))))
    torch.testing.assert_close(of_step, of_map, rtol=1e-4, atol=1e-5)


def test_a_schedule_of_one_step():
    schedule = NoiseSchedule("explicit", betas=(0.36,))
    net = randomised(BiasFreeUNet, SMALL, schedule)
    assert net.strength(torch.tensor([1.0])).item() == pytest.approx(0.6)


def test_every_weight_matters_and_gradients_are_finite():
    net = small().train()
    t = torch.tensor([0.1, 1.0, 57.3, 1000.0])
    net(torch.randn(4, 1, 16, 16), t).square().mean().backward()
    assert_every_weight_matters(net)


def test_it_is_what_it_is_said_to_be():
    """The network written out layer by layer gives the same."""
    net = small()
    y, sigma = torch.randn(1, 1, 8, 8), torch.rand(1, 1, 8, 8) + 0.1

    def conv(x, layer):
        return F.conv2d(x, layer.weight, padding=1)

    def block(x, own):
        return x + conv(conv(x, own.conv1).clamp(min=0), own.conv2)

    fine = block(block(conv(torch.cat((y, sigma), 1), net.head), net.down[0][0]), net.down[0][1])
    coarse = block(F.conv2d(fine, net.shrink[0].weight, stride=2), net.middle[0])
    back = fine + F.conv_transpose2d(coarse, net.grow[0].weight, stride=2)
    back = block(block(back, net.up[0][0]), net.up[0][1])
    torch.testing.assert_close(net(y, sigma), conv(back, net.tail) / sigma, rtol=1e-4, atol=1e-5)


def test_a_fresh_network_is_a_shallow_one():
    """Blocks begin as the identity."""
    net, x = BiasFreeUNet(SMALL, NoiseSchedule()), torch.randn(1, 8, 8, 8)
    torch.testing.assert_close(net.down[0](x), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels is 0; expected a whole number ≥ 1"),
        ({"widths": (8, 0, 8, 8)}, "widths is 0; expected a whole number ≥ 1"),
        ({"blocks": (1, 2)}, "blocks is (1, 2); expected a number for each of 4 widths"),
        ({"widths": (), "blocks": ()}, "blocks is (); expected a number for each of 0 widths"),
    ],
)
def test_bad_shapes_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        BiasFreeConfig(**options)


@pytest.mark.parametrize("config", [SMALL, UNetConfig(widths=(16, 16), attention=())])
def test_a_network_is_made_anew_from_its_config(config):
    again = network_config({**asdict(config), "widths": list(config.widths)})
    assert again == config
    assert network(again, NoiseSchedule()).config == config


# --- as a Denoiser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return random_bias_free(tmp_path_factory.mktemp("weights") / "gray.safetensors", 1)


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return random_bias_free(tmp_path_factory.mktemp("weights") / "color.safetensors", 3)


def ddpm(file, **options):
    return DDPM(weights=file, black=0.0, white=1.0, device="cpu", dtype="float32", **options)


def test_a_weight_file_gives_the_network_back(gray):
    net = weights.load(gray).net
    assert isinstance(net, BiasFreeUNet)
    expected = randomised(BiasFreeUNet, net.config, NoiseSchedule(), seed=1).state_dict()
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, expected[name].half().float())


def test_denoising_is_the_posterior_mean(gray, photo):
    trained, y = weights.load(gray), photo[:40, :56].astype(np.float32)
    expected = posterior_mean(
        trained.net, torch.from_numpy(2 * y - 1)[None, None], 0.2, trained.schedule
    )
    found = ddpm(gray)(y, 0.1)
    np.testing.assert_allclose(2 * found - 1, expected[0, 0], atol=1e-5)


def test_a_map_of_one_strength_is_that_strength(gray, photo):
    y = photo[:40, :52].astype(np.float32)
    np.testing.assert_allclose(ddpm(gray)(y, np.full(y.shape, 0.1)), ddpm(gray)(y, 0.1), atol=1e-5)


def test_each_pixel_has_the_strength_of_the_map(gray, photo):
    """Far from the border between two halves, each half is as if its σ held everywhere."""
    y = photo[:64, :96].astype(np.float32)
    sigma = np.full(y.shape, 0.05)
    sigma[:, 48:] = 0.3
    found = ddpm(gray)(y, sigma)
    np.testing.assert_allclose(found[:, :24], ddpm(gray)(y, 0.05)[:, :24], atol=1e-5)
    np.testing.assert_allclose(found[:, -24:], ddpm(gray)(y, 0.3)[:, -24:], atol=1e-5)
    assert np.abs(found - ddpm(gray)(y, 0.3))[:, :24].max() > 1e-3


def test_of_a_map_with_zeros_those_pixels_stay(gray, photo):
    y = photo[:32, :32].astype(np.float32)
    sigma = np.where(np.arange(32) < 16, 0.0, 0.1) * np.ones((32, 1))
    found = ddpm(gray)(y, sigma)
    np.testing.assert_allclose(found[:, :16], y[:, :16], atol=1e-6)
    assert np.abs(found - y)[:, 16:].max() > 1e-3


def test_a_map_goes_along_with_its_tiles(gray, photo):
    y = photo[:100, :100].astype(np.float32)
    sigma = np.linspace(0.05, 0.3, 100) * np.ones((100, 1))
    whole, tiled = (ddpm(gray, tile=tile)(y, sigma) for tile in (128, 64))
    np.testing.assert_allclose(whole[:24, :24], tiled[:24, :24], atol=1e-5)
    np.testing.assert_allclose(whole[-24:, -24:], tiled[-24:, -24:], atol=1e-5)


@pytest.mark.parametrize("axis", [-1, 0])
def test_colours_take_the_root_mean_square_of_their_maps(color, colour_photo, rng, axis):
    y = colour_photo[:32, :40].astype(np.float32)
    sigma = rng.uniform(0.05, 0.2, y.shape)
    mean = np.sqrt((sigma**2).mean(axis=-1, keepdims=True)) * np.ones(3)
    y, sigma, mean = (np.moveaxis(each, -1, axis) for each in (y, sigma, mean))
    one, other = (ddpm(color)(y, each, channel_axis=axis) for each in (sigma, mean))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_channels_one_by_one_have_their_maps(gray, colour_photo, rng):
    y = colour_photo[:32, :40].astype(np.float32)
    sigma = rng.uniform(0.05, 0.2, y.shape)
    with pytest.warns(UserWarning, match="are for 1 channels"):
        found = ddpm(gray)(y, sigma, channel_axis=-1)
    for k in range(3):
        np.testing.assert_allclose(found[..., k], ddpm(gray)(y[..., k], sigma[..., k]), atol=1e-5)


def growing(channels=1):
    """Noise whose variance grows with the intensity."""
    levels = np.linspace(0, 1, 999)
    deviations = np.sqrt(0.001 + np.outer(np.linspace(0.01, 0.02, channels), levels))
    spectrum = np.broadcast_to(np.eye(channels), (8, 8, channels, channels))
    return NoiseModel(levels, deviations, spectrum, white=True, sigma=0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_of_a_model_the_strength_is_read_from_the_blurred_image(
    gray, color, photo, colour_photo, channels
):
    y = (photo if channels == 1 else colour_photo)[:40, :48].astype(np.float32)
    file, axis = (gray, None) if channels == 1 else (color, -1)
    blurred = gaussian_filter(y, (2, 2, 0)[: y.ndim])
    level = blurred if channels == 1 else blurred.mean(axis=-1, keepdims=True)
    variance = 0.001 + np.linspace(0.01, 0.02, channels) * level.clip(0, 1)
    expected = ddpm(file)(y, np.sqrt(variance), channel_axis=axis)
    found = ddpm(file)(y, growing(channels), channel_axis=axis)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    settled = ddpm(file).choose(y, growing(channels), channel_axis=axis)
    assert not settled.is_settled()
    np.testing.assert_array_equal(settled(y, growing(channels), channel_axis=axis), found)


@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_of_a_model_come_out_as_in_the_whole(gray, color, rng, channels):
    shape = (150, 170) if channels == 1 else (150, 170, 3)
    noisy = rng.random(shape, np.float32)
    file, axis = (gray, None) if channels == 1 else (color, -1)
    denoise = ddpm(file, tile=64).choose(noisy, growing(channels), channel_axis=axis)
    whole = denoise(noisy, growing(channels), channel_axis=axis)
    halo = denoise.halo(2)
    for box in product(*[[(a, min(a + 70, n)) for a in range(0, n, 70)] for n in shape[:2]]):
        needed, part = denoise.block(box, shape[:2])
        for (a, b), (low, high), far, n in zip(box, needed, halo, shape, strict=False):
            assert max(0, a - far) <= low <= a < b <= high <= min(n, b + far)
        pixels = part(
            noisy[tuple(slice(*span) for span in needed)], growing(channels), channel_axis=axis
        )
        inner = [slice(a - low, b - low) for (a, b), (low, _) in zip(box, needed, strict=True)]
        np.testing.assert_array_equal(
            pixels[tuple(inner)], whole[tuple(slice(*span) for span in box)]
        )


def test_a_model_of_one_strength_is_that_strength(gray, photo):
    y = photo[:32, :32].astype(np.float32)
    np.testing.assert_array_equal(ddpm(gray)(y, white_noise(0.1)), ddpm(gray)(y, 0.1))


@pytest.mark.parametrize("mode", ["sample", "average"])
def test_the_reverse_process_works_with_it(gray, photo, mode):
    y = photo[:32, :32].astype(np.float32)
    found = ddpm(gray, mode=mode, samples=2, steps=3)(y, 0.1)
    assert np.isfinite(found).all()
    again = ddpm(gray, mode=mode, samples=2, steps=3)(y, 0.1)
    np.testing.assert_array_equal(found, again)


def test_images_are_generated_with_it(gray):
    images = generate(2, (16, 24), weights=gray, steps=3, device="cpu")
    assert images.shape == (2, 16, 24)
    assert np.isfinite(images).all()


def test_the_gradient_is_that_of_finite_differences(gray, photo):
    y = torch.from_numpy(photo[:16, :16].astype(np.float32))
    direction = torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
    step = 1e-2 * torch.randn(y.shape, generator=torch.Generator().manual_seed(1))

    def along(image):
        return (ddpm(gray).with_gradient(image, 0.1) * direction).sum()

    (gradient,) = torch.autograd.grad(along(y.requires_grad_()), y)
    with torch.no_grad():
        difference = (along(y + step) - along(y - step)) / 2
    assert difference.item() == pytest.approx((gradient * step).sum().item(), rel=0.05)
