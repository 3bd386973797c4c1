"""Faults provoked on purpose, in real processes: killed, interrupted, no disk, no memory, no rights.

Each function provokes one fault, checks that nothing half-written passes for whole and that a
second run finishes the job, and returns in how many cases. Run by ``make faults`` and, with few
cases, by the tests.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

__all__ = ["FAULTS"]

FAULTS = []

SIDE = 96

# A Denoiser that takes its time, so that there is a middle to interrupt.
SLOWLY = """\
import time
import difffilter as df

class Slowly(df.Denoiser):
    def halo(self, axes):
        return (0,) * axes

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        time.sleep(0.03)
        return noisy if noisy.dtype.kind == "f" else noisy / 255

    def __repr__(self):
        return "Slowly()"
"""

STUDY = """\
images = "in"
sigmas = [0.1, 0.2]
metrics = ["psnr"]
denoisers = ["slowly:Slowly"]
examples = 1
"""


def fault(how, where):
    """Enter a function into the list: how the fault is provoked, and in which command."""

    def enter(function):
        FAULTS.append((how, where, function))
        return function

    return enter


# --- the commands ---------------------------------------------------------------------------


class Scene:
    """A folder with something to do, the command that does it, and a check of what it left."""

    jobs = ()
    retry = False

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        (self.folder / "in").mkdir(parents=True)
        (self.folder / "slowly.py").write_text(SLOWLY)
        rng = np.random.default_rng(0)
        self.pixels = [rng.integers(0, 256, (SIDE, SIDE), np.uint8) for _ in range(6)]
        for k, pixels in enumerate(self.pixels):
            Image.fromarray(pixels).save(self.folder / f"in/{k}.png")
        self.prepare()

    def prepare(self):
        pass

    def start(self, again=False, before=(), **options):
        """The process, with pipes."""
        command = [*before, sys.executable, "-m", "difffilter", *self.command(again)]
        return subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, **options,
        )  # fmt: skip

    def finish(self):
        """Run again, without faults, and check the result."""
        if self.whole():
            self.check()
            return
        process = self.start(again=True)
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        self.check()
        assert self.whole(), "the second run left something undone"


class Folder(Scene):
    """``smooth`` on a folder."""

    name = "smooth, a folder"

    def command(self, again):
        return ["smooth", "in", "-o", "out", "-m", "slowly:Slowly", "--sigma", "0.1", "--resume",
                *self.jobs]  # fmt: skip

    def begun(self):
        return len(list(self.folder.glob("out/[!.]*.png")))

    def check(self):
        for path in self.folder.glob("out/[!.]*.png"):
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), self.pixels[int(path.stem)])

    def whole(self):
        return self.begun() == 6


class Blocks(Scene):
    """``smooth`` on one large file, by blocks."""

    suffix = ".tif"
    name = "smooth by blocks, TIFF"

    def prepare(self):
        self.large = np.tile(self.pixels[0], (3, 3))
        tifffile.imwrite(self.folder / "in.tif", self.large)

    def command(self, again):
        return ["smooth", "in.tif", "-o", f"result{self.suffix}", "-m", "slowly:Slowly",
                "--sigma", "0.1", "--block", "32", *self.jobs]  # fmt: skip

    def begun(self):
        journal = self.folder / f"result{self.suffix}.journal"
        return journal.read_bytes().count(b"\n") // 4 if journal.exists() else 0

    def check(self):
        if self.whole():
            from difffilter.io.arrays import open_array

            array = open_array(self.folder / f"result{self.suffix}")
            read = array.read((slice(0, 3 * SIDE),) * 2)
            array.close()
            np.testing.assert_array_equal(read, self.large)

    def whole(self):
        return (self.folder / f"result{self.suffix}").exists()


class ZarrBlocks(Blocks):
    suffix = ".zarr"
    name = "smooth by blocks, Zarr"


class Hdf5Blocks(Blocks):
    suffix = ".h5"
    name = "smooth by blocks, HDF5"


class Bench(Scene):
    name = "bench"

    def prepare(self):
        (self.folder / "study.toml").write_text(STUDY)

    def command(self, again):
        return ["bench", "study.toml", "-o", "out", *self.jobs, *["--retry"][: self.retry]]

    def begun(self):
        rows = self.folder / "out/rows.csv"
        return (rows.read_bytes().count(b"\n") - 1) // 2 if rows.exists() else 0

    def check(self):
        from difffilter.benchmark.rows import read_rows

        if self.whole():
            rows = read_rows(self.folder / "out/rows.csv")
            assert len(set(rows)) == len(rows) == 24
            assert not any(row.metric == "error" for row in rows)

    def whole(self):
        rows = self.folder / "out/rows.csv"
        return self.begun() == 12 and b",error," not in rows.read_bytes()


class Train(Scene):
    name = "train"

    def command(self, again):
        # Resuming needs a checkpoint; before the first there is nothing to resume.
        resume = ["--resume"] if (self.folder / "out/checkpoint.safetensors").exists() else []
        return ["train", "in", "-o", "out", "--steps", "3", *resume]

    def begun(self):
        log = self.folder / "out/log.jsonl"
        return 3 * log.exists()

    def check(self):
        from difffilter.ddpm import weights

        if (self.folder / "out/weights.safetensors").exists():
            weights.load(self.folder / "out/weights.safetensors")

    def whole(self):
        log = self.folder / "out/log.jsonl"
        steps = [json.loads(line).get("loss") and json.loads(line)["step"]
                 for line in log.read_text().splitlines()] if log.exists() else []  # fmt: skip
        return [s for s in steps if s] == [1, 2, 3]


SCENES = (Folder, Blocks, ZarrBlocks, Hdf5Blocks, Bench, Train)


# --- the faults -----------------------------------------------------------------------------


def until(process, condition):
    """Wait until something holds, or the process is over."""
    while process.poll() is None and not condition():
        time.sleep(0.005)


def told(process):
    """The end of a process: its error output, in which there is no traceback."""
    _, error = process.communicate(timeout=300)
    assert "Traceback" not in error, error
    return error


def stopped_by(how, scene, after):
    """Send a signal when so much is done; returns what the process said."""
    process = scene.start()
    until(process, lambda: scene.begun() >= after)
    if process.poll() is None:
        os.killpg(process.pid, how)
    error = told(process)
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


def limited(kind, most):
    """For Popen: a limit on what the process may use."""
    return lambda: resource.setrlimit(kind, (most, most))


def disk_full(scene_of):
    """No file may grow beyond some size, whichever is being written when it is reached."""

    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            most = (700, 3000, 9000, 200_000)[case % 4]
            # Neither Python's bytecode, which versions below 3.12.8 take for whole when it was cut
            # off, nor the data of coverage.py, where that runs.
            environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
            process = scene.start(preexec_fn=limited(resource.RLIMIT_FSIZE, most), env=environment)
            error = told(process)
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
        error = told(process)
        for path in (scene.folder, scene.folder / "out"):
            path.chmod(0o755)
        assert process.returncode in (1, 2), (process.returncode, error)
        assert "permission denied" in error.lower(), error
        assert not scene.begun()
        scene.finish()
        return 1

    return provoke


def no_space(scene_of):
    """A file system of its own, which has only so many bytes left."""

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
                error = told(process)
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


class Huge(Folder):
    """``smooth`` on a picture that takes some hundred megabytes."""

    name = "smooth, a large picture"

    def prepare(self):
        shutil.rmtree(self.folder / "in")
        (self.folder / "in").mkdir()
        pixels = np.tile(self.pixels[0], (36, 36))
        Image.fromarray(pixels).save(self.folder / "in/0.png", compress_level=1)
        self.pixels = [pixels]

    def command(self, again):
        return ["smooth", "in/0.png", "-o", "0.png", "-m", METHOD]

    def whole(self):
        return (self.folder / "0.png").exists()

    def check(self):
        if self.whole():
            with Image.open(self.folder / "0.png") as image:
                assert image.size == self.pixels[0].shape


METHOD = "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0, step=0.2)"


@fault("too little memory (a limit on the address space)", Huge.name)
def too_little_memory(folder, cases):
    """From a little more than what a small picture takes up to what suffices."""
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
        error = told(process)
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
    """From some call on a method wants more memory than there is."""

    def provoke(folder, cases):
        for case in range(cases):
            scene = scene_of(folder)
            (scene.folder / "slowly.py").write_text(HUNGRY)
            process = scene.start(
                preexec_fn=limited(resource.RLIMIT_AS, 3 << 29),
                env=os.environ | {"HUNGRY_FROM": str(1 + case % 4), "NUMBA_NUM_THREADS": "1",
                                  "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
            error = told(process)
            assert process.returncode in (1, 2), (process.returncode, error)
            assert "memory" in error or "calls failed" in error, error
            scene.check()
            scene.retry = True
            scene.finish()
        return cases

    return provoke


def training_in_little_memory(folder, cases):
    """Some megabytes less than what two steps of training take."""
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
        error = told(process)
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
for scene in SCENES:
    fault("disk full (a limit on what a file may hold)", scene.name)(disk_full(scene))


def lost(scene_of):
    """Of two processes that do the work one is killed."""

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
            error = told(process)
            scene.check()
            if process.returncode:
                assert process.returncode == 2, (process.returncode, error)
                assert "a worker process died" in error, error
            scene.finish()
        return cases

    return provoke


def lost_from_cluster(scene_of):
    """Of two workers of a dask cluster one is killed."""

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
                    error = told(process)
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
if hasattr(os, "geteuid") and os.geteuid() == 0:  # who may mount a file system
    for scene in SCENES:
        fault("no space left (a small file system)", scene.name)(no_space(scene))
for scene in SCENES:
    fault("a folder that may not be written in", scene.name)(read_only(scene))
