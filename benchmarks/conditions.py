"""Conditions in which commands and filters must work or refuse: environments, folders, kinds of files.

Each function makes one condition, most of them in real processes, checks the result, and returns the
number of cases. Run by ``make faults`` and, with few cases, by the tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from skimage import data

import difffilter as df

__all__ = ["CONDITIONS"]

PACKAGE = Path(df.__file__).parent
CONDITIONS = []


# A first run says so.
COMPILING = "compiling for this machine; this happens once ...\n"


def condition(what, before=""):
    """Register a function: the condition, and what happened in it before that was mended."""

    def enter(function):
        CONDITIONS.append((what, before, function))
        return function

    return enter


def process(folder, arguments, *, before=(), code=None, environment=None):
    """Run a command of difffilter, or code; returns its exit code, output and error output."""
    what = ["-c", code] if code else ["-m", "difffilter"]
    done = subprocess.run(
        [*before, sys.executable, *what, *arguments], cwd=folder, capture_output=True, text=True,
        timeout=300, env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def smoothed(folder, *arguments, **options):
    """Run ``smooth`` and expect success without a word."""
    code, _, error = process(folder, ["smooth", *arguments], **options)
    error = error.replace(COMPILING, "")
    assert (code, error) == (0, ""), (code, error)


def fresh(folder):
    """The folder, emptied."""
    folder = Path(folder)
    if folder.exists():
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def noisy(side, seed=0):
    """Part of a photograph with noise, 8 bits."""
    start = 40 * (seed % 8)
    part = data.camera()[start : start + side, 100 : 100 + side] / 255
    rng = np.random.default_rng(seed)
    return np.uint8(np.clip(255 * (part + rng.normal(0, 0.05, part.shape)), 0, 255).round())


# --- processes and threads -------------------------------------------------------------------

LOOP = """\
import numpy as np, sys
import difffilter as df
method, image = df.make(sys.argv[1]), np.random.default_rng(0).random((96, 96), np.float32)
method(image, 0.1)
print("ready", flush=True)
while True:
    method(image, 0.1)
"""


@condition("Ctrl-C while a filter is at work, every PDE",
           "`SystemError: ... returned a result with an exception set`, now and then")  # fmt: skip
def interrupted(folder, cases):
    rng = np.random.default_rng(0)
    names = [name for name in df.methods() if name != "ddpm"]
    for name in names:
        for _ in range(max(1, cases // 3)):
            running = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-c", LOOP, name], stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert running.stdout.readline() == "ready\n", running.stderr.read()
            time.sleep(rng.uniform(0.001, 0.05))
            running.send_signal(signal.SIGINT)
            try:
                _, error = running.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                running.send_signal(signal.SIGABRT)  # which has it say where it is
                error = "not ended by Ctrl-C\n" + running.communicate()[1]
            assert error.strip().endswith("KeyboardInterrupt"), (name, error)
            assert "SystemError" not in error, (name, error)
    return len(names) * max(1, cases // 3)


THREADS = """\
import threading
import numpy as np
import difffilter as df
methods = [df.make(text) for text in (
    "perona_malik(kappa=0.1, time=1, diffusivity='rational', presmooth=0, step=0.2)",
    "edge_enhancing(kappa=0.1, time=1, presmooth=0.5, alpha=0.027)",
)]
image = np.random.default_rng(0).random((300, 300), np.float32)
expected = [method(image) for method in methods]
wrong = []

def work():
    for _ in range(10):
        for method, right in zip(methods, expected):
            if not np.array_equal(method(image), right):
                wrong.append(method)

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("right" if not wrong else wrong)
"""


@condition("four threads that filter at once, on Numba's layer \"workqueue\"",
           "the process was aborted: \"concurrent access has been detected\"")  # fmt: skip
def threads(folder, cases):
    environment = os.environ | {"NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    for _ in range(max(1, cases // 3)):
        found = process(fresh(folder), [], code=THREADS, environment=environment)
        assert found == (0, "right\n", ""), found
    return max(1, cases // 3)


@condition("SIGTERM to `smooth --jobs 2`: no process is left")
def orphans(folder, cases):
    for case in range(cases):
        folder = fresh(folder)
        (folder / "in").mkdir()
        for k in range(4):
            Image.fromarray(noisy(256, k)).save(folder / f"in/{k}.png")
        command = ["smooth", "in", "-o", "out", "--jobs", "2"]
        running = subprocess.Popen(
            [sys.executable, "-m", "difffilter", *command], cwd=folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            running.wait(1.5 + 0.4 * case)
        except subprocess.TimeoutExpired:
            running.terminate()
        _, error = running.communicate(timeout=60)  # until nobody holds the pipe open
        assert running.returncode in (0, 143, -signal.SIGTERM), (running.returncode, error)
        assert "Traceback" not in error, error
        assert not (left := members(running.pid)), left
    return cases


def members(group):
    """The commands of the processes of a group that are left after a second."""
    time.sleep(1)  # Python's tracker of resources ends by itself when the others have
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(stat.with_name("cmdline").read_text().replace("\0", " "))
    return found


# --- the environment -------------------------------------------------------------------------

ANY = "curvature_motion(time=1)"


def written_nowhere(folder):
    """A copy of the package that cannot be written to, and the start of a command without rights."""
    copy = folder / "copy"
    shutil.copytree(
        PACKAGE, copy / "difffilter", ignore=shutil.ignore_patterns("__pycache__", "weights")
    )
    for path in [copy, *copy.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555)
    drop = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]
    return copy, drop if os.geteuid() == 0 else []


def without_home(folder, unset):
    """Smooth an image with a package and a home that cannot be written to; the error output."""
    folder = fresh(folder)
    Image.fromarray(noisy(48)).save(folder / "photo.png")
    (folder / "tmp").mkdir()
    copy, before = written_nowhere(folder)
    leave = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME")
    environment = {key: value for key, value in os.environ.items() if key not in leave}
    environment |= {"PYTHONPATH": str(copy), "TMPDIR": str(folder / "tmp")}
    if not unset:
        environment["HOME"] = str(copy)
    code, _, error = process(
        folder, ["smooth", "photo.png", "-m", ANY], before=before, environment=environment
    )
    assert code == 0, error
    assert (folder / "photo_smooth.png").exists()
    fresh(folder)
    return error


@condition("a home that cannot be written to, nor can the package",
           "`RuntimeError: cannot cache function`, with a traceback")  # fmt: skip
def read_only_home(folder, cases):
    error = without_home(Path(folder), unset=False)
    assert error in ("", COMPILING), error
    return 1


@condition("no home, and a package that cannot be written to")
def no_home(folder, cases):
    error = without_home(Path(folder), unset=True)
    assert error in ("", COMPILING), error
    return 1


@condition("`NUMBA_DISABLE_JIT=1`")
def interpreted(folder, cases):
    folder = fresh(folder)
    Image.fromarray(noisy(24)).save(folder / "photo.png")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    names = ("perona_malik", "edge_enhancing", "tv_flow", "auto")[: max(1, min(cases, 4))]
    for name in names:
        options = ("photo.png", "--overwrite", "-m", name, "--sigma", "0.05")
        code, _, error = process(folder, ["smooth", *options, "-o", "out.png"],
                                 environment=environment)  # fmt: skip
        assert code == 0, error
        assert "Traceback" not in error, error
        smoothed(folder, *options, "-o", "usual.png")
        ours, usual = (np.asarray(Image.open(folder / f"{n}.png"), int) for n in ("out", "usual"))
        assert abs(ours - usual).max() <= 1, name
    return len(names)


# --- folders and files -----------------------------------------------------------------------


@condition("a folder with one image",
           "refused: the folder for the results was taken for a file")  # fmt: skip
def one_image(folder, cases):
    folder = fresh(folder)
    (folder / "in").mkdir()
    Image.fromarray(noisy(48)).save(folder / "in/photo.png")
    smoothed(folder, "in", "-o", "out", "-m", ANY)
    assert [path.name for path in (folder / "out").iterdir()] == ["photo.png"]
    return 1


@condition("a TIFF file in which 0 is white (MinIsWhite)",
           "read as a negative, and written as one in which 0 is black")  # fmt: skip
def min_is_white(folder, cases):
    folder, pixels = fresh(folder), noisy(48)
    tifffile.imwrite(folder / "black.tif", pixels)
    tifffile.imwrite(folder / "white.tif", 255 - pixels, photometric="miniswhite")
    for name in ("black", "white"):
        smoothed(folder, f"{name}.tif", "-o", f"{name}-out.tif", "-m", "srad(q0=0.1, time=1)")
    with tifffile.TiffFile(folder / "white-out.tif") as file:
        assert file.pages[0].photometric.name == "MINISWHITE"
        white = file.asarray()
    black = tifffile.imread(folder / "black-out.tif")
    assert (black != pixels).any()
    np.testing.assert_array_equal(255 - white, black)
    return 1


@condition("a TIFF file of truth values", "packed bits were refused")
def bilevel(folder, cases):
    folder, pixels = fresh(folder), noisy(48) > 127
    for name in ("minisblack", "miniswhite"):
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric=name)
        smoothed(folder, f"{name}.tif", "-o", f"{name}-out.tif", "-m", ANY)
        with tifffile.TiffFile(folder / f"{name}-out.tif") as file:
            page = file.pages[0]
            assert (page.bitspersample, page.photometric.name) == (1, name.upper())
            assert (page.asarray() == pixels).mean() > 0.8
    return 2


@condition("a masked array, which filters take and other functions refuse",
           "the mask was dropped, and what it hides was smoothed into the rest")  # fmt: skip
def masked(folder, cases):
    image = np.ma.masked_greater(noisy(24) / 255, 0.7)
    seen = ~np.ma.getmaskarray(image)
    result = df.curvature_motion(image, 1)
    np.testing.assert_array_equal(result, df.curvature_motion(image.data, 1, mask=seen))
    np.testing.assert_array_equal(result[~seen], image.data[~seen])
    calls = (df.denoise, df.estimate_parameters, df.estimate_sigma, df.add_noise)
    for call in calls:
        try:
            call(image, 0.1) if call is df.add_noise else call(image)
        except (TypeError, ValueError) as error:
            assert "masked" in str(error), error  # noqa: PT017
        else:
            raise AssertionError(f"{call.__name__} took it")
    return 1 + len(calls)
