"""A slider that stays where the user has put it."""

from __future__ import annotations

from nicegui import ui

__all__ = ["Slider"]


class Slider(ui.slider):
    """A slider whose position the browser keeps.

    NiceGUI's own takes each value back from the server, so that of several moves in a row the later
    ones are undone by the answers to the earlier ones.
    """

    LOOPBACK = False
