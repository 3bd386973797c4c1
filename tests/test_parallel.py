"""Filters in processes and threads of every kind, and beside others."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pools
import pytest

import difffilter as df
from difffilter import parallel

# Without variables that another test of the run may have set.
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "NUMBA_NUM"))}


def run(*arguments, **environment):
    """The output of a Python process, which is ended with all its children if it takes too long."""
    process = subprocess.Popen(
        [sys.executable, *arguments], env=CLEAN | {"NUMBA_NUM_THREADS": "2"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert process.returncode == 0, errors
    return output


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("forked", "default"),
        ("threads", "default"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("fresh", "default"), ("forked", "workqueue"), ("threads", "workqueue")]
        ),
    ],
)
def test_results_are_the_same_to_the_bit(kind, layer):
    output = run(pools.__file__, kind, NUMBA_THREADING_LAYER=layer)
    assert output.splitlines() == [f"{name} equal" for name in ("this process", *pools.KINDS[kind])]


IMPORTED_LATER = """
import multiprocessing
import numba
import numpy as np

@numba.njit(parallel=True)
def double(x):
    for i in numba.prange(len(x)):
        x[i] *= 2

def filtered(image):
    import difffilter as df

    return df.tv_flow(image, time=0.01)

image = np.random.default_rng(0).random((150, 150))
double(image)
with multiprocessing.get_context("fork").Pool(2) as pool:
    one, other = pool.map(filtered, [image] * 2)
np.testing.assert_array_equal(one, other)
np.testing.assert_array_equal(one, filtered(image))
print("equal")
"""


def test_forked_before_the_import_and_after_other_parallel_loops():
    assert run("-c", IMPORTED_LATER) == "equal\n"


BESIDE_THREADS = """
import os
import threading
import numpy as np
import difffilter as df

image = np.random.default_rng(0).random((200, 200), np.float32)

def filtered():
    return df.denoise(image, sigma=0.1, method="ddpm")

def in_child():
    child = os.fork()
    if child == 0:
        os._exit(not np.array_equal(filtered(), expected))
    return os.waitpid(child, 0)[1]

def for_ever():
    while True:
        filtered()

expected = filtered()
for _ in range(10):
    thread = threading.Thread(target=filtered)
    thread.start()
    thread.join()
    assert in_child() == 0
threading.Thread(target=for_ever, daemon=True).start()
for _ in range(10):
    assert in_child() == 0
print("equal", flush=True)
os._exit(0)  # without waiting for the thread
"""


def test_forked_while_threads_apply_the_network_or_end():
    assert run("-c", BESIDE_THREADS) == "equal\n"


BESIDE_A_COMPILATION = """
import os
import threading
import numba
import numpy as np
import difffilter as df

class Slow(numba.core.compiler.CompilerBase):
    def define_pipelines(self):
        started.set()
        return numba.core.compiler.DefaultPassBuilder.define_nopython_pipeline(self.state),

started = threading.Event()
image = np.eye(50)
slow = numba.njit(pipeline_class=Slow)(lambda x: np.linalg.eigh(x)[0] + np.linalg.svd(x)[1])
df.tv_flow(image, time=0.01)  # imports
thread = threading.Thread(target=slow, args=(image,))
thread.start()
started.wait()
child = os.fork()
if child == 0:
    os._exit(numba.njit(lambda x: x + 1)(1) != 2)
assert os.waitpid(child, 0)[1] == 0
print("compiled")
"""


def test_forked_while_a_thread_compiles():
    assert run("-c", BESIDE_A_COMPILATION) == "compiled\n"


SMALL_IMAGES = """
import os
import numpy as np
import difffilter as df
from difffilter.pde.kernels import threads

def running():
    return len(os.listdir("/proc/self/task"))

threads.free_cores = lambda: 2
rng = np.random.default_rng(0)
df.perona_malik(rng.random((8, 8)), 1.0, kappa=0.1)  # what starts with the libraries
before = running()
for shape, channel_axis in [((96, 96), None), ((64, 64, 3), -1)]:
    image = rng.random(shape)
    for method in ("heat", "auto", "edge_enhancing", "perona_malik", "tv_flow"):
        chosen = df.estimate_parameters(image, 0.1, method, channel_axis=channel_axis)
        chosen.method(image, channel_axis=channel_axis)
        df.denoise(image, 0.1, method, channel_axis=channel_axis)
        assert running() == before, (shape, method)
df.tv_flow(rng.random((150, 150)), time=0.01)
assert running() > before
print("no threads")
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_small_images_start_no_threads():
    assert run("-c", SMALL_IMAGES, NUMBA_THREADING_LAYER="omp") == "no threads\n"


def test_a_small_image_leaves_the_number_of_threads_as_it_was(set_threads):
    most = numba.config.NUMBA_NUM_THREADS
    set_threads(most)
    seen = []

    def stop(time, u):
        seen.append(numba.get_num_threads())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        df.heat(np.eye(9), time=1.0, scheme="explicit", callback=stop)
    assert (seen, numba.get_num_threads()) == ([1], most)


# --- cores ----------------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch):
    """What was found out before does not count."""
    monkeypatch.setattr(parallel, "_found", 8)
    monkeypatch.setattr(parallel, "_until", 0.0)
    monkeypatch.setattr(parallel, "_doubted", False)
    monkeypatch.setattr(parallel, "_awake", (0.0, 1))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(parallel, "cores", lambda: 8)


def looked_at_twice():
    """The number of free cores after two looks."""
    parallel.free_cores()
    time.sleep(2 * parallel.AGAIN)
    return parallel.free_cores()


@pytest.fixture
def running(monkeypatch, tmp_path):
    """A way to set how many threads run on the machine."""
    file = tmp_path / "loadavg"
    monkeypatch.setattr(parallel, "LOAD", str(file))
    return lambda count: file.write_text(f"0.5 0.4 0.3 {count}/123 4567\n")


@pytest.mark.parametrize(("count", "free"), [(1, 8), (3, 6), (8, 1), (50, 1)])
def test_cores_in_use_are_not_free(fresh, running, count, free):
    running(count)
    assert looked_at_twice() == free
    running(1)
    time.sleep(2 * parallel.HOLDS)
    assert parallel.free_cores() == 8


def test_own_threads_that_are_still_awake_do_not_count(fresh, running):
    running(8)
    parallel.awake(8)
    assert looked_at_twice() == 8


def test_what_lasts_a_moment_does_not_count(fresh, running):
    running(4)
    assert parallel.free_cores() == 8
    running(1)
    assert looked_at_twice() == 8


@pytest.mark.parametrize("text", ["", "nonsense", "0 0 0 x/y 1"])
def test_all_cores_where_the_system_does_not_say(fresh, running, text):
    running(1)
    Path(parallel.LOAD).write_text(text)
    assert looked_at_twice() == 8


@pytest.mark.parametrize(
    ("text", "quota"), [("200000 100000", 2), ("50000 100000", 1), ("max 100000", float("inf"))]
)
def test_a_quota_counts_as_cores(monkeypatch, tmp_path, text, quota):
    (tmp_path / "cpu.max").write_text(text)
    monkeypatch.setattr(parallel, "QUOTA", str(tmp_path / "cpu.max"))
    assert parallel._quota.__wrapped__() == quota
