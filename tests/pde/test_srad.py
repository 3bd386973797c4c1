"""Speckle-reducing diffusion: the oracle, what it keeps, how well it chooses for speckle."""

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
            st.tuples(st.integers(1, 14), st.integers(1, 14)),
            st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 6)),
        )
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    colour = rng.uniform(0.1, 1, (*shape, data.draw(st.integers(1, 3)))).astype(dtype)
    spacing = data.draw(
        st.sampled_from([(1.0,) * len(shape), tuple(rng.uniform(0.8, 2, len(shape)))])
    )
    step = 0.9 / (2 * sum(1 / h**2 for h in spacing))
    time, q0 = data.draw(st.floats(0, 3)) * step, data.draw(st.floats(0.05, 1))
    result = df.srad(colour, time, q0=q0, spacing=spacing, step=step, channel_axis=-1)
    expected = naive.srad(np.moveaxis(colour, -1, 0), time, q0, step, spacing)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(result, np.moveaxis(expected, 0, -1), atol=tolerance)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (13, 8), (4, 9, 6)])
def test_gain_passes_through(shape, rng):
    """The coefficient of variation does not change with the unit of intensity."""
    u = rng.random(shape)
    result = df.srad(u, 1.0, q0=0.2)
    np.testing.assert_allclose(df.srad(7.5 * u, 1.0, q0=0.2), 7.5 * result, rtol=1e-9)


def test_free_diffusion_is_heat(photo):
    result = df.srad(photo + 0.1, 3.0, q0=1e6)
    np.testing.assert_allclose(result, df.heat(photo + 0.1, 3.0, scheme="explicit"), atol=1e-12)


def test_the_coefficient_of_variation_is_that_of_the_speckle(rng):
    """Over homogeneous speckle the mean of q² is σ², so that q₀ = σ lies in the middle of it."""
    speckle = 0.4 * (1 + rng.normal(0, 0.1, (200, 200)))
    around = np.stack([np.roll(speckle, by, axis) for by in (-1, 1) for axis in (0, 1)])
    q = around.std(axis=0, ddof=1) / around.mean(axis=0)
    assert np.sqrt(np.mean(q**2)) == pytest.approx(0.1, rel=0.02)
    # c is 1 where q ≤ q₀: there a step is one of the heat equation.
    step = 1e-3
    change = (df.srad(speckle, step, q0=0.1, step=step) - speckle) / step
    laplacian = (df.heat(speckle, step, scheme="explicit", step=step) - speckle) / step
    # (Not at the border, where np.roll goes round.)
    inside = (slice(2, -2), slice(2, -2))
    calm = (q <= 0.1)[inside]
    for by, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        calm &= np.roll(q <= 0.1, by, axis)[inside]
    assert calm.sum() > 100
    np.testing.assert_allclose(change[inside][calm], laplacian[inside][calm], rtol=1e-6)


def test_black_areas_and_nothing_but_black(photo, rng):
    assert not df.srad(np.zeros((20, 20))).any()
    half = photo * (np.arange(photo.shape[1]) > 60)
    noisy = half * (1 + rng.normal(0, 0.1, half.shape))
    result = df.srad(noisy)
    assert np.isfinite(result).all()
    assert df.psnr(half, result) > df.psnr(half, noisy) + 3


@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_chosen_parameters_are_near_the_best(photo, sigma):
    noisy = df.add_noise(photo, sigma, "speckle")
    best = max(
        df.psnr(photo, u)
        for multiple in (0.2, 0.5, 1.0)
        for u in df.scale_space(noisy, df.SRAD(q0=multiple * sigma), np.geomspace(0.05, 10, 30))
    )
    result, chosen = df.srad(noisy, full_output=True)
    assert df.psnr(photo, result) > best - 0.3
    assert chosen["sigma"] == pytest.approx(sigma, rel=0.15)
    again = df.SRAD(q0=chosen["q0"], time=chosen["time"])(noisy)
    np.testing.assert_array_equal(again, result)


def test_better_on_speckle_than_a_method_for_gaussian_noise(photo, colour_photo):
    noisy = df.add_noise(photo, 0.2, "speckle")
    assert df.psnr(photo, df.srad(noisy)) > df.psnr(photo, df.perona_malik(noisy)) + 1
    noisy = df.add_noise(colour_photo, 0.2, "speckle")
    result = df.srad(noisy, channel_axis=-1)
    before = df.psnr(colour_photo, noisy, channel_axis=-1)
    assert df.psnr(colour_photo, result, channel_axis=-1) > before + 5


def test_volume(rng):
    ball = 0.3 + 0.5 * (np.square(np.mgrid[:16, :24, :24] - 11.5).sum(axis=0) < 60)
    noisy = df.add_noise(ball, 0.2, "speckle")
    assert df.psnr(ball, df.srad(noisy)) > df.psnr(ball, noisy) + 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": -1}, "time is -1; expected a finite number ≥ 0"),
        ({"q0": 0}, "q0 is 0; expected a finite number > 0"),
        ({"fidelity": -1}, "fidelity is -1; expected a finite number ≥ 0"),
        ({"step": 0.3, "time": 1, "q0": 1},
         "step is 0.3; expected at most the bound 1/(2 Σ 1/h²) = 0.25"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.srad(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
