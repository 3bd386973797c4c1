"""The parameters of a method as controls of a form: their kinds, texts and values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

from difffilter.catalog import WRAPPERS, MissingExtra, describe, make, methods
from difffilter.parameter_docs import parameter_docs, words_in
from difffilter.search_space import Choice
from difffilter.spelling import parse, parse_number

__all__ = [
    "AUTOMATIC",
    "Control",
    "choices",
    "controls_of",
    "shown",
    "spelled",
    "value_of",
]

# The text of a parameter that is chosen from the image.
AUTOMATIC = "chosen automatically"

# Parameters that say how to compute rather than what, and are shown on request.
TECHNICAL = frozenset(
    (
        "spacing",
        "scheme",
        "step",
        "tol",
        "device",
        "dtype",
        "tile",
        "batch",
        "black",
        "white",
        "seed",
    )
)


@dataclass(frozen=True)
class Control:
    """A parameter as it is shown.

    Attributes
    ----------
    name : str
    kind : {"number", "switch", "words", "text"}
    default : Any
        Of the parameter; ``None``: chosen.
    words : tuple of str
        The values of a parameter that is one of a few.
    technical : bool
        Whether it says how to compute rather than what.
    about : str
        The first sentence of its documentation.
    """

    name: str
    kind: str
    default: Any
    words: tuple[str, ...] = ()
    technical: bool = False
    about: str = ""

    def limits(self, value: float) -> tuple[float, float]:
        """The ends of a slider around a value, a factor of 16 either way."""
        return value / 16, value * 16


@cache
def choices(given: str = "") -> dict[str, str]:
    """The methods to pick from, with a line about each.

    Parameters
    ----------
    given : str, default ""
        A method that is listed whatever it is.
    """
    found = {}
    for name in methods():
        if name in WRAPPERS and name != given:
            continue
        try:
            found[name] = describe(name)[0].rstrip(".")
        except MissingExtra as error:
            if name == given:
                raise
            found[name] = str(error)
    if given and given not in found:
        text = (type(make(given)).__doc__ or "").strip().split("\n\n")[0]
        found[given] = " ".join(text.split()).rstrip(".")
    return found


def controls_of(name: str) -> list[Control]:
    """The controls of a method's parameters, σ aside.

    Examples
    --------
    >>> [control.name for control in controls_of("tv_flow") if not control.technical]
    ['time', 'epsilon', 'fidelity']
    """
    denoiser = make(name)
    parameters = denoiser.parameters
    if not is_dataclass(denoiser):
        return []
    documented = parameter_docs(name)
    return [
        _control(field, denoiser, *documented.get(field.name, ("", "")))
        for field in fields(denoiser)
        if field.name != "sigma" and field.name in parameters
    ]


def _control(field, denoiser, documented, about):
    """The control of a field; `documented` is the type in the documentation."""
    kind, text = "text", str(field.type)
    words: tuple[str, ...] = ()
    search = {**denoiser.SEARCH, **denoiser.SEARCH_COLOUR}.get(field.name)
    if isinstance(search, Choice) and all(isinstance(value, str) for value in search.values):
        words = search.values
    else:
        words = words_in(documented)
    if words:
        kind = "words"
    elif text == "bool":
        kind = "switch"
    elif text.startswith(("float", "int")):
        kind = "number"
    return Control(
        field.name, kind, field.default, words, field.name in TECHNICAL, first_sentence(about)
    )


def first_sentence(text: str) -> str:
    """The first sentence of a description, without marks of citation and code.

    Examples
    --------
    >>> first_sentence("The ``time`` of [1]_. It is long.")
    'The time of.'
    """
    plain = re.sub(r" \[\d+\]_|``?", "", text)
    return re.split(r"(?<=\.) (?=[A-Z\d\"(])", plain)[0]


def value_of(control: Control, text: Any) -> Any:
    """The value of a control's content; ``None`` of an empty one that is then chosen.

    Examples
    --------
    >>> time = Control("time", "number", None)
    >>> value_of(time, "5/2"), value_of(time, " "), value_of(Control("kappa", "number", None), "mad")
    (2.5, None, 'mad')
    """
    if isinstance(text, bool) or text is None:
        return text
    words = str(text).strip()
    if not words:
        return control.default
    if control.kind == "words":
        return words
    try:
        number = parse_number(words)
        return int(words) if words.lstrip("+-").isdigit() else number
    except ValueError:
        pass
    try:
        return parse(f"m(value={words})")[1]["value"]
    except ValueError:
        return words  # a rule or a path without quotes


def spelled(name: str, values: Mapping[str, Any], controls: list[Control]) -> str:
    """The text of a method with those of the values that are not at their defaults.

    Examples
    --------
    >>> spelled("heat", {"time": 2.0, "fidelity": 0.0}, controls_of("heat"))
    'heat(time=2.0)'
    """
    defaults = {control.name: control.default for control in controls}
    given = [f"{key}={value!r}" for key, value in values.items() if value != defaults.get(key)]
    return f"{name}({', '.join(given)})" if given else name


def shown(value: Any) -> str:
    """A parameter in a field: numbers to four digits.

    Examples
    --------
    >>> shown(0.123456), shown(3), shown("tukey"), shown(None)
    ('0.1235', '3', 'tukey', '')
    """
    if value is None:
        return ""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}"
    return str(value)
