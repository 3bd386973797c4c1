"""Total-variation flow: the oracle, and what is known in closed form."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import difffilter as df


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=12)
@given(st.data())
def test_agrees_with_the_oracle(dtype, data):
    shape = data.draw(
        st.one_of(
            st.tuples(st.integers(1, 20), st.integers(1, 20)),
            st.tuples(st.integers(1, 5), st.integers(1, 20), st.integers(1, 6)),
        )
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    colour = rng.random((*shape, data.draw(st.integers(1, 3)))).astype(dtype)
    spacing = data.draw(
        st.sampled_from([(1.0,) * len(shape), tuple(rng.uniform(0.5, 2, len(shape)))])
    )
    time, epsilon = data.draw(st.floats(0, 0.3)), data.draw(st.floats(0.01, 0.1))
    result = df.tv_flow(colour, time, epsilon=epsilon, spacing=spacing, channel_axis=-1, step=0.1)
    expected = naive.tv_flow(np.moveaxis(colour, -1, 0), time, epsilon, 0.1, spacing)
    assert result.dtype == dtype
    tolerance = {np.float32: 1e-5, np.float64: 1e-11}[dtype]
    np.testing.assert_allclose(result, np.moveaxis(expected, 0, -1), atol=tolerance)


@pytest.mark.parametrize("radius", [12, 20, 30])
@pytest.mark.parametrize("contrast", [1.0, 0.3])
def test_a_disc_loses_contrast_at_two_over_its_radius(radius, contrast):
    y, x = np.mgrid[:96, :96] - 47.5
    distance = np.hypot(x, y)
    disc = contrast * np.clip(radius - distance + 0.5, 0, 1)
    time = 0.1 * radius * contrast
    fallen = (disc - df.tv_flow(disc, time))[distance < radius - 4]
    assert fallen.mean() == pytest.approx(2 / radius * time, rel=0.05)
    assert fallen.std() < 0.03 * contrast  # it stays flat


def test_a_ball_loses_contrast_at_three_over_its_radius():
    distance = np.sqrt(sum((a - 19.5) ** 2 for a in np.mgrid[:40, :40, :40]))
    ball = np.clip(13 - distance + 0.5, 0, 1)
    fallen = (ball - df.tv_flow(ball, 0.6))[distance < 9]
    assert fallen.mean() == pytest.approx(
        3 / 13 * 0.6, rel=0.15
    )  # sharp faces of voxels are worse balls


def test_a_bar_falls_at_two_over_its_width():
    bar = np.zeros((5, 60))
    bar[:, 20:30] = 1.0
    result = df.tv_flow(bar, 1.0)
    np.testing.assert_allclose(result[:, 20:30], 0.8, atol=0.01)
    np.testing.assert_allclose(result[:, :19], 1 / 20, atol=0.01)  # half of it goes to each side
    np.testing.assert_allclose(result[:, 31:], 1 / 30, atol=0.01)


def test_ends_in_the_mean(rng):
    image = rng.random((12, 9))
    np.testing.assert_allclose(df.tv_flow(image, 10.0, step=0.1), image.mean(), atol=1e-3)


def test_chosen_time_is_near_the_best(photo, rng):
    for sigma in (15 / 255, 50 / 255):
        noisy = photo + rng.normal(0, sigma, photo.shape)
        best = max(df.psnr(photo, df.tv_flow(noisy, t)) for t in sigma * np.geomspace(0.2, 2, 20))
        result, chosen = df.tv_flow(noisy, full_output=True)
        assert df.psnr(photo, result) > best - 0.25
        np.testing.assert_array_equal(df.TVFlow(time=chosen["time"])(noisy), result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": -1}, "time is -1; expected a finite number ≥ 0"),
        ({"epsilon": 0}, "epsilon is 0; expected a finite number > 0"),
        ({"step": 0}, "step is 0; expected a finite number > 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.tv_flow(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
