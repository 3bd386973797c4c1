"""The autoencoder: shapes, the scale of its latents, and their divergence."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch
from networks import assert_every_weight_matters, randomised
from torch.distributions import Normal, kl_divergence

from difffilter.generate.autoencoder import Autoencoder, AutoencoderConfig
from difffilter.generate.weights import network

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = AutoencoderConfig(latent=2, widths=(8, 16), blocks=(1, 2), groups=4)


def pictures(height=8, width=12, count=3, channels=3):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, channels, height, width, generator=generator) - 1


def noise(x, config=SMALL):
    shape = (len(x), config.latent, x.shape[2] // config.factor, x.shape[3] // config.factor)
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


# --- shapes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 20), (12, 8)])
def test_pictures_become_latents_and_latents_pictures(height, width, channels):
    net, x = Autoencoder(replace(SMALL, channels=channels)), pictures(height, width, 2, channels)
    latents = net.encode(x)
    assert latents.shape == (2, 2, height // 4, width // 4)
    assert net.decode(latents).shape == x.shape
    images, divergence = net(x, noise(x))
    assert images.shape == x.shape
    assert divergence.shape == (2,)


@pytest.mark.parametrize("widths", [(8,), (8, 8), (8, 8, 8)])
def test_each_level_halves_the_resolution(widths):
    config = AutoencoderConfig(widths=widths, blocks=(1,) * len(widths))
    x = torch.zeros(1, 3, 16, 24)
    assert config.factor == 2 ** len(widths)
    assert Autoencoder(config).encode(x).shape == (1, 4, 16 // config.factor, 24 // config.factor)


@pytest.mark.parametrize("shape", [(1, 3, 8, 10), (1, 3, 6, 8), (2, 3, 7, 7)])
def test_pictures_that_would_lose_a_border_are_refused(shape):
    """A convolution with a stride drops the pixels that are left over."""
    message = f"x has shape {shape}; expected a height and a width that are multiples of 4"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Autoencoder(SMALL).encode(torch.zeros(shape))


def test_batch_mates_do_not_matter():
    net, x = randomised(Autoencoder, SMALL), pictures()
    together = net.decode(net.encode(x))
    for i in range(len(x)):
        alone = net.decode(net.encode(x[i : i + 1]))
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


# --- the scale of the latents -----------------------------------------------------------------


def test_the_scale_follows_the_latents_of_the_training():
    """A fiftieth of the way at each step, towards the scale that gives them the variance 1."""
    net, x = randomised(Autoencoder, SMALL).train(), pictures()
    goal = 1 / net.moments(x)[0].std()
    assert abs(goal - 1) > 0.1
    for step in range(1, 4):
        net(x, noise(x))
        torch.testing.assert_close(net.scale, goal + 0.98**step * (1 - goal))


def test_there_the_latents_have_the_variance_1():
    net, x = randomised(Autoencoder, SMALL).train(), pictures()
    net.scale.copy_(1 / net.moments(x)[0].detach().std())
    before = net.scale.clone()
    net(x, noise(x))
    torch.testing.assert_close(net.scale, before)
    assert net.encode(x).std().item() == pytest.approx(1)


def test_in_use_the_scale_stands_still():
    net, x = randomised(Autoencoder, SMALL).eval(), pictures()
    net(x, noise(x))
    assert net.scale == 1


def test_the_scale_is_kept_with_the_weights_and_not_learned():
    net = Autoencoder(SMALL)
    assert "scale" in net.state_dict()
    assert "scale" not in dict(net.named_parameters())


def test_pictures_do_not_depend_on_the_scale():
    net, x = randomised(Autoencoder, SMALL).eval(), pictures()
    latents, images = net.encode(x), net.decode(net.encode(x))
    net.scale.fill_(5)
    torch.testing.assert_close(net.encode(x), 5 * latents)
    torch.testing.assert_close(net.decode(5 * latents), images, rtol=1e-4, atol=1e-5)
    # What is trained is what is used.
    torch.testing.assert_close(net(x, torch.zeros_like(latents))[0], images, rtol=1e-4, atol=1e-5)


# --- what is trained --------------------------------------------------------------------------


def test_latents_are_drawn_from_their_distribution():
    net, x = randomised(Autoencoder, SMALL), pictures()
    net.decoder = torch.nn.Identity()
    mean, log_variance = net.moments(x)
    drawn, _ = net(x, noise(x))
    torch.testing.assert_close(drawn, mean + log_variance.exp().sqrt() * noise(x))


def test_the_divergence_is_that_of_two_normal_distributions():
    net, x = randomised(Autoencoder, SMALL), pictures()
    mean, log_variance = net.moments(x)
    latents = Normal(mean, log_variance.exp().sqrt())
    expected = kl_divergence(latents, Normal(0, 1)).mean(dim=(1, 2, 3))
    _, divergence = net(x, noise(x))
    torch.testing.assert_close(divergence, expected, rtol=1e-4, atol=1e-5)
    assert (divergence > 0).all()


def test_no_variance_is_infinite():
    net, x = Autoencoder(SMALL), pictures()
    for bias in (1e4, -1e4):
        torch.nn.init.constant_(net.encoder[-1].bias[2:], bias)  # of log σ²
        images, divergence = net(x, noise(x))
        assert images.isfinite().all()
        assert divergence.isfinite().all()


def test_every_weight_matters():
    net, x = randomised(Autoencoder, SMALL), pictures()
    images, divergence = net(x, noise(x))
    ((images - x).square().mean() + divergence.mean()).backward()
    assert_every_weight_matters(net)


def test_it_learns_colours():
    """Six pictures, each of one colour, are soon told apart."""
    torch.manual_seed(0)
    net = Autoencoder(SMALL)
    x = (2 * torch.rand(6, 3, 1, 1) - 1).expand(-1, -1, 8, 8)
    optimizer = torch.optim.Adam(net.parameters(), 2e-2)
    for _ in range(60):
        images, divergence = net(x, torch.randn(6, 2, 2, 2))
        loss = (images - x).square().mean() + 1e-4 * divergence.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (net.eval().decode(net.encode(x)) - x).square().mean()
    assert error < 0.15 * x.var()


# --- configs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [AutoencoderConfig(), SMALL])
def test_configs_survive_json(config):
    net = network("autoencoder", json.loads(json.dumps(asdict(config))))
    assert net.config == config
    net.load_state_dict(Autoencoder(config).state_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 0}, "channels is 0; expected a whole number ≥ 1"),
        ({"latent": 2.0}, "latent is 2.0; expected a whole number ≥ 1"),
        ({"groups": 0}, "groups is 0; expected a whole number ≥ 1"),
        ({"widths": ()}, "widths is (); expected multiples of groups=8"),
        ({"widths": (8, 12, 16)}, "widths is (8, 12, 16); expected multiples of groups=8"),
        ({"widths": (8, 0, 8)}, "widths is (8, 0, 8); expected multiples of groups=8"),
        ({"blocks": (2,)}, "blocks is (2,); expected 3 numbers ≥ 1, one for each width"),
        ({"blocks": (2, 0, 2)}, "blocks is (2, 0, 2); expected 3 numbers ≥ 1, one for each width"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        AutoencoderConfig(**fields)
