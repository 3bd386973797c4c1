"""Connections to events of napari that can be cut, and keep nothing alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

__all__ = ["Connections", "weakly"]


class Connections:
    """Methods that are called on events, for as long as their objects live."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable]] = []

    def make(self, event: Any, method: Callable) -> None:
        """Call a method on an event."""
        slot = weakly(method)
        event.connect(slot)
        self._made.append((event, slot))

    def cut(self) -> None:
        """Call none of the methods any more."""
        while self._made:
            event, slot = self._made.pop()
            event.disconnect(slot)


def weakly(method: Callable) -> Callable:
    """A method to call for as long as its object lives, which this does not prolong."""
    known = WeakMethod(method)

    def call(event: Any = None) -> Any:
        found = known()
        if found is None:
            return None
        return found() if event is None else found(event)

    return call
