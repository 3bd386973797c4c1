"""Worker processes: their share of the cores, and how they end."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from difffilter.workers import pool

# Makes a file, works for a while, and removes the file whatever happens.
TASK = """
import time
from multiprocessing.context import SpawnProcess
from pathlib import Path

Path(file).touch()
try:
    for _ in range(seconds * 100):
        time.sleep(0.01)
finally:
    Path(file).unlink()
"""

KILLED = f"""
import os
from difffilter.workers import pool

if __name__ == "__main__":
    with pool(2) as executor:
        for file in ("one", "other"):
            executor.submit(exec, {TASK!r}, {{"file": file, "seconds": 100}})
        while len(os.listdir()) < 2:
            pass
        print(*executor._processes, flush=True)
"""


def until(condition, seconds=20):
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_pool_shares_the_cores(monkeypatch):
    monkeypatch.setattr("difffilter.workers.cores", lambda: 6)
    with pool(3) as executor:
        assert executor.submit(os.getenv, "NUMBA_NUM_THREADS").result(60) == "2"
    assert multiprocessing.active_children() == []


def test_an_exception_ends_the_workers_and_their_tasks_clean_up(tmp_path):
    files = [tmp_path / "one", tmp_path / "other"]
    with pytest.raises(ZeroDivisionError), pool(2) as executor:  # noqa: PT012
        futures = [
            executor.submit(exec, TASK, {"file": str(file), "seconds": 100}) for file in files
        ]
        assert until(lambda: all(file.exists() for file in files))
        start = time.monotonic()
        1 / 0  # noqa: B018
    assert time.monotonic() - start < 4
    assert all(future.done() for future in futures)
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_process_that_is_killed(tmp_path, number, background):
    ignored = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if background else None
    process = subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               preexec_fn=ignored)  # fmt: skip
    with process:
        pids = process.stdout.readline().split()
        process.send_signal(number)
    assert len(pids) == 2
    assert until(lambda: not any(runs(pid) for pid in pids))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signals")
def test_workers_leave_ctrl_c_to_their_pool(tmp_path):
    file = tmp_path / "file"
    with pool(1) as executor:
        pid = executor.submit(os.getpid).result(60)
        future = executor.submit(exec, TASK, {"file": str(file), "seconds": 1})
        assert until(file.exists)
        os.kill(pid, signal.SIGINT)
        assert future.result(60) is None


def test_a_signal_waits_until_a_worker_is_started(monkeypatch):
    """Else its interpreter would wait for what to do, and report that nothing came."""

    def start(process):
        signal.raise_signal(signal.SIGINT)
        original(process)
        happened.append("started")

    original, happened = SpawnProcess.start, []
    monkeypatch.setattr(SpawnProcess, "start", start)
    with pytest.raises(KeyboardInterrupt), pool(1) as executor:
        executor.submit(os.getpid)
    assert happened == ["started"]
