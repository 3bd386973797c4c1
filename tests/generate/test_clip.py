"""CLIP: embeddings on a sphere, and the contrastive loss against loops."""

import json
import math
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from networks import assert_every_weight_matters, randomised

from difffilter.generate.clip import CLIP, CLIPConfig, contrastive_loss
from difffilter.generate.text import TextConfig
from difffilter.generate.weights import network

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = CLIPConfig(
    text=TextConfig(vocabulary=20, length=6, width=16, layers=1, heads=2),
    size=16, widths=(8, 16), blocks=1, dimension=6, groups=4, heads=2,
)  # fmt: skip
IDS = torch.tensor([[1, 7, 9, 2, 0, 0], [1, 2, 0, 0, 0, 0], [1, 9, 7, 5, 6, 2]])


def pictures(count=3, size=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 3, size, size, generator=generator) - 1


def unit_vectors(count, dimension=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


# --- embeddings -------------------------------------------------------------------------------


def test_embeddings_are_unit_vectors_of_one_dimension():
    images, texts, steepness = randomised(CLIP, SMALL)(pictures(), IDS)
    for embeddings in (images, texts):
        assert embeddings.shape == (3, 6)
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    assert steepness.item() == pytest.approx(1 / 0.07)


def test_batch_mates_and_padding_do_not_matter():
    net, x = randomised(CLIP, SMALL).eval(), pictures()
    images, texts, _ = net(x, IDS)
    for i, length in enumerate([4, 2, 6]):
        image, text, _ = net(x[i : i + 1], IDS[i : i + 1, :length])
        torch.testing.assert_close(images[i : i + 1], image, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(texts[i : i + 1], text, rtol=1e-4, atol=1e-5)


def test_every_pixel_matters():
    net, x = randomised(CLIP, SMALL), pictures(1).requires_grad_()
    (gradient,) = torch.autograd.grad(net.embed_images(x)[0, 0], x)
    assert (gradient.abs() > 0).all()


def test_the_places_of_features_matter_and_nothing_else_orders_them():
    tower = randomised(CLIP, SMALL).image
    tower.layers = torch.nn.Identity()
    for weight in (tower.places, tower.query):
        torch.nn.init.normal_(weight)
    features = torch.randn(1, 16, 2, 2, generator=torch.Generator().manual_seed(1))
    moved = features.flip(2)
    assert (tower(moved) - tower(features)).abs().max() > 0.01
    torch.nn.init.zeros_(tower.places)
    torch.testing.assert_close(tower(moved), tower(features))


def test_the_order_of_words_matters():
    net = randomised(CLIP, SMALL)
    first, other = net.embed_texts(torch.tensor([[1, 7, 9, 2], [1, 9, 7, 2]]))
    assert (first - other).abs().max() > 1e-3


@pytest.mark.parametrize("size", [8, 24])
def test_pictures_of_another_size_are_refused(size):
    """Also those of a single place, which would be taken for a picture that is the same everywhere."""
    message = f"x has shape (3, 3, {size}, {size}); expected (B, 3, 16, 16)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CLIP(SMALL).embed_images(pictures(size=size))


# --- the loss ---------------------------------------------------------------------------------


def naive_loss(images, texts, steepness, same):
    """−Σ p log q, the mean over all rows and over all columns of the table of cosines."""
    count, total = len(images), 0.0
    logits = [[steepness * float(f @ g) for g in texts] for f in images]
    belongs = [[i == k or bool(same[i][k]) for k in range(count)] for i in range(count)]
    for rows, targets in [
        (logits, belongs),
        (zip(*logits, strict=True), zip(*belongs, strict=True)),
    ]:
        for row, target in zip(rows, targets, strict=True):
            normaliser = math.log(sum(math.exp(logit) for logit in row))
            for logit, one in zip(row, target, strict=True):
                if one:
                    total -= (logit - normaliser) / sum(target) / count / 2
    return total


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("steepness", [0.5, 14.3, 100])
@pytest.mark.parametrize("share", [None, 0.0, 0.4])
def test_the_loss_is_that_of_the_definition(count, steepness, share):
    images, texts = unit_vectors(count), unit_vectors(count, seed=1)
    same = np.random.default_rng(count).random((count, count)) < (share or 0)
    found = contrastive_loss(
        images,
        texts,
        torch.tensor([float(steepness)]),
        None if share is None else torch.from_numpy(same),
    )
    assert found.shape == ()
    expected = naive_loss(images.numpy(), texts.numpy(), steepness, same)
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_pictures_and_texts_can_be_exchanged():
    images, texts, steepness = unit_vectors(4), unit_vectors(4, seed=1), torch.tensor(10.0)
    same = torch.zeros(4, 4, dtype=torch.bool)
    same[0, 2] = same[3, 1] = same[3, 2] = True
    torch.testing.assert_close(
        contrastive_loss(images, texts, steepness, same),
        contrastive_loss(texts, images, steepness, same.T),
    )


def test_pairs_can_be_reordered_and_the_sphere_turned():
    images, texts, steepness = unit_vectors(4), unit_vectors(4, seed=1), torch.tensor(10.0)
    loss, order = contrastive_loss(images, texts, steepness), [2, 0, 3, 1]
    turn, _ = torch.linalg.qr(unit_vectors(6, seed=2))
    torch.testing.assert_close(contrastive_loss(images[order], texts[order], steepness), loss)
    torch.testing.assert_close(contrastive_loss(images @ turn, texts @ turn, steepness), loss)


def test_the_loss_of_perfect_pairs_vanishes_with_the_steepness():
    """Orthogonal pairs: log(1 + (B − 1) e^−s)."""
    for steepness in (1.0, 10.0, 100.0):
        found = contrastive_loss(torch.eye(5), torch.eye(5), torch.tensor(steepness))
        assert found.item() == pytest.approx(math.log1p(4 * math.exp(-steepness)), abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_loss_of_equal_embeddings_is_that_of_a_guess(count):
    equal = unit_vectors(1).expand(count, -1)
    for same in (None, torch.ones(count, count, dtype=torch.bool)):
        loss = contrastive_loss(equal, equal, torch.tensor(30.0), same)
        assert loss.item() == pytest.approx(math.log(count), abs=1e-5)


def test_pairs_with_the_same_text_do_not_push_each_other_away():
    """Two of three texts are equal: unless told so, the loss would part the pictures."""
    images = torch.eye(3)[[0, 0, 1]].requires_grad_()
    texts, steepness = torch.eye(3)[[0, 0, 1]], torch.tensor(100.0)
    same = (texts[:, None] == texts).all(dim=2)
    loss = contrastive_loss(images, texts, steepness, same)
    (gradient,) = torch.autograd.grad(loss, images)
    assert loss.item() == pytest.approx(2 / 3 * math.log(2))  # the entropy of the target
    torch.testing.assert_close(gradient, torch.zeros(3, 3))


# --- training ---------------------------------------------------------------------------------


def test_every_weight_matters():
    net = randomised(CLIP, SMALL)
    contrastive_loss(*net(pictures(), IDS)).backward()
    assert_every_weight_matters(net)


def test_the_steepness_is_at_most_100_and_can_fall_again():
    net = randomised(CLIP, SMALL)
    torch.nn.init.constant_(net.log_steepness, 10)
    assert net.steepness.item() == pytest.approx(100, rel=1e-6)
    net.eval()(pictures(), IDS)
    assert net.log_steepness.item() == 10  # use changes nothing
    images, texts, steepness = net.train()(pictures(), IDS)
    assert steepness.item() == pytest.approx(100, rel=1e-6)
    # Pairs that do not match ask for less.
    contrastive_loss(images, texts.roll(1, 0), steepness).backward()
    assert net.log_steepness.grad > 0
    torch.optim.SGD([net.log_steepness], 0.01).step()
    assert net.steepness < 100


# --- configs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CLIPConfig(), SMALL])
def test_configs_survive_json(config):
    net = network("clip", json.loads(json.dumps(asdict(config))))
    assert net.config == config
    net.load_state_dict(CLIP(config).state_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"blocks": 0}, "blocks is 0; expected a whole number ≥ 1"),
        ({"dimension": 1.5}, "dimension is 1.5; expected a whole number ≥ 1"),
        ({"widths": ()}, "widths is (); expected multiples of groups=8"),
        ({"widths": (48, 68)}, "widths is (48, 68); expected multiples of groups=8"),
        ({"heads": 5}, "heads is 5; expected a divisor of the last width 96"),
        ({"size": 40}, "size is 40; expected a multiple of 16"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        CLIPConfig(**fields)
