"""Work in threads: one task at a time, of which the newest wins."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error

__all__ = ["Task"]

# Errors whose message is for the user.
EXPECTED = (MemoryError, OSError, TypeError, ValueError)


class Task:
    """A generator that runs in a thread; its results are reported in that of the caller.

    One that is started while another runs begins when that has stopped.

    Parameters
    ----------
    changed : callable
        Called when it begins and when it ends.

    Attributes
    ----------
    ended : bool
        Whether nothing is reported any more.
    """

    def __init__(self, changed: Callable[[], Any]) -> None:
        self._changed = changed
        self.ended = False
        self._worker: Any = None
        self._next: tuple | None = None

    @property
    def running(self) -> bool:
        """Whether the thread works."""
        return self._worker is not None

    def start(
        self,
        work: Callable[..., Generator[Any, None, Any]],
        *arguments: Any,
        yielded: Callable[[Any], Any],
        returned: Callable[[Any], Any],
    ) -> None:
        """Run a generator function, in place of what runs now."""
        self._next = (work, arguments, yielded, returned)
        if self.running:
            self._worker.quit()
        else:
            self._begin()

    def stop(self) -> None:
        """Ask the thread to stop, which it does after the present block; nothing more is reported."""
        self._next = None
        if self.running:
            self._worker.quit()

    def end(self) -> None:
        """Stop, and report nothing from now on, not even the end."""
        self.stop()
        self.ended = True

    def _begin(self) -> None:
        assert self._next is not None
        (work, arguments, yielded, returned), self._next = self._next, None
        worker = create_worker(_guarded, work, arguments, _start_thread=False)

        def report(value: Any) -> None:
            if not worker.abort_requested:
                yielded(value)

        def end(value: Any) -> None:
            if worker.abort_requested:
                return
            if isinstance(value, _Failed):
                show_error(value.message)
            else:
                returned(value)

        worker.yielded.connect(report)
        worker.returned.connect(end)
        worker.finished.connect(self._end)
        self._worker = worker
        self._changed()
        worker.start()

    def _end(self) -> None:
        self._worker = None
        if self._next is not None:
            self._begin()
        elif not self.ended:
            self._changed()


class _Failed:
    """The message of an error that is the user's to mend."""

    def __init__(self, error: BaseException) -> None:
        lines = [str(error) or type(error).__name__, *getattr(error, "__notes__", ())]
        self.message = " ".join(" ".join(lines).split())


def _guarded(work, arguments):
    try:
        return (yield from work(*arguments))
    except EXPECTED as error:
        return _Failed(error)
