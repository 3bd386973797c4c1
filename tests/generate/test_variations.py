"""Variations, ways between pictures and changes by words, by tiny networks with random weights."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import tiny_clip, tiny_model, tiny_unclip

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate import TextToImage, TextToImageConfig, load, save, vary
from difffilter.generate.variations import direction, noise_of, slerp

SCHEDULE = NoiseSchedule()


@pytest.fixture
def decoder(tmp_path):
    return tiny_unclip(tmp_path)[0]


@pytest.fixture
def picture(rng):
    return rng.random((64, 64, 3), np.float32)


def test_variations_follow_the_seed_and_the_picture(decoder, picture):
    calls = []

    def made(image=picture, **options):
        return vary(image, 2, model=decoder, steps=2, **options)

    first = made(callback=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 2), (2, 2)]
    assert first.shape == (2, 64, 64, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() <= first.max() <= 1
    np.testing.assert_array_equal(first, made())
    assert np.abs(first[0] - first[1]).max() > 1e-3
    assert np.abs(first - made(seed=1)).max() > 1e-3
    assert np.abs(first - made(1 - picture)).max() > 1e-4


@pytest.mark.parametrize("shape", [(64, 64), (20, 33, 3), (90, 60, 4)])
def test_pictures_of_any_size_and_kind(decoder, shape, rng):
    assert vary(rng.random(shape), model=decoder, steps=1).shape == (1, 64, 64, 3)


def test_a_way_begins_at_one_picture_and_ends_at_the_other(decoder, picture):
    """Backwards, it is the way of the pictures exchanged."""
    other = picture[::-1].copy()

    def way(one, two):
        return vary(one, 3, between=two, model=decoder, steps=4)

    there, back = way(picture, other), way(other, picture)
    np.testing.assert_allclose(there, back[::-1], atol=1e-3)
    assert np.abs(there[0] - there[-1]).max() > 1e-2
    (middle,) = vary(picture, between=other, model=decoder, steps=4)
    np.testing.assert_allclose(middle, there[1], atol=1e-3)


def test_no_way_at_all_stays_at_the_picture(decoder, picture):
    def made(**options):
        return vary(picture, toward="a red heart", model=decoder, steps=4, **options)

    stayed = made(amount=0)
    np.testing.assert_allclose(
        stayed[0], vary(picture, 2, between=picture, model=decoder, steps=4)[0], atol=1e-3
    )
    assert np.abs(made(amount=1) - stayed).max() > 1e-3
    assert np.abs(made(amount=1, away="a blue fish") - made(amount=1)).max() > 1e-4


def test_a_text_leads_from_what_it_is_not_to_what_it_is(tmp_path):
    clip = load(tiny_clip(tmp_path))
    there = direction(clip, "a blue fish", "a red heart")
    assert float(there.norm()) == pytest.approx(1)
    torch.testing.assert_close(direction(clip, "a red heart", "a blue fish"), -there)


def test_the_reverse_process_undoes_the_flow_to_noise():
    """The posterior mean of Gaussian pictures is known: from their noise, they come back."""
    from difffilter.ddpm.process import reverse

    def eps_theta(x, t):  # of pictures with variance 1, x_t has variance 1 at every t
        return (1 - SCHEDULE.alpha_bar(float(t[0]))) ** 0.5 * x

    x0 = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    noise = noise_of(eps_theta, x0, SCHEDULE, 100)
    most = float(SCHEDULE.sigma_tilde(SCHEDULE.T))
    assert float(noise.std()) == pytest.approx(most, rel=0.1)
    back = reverse(eps_theta, noise, most, SCHEDULE, steps=100, eta=0.0, solver="dpm++")
    torch.testing.assert_close(back, x0, atol=0.05, rtol=0)


@given(
    start=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    end=st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    share=st.floats(0, 1),
)
def test_slerp_turns_evenly(start, end, share):
    one, other = (torch.tensor(each, dtype=torch.float64) for each in (start, end))
    lengths = float(one.norm()), float(other.norm())
    if min(lengths) < 1e-2:
        return
    angle = math.acos(max(-1, min(1, float(one @ other) / math.prod(lengths))))
    if not 1e-2 < angle < math.pi - 1e-2:
        return
    (point,) = slerp(one, other, torch.tensor([share]))
    length = (1 - share) * lengths[0] + share * lengths[1]
    assert float(point.norm()) == pytest.approx(length, rel=1e-6)
    cosine = float(one @ point) / (lengths[0] * length)
    assert math.acos(max(-1, min(1, cosine))) == pytest.approx(share * angle, abs=1e-5)


def test_slerp_of_vectors_that_are_alike():
    one = torch.tensor([[0.6, 0.8]])
    torch.testing.assert_close(
        slerp(one, 2 * one, torch.tensor([0.0, 0.5])), torch.stack([one, 1.5 * one])
    )


def test_the_tokens_of_an_embedding_are_not_alike():
    """Alike at first, they would have the same gradients, and stay alike."""
    net = TextToImage(TextToImageConfig(image=16))
    tokens = net.context(torch.tensor([[1, 2]]), torch.eye(16)[:1]).tokens[0, 2:]
    assert len(tokens) > 1
    assert torch.pdist(tokens).min() > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"between": np.zeros((8, 8)), "toward": "x"},
            "between and toward are both given; expected",
        ),
        ({"n": 0}, "n is 0; expected a whole number ≥ 1"),
        ({"steps": 0}, "steps is 0; expected a whole number ≥ 1"),
        ({"amount": 1.5}, "amount is 1.5; expected a finite number ≥ 0 and ≤ 1"),
        ({"between": np.zeros((8, 8, 2))}, "image has shape (8, 8, 2); expected (H, W), (H, W, 3)"),
    ],
)
def test_bad_input(decoder, picture, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        vary(picture, **{"model": decoder, **options})


def test_bad_weights(decoder, picture, tmp_path):
    latent = tiny_model(tmp_path)
    with pytest.raises(
        ValueError, match=r"latent.safetensors'; expected weights that take embeddings$"
    ):
        vary(picture, model=latent)
    clip = load(tmp_path / "clip.safetensors")
    clip.net.log_steepness.data += 1
    save(tmp_path / "clip.safetensors", clip)
    with pytest.raises(
        ValueError, match=r"decoder.safetensors', for embeddings of the CLIP \w+; expected"
    ):
        vary(picture, model=decoder)
