"""Calls by address do what calls do."""

import numpy as np
import pytest
from numba import njit, prange, types

from difffilter.pde.kernels.address import address_of, call

LINE = types.Array(types.float64, 1, "C")


@njit
def double(line, at):
    line[at] *= 2


@njit
def refuse(line, at):
    if at == 3:
        raise ValueError("no")


@njit(parallel=True)
def for_all(address, line):
    for i in prange(len(line)):
        call(address, (line, np.int64(i)))


@njit
def for_each(address, line):
    for i in range(len(line)):
        call(address, (line, i))


@pytest.mark.parametrize("caller", [for_all, for_each])
def test_a_call_by_address_is_a_call(caller):
    line = np.arange(5.0)
    caller(address_of(double, LINE, types.int64), line)
    np.testing.assert_array_equal(line, [0, 2, 4, 6, 8])


def test_one_address_for_one_signature():
    assert address_of(double, LINE, types.int64) == address_of(double, LINE, types.int64)


def test_errors_come_through():
    with pytest.raises(ValueError, match="no"):  # (Numba's parallel loops swallow all of them.)
        for_each(address_of(refuse, LINE, types.int64), np.zeros(5))
