"""The conditional network: a text encoder and a U-Net as one."""

import json
import re
from dataclasses import asdict, replace

import pytest
import torch
from networks import assert_every_weight_matters, randomised

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNetConfig
from difffilter.generate.autoencoder import AutoencoderConfig
from difffilter.generate.text import TextConfig
from difffilter.generate.text_to_image import TextToImage, TextToImageConfig
from difffilter.generate.weights import network

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = TextToImageConfig(
    unet=UNetConfig(
        channels=2, shuffle=1, widths=(8, 16), blocks=1, middle=1, attention=(1,), heads=2,
        groups=4, embedding=16, context=16,
    ),
    text=TextConfig(vocabulary=20, length=6, width=16, layers=1, heads=2),
    size=4,
)  # fmt: skip
IDS = torch.tensor([[1, 7, 9, 2, 0, 0], [1, 2, 0, 0, 0, 0], [1, 9, 7, 5, 6, 2]])


def inputs(count=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 2, 4, 4, generator=generator), torch.linspace(3, 900, count)


def test_the_output_is_shaped_like_the_input():
    x, t = inputs()
    assert TextToImage(SMALL)(x, t, IDS).shape == x.shape


def test_batch_mates_and_padding_do_not_matter():
    net, (x, t) = randomised(TextToImage, SMALL).eval(), inputs()
    together = net(x, t, IDS)
    for i, length in enumerate([4, 2, 6]):
        alone = net(x[i : i + 1], t[i : i + 1], IDS[i : i + 1, :length])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_words_and_their_order_matter():
    net, (x, t) = randomised(TextToImage, SMALL), inputs(1)
    texts = [[1, 7, 9, 2], [1, 9, 7, 2], [1, 7, 8, 2]]
    first, *others = (net(x, t, torch.tensor([ids])) for ids in texts)
    for other in others:
        assert (other - first).abs().max() > 1e-3


def test_noise_follows_from_velocity():
    # x = √ᾱ x₀ + √(1 − ᾱ) ε and v = √ᾱ ε − √(1 − ᾱ) x₀ are a rotation of x₀ and ε.
    net, (x, t), schedule = randomised(TextToImage, SMALL), inputs(), NoiseSchedule()
    alpha_bar = torch.as_tensor(schedule.alpha_bar(t)).float()[:, None, None, None]
    v, eps = net(x, t, IDS), net.given(IDS, schedule)(x, t)
    x0 = alpha_bar.sqrt() * x - (1 - alpha_bar).sqrt() * v
    torch.testing.assert_close(alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps, x)


def test_a_text_that_is_given_is_encoded_once():
    net, (x, t) = randomised(TextToImage, SMALL), inputs()
    eps_theta = net.given(IDS, NoiseSchedule())
    expected = eps_theta(x, t)
    net.text = None
    torch.testing.assert_close(eps_theta(x, t), expected)


def with_image():
    return randomised(TextToImage, replace(SMALL, image=5)).eval()


def test_an_embedding_matters_unless_it_is_zero():
    net, (x, t) = with_image(), inputs()
    embedding = torch.nn.functional.normalize(torch.arange(15.0).reshape(3, 5), dim=1)
    embedding[1] = 0
    given, free = net(x, t, IDS, embedding), net(x, t, IDS)
    torch.testing.assert_close(given[1], free[1])
    assert (given - free).abs().amax(dim=(1, 2, 3))[[0, 2]].min() > 1e-3
    eps_theta = net.given(IDS, NoiseSchedule(), embedding)
    assert (eps_theta(x, t) - net.given(IDS, NoiseSchedule())(x, t)).abs().max() > 1e-4


def test_a_fresh_network_says_the_same_of_all_embeddings():
    torch.manual_seed(0)
    net, (x, t) = TextToImage(replace(SMALL, image=5)), inputs()
    one, other = (net(x, t, IDS, torch.full((3, 5), value)) for value in (1.0, -1.0))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda: with_image(), "embedding has shape (3, 4); expected (3, 5)"),
        (lambda: TextToImage(SMALL), "embedding has shape (3, 4); expected None"),
    ],
)
def test_embeddings_of_another_size_are_refused(net, message):
    x, t = inputs()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        net()(x, t, IDS, torch.ones(3, 4))


def test_every_weight_matters():
    net, (x, t) = randomised(TextToImage, SMALL), inputs()
    net(x, t, IDS).square().mean().backward()
    assert_every_weight_matters(net)


def test_the_default_is_for_the_latents_of_the_default_autoencoder():
    config, autoencoder = TextToImageConfig(), AutoencoderConfig()
    assert config.unet.channels == autoencoder.latent
    assert config.size * autoencoder.factor == 64


@pytest.mark.parametrize("config", [TextToImageConfig(), SMALL])
def test_configs_survive_json(config):
    net = network("text-to-image", json.loads(json.dumps(asdict(config))))
    assert net.config == config
    net.load_state_dict(TextToImage(config).state_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size": 0}, "size is 0; expected a whole number ≥ 1"),
        ({"size": 5}, "size is 5; expected a multiple of unet.multiple=2"),
        ({"unet": UNetConfig(), "size": 16}, "unet.context is 0; expected text.width=16"),
        ({"text": TextConfig()}, "unet.context is 16; expected text.width=128"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        replace(SMALL, **fields)
