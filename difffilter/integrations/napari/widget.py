"""The widget: a layer, a method with its parameters, a preview, and the run on the whole layer."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, FloatSlider, ProgressBar, PushButton
from napari.layers import Image
from napari.utils import progress
from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QScrollArea, QWidget

from difffilter.api import Parameters
from difffilter.catalog import describe
from difffilter.integrations.napari.axes import Axes, axes_of, full_resolution, is_volume
from difffilter.integrations.napari.events import Connections, weakly
from difffilter.integrations.napari.fields import (
    AUTOMATIC,
    OrAutomatic,
    ParameterFields,
    Text,
    form_in,
    number,
)
from difffilter.integrations.napari.filtering import Filtered, chosen_for, filtered
from difffilter.integrations.napari.layers import appearance, described, place_of
from difffilter.integrations.napari.preview import Preview, is_preview
from difffilter.integrations.napari.recipe import Recipe, offered, recipe_from
from difffilter.integrations.napari.tasks import EXPECTED, Task
from difffilter.integrations.napari.view import current_place, displayed_axes
from difffilter.noise.estimation import EXPONENTS

__all__ = ["DenoiseWidget"]

SLICES, VOLUME = "2-D slices", "3-D volume"
UNNAMED = r"(axis )?-\d+"  # napari's label of an axis that has none
STEPS = 1000  # of a progress bar
WIDTH = 330  # the least, in pixels


class DenoiseWidget(QScrollArea):
    """Filters an image layer of napari.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._bar: progress | None = None
        self._connections, self._followed = Connections(), Connections()
        self.layer = ComboBox(choices=self._image_layers, tooltip="The image layer to filter")
        self.space = ComboBox(
            choices=[SLICES, VOLUME], value=SLICES,
            tooltip="Whether each plane is filtered by itself, or all planes as one volume. Times and "
            "channels are always filtered apart.",
        )  # fmt: skip
        self._spacing = QLabel()
        self._spacing.setToolTip("Distances of pixels, by the scale and the units of the layer")
        self.method = ComboBox(choices=offered(), value="auto")
        self._about = QLabel()
        self.parameters = ParameterFields()
        self.sigma = OrAutomatic(
            number(float, 0.1),
            tooltip="Standard deviation of the noise where the range of intensities is [0, 1]",
        )
        self.noise = ComboBox(
            value=None, choices=[(AUTOMATIC, None), *((kind, kind) for kind in EXPONENTS)],
            tooltip="poisson: photon counts, 0 meaning no light; speckle: proportional to the image",
        )  # fmt: skip
        self.strength = FloatSlider(
            value=1, min=0, max=1, step=0.01, tooltip="The share of the change that is made"
        )
        self.data_range = Text(
            tooltip="The intensity that is white, such as 4095 for 12 bits, or (black, white). "
            "Automatic: the range of integers; floats as they are.",
        )
        self.choose_button = PushButton(
            text="Choose for me", tooltip="Fill in the parameters, chosen for the current slice"
        )
        self.preview_box = CheckBox(
            text="Preview", tooltip="Filter what is on the canvas, as a layer for now"
        )
        self.run_button = PushButton(text="Run", tooltip="Filter the whole layer, as a new layer")
        self.cancel_button = PushButton(text="Cancel", enabled=False)
        self._progress = ProgressBar(min=0, max=STEPS, value=0)
        self.task = Task(weakly(self._show_state))
        self.preview = Preview(napari_viewer, weakly(self._set), weakly(self._show_state))
        self._lay_out()
        self._connect()
        self._show_method(self.method.value)
        self._show_layer()

    def _lay_out(self):
        content = QWidget()
        form = form_in(content)
        for label in (self._spacing, self._about):
            label.setWordWrap(True)
        form.addRow("layer", self.layer.native)
        form.addRow("space", self.space.native)
        form.addRow("spacing", self._spacing)
        form.addRow("method", self.method.native)
        form.addRow(self._about)
        form.addRow(self.parameters)
        form.addRow("noise σ", self.sigma.native)
        form.addRow("noise kind", self.noise.native)
        form.addRow("strength", self.strength.native)
        form.addRow("data range", self.data_range.native)
        form.addRow(_row(self.choose_button, self.preview_box))
        form.addRow(_row(self.run_button, self.cancel_button))
        form.addRow(self._progress.native)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(WIDTH)

    def _connect(self):
        self.layer.changed.connect(self._show_layer)
        self.space.changed.connect(self._show_spacing)
        self.method.changed.connect(self._show_method)
        self.parameters.changed.connect(self.preview.request)
        for part in (self.space, self.sigma, self.noise, self.strength, self.data_range):
            part.changed.connect(self.preview.request)
        self.preview_box.changed.connect(self._switch_preview)
        self.choose_button.clicked.connect(self.choose)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        dims, connections = self._viewer.dims.events, self._connections
        connections.make(self._viewer.layers.events.removed, self._removed)
        connections.make(dims.order, self._show_spacing)
        connections.make(dims.ndisplay, self._show_spacing)
        task, preview, followed = self.task, self.preview, self._followed

        def end():
            connections.cut()
            followed.cut()
            task.end()
            preview.end()

        self.destroyed.connect(end)  # (a method would be gone by then)

    def event(self, event: QEvent) -> bool:
        """Stop when the panel is closed, which leaves the widget without a parent."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.task.stop()
            self.preview_box.value = False
        return super().event(event)

    # --- what is set --------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The settings."""
        return Recipe(
            self.method.value, self.parameters.given, self.sigma.value, self.noise.value,
            self.strength.value, self.data_range.value,
        )  # fmt: skip

    def axes(self, layer: Any) -> Axes:
        """The axes of a layer."""
        displayed = displayed_axes(self._viewer, layer)
        return axes_of(layer, self.space.value == VOLUME, displayed)

    @property
    def busy(self) -> bool:
        """Whether a thread works, or is about to."""
        return self.task.running or self.preview.pending

    def _image_layers(self, _=None):
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and not is_preview(layer)
        ]

    def _set(self):
        layer = self.layer.value
        if layer is None:
            return None
        try:
            return layer, self.axes(layer), self.recipe
        except EXPECTED as error:
            show_error(str(error))
            return None

    # --- what is done -------------------------------------------------------------------------

    def run(self) -> None:
        """Filter the whole layer in a thread; the result becomes a new layer."""
        found = self._set()
        if found is None:
            return
        layer, axes, recipe = found
        self.preview_box.value = False
        attributes = {**place_of(layer), **appearance(layer, recipe.data_range)}

        def add(result: Filtered) -> None:
            self._viewer.add_image(
                result.pixels,
                name=f"{layer.name} ({recipe.method})",
                metadata={"difffilter": described(layer, axes, recipe, result)},
                **attributes,
            )

        self._bar = progress(total=STEPS, desc=f"difffilter: {recipe.method}")
        self.task.start(
            filtered, full_resolution(layer), axes, recipe,
            yielded=self._show_progress, returned=add,
        )  # fmt: skip

    def choose(self) -> None:
        """Choose the parameters on the current slice in a thread, and fill them in."""
        found = self._set()
        if found is None:
            return
        layer, axes, recipe = found
        index = axes.slice_at(current_place(self._viewer, layer, axes))
        self.task.start(
            _choose, full_resolution(layer), axes, recipe, index,
            yielded=lambda _: None, returned=self.fill,
        )  # fmt: skip

    def cancel(self) -> None:
        """Stop what runs; nothing of it is kept."""
        self.task.stop()
        self.cancel_button.enabled = False

    def fill(self, chosen: Parameters) -> None:
        """Show parameters that were chosen, and the method that ``auto`` has chosen."""
        method, parameters = recipe_from(chosen)
        self.method.value = method
        self.parameters.fill(parameters)
        self.sigma.value = chosen.sigma

    def reset_choices(self, event: Any = None) -> None:
        """Offer the image layers that there are now; napari calls it when they change."""
        if not self.task.ended:
            self.layer.reset_choices()
            self._show_state()

    # --- what is shown ------------------------------------------------------------------------

    def _show_layer(self, _=None):
        self._follow(self.layer.value)
        self._show_axes()
        self._show_state()

    def _follow(self, layer):
        """Notice changes of a layer, and no longer those of another."""
        self._followed.cut()
        changes = {
            "axis_labels": self._show_axes,
            "units": self._show_axes,
            "scale": self._show_spacing,
            "data": self.preview.forget,
            "contrast_limits": self.preview.request,
            "colormap": self.preview.request,
            "gamma": self.preview.request,
        }
        events = {} if layer is None else layer.events.emitters
        for name in changes.keys() & events.keys():
            self._followed.make(events[name], changes[name])

    def _show_axes(self, _=None):
        layer = self.layer.value
        if layer is not None:
            self.space.value = VOLUME if is_volume(layer) else SLICES
        self._show_spacing()

    def _show_spacing(self, _=None):
        layer, text = self.layer.value, "–"
        if layer is not None:
            try:
                axes = self.axes(layer)
                spacing = axes.spacing or (1.0,) * len(axes.space)
                text = " × ".join(f"{h:.4g}" for h in spacing)
                labels = [layer.axis_labels[axis] for axis in axes.space]
                if not any(re.fullmatch(UNNAMED, label) for label in labels):
                    text += f" along {', '.join(labels)}"
            except ValueError as error:
                text = str(error)
        self._spacing.setText(text)
        self.preview.request()

    def _show_method(self, method):
        self.parameters.show_method(method)
        self._about.setText(describe(method)[0])
        self.preview.request()

    def _show_state(self):
        running, layer = self.task.running, self.layer.value is not None
        for button in (self.run_button, self.choose_button):
            button.enabled = layer and not running
        self.preview_box.enabled = layer
        self.cancel_button.enabled = running
        if not running and self._bar is not None:
            self._bar.close()
            self._bar = None
            self._progress.value = 0

    def _show_progress(self, share):
        done = round(STEPS * share)
        more, self._progress.value = done - self._progress.value, done
        if self._bar is not None:  # last, as napari goes on with other events meanwhile
            self._bar.update(more)

    def _switch_preview(self, on):
        if on:
            self.preview.start()
        else:
            self.preview.stop()

    def _removed(self, event):
        if event.value is self.preview.layer or event.value is self.preview.source:
            self.preview_box.value = False


def _choose(data, axes, recipe, index) -> Generator[None, None, Parameters]:
    yield
    return chosen_for(data, axes, recipe, index).chosen


def _row(*widgets):
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget.native)
    return row
