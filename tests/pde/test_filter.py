"""The choice by least risk: errors that count differently, noise that is not equally strong."""

import numpy as np
import pytest

import difffilter as df
from difffilter.pde.choose.risk import least_risk
from difffilter.pde.solve.state import as_state

CHOOSERS = ["heat", "perona_malik", "tv_flow", "edge_enhancing", "srad"]


@pytest.fixture
def halves(photo, rng):
    """Noise on nothing to the left, on a checkerboard of single pixels to the right."""
    clean = np.full((64, 128), 0.5)
    clean[:, 64:] += 0.3 * (np.indices((64, 64)).sum(axis=0) % 2 - 0.5)
    return clean + 0.05 * rng.normal(size=clean.shape)


@pytest.mark.parametrize("method", CHOOSERS)
def test_errors_are_weighted(method, halves):
    left = np.zeros(halves.shape)
    left[:, :64] = 1.0
    smooth, textured = (
        df.make(method).choose_weighted(halves, 0.05, weight=weight).time
        for weight in (left, 1 - left)
    )
    assert smooth > 5 * textured


@pytest.mark.parametrize("method", CHOOSERS)
def test_noise_map_is_respected(method, photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    little, much = (
        df.make(method).choose_weighted(noisy, 0.1, deviation=np.full(photo.shape, d)).time
        for d in (0.03, 0.1)
    )
    assert much > 1.5 * little


@pytest.mark.parametrize("method", ["tv_flow", "edge_enhancing"])
def test_equal_weights_change_nothing(method, photo, rng):
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    plain = df.make(method).choose(noisy, 0.1)
    assert df.make(method).choose_weighted(noisy, 0.1, weight=np.full(photo.shape, 3.0)) == plain


def test_noise_of_known_strength_at_each_pixel(photo, rng):
    """The same strength everywhere is as good as a number; where there is none, nothing is moved."""
    state = as_state(photo + rng.normal(0, 0.1, photo.shape), None)
    flows = df.TVFlow(epsilon=1e-4, step=0.005).evolutions((1.0, 1.0, 1.0), 0.1)
    assert least_risk(state, np.full(state.shape, 0.1), flows) == least_risk(state, 0.1, flows)
    assert least_risk(state, np.zeros(state.shape), flows)[1] == 0


def test_the_risk_of_nonuniform_noise_is_right(photo, rng):
    """With σ a map, the time of least estimated risk has nearly the least error."""
    deviation = 0.02 + 0.15 * photo
    noisy = photo + deviation * rng.normal(size=photo.shape)
    _, time = least_risk(
        as_state(noisy, None),
        as_state(deviation, None),
        df.TVFlow(epsilon=1e-4, step=0.005).evolutions((1.0, 1.0, 1.0), 0.1),
    )
    times = np.geomspace(0.005, 0.5, 40)
    best = max(df.psnr(photo, u) for u in df.scale_space(noisy, "tv_flow", times))
    assert df.psnr(photo, df.tv_flow(noisy, time)) > best - 0.1


@pytest.mark.parametrize("name", ["edge_enhancing", "perona_malik", "tv_flow"])
def test_a_given_time_is_kept(name, photo, rng):
    noisy = df.add_noise(photo[:48, :48], 0.1, rng=rng)
    assert df.make(name, time=1.2345678, fidelity=0.1).choose(noisy).time == 1.2345678
