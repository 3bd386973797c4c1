"""Fixtures of all tests, and what lets them run beside each other."""

import os
import signal
import socket

import hypothesis
import numpy as np
import pytest
from skimage import data

from difffilter.parallel import cores

# Compiling makes the first example slow, and a shared machine any; the number of examples is what
# keeps the suite short.
hypothesis.settings.register_profile(
    "default", deadline=None, max_examples=int(os.environ.get("EXAMPLES", "30")), derandomize=True
)
hypothesis.settings.load_profile("default")

# Triton reads it when it is imported, which PyTorch does as soon as anything is compiled or exported.
if not os.path.exists("/dev/nvidia0"):
    os.environ.setdefault("TRITON_INTERPRET", "1")


# A shell's background job ignores SIGINT, and under nohup SIGHUP; so would all processes that the tests
# send them to.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# --- several workers ------------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """For ``-n auto``: one for each core. (Each takes more than a gigabyte of memory.)"""
    return min(cores(), 8)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """Before the workers start: each, and every process it starts, takes its share of the cores."""
    share = max(1, cores() // len(specs))
    os.environ |= {
        # (Two at least, since results with one and with several threads are compared.)
        "NUMBA_NUM_THREADS": str(max(2, share)),
        "OMP_NUM_THREADS": str(share),
        "OPENBLAS_NUM_THREADS": str(share),
        "GOMP_SPINCOUNT": "0",  # threads that wait leave the cores to the other workers
    }


# What compiles little or nothing. While one worker begins with these, the other begins with the
# kernels, and neither compiles what the other is compiling.
UNCOMPILED = (
    "ddpm",
    "generate",
    "integrations",
    "sound",
    "training",
    "io",
    "benchmark",
    "figures",
    "cli",
)


def pytest_collection_modifyitems(config, items):
    """Order the tests so that several workers share the compiled kernels."""
    folder = config.rootpath / "tests"

    def place(item):
        inside = item.path.relative_to(folder).parts[0] if folder in item.path.parents else ""
        return (
            UNCOMPILED.index(inside)
            if inside in UNCOMPILED
            else len(UNCOMPILED) + (inside != "pde")
        )

    items.sort(key=place)


# --- fixtures -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def photo():
    """A grey photograph, 128×128, in [0, 1]."""
    return data.camera()[100:356:2, 150:406:2] / 255


@pytest.fixture(scope="session")
def colour_photo():
    """A colour photograph, 96×128×3, in [0, 1]."""
    return data.astronaut()[:192:2, 100:356:2] / 255


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def set_threads():
    """Set the number of threads that Numba uses, for this test."""
    import numba

    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.fixture(scope="session")
def torch_threads():
    """One thread for PyTorch, for tensors too small to be worth sharing.

    With several, the order of a sum may differ from call to call, too.
    """
    pytest.importorskip("torch").set_num_threads(1)


@pytest.fixture
def no_network(monkeypatch):
    """Any use of the network fails the test, even if a library goes on without it."""
    used = []

    def refuse(*arguments, **_):
        used.append(arguments)
        raise OSError("there is no network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    yield
    assert not used
