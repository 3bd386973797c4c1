"""The text encoder: padding does not matter, the order of words does."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch
from networks import assert_every_weight_matters, randomised

from difffilter.generate.text import TextConfig, TextEncoder, trimmed
from difffilter.generate.tokens import PAD

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = TextConfig(vocabulary=20, length=8, width=16, layers=2, heads=2)
TEXTS = [[1, 7, 13, 4, 2], [1, 2], [1, 5, 5, 9, 17, 4, 11, 2]]


def padded(texts, length=8):
    return torch.tensor([[*ids, *[PAD] * (length - len(ids))] for ids in texts])


def test_a_vector_for_each_token():
    tokens, mask = TextEncoder(SMALL)(padded(TEXTS))
    assert tokens.shape == (3, 8, 16)
    assert mask.dtype == torch.bool
    assert mask.sum(dim=1).tolist() == [5, 2, 8]
    assert mask[0].tolist() == 5 * [True] + 3 * [False]


@pytest.mark.parametrize("training", [True, False])
def test_padding_does_not_matter(training):
    """In use PyTorch takes a faster way through its layers than in training."""
    net = randomised(TextEncoder, SMALL).train(training)
    with torch.set_grad_enabled(training):
        together = net(padded(TEXTS))
        for tokens, ids in zip(together.tokens, TEXTS, strict=True):
            alone = net(torch.tensor([ids]))
            assert alone.mask.all()
            found = tokens[: len(ids)]
            torch.testing.assert_close(found, alone.tokens[0], rtol=1e-4, atol=1e-5)
        torch.nn.init.normal_(net.tokens.weight.data[PAD], std=10)
        other = net(padded(TEXTS))
    torch.testing.assert_close(other.tokens[other.mask], together.tokens[together.mask])
    torch.testing.assert_close(other.mean(), together.mean())


def test_in_use_the_vectors_are_those_of_the_training():
    net, ids = randomised(TextEncoder, SMALL), padded(TEXTS)
    trained, mask = net.train()(ids)
    with torch.inference_mode():
        used, _ = net.eval()(ids)
    torch.testing.assert_close(used[mask], trained[mask], rtol=1e-4, atol=1e-5)


def test_the_order_of_words_matters_and_by_their_places_alone():
    net, ids, order = randomised(TextEncoder, SMALL), padded(TEXTS[:1], 5), [0, 3, 1, 2, 4]
    first, other = net(ids), net(ids[:, order])
    assert (first.mean() - other.mean()).abs().max() > 1e-3
    assert (first.tokens[:, order] - other.tokens).abs().max() > 1e-2
    torch.nn.init.zeros_(net.places)
    moved = net(ids).tokens[:, order]
    torch.testing.assert_close(net(ids[:, order]).tokens, moved, rtol=1e-4, atol=1e-5)


def test_each_token_sees_all_others():
    net = randomised(TextEncoder, SMALL)
    before = net(padded(TEXTS)).tokens[0]
    for place in range(5):
        ids = padded(TEXTS)
        ids[0, place] = 18
        change = (net(ids).tokens[0] - before).abs().amax(dim=1)
        assert (change[:5] > 1e-4).all()


def test_every_weight_matters():
    net = randomised(TextEncoder, SMALL)
    net(padded(TEXTS)).mean().square().mean().backward()
    assert_every_weight_matters(net)


def test_texts_that_are_too_long_are_refused():
    message = "ids has shape (2, 9); expected at most 8 tokens a text"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TextEncoder(SMALL)(torch.ones(2, 9, dtype=torch.int64))


@pytest.mark.parametrize(
    ("longest", "length", "kept"),
    [(2, 32, 8), (8, 32, 8), (9, 32, 16), (31, 32, 32), (32, 32, 32), (9, 12, 12), (3, 6, 6)],
)
def test_padding_of_all_texts_is_cut_off(longest, length, kept):
    ids = np.zeros((3, length), np.int64)
    ids[:2, :2], ids[2, :longest] = 1, 5
    found = trimmed(ids)
    assert found.dtype == torch.int64
    assert found.shape == (3, kept)
    np.testing.assert_array_equal(found.numpy(), ids[:, :kept])
    assert not ids[:, kept:].any()


@pytest.mark.parametrize("config", [TextConfig(), SMALL])
def test_configs_survive_json(config):
    assert TextConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocabulary": 0}, "vocabulary is 0; expected a whole number ≥ 1"),
        ({"length": -1}, "length is -1; expected a whole number ≥ 1"),
        ({"width": 2.5}, "width is 2.5; expected a whole number ≥ 1"),
        ({"layers": True}, "layers is True; expected a whole number ≥ 1"),
        ({"heads": 3}, "heads is 3; expected a divisor of the width 128"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        TextConfig(**fields)
