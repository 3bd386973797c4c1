"""Widgets for the parameters of a method, made from the fields of its dataclass."""

from __future__ import annotations

import ast
from dataclasses import MISSING, Field, fields
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from magicgui.widgets import CheckBox, ComboBox, Container, FloatSpinBox, LineEdit, SpinBox
from magicgui.widgets.bases import ValueWidget, Widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QSizePolicy, QWidget

from difffilter.catalog import make
from difffilter.parameter_docs import parameter_docs, words_in

__all__ = ["AUTOMATIC", "OrAutomatic", "ParameterFields", "Text", "form_in", "number"]

# Fields that other parts of the widget stand for.
ELSEWHERE = ("sigma", "spacing")

# The entry of a list, and the placeholder of a text, that leaves a parameter to be chosen.
AUTOMATIC = "automatic"

# The limits of numbers: the method says itself which it accepts.
LARGEST = 1e9
DECIMALS = 6

# The number with which a user begins who does not leave it to be chosen.
START = 0.1
STARTS = {"time": 1.0}

NARROW = 90  # pixels


class OrAutomatic(Container):
    """A widget for a number beside a box that leaves the number to be chosen.

    Parameters
    ----------
    inner : ValueWidget
        The widget for the number.
    **options
        Those of every widget: name, tooltip.
    """

    def __init__(self, inner: ValueWidget, **options: Any) -> None:
        self._inner = inner
        self._shown: tuple[Any, Any] = (None, None)
        self._automatic = CheckBox(text="auto", value=True, tooltip="Chosen from the image")
        super().__init__(
            widgets=[inner, self._automatic], layout="horizontal", labels=False, **options
        )
        self.margins = (0, 0, 0, 0)
        fixed = QSizePolicy.Policy.Fixed
        self._automatic.native.setSizePolicy(fixed, fixed)  # the number takes the rest
        inner.tooltip = self.tooltip
        inner.enabled = False
        self._automatic.changed.connect(self._toggle)

    @property
    def value(self) -> Any:
        """The number; ``None``: to be chosen.

        A number that was set is kept in full, while five digits of it are shown.
        """
        if self._automatic.value:
            return None
        shown, exact = self._shown
        return exact if self._inner.value == shown else self._inner.value

    @value.setter
    def value(self, value: Any) -> None:
        if value is not None:
            shown = float(f"{value:.5g}") if isinstance(value, float) else value
            self._shown = shown, value
            show_number(self._inner, shown)
        self._automatic.value = value is None

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


class ParameterFields(QGroupBox):
    """The parameters of a method as widgets.

    Attributes
    ----------
    changed : Signal
        Emitted when the user changes one.
    widgets : dict of str to Widget
        By the name of the parameter.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("parameters")
        self._form = form_in(self)
        self._defaults: dict[str, Any] = {}
        self.widgets: dict[str, Any] = {}

    def show_method(self, method: str) -> None:
        """Show the parameters of a method of the catalog, at their defaults."""
        made = make(method)
        texts, hints = parameter_docs(method), get_type_hints(made.__class__)
        while self._form.rowCount():
            self._form.removeRow(0)
        self.widgets, self._defaults = {}, {}
        for field in fields(made):
            if field.name not in ELSEWHERE:
                kind, text = texts.get(field.name, ("", ""))
                widget = widget_for(
                    field, hints[field.name], kind, text, made.SEARCH.get(field.name)
                )
                widget.changed.connect(lambda _: self.changed.emit())
                self._form.addRow(field.name, widget.native)
                self._form.labelForField(widget.native).setToolTip(widget.tooltip)
                self.widgets[field.name] = widget
                self._defaults[field.name] = default_of(field)
        self.setVisible(bool(self.widgets))

    def fill(self, given: dict[str, Any]) -> None:
        """Set the parameters that are given, and the others to their defaults."""
        for name, widget in self.widgets.items():
            widget.value = given.get(name, self._defaults[name])

    @property
    def given(self) -> dict[str, Any]:
        """The parameters that are not at their defaults."""
        values = {name: widget.value for name, widget in self.widgets.items()}
        return {name: v for name, v in values.items() if v != self._defaults[name]}


def form_in(widget: QWidget) -> QFormLayout:
    """A form within a widget, whose fields grow with it."""
    form = QFormLayout(widget)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setContentsMargins(4, 4, 4, 4)
    return form


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
    options = {"name": field.name, "tooltip": text}
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
        of = int if types == {int} else float
        if optional:
            return OrAutomatic(number(of, STARTS.get(field.name, START)), **options)
        # (Steps that adapt to the number are tiny at 0.)
        made = number(of, default, step=None if default or of is int else START, **options)
        show_number(made, default)
        return made
    return Text(default, **options)


def number(kind: type, start: float, **options: Any) -> ValueWidget:
    """A widget for a number that begins at one, without limits."""
    made: ValueWidget
    if kind is int:
        made = SpinBox(value=max(1, round(start)), min=0, max=2**31 - 1, **options)
    else:
        made = FloatSpinBox(value=start, min=-LARGEST, max=LARGEST, **options)
        made.native.setDecimals(DECIMALS)
    # Else it is as wide as the largest number.
    made.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    made.native.setMinimumWidth(NARROW)
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
