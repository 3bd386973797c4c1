"""Distances of distributions, against their closed form."""

import fashion
import numpy as np
import pytest


def normal(mean, scales, count=20_000):
    """Draws with exactly this mean and these standard deviations, uncorrelated."""
    draws = np.random.default_rng(0).standard_normal((count, len(scales)))
    draws -= draws.mean(axis=0)
    draws = draws @ np.linalg.inv(np.linalg.cholesky(np.cov(draws, rowvar=False))).T
    return draws * scales + mean


def test_distance_of_two_normal_distributions():
    one, other = normal([0, 0, 0], [1, 2, 3]), normal([1, 0, -2], [2, 2, 1])
    # |μ₁ − μ₂|² + Σ (s₁ − s₂)²
    assert fashion.frechet_distance(one, other) == pytest.approx(5 + 1 + 0 + 4, rel=1e-9)
    assert fashion.frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_distance_does_not_depend_on_the_axes():
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    one, other = normal([0, 0, 0], [1, 2, 3]), normal([1, 0, -2], [2, 2, 1])
    expected = fashion.frechet_distance(one, other)
    assert fashion.frechet_distance(one @ turn, other @ turn) == pytest.approx(expected, rel=1e-9)
