"""Signals that end a command."""

import signal
import sys

import pytest
from command import invoke

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# A method at whose third call something happens.
METHOD = """
import ctypes
import signal
import time

class Method:
    calls = 0

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        Method.calls += 1
        if Method.calls == 3:
            {happens}
        return noisy

def interrupted_in_a_callback():
    ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()
    for _ in range(1000):
        time.sleep(0.01)
    raise AssertionError("the interrupt was lost")

def made_an_error():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise SystemError("a result with an exception set") from None
"""


@pytest.fixture
def smoothed_while(folder, monkeypatch):
    """A way to smooth a folder while something happens."""

    def smooth(happens):
        (folder / "happening.py").write_text(METHOD.format(happens=happens))
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "happening", raising=False)
        return invoke(
            "smooth", ".", "-o", "out", "-m", "happening:Method", "--sigma", "0.1", cwd=folder
        )

    return smooth


@pytest.mark.parametrize("number", NUMBERS)
def test_one_line_and_the_exit_code_of_the_signal(smoothed_while, folder, number):
    before = [signal.getsignal(n) for n in NUMBERS]
    result = smoothed_while(f"signal.raise_signal({int(number)})")
    how = "interrupted" if number == signal.SIGINT else "terminated"
    assert result.stderr == f"{how}; finished work is kept\n"
    assert result.returncode == 128 + number
    assert len(list(folder.glob("out/*"))) == 2
    assert [signal.getsignal(n) for n in NUMBERS] == before


@pytest.mark.parametrize("how", ["interrupted_in_a_callback()", "made_an_error()"])
def test_libraries_neither_lose_an_interrupt_nor_turn_it_into_an_error(smoothed_while, how):
    result = smoothed_while(how)
    assert (result.returncode, result.stderr) == (130, "interrupted; finished work is kept\n")


def test_ignored_signals_stay_ignored(smoothed_while):
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        result = smoothed_while("signal.raise_signal(signal.SIGHUP)")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (result.returncode, result.stderr) == (0, "")
