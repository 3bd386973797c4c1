"""The network: what it must be whatever its weights are."""

import pytest
import torch

from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import Attention, UNet, UNetConfig

SMALL = UNetConfig(widths=(16, 16), blocks=1, middle=1, attention=(1,), embedding=32)


def randomised(config, seed=0):
    """A network in which no layer is zero."""
    torch.manual_seed(seed)
    net = UNet(config)
    for weight in net.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return net


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shuffle", [1, 2])
def test_the_output_is_shaped_like_the_input(channels, shuffle):
    net = UNet(UNetConfig(channels=channels, shuffle=shuffle))
    multiple = net.config.multiple
    assert multiple == 8 * shuffle
    x = torch.zeros(2, channels, multiple, 3 * multiple)
    assert net(x, torch.tensor([0.0, 1000.0])).shape == x.shape


def test_gradients_are_finite_at_all_t():
    net, schedule = randomised(SMALL), NoiseSchedule()
    t = torch.arange(0, 1001, 5, dtype=torch.float32)
    eps = torch.randn(len(t), 1, 16, 16)
    xt = add_noise(torch.rand_like(eps) * 2 - 1, t.numpy(), eps, schedule)
    errors = (net(xt, t) - eps).square().mean(dim=(1, 2, 3))
    assert errors.isfinite().all()
    errors.sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.isfinite().all(), name
        assert weight.grad.any(), f"{name} does not matter"


def test_batch_mates_do_not_matter():
    net = randomised(SMALL).eval()
    x, t = torch.randn(5, 1, 16, 24), torch.tensor([1.0, 30.0, 57.3, 400.0, 1000.0])
    together = net(x, t)
    for i in range(len(x)):
        alone = net(x[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_t_matters():
    net, x = randomised(SMALL), torch.randn(1, 1, 16, 16)
    assert not torch.allclose(net(x, torch.tensor([57.0])), net(x, torch.tensor([57.5])), atol=1e-5)


def test_attention_is_the_softmax_of_the_scores():
    torch.manual_seed(0)
    layer = Attention(8, UNetConfig(widths=(8,), heads=2, groups=4, attention=(0,)))
    torch.nn.init.normal_(layer.out.weight)
    x = torch.randn(1, 8, 3, 5)
    q, k, v = layer.qkv(layer.norm(x)[0].reshape(8, 15).T).chunk(3, dim=1)  # each (15, 8)
    mixed = torch.empty(15, 8)
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[:, head] @ k[:, head].T / 4**0.5
        mixed[:, head] = scores.softmax(dim=1) @ v[:, head]
    expected = x + layer.out(mixed).T.reshape(1, 8, 3, 5)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_it_overfits_one_image():
    """After a few hundred steps on one image the noise on that image is all but removed."""
    torch.manual_seed(0)
    net, schedule = UNet(SMALL), NoiseSchedule()
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    x0 = (((rows // 6 + columns // 9) % 2) * 1.0 - 0.5)[None, None]
    optimizer = torch.optim.Adam(net.parameters(), 4e-3)
    for _ in range(300):
        t = 35 + 25 * torch.rand(4)
        eps = torch.randn(4, 1, 32, 32)
        loss = (net(add_noise(x0, t.numpy(), eps, schedule), t) - eps).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        y = x0 + 0.2 * torch.randn(8, 1, 32, 32)
        error = (posterior_mean(net, y, 0.2, schedule) - x0).square().mean()
    assert error < 0.2**2 / 20  # 13 dB


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("channels", {"channels": 0}),
        ("widths", {"widths": ()}),
        ("widths", {"widths": (12,)}),
        ("attention", {"attention": (4,)}),
        ("heads", {"heads": 5}),
        ("embedding", {"embedding": 3}),
    ],
)
def test_configs_that_make_no_network_are_refused(name, fields):
    with pytest.raises(ValueError, match=name):
        UNetConfig(**fields)
