"""Forms say of every parameter what its docstring says."""

from dataclasses import fields
from importlib.util import find_spec

import pytest

import difffilter as df
from difffilter.parameter_docs import parameter_docs, words_in


def test_descriptions_are_those_of_the_docstring():
    found = parameter_docs("heat")
    assert found["scheme"][0] == '{"exact", "explicit"}'
    assert found["time"][1].startswith("How long to diffuse")
    assert "Returns" not in found


@pytest.mark.parametrize("name", df.methods())
def test_every_parameter_is_described(name):
    if name == "ddpm" and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    method = df.make("stabilized(method='heat')" if name == "stabilized" else name)
    for field in fields(method):
        kind, text = parameter_docs(name)[field.name]
        assert kind
        assert text.endswith((".", "]_", ")")), text


def test_words_are_those_that_are_listed_first():
    assert words_in('{"exact", "explicit"}, default "exact"') == ("exact", "explicit")
    assert words_in('float or {"mad", "quantile"}') == ()
