"""The network: what it must be whatever its weights are."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch
from networks import assert_every_weight_matters, randomised

from difffilter.ddpm.process import add_noise, posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import Attention, Context, CrossAttention, UNet, UNetConfig

SMALL = UNetConfig(widths=(16, 16), blocks=1, middle=1, attention=(1,), embedding=32)
GUIDED = replace(SMALL, shuffle=1, attention=(0, 1), context=12)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shuffle", [1, 2])
def test_the_output_is_shaped_like_the_input(channels, shuffle):
    net = UNet(UNetConfig(channels=channels, shuffle=shuffle))
    multiple = net.config.multiple
    assert multiple == 8 * shuffle
    x = torch.zeros(2, channels, multiple, 3 * multiple)
    assert net(x, torch.tensor([0.0, 1000.0])).shape == x.shape


def test_gradients_are_finite_at_all_t():
    net, schedule = randomised(UNet, SMALL), NoiseSchedule()
    t = torch.arange(0, 1001, 5, dtype=torch.float32)
    eps = torch.randn(len(t), 1, 16, 16)
    xt = add_noise(torch.rand_like(eps) * 2 - 1, t.numpy(), eps, schedule)
    errors = (net(xt, t) - eps).square().mean(dim=(1, 2, 3))
    assert errors.isfinite().all()
    errors.sum().backward()
    assert_every_weight_matters(net)


def test_batch_mates_do_not_matter():
    net = randomised(UNet, SMALL).eval()
    x, t = torch.randn(5, 1, 16, 24), torch.tensor([1.0, 30.0, 57.3, 400.0, 1000.0])
    together = net(x, t)
    for i in range(len(x)):
        alone = net(x[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_t_matters():
    net, x = randomised(UNet, SMALL), torch.randn(1, 1, 16, 16)
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


# --- a context --------------------------------------------------------------------------------


def contexts(lengths, size=12, room=6, seed=1):
    """A random context for each length, beside random padding."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(room) < torch.tensor(lengths)[:, None]
    return Context(torch.randn(len(lengths), room, size, generator=generator), mask)


def inputs(count, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 8, 4, generator=generator), torch.linspace(5, 900, count)


def cross_attention():
    torch.manual_seed(0)
    config = UNetConfig(widths=(8,), heads=2, groups=4, attention=(0,), context=6)
    layer = CrossAttention(8, config)
    torch.nn.init.normal_(layer.out.weight)
    return layer, torch.randn(1, 8, 3, 5)


def test_cross_attention_is_the_softmax_of_the_scores():
    layer, x = cross_attention()
    tokens, mask = contexts([3], size=6, room=5)
    q = layer.q(layer.norm(x)[0].reshape(8, 15).T)  # (15, 8)
    k, v = layer.kv(tokens[0, :3]).chunk(2, dim=1)  # each (3, 8)
    mixed = torch.empty(15, 8)
    for head in (slice(0, 4), slice(4, 8)):
        scores = q[:, head] @ k[:, head].T / 4**0.5
        mixed[:, head] = scores.softmax(dim=1) @ v[:, head]
    expected = x + layer.out(mixed).T.reshape(1, 8, 3, 5)
    found = layer(x, Context(tokens, mask))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_cross_attention_takes_tokens_in_any_order_and_number():
    """It mixes them: a sequence backwards or twice over gives the same."""
    layer, x = cross_attention()
    tokens, mask = contexts([5], size=6, room=5)
    for order in ([4, 3, 2, 1, 0], [0, 1, 2, 3, 4] * 2):
        found = layer(x, Context(tokens[:, order], mask[:, order]))
        torch.testing.assert_close(found, layer(x, Context(tokens, mask)), rtol=1e-4, atol=1e-5)


def test_a_single_token_tells_all_pixels_the_same():
    layer, x = cross_attention()
    added = layer(x, contexts([1], size=6)) - x
    assert added.abs().max() > 0.01
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added), rtol=1e-4, atol=1e-5)


def test_the_mean_of_a_context_is_that_of_its_tokens():
    context = contexts([1, 4, 6])
    for mean, tokens, length in zip(context.mean(), context.tokens, (1, 4, 6), strict=True):
        torch.testing.assert_close(mean, tokens[:length].mean(dim=0))


def test_padding_does_not_matter():
    net, lengths = randomised(UNet, GUIDED), [6, 1, 4]
    (x, t), (tokens, mask) = inputs(3), contexts(lengths)
    together = net(x, t, Context(tokens, mask))
    other = torch.where(mask[:, :, None], tokens, 100 * torch.randn_like(tokens))
    torch.testing.assert_close(net(x, t, Context(other, mask)), together, rtol=1e-5, atol=1e-6)
    for i, length in enumerate(lengths):
        bare = Context(tokens[i : i + 1, :length], mask[i : i + 1, :length])
        alone = net(x[i : i + 1], t[i : i + 1], bare)
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_tokens_matter():
    """Also where their mean is the same."""
    net, (x, t), (tokens, mask) = randomised(UNet, GUIDED), inputs(1), contexts([2], room=2)
    apart = tokens + torch.tensor([1.0, -1.0])[:, None]
    torch.testing.assert_close(Context(apart, mask).mean(), Context(tokens, mask).mean())
    change = net(x, t, Context(apart, mask)) - net(x, t, Context(tokens, mask))
    assert change.abs().max() > 0.01


def test_every_weight_of_a_network_with_a_context_matters():
    net, (x, t) = randomised(UNet, GUIDED), inputs(3)
    net(x, t, contexts([2, 6, 3])).square().mean().backward()
    assert_every_weight_matters(net)


@pytest.mark.parametrize(("attention", "levels"), [((0, 1), 3), ((0,), 2), ((1,), 1), ((), 0)])
def test_a_context_adds_layers_and_changes_none(attention, levels):
    """Weights that were trained without one fit, and their network is the one that says nothing of it."""
    config = replace(GUIDED, attention=attention)
    guided, plain = randomised(UNet, config), UNet(replace(config, context=0))
    added = [name for name in guided.state_dict() if "context." in name or ".cross." in name]
    assert len(added) == 2 * (
        1 + 4 * levels
    )  # weights and biases: one layer, and four in each level
    shared = {name: each for name, each in guided.state_dict().items() if name not in added}
    plain.load_state_dict(shared)  # no layer is missing, none too many
    for name, weight in guided.named_parameters():
        if name.startswith("context.") or ".cross.out." in name:
            torch.nn.init.zeros_(weight)
    x, t = inputs(2)
    torch.testing.assert_close(guided(x, t, contexts([3, 1])), plain(x, t))


NEEDED = "context is None; expected tokens of size 12"
REFUSED = "context is tokens of size 12; expected None"
OTHER = "context is tokens of size 8; expected tokens of size 12"


@pytest.mark.parametrize(
    ("config", "context", "message"),
    [
        (GUIDED, None, NEEDED),
        (SMALL, contexts([3]), REFUSED),
        (GUIDED, contexts([3], size=8), OTHER),
    ],
)
def test_a_context_that_does_not_fit_is_refused(config, context, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        UNet(config)(*inputs(1), context)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0:RuntimeWarning")
def test_compiled_it_is_the_same():
    """One graph, with the check of the context in front of it."""
    torch.compiler.reset()
    net, (x, t), context = randomised(UNet, GUIDED), inputs(2), contexts([3, 1])
    whole = torch.compile(net, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(x, t, context), net(x, t, context))
    with pytest.raises(ValueError, match=f"^{NEEDED}$"):
        torch.compile(net, backend="eager")(x, t)


# --- configs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [UNetConfig(), SMALL, GUIDED])
def test_configs_survive_json(config):
    assert UNetConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 0}, "channels is 0; expected a whole number ≥ 1"),
        ({"context": -1}, "context is -1; expected a whole number ≥ 0"),
        ({"widths": ()}, "widths is (); expected multiples of groups=8"),
        ({"widths": (12,)}, "widths is (12,); expected multiples of groups=8"),
        ({"attention": (4,)}, "attention is (4,); expected levels in [0, 3]"),
        ({"heads": 5}, "heads is 5; expected a divisor of the width 96"),
        ({"embedding": 3}, "embedding is 3; expected an even number ≥ 4"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        UNetConfig(**fields)
