"""rate · exp(-s · inverse), as the kernels work it out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from difffilter.pde.kernels.common import decay


@njit
def decays(rate, s, inverse, result):
    for i in range(len(s)):
        result[i] = decay(rate, s[i], inverse)


def decayed(rate, s, inverse):
    real = s.dtype.type
    result = np.empty_like(s)
    decays(real(rate), s, real(inverse), result)
    return result


@pytest.mark.parametrize(
    ("real", "error", "end"), [(np.float32, 2e-7, 60), (np.float64, 2e-15, 500)]
)
def test_is_the_exponential_function(real, error, end):
    x = np.linspace(0, end, 100_001).astype(real)
    exact = np.exp(-x.astype(np.longdouble))
    assert np.abs(decayed(1, x, 1) - exact).max() < error
    np.testing.assert_allclose(decayed(1, x, 1), exact.astype(real), rtol=(2 + end) * error)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_starts_at_the_rate_and_ends_at_next_to_nothing(real):
    start, *end = decayed(0.2, np.array([0, 1e4, 1e30, np.inf], real), 1)
    assert start == real(0.2)
    assert all(0 <= value < 1e-25 for value in end)


@given(st.floats(0.01, 1), st.floats(1e-36, 1e36), st.sampled_from([np.float32, np.float64]))
def test_scales(rate, inverse, real):
    x = np.linspace(0, 40, 101)
    s = (x / inverse).astype(real)
    np.testing.assert_allclose(
        decayed(rate, s, inverse), rate * np.exp(-x), rtol=2e-5, atol=1e-7 * rate
    )
