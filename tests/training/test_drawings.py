"""Crops that are drawn, beside those of photographs."""

from dataclasses import replace

import numpy as np
import pytest

from difffilter.training import drawings
from difffilter.training.data import draw_batch
from difffilter.training.drawings import drawing
from difffilter.training.photo_configs import TrainingConfig

CONFIG = TrainingConfig(batch=400, crop=16, uniform=0.0)
PHOTOS = [np.full((1, 16, 16), 128, np.uint8)]


def is_photo(crops):
    return np.all(crops == crops[:, :1, :1, :1], axis=(1, 2, 3)) & (
        np.abs(crops[:, 0, 0, 0]) < 0.01
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 33])
def test_a_drawing_is_an_image(side, channels):
    for seed in range(60):
        image = drawing(side, channels, np.random.default_rng(seed))
        assert image.shape == (channels, side, side)
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
        np.testing.assert_array_equal(image, drawing(side, channels, np.random.default_rng(seed)))


@pytest.mark.parametrize("kind", [drawings.pattern, drawings.shapes, drawings.letters])
def test_each_kind_has_edges_in_all_but_a_few_of_its_drawings(kind):
    drawn = [kind(48, 1, 4, np.random.default_rng(seed)) for seed in range(100)]
    assert all(inks.shape == (48, 48) and set(np.unique(inks)) <= {0, 1, 2, 3} for inks in drawn)
    assert sum(np.ptp(inks) > 0 for inks in drawn) > 80


def test_half_of_the_drawings_have_hard_edges():
    """Without light from one side, their colours are those of the inks alone."""
    colours = [len(np.unique(drawing(48, 1, np.random.default_rng(seed)))) for seed in range(300)]
    assert 300 / 4 < sum(count <= 6 for count in colours) < 300 / 2


def test_a_pattern_repeats():
    """Moved by two fields of a chequerboard that is not turned, it is the same."""
    found = 0
    for seed in range(200):
        inks = drawings.pattern(64, 1, 2, np.random.default_rng(seed))
        shifts = [n for n in range(2, 50) if np.array_equal(inks[:, n:], inks[:, :-n])]
        found += bool(shifts)
    assert found > 10


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_many_crops_are_drawn(share):
    crops, t, _ = draw_batch(PHOTOS, replace(CONFIG, drawings=share), 0)
    assert crops.dtype == np.float32
    assert np.mean(~is_photo(crops)) == pytest.approx(share, abs=0.08)
    np.testing.assert_array_equal(t, draw_batch(PHOTOS, CONFIG, 0)[1])


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"drawings is 1\.5; expected a finite number ≥ 0 and ≤ 1"):
        replace(CONFIG, drawings=1.5)
