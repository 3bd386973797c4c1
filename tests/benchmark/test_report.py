"""The report says what the rows say, shows what went wrong, and needs nothing but itself."""

import base64
import hashlib
import json
import math
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic import IMAGES, METHODS, write_results

from difffilter.benchmark import report
from difffilter.benchmark.report import plots, webpage, words
from difffilter.benchmark.report.plots.curves import curves
from difffilter.benchmark.report.plots.labels import beside, spaced
from difffilter.benchmark.report.plots.pareto import front, pareto
from difffilter.benchmark.report.plots.plane import plane
from difffilter.benchmark.report.plots.spread import spread
from difffilter.benchmark.report.plots.style import COLOURS, GREY, colour
from difffilter.benchmark.report.summary import Results
from difffilter.benchmark.report.svg import inline
from difffilter.catalog import MissingExtra

EVIL = "<script>alert('x')</script> | *a* `b` $c_d$"
EVIL_METHODS = METHODS | {EVIL: ("evil", 8.0, 0.05, 0.5)}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A results folder and its values: a failed case, a missing method, example images."""
    folder = tmp_path_factory.mktemp("study") / "results"
    values = write_results(
        folder,
        failed=[("moon", 50, "bm3d")],
        missing={"diplib": "needs <diplib>"},
        examples=["camera"],
    )
    return folder, values


@pytest.fixture(scope="module")
def results(study):
    return report.read(study[0])


@pytest.fixture(scope="module")
def markdown(results):
    return report.markdown(results)


@pytest.fixture(scope="module")
def page(results):
    return report.html(results)


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evil") / "results"
    write_results(
        folder,
        methods=EVIL_METHODS,
        levels=(25,),
        missing={"</script><b>": "<img src=x>"},
        title="<i>title</i>",
        examples=["coins"],
    )
    return report.read(folder)


def table(markdown, heading):
    """The Markdown table under a heading, as a dict of rows of cells."""
    part = re.split(rf"^### {re.escape(heading)}$", markdown, flags=re.M)[1]
    rows = re.findall(r"^\|(.*)\|$", part.split("###")[0], re.M)
    cells = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    return {row[0]: row[1:] for row in cells if not row[0].startswith("---")}


def results_of(psnrs, level=25.0, **study):
    """Results with these PSNRs: {label: {image: value}}."""
    values = {
        ("gaussian", level, label, "psnr"): {(image, 0): value for image, value in images.items()}
        for label, images in psnrs.items()
    }
    return Results(study, values)


# --- numbers --------------------------------------------------------------------------------


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


# --- who is the best ------------------------------------------------------------------------


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


# --- what went wrong ------------------------------------------------------------------------


def test_failures_missing_methods_and_oracles_are_shown(study, page, markdown):
    for text in (markdown, page):
        assert "needs &lt;diplib&gt;" in text
        assert "ValueError: NaN in the result &lt;b&gt;" in text
        assert "5 images only" in text
    assert "- bm3d, gaussian noise, σ·255 = 50, on moon: ValueError" in markdown
    assert re.search(r'oracle\(perona_malik\) <small class="tag">oracle', page)
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
    assert "cheat (oracle)" in plots_text(curves(results, "gaussian", "psnr"))


def plots_text(figure):
    return inline(figure, "x-", {})


def test_protocol_and_machine_are_shown(study, page, markdown):
    for text in (markdown, page):
        for part in ("neither clipped nor quantised", "Imaginary 9000", "numpy 2.4.6", "0123abc"):
            assert part in text


# --- reading --------------------------------------------------------------------------------


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


# --- the page -------------------------------------------------------------------------------


class Links(HTMLParser):
    """Everything that a page could load, its ids and its tags."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)
            if name in ("style", "clip-path"):
                self.links += re.findall(r"url\(([^)]*)\)", value)


def test_page_needs_nothing_but_itself(page):
    found = Links(page)
    assert found.links
    for link in found.links:
        assert link.startswith(("#", "data:")), link
    assert not re.search(
        r"@import|url\(\s*['\"]?(?!#)", "".join(re.findall(r"<style>.*?</style>", page, re.S))
    )
    assert {"link", "script", "style", "svg", "table"} <= set(found.tags)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_links_lead_to_one(page):
    found = Links(page)
    assert len(found.ids) == len(set(found.ids))
    assert {link[1:] for link in found.links if link.startswith("#")} <= set(found.ids)


def test_only_our_scripts_may_run(page):
    allowed = set(re.findall(r"'sha256-([^']+)'", page))
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    digests = {base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts}
    assert len(scripts) == 3
    assert digests == allowed
    assert "'unsafe-inline'" not in re.search(r"script-src[^;]*", page)[0]


def test_labels_are_text_everywhere(evil):
    page = report.html(evil)
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
    assert "<i>title</i>" not in page
    assert Links(page).tags.count("script") == 4  # three of ours and the examples' data
    assert "&lt;script&gt;alert(" in page
    found = table(report.markdown(evil), "PSNR (dB)")
    assert len({len(cells) for cells in found.values()}) == 1
    assert "<script>" not in report.markdown(evil)


def test_labels_are_no_formulas_in_charts(evil):
    assert "&lt;script&gt;alert('x')" in plots_text(spread(evil, "gaussian", 25.0))
    results = results_of({"$x_1$": {"a": 30.0}, "y": {"a": 29.0}})
    assert ">$x_1$</text>" in plots_text(curves(results, "gaussian", "psnr"))


def test_examples_are_the_pictures_of_the_folder(study, page):
    data = re.search(r'id="example-data">(.*?)</script>', page, re.S)[1]
    examples = json.loads(data)
    assert [e["case"] for e in examples] == [
        f"Gaussian noise, σ·255 = {level}" for level in (15, 25, 50)
    ]
    pictures = examples[1]["pictures"]
    assert [p["label"] for p in pictures] == ["clean", *METHODS]
    assert examples[1]["best"] == "ddpm"
    folder, values = study
    encoded = pictures[0]["source"].removeprefix("data:image/png;base64,")
    stored = folder / "examples/camera/gaussian-25-0/clean.png"
    assert base64.b64decode(encoded) == stored.read_bytes()
    heat = next(p for p in pictures if p["label"] == "heat")
    psnr = values["gaussian", 25, "heat", "psnr", "camera", 0]
    assert heat["score"].startswith(f"{psnr:.2f} dB, SSIM")


def test_examples_outside_their_folder_are_not_read(tmp_path):
    write_results(tmp_path, levels=(25,), examples=["camera"])
    case = tmp_path / "examples/camera/gaussian-25-0"
    labels = json.loads((case / "labels.json").read_text("utf-8"))
    (case / "labels.json").write_text(json.dumps(labels | {"../../../rows.csv": "heat"}), "utf-8")
    [example] = webpage.examples(report.read(tmp_path))
    assert len(example["pictures"]) == len(labels) + 1  # and the clean image


def test_a_strange_folder_of_examples_is_named(tmp_path):
    write_results(tmp_path, levels=(25,))
    case = tmp_path / "examples/camera/gaussian"
    case.mkdir(parents=True)
    (case / "labels.json").write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="gaussian is not a folder of example images"):
        report.html(report.read(tmp_path))


# --- files ----------------------------------------------------------------------------------


def test_write_makes_both_files(study, markdown, page, tmp_path):
    written = report.write(study[0], tmp_path / "new")
    assert [path.name for path in written] == ["report.md", "report.html"]
    assert written[0].read_text("utf-8") == markdown
    assert written[1].read_text("utf-8") == page  # made twice, it is the same
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "report.html",
        "report.md",
    ]


def test_without_jinja2_nothing_is_written(study, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    (tmp_path / "report.md").write_text("old", "utf-8")
    with pytest.raises(MissingExtra, match=r"pip install 'difffilter\[bench\]'"):
        report.write(study[0], tmp_path)
    assert (tmp_path / "report.md").read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_page_that_cannot_be_written_leaves_the_old_report(study, tmp_path, monkeypatch):
    (tmp_path / "report.md").write_text("old", "utf-8")
    monkeypatch.setattr(report, "html", lambda results: "\ud800")  # cannot be encoded
    with pytest.raises(UnicodeEncodeError):
        report.write(study[0], tmp_path)
    assert (tmp_path / "report.md").read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


# --- figures --------------------------------------------------------------------------------


def test_every_chart_is_there(results):
    names = [drawing.name for drawing in plots.drawings(results, "gaussian")]
    per_level = [
        f"gaussian-{level}-{kind}"
        for level in (15, 25, 50)
        for kind in ("pareto", "plane", "spread")
    ]
    over_levels = [f"gaussian-{kind}" for kind in ("psnr", "behind", "ssim", "texture")]
    assert names == over_levels + per_level


def test_figures_are_saved(tmp_path):
    write_results(
        tmp_path / "r", levels=(25,), methods={k: METHODS[k] for k in ("identity", "heat")}
    )
    plots.save(report.read(tmp_path / "r"), tmp_path, ".png")
    assert {path.name for path in tmp_path.glob("*.png")} == {
        f"gaussian-25-{kind}.png" for kind in ("pareto", "plane", "spread")
    }


def test_a_method_has_one_colour_in_all_charts(results):
    for drawing in plots.drawings(results, "gaussian"):
        svg = inline(drawing.figure, "", {})
        for text in re.findall(r"<text[^>]*fill: (#\w+)[^>]*>bm3d<", svg):
            assert text == colour(results, "bm3d")
        assert ">bm3d<" in svg or drawing.name.startswith("gaussian-50")  # it failed there


def test_points_lie_where_the_numbers_are(results):
    [axes] = pareto(results, "gaussian", 25.0).axes
    drawn = {
        line.get_gid().split("|")[1].split(":")[0]: line.get_xydata()[0]
        for line in axes.lines
        if line.get_gid()
    }
    assert set(drawn) == set(METHODS) - {"identity"}
    for label, (x, y) in drawn.items():
        assert x == results.seconds("gaussian", 25.0, label)
        assert y == results.score("gaussian", 25.0, label, "psnr").mean
    step = next(line for line in axes.lines if not line.get_gid())
    assert [tuple(at) for at in step.get_xydata()] == [
        tuple(drawn[label]) for label in ("heat", "wavelet", "tv", "perona_malik", "ddpm")
    ]


def test_a_mean_over_fewer_images_is_no_point(results):
    for relative in (False, True):
        [axes] = curves(results, "gaussian", "psnr", relative=relative).axes
        drawn = {line.get_gid(): line for line in axes.lines if line.get_marker() != "None"}
        heights = {gid.split("|")[1]: line.get_ydata() for gid, line in drawn.items()}
        assert np.isnan(heights["bm3d"]).tolist() == [False, False, True]
        assert not np.isnan(heights["ddpm"]).any()


def test_modes_of_one_method_are_joined(results):
    [axes] = plane(results, "gaussian", 25.0).axes
    joined = [line for line in axes.lines if not line.get_gid()]
    assert [len(line.get_xdata()) for line in joined] == [3]  # ddpm, its sample and its average


points = st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 9), st.integers(0, 9)))


@given(points)
def test_front_is_what_nothing_beats(at):
    kept = front(at)
    for label in at:
        x, y = at[label]
        beaten = any(
            (a <= x and b >= y and (a, b) != (x, y)) for a, b in (at[other] for other in at)
        )
        assert (at[label] in [at[other] for other in kept]) != beaten


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).map(sorted))
def test_spaced_names_keep_apart_and_inside(wanted):
    gap = 0.07
    places = spaced(wanted, gap)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(places))
    assert places[0] >= 0
    assert places[-1] <= 1
    if all(b - a >= gap for a, b in pairwise(wanted)):
        assert places == pytest.approx(wanted, abs=1e-6)


def test_names_beside_points_do_not_cover_each_other():
    at = [(100 + 10 * n, 100 + 3 * n) for n in range(8)]
    size = (50, 12)
    boxes = []
    for (x, y), (dx, dy, side) in zip(
        at, beside(at, [size] * len(at), [], (0, 0, 300, 250)), strict=True
    ):
        left = x + dx - {"left": 0, "center": 25, "right": 50}[side]
        boxes.append((left, y + dy))
    for n, (x, y) in enumerate(boxes):
        for a, b in boxes[:n]:
            assert abs(x - a) >= 49.9 or abs(y - b) >= 11.9


def test_text_of_an_inlined_figure_is_text(results):
    drawing = next(iter(plots.drawings(results, "gaussian")))
    svg = inline(drawing.figure, "p-", {GREY: "--grey"})
    assert ">PSNR (dB)</text>" in svg
    assert "var(--grey)" in svg
    assert GREY not in svg
    assert "xmlns" not in svg
    assert re.search(r'class="method" data-method="1">\s*<title>heat</title>', svg)


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def luminance(colour):
    return linear(colour) @ [0.2126, 0.7152, 0.0722]


# How linear RGB looks to those without one kind of cone (Machado, Oliveira & Fernandes 2009).
VISION = {
    "full": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                  [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                 [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_everybody(page, vision):
    from skimage.color import deltaE_ciede2000, rgb2lab

    css = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    for theme in re.findall(r"\{\s*(--paper:.*?)\}", css, re.S):
        seen = [
            np.clip(VISION[vision] @ linear(c), 0, 1) for c in re.findall(r"--c\d: (#\w+)", theme)
        ]
        encoded = [
            np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055) for c in seen
        ]
        lab = rgb2lab([encoded])[0]
        distance = deltaE_ciede2000(lab[:, None], lab[None]) + 99 * np.eye(8)
        assert distance.min() > 10


def test_text_can_be_read_on_light_and_on_dark(page):
    css = re.search(r"<style>(.*?)</style>", page, re.S)[1]
    themes = re.findall(r"\{\s*(--paper:.*?)\}", css, re.S)
    assert len(themes) == 3  # light, dark by the system, dark by the button
    assert themes[1].split() == themes[2].split()
    for theme in themes:
        colours = dict(re.findall(r"--([\w]+): (#\w+)", theme))
        for name in ["ink", "muted", "grey", "accent", "warn", *(f"c{n}" for n in range(8))]:
            one, other = sorted([luminance(colours[name]), luminance(colours["paper"])])
            assert (other + 0.05) / (one + 0.05) >= 4.5, name
    light = dict(re.findall(r"--([\w]+): (#\w+)", themes[0]))
    assert [light[f"c{n}"] for n in range(8)] == list(COLOURS)
