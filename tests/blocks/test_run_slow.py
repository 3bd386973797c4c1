"""What takes minutes: an image that no memory here would hold, and a cluster that loses a worker."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
import tifffile

import difffilter as df
from difffilter.image import like
from difffilter.io.arrays import open_array
from difffilter.io.tiff import create_tiff
from difffilter.io.tiff_arrays import Raw

pytestmark = pytest.mark.slow

METHOD = "perona_malik(kappa=0.1, time=2, diffusivity='rational', presmooth=0, step=0.2)"


def noisy_file(path, side):
    """A 16-bit TIFF of bricks with noise, written band by band; as an array to read from."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 6500, (500, side)).astype(np.float32)
    offset = create_tiff(path, (side, side), np.dtype(np.uint16), "YX", {})
    raw = Raw(path, offset, (side, side), "<u2", "YX")
    x = np.arange(side)
    for top in range(0, side, 500):
        y = np.arange(top, top + 500)[:, None]
        bricks = ((x // 97) * 7 + (y // 61) * 13) % 11 * 3600 + 8000
        pixels = np.clip(bricks + np.roll(noise, 7 * top, axis=1), 0, 65535).astype(np.uint16)
        raw.write((slice(top, top + 500), slice(0, side)), pixels)
    return raw


def timed(*arguments, cwd):
    """Wall seconds and the most bytes of memory that a run of the command took."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "difffilter", *arguments], cwd=cwd)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def test_an_image_of_three_gigabytes(tmp_path):
    if shutil.disk_usage(tmp_path).free < 10e9:
        pytest.skip("needs 10 GB on the disk")
    side, small = 40_000, 8_000
    raw = noisy_file(tmp_path / "in.tif", side)
    noisy_file(tmp_path / "small.tif", small)
    per_pixel = []
    for again in range(2):
        seconds, _ = timed(
            "smooth", "small.tif", "-o", f"small{again}.tif", "-m", METHOD, cwd=tmp_path
        )
        per_pixel.append(seconds / small**2)
    seconds, memory = timed("smooth", "in.tif", "-o", "out.tif", "-m", METHOD, cwd=tmp_path)
    ratio = min(per_pixel) / (seconds / side**2)
    print(f"{seconds:.0f} s, {memory / 1e9:.2f} GB, {ratio:.2f} of the rate in memory")
    assert memory < 1.5e9
    assert ratio >= 0.7
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        out = Raw(tmp_path / "out.tif", file.series[0].dataoffset, (side, side), "<u2", "YX")
    for top, left in ((0, 0), (1700, 3500), (side - 900, side - 700), (20_000, 11_111)):
        rows, columns = (slice(a, min(a + 900, side)) for a in (top, left))
        crop = raw.read((rows, columns))
        expected = like(df.make(METHOD)(crop), crop)
        # Ten steps look ten pixels far.
        inner = tuple(
            slice(10 if s.start else 0, None if s.stop == side else -10) for s in (rows, columns)
        )
        np.testing.assert_array_equal(out.read((rows, columns))[inner], expected[inner])


def test_a_worker_is_killed(tmp_path, rng):
    """Two worker processes, of which one dies in the middle; files of all three kinds."""
    distributed = pytest.importorskip("distributed")
    zarr = pytest.importorskip("zarr")
    values = rng.random((512, 512), np.float32)
    zarr.create_array(str(tmp_path / "in.zarr"), data=values, chunks=(64, 64))
    (tmp_path / "slowly.py").write_text(
        "import time, difffilter as df\n"
        "class Slow(df.Denoiser):\n"
        "    def halo(self, axes):\n"
        "        return (20,) * axes\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        time.sleep(0.2)\n"
        "        return df.heat(noisy, 1.0)\n"
        "    def __repr__(self):\n"
        "        return 'Slow()'\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{tmp_path}"}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)  # which the workers inherit
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            silence_logs=50,
        ) as cluster:  # fmt: skip
            for suffix in (".zarr", ".tif", ".h5"):
                out = f"out{suffix}"
                command = ["smooth", "in.zarr", "-o", out, "-m", "slowly:Slow", "--sigma", "0.1",
                           "--block", "64", "--scheduler", cluster.scheduler_address]  # fmt: skip
                process = subprocess.Popen(
                    [sys.executable, "-m", "difffilter", *command],
                    cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                journal = tmp_path / f"{out}.journal"
                while not journal.exists() or journal.read_bytes().count(b"\n") < 20:
                    time.sleep(0.05)
                    assert process.poll() is None, process.stderr.read()
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
                error = process.communicate(timeout=300)[1]
                assert process.returncode == 0, error
                assert "Traceback" not in error
                assert not journal.exists()
                with closing(open_array(tmp_path / out)) as array:
                    result = array.read(np.s_[0:512, 0:512])
                np.testing.assert_allclose(result, df.heat(values, 1.0), atol=1e-6)


def test_a_worker_is_killed_during_a_study(tmp_path):
    """Two worker processes, of which one dies in the middle, and then the command: no row is lost."""
    distributed = pytest.importorskip("distributed")
    (tmp_path / "slowly.py").write_text(
        "import os, time\n"
        "class Slow:\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        time.sleep(0.1)\n"
        "        open(os.path.dirname(__file__) + '/calls', 'a').write('.')\n"
        "        return noisy / 2\n"
    )
    (tmp_path / "study.toml").write_text(
        'images = "skimage:camera"\ncrop = 48\nsigmas = [0.1]\nseeds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n'
        'metrics = ["psnr", "ssim"]\ndenoisers = ["slowly:Slow", "heat"]\n'
    )
    command = [sys.executable, "-m", "difffilter", "bench", "study.toml", "-o"]
    subprocess.run([*command, "here"], cwd=tmp_path, check=True, capture_output=True)
    expected = (tmp_path / "here/rows.csv").read_bytes()
    rows = tmp_path / "there/rows.csv"

    def started(cluster):
        return subprocess.Popen(
            [*command, "there", "--scheduler", cluster.scheduler_address],
            cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def wait_for(lines, process):
        while not rows.exists() or rows.read_bytes().count(b"\n") < lines:
            time.sleep(0.02)
            assert process.poll() is None, process.stderr.read()

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        process = started(cluster)
        wait_for(12, process)
        process.kill()
        process.communicate()
        done = rows.read_bytes()
        (tmp_path / "calls").unlink()
        process = started(cluster)
        wait_for(done.count(b"\n") + 8, process)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        error = process.communicate(timeout=300)[1]
    assert (process.returncode, "Traceback" in error) == (0, False), error
    assert rows.read_bytes() == expected
    kept = sum(b"slowly" in line and b"psnr" in line for line in done.splitlines())
    # What a killed worker had begun is done by the other, and each warms up.
    assert (tmp_path / "calls").stat().st_size <= 10 - kept + 2 + 3
