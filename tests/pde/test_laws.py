"""The laws of the PDEs: what each keeps, and what makes no difference."""

import hypothesis.extra.numpy as npst
import numba
import numpy as np
import pytest
from equations import EQUATIONS, SCHEMES
from hypothesis import given
from hypothesis import strategies as st

ALL = EQUATIONS | SCHEMES

shapes = st.one_of(
    st.tuples(st.integers(1, 19), st.integers(1, 19)),
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9)),
)
images = shapes.flatmap(
    lambda shape: npst.arrays(np.float64, shape, elements=st.floats(0, 1, width=16))
)
every_equation = pytest.mark.parametrize("equation", ALL.values(), ids=ALL)


@every_equation
@given(images)
def test_mean_is_conserved_and_extrema_are_kept(equation, u):
    result = equation(u)
    if equation.conserves_mean:
        assert result.mean() == pytest.approx(u.mean(), abs=1e-12)
    if equation.overshoot is not None:
        assert result.min() >= u.min() - equation.overshoot
        assert result.max() <= u.max() + equation.overshoot


@every_equation
@given(images, st.data())
def test_flips_and_turns_commute(equation, u, data):
    result = equation(u)
    axis = data.draw(st.integers(0, u.ndim - 1))
    flipped = equation(np.flip(u, axis))
    np.testing.assert_allclose(flipped, np.flip(result, axis), atol=equation.rounding)
    axes = data.draw(st.permutations(range(u.ndim)))
    turned = equation(u.transpose(axes))
    np.testing.assert_allclose(turned, result.transpose(axes), atol=equation.rounding)


@every_equation
@given(images)
def test_a_constant_stays_and_an_offset_passes_through(equation, u):
    np.testing.assert_allclose(equation(np.full_like(u, 0.25)), 0.25, rtol=1e-14)
    if equation.passes_offset:
        np.testing.assert_allclose(equation(u + 0.5), equation(u) + 0.5, atol=equation.rounding)


@every_equation
def test_channels_that_are_alike_stay_alike(equation, rng):
    grey = rng.random((12, 9))
    colour = np.stack([grey, grey, grey], axis=-1)
    result = equation(colour, channel_axis=-1)
    np.testing.assert_array_equal(result[..., 0], result[..., 1])
    np.testing.assert_array_equal(result[..., 0], result[..., 2])


@every_equation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (240, 310), (5, 70, 33), (67, 131, 3)])
def test_results_do_not_depend_on_threads(equation, shape, dtype, rng, set_threads):
    u = rng.random(shape).astype(dtype)
    options = {"channel_axis": -1} if shape[-1] == 3 else {}
    set_threads(numba.config.NUMBA_NUM_THREADS)
    many = equation(u, **options)
    set_threads(1)
    np.testing.assert_array_equal(equation(u, **options), many)
