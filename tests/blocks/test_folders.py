"""Many files, some of which fail."""

import csv
import os

import numpy as np
import pytest
from command import invoke, run
from PIL import Image

DEADLY = (
    "import os, signal\n"
    "class Deadly:\n"
    "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
    "        if noisy.max() > 0.9:\n"
    "            os.kill(os.getpid(), signal.SIGKILL)\n"
    "        return noisy\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for k in range(4):
        Image.fromarray(np.full((8, 8), 20 * k, np.uint8)).save(tmp_path / f"in/{k}.png")
    (tmp_path / "in/bad.png").write_bytes((tmp_path / "in/0.png").read_bytes()[:40])
    (tmp_path / "in/empty, or not.png").touch()
    return tmp_path


def test_failures_come_last_and_are_written_down(folder):
    result = invoke("smooth", "in", "-o", "out", "-m", "heat(time=1)", "--report", "bad.csv",
                    cwd=folder)  # fmt: skip
    assert result.returncode == 1
    *errors, last = result.stderr.splitlines()
    assert last == "2 of 6 images failed; the others are done"
    assert [line.startswith("error: in/") for line in errors] == [True, True]
    with open(folder / "bad.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["image", "reason"]
    assert dict(rows)["in/empty, or not.png"] == "in/empty, or not.png is empty (0 bytes)"
    assert "in/bad.png" in dict(rows)
    # What has a result is left out; what failed is tried again.
    result = invoke("smooth", "in", "-o", "out", "-m", "heat(time=1)", "--resume", cwd=folder)
    assert result.stderr.splitlines()[-1] == "2 of 2 images failed; none is done"
    for name in ("bad.png", "empty, or not.png"):
        (folder / "in" / name).write_bytes((folder / "in/0.png").read_bytes())
    result = invoke("smooth", "in", "-o", "out", "-m", "heat(time=1)", "--resume", "--report",
                    "bad.csv", cwd=folder)  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert len(os.listdir(folder / "out")) == 6
    assert (folder / "bad.csv").read_text() == "image,reason\n"
    result = invoke("smooth", "in", "-o", "out", "--resume", "--jobs", 2, cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_process_that_dies_takes_only_its_own_file(folder):
    (folder / "deadly.py").write_text(DEADLY)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(folder / "in/2.png")
    result = run("smooth", "in", "-o", "out", "-m", "deadly:Deadly", "--sigma", "0.1",
                        "--jobs", "2", cwd=folder)  # fmt: skip
    assert result.returncode == 1
    assert (
        "error: in/2.png: its process died, perhaps because it ran out of memory" in result.stderr
    )
    assert "3 of 6 images failed" in result.stderr
    assert sorted(os.listdir(folder / "out")) == ["0.png", "1.png", "3.png"]


@pytest.mark.slow
def test_files_on_a_cluster(folder, monkeypatch):
    distributed = pytest.importorskip("distributed")
    (folder / "deadly.py").write_text(DEADLY)
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(folder / "in/2.png")
    monkeypatch.syspath_prepend(folder)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        result = run("smooth", "in", "-o", "out", "-m", "deadly:Deadly", "--sigma", "0.1",
                            "--scheduler", cluster.scheduler_address, cwd=folder)  # fmt: skip
    assert result.returncode == 1
    assert "in/2.png: its process died" in result.stderr
    assert sorted(os.listdir(folder / "out")) == ["0.png", "1.png", "3.png"]
