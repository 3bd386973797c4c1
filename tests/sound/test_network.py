"""The network on spectrograms."""

import numpy as np
import pytest
import torch

from difffilter.ddpm import weights as image_weights
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.sound import weights
from difffilter.sound.network import SpectrogramNet


@pytest.fixture
def net():
    torch.manual_seed(0)
    config = UNetConfig(channels=1, shuffle=2, widths=(8, 8), attention=(), embedding=16)
    return SpectrogramNet(UNet(config), NoiseSchedule()).eval()


def test_a_turned_phase_turns_the_noise(net):
    """Only magnitudes are seen: the phase of the result is that of the input."""
    x = torch.randn(1, 2, 8, 12)
    turned = torch.stack((-x[:, 1], x[:, 0]), dim=1)  # times i
    t = torch.tensor([60.0])
    eps = net(x, t)
    np.testing.assert_allclose(
        net(turned, t).detach(), torch.stack((-eps[:, 1], eps[:, 0]), dim=1).detach(), atol=1e-6
    )


def test_the_noise_is_bounded_where_the_sound_is_loud(net):
    x = 1e4 * torch.ones(1, 2, 8, 12)
    assert float(net(x, torch.tensor([60.0])).detach().abs().max()) < 30


def test_weights_come_back(net, tmp_path):
    weights.save(tmp_path / "w.safetensors", net, (0.001, 1.0))
    again = weights.load(tmp_path / "w.safetensors")
    assert again.net.config == net.unet.config
    assert again.sigma_range == (0.001, 1.0)
    with pytest.raises(ValueError, match="foreign safetensors file"):
        image_weights.load(tmp_path / "w.safetensors")


def test_the_weights_of_the_package_are_small_and_have_a_card():
    assert weights.available() == ["sound"]
    assert weights.find("sound").stat().st_size < 3e6
    card = weights.card("sound")
    assert {"name", "data", "licence", "steps", "command", "parameters", "bytes"} <= set(card)
    assert card["bytes"] == weights.find("sound").stat().st_size
