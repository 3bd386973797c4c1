"""A run gives what `difffilter.denoise` gives, as a layer like the one that was filtered."""

import gc
from threading import Event
from weakref import ref

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import difffilter as df

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

from napari.layers import Labels

from difffilter.integrations.napari import filtering
from difffilter.integrations.napari.tasks import Task


@pytest.fixture
def result_of(wait_for):
    """A function that runs a widget, and returns the new layer."""

    def run(viewer, widget):
        before = len(viewer.layers)
        widget.run()
        wait_for(widget)
        assert len(viewer.layers) == before + 1
        return viewer.layers[-1]

    return run


# --- the pixels ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, bool])
def test_grey(dtype, noisy, opened, result_of):
    image = noisy(40, 50).clip(0, 1)
    image = image > 0.5 if dtype is bool else (image * (1 if dtype(0.5) else np.iinfo(dtype).max))
    image = image.astype(dtype)
    found = result_of(*opened(image)).data
    expected = df.denoise(image)
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)


@pytest.mark.parametrize("method", ["heat", "tv_flow", "edge_enhancing", "learned"])
def test_methods(method, noisy, opened, result_of):
    image = noisy(40, 50)
    viewer, widget = opened(image)
    widget.method.value = method
    assert_array_equal(result_of(viewer, widget).data, df.denoise(image, method=method))


def test_settings(noisy, opened, result_of):
    image = (noisy(40, 50).clip(0, 1) * 4095).astype(np.uint16)
    viewer, widget = opened(image)
    widget.method.value = "perona_malik"
    widget.parameters.fill({"kappa": 0.05, "diffusivity": "tukey"})
    widget.sigma.value = 0.08
    widget.noise.value = "poisson"
    widget.strength.value = 0.5
    widget.data_range.value = 4095
    expected = df.denoise(
        image, 0.08, "perona_malik", noise="poisson", strength=0.5, data_range=4095, kappa=0.05,
        diffusivity="tukey",
    )  # fmt: skip
    layer = result_of(viewer, widget)
    assert_array_equal(layer.data, expected)
    assert not np.array_equal(layer.data, df.denoise(image, method="perona_malik"))


def test_colours_are_filtered_together_and_alpha_stays(noisy, opened, result_of):
    colour = noisy(30, 3, 40).swapaxes(1, 2).clip(0, 1)
    expected = df.denoise(colour, channel_axis=-1)
    layer = result_of(*opened(colour, rgb=True))
    assert layer.rgb
    assert_array_equal(layer.data, expected)
    alpha = np.linspace(0, 1, 30 * 40, dtype=np.float32).reshape(30, 40, 1)
    layer = result_of(*opened(np.concatenate([colour, alpha], -1), rgb=True))
    assert_array_equal(layer.data[..., :3], expected)
    assert_array_equal(layer.data[..., 3:], alpha)


def test_a_volume_by_the_spacing_of_its_scale(noisy, opened, result_of):
    volume = noisy(7, 24, 30)
    viewer, widget = opened(volume, scale=(3, 1, 1))
    widget.space.value = "3-D volume"
    widget.method.value = "perona_malik"
    expected = df.denoise(volume, method="perona_malik", spacing=(3, 1, 1))
    assert_array_equal(result_of(viewer, widget).data, expected)
    assert not np.array_equal(expected, df.denoise(volume, method="perona_malik"))


def test_each_time_and_channel_by_itself(noisy, opened, result_of):
    series = noisy(2, 3, 30, 40) + np.float32([0, 0.2, 0.4]).reshape(3, 1, 1)
    viewer, widget = opened(series, axis_labels=("t", "c", "y", "x"))
    found = result_of(viewer, widget).data
    for t, c in np.ndindex(2, 3):
        assert_array_equal(found[t, c], df.denoise(series[t, c]))


def test_what_is_not_along_space_may_stand_anywhere(noisy, opened, result_of):
    """Channels last, and the other axes on the canvas."""
    image = np.stack([noisy(30, 40), 0.5 * noisy(30, 40)], -1)
    viewer, widget = opened(image, axis_labels=("y", "x", "c"))
    found = result_of(viewer, widget).data
    for c in range(2):
        assert_array_equal(found[..., c], df.denoise(image[..., c]))


def test_slices_are_those_on_the_canvas(noisy, opened, result_of):
    volume = noisy(20, 3, 30)
    viewer, widget = opened(volume)
    viewer.dims.order = (1, 0, 2)
    assert_array_equal(result_of(viewer, widget).data[:, 1], df.denoise(volume[:, 1]))


def test_a_lazy_layer_is_computed_slice_by_slice(noisy, opened, result_of):
    array = pytest.importorskip("dask.array", reason="dask is not installed")
    series, computed = noisy(4, 24, 30), []

    def note(block, block_info=None):
        computed.append(block.shape)
        return block

    lazy = array.from_array(series, chunks=(1, 24, 30)).map_blocks(note, dtype=np.float32)
    viewer, widget = opened(lazy, contrast_limits=(0, 1))
    computed.clear()
    found = result_of(viewer, widget).data
    assert isinstance(found, np.ndarray)
    assert_array_equal(found, df.denoise(series, time_axis=0))
    assert set(computed) == {(1, 24, 30)}


def test_of_several_resolutions_the_finest(noisy, opened, result_of):
    image = noisy(64, 80)
    layer = result_of(*opened([image, image[::2, ::2]], multiscale=True))
    assert_array_equal(layer.data, df.denoise(image))


def test_blocks_equal_the_whole(noisy, opened, result_of, monkeypatch):
    monkeypatch.setattr(filtering, "BLOCK_PIXELS", 2000)
    monkeypatch.setattr(filtering, "IN_FLIGHT", 64_000)
    monkeypatch.setattr("difffilter.blocks.filter.IN_FLIGHT", 64_000)
    image, shares = noisy(180, 200), []
    viewer, widget = opened(image)
    widget.method.value = "perona_malik"
    given = {
        "time": 1.0,
        "kappa": 0.1,
        "diffusivity": "rational",
        "presmooth": 0.0,
        "scheme": "explicit",
    }
    widget.parameters.fill(given)
    show, widget._show_progress = widget._show_progress, lambda s: (shares.append(s), show(s))
    found = result_of(viewer, widget).data
    expected = df.denoise(image, method="perona_malik", **given)
    assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert len(shares) >= 4
    assert max(shares) == 1


# --- the layer -------------------------------------------------------------------------------


def test_the_result_looks_like_its_source(noisy, opened, result_of):
    image = (255 * noisy(3, 30, 40).clip(0, 1)).astype(np.uint8)
    look = {"colormap": "magma", "gamma": 0.7, "blending": "additive", "opacity": 0.8,
            "scale": (2, 0.5, 0.5), "translate": (1, 2, 3), "rotate": 30, "axis_labels": ("t", "y", "x"),
            "units": ("s", "um", "um"), "affine": np.diag([1, 2, 2, 1.0])}  # fmt: skip
    viewer, widget = opened(image, contrast_limits=(51, 204), **look)
    source, layer = viewer.layers[0], result_of(viewer, widget)
    for name in ("gamma", "blending", "opacity", "axis_labels", "units", "rgb"):
        assert getattr(layer, name) == getattr(source, name), name
    assert layer.colormap.name == "magma"
    for name in ("scale", "translate", "rotate", "affine"):
        assert_array_equal(
            np.asarray(getattr(layer, name)), np.asarray(getattr(source, name)), name
        )
    assert_allclose(layer.data_to_world((2, 20, 30)), source.data_to_world((2, 20, 30)))
    assert_allclose(layer.contrast_limits, (0.2, 0.8))  # intensities of integers are scaled


def test_the_metadata_repeat_the_result(noisy, opened, result_of):
    series = noisy(2, 30, 40)
    layer = result_of(*opened(series, name="cells"))
    about = layer.metadata["difffilter"]
    assert (about["method"], about["layer"], about["version"]) == ("auto", "cells", df.__version__)
    assert [entry["slice"] for entry in about["chosen"]] == [{0: 0}, {0: 1}]
    for frame, entry, found in zip(series, about["chosen"], layer.data, strict=True):
        assert_array_equal(df.make(entry["method"])(frame, entry["sigma"]), found)


# --- choosing --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["perona_malik", "srad", "learned"])
def test_what_is_chosen_is_what_estimate_parameters_chooses(method, noisy, opened, wait_for):
    series = noisy(3, 40, 50) * np.float32([1, 0.5, 0.8]).reshape(3, 1, 1)
    viewer, widget = opened(series)
    widget.method.value = method
    viewer.dims.current_step = (1, 0, 0)
    widget.choose()
    wait_for(widget)
    chosen = df.estimate_parameters(series[1], method=method)
    assert widget.method.value == method
    made = df.make(method, **widget.parameters.given)
    if "sigma" in made.parameters:
        made = made.replace(sigma=widget.sigma.value)
    assert made == chosen.method
    assert widget.sigma.value == chosen.sigma


def test_what_auto_chose_is_filled_in_and_used_for_all_slices(noisy, opened, wait_for, result_of):
    series = noisy(2, 40, 50) * np.float32([1, 0.5]).reshape(2, 1, 1)
    viewer, widget = opened(series)
    viewer.dims.current_step = (0, 0, 0)
    widget.choose()
    wait_for(widget)
    chosen = df.estimate_parameters(series[0]).method
    assert df.make(widget.method.value, **widget.parameters.given) == chosen
    assert len(viewer.layers) == 1
    found = result_of(viewer, widget).data
    assert_array_equal(found, np.stack([chosen(frame) for frame in series]))


# --- what stops it ---------------------------------------------------------------------------


def test_cancel_leaves_no_layer(noisy, opened, wait_for, qtbot):
    viewer, widget = opened(np.repeat(noisy(1, 40, 50), 500, 0))
    widget.method.value = "perona_malik"
    shares = []
    show, widget._show_progress = widget._show_progress, lambda s: (shares.append(s), show(s))
    widget.run()
    assert widget.cancel_button.enabled
    assert not widget.run_button.enabled
    qtbot.waitUntil(lambda: bool(shares), timeout=60_000)
    widget.cancel_button.native.click()
    wait_for(widget)
    assert max(shares) < 1
    assert len(viewer.layers) == 1
    assert widget.run_button.enabled
    assert not widget.cancel_button.enabled
    assert widget._progress.value == 0


def test_the_newest_task_wins(qtbot, told):
    def work(name, count):
        for number in range(count):
            yield name, number
            started.set()
            go.wait(20)
        return name

    started, go, seen = Event(), Event(), []
    task = Task(lambda: seen.append("begins" if task.running else "ends"))
    for name, count in (("old", 3), ("skipped", 1), ("new", 2)):
        task.start(work, name, count, yielded=seen.append, returned=seen.append)
        assert started.wait(20)
    go.set()
    qtbot.waitUntil(lambda: not task.running, timeout=20_000)
    assert seen == ["begins", "begins", ("new", 0), ("new", 1), "new", "ends"]


def test_errors_become_one_line(noisy, opened, wait_for, told):
    image = noisy(2, 30, 40)
    image[1, 3, 4] = np.nan
    viewer, widget = opened(image)
    widget.run()
    wait_for(widget)
    assert len(told) == 1
    assert told[0].startswith("image has 1 pixels that are NaN or infinite; replace them")
    assert told[0].endswith("This is the slice at 1 of axis 0, counted from 0.")
    assert "\n" not in told[0]
    assert len(viewer.layers) == 1
    assert widget.run_button.enabled


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("perona_malik", {"kappa": -1}, "kappa is -1; expected a finite number > 0"),
        ("heat", {"time": -1.0}, "time is -1.0; expected a finite number ≥ 0"),
        ("learned", {"weights": "nonesuch"}, "nonesuch"),
    ],
)
def test_bad_parameters_become_one_line(method, given, message, noisy, opened, wait_for, told):
    viewer, widget = opened(noisy(30, 40))
    widget.method.value = method
    widget.parameters.fill(given)
    for act in (widget.run, widget.choose):
        told.clear()
        act()
        wait_for(widget)
        assert [message in text for text in told] == [True]
    assert len(viewer.layers) == 1


def test_too_few_axes_of_space_become_one_line(noisy, opened, told):
    _, widget = opened(noisy(30, 40), name="flat")
    widget.space.value = "3-D volume"
    widget.run()
    assert told == ["layer 'flat' has 2 axes of space; expected 3 at least"]
    assert not widget.task.running


def test_labels_scale_and_the_layer_are_followed(noisy, opened):
    viewer, widget = opened(noisy(6, 30, 40), name="stack")
    layer = viewer.layers[0]
    assert widget.space.value == "2-D slices"
    layer.axis_labels = ("z", "y", "x")
    assert widget.space.value == "3-D volume"
    layer.scale = (4, 1, 1)
    assert widget._spacing.text() == "4 × 1 × 1 along z, y, x"
    viewer.add_image(noisy(6, 30, 40), name="other")
    widget.layer.value = viewer.layers["other"]
    assert widget._spacing.text() == "1 × 1"
    widget.space.value = "3-D volume"
    layer.units = ("s", "um", "um")  # of the first, which no longer matters
    assert widget.space.value == "3-D volume"


def test_only_image_layers_are_offered(noisy, opened):
    viewer, widget = opened(noisy(30, 40), name="one")
    viewer.add_labels(np.ones((30, 40), int))
    viewer.add_image(noisy(30, 40), name="two")
    assert isinstance(viewer.layers[1], Labels)
    assert [layer.name for layer in widget.layer.choices] == ["one", "two"]
    viewer.layers.clear()
    assert widget.layer.choices == ()
    assert not widget.run_button.enabled


@pytest.fixture
def long_run(noisy, opened, qtbot):
    """A viewer, the widget and what it does, in the midst of a run that takes long."""
    viewer, widget = opened(np.repeat(noisy(1, 40, 50), 2000, 0))
    widget.method.value = "perona_malik"
    task, preview, bar = widget.task, widget.preview, widget._progress
    widget.run()
    qtbot.waitUntil(lambda: bar.value > 0, timeout=60_000)
    widget.preview_box.value = True
    return viewer, widget, task, preview


def test_it_ends_with_its_panel(long_run, qtbot):
    viewer, widget, task, preview = long_run
    viewer.window.remove_dock_widget("all")
    assert not widget.preview_box.value
    qtbot.waitUntil(lambda: not (task.running or preview.pending), timeout=20_000)
    assert len(viewer.layers) == 1


def test_nothing_keeps_a_closed_widget(noisy, make_napari_viewer, qtbot):
    from difffilter.integrations.napari.widget import DenoiseWidget

    viewer = make_napari_viewer()
    viewer.add_image(noisy(40, 50))
    widget = DenoiseWidget(viewer)
    known = ref(widget)
    viewer.window.add_dock_widget(widget, name="difffilter")
    viewer.window.remove_dock_widget("all")
    del widget
    qtbot.wait(50)
    gc.collect()
    assert known() is None


def test_it_ends_with_its_window(long_run, qtbot):
    viewer, widget, task, preview = long_run
    widget.deleteLater()
    qtbot.waitUntil(lambda: not (task.running or preview.pending), timeout=20_000)
    assert len(viewer.layers) == 1
    viewer.dims.ndisplay = 3  # which it followed


def test_threads_end_with_the_viewer(long_run, qtbot):
    viewer, _, task, preview = long_run
    viewer.close()
    qtbot.waitUntil(lambda: not (task.running or preview.pending), timeout=20_000)
