"""The choice of pixels to keep: how many, where, and that it pays."""

import re

import numpy as np
import pytest

from difffilter.inpainting import belhachmi_mask
from difffilter.inpainting.harmonic import Harmonic


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3, 0.9, 1.0])
def test_keeps_the_share(camera, share):
    kept = belhachmi_mask(camera, share)
    assert kept.dtype == bool
    assert kept.shape == camera.shape
    assert kept.mean() == pytest.approx(share, abs=2e-3)


def test_keeps_more_where_the_image_bends():
    x = np.arange(64.0)
    ramps = np.tile(np.where(x < 32, 0.01 * x, 0.64 - 0.01 * x), (64, 1))  # a ridge, and two ends
    kept = belhachmi_mask(ramps, 0.05, sigma=1)
    # Reflected at the border, each end bends half as much as the ridge.
    assert kept[:, 24:40].mean() * 16 == pytest.approx(kept.mean() * 64 / 2, rel=0.05)
    assert not kept[:, 8:24].any()


def test_a_flat_image_keeps_pixels_everywhere():
    kept = belhachmi_mask(np.full((64, 64), 0.5), 0.1)
    tiles = kept.reshape(4, 16, 4, 16).sum(axis=(1, 3))
    assert kept.mean() == pytest.approx(0.1, abs=5e-3)
    assert tiles.min() >= 20
    assert tiles.max() <= 32


def test_fills_in_better_than_from_random_pixels(camera):
    errors = []
    random = np.random.default_rng(0).permutation(camera.size).reshape(camera.shape)
    kept = belhachmi_mask(camera, 0.1)
    for known in (kept, random < kept.sum()):
        errors.append(np.mean((Harmonic(tolerance=1e-4)(camera, ~known) - camera) ** 2))
    assert errors[0] < 0.6 * errors[1]


def test_channels_and_seed(camera):
    colour = np.stack([camera, camera, camera])
    np.testing.assert_array_equal(
        belhachmi_mask(colour, 0.1, channel_axis=0), belhachmi_mask(camera, 0.1)
    )
    np.testing.assert_array_equal(belhachmi_mask(camera, 0.1), belhachmi_mask(camera, 0.1))
    assert (belhachmi_mask(camera, 0.1, seed=1) != belhachmi_mask(camera, 0.1)).any()


def test_keeps_one_pixel_at_least():
    assert belhachmi_mask(np.zeros((3, 3)), 1e-6).sum() == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((np.zeros((4, 4)), 0), "share is 0; expected a finite number > 0 and ≤ 1"),
        ((np.zeros((4, 4, 4)), 0.1), "image has 3 spatial axes; expected 2"),
    ],
)
def test_refuses(arguments, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        belhachmi_mask(*arguments)
