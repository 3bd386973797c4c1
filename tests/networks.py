"""Networks with random weights, for tests of what holds whatever the weights are."""

import torch

from difffilter.ddpm import weights
from difffilter.ddpm.bias_free import BiasFreeConfig, BiasFreeUNet
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig


def randomised(kind, *arguments, seed=0):
    """A network of a class and its arguments, a config first, in which no layer is zero."""
    torch.manual_seed(seed)
    net = kind(*arguments)
    for weight in net.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return net


def random_weights(path, channels):
    """A weight file of a small DDPM for grey or colour images."""
    config = UNetConfig(
        channels=channels, widths=(16, 16), blocks=1, middle=1, attention=(1,), embedding=32
    )
    weights.save(path, randomised(UNet, config, seed=channels), NoiseSchedule(), (0.01, 0.5))
    return path


def random_bias_free(path, channels):
    """A weight file of a small DDPM that takes maps, for grey or colour images."""
    config = BiasFreeConfig(channels=channels, widths=(8, 16), blocks=(1, 1))
    net = randomised(BiasFreeUNet, config, NoiseSchedule(), seed=channels)
    weights.save(path, net, NoiseSchedule(), (0.01, 0.5))
    return path


def assert_every_weight_matters(net):
    """After a backward pass."""
    for name, weight in net.named_parameters():
        assert weight.grad is not None, f"{name} does not matter"
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), f"{name} does not matter"
