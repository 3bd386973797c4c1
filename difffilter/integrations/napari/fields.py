"""Widgets for the parameters of a method, made from the fields of its dataclass."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import MISSING, Field, fields
from decimal import Decimal
from importlib import import_module
from typing import Any, get_args, get_type_hints

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget, Widget

from difffilter.catalog import make

__all__ = ["OrAutomatic", "ParameterFields", "number"]

# Fields that other parts of the widget stand for.
ELSEWHERE = ("sigma", "spacing")

# The entry of a list, and the placeholder of a text, that leaves a parameter to be chosen.
AUTOMATIC = "automatic"

# The limits of numbers: the method says itself which it accepts.
LARGEST = 1e9
DECIMALS = 6


class OrAutomatic(Container):
    """A widget for a number beside a box that leaves the number to be chosen.

    Parameters
    ----------
    inner : ValueWidget
        The widget for the number.
    **options
        Those of every widget: name, label, tooltip.
    """

    def __init__(self, inner: ValueWidget, **options: Any) -> None:
        self._inner = inner
        self._automatic = CheckBox(text="auto", value=True, tooltip="Chosen from the image")
        super().__init__(
            widgets=[inner, self._automatic], layout="horizontal", labels=False, **options
        )
        self.margins = (0, 0, 0, 0)
        inner.tooltip = self.tooltip
        inner.enabled = False
        self._automatic.changed.connect(self._toggle)

    @property
    def value(self) -> Any:
        """The number; ``None``: to be chosen."""
        return None if self._automatic.value else self._inner.value

    @value.setter
    def value(self, value: Any) -> None:
        self._automatic.value = value is None
        if value is not None:
            show_number(self._inner, value)

    def _toggle(self, automatic: bool) -> None:
        self._inner.enabled = not automatic


class Text(LineEdit):
    """A text, read as a number, a fraction or another literal if it is one; empty: automatic."""

    def __init__(self, value: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.native.setPlaceholderText(AUTOMATIC)
        self.native.setClearButtonEnabled(True)
        self.value = value

    def get_value(self) -> Any:
        text = super().get_value().strip()
        if not text:
            return None
        above, slash, below = text.partition("/")
        try:
            return float(above) / float(below) if slash else ast.literal_eval(text)
        except (ArithmeticError, SyntaxError, ValueError):
            return text

    def set_value(self, value: Any) -> None:
        super().set_value("" if value is None else str(value))


class ParameterFields(Container):
    """The parameters of a method as widgets.

    Parameters
    ----------
    method : str
        A name of the catalog.
    """

    def __init__(self, method: str, **options: Any) -> None:
        super().__init__(**options)
        self.margins = (0, 0, 0, 0)
        self.show(method)

    def show(self, method: str, given: dict[str, Any] | None = None) -> None:
        """Show the parameters of a method, with those that are given and else the defaults."""
        made = make(method)
        texts, hints = descriptions(method), get_type_hints(made.__class__)
        self.clear()
        self._defaults = {}
        for field in fields(made):
            if field.name not in ELSEWHERE:
                self._defaults[field.name] = default_of(field)
                search = made.SEARCH.get(field.name)
                self.append(
                    widget_for(field, hints[field.name], *texts.get(field.name, ("", "")), search)
                )
        self.fill(given or {})

    def fill(self, given: dict[str, Any]) -> None:
        """Set the parameters that are given, and the others to their defaults."""
        for name, default in self._defaults.items():
            self[name].value = given.get(name, default)

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        values = {name: self[name].value for name in self._defaults}
        return {name: v for name, v in values.items() if v != self._defaults[name]}


def widget_for(field: Field, hint: Any, kind: str, text: str, search: Any = None) -> Widget:
    """The widget for a field.

    Parameters
    ----------
    field : dataclasses.Field
    hint : type
        The evaluated annotation.
    kind, text : str
        Type and description by the docstring.
    search : Range or Choice, optional
        The search space, whose words are those to choose from if the docstring does not list them.
    """
    default = default_of(field)
    options = {"name": field.name, "label": field.name.replace("_", " "), "tooltip": text}
    types = set(get_args(hint) or (hint,))
    optional = type(None) in types
    types -= {type(None)}
    words = words_in(kind) or tuple(
        value for value in getattr(search, "values", ()) if isinstance(value, str)
    )
    if words and types == {str}:
        choices = [(AUTOMATIC, None)] * optional + [(word, word) for word in words]
        return ComboBox(choices=choices, value=default, **options)
    if types == {bool}:
        return CheckBox(value=default, text=" ", **options)
    if types in ({float}, {int}):
        if optional:
            return OrAutomatic(number(next(iter(types))), **options)
        made = number(next(iter(types)), **options)
        show_number(made, default)
        return made
    return Text(default, **options)


def number(kind: type, **options: Any) -> ValueWidget:
    """A widget for a number, without limits."""
    if kind is int:
        return SpinBox(value=1, min=0, max=2**31 - 1, **options)
    made = FloatSpinBox(value=0, min=-LARGEST, max=LARGEST, **options)
    made.native.setDecimals(DECIMALS)
    return made


def show_number(widget: Any, value: float) -> None:
    """Set a number, with as many decimals as it has."""
    if isinstance(value, float):
        exponent = Decimal(repr(value)).as_tuple().exponent
        widget.native.setDecimals(max(DECIMALS, -int(exponent)))
    widget.value = value


def default_of(field: Field) -> Any:
    """The default of a field; ``None`` if it has none."""
    return None if field.default is MISSING else field.default


def words_in(kind: str) -> tuple[str, ...]:
    """The words that a docstring lists as the values of a parameter.

    Examples
    --------
    >>> words_in('{"exact", "explicit"}, default "exact"')
    ('exact', 'explicit')
    """
    listed = re.match(r"\{(.*)\}", kind)
    return tuple(re.findall(r'"([^"]+)"', listed[1])) if listed else ()


def descriptions(method: str) -> dict[str, tuple[str, str]]:
    """The type and the description of each parameter of a method.

    They are those of its class's docstring, or of its function's, to which the class refers.
    """
    made = make(method)
    module = import_module((made.home or ":").partition(":")[0])
    texts = [inspect.getdoc(getattr(module, method, None)), inspect.getdoc(made.__class__)]
    return {name: found for text in texts for name, found in described(text or "").items()}


def described(docstring: str) -> dict[str, tuple[str, str]]:
    """The type and the description of each parameter in a docstring in numpydoc's format."""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n---|\Z)", docstring, re.M | re.S)
    if not section:
        return {}
    entries = re.findall(r"^(\w[\w, ]*) : (.*)\n((?:^(?: .*)?\n?)*)", section[1], re.M)
    return {
        name: (kind, " ".join(text.split()))
        for names, kind, text in entries
        for name in names.split(", ")
    }
