"""Curvature motion: the oracle, and shapes that shrink at a known rate."""

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
def test_agrees_with_the_oracle(dtype, data):
    shape = data.draw(
        st.one_of(
            st.tuples(st.integers(1, 40), st.integers(1, 40)),
            st.tuples(st.integers(2, 6), st.integers(1, 20), st.integers(1, 12)),
        )
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    image = rng.random(shape).astype(dtype)
    spacing = data.draw(
        st.sampled_from([(1.0,) * len(shape), tuple(rng.uniform(0.8, 2, len(shape)))])
    )
    step = 0.8 / (2 * sum(1 / h**2 for h in spacing))
    time = data.draw(st.floats(0, 3)) * step
    options = {"epsilon": 1e-4, "step": step, "spacing": spacing}
    options["mask"] = data.draw(st.sampled_from([None, rng.random(shape) < 0.7]))
    result = df.curvature_motion(image, time, **options)
    expected = naive.curvature_motion(image, time, **options)
    assert result.dtype == dtype
    tolerance = {np.float32: 2e-3, np.float64: 1e-9}[dtype]  # errors grow where ∇u vanishes
    np.testing.assert_allclose(result, expected, atol=tolerance)


@pytest.mark.parametrize("radius", [12, 20, 28])
def test_a_disc_shrinks_at_the_rate_of_its_curvature(radius):
    y, x = np.mgrid[:80, :80] - 39.5
    disc = 1 / (1 + np.exp((np.hypot(x, y) - radius) / 1.5))
    for share in (0.3, 0.6):
        time = share * radius**2 / 2
        area = (df.curvature_motion(disc, time) > 0.5).sum()
        assert area / np.pi == pytest.approx(radius**2 - 2 * time, rel=0.03)


def test_a_ball_shrinks_at_twice_that_rate():
    distance = np.sqrt(sum((a - 19.5) ** 2 for a in np.mgrid[:40, :40, :40]))
    ball = 1 / (1 + np.exp((distance - 14) / 1.5))
    volume = (df.curvature_motion(ball, 24.0) > 0.5).sum()
    radius = (volume / (4 / 3 * np.pi)) ** (1 / 3)
    assert radius**2 == pytest.approx(14**2 - 4 * 24, rel=0.03)


def test_a_straight_edge_does_not_move():
    y, x = np.mgrid[:60, :60] - 29.5
    edge = 1 / (1 + np.exp(-(2 * x + y) / 3))
    result = df.curvature_motion(edge, 20.0)
    inner = (slice(20, 40),) * 2
    np.testing.assert_allclose(result[inner], edge[inner], atol=0.02)


def test_contrast_does_not_matter(photo):
    low = df.curvature_motion(0.5 + 0.1 * photo, 2.0)
    scaled = (low - 0.5) / 0.1
    assert np.sqrt(np.mean((scaled - df.curvature_motion(photo, 2.0)) ** 2)) < 2e-3


def test_channels_are_independent(colour_photo):
    result = df.curvature_motion(colour_photo, 1.0, epsilon=1e-4, channel_axis=-1)
    for c in range(3):
        alone = df.curvature_motion(colour_photo[..., c], 1.0, epsilon=1e-4)
        np.testing.assert_array_equal(result[..., c], alone)


def test_chosen_time_is_near_the_best(photo, rng):
    for sigma in (15 / 255, 50 / 255):
        noisy = photo + rng.normal(0, sigma, photo.shape)
        times = np.geomspace(0.1, 20, 30)
        best = max(df.psnr(photo, df.curvature_motion(noisy, t)) for t in times)
        result, chosen = df.curvature_motion(noisy, full_output=True)
        assert df.psnr(photo, result) > best - 0.25
        np.testing.assert_array_equal(df.CurvatureMotion(time=chosen["time"])(noisy), result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": -1}, "time is -1; expected a finite number ≥ 0"),
        ({"step": 0}, "step is 0; expected a finite number > 0"),
        ({"step": 0.3, "time": 1},
         "step is 0.3; expected at most the bound 1/(2 Σ 1/h²) = 0.25"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.curvature_motion(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
