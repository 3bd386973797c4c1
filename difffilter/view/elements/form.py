"""The form for the method, its parameters, the noise and the strength."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from difffilter.catalog import spell, unwrapped
from difffilter.noise.estimation import EXPONENTS
from difffilter.noise.model import strength_of
from difffilter.spelling import parse, parse_number
from difffilter.view.controls import (
    AUTOMATIC,
    Control,
    choices,
    controls_of,
    shown,
    spelled,
    value_of,
)
from difffilter.view.elements.slider import Slider
from difffilter.view.session import Chosen, Setting

__all__ = ["Form"]

# A method in the list: its name, and a line about it.
OPTION = """
<q-item v-bind="props.itemProps"><q-item-section>
  <q-item-label>{{ props.opt.label }}</q-item-label>
  <q-item-label caption>{{ (%s)[props.opt.label] }}</q-item-label>
</q-item-section></q-item>
"""


class Form:
    """The controls and their values.

    Parameters
    ----------
    setting : Setting
        The initial values.
    on_change : callable
        Called with the new setting, or with None and the reason why there is none.
    """

    def __init__(self, setting: Setting, on_change: Callable[..., Awaitable[None]]):
        self.on_change = on_change
        self.chroma = setting.chroma
        name, self.values = parse(setting.method)
        self.summaries = choices(name)
        self.chosen: Chosen | None = None
        self.fields: dict[str, Field] = {}
        self.quiet = False  # while the form itself is filled in
        ui.html("<h2>Method</h2>", sanitize=False)
        self.method = ui.select(
            list(self.summaries), label="method", value=name, on_change=self._other_method
        ).props("outlined dense options-dense").classes("wide")  # fmt: skip
        # (JSON within a template: quotes and angle brackets must not end it.)
        texts = json.dumps(self.summaries).replace('"', "&quot;").replace("<", "&lt;")
        self.method.add_slot("option", OPTION % texts)
        self.summary = ui.label(self.summaries[name]).classes("muted")
        with ui.element("div").classes("buttons"):
            ui.button("Choose for me", on_click=self._automatic).props("no-caps outline")
            self.keep = ui.button("Keep these values", on_click=self._keep)
            self.keep.props("no-caps outline")
        self.winner = ui.label("").classes("chosen")
        self.parameters = ui.element("div").classes("parameters")
        with ui.expansion("More parameters").classes("wide more") as self.more:
            self.technical = ui.element("div").classes("parameters")
        ui.html("<h2>Noise and strength</h2>", sanitize=False)
        self.sigma = ui.input(
            "σ, such as 25/255", value="" if setting.sigma is None else str(setting.sigma),
            placeholder="estimated", on_change=self._report,
        ).props("outlined dense clearable debounce=300 stack-label").classes("wide")  # fmt: skip
        kinds = {"": "the method's own kind of noise"} | {kind: kind for kind in EXPONENTS}
        self.noise = ui.select(
            kinds, label="kind", value=setting.noise or "", on_change=self._report
        )
        self.noise.props("outlined dense options-dense").classes("wide")
        with ui.element("div").classes("strength"):
            self.share = ui.label(f"strength {setting.strength:.2f}")
            self.strength = Slider(
                min=0, max=1, step=0.05, value=setting.strength, on_change=self._report
            )
            self.strength.props('aria-label="Strength"')
        self._fill()

    # --- changes -----------------------------------------------------------------------

    # (Handlers of changes are called at once and return what is to be awaited, so that `quiet` is
    # asked while the form fills itself in.)

    def _other_method(self, event):
        if self.quiet:
            return None
        self.values = {}
        self.summary.text = self.summaries[event.value]
        self._fill()
        return self._report()

    async def _automatic(self):
        self.values = {}
        self.quiet = True
        self.sigma.value, self.quiet = "", False
        self._fill()
        await self._reported()

    async def _keep(self):
        """Turn what was chosen into what is given; of ``auto``, the method that won."""
        if self.chosen is None:
            return
        method = unwrapped(self.chosen.method)
        name, values = self._named(method)
        self.quiet = True
        self.method.value, self.quiet = name, False
        self.summary.text = self.summaries[name]
        self.values = values
        if not self.chosen.method.is_settled() and not self.sigma.value:
            self.quiet = True
            self.sigma.value, self.quiet = f"{strength_of(self.chosen.sigma):.4g}", False
        self._fill()
        await self._reported()

    def _named(self, method):
        """The name and the parameters of a method; of one that has none, those of the form."""
        try:
            name, values = parse(spell(method))
        except ValueError:  # of the user's own
            name, values = "", {}
        return (name, values) if name in self.summaries else (self.method.value, self.values)

    def _report(self, *_):
        """Tell what the form says, unless the form itself is filled in."""
        return None if self.quiet else self._reported()

    async def _reported(self):
        self.keep.disable()  # until what is shown is what the form says
        self.share.text = f"strength {self.strength.value:.2f}"
        try:
            setting = self.setting()
        except (TypeError, ValueError) as error:
            await self.on_change(None, " ".join(str(error).split()))
            return
        await self.on_change(setting)

    def setting(self) -> Setting:
        """The values of the controls, as a setting.

        Raises
        ------
        ValueError
            If σ is not a number.
        """
        sigma = (self.sigma.value or "").strip()
        controls = [field.control for field in self.fields.values()]
        return Setting(
            method=spelled(self.method.value, self.values, controls),
            sigma=parse_number(sigma) if sigma else None,
            noise=self.noise.value or None,
            strength=round(float(self.strength.value), 4),
            chroma=self.chroma,
        )

    # --- parameters --------------------------------------------------------------------

    def _fill(self):
        """Make the controls of the method's parameters."""
        self.parameters.clear()
        self.technical.clear()
        self.fields = {}
        self.winner.text = ""
        for control in controls_of(self.method.value):
            with self.technical if control.technical else self.parameters:
                self.fields[control.name] = Field(
                    control, self.values.get(control.name), self._parameter
                )
        self.more.set_visibility(any(f.control.technical for f in self.fields.values()))

    async def _parameter(self, control: Control, value: Any):
        if value is None and control.default is not None:
            value = control.default
        if value == control.default:
            self.values.pop(control.name, None)
        else:
            self.values[control.name] = value
        await self._reported()

    def show(self, chosen: Chosen) -> None:
        """Show what was chosen for the parameters that are not given."""
        self.chosen = chosen
        self.keep.enable()
        method = unwrapped(chosen.method)
        name = self._named(method)[0]
        parts = "" if not chosen.on_tiles else (
            " Parameters were chosen on parts of the image; saving chooses on all of it, unless you "
            "keep these values."
        )  # fmt: skip
        self.winner.text = (
            f"Chosen: {spell(method)}." if name != self.method.value else ""
        ) + parts
        for key, field in self.fields.items():
            field.show(method.parameters.get(key))
        sigma = strength_of(chosen.sigma)
        _invite(self.sigma, f"estimated: {sigma:.4g} ({255 * sigma:.3g}/255)")


def usual(control: Control, value: Any = None) -> str:
    """The text of an empty control: its default, or the value that was chosen."""
    if control.default is not None:
        return f"{shown(control.default)} (the default)"
    return AUTOMATIC if value is None else f"{AUTOMATIC}: {shown(value)}"


def _invite(element, text):
    """Set the text that an empty field shows."""
    if element.props.get("placeholder") != text:
        element.props["placeholder"] = text
        element.update()


class Field:
    """The control of one parameter, with a slider if it is a positive number."""

    def __init__(self, control: Control, value: Any, on_change: Callable[..., Awaitable[None]]):
        self.control, self.on_change, self.quiet = control, on_change, False
        self.base: float | None = None  # the value in the middle of the slider
        name = control.name
        with ui.element("div").classes("field").mark(f"parameter-{name}"):
            self.input: Any
            if control.kind == "switch":
                on = control.default if value is None else value
                self.input = ui.switch(name, value=on, on_change=self._changed)
            elif control.kind == "words":
                empty = {"": AUTOMATIC} if control.default is None else {}
                words = empty | {word: word for word in control.words}
                self.input = ui.select(
                    words, label=name, value=value or control.default or "",
                    on_change=self._changed,
                ).props("outlined dense options-dense")  # fmt: skip
            else:
                self.input = ui.input(
                    name, value=shown(value), placeholder=usual(control),
                    on_change=self._changed,
                ).props("outlined dense clearable debounce=300 stack-label")  # fmt: skip
            self.slider = None
            if control.kind == "number" and control.default is None and not control.technical:
                self.slider = Slider(min=-4, max=4, step=0.1, value=0, on_change=self._slid)
                self.slider.props(f'aria-label="{name}, from a 16th to 16 times"').classes("thin")
                self.slider.set_visibility(False)
            if control.about:
                ui.label(control.about).classes("muted about").tooltip(control.about)

    def _changed(self, event):
        if self.quiet:
            return None
        return self.on_change(self.control, value_of(self.control, event.value))

    def _at(self, position):
        """The value at a position of the slider: so many powers of two from the middle."""
        value: float = float(f"{self.base * 2 ** float(position):.4g}")
        return max(1, round(value)) if isinstance(self.base, int) else value

    def _slid(self, event):
        if self.quiet or not self.base:
            return None
        value = self._at(event.value)
        self._set(shown(value))
        return self.on_change(self.control, value)

    def _set(self, text):
        self.quiet = True
        self.input.value, self.quiet = text, False

    def show(self, value: Any) -> None:
        """Show the value that was used, given or chosen."""
        given = self.input.value not in ("", None)
        if self.control.kind == "words" and self.control.default is None and value is not None:
            words = {"": f"{AUTOMATIC}: {value}"} | {word: word for word in self.control.words}
            if self.input.options != words:
                self.input.set_options(words)
        elif self.control.kind in ("number", "text") and not given:
            _invite(self.input, usual(self.control, value))
        # A result may be older than what the form says by now.
        now = value_of(self.control, self.input.value) if given else value
        if self.slider is None or isinstance(value, str | None) or isinstance(now, str | None):
            return
        if not given or self.base is None:
            self.base = value
        usable = bool(self.base) and self.base > 0
        self.slider.set_visibility(usable)
        if usable and now > 0 and now != self._at(self.slider.value):
            self.quiet = True
            self.slider.value = max(-4.0, min(4.0, round(math.log2(now / self.base), 1)))
            self.quiet = False
