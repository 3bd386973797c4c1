"""The recipe for conda asks for what the package asks for."""

import re
import tomllib
from pathlib import Path

import pytest

import difffilter as df

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent
RECIPE = yaml.safe_load((ROOT / "packaging/recipe.yaml").read_text("utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Names on conda-forge that differ from those on PyPI.
NAMES = {"matplotlib": "matplotlib-base"}


def test_requirements_are_those_of_the_package():
    pairs = [re.fullmatch(r"([\w-]+)(.*)", each).groups() for each in PROJECT["dependencies"]]
    expected = {f"{NAMES.get(name, name)} {version}" for name, version in pairs}
    run = set(RECIPE["requirements"]["run"])
    assert run - expected == {f"python {PROJECT['requires-python']}"}
    assert expected <= run


def test_version_and_programs_are_those_of_the_package():
    assert RECIPE["context"]["version"] == df.__version__
    programs = [f"{name} = {where}" for name, where in PROJECT["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == programs
