"""Charts show the numbers, and can be read by everybody."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import METHODS, chart_text, results_of, write_results

from difffilter.benchmark import report
from difffilter.benchmark.report import plots
from difffilter.benchmark.report.plots.curves import curves
from difffilter.benchmark.report.plots.labels import beside, spaced
from difffilter.benchmark.report.plots.pareto import front, pareto
from difffilter.benchmark.report.plots.plane import plane
from difffilter.benchmark.report.plots.spread import spread
from difffilter.benchmark.report.plots.style import COLOURS, GREY, colour, line_style
from difffilter.benchmark.report.summary import Results
from difffilter.benchmark.report.svg import inline


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
        drawn = {line.get_gid(): line for line in axes.lines if len(line.get_xdata()) == 3}
        heights = {gid.split("|")[1]: line.get_ydata() for gid, line in drawn.items()}
        assert np.isnan(heights["bm3d"]).tolist() == [False, False, True]
        assert not np.isnan(heights["ddpm"]).any()


def many(count):
    """Results of the noisy image and so many methods, at two levels."""
    scores = {"identity": 20.0} | {f"m{n}": 28.0 + n / 10 for n in range(count)}
    values = {
        ("gaussian", level, label, "psnr"): {("a", 0): value - level / 9}
        for level in (15.0, 25.0)
        for label, value in scores.items()
    }
    return Results(values=values)


def test_methods_of_one_colour_differ_in_marker_and_dashes():
    results = many(32)
    looks = [line_style(results, label) for label in results.methods]
    for n, one in enumerate(looks):
        for other in looks[:n]:
            if one["color"] == other["color"]:
                assert one["marker"] != other["marker"]
                assert one["linestyle"] != other["linestyle"]


def test_names_at_the_ends_of_curves_have_the_markers():
    results = many(12)
    [axes] = curves(results, "gaussian", "psnr").axes
    for label in results.methods[1:]:
        name = next(text for text in axes.texts if text.get_text() == label)
        curve, *_, key = [line for line in axes.lines if line.get_gid() == name.get_gid()]
        assert key.get_marker() == curve.get_marker()
        assert key.get_color() == curve.get_color() == name.get_color()


@pytest.mark.parametrize("metric", ["psnr", "ssim", "texture"])
def test_the_noisy_image_does_not_set_the_scale(results, metric):
    [axes] = curves(results, "gaussian", metric).axes
    low, high = axes.get_ylim()
    means = [
        results.score("gaussian", level, label, metric).mean
        for label in METHODS
        for level in (15.0, 25.0, 50.0)
        if label != "identity"
    ]
    room = max(means) - min(means)
    assert high - low < 1.2 * room
    drawn = [line for line in axes.lines if line.get_gid() == "method-0|identity"]
    noisy = [
        results.score("gaussian", level, "identity", metric).mean for level in (15.0, 25.0, 50.0)
    ]
    assert bool(drawn) == any(low <= value <= high for value in noisy)


def test_the_noisy_image_alone_sets_the_scale():
    [axes] = curves(many(0), "gaussian", "psnr").axes
    assert "method-0|identity" in [line.get_gid() for line in axes.lines]


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


def test_labels_are_no_formulas_in_charts(evil):
    assert "&lt;script&gt;alert('x')" in chart_text(spread(evil, "gaussian", 25.0))
    results = results_of({"$x_1$": {"a": 30.0}, "y": {"a": 29.0}})
    assert ">$x_1$</text>" in chart_text(curves(results, "gaussian", "psnr"))
