"""The command that lists the methods."""

import re

from command import invoke_ok

import difffilter as df
from difffilter.catalog import describe, usual_method


def test_each_method_has_its_use_and_its_parameters(tmp_path):
    text = invoke_ok("methods", cwd=tmp_path)
    assert re.findall(r"^(\w+)(?: \(.*\))?$", text, re.M) == df.methods()
    plain = " ".join(text.split())
    for name in df.methods():
        summary, parameters = describe(name)
        given = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
        assert f"{summary} {given}".strip() in plain
    assert max(map(len, text.splitlines())) <= 100


def test_the_default_method_is_marked(tmp_path):
    lines = invoke_ok("methods", cwd=tmp_path).splitlines()
    assert [line for line in lines if "(the default" in line] == [
        f"{usual_method(volume=False)} (the default)"
    ]
