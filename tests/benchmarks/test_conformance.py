import conformance
import numpy as np
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


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda u: u[:-1], "(47, 48) float32"),
        (lambda u: u.astype(np.float64), "(48, 48) float64"),
        (lambda u: u * np.nan, "not finite"),
        (lambda u: u, "differs by"),
    ],
)
def test_what_does_not_conform_is_told(wrong, told, monkeypatch):
    """Results of a wrong shape or dtype, that are not finite, or of integers that are not scaled."""
    monkeypatch.setattr(
        conformance, "method", lambda *_: lambda noisy, **_: wrong(np.asarray(noisy, np.float32))
    )
    assert cell("identity", "uint8", "grey", given=True).startswith(told)
