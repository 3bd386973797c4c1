"""What notebooks show."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import difffilter as df
from difffilter.figures.comparison import compare
from difffilter.figures.notebook import time_slider
from difffilter.html import html_png, html_table


@pytest.fixture
def noisy(rng):
    return np.clip(0.5 + 0.1 * rng.standard_normal((24, 32)), 0, 1)


def cells(html):
    return re.findall(r"<t[dh]>(.*?)</t[dh]>", html)


def test_parameters_are_a_table(noisy):
    smooth, chosen = df.perona_malik(noisy, full_output=True), df.estimate_parameters(
        noisy, method="perona_malik"
    )  # fmt: skip
    html = chosen._repr_html_()
    shown = dict(zip(cells(html)[2::2], cells(html)[3::2], strict=True))
    assert shown["kappa"] == f"{chosen['kappa']:.4g}"
    assert shown["diffusivity"] == chosen["diffusivity"]
    assert f"σ = {chosen.sigma:.4g}" in html
    assert smooth is not None


def test_a_comparison_is_a_table_and_a_figure(noisy):
    methods = {"heat & more": df.make("heat"), "nothing": df.Identity()}
    entries = compare(noisy, methods, 0.1, clean=np.full_like(noisy, 0.5))
    html = entries._repr_html_()
    assert [entry.label for entry in entries] == list(methods)
    assert "heat &amp; more" in cells(html)
    assert f"{entries[0].psnr:.2f}" in cells(html)
    data = re.search(r'src="data:image/png;base64,([^"]+)"', html).group(1)
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert min(picture.size) > 100
    assert "PSNR" not in compare(noisy, methods, 0.1)._repr_html_()
    volume = compare(np.stack([noisy] * 3), {"heat": df.make("heat")}, 0.1)
    assert "<img" not in volume._repr_html_()
    assert type(entries)([], noisy)._repr_html_() == ""


def test_html_is_escaped():
    assert html_table(["<a>"], [["&", 1]], "<b>") == (
        "<table><caption>&lt;b&gt;</caption><thead><tr><th>&lt;a&gt;</th></tr></thead>"
        "<tbody><tr><td>&amp;</td><td>1</td></tr></tbody></table>"
    )
    assert html_png(b"abc", 'x"y') == ('<img src="data:image/png;base64,YWJj" alt="x&quot;y">')


def pixels(widget):
    with Image.open(io.BytesIO(widget.value)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("channel_axis", [None, 0])
def test_a_slider_shows_the_image_at_each_time(rng, channel_axis):
    pytest.importorskip("ipywidgets")
    image = rng.random((24, 32) if channel_axis is None else (3, 24, 32))
    slider, shown = time_slider(
        image, "heat", longest=16, steps=4, channel_axis=channel_axis
    ).children
    assert [float(label) for label, _ in slider.options] == [0, 1, 4, 9, 16]

    def expected(picture):
        upright = picture if channel_axis is None else np.moveaxis(picture, channel_axis, -1)
        return (255 * upright.clip(0, 1)).round().astype(np.uint8)

    np.testing.assert_array_equal(pixels(shown), expected(image))
    slider.index = 2
    late = df.heat(image, 4.0, channel_axis=channel_axis)
    assert np.abs(pixels(shown).astype(int) - expected(late)).max() <= 1
    slider.index = 0
    np.testing.assert_array_equal(pixels(shown), expected(image))


def test_bad_input():
    pytest.importorskip("ipywidgets")
    with pytest.raises(
        ValueError, match=r"^image has shape \(4, 4, 4\); expected \(H, W\), or with"
    ):
        time_slider(np.zeros((4, 4, 4)), "heat")
    with pytest.raises(ValueError, match=r"^steps is 0; expected a whole number ≥ 1$"):
        time_slider(np.zeros((4, 4)), "heat", steps=0)


NOTEBOOK = """
import numpy as np
import difffilter as df
from difffilter.figures.comparison import compare
from difffilter.figures.notebook import time_slider
noisy = df.add_noise(np.full((32, 32), 0.5), 0.1, rng=0)
"""


def test_a_notebook_runs(tmp_path):
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    for name in ("ipykernel", "ipywidgets", "torch"):
        pytest.importorskip(name)
    cells = [
        NOTEBOOK,
        "df.estimate_parameters(noisy)",
        "compare(noisy, {'heat': df.make('heat')})",
        "time_slider(noisy, 'heat', steps=3)",
        "df.denoise(noisy, 0.1, \"ddpm(mode='sample', steps=400)\").shape",  # more than a second
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    runner = nbconvert.preprocessors.ExecutePreprocessor(timeout=120, kernel_name="python3")
    runner.preprocess(book, {"metadata": {"path": tmp_path}})
    *shown, bar = ([output.data for output in cell.outputs] for cell in book.cells[1:])
    assert "<table>" in shown[0][0]["text/html"]
    assert "<img" in shown[1][0]["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in shown[2][0]
    assert any("application/vnd.jupyter.widget-view+json" in data for data in bar)
