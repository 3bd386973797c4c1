"""The image before and after, as an element of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

__all__ = ["Layer", "Stage"]

# The address of a picture, and where it lies in the image: left, top, width, height.
Layer = tuple[str, tuple[int, int, int, int]]


class Stage(ui.element, component="stage.js"):  # type: ignore[call-arg]
    """The image before and after, divided by a line that the mouse, a finger or the keyboard moves.

    Parameters
    ----------
    size : (int, int)
        The width and the height of the image in pixels.
    start : "fit" or int
        The zoom at first: the whole image, or the size of a pixel.
    on_look : callable
        Called with an event whose ``args`` are the ``zoom`` and the ``box`` that is looked at, when
        either changes.
    """

    def __init__(self, size: tuple[int, int], start: str | int, on_look: Callable[[Any], Any]):
        super().__init__()
        self._props |= {"size": list(size), "start": start, "before": [], "after": []}
        self.on("look", on_look)

    def show(self, *, before: list[Layer] | None = None, after: list[Layer] | None = None) -> None:
        """Replace the pictures of either side; ``None``: leave them."""
        for side, layers in (("before", before), ("after", after)):
            if layers is not None:
                self._props[side] = [{"url": url, "box": list(box)} for url, box in layers]
        self.update()
