"""Signals that end a command: each raises KeyboardInterrupt, so that no file is left half written."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from contextlib import contextmanager

__all__ = ["raised_by_signals"]

ENDING = [getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if n in dir(signal)]

# Seconds after which to interrupt again where Python could not raise an exception.
AGAIN = 0.01


@contextmanager
def raised_by_signals():
    """Within it, SIGTERM and SIGHUP raise KeyboardInterrupt, too; yields a list of those that came.

    Signals that are ignored or have a handler stay as they are, as does everything in other threads
    than the main one, where Python does not deliver signals.
    """
    came = []

    def note(number, _):
        came.append(number)
        raise KeyboardInterrupt

    def interrupt_again():
        if signal.getsignal(signal.SIGINT) is note:
            _thread.interrupt_main()

    def report(unraisable):
        # Called back by C, as by LLVM while it compiles, Python prints an exception and goes on.
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            threading.Timer(AGAIN, interrupt_again).start()
        else:
            report_before(unraisable)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    usual = signal.SIG_DFL, signal.default_int_handler
    before = {n: signal.signal(n, note) for n in ENDING if signal.getsignal(n) in usual}
    report_before, sys.unraisablehook = sys.unraisablehook, report
    try:
        yield came
    finally:
        sys.unraisablehook = report_before
        for number, handler in before.items():
            signal.signal(number, handler)
