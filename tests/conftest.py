"""Fixtures of all tests, and what lets them run beside each other."""

import functools
import os

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


def pytest_configure(config):
    """In a worker, write to Numba's cache one at a time.

    Numba replaces files as a whole, but the index is read, extended and written back: of two
    processes that add to it at once one may note a name under which the other has put its code.
    """
    if not os.environ.get("PYTEST_XDIST_WORKER"):
        return
    import fcntl

    from numba.core.caching import IndexDataCacheFile

    save = IndexDataCacheFile.save

    @functools.wraps(save)
    def save_alone(self, key, data):
        with open(os.path.join(self._cache_path, ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            save(self, key, data)

    IndexDataCacheFile.save = save_alone


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
