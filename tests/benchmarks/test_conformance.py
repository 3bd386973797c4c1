import pytest
from conformance import ARRAYS, METHODS, PARAMETERS, cell, law


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("name", ["identity", "auto", "heat", "perona_malik", "tv_flow"])
def test_kinds_of_arrays(name, array):
    assert cell(name, array, "grey", given=True) in ("", "refused")


@pytest.mark.parametrize("shape", ["colour", "volume", "1×N"])
@pytest.mark.parametrize("array", ["uint16, 12 bits", "masked", "strided"])
def test_shapes_of_arrays(shape, array):
    assert cell("heat", array, shape, given=True) == ""


@pytest.mark.parametrize("name", METHODS)
def test_a_range_of_millions(name):
    error, _ = law(name, name in PARAMETERS, 1e6, 1e6, repeats=1)
    assert error < 1e-10


def test_what_does_not_conform_is_told():
    assert "differs" not in cell("identity", "float16", "grey", given=True)
    assert cell("identity", "masked", "grey", given=True) == "refused"
