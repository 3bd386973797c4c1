"""The report agrees with the rows and shows failures."""

import math
import re

import numpy as np
import pytest
from scipy import stats
from synthetic import IMAGES, METHODS, chart_text, results_of, table

from difffilter.benchmark import report
from difffilter.benchmark.report import words
from difffilter.benchmark.report.plots.curves import curves
from difffilter.benchmark.report.summary import Results

# --- numbers -------------------------------------------------------------------------------


def test_means_and_intervals_are_those_of_scipy(study, markdown):
    _, values = study
    found = table(markdown, "PSNR (dB)")
    assert list(found) == ["method", *METHODS]
    for label in METHODS:
        for column, level in enumerate([15, 25, 50]):
            if (label, level) == ("bm3d", 50):
                continue
            samples = [values["gaussian", level, label, "psnr", image, 0] for image in IMAGES]
            mean = np.mean(samples)
            low, high = stats.t.interval(0.95, 5, mean, stats.sem(samples) or 1e-9)
            text = found[label][column].replace("*", "")
            assert text == f"{mean:.2f} ± {(high - low) / 2:.2f}"


def test_costs_are_the_median_and_the_most(study, markdown):
    _, values = study
    found = table(markdown, "PSNR (dB)")

    def column(label, metric):
        return [v for key, v in values.items() if key[2:4] == (label, metric)]

    assert found["method"][-2:] == ["seconds", "MB"]
    assert float(found["ddpm"][-2]) == pytest.approx(np.median(column("ddpm", "seconds")), rel=5e-3)
    assert float(found["ddpm"][-1]) == pytest.approx(max(column("ddpm", "peak_memory")) / 1e6, 1e-3)
    seconds = table(markdown, "Seconds per image (s)")
    expected = np.median([values["gaussian", 25, "tv", "seconds", i, 0] for i in IMAGES])
    assert float(seconds["tv"][1]) == pytest.approx(expected, abs=6e-5)


def test_interval_of_a_known_case():
    results = results_of({"heat": dict(zip("abcde", [1.0, 2, 3, 4, 5], strict=True))})
    score = results.score("gaussian", 25.0, "heat", "psnr")
    # Student's t with 4 degrees of freedom: 2.776; standard deviation sqrt(2.5).
    assert score.mean == 3
    assert score.half == pytest.approx(2.77645 * math.sqrt(2.5 / 5), rel=1e-4)
    assert score.images == 5


def test_seeds_are_averaged_within_an_image_first():
    cases = {("a", 0): 20.0, ("a", 1): 22.0, ("b", 0): 30.0}
    results = Results(values={("gaussian", 25.0, "heat", "psnr"): cases})
    score = results.score("gaussian", 25.0, "heat", "psnr")
    assert score.mean == pytest.approx((21 + 30) / 2)
    assert score.images == 2


def test_a_single_image_has_no_interval():
    results = results_of({"heat": {"a": 30.0}, "tv": {"a": 29.0}})
    assert math.isnan(results.score("gaussian", 25.0, "heat", "psnr").half)
    assert "30.00 |" in report.markdown(results).replace("*", "")
    assert "1.00 dB above tv on the only image" in str(results.verdict("gaussian", 25.0))


def test_paired_differences(study, markdown):
    _, values = study
    found = table(markdown, "PSNR relative to the best (dB)")
    gaps = [
        values["gaussian", 25, "tv", "psnr", image, 0]
        - values["gaussian", 25, "ddpm", "psnr", image, 0]
        for image in IMAGES
    ]
    low, high = stats.t.interval(0.95, 5, np.mean(gaps), stats.sem(gaps))
    assert found["tv"][1] == f"−{-np.mean(gaps):.2f} ± {(high - low) / 2:.2f}"
    assert found["ddpm"][1] == "**best**"


# --- who is the best -----------------------------------------------------------------------


def test_best_is_no_oracle_and_complete():
    results = results_of(
        {
            "oracle(x)": {"a": 40.0, "b": 40.0},
            "lucky": {"a": 39.0},
            "good": {"a": 30.0, "b": 30.0},
            "bad": {"a": 20.0, "b": 20.0},
        },
        oracles=["oracle(x)"],
    )
    assert results.best("gaussian", 25.0) == "good"
    found = table(report.markdown(results), "PSNR (dB)")
    assert found["good"] == ["**30.00** ± 0.00"]
    assert found["oracle(x)"] == ["40.00 ± 0.00"]
    assert found["lucky"] == ["39.00 (1 image only)"]


def test_lower_is_better_where_it_is(results):
    assert results.best("gaussian", 25.0, "texture") == "ddpm sample"
    assert results.best("gaussian", 25.0, "seconds") == "heat"  # doing nothing does not count
    assert "**" not in table(report.markdown(results), "Texture distance")["heat"][0]


def test_nobody_is_called_best_at_a_metric_that_nobody_knows():
    values = {("gaussian", 25.0, label, "mood"): {("a", 0): 1.0} for label in ("heat", "tv")}
    results = Results(values=values)
    assert results.best("gaussian", 25.0, "mood") is None
    assert table(report.markdown(results), "mood")["heat"] == ["1.00"]


def test_verdict_says_when_it_may_be_chance():
    clear = results_of({"x": {"a": 30.0, "b": 31, "c": 33}, "y": {"a": 29.0, "b": 29.9, "c": 32.1}})
    assert str(clear.verdict("gaussian", 25.0)) == (
        "x has the highest PSNR, 31.33 dB: 1.00 ± 0.25 dB above y, the second best; "
        "better on 3 of 3 images."
    )
    vague = results_of({"x": {"a": 30.0, "b": 31, "c": 33}, "y": {"a": 28.0, "b": 31.5, "c": 34}})
    assert "is not significant; better on 1 of 3 images" in str(vague.verdict("gaussian", 25.0))
    assert "not always significantly" in words.headline(vague)
    assert "significant" not in words.headline(clear)


def test_headline_names_every_winner():
    values = {
        ("gaussian", level, label, "psnr"): {("a", 0): psnr}
        for level, label, psnr in [
            (15.0, "x", 30),
            (15.0, "y", 29),
            (50.0, "x", 20),
            (50.0, "y", 21),
        ]
    }
    assert words.headline(results_of({"identity": {"a": 9.0}, "x": {"a": 8.0}})) == (
        "No method beats the noisy image"
    )
    assert words.headline(Results(values=values)) == "x wins at σ·255 = 15; y wins at σ·255 = 50"


def test_infinite_psnr_is_reported():
    results = results_of({"x": {"a": math.inf, "b": math.inf}, "y": {"a": 30.0, "b": 31.0}})
    assert "inf" in report.markdown(results)
    assert "inf" in report.html(results)


# --- what went wrong -----------------------------------------------------------------------


def test_failures_missing_methods_and_oracles_are_shown(study, page, markdown):
    for text in (markdown, page):
        assert "needs &lt;diplib&gt;" in text
        assert "ValueError: NaN in the result &lt;b&gt;" in text
        assert "5 images only" in text
    assert "- bm3d, gaussian noise, σ·255 = 50, on moon: ValueError" in markdown
    assert re.search(r'oracle\(<wbr>perona_<wbr>malik\) <small class="tag">oracle', page)
    assert "1 method could not run" in page
    assert "1 case failed" in page


def test_failures_that_are_alike_share_a_line():
    errors = {("gaussian", 25.0, "x"): {(f"im{n}", n % 2): "bad" for n in range(7)}}
    assert words.failures(Results(errors=errors)) == [
        (
            "x",
            "gaussian noise, σ·255 = 25, on im0, im1 (seed 1), im2, im3 (seed 1), im4 and 2 more",
            "bad",
        )
    ]


def test_an_unfinished_study_says_so(study, markdown, tmp_path):
    assert report.read(study[0]).pending == 0
    assert "not complete" not in markdown
    (tmp_path / "study.json").write_bytes((study[0] / "study.json").read_bytes())
    lines = (study[0] / "rows.csv").read_text("utf-8").splitlines(keepends=True)
    cases = {tuple(line.split(",")[:5]) for line in lines[1:]}
    kept = lines[: len(lines) // 2]
    done = {tuple(line.split(",")[:5]) for line in kept[1:]}
    (tmp_path / "rows.csv").write_text("".join(kept), "utf-8")
    results = report.read(tmp_path)
    assert results.pending == len(cases) - len(done) > 0
    for text in (report.markdown(results), report.html(results)):
        assert f"not complete: {results.pending} cases still to run" in text


def test_an_oracle_by_another_name_is_called_one():
    results = results_of({"cheat": {"a": 40.0}, "x": {"a": 30.0}}, oracles=["cheat"])
    assert "cheat (oracle)" in table(report.markdown(results), "PSNR (dB)")
    assert "cheat (oracle)" in chart_text(curves(results, "gaussian", "psnr"))


def test_protocol_and_machine_are_shown(study, page, markdown):
    for text in (markdown, page):
        for part in ("neither clipped nor quantised", "Imaginary 9000", "numpy 2.4.6", "0123abc"):
            assert part in text


# --- reading -------------------------------------------------------------------------------


def test_a_half_written_last_line_is_left_out(study, tmp_path):
    folder, _ = study
    for name in ("rows.csv", "study.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    whole = report.read(tmp_path).values
    with open(tmp_path / "rows.csv", "a", encoding="utf-8") as file:
        file.write("camera,gaussian,0.1,0,heat,psnr,3")
    assert report.read(tmp_path).values == whole


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("", "does not begin with the header"),
        ("image,noise\n", "does not begin with the header"),
        ("image,noise,sigma,seed,denoiser,metric,value\n", "has no results yet"),
        ("image,noise,sigma,seed,denoiser,metric,value\na,b,c\n", "line 2: not a result"),
        ("image,noise,sigma,seed,denoiser,metric,value\na,g,0.1,0,h,psnr,x\n", "line 2"),
    ],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    (tmp_path / "study.json").write_text("{}", "utf-8")
    (tmp_path / "rows.csv").write_text(rows, "utf-8")
    with pytest.raises(ValueError, match=message):
        report.read(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no rows\.csv"):
        report.read(tmp_path)
    (tmp_path / "rows.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"no study\.json"):
        report.read(tmp_path)
    (tmp_path / "study.json").write_text("{", "utf-8")
    with pytest.raises(ValueError, match=r"study\.json is damaged"):
        report.read(tmp_path)
