"""Widgets for the parameters of every method, and what they read and show."""

from dataclasses import fields
from importlib.util import find_spec

import pytest

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

from magicgui.widgets import CheckBox, ComboBox, SpinBox

import difffilter as df
from difffilter.catalog import WRAPPERS
from difffilter.integrations.napari.fields import (
    OrAutomatic,
    ParameterFields,
    Text,
    number,
)
from difffilter.integrations.napari.recipe import Recipe, offered, recipe_from

OFFERED = [name for name in df.methods() if name not in ("identity", *WRAPPERS)]
if find_spec("torch") is None:
    OFFERED.remove("ddpm")

# Values that are not the defaults.
OTHER = {
    "time": 7.3125, "kappa": 0.0312, "presmooth": 0.7, "alpha": 0.05, "epsilon": 1.234e-5, "q0": 0.25,
    "integration": 2.5, "fidelity": 0.125, "step": 0.1, "tol": 0.001, "coupled": False,
    "diffusivity": "tukey", "scheme": "explicit", "mode": "sample", "dtype": "float32", "steps": 3,
    "samples": 2, "eta": 0.5, "seed": 5, "tile": 96, "batch": 2, "black": -0.25, "white": 1.5,
    "device": "cpu",
}  # fmt: skip


@pytest.fixture
def panel(qtbot):
    made = ParameterFields()
    qtbot.addWidget(made)
    return made


def test_the_default_comes_first():
    assert offered()[0] == "auto"
    assert sorted(offered()) == sorted(OFFERED)


@pytest.mark.parametrize("name", OFFERED)
def test_every_parameter_has_a_widget(name, panel):
    panel.show_method(name)
    made = df.make(name)
    expected = [f.name for f in fields(made) if f.name not in ("sigma", "spacing")]
    assert list(panel.widgets) == expected
    assert panel.given == {}
    assert {key: widget.value for key, widget in panel.widgets.items()} == {
        key: made.parameters[key] for key in expected
    }
    assert all(widget.tooltip for widget in panel.widgets.values())


@pytest.mark.parametrize("name", OFFERED)
def test_every_parameter_is_read_as_it_is_shown(name, panel):
    weights = {"learned": "convex-gray", "ddpm": "natural-gray"}
    panel.show_method(name)
    for key in panel.widgets:
        value = weights[name] if key == "weights" else OTHER[key]
        if key == "step" and name == "heat":  # goes with another scheme
            value = None
        panel.fill({key: value} if value is not None else {})
        assert panel.given == ({key: value} if value is not None else {})
        assert df.make(name, **panel.given).parameters[key] == value
    panel.fill({})
    assert panel.given == {}


def test_kinds_of_widgets(panel):
    panel.show_method("perona_malik")
    kinds = {key: type(widget) for key, widget in panel.widgets.items()}
    assert kinds["time"] is OrAutomatic
    assert kinds["kappa"] is Text
    assert kinds["coupled"] is CheckBox
    assert kinds["scheme"] is kinds["diffusivity"] is ComboBox
    assert panel.widgets["scheme"].choices == ("auto", "explicit", "fsi", "aos")
    assert panel.widgets["diffusivity"].choices[:2] == (None, "exponential")


def test_a_number_begins_where_its_steps_are_useful(panel):
    panel.show_method("perona_malik")
    for name, before, after in (("time", 1, 1.1), ("presmooth", 0.1, 0.11), ("fidelity", 0, 0.1)):
        widget = panel.widgets[name]
        inner = widget
        if name != "fidelity":
            widget[1].value = False  # no longer automatic
            inner = widget[0]
        assert widget.value == pytest.approx(before)
        inner.native.stepUp()
        assert widget.value == pytest.approx(after)


def test_a_long_number_is_kept_in_full_until_the_user_changes_it(qtbot):
    widget = OrAutomatic(number(float, 0.1))
    qtbot.addWidget(widget.native)
    assert widget.value is None
    widget.value = 2.8228571428571425
    assert widget.value == 2.8228571428571425
    assert widget[0].native.text() == "2.822900"
    widget[0].native.stepUp()
    assert widget.value == pytest.approx(2.9229)
    widget.value = 1.23456789e-9
    assert widget.value == 1.23456789e-9
    assert float(widget[0].native.text()) == 1.2346e-9
    widget.value = None
    assert widget.value is None


def test_whole_numbers(panel):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    panel.show_method("ddpm")
    assert isinstance(panel.widgets["samples"], SpinBox)
    assert isinstance(panel.widgets["steps"], OrAutomatic)


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("25/255", 25 / 255), ("mad", "mad"), ("4095", 4095), ("(-1, 3)", (-1, 3)),
     ("a/b", "a/b"), ("1/0", "1/0")],
)  # fmt: skip
def test_texts_are_read_as_numbers(text, value, qtbot):
    widget = Text()
    qtbot.addWidget(widget.native)
    widget.native.setText(text)
    assert widget.value == value


def test_a_change_by_the_user_is_reported(panel, qtbot):
    panel.show_method("heat")
    with qtbot.waitSignal(panel.changed):
        panel.widgets["time"].value = 3.0
    with qtbot.waitSignal(panel.changed):
        panel.widgets["scheme"].value = "explicit"


def test_what_auto_and_a_wrapper_chose_is_told_by_the_method_inside(noisy):
    image = noisy(48, 40)
    chosen = df.estimate_parameters(image, 0.1, "perona_malik", noise="poisson", strength=0.5)
    name, parameters = recipe_from(chosen)
    assert name == "perona_malik"
    assert df.make(name, **parameters).is_settled()
    chosen = df.estimate_parameters(image, 0.1)
    name, parameters = recipe_from(chosen)
    assert df.make(name, **parameters) == chosen.method
    assert Recipe(name, parameters) == Recipe(name, dict(parameters))
