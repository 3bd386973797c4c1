"""Ctrl-C while a filter is at work."""

import random
import signal

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df
from difffilter.pde.kernels import common, threads

NAMES = [name for name in df.methods() if name != "ddpm"]


@pytest.fixture
def interrupt_after():
    """A way to raise KeyboardInterrupt after some seconds, as Ctrl-C would."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


# An interrupt between `open` and its `with` leaves a file to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_is_a_keyboard_interrupt(name, photo, interrupt_after):
    method, image, moments = df.make(name), np.float32(photo), random.Random(1)
    method(image, 0.1)
    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            interrupt_after(moments.uniform(0.001, 0.02))
            while True:
                method(image, 0.1)


@pytest.mark.parametrize("name", EQUATIONS)
def test_kernels_return_no_arrays_to_python(name, photo, rng, monkeypatch):
    """Numba calls Python to make them, and does not notice an exception that a signal raises there."""

    def run(function, arguments):
        returned.append((function, result := threads.run(function, arguments)))
        return result

    returned, equation = [], EQUATIONS[name]
    monkeypatch.setattr(common, "run", run)
    df.make(name)(np.float32(photo), 0.1)
    equation(photo, mask=photo > 0.1)
    equation(rng.random((5, 6, 7)))
    assert returned
    assert [f for f, result in returned if not isinstance(result, int | float | None)] == []
