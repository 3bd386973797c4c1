"""The widget: a layer, a method with its parameters, a preview, and the run on the whole layer."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FloatSlider,
    Label,
    ProgressBar,
    PushButton,
)
from napari.layers import Image
from napari.utils import progress
from napari.utils.notifications import show_error
from napari.viewer import Viewer

from difffilter.api import Parameters
from difffilter.catalog import describe
from difffilter.denoiser import rounded
from difffilter.integrations.napari.axes import Axes, axes_of, full_resolution, is_volume
from difffilter.integrations.napari.fields import (
    AUTOMATIC,
    OrAutomatic,
    ParameterFields,
    Text,
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
STEPS = 1000  # of a progress bar


class DenoiseWidget(Container):
    """Filters an image layer of napari.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self._bar: progress | None = None
        self._layer = ComboBox(
            name="layer", choices=self._image_layers, tooltip="The image layer to filter"
        )
        self._method = ComboBox(name="method", choices=offered(), value="auto")
        self._about = Label(name="about", label=" ")
        self._about.native.setWordWrap(True)
        self._space = ComboBox(
            name="space", choices=[SLICES, VOLUME], value=SLICES,
            tooltip="Whether each plane is filtered by itself, or all planes as one volume. Times and "
            "channels are always filtered apart.",
        )  # fmt: skip
        self._spacing = Label(
            name="spacing", tooltip="Distance of pixels along the axes of space, by the layer's scale"
        )
        self._sigma = OrAutomatic(
            number(float), name="sigma", label="noise σ",
            tooltip="Standard deviation of the noise where the range of intensities is [0, 1]",
        )  # fmt: skip
        self._noise = ComboBox(
            name="noise", label="noise kind", value=None,
            choices=[(AUTOMATIC, None), *((kind, kind) for kind in EXPONENTS)],
            tooltip="poisson: photon counts, 0 meaning no light; speckle: proportional to the image",
        )  # fmt: skip
        self._strength = FloatSlider(
            name="strength", value=1, min=0, max=1, step=0.01,
            tooltip="The share of the change that is made",
        )  # fmt: skip
        self._data_range = Text(
            name="data_range", label="data range",
            tooltip="The intensity that is white, such as 4095 for 12 bits, or (black, white). "
            "Automatic: the range of integers; floats as they are.",
        )  # fmt: skip
        self._fields = ParameterFields("auto", name="parameters", label=" ")
        self._choose = PushButton(
            text="Choose for me", tooltip="Fill in the parameters, chosen for the current slice"
        )
        self._preview = CheckBox(
            name="preview", text="Preview", tooltip="Filter what is on the canvas, as a layer for now"
        )
        self._run = PushButton(text="Run", tooltip="Filter the whole layer, as a new layer")
        self._cancel = PushButton(text="Cancel", enabled=False)
        self._progress = ProgressBar(label=" ", min=0, max=STEPS, value=0)
        super().__init__(
            scrollable=True,
            widgets=[
                self._layer, self._space, self._spacing, self._method, self._about, self._fields,
                self._sigma, self._noise, self._strength, self._data_range,
                _row(self._choose, self._preview), _row(self._run, self._cancel), self._progress,
            ],
        )  # fmt: skip
        self.task = Task(self._show_state)
        self.preview = Preview(napari_viewer, self._previewed, self._show_state)
        self._connect()
        self._show_layer()
        self._show_method(self._method.value)

    def _connect(self):
        self._layer.changed.connect(self._show_layer)
        self._space.changed.connect(self._show_spacing)
        self._method.changed.connect(self._show_method)
        for part in (
            self._space, self._fields, self._sigma, self._noise, self._strength, self._data_range,
        ):  # fmt: skip
            part.changed.connect(self.preview.request)
        self._preview.changed.connect(self._switch_preview)
        self._choose.clicked.connect(self.choose)
        self._run.clicked.connect(self.run)
        self._cancel.clicked.connect(self.cancel)
        self._viewer.layers.events.removed.connect(self._removed)
        self._viewer.dims.events.order.connect(self._show_spacing)
        self._viewer.dims.events.ndisplay.connect(self._show_spacing)
        self.native.destroyed.connect(self.close_down)

    # --- what is set --------------------------------------------------------------------------

    @property
    def recipe(self) -> Recipe:
        """The settings."""
        return Recipe(
            self._method.value, self._fields.given, self._sigma.value, self._noise.value,
            self._strength.value, self._data_range.value,
        )  # fmt: skip

    def axes(self, layer: Any) -> Axes:
        """The axes of a layer."""
        displayed = displayed_axes(self._viewer, layer)
        return axes_of(layer, self._space.value == VOLUME, displayed)

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

    def _previewed(self):
        layer = self._layer.value
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
        found = self._previewed()
        if found is None:
            return
        layer, axes, recipe = found
        self._preview.value = False
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
        found = self._previewed()
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
        self._cancel.enabled = False

    def fill(self, chosen: Parameters) -> None:
        """Show parameters that were chosen, and the method that ``auto`` has chosen."""
        method, parameters = recipe_from(chosen)
        with self._fields.changed.blocked():
            self._method.value = method
            self._fields.fill(parameters)
        self._sigma.value = rounded(chosen.sigma)
        self.preview.request()

    def close_down(self) -> None:
        """Stop the threads and remove the preview."""
        self._viewer.layers.events.removed.disconnect(self._removed)
        self._viewer.dims.events.order.disconnect(self._show_spacing)
        self._viewer.dims.events.ndisplay.disconnect(self._show_spacing)
        self.task.stop()
        self.preview.stop()

    # --- what is shown ------------------------------------------------------------------------

    def _show_layer(self, _=None):
        layer = self._layer.value
        if layer is not None:
            self._space.value = VOLUME if is_volume(layer) else SLICES
        self._show_spacing()
        self._show_state()
        self.preview.forget()

    def _show_spacing(self, _=None):
        layer, text = self._layer.value, "–"
        if layer is not None:
            try:
                axes = self.axes(layer)
                spacing = axes.spacing or (1.0,) * len(axes.space)
                text = " × ".join(f"{h:.4g}" for h in spacing)
                text += f" along {', '.join(layer.axis_labels[axis] for axis in axes.space)}"
            except ValueError as error:
                text = str(error)
        self._spacing.value = text

    def _show_method(self, method):
        self._fields.show(method)
        self._about.value = describe(method)[0]
        self.preview.request()

    def _show_state(self):
        running, layer = self.task.running, self._layer.value is not None
        for button in (self._run, self._choose):
            button.enabled = layer and not running
        self._preview.enabled = layer
        self._cancel.enabled = running
        if not running and self._bar is not None:
            self._bar.close()
            self._bar = None
            self._progress.value = 0

    def _show_progress(self, share):
        done = round(STEPS * share)
        if self._bar is not None:
            self._bar.update(done - self._progress.value)
        self._progress.value = done

    def _switch_preview(self, on):
        if on:
            self.preview.start()
        else:
            self.preview.stop()

    def _removed(self, event):
        if event.value is self.preview.layer:
            self._preview.value = False
        self._show_state()


def _choose(data, axes, recipe, index) -> Generator[None, None, Parameters]:
    yield
    return chosen_for(data, axes, recipe, index).chosen


def _row(*widgets):
    row = Container(widgets=widgets, layout="horizontal", labels=False, label=" ")
    row.margins = (0, 0, 0, 0)
    return row
