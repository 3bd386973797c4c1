"""A thread that works on the newest task of each kind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Superseded", "Task", "Worker"]


class Superseded(Exception):
    """A newer task of the same kind has come."""


@dataclass
class Task:
    """A call to make, and how far it is.

    Attributes
    ----------
    kind : Hashable
        A newer task of a kind supersedes older ones.
    call : callable
        Called with the task.
    future : Future
        Of the call's result; cancelled if the task is superseded.
    doing : str
        The present stage of the call, for the user.
    since : float
        When the task came, by `time.monotonic`.
    """

    kind: Any
    call: Callable[[Task], Any]
    future: Future = field(default_factory=Future)
    doing: str = ""
    since: float = field(default_factory=time.monotonic)
    superseded: bool = False

    def report(self, doing: str) -> None:
        """Say what the call is doing; raises `Superseded` if nobody waits for it any more."""
        if self.superseded:
            raise Superseded
        self.doing = doing


class Worker:
    """One thread, so that the filters of one page do not compete for the cores.

    Examples
    --------
    >>> worker = Worker()
    >>> worker.submit("sum", lambda task: 1 + 1).result()
    2
    """

    def __init__(self) -> None:
        self._waiting: dict[Any, Task] = {}
        self._current: Task | None = None
        self._changed = threading.Condition()
        # A daemon, so that Ctrl-C does not wait for a filter.
        threading.Thread(target=self._run, name="difffilter-view", daemon=True).start()

    def submit(self, kind: Any, call: Callable[[Task], Any]) -> Future:
        """Call a function in the thread, unless a newer task of this kind comes first."""
        task = Task(kind, call)
        with self._changed:
            older = self._waiting.pop(kind, None)
            if self._current is not None and self._current.kind == kind:
                self._current.superseded = True
            self._waiting[kind] = task
            self._changed.notify()
        if older is not None:
            older.future.cancel()
        return task.future

    @property
    def current(self) -> Task | None:
        """The task at work."""
        return self._current

    def _run(self):
        while True:
            with self._changed:
                self._current = None
                while not self._waiting:
                    self._changed.wait()
                task = self._waiting.pop(next(iter(self._waiting)))
                self._current = task
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                result = task.call(task)
            except BaseException as error:  # whatever it is, whoever asked must hear of it
                task.future.set_exception(error)
            else:
                task.future.set_result(result)
