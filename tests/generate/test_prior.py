"""The prior of unCLIP, and pictures that are made by way of an embedding."""

import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from networks import assert_every_weight_matters, randomised
from tiny_models import tiny_clip, tiny_unclip

from difffilter.ddpm.process import add_noise
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate import (
    Prior,
    PriorConfig,
    TextConfig,
    edit,
    images,
    load,
    save,
    unknown_words,
    weights,
)
from difffilter.generate.unclip import draw_embeddings
from difffilter.generate.weights import network

pytestmark = pytest.mark.usefixtures("torch_threads")

SMALL = PriorConfig(TextConfig(vocabulary=20, length=6, width=16, layers=2, heads=2), 5)
IDS = torch.tensor([[1, 7, 9, 2, 0, 0], [1, 2, 0, 0, 0, 0], [1, 9, 7, 5, 6, 2]])


def inputs():
    generator = torch.Generator().manual_seed(1)
    x, text = torch.randn(2, 3, 5, generator=generator)
    return x, torch.linspace(3, 900, 3), IDS, torch.nn.functional.normalize(text, dim=1)


def drawn(prior, texts=("a red heart",), seeds=(0,), **options):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    with torch.inference_mode():
        return draw_embeddings(texts, "", generators, prior=prior, steps=3, **options)


def test_batch_mates_and_padding_do_not_matter():
    net, (x, t, ids, text) = randomised(Prior, SMALL).eval(), inputs()
    together = net(x, t, ids, text)
    assert together.shape == x.shape
    for i, length in enumerate([4, 2, 6]):
        one = slice(i, i + 1)
        alone = net(x[one], t[one], ids[one, :length], text[one])
        torch.testing.assert_close(together[one], alone, rtol=1e-4, atol=1e-5)


def test_tokens_see_only_what_is_before_them():
    net, (x, t, ids, text) = randomised(Prior, SMALL).eval(), inputs()
    seen = []
    net.layers.register_forward_hook(lambda layer, given, found: seen.append(found))
    net(x, t, ids, text)
    net(x + 1, t, ids, text)
    one, other = seen
    torch.testing.assert_close(one[:, :-2], other[:, :-2])
    assert (one - other)[:, -2:].abs().amax(dim=(0, 2)).min() > 1e-3


@pytest.mark.parametrize("which", range(4))
def test_everything_matters_but_to_a_regression_the_noised_embedding_and_the_step(which):
    given = inputs()
    changed = list(given)
    changed[which] = given[which].flip(0) if which != 2 else given[2].clamp(max=7)
    for regression in (False, True):
        net = randomised(Prior, replace(SMALL, regression=regression)).eval()
        difference = (net(*given) - net(*changed)).abs().max()
        assert (difference > 1e-4) == (which > 1 or not regression)


def test_every_weight_matters():
    net = randomised(Prior, SMALL)
    net(*inputs()).square().mean().backward()
    assert_every_weight_matters(net)


def test_the_noise_is_what_is_left_beside_the_embedding():
    net, (_, _, ids, text), schedule = randomised(Prior, SMALL), inputs(), NoiseSchedule()
    x0, eps = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(2))
    t = np.array([100.0, 500.0, 900.0])
    net.forward = lambda *_: x0
    found = net.given(ids, text, schedule)(add_noise(x0, t, eps, schedule), torch.from_numpy(t))
    torch.testing.assert_close(found, eps, rtol=1e-4, atol=1e-4)


def test_configs_survive_json():
    net = network("prior", json.loads(json.dumps(asdict(SMALL))))
    assert net.config == SMALL
    with pytest.raises(ValueError, match=re.escape("dimension is 0; expected a whole number ≥ 1")):
        PriorConfig(dimension=0)


def test_embeddings_are_unit_vectors_and_follow_from_seed_and_text(tmp_path):
    _, prior = tiny_unclip(tmp_path)
    found = drawn(prior, ["a red heart", "a red heart", "a blue fish"], (0, 1, 0))
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(found[:1], drawn(prior), rtol=1e-3, atol=1e-3)
    assert min((found[0] - found[k]).abs().max() for k in (1, 2)) > 1e-3


def test_a_regression_has_one_answer(tmp_path):
    _, prior = tiny_unclip(tmp_path, regression=True)
    one, other = (drawn(prior, seeds=(seed,), guidance=w) for seed, w in ((0, 2.0), (1, 1.0)))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    model = load(prior)
    ids = torch.from_numpy(model.tokeniser.encode_all(["a red heart"]))
    text = load(model.clip).net.embed_texts(ids)
    expected = model.net(torch.zeros(1, 8), torch.zeros(1), ids, text)
    torch.testing.assert_close(one, torch.nn.functional.normalize(expected), rtol=1e-3, atol=1e-3)


def test_pictures_are_made_by_way_of_an_embedding(tmp_path, monkeypatch):
    from difffilter.generate import sampling

    decoder, prior = tiny_unclip(tmp_path)

    def made(**options):
        return images("a red heart", model=decoder, prior=prior, steps=2, **options)

    usual = made()
    assert usual.shape == (1, 64, 64, 3)
    np.testing.assert_array_equal(usual, made())
    monkeypatch.setattr(sampling, "draw_embeddings", lambda *_, **__: torch.zeros(1, 8))
    assert np.abs(made() - usual).max() > 1e-3
    monkeypatch.setattr(sampling, "draw_embeddings", None)  # of no use without guidance
    made(guidance=0)


def test_the_name_unclip_stands_for_the_decoder(tmp_path, monkeypatch):
    decoder, prior = tiny_unclip(tmp_path)
    monkeypatch.setitem(weights.ALIASES, "unclip", decoder)
    options = {"prior": prior, "steps": 1, "candidates": 1}
    np.testing.assert_array_equal(
        images("a red heart", model="unclip", **options),
        images("a red heart", model=decoder, **options),
    )
    assert unknown_words("a red quark", "unclip") == {"quark": None}
    flat = np.full((64, 64, 3), 0.5)
    np.testing.assert_array_equal(
        *(edit(flat, "a red heart", model=model, steps=1) for model in ("unclip", decoder))
    )


def test_another_clip_is_refused(tmp_path):
    _, prior = tiny_unclip(tmp_path)
    checksum = load(prior).embeddings
    start = f"prior is {str(prior)!r}, for embeddings of the CLIP {checksum}; expected "
    with pytest.raises(ValueError, match=f"^{re.escape(start)}abc$"):
        drawn(prior, clip="abc")
    path = tiny_clip(tmp_path)
    other = load(path)
    other.net.out.bias.data += 1
    save(path, other)
    with pytest.raises(ValueError, match=f"^{re.escape(start + load(path).sha256)}$"):
        drawn(prior)
