"""Provoked faults in real processes: kills, interrupts, a full disk, little memory, no permission.

Each function provokes one fault, checks that no incomplete file passes for complete and that a second
run finishes the job, and returns the number of cases. Run by ``make faults`` and, with few cases, by
the tests.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from fault_scenes import METHOD, REAL, SCENES, Bench, Folder, Huge, Train
from PIL import Image

__all__ = ["FAULTS"]

FAULTS = []


def fault(how, where):
    """Register a function: the fault it provokes, and the command it does so in."""

    def enter(function):
        FAULTS.append((how, where, function))
        return function

    return enter


def until(process, condition):
    """Wait until a condition holds or the process ends."""
    while process.poll() is None and not condition():
        time.sleep(0.005)


def error_output(process):
    """Wait for the end of a process, and return its error output, free of tracebacks."""
    _, error = process.communicate(timeout=300)
    assert "Traceback" not in error, error
    return error


def stopped_by(how, scene, after):
    """Send a signal once `after` results have begun; returns the exit code and the error output."""
    process = scene.start()
    until(process, lambda: scene.begun() >= after)
    if process.poll() is None:
        os.killpg(process.pid, how)
    error = error_output(process)
    scene.check()
    return process.returncode, error


def killed(scene_of):
    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            stopped_by(signal.SIGKILL, scene, case % 4)
            scene.finish()
        return cases

    return provoke


def interrupted(scene_of):
    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            code, error = stopped_by(signal.SIGINT, scene, 1 + case % 3)
            if not scene.whole():
                assert code == 130, (code, error)
                assert error.strip().endswith("interrupted; finished work is kept"), error
            scene.finish()
        return cases

    return provoke


def signalled(scene_of, number):
    """A signal at a moment that depends on nothing but time; Ctrl-C goes to the workers, too."""
    message = "interrupted" if number == signal.SIGINT else "terminated"

    def provoke(folder, cases):
        scene = scene_of(folder)
        start = time.monotonic()
        scene.finish()
        seconds = time.monotonic() - start
        for case in range(cases):
            scene = scene_of(folder)
            process, start = scene.start(), time.monotonic()
            moment = start + seconds * (case + 1) / (cases + 1)
            until(process, lambda moment=moment: time.monotonic() >= moment)
            if process.poll() is None:
                (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
            error = error_output(process)  # which ends when no worker holds it open any more
            # While Python itself starts or ends, signals do as they usually do; and it ends itself
            # by SIGINT if KeyboardInterrupt has come out of an exec(), as of dataclasses.
            if process.returncode in (-number, -signal.SIGINT):
                assert "error" not in error, error
            elif process.returncode:
                assert process.returncode == 128 + number, (process.returncode, error)
                assert error.endswith(f"{message}; finished work is kept\n"), error
            scene.check()
            scene.finish()
        return cases

    return provoke


def limited(kind, most):
    """A function for Popen that limits a resource of the process."""
    return lambda: resource.setrlimit(kind, (most, most))


def disk_full(scene_of):
    """The size of files is limited."""

    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            most = (700, 3000, 9000, 200_000)[case % 4]
            # The limit must not affect Python's bytecode (versions below 3.12.8 load truncated
            # files) or the data of coverage.py.
            environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
            process = scene.start(preexec_fn=limited(resource.RLIMIT_FSIZE, most), env=environment)
            error = error_output(process)
            scene.check()
            if process.returncode:
                assert process.returncode in (1, 2), (process.returncode, error)
                assert "file too large" in error.lower() or "cannot write" in error, error
            scene.finish()
        return cases

    return provoke


def read_only(scene_of):
    def provoke(folder, cases):
        before = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
        scene = scene_of(folder)
        for path in (scene.folder, scene.folder / "out"):
            path.mkdir(exist_ok=True)
            path.chmod(0o555)
        process = scene.start(before=before if os.geteuid() == 0 else [])
        error = error_output(process)
        for path in (scene.folder, scene.folder / "out"):
            path.chmod(0o755)
        assert process.returncode in (1, 2), (process.returncode, error)
        assert "permission denied" in error.lower(), error
        assert not scene.begun()
        scene.finish()
        return 1

    return provoke


def no_space(scene_of):
    """The output is on a separate file system with few bytes left."""

    def provoke(folder, cases):
        for case in range(cases):
            Path(folder).mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=True)
            try:
                scene = scene_of(Path(folder) / "scene")
                left = shutil.disk_usage(folder).free
                filler = Path(folder) / "filler"
                with open(filler, "wb") as file:
                    file.write(bytes(left - (0, 8192, 40960)[case % 3]))
                process = scene.start()
                error = error_output(process)
                filler.unlink()
                scene.check()
                if process.returncode:
                    assert process.returncode in (1, 2), (process.returncode, error)
                    lower = error.lower()
                    assert "no space left" in lower or " left; " in lower, error
                scene.finish()
            finally:
                subprocess.run(["umount", folder], check=True)
        return cases

    return provoke


@fault("too little memory (a limit on the address space)", Huge.name)
def too_little_memory(folder, cases):
    """Memory limits from a little more than a small picture needs up to enough for any."""
    scene = Huge(folder)
    Image.fromarray(scene.pixels[0][:50, :50]).save(scene.folder / "small.png")
    code = (
        "import resource, sys; from difffilter.cli import main\n"
        f"try: main(['smooth', 'small.png', '-m', {METHOD!r}, '--overwrite'])\n"
        "except SystemExit: pass\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmPeak')).split()[1])"
    )
    environment = os.environ | {"NUMBA_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", code], cwd=scene.folder, check=True,
                            capture_output=True, text=True, env=environment)  # fmt: skip
    enough = int(result.stdout.split()[-1]) << 10
    failed = 0
    for case in range(cases):
        most = enough + (5 + 30 * case) * (1 << 20)
        process = scene.start(preexec_fn=limited(resource.RLIMIT_AS, most), env=environment)
        error = error_output(process)
        if process.returncode:
            failed += 1
            assert process.returncode == 2, (process.returncode, error)
            assert "memory" in error.lower(), error
            assert not scene.whole()
        scene.check()
        (scene.folder / "0.png").unlink(missing_ok=True)
    assert failed
    scene.finish()
    return cases


HUNGRY = """\
import os
import difffilter as df
import numpy as np

class Slowly(df.Denoiser):
    def halo(self, axes):
        return (0,) * axes

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        with open(os.path.join(os.path.dirname(__file__), "calls"), "a") as calls:
            calls.write(".")
            if calls.tell() > int(os.environ.get("HUNGRY_FROM", 10**9)):
                np.ones(1 << 31, np.uint8)
        return noisy if noisy.dtype.kind == "f" else noisy / 255

    def __repr__(self):
        return "Slowly()"
"""


def hungry(scene_of):
    """After some calls, a method runs out of memory."""

    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            (scene.folder / "slowly.py").write_text(HUNGRY)
            process = scene.start(
                preexec_fn=limited(resource.RLIMIT_AS, 3 << 29),
                env=os.environ | {"HUNGRY_FROM": str(1 + case % 4), "NUMBA_NUM_THREADS": "1",
                                  "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
            error = error_output(process)
            assert process.returncode in (1, 2), (process.returncode, error)
            assert "memory" in error or "calls failed" in error, error
            scene.check()
            scene.retry = True
            scene.finish()
        return cases

    return provoke


def training_in_little_memory(folder, cases):
    """The memory limit is some megabytes below the needs of training."""
    code = (
        "from difffilter.cli import main\n"
        "try: main(['train', 'in', '-o', 'peak', '--steps', '3'])\n"
        "except SystemExit: pass\n"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmPeak')).split()[1])"
    )
    scene = Train(folder)
    result = subprocess.run([sys.executable, "-c", code], cwd=scene.folder, check=True,
                            capture_output=True, text=True)  # fmt: skip
    enough, failed = int(result.stdout.split()[-1]) << 10, 0
    for case in range(cases):
        scene = Train(folder)
        most = enough - (20 + 20 * case) * (1 << 20)
        process = scene.start(preexec_fn=limited(resource.RLIMIT_AS, most))
        error = error_output(process)
        if process.returncode:
            failed += 1
            assert process.returncode == 2, (process.returncode, error)
            assert "memory" in error.lower(), error
        scene.check()
        scene.finish()
    assert failed
    return cases


MEMORY = "too little memory (a limit on the address space)"
for scene in SCENES[:-1]:
    fault(MEMORY, scene.name)(hungry(scene))
fault(MEMORY, Train.name)(training_in_little_memory)
for scene in SCENES:
    fault("SIGKILL to the process", scene.name)(killed(scene))
for scene in SCENES:
    fault("Ctrl-C", scene.name)(interrupted(scene))
for number in (signal.SIGINT, signal.SIGTERM):
    for scene in REAL:
        fault(f"{number.name} at any moment", scene.name)(signalled(scene, number))
for scene in SCENES:
    fault("disk full (a limit on what a file may hold)", scene.name)(disk_full(scene))


def lost(scene_of):
    """One of two worker processes is killed."""

    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            scene.jobs = ["--jobs", "2"]
            process = scene.start()
            until(process, lambda s=scene, c=case: s.begun() > c % 3)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            workers = [
                int(pid) for pid in children
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]  # fmt: skip
            if workers:
                os.kill(workers[case % len(workers)], signal.SIGKILL)
            error = error_output(process)
            scene.check()
            if process.returncode:
                assert process.returncode == 2, (process.returncode, error)
                assert "a worker process died" in error, error
            scene.finish()
        return cases

    return provoke


def lost_from_cluster(scene_of):
    """One of two workers of a dask cluster is killed."""

    def provoke(folder, cases):
        import distributed

        scene = scene_of(folder)
        path = sys.path[:]
        sys.path.insert(0, str(scene.folder))  # which the workers inherit
        try:
            for case in range(cases):
                scene = scene_of(folder)
                with distributed.LocalCluster(
                    n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
                ) as cluster:
                    scene.jobs = ["--scheduler", cluster.scheduler_address]
                    process = scene.start()
                    until(process, lambda s=scene, c=case: s.begun() > c % 3)
                    if process.poll() is None:
                        os.kill(list(cluster.workers.values())[case % 2].pid, signal.SIGKILL)
                    error = error_output(process)
                    assert process.returncode == 0, error
                scene.check()
                assert scene.whole(), "something is left undone"
        finally:
            sys.path[:] = path
        return cases

    return provoke


for scene in SCENES[:-1]:
    fault("SIGKILL to one of two dask workers", f"{scene.name} with --scheduler")(
        lost_from_cluster(scene)
    )
for scene in (Folder, Bench):
    fault("SIGKILL to one of two worker processes", f"{scene.name} with --jobs 2")(lost(scene))
if hasattr(os, "geteuid") and os.geteuid() == 0:  # may mount a file system
    for scene in SCENES:
        fault("no space left (a small file system)", scene.name)(no_space(scene))
for scene in SCENES:
    fault("a folder that may not be written in", scene.name)(read_only(scene))
