"""Running studies: complete, resumable, and the same however they are run."""

import csv
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command import invoke, invoke_error, invoke_ok
from PIL import Image

from difffilter.benchmark import report
from difffilter.benchmark.examples import file_names
from difffilter.benchmark.report import webpage
from difffilter.benchmark.rows import HEADER, Row, read_rows
from difffilter.benchmark.run import run
from difffilter.benchmark.study import read_study
from difffilter.metrics import psnr

STUDY = """
images = "skimage:camera"
crop = 48
sigmas = ["25/255", "50/255"]
seeds = [0, 1]
metrics = ["psnr", "texture", "seconds", "peak_memory"]
examples = 1
[denoisers]
heat = "heat"
"my own" = "own:Half"
"""

OWN = """
import time
from dataclasses import dataclass

@dataclass(frozen=True)
class Half:
    share: float = 0.5
    pause: float = 0.0
    fail: bool = False
    hole: bool = False

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        time.sleep(self.pause)
        if self.fail and noisy.mean() > 0.4:
            raise RuntimeError("as asked,\\nfor", sigma)
        result = self.share * noisy
        if self.hole:
            result.flat[0] = float("nan")
        return result

@dataclass(frozen=True)
class Told:
    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return 0 * noisy + sigma

class Plain:
    def __init__(self, strength=1):
        self.strength = strength

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return noisy[:5, :5]
"""


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path, STUDY)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of the study; a test that changes them uses `finished`."""
    folder = tmp_path_factory.mktemp("whole")
    assert run(write_study(folder, STUDY), folder / "out") == (0, {})
    return folder / "out"


@pytest.fixture
def finished(results, tmp_path):
    """A copy of the results."""
    return shutil.copytree(results, tmp_path / "out")


def write_study(folder, text):
    (folder / "own.py").write_text(OWN)
    (folder / "try.toml").write_text(text, "utf-8")
    return read_study(folder / "try.toml")


def without_timings(rows):
    return [row for row in rows if row.metric not in ("seconds", "peak_memory")]


def test_every_method_runs_on_every_case(study, results):
    rows = read_rows(results / "rows.csv")
    assert len(rows) == 2 * 2 * 3 * 4  # σ, seeds, methods, metrics
    assert len({row[:6] for row in rows}) == len(rows)
    assert [row.metric for row in rows[:4]] == ["psnr", "texture", "seconds", "peak_memory"]
    values = {row[2:6]: row.value for row in rows}
    for sigma in study.sigmas:
        noisy = values[sigma, 0, "identity", "psnr"]
        assert noisy == pytest.approx(-20 * np.log10(sigma), abs=0.5)  # not clipped
        assert values[sigma, 0, "heat", "psnr"] > noisy + 2
        assert values[sigma, 0, "identity", "psnr"] != values[sigma, 1, "identity", "psnr"]
    assert all(row.value >= 0 for row in rows)

    sidecar = json.loads((results / "study.json").read_text("utf-8"))
    assert sidecar["denoisers"] == study.denoisers
    assert sidecar["images"] == ["camera"]
    assert sidecar["machine"]["cores"] >= 1
    assert "numpy" in sidecar["versions"]
    assert "neither clipped nor quantised" in sidecar["protocol"]


def test_noise_with_parameters(tmp_path):
    """σ, file names, oracle and report, where noise is processed and its name has parameters."""
    noises = ["camera(quality=90)", "correlated(fwhm=5/2)", "jpeg(subsampling='4:4:4')"]
    study = write_study(
        tmp_path,
        f"images = 'skimage:astronaut'\ncrop = 48\nsigmas = [0.1]\nmetrics = ['psnr']\n"
        f"noises = {json.dumps(noises)}\nexamples = 1\n"
        "[denoisers]\ntold = 'own:Told'\noracle = 'oracle(heat)'",
    )
    assert run(study, tmp_path / "out") == (0, {})
    scores = {row[1:5:3]: row.value for row in read_rows(tmp_path / "out/rows.csv")}
    clean, _ = study.clean("astronaut")
    for noise in noises:
        rms = 10 ** (-scores[noise, "identity"] / 20)
        sigma = 0.1 if noise.startswith("correlated") else rms
        expected = psnr(clean, np.full_like(clean, sigma), channel_axis=-1)
        assert scores[noise, "told"] == pytest.approx(expected, abs=1e-3)
        assert scores[noise, "oracle"] > scores[noise, "identity"]
    assert {path.name for path in (tmp_path / "out/examples/astronaut").iterdir()} == {
        "camera_quality_90-25.5-0",
        "correlated_fwhm_5_2-25.5-0",
        "jpeg_subsampling_4_4_4-25.5-0",
    }
    found = webpage.examples(report.read(tmp_path / "out"))
    assert [example["case"] for example in found] == [
        "Camera noise (quality=90), σ·255 = 25.5",
        "Correlated noise (fwhm=5/2), σ·255 = 25.5",
        "JPEG noise (subsampling='4:4:4'), σ·255 = 25.5",
    ]
    assert all(picture["score"] for example in found for picture in example["pictures"][1:])
    protocol = json.loads((tmp_path / "out/study.json").read_text("utf-8"))["protocol"]
    assert "with camera and JPEG noise, the root mean square of the noise" in protocol
    assert run(study, tmp_path / "out") == (0, {})  # nothing is left to run


def test_examples_are_the_results(results):
    folder = results / "examples/camera/gaussian-25-0"
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    assert labels == {"identity.png": "identity", "heat.png": "heat", "my_own.png": "my own"}
    images = {path.name: np.asarray(Image.open(path)) for path in folder.glob("*.png")}
    assert set(images) == {"clean.png", *labels}
    scores = {row[2:6]: row.value for row in read_rows(results / "rows.csv")}
    for name, label in labels.items():
        if label != "identity":  # which a picture has to clip
            assert psnr(images["clean.png"], images[name]) == pytest.approx(
                scores[25 / 255, 0, label, "psnr"], abs=0.1
            )
    # Only those of the first seed are kept.
    assert not list((results / "examples").glob("*/*-1"))


def test_memory_is_measured_and_not_that_of_others(tmp_path):
    """An array of 64 MB that the method makes, and not one that was there before."""
    (tmp_path / "big.py").write_text(
        "import numpy as np\n"
        "class Big:\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        return noisy + np.ones(2**23).mean() * 0\n"
    )
    (tmp_path / "big.toml").write_text(
        'images = "skimage:camera"\ncrop = 100\nsigmas = [0.1]\ndenoisers = ["big:Big"]\n'
        'metrics = ["peak_memory"]'
    )
    before = np.ones(2**24)
    run(read_study(tmp_path / "big.toml"), tmp_path / "out")
    small, big = (row.value for row in read_rows(tmp_path / "out/rows.csv"))
    assert big == pytest.approx(2**26, rel=0.1) or np.isnan(big)
    assert small < 2**23 or np.isnan(small)
    del before


@pytest.mark.parametrize("jobs", [1, 3])
def test_order_and_number_of_jobs_do_not_matter(results, tmp_path, jobs):
    expected = without_timings(read_rows(results / "rows.csv"))
    shuffled = STUDY.replace('["25/255", "50/255"]', '["50/255", "25/255"]')
    shuffled = shuffled.replace("[0, 1]", "[1, 0]").replace('heat = "heat"\n', "") + 'heat = "heat"'
    run(write_study(tmp_path, shuffled), tmp_path / "other", jobs=jobs)
    rows = without_timings(read_rows(tmp_path / "other/rows.csv"))
    assert rows != expected
    assert sorted(rows) == sorted(expected)


def test_a_cluster_makes_the_same_rows(study, tmp_path):
    """Workers in this process; those of their own are killed in test_large_slow.py."""
    distributed = pytest.importorskip("distributed")
    run(study, tmp_path / "here", methods=["identity", "heat"])
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=None,
    ) as cluster:
        address = cluster.scheduler_address
        run(study, tmp_path / "there", methods=["identity"], scheduler=address)
        before = csv_lines((tmp_path / "there/rows.csv").read_bytes())
        run(study, tmp_path / "there", methods=["heat", "identity"], scheduler=address)
    assert set(before) <= set(csv_lines((tmp_path / "there/rows.csv").read_bytes()))
    here, there = (read_rows(tmp_path / name / "rows.csv") for name in ("here", "there"))
    assert without_timings(there) == without_timings(here)
    assert (tmp_path / "there/examples/camera/gaussian-25-0/heat.png").exists()


def test_what_is_done_is_not_done_again(study, finished, tmp_path):
    before = (tmp_path / "out/rows.csv").read_bytes()
    run(study, tmp_path / "out")
    assert (tmp_path / "out/rows.csv").read_bytes() == before
    # One more σ and one more method: only they are new.
    text = STUDY.replace('"50/255"', '"50/255", 0.3') + 'more = "heat(time=1)"'
    run(write_study(tmp_path, text), tmp_path / "out")
    after = read_rows(tmp_path / "out/rows.csv")
    assert len(after) == 3 * 2 * 4 * 4
    assert set(csv_lines(before)) <= set(csv_lines((tmp_path / "out/rows.csv").read_bytes()))


def csv_lines(content):
    return content.decode().splitlines()


def test_methods_and_images_that_changed_are_done_again(finished, tmp_path):
    before = {row[:6]: row.value for row in read_rows(tmp_path / "out/rows.csv")}
    changed = STUDY.replace("own:Half", "own:Half(share=0.75)")
    run(write_study(tmp_path, changed), tmp_path / "out")
    rows = read_rows(tmp_path / "out/rows.csv")
    assert len(rows) == len(before)
    for row in rows:  # seconds as well: of the others, nothing was done again
        if row.metric == "peak_memory":
            continue
        assert (row.value == before[row[:6]]) == (row.denoiser != "my own")
    run(write_study(tmp_path, changed.replace("crop = 48", "crop = 40")), tmp_path / "out")
    for row in without_timings(read_rows(tmp_path / "out/rows.csv")):
        assert row.value != before[row[:6]]


def test_rows_are_not_dropped_unasked(finished, tmp_path):
    before = (tmp_path / "out/rows.csv").read_bytes()
    less = write_study(tmp_path, STUDY.replace('heat = "heat"\n', ""))
    with pytest.raises(
        ValueError, match=r"holds 16 rows that study try does not ask for \(such as heat"
    ):
        run(less, tmp_path / "out")
    assert (tmp_path / "out/rows.csv").read_bytes() == before
    run(less, tmp_path / "out", overwrite=True)
    assert {row.denoiser for row in read_rows(tmp_path / "out/rows.csv")} == {"identity", "my own"}


@pytest.mark.parametrize("cut", [1, 9, 60, 400])
def test_a_damaged_end_is_repaired(study, finished, tmp_path, cut):
    table = tmp_path / "out/rows.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-cut])
    run(study, tmp_path / "out")
    repaired = read_rows(table)
    assert without_timings(repaired) == without_timings(_rows(whole, tmp_path))
    assert len(repaired) == len({row[:6] for row in repaired})


def _written(content, folder):
    (folder / "rows.csv").write_bytes(content)
    return folder / "rows.csv"


def _rows(content, folder):
    return read_rows(_written(content, folder), repair=True)


def test_damaged_lines_are_left_out(tmp_path):
    good = "a,gaussian,0.1,0,heat,psnr,30.0\n"
    text = ",".join(HEADER) + "\n" + good + "a,gaussian,x,0,heat,psnr,1\n\0\n,,\n" + good[:-4]
    assert _rows(text.encode() + b"\xff", tmp_path) == [
        Row("a", "gaussian", 0.1, 0, "heat", "psnr", 30.0)
    ]
    assert read_rows(tmp_path / "none.csv", repair=True) == []
    with pytest.raises(
        ValueError, match=r"rows\.csv, line 3: not a result: \['a', 'gaussian', 'x'"
    ):
        read_rows(_written(text.encode(), tmp_path))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_method_that_fails_is_recorded_and_the_rest_goes_on(tmp_path, jobs):
    text = STUDY + 'failing = "own:Half(fail=True)"\nholes = "own:Half(hole=True)"\n'
    text += 'cut = "own:Plain"\n'
    images = '["skimage:camera", "skimage:coffee", "skimage:rocket"]'
    study = write_study(tmp_path, text.replace('"skimage:camera"', images))
    failed, _ = run(study, tmp_path / "out", jobs=jobs)
    rows = read_rows(tmp_path / "out/rows.csv")
    errors = {}
    for row in rows:
        if row.metric == "error":
            errors.setdefault(row.denoiser, {})[row[:4]] = row.value
    assert failed == sum(map(len, errors.values()))
    assert set(errors) == {"failing", "holes", "cut"}
    cases = len(study.cases())
    assert len(errors["holes"]) == len(errors["cut"]) == cases
    assert 0 < len(errors["failing"]) < cases  # the dark images do not fail
    assert set(errors["holes"].values()) == {
        "ValueError: the result has 1 pixel that is NaN or infinite"
    }
    assert "RuntimeError: ('as asked,\\nfor', 0.09" in min(errors["failing"].values())
    assert "the result has shape (5, 5" in min(errors["cut"].values())
    assert sum(row.denoiser == "heat" for row in rows) == cases * 4


def test_failures_are_tried_again_only_when_asked(tmp_path, monkeypatch):
    study = write_study(tmp_path, STUDY + 'failing = "own:Plain"\n')
    assert run(study, tmp_path / "out")[0] == 4
    (tmp_path / "mended.py").write_text(OWN.replace("noisy[:5, :5]", "noisy"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "own", importlib.import_module("mended"))
    assert run(study, tmp_path / "out")[0] == 4
    assert run(study, tmp_path / "out", retry=True)[0] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('x = "perona"', "study try, method 'x': unknown method 'perona'; did you mean"),
        ('x = "heat(tme=1)"', "method 'x': heat has no parameter 'tme'; did you mean 'time'?"),
        ('x = "heat(time=-1)"', "method 'x': time is -1; expected a finite number ≥ 0"),
        ('x = "nowhere:Half"', "there is no module 'nowhere' for the method 'nowhere:Half'"),
        ('x = "own:Hafl"', "own has no class 'Hafl'; did you mean 'Half'?"),
        ('x = "own:Half(shar=1)"', "own:Half has no parameter 'shar'; did you mean 'share'?"),
        ('x = "own:Plain(size=1)"', "own:Plain has no parameter 'size'"),
        ('x = "own:time"', "own has no class 'time'"),
        ('x = "oracle(perona)"', "unknown method 'perona'"),
    ],
)
def test_bad_methods_are_refused_before_any_work(tmp_path, line, message):
    study = write_study(tmp_path, STUDY + line)
    with pytest.raises(ValueError, match=r".") as caught:
        run(study, tmp_path / "out")
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_missing_library_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "difffilter.ddpm.denoiser", None)
    (tmp_path / "needy.py").write_text("import no_such_library\n")
    study = write_study(tmp_path, STUDY + 'needy = "needy:Needy"')
    _, missing = run(study, tmp_path / "out")
    assert missing == {"needy": "needy:Needy needs no_such_library, which is not installed"}
    assert json.loads((tmp_path / "out/study.json").read_text())["missing"] == missing
    assert {row.denoiser for row in read_rows(tmp_path / "out/rows.csv")} == {
        "identity", "heat", "my own"
    }  # fmt: skip


def test_an_oracle_sees_the_clean_image(tmp_path):
    text = STUDY + 'best = "oracle(heat)"'
    run(write_study(tmp_path, text), tmp_path / "out")
    values = {row[2:6]: row.value for row in read_rows(tmp_path / "out/rows.csv")}
    for sigma, seed, label, metric in values:
        if label == "heat" and metric == "psnr":
            assert values[sigma, seed, "best", metric] >= values[sigma, seed, label, metric] - 0.01
    assert json.loads((tmp_path / "out/study.json").read_text())["oracles"] == ["best"]


def test_only_some_methods_for_now(study, results, tmp_path):
    run(study, tmp_path / "out", methods=["heat"])
    assert {row.denoiser for row in read_rows(tmp_path / "out/rows.csv")} == {"heat"}
    run(study, tmp_path / "out")
    assert without_timings(read_rows(tmp_path / "out/rows.csv")) == without_timings(
        read_rows(results / "rows.csv")
    )
    with pytest.raises(
        ValueError, match="method is 'heet'; expected one of identity, heat, my own"
    ):
        run(study, tmp_path / "out", methods=["heet"])


def test_file_names_are_different_and_harmless():
    names = file_names(["a b", "a/b", "../..", "Perona–Malik", "", "clean", "x" * 300])
    assert len(set(names.values()) | {"clean.png"}) == 8
    assert all("/" not in name and not name.startswith(".") for name in names.values())
    assert max(map(len, names.values())) < 80


# --- the command line -----------------------------------------------------------------------


def test_bench_then_report(tmp_path):
    write_study(tmp_path, STUDY)
    result = invoke("bench", "try.toml", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("results: ")
    with open(tmp_path / "results/try/rows.csv", newline="") as file:
        assert tuple(next(csv.reader(file))) == HEADER
    made = invoke_ok("report", "results/try", cwd=tmp_path)
    assert [line.rpartition("/")[2] for line in made.splitlines()] == ["report.md", "report.html"]
    assert "my own" in (tmp_path / "results/try/report.md").read_text("utf-8")


def test_bench_says_what_failed(tmp_path):
    write_study(tmp_path, STUDY + 'failing = "own:Plain"\n')
    result = invoke("bench", "try.toml", "-o", "out", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "4 calls failed; the report lists them\n")
    assert invoke_error("bench", "none.toml", cwd=tmp_path) == (
        "error: there is no study none.toml; check the path\n"
    )


def test_images_may_be_given_on_the_command_line(tmp_path):
    write_study(tmp_path, STUDY.replace("skimage:camera", "skimage"))
    (tmp_path / "mine").mkdir()
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "mine/black.png")
    invoke_ok("bench", "try.toml", "--images", "mine", cwd=tmp_path)
    assert {row.image for row in read_rows(tmp_path / "results/try/rows.csv")} == {"black"}


# --- killed ---------------------------------------------------------------------------------

SLOW = STUDY.replace("own:Half", "own:Half(pause=0.05)").replace(
    "seeds = [0, 1]", "seeds = [0,1,2,3,4]"
)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_three_times_it_ends_with_the_same_rows(tmp_path, jobs, rng):
    study = write_study(tmp_path, SLOW)
    run(study, tmp_path / "whole")
    table = tmp_path / "results/try/rows.csv"
    sizes = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "difffilter", "bench", "try.toml", "--jobs", jobs],
            cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        before = table.stat().st_size if table.exists() else len(",".join(HEADER)) + 1
        while process.poll() is None and (not table.exists() or table.stat().st_size <= before):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with open(table, "ab") as file:  # as if it had been in the middle of a line
            file.write(b"camera,gaussian,0.09")
        sizes.append(len(read_rows(table, repair=True)))
    whole = read_rows(tmp_path / "whole/rows.csv")
    assert 0 < sizes[0] < sizes[1] < sizes[2] <= len(whole)
    invoke_ok("bench", "try.toml", "--jobs", jobs, cwd=tmp_path)
    rows = read_rows(table)
    assert without_timings(rows) == without_timings(whole)
    assert [row[:6] for row in rows] == [row[:6] for row in whole]
