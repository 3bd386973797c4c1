"""Forward-and-backward diffusion: the oracle, what it keeps, what it sharpens."""

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
            st.tuples(st.integers(1, 6), st.integers(1, 20), st.integers(1, 12)),
        )
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    colour = rng.random((*shape, data.draw(st.integers(1, 3)))).astype(dtype)
    spacing = data.draw(
        st.sampled_from([(1.0,) * len(shape), tuple(rng.uniform(0.8, 2, len(shape)))])
    )
    step = 0.9 / (2 * sum(1 / h**2 for h in spacing))
    time, kappa = data.draw(st.floats(0, 4)) * step, data.draw(st.floats(0.05, 1))
    options = {"alpha": data.draw(st.floats(0, 1)), "spacing": spacing, "step": step}
    result = df.forward_backward(colour, time, kappa=kappa, channel_axis=-1, **options)
    expected = naive.forward_backward(np.moveaxis(colour, -1, 0), time, kappa, **options)
    assert result.dtype == dtype
    tolerance = {np.float32: 1e-4, np.float64: 1e-10}[dtype]
    np.testing.assert_allclose(result, np.moveaxis(expected, 0, -1), atol=tolerance)


def test_no_extremum_of_noise_grows(rng):
    u = rng.random((64, 64))
    for kappa in (0.05, 0.2, 1.0):
        result = df.forward_backward(u, 20.0, kappa=kappa)
        assert u.min() <= result.min()
        assert result.max() <= u.max()


def test_infinite_kappa_without_backward_diffusion_is_heat(photo):
    result = df.forward_backward(photo, 3.0, kappa=1e12, alpha=0)
    np.testing.assert_allclose(result, df.heat(photo, 3.0, scheme="explicit"), atol=1e-12)


def test_sharpens_a_soft_edge_and_cleans_beside_it(rng):
    x = np.arange(64) - 31.5
    clean = 0.5 + 0.4 * np.tanh(x / 3) * np.ones((64, 1))
    noisy = clean + rng.normal(0, 0.02, clean.shape)
    result = df.forward_backward(noisy, 4.0, kappa=0.06)
    middle = result[:, 30:34].mean(axis=0)
    assert np.diff(middle).max() > 1.3 * np.diff(clean[0]).max()
    beside = np.abs(x) > 16
    assert (result - clean)[:, beside].std() < (noisy - clean)[:, beside].std() / 2


def test_chosen_parameters_are_near_the_best(photo, rng):
    for sigma in (15 / 255, 50 / 255):
        noisy = photo + rng.normal(0, sigma, photo.shape)
        best = max(
            df.psnr(photo, u)
            for multiple in (0.3, 0.5, 1.0, 1.5)
            for u in df.scale_space(
                noisy, df.ForwardBackward(kappa=multiple * sigma), np.geomspace(0.1, 8, 25)
            )
        )
        result, chosen = df.forward_backward(noisy, full_output=True)
        assert df.psnr(photo, result) > best - 0.25
        again = df.ForwardBackward(kappa=chosen["kappa"], time=chosen["time"])(noisy)
        np.testing.assert_array_equal(again, result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": -1}, "time is -1; expected a finite number ≥ 0"),
        ({"kappa": 0}, "kappa is 0; expected a finite number > 0"),
        ({"alpha": -0.1}, "alpha is -0.1; expected a finite number ≥ 0 and ≤ 1"),
        ({"alpha": 1.5}, "alpha is 1.5; expected a finite number ≥ 0 and ≤ 1"),
        ({"step": 0.3, "time": 1, "kappa": 1},
         "step is 0.3; expected at most the bound 1/(2 Σ 1/h²) = 0.25"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.forward_backward(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
