"""Pictures that are changed by words, by tiny networks with random weights."""

import re

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.generate import edit
from difffilter.generate.editing import noisy, window_around

SCHEDULE = NoiseSchedule()


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path)


@pytest.fixture
def picture(rng):
    return rng.random((64, 64, 3), np.float32)


def hole(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize("shape", [(64, 64), (90, 130), (20, 33), (64, 200)])
def test_what_is_outside_of_the_mask_stays_to_the_bit(model, shape, rng):
    picture = rng.random((*shape, 3), np.float32)
    mask = hole(shape, slice(4, 15), slice(7, 16))
    before = picture.copy()
    results = edit(picture, "a red heart", 2, mask=mask, model=model, steps=2)
    assert results.shape == (2, *shape, 3)
    assert results.dtype == np.float32
    assert (results[:, ~mask] == before[~mask]).all()
    assert 0 <= results.min() <= results.max() <= 1
    assert np.abs(results[0] - before)[mask].max() > 0.05
    assert np.abs(results[0] - results[1])[mask].max() > 1e-3
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("side", [64, 100])
def test_without_a_mask_the_picture_gets_the_size_of_the_model(model, side, rng):
    result = edit(rng.random((side, side)), "a red heart", model=model, steps=2)
    assert result.shape == (1, 64, 64, 3)


def test_the_same_seed_makes_the_same_picture(model, picture):
    calls = []

    def made(**options):
        return edit(picture, "a fish", model=model, steps=2, strength=0.9, **options)

    first = made(seed=1, callback=lambda *numbers: calls.append(numbers))
    assert calls == [(1, 2), (2, 2)]
    np.testing.assert_array_equal(first, made(seed=1))
    assert np.abs(first - made(seed=2)).max() > 1e-3


def test_strength_is_the_share_of_noise():
    x0 = 0.5 + torch.zeros(1, 4, 64, 64)
    before = 0.0
    for strength in (0.0, 0.3, 0.6, 0.9, 1.0):
        y, sigma = noisy(x0, strength, SCHEDULE, seed=0)
        assert sigma > before
        before = sigma
        share = sigma / (1 + sigma**2) ** 0.5
        assert share == pytest.approx(strength, abs=0.011)  # no step has less noise than the first
        assert float((y - x0).std()) == pytest.approx(sigma, rel=0.03)
        assert float((y - x0).mean()) == pytest.approx(0, abs=0.03 * sigma + 1e-6)


def test_little_strength_changes_little(model, picture):
    """Beside what the autoencoder changes."""

    def made(strength):
        return edit(picture, "a fish", model=model, steps=2, strength=strength)

    none, little, much = (made(strength) for strength in (0.0, 0.05, 0.99))
    assert np.abs(little - none).mean() < 0.3 * np.abs(much - none).mean()


def test_windows_hold_the_hole_and_stay_within_the_image():
    for shape, rows, columns in (
        ((200, 300), slice(0, 5), slice(290, 300)),
        ((200, 300), slice(50, 150), slice(20, 40)),
        ((30, 40), slice(3, 9), slice(3, 9)),
        ((30, 400), slice(0, 30), slice(0, 400)),
    ):
        mask = hole(shape, rows, columns)
        ys, xs = window_around(mask, 64)
        assert len(ys) == len(xs) >= min(64, max(shape))
        assert ys.min() >= 0
        assert xs.min() >= 0
        assert ys.max() < shape[0]
        assert xs.max() < shape[1]
        assert mask[np.ix_(np.unique(ys), np.unique(xs))].sum() == mask.sum()


@pytest.mark.parametrize(
    ("options", "message", "error"),
    [
        ({"strength": 1.2}, "strength is 1.2; expected a finite number ≥ 0 and ≤ 1", ValueError),
        ({"steps": 0}, "steps is 0; expected a whole number ≥ 1", ValueError),
        ({"n": 0}, "n is 0; expected a whole number ≥ 1", ValueError),
        ({"mask": np.zeros((64, 64))}, "mask has dtype float64; expected bool", TypeError),
        (
            {"mask": np.ones((64, 63), bool)},
            "mask has shape (64, 63); expected (64, 64)",
            ValueError,
        ),
        ({"mask": np.zeros((64, 64), bool)}, "mask is False everywhere; expected True", ValueError),
    ],
)
def test_bad_input(model, picture, options, message, error):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        edit(picture, "a red heart", model=model, **options)


def test_bad_pictures(model, tmp_path):
    for shape, message in (
        ((64, 60, 3), "image is 60×64 pixels; expected a square one, or a mask"),
        ((64, 64, 4), "image has shape (64, 64, 4); expected (H, W, 3) or (H, W)"),
        ((0, 64, 3), "image has shape (0, 64, 3); expected (H, W, 3) or (H, W)"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            edit(np.zeros(shape), "a red heart", model=model)
    grey = tiny_model(tmp_path, "pixel")
    with pytest.raises(ValueError, match=r"for grey pictures; expected one in colour$"):
        edit(np.zeros((16, 16)), "a red heart", model=grey)
