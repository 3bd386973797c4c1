"""The stopping time of least risk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.pde.choose.risk import least


def test_finds_the_vertex_of_a_parabola():
    times = np.array([0.0, 0.2, 0.4, 1.0, 2.0, 3.0])
    risks = 0.3 + 0.7 * (np.log(times + 0.2) - np.log(1.3)) ** 2
    assert least(times, risks, 0.2) == pytest.approx((1.1, 0.3))


@pytest.mark.parametrize(
    ("risks", "found"),
    [
        ([1.0], (0.0, 1.0)),
        ([1.0, 2.0, 3.0], (0.0, 1.0)),
        ([3.0, 2.0, 1.0], (2.0, 1.0)),
        ([3.0, 1.0, np.inf], (1.0, 1.0)),
        ([1.0, 1.0, 1.0, 1.0], (0.0, 1.0)),
    ],
)
def test_takes_what_was_seen_where_there_is_no_parabola(risks, found):
    assert least(range(len(risks)), np.array(risks), 1.0) == found


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=9),
    st.floats(1.01, 3.0),
    st.floats(1e-3, 10.0),
)
def test_is_not_above_what_was_seen_nor_far_from_it(risks, later, unit):
    times = unit * (later ** np.arange(len(risks)) - 1)
    k = np.argmin(risks)
    time, risk = least(times, np.array(risks), unit)
    assert risk <= risks[k]
    assert times[max(k - 1, 0)] <= time <= times[min(k + 1, len(times) - 1)] * (1 + 1e-9)
