"""A temporary layer with the result for what is on the canvas."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from difffilter.denoiser import Box
from difffilter.image import as_float
from difffilter.integrations.napari.axes import Axes, full_resolution
from difffilter.integrations.napari.events import Connections
from difffilter.integrations.napari.filtering import Slice, blocks, chosen_for, spans
from difffilter.integrations.napari.layers import appearance, placed
from difffilter.integrations.napari.recipe import Recipe
from difffilter.integrations.napari.tasks import Task
from difffilter.integrations.napari.view import current_place, visible_region

__all__ = ["Preview", "is_preview"]

# Milliseconds without a change after which the preview is made anew.
DELAY = 200

KEY = "difffilter preview"


def is_preview(layer: Any) -> bool:
    """Whether a layer is a preview."""
    return KEY in layer.metadata


class Preview:
    """Filters what is on the canvas, anew whenever that or the settings change.

    Parameters
    ----------
    viewer : napari.Viewer
    settings : callable
        Returns the layer, its `Axes` and the `Recipe`; ``None``: there is nothing to filter.
    changed : callable
        Called when work begins and when it ends.
    """

    def __init__(
        self,
        viewer: Any,
        settings: Callable[[], tuple[Any, Axes, Recipe] | None],
        changed: Callable[[], Any],
    ) -> None:
        self._viewer, self._settings = viewer, settings
        self.task = Task(changed)
        self.layer: Any = None
        self.source: Any = None
        self._shown: Any = None  # the source of the layer
        self.active = False
        self._hidden = False  # not by the user
        self._key: Any = None  # of the slice whose parameters are known
        self._slice: Slice | None = None
        self._connections = Connections()
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY)
        self._timer.timeout.connect(self._begin)

    @property
    def pending(self) -> bool:
        """Whether the preview is about to change."""
        return self._timer.isActive() or self.task.running

    def start(self) -> None:
        """Show the preview."""
        self.active = True
        dims = self._viewer.dims.events
        camera = getattr(self._viewer, "scene", self._viewer).camera.events  # so since napari 0.9
        for event in (camera.center, camera.zoom, dims.current_step, dims.ndisplay, dims.order):
            self._connections.make(event, self.request)
        self._timer.start(0)

    def stop(self) -> None:
        """Remove the preview."""
        self.active = False
        self._connections.cut()
        self._timer.stop()
        self.task.stop()
        self._key = self._slice = self.source = None
        self._remove()

    def end(self) -> None:
        """Remove the preview, and report nothing from now on."""
        self.task.end()
        if self.active:
            self.stop()

    def request(self, event: Any = None) -> None:
        """Make the preview anew, once nothing has changed for a moment."""
        if self.active:
            self._timer.start(DELAY)

    def forget(self, event: Any = None) -> None:
        """Make the preview anew, of pixels that have changed."""
        self._key = None
        self.request()

    def _begin(self):
        found = self._settings()
        if found is None or self._viewer.dims.ndisplay != 2:
            self.task.stop()
            if self.layer is not None and self.layer.visible:
                self.layer.visible, self._hidden = False, True
            return
        layer, axes, recipe = found
        self.source = layer
        region = visible_region(self._viewer, layer, axes)
        index = axes.slice_at(current_place(self._viewer, layer, axes))
        corner = [
            start if axis in axes.space else index[axis] for axis, (start, _) in enumerate(region)
        ]
        data = full_resolution(layer)
        key = (id(data), index, axes, recipe)
        known = self._slice if key == self._key else None
        self.task.start(
            preview, data, axes, recipe, index, region, known,
            yielded=lambda step: self._show(layer, recipe, corner, key, step),
            returned=lambda _: None,
        )  # fmt: skip

    def _show(self, source, recipe, corner, key, step):
        """Show the pixels so far."""
        part, pixels = step
        if not self.active or source not in self._viewer.layers:
            return
        self._key, self._slice = key, part
        looks = {**appearance(source, recipe.data_range), **placed(source, corner)}
        rgb, layer = looks.pop("rgb"), self.layer
        if self._shown is not source or (layer.ndim, layer.rgb) != (source.ndim, rgb):
            self._replace(pixels, source, {**looks, "rgb": rgb})
            return
        if self._hidden:
            layer.visible, self._hidden = True, False
        layer.data = pixels
        for name, value in looks.items():
            setattr(layer, name, value)

    def _replace(self, pixels, source, attributes):
        """Put a new layer above that which is filtered; the selection stays."""
        layers = self._viewer.layers
        selected, active = set(layers.selection), layers.selection.active
        self._remove()
        self.layer = self._viewer.add_image(
            pixels, name=f"{source.name} (preview)", metadata={KEY: True}, **attributes
        )
        self._shown = source
        layers.move(len(layers) - 1, layers.index(source) + 1)
        layers.selection = selected & set(layers)
        layers.selection.active = active if active in layers else None

    def _remove(self):
        """Remove the layer, which is forgotten first: it is not the user who does so."""
        layer, self.layer, self._shown = self.layer, None, None
        if layer is not None:
            with suppress(ValueError):  # the user has
                self._viewer.layers.remove(layer)


def preview(
    data: Any, axes: Axes, recipe: Recipe, index: Any, region: Box, known: Slice | None
) -> Generator[tuple[Slice, NDArray], None, None]:
    """Filter a region of a layer, from its middle outwards.

    Parameters
    ----------
    data, axes, recipe
        As for `filtered`.
    index : Index
        The slice.
    region : tuple of (int, int)
        The start and the stop along each axis of the layer.
    known : Slice, optional
        The slice, if its parameters are known; ``None``: they are chosen on the whole slice, so that
        the preview is a part of what `filtered` returns.

    Yields
    ------
    slice : Slice
    pixels : ndarray
        Of the region: as they are filtered so far, and else as they are.
    """
    part = chosen_for(data, axes, recipe, index) if known is None else known
    box = tuple(region[axis] for axis in axes.space)
    pixels = as_float(part.image[spans(box)], axes.channel_axis, axes=None).copy()
    shape = [stop - start if axis in axes.space else 1 for axis, (start, stop) in enumerate(region)]
    if axes.colours:
        shape.append(pixels.shape[-1])
    corner = [start for start, _ in box]
    for block, found, _ in blocks(part, axes, box, middle_first=True):
        inside = tuple((a - c, b - c) for (a, b), c in zip(block, corner, strict=True))
        pixels[spans(inside)] = found
        yield part, np.array(pixels.reshape(shape))
