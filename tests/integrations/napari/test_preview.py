"""The preview is the part of the result that is on the canvas, as a layer for a while."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import difffilter as df

pytest.importorskip("napari", reason="napari is not installed")
pytest.importorskip("pytestqt", reason="pytest-qt is not installed")

from difffilter.integrations.napari import filtering
from difffilter.integrations.napari.preview import is_preview


@pytest.fixture
def preview_of(wait_for, qtbot):
    """A function that returns the layer of the preview, once nothing changes any more."""

    def shown(viewer, widget):
        widget.preview_box.value = True
        while True:
            wait_for(widget)
            qtbot.wait(50)  # what was drawn now may ask for another
            if not widget.busy:
                break
        [layer] = [layer for layer in viewer.layers if is_preview(layer)]
        return layer

    return shown


def part_of(whole, layer, source):
    """The part of an array of the source's shape at which a layer without rotation is."""
    corner = np.rint(source.world_to_data(layer.data_to_world((0,) * layer.ndim))).astype(int)
    return whole[tuple(slice(a, a + n) for a, n in zip(corner, layer.data.shape, strict=False))]


def test_the_whole_of_a_small_image(noisy, opened, preview_of):
    image = noisy(40, 50)
    viewer, widget = opened(image)
    layer = preview_of(viewer, widget)
    assert_array_equal(layer.data, df.denoise(image))
    assert viewer.layers.selection.active is viewer.layers[0]  # as before
    assert list(viewer.layers) == [viewer.layers[0], layer]
    widget.preview_box.value = False
    assert len(viewer.layers) == 1


@pytest.mark.parametrize("method", ["perona_malik", "edge_enhancing", "learned"])
def test_only_what_is_on_the_canvas_as_in_the_whole(method, noisy, opened, preview_of):
    image = noisy(300, 400)
    viewer, widget = opened(image, show=True, scale=(2, 2), translate=(5, 7))
    widget.method.value = method
    camera = getattr(viewer, "scene", viewer).camera
    camera.zoom *= 8
    camera.center = (300, 390)
    layer = preview_of(viewer, widget)
    expected = part_of(df.denoise(image, method=method), layer, viewer.layers[0])
    assert 0 < layer.data.size < 0.25 * image.size
    assert_allclose(layer.data, expected, rtol=0, atol=1e-6)
    assert_array_equal(layer.scale, (2, 2))


def test_it_follows_the_canvas_and_the_settings(noisy, opened, preview_of):
    series = noisy(3, 40, 50) * np.float32([1, 0.5, 0.8]).reshape(3, 1, 1)
    viewer, widget = opened(series)
    viewer.dims.current_step = (0, 0, 0)
    layer = preview_of(viewer, widget)
    assert_array_equal(layer.data[0], df.denoise(series[0]))
    viewer.dims.current_step = (2, 0, 0)
    layer = preview_of(viewer, widget)
    assert_array_equal(layer.data[0], df.denoise(series[2]))
    assert layer.translate[0] == 2
    widget.method.value = "heat"
    widget.parameters.widgets["time"].value = 3.0
    layer = preview_of(viewer, widget)
    assert_allclose(layer.data[0], df.denoise(series[2], method="heat", time=3.0), atol=1e-6)


def test_it_follows_the_layer(noisy, opened, preview_of):
    viewer, widget = opened(noisy(40, 50))
    source, layer = viewer.layers[0], preview_of(viewer, widget)
    source.data = source.data[::-1].copy()
    layer = preview_of(viewer, widget)
    assert_array_equal(layer.data, df.denoise(source.data))
    source.contrast_limits, source.colormap, source.scale = (0.2, 0.9), "magma", (2, 1)
    layer = preview_of(viewer, widget)
    assert (layer.contrast_limits, layer.colormap.name) == ([0.2, 0.9], "magma")
    assert_array_equal(layer.scale, (2, 1))
    expected = df.denoise(source.data, spacing=(2, 1))
    assert_allclose(layer.data, part_of(expected, layer, source), rtol=0, atol=1e-6)


def test_it_moves_to_the_layer_that_is_picked(noisy, opened, preview_of):
    viewer, widget = opened(noisy(40, 50), name="one")
    colour = noisy(30, 3, 40).swapaxes(1, 2).clip(0, 1)
    viewer.add_image(colour, rgb=True, name="two")
    viewer.add_image(noisy(20, 30), name="three")
    preview_of(viewer, widget)
    for name in ("two", "three", "one"):
        widget.layer.value = viewer.layers[name]
        layer = preview_of(viewer, widget)
        assert widget.preview_box.value
        assert layer.name == f"{name} (preview)"
        assert viewer.layers.index(layer) == viewer.layers.index(name) + 1
        image = viewer.layers[name].data
        expected = df.denoise(image, channel_axis=-1 if name == "two" else None)
        assert_allclose(layer.data, part_of(expected, layer, viewer.layers[name]), atol=1e-6)
    assert viewer.layers.selection.active.name == "three"


def test_it_stays_hidden_if_the_user_hides_it(noisy, opened, preview_of):
    viewer, widget = opened(noisy(40, 50))
    preview_of(viewer, widget).visible = False
    widget.strength.value = 0.5
    layer = preview_of(viewer, widget)
    assert_array_equal(layer.data, df.denoise(viewer.layers[0].data, strength=0.5))
    assert not layer.visible


def test_a_plane_of_a_volume_with_its_neighbours(noisy, opened, preview_of):
    volume = noisy(9, 30, 40)
    viewer, widget = opened(volume, scale=(2, 1, 1), axis_labels=("z", "y", "x"))
    widget.method.value = "perona_malik"
    viewer.dims.current_step = (4, 0, 0)
    layer = preview_of(viewer, widget)
    expected = df.denoise(volume, method="perona_malik", spacing=(2, 1, 1))[4:5]
    assert_allclose(layer.data, expected, rtol=0, atol=1e-6)
    alone = df.denoise(volume[4], method="perona_malik")
    assert not np.allclose(layer.data[0], alone, atol=1e-3)


def test_colours(noisy, opened, preview_of):
    colour = (255 * noisy(30, 3, 40).swapaxes(1, 2).clip(0, 1)).astype(np.uint8)
    viewer, widget = opened(colour, rgb=True)
    layer = preview_of(viewer, widget)
    assert layer.rgb
    assert_array_equal(layer.data, df.denoise(colour, channel_axis=-1))


@pytest.mark.parametrize("zoom", [1, 6])
def test_the_finest_of_several_resolutions(zoom, noisy, opened, preview_of):
    image = noisy(1500, 1600)
    levels = [image[::step, ::step] for step in (1, 2, 4, 8)]
    viewer, widget = opened(levels, multiscale=True, show=True)
    widget.method.value = "heat"
    widget.parameters.widgets["time"].value = 0.5
    getattr(viewer, "scene", viewer).camera.zoom *= zoom
    layer = preview_of(viewer, widget)
    assert bool(viewer.layers[0].data_level) is (zoom == 1)
    expected = part_of(df.denoise(image, method="heat", time=0.5), layer, viewer.layers[0])
    assert_allclose(layer.data, expected, rtol=0, atol=1e-5)
    assert (layer.data.size > 0.9 * image.size) is (zoom == 1)
    assert layer.data.size > 100**2


def test_blocks_appear_from_the_middle(noisy, monkeypatch):
    from difffilter.integrations.napari.axes import Axes
    from difffilter.integrations.napari.preview import preview
    from difffilter.integrations.napari.recipe import Recipe

    monkeypatch.setattr(filtering, "BLOCK_PIXELS", 2000)
    monkeypatch.setattr(filtering, "IN_FLIGHT", 64_000)
    monkeypatch.setattr("difffilter.blocks.filter.IN_FLIGHT", 64_000)
    image = noisy(300, 320)
    given = {
        "time": 1.0,
        "kappa": 0.1,
        "diffusivity": "rational",
        "presmooth": 0.0,
        "scheme": "explicit",
    }
    recipe = Recipe("perona_malik", given, 0.1)
    axes, index = Axes(image.shape, (0, 1)), (slice(None), slice(None))
    region = ((10, 290), (5, 315))
    steps = [p for _, p in preview(image, axes, recipe, index, region, None)]
    expected = df.denoise(image, 0.1, "perona_malik", **given)
    assert_allclose(steps[-1], expected[10:290, 5:315], rtol=0, atol=1e-6)
    first = steps[0] != image[10:290, 5:315]
    assert 0 < first.mean() < 0.5
    assert first[140, 155]
    assert not first[[0, -1]].any()
    assert len(steps) == 9


def test_it_goes_when_a_run_begins_or_the_user_removes_it(noisy, opened, preview_of, wait_for):
    viewer, widget = opened(noisy(40, 50))
    viewer.layers.remove(preview_of(viewer, widget))
    assert not widget.preview_box.value
    preview_of(viewer, widget)
    widget.run()
    wait_for(widget)
    assert [is_preview(layer) for layer in viewer.layers] == [False, False]


def test_it_goes_with_its_source(noisy, opened, preview_of):
    viewer, widget = opened(noisy(40, 50))
    preview_of(viewer, widget)
    viewer.layers.remove(viewer.layers[0])
    assert len(viewer.layers) == 0
    assert not widget.preview_box.value


def test_an_error_is_told_once(noisy, opened, wait_for, told):
    _, widget = opened(noisy(40, 50))
    widget.method.value = "perona_malik"
    widget.parameters.fill({"kappa": -1})
    widget.preview_box.value = True
    wait_for(widget)
    assert told == ["kappa is -1; expected a finite number > 0"]


def test_nothing_is_filtered_in_three_dimensions(noisy, opened, preview_of, wait_for):
    viewer, widget = opened(noisy(4, 30, 40))
    layer = preview_of(viewer, widget)
    viewer.dims.ndisplay = 3
    wait_for(widget)
    assert not layer.visible
    viewer.dims.ndisplay = 2
    assert preview_of(viewer, widget).visible
