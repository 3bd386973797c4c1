"""Calls by address do what calls do, and do not compile where caller and callee disagree."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import njit, prange, types
from numba.core.errors import TypingError

from difffilter.pde.kernels.address import address_of, call

LINE = types.Array(types.float64, 1, "C")
READ_ONLY = types.Array(types.float64, 1, "C", readonly=True)


@njit
def double(line, at):
    line[at] *= 2


@njit
def halve(line, at):
    line[at] /= 2


@njit
def refuse(line, at):
    if at == 3:
        raise ValueError("no")


@njit
def copy(source, target):
    target[0] = source[0]


@njit(parallel=True)
def for_all(address, line):
    for i in prange(len(line)):
        call(address, (line, np.int64(i)))


@njit
def for_each(address, line):
    for i in range(len(line)):
        call(address, (line, i))


@njit
def for_one(address, line, at):
    call(address, (line, at))


@pytest.mark.parametrize("caller", [for_all, for_each])
def test_a_call_by_address_is_a_call(caller):
    line = np.arange(5.0)
    caller(address_of(double, line=LINE), line)
    np.testing.assert_array_equal(line, [0, 2, 4, 6, 8])


def test_one_address_for_one_signature():
    assert address_of(double, line=LINE) is address_of(double, line=LINE)


def test_an_address_of_other_parameters_is_refused():
    @njit
    def outer(inner, line):
        call(inner, (line, 0))

    def relay(address, inner, line):
        call(address, (inner, line))

    doubling, copying = address_of(double, line=LINE), address_of(copy, source=LINE, target=LINE)
    outermost = address_of(outer, inner=doubling, line=LINE)
    njit(relay)(outermost, doubling, line := np.ones(1))
    assert line == 2
    with pytest.raises(TypingError, match=r"outer: inner is Address\(copy\)"):
        njit(relay)(outermost, copying, line)


def test_functions_of_the_same_parameters_share_a_caller():
    line = np.ones(3)
    for_each(address_of(double, line=LINE), line)
    compiled = len(for_each.signatures)
    for_each(address_of(halve, line=LINE), line)
    np.testing.assert_array_equal(line, 1)
    assert len(for_each.signatures) == compiled


def test_errors_come_through():
    with pytest.raises(ValueError, match="no"):  # (Numba's parallel loops swallow all of them.)
        for_each(address_of(refuse, line=LINE), np.zeros(5))


@pytest.mark.parametrize(
    ("line", "at", "said"),
    [
        (
            np.zeros(2, np.float32),
            0,
            "double: line is array(float32, 1d, C); expected array(float64",
        ),
        (np.zeros((2, 2)), 0, "double: line is array(float64, 2d, C)"),
        (np.zeros(4)[::2], 0, "double: line is array(float64, 1d, A)"),
        (np.zeros(2), 0.0, "double: at is float64; expected int64"),
        (np.zeros(2), np.uint64(0), "double: at is uint64"),
        (np.zeros(2), np.int32(0), "double: at is int32"),
    ],
)
def test_an_argument_of_another_type_is_refused(line, at, said):
    # (A function of its own, for a refusal is remembered.)
    caller = njit(for_one.py_func)
    with pytest.raises(TypingError) as error:
        caller(address_of(double, line=LINE), line, at)
    assert said in str(error.value)


def test_a_parameter_too_many_is_refused():
    @njit
    def lacking(address, line):
        call(address, (line,))

    with pytest.raises(TypingError, match=r"double: 1 arguments are given; expected 2"):
        lacking(address_of(double, line=LINE), np.zeros(2))


def test_a_number_is_no_address():
    with pytest.raises(TypingError, match=r"address is int64; expected an Address"):
        njit(for_one.py_func)(3, np.zeros(2), 0)


def test_read_only_arrays_go_where_nothing_is_written():
    source, target = np.ones(1), np.zeros(1)
    source.flags.writeable = False
    njit(for_one.py_func)(address_of(copy, source=READ_ONLY, target=LINE), source, target)
    assert target == 1
    with pytest.raises(TypingError, match=r"copy: target is readonly array"):
        njit(for_one.py_func)(address_of(copy, source=READ_ONLY, target=LINE), source, source)


def test_an_unknown_parameter_is_an_error():
    with pytest.raises(TypeError, match="double has no parameter lin"):
        address_of(double, lin=LINE)


SCRIPT = """
import numpy as np
from numba import njit, types
from difffilter.pde.kernels.address import address_of, call

@njit(cache=True)
def callee(line, at): line[at] += 1

@njit(cache=True)
def caller(address, line): call(address, (line, 0))

for real in (types.float32, types.float64):
    line = np.zeros(1, str(real))
    caller(address_of(callee, line=types.Array(real, 1, "C")), line)
    assert line == 1
print(sum(caller.stats.cache_hits.values()))
"""


def test_callers_are_cached(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    hits = [
        subprocess.run(
            [sys.executable, tmp_path / "script.py"], check=True, capture_output=True, text=True,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for _ in range(2)
    ]  # fmt: skip
    assert [int(count) for count in hits] == [0, 2]
