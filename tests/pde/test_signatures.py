"""One set of conventions: each function and its class have the same parameters, documented alike."""

import inspect
import re
from dataclasses import fields

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df
from difffilter import ddpm, training

# What belongs to a call and not to the filter, in the order of every function.
CALL = ["sigma", "channel_axis", "mask", "callback", "full_output"]


@pytest.fixture(params=EQUATIONS)
def pair(request):
    return getattr(df, request.param), type(df.make(request.param))


def test_function_and_class_have_the_same_parameters_and_defaults(pair):
    function, denoiser = pair
    parameters = list(inspect.signature(function).parameters.values())
    assert [p.name for p in parameters[:2]] == ["image", "time"]
    assert [p.name for p in parameters[-len(CALL) :]] == CALL
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[2:])
    own = {p.name: p.default for p in parameters[1 : -len(CALL)]}
    assert list(own.items()) == [(field.name, field.default) for field in fields(denoiser)]
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(denoiser).parameters.values())


def test_documentation_has_the_same_sections_and_names_every_parameter(pair):
    function, denoiser = pair
    text = inspect.getdoc(function)
    assert "%(" not in text
    sections = re.findall(r"^(\w+)\n-+$", text, re.M)
    expected = ["Parameters", "Returns", "Raises", "Notes", "References", "Examples"]
    assert sections == [name for name in expected if name in sections]
    assert set(expected) - set(sections) <= {"Notes"}
    documented = text.partition("Parameters\n")[2].partition("Returns\n")[0]
    names = re.findall(r"^(\w+) : ", documented, re.M)
    assert names == list(inspect.signature(function).parameters)
    assert function.__name__ in inspect.getdoc(denoiser)


@pytest.mark.parametrize("module", [df, ddpm, training], ids=lambda module: module.__name__)
def test_public_functions_are_annotated(module):
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isfunction(thing):
            signature = inspect.signature(thing)
            given = [p.annotation for p in signature.parameters.values()]
            assert inspect.Parameter.empty not in [*given, signature.return_annotation], name


@pytest.mark.parametrize("name", EQUATIONS)
def test_callback_sees_every_step_and_can_stop(name, photo):
    equation, seen = EQUATIONS[name], []
    options = {"time": 4.0} | ({"scheme": "explicit"} if name == "heat" else {})
    whole, report = equation(photo, full_output=True, **options)

    def note(time, image):
        seen.append((time, image))
        return len(seen) == 3

    result, stopped = equation(photo, callback=note, full_output=True, **options)
    assert len(seen) == 3
    assert stopped["time"] == seen[-1][0] < report["time"]
    assert stopped["steps"] == 3
    np.testing.assert_array_equal(result, seen[-1][1])
    assert [time for time, _ in seen] == sorted(time for time, _ in seen)

    last = []
    equation(photo, callback=lambda time, image: last.append(image), **options)
    np.testing.assert_allclose(last[-1], whole, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: df.Heat(time="2"), "time is '2'; expected a finite number ≥ 0"),
        (lambda: df.EdgeEnhancing(step=None), "step is None; expected a finite number > 0"),
        (lambda: df.CoherenceEnhancing(presmooth=None),
         "presmooth is None; expected a finite number ≥ 0"),
        (lambda: df.PeronaMalik(coupled="no"), "coupled is 'no'; expected True or False"),
        (lambda: df.heat(np.eye(4), 1.0, callback=3),
         "callback is 3; expected a function of time and image"),
        (lambda: df.heat(np.eye(4), 1.0, channel_axis="x"),
         "channel_axis is 'x'; expected a whole number or None"),
    ],
)  # fmt: skip
def test_wrong_types_are_named(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message
