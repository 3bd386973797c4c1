"""The parameters of a method as controls."""

import pytest

import difffilter as df
from difffilter.catalog import unwrapped
from difffilter.view.controls import choices, controls_of, shown, spelled, value_of


def names():
    return list(choices())


def test_every_method_can_be_picked_but_for_those_around_another():
    assert {*names()} == {*df.methods()} - {"blended", "stabilized"}
    assert "stabilized" in choices("stabilized")
    assert all(choices().values())


@pytest.mark.parametrize("name", [n for n in df.methods() if n not in ("ddpm", "learned")])
def test_every_parameter_has_a_control(name):
    controls = {control.name: control for control in controls_of(name)}
    assert {*controls} == {*df.make(name).parameters} - {"sigma"}
    for control in controls.values():
        assert control.default == df.make(name).parameters[control.name]
        for word in control.words:
            df.make(name, **{control.name: word})


def test_the_words_of_a_parameter_are_those_of_its_documentation():
    controls = {control.name: control for control in controls_of("perona_malik")}
    assert controls["scheme"].words == ("auto", "explicit", "fsi", "aos")
    assert controls["diffusivity"].words[0] == "exponential"
    assert controls["kappa"].kind == "number"
    assert controls["time"].about.startswith("How long to diffuse")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("time", "3", 3), ("time", "1/4", 0.25), ("time", "", None), ("time", None, None),
        ("kappa", "mad", "mad"), ("coupled", False, False), ("spacing", "(1, 2)", (1, 2)),
        ("fidelity", "", 0.0), ("diffusivity", "tukey", "tukey"), ("device", "cpu", "cpu"),
        ("time", "nonsense(", "nonsense("),
    ],
)  # fmt: skip
def test_texts_are_read(name, text, value):
    [control] = [control for control in controls_of("perona_malik") if control.name == name]
    assert value_of(control, text) == value


def test_only_what_is_changed_is_spelled():
    controls = controls_of("perona_malik")
    values = {"time": 2.5, "coupled": True, "diffusivity": "tukey"}
    text = spelled("perona_malik", values, controls)
    assert text == "perona_malik(time=2.5, diffusivity='tukey')"
    assert df.make(text) == df.PeronaMalik(time=2.5, diffusivity="tukey")
    assert spelled("heat", {}, controls_of("heat")) == "heat"


def test_the_method_within_a_transform_is_shown():
    heat = df.make("heat(time=1)")
    assert unwrapped(df.make("stabilized", method=heat)) == heat
    assert unwrapped(df.make("blended", method=heat)) == heat
    assert unwrapped(heat) is heat


def test_numbers_are_short():
    assert [shown(x) for x in (0.123456, 5, "mad", None, (1, 2))] == [
        "0.1235",
        "5",
        "mad",
        "",
        "(1, 2)",
    ]
