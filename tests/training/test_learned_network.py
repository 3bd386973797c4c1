"""The learned diffusion in PyTorch computes what the one in Numba does."""

import numpy as np
import pytest
import torch

from difffilter.training import learned_network
from difffilter.training.learned_network import LearnedDiffusion, StepConfig

PLAN = (StepConfig(4, 1, 8, 12), StepConfig(2, 1, 12, 4), StepConfig(4, 3, 4, 8))


def network(channels, seed=0):
    """A network whose steps all do something."""
    torch.manual_seed(seed)
    net = LearnedDiffusion(channels, PLAN)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if not name.endswith(("filters", "mixing")):
                weight.normal_(0, 0.2)
    return net


@pytest.mark.parametrize("shape", [(2, 1, 37, 51), (1, 3, 41, 29), (1, 1, 5, 3), (1, 3, 1, 1)])
def test_both_agree(shape, rng):
    f = rng.normal(0, 3, shape).astype(np.float32)
    net, after = network(shape[1]), []
    result, found = net.stages().evolve(f, 3.0, callback=lambda time, u: after.append(u) and None)
    with torch.no_grad():
        expected = net(torch.from_numpy(f))
    assert len(expected) == len(after) == found["time"] == 3
    for mine, theirs in zip(after, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=0, atol=1e-5)
    if min(shape[2:]) > 1:
        assert abs(result - f).max() > 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_are_the_same_there_and_back(channels):
    net = network(channels)
    back = LearnedDiffusion.from_stages(net.stages())
    noisy = torch.randn(1, channels, 19, 23)
    with torch.no_grad():
        torch.testing.assert_close(back(noisy), net(noisy), rtol=0, atol=1e-5)


def test_the_stages_do_not_change_with_the_network():
    net = network(1)
    stages = net.stages()
    before = stages.stages[0].bias.copy()
    with torch.no_grad():
        net.steps[0].bias.add_(1)
    np.testing.assert_array_equal(stages.stages[0].bias, before)


def test_a_new_network_changes_nothing():
    noisy = torch.randn(1, 1, 20, 21)
    for image in LearnedDiffusion(1, PLAN)(noisy):
        assert torch.equal(image, noisy)


def test_brightness_makes_no_difference():
    net, noisy = network(1).double(), torch.randn(1, 1, 20, 21, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(noisy + 7)[-1], net(noisy)[-1] + 7)


def test_every_weight_has_a_gradient():
    net = network(3)
    net(torch.randn(2, 3, 16, 16))[-1].square().mean().backward()
    for name, weight in net.named_parameters():
        if name != "steps.0.fidelity":  # there u is f
            assert weight.grad.abs().max() > 0, name


def test_colour_that_starts_from_grey_sees_grey_images_as_before(monkeypatch):
    """Three equal channels u/√3 give the responses that u alone gave."""
    monkeypatch.setattr(learned_network, "NEW", 0)
    net, u = network(1), torch.randn(1, 1, 17, 22)
    with torch.no_grad():
        for grey, colour in zip(
            net(u), net.coloured(0)(u.repeat(1, 3, 1, 1) / 3**0.5), strict=True
        ):
            torch.testing.assert_close(colour, grey.repeat(1, 3, 1, 1) / 3**0.5, rtol=0, atol=1e-5)


def test_its_random_share_follows_from_the_seed():
    net = network(1)
    one, same, other = (net.coloured(seed).steps[0].filters for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.allclose(one[:, :16], one[:, 16:32])  # two channels
