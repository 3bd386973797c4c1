"""The axes that are filtered together, and their spacing, by a layer's labels, units and scale."""

import numpy as np
import pytest

pytest.importorskip("napari", reason="napari is not installed")

from napari.layers import Image

from difffilter.integrations.napari.axes import axes_of, is_volume


def axes(shape, displayed=None, volume=False, **attributes):
    layer = Image(np.zeros(shape), **attributes)
    return axes_of(layer, volume, displayed or (layer.ndim - 2, layer.ndim - 1))


def test_slices_are_along_the_axes_that_are_displayed():
    found = axes((2, 3, 4, 5))
    assert (found.space, found.others, len(found.slices())) == ((2, 3), (0, 1), 6)
    assert found.slices()[4] == (1, 1, slice(None), slice(None))
    assert axes((2, 3, 4, 5), displayed=(3, 1)).space == (1, 3)


def test_colours_are_no_axis_of_the_layer():
    found = axes((6, 4, 5, 3), rgb=True)
    assert (found.shape, found.space, found.colours, found.channel_axis) == (
        (6, 4, 5),
        (1, 2),
        3,
        -1,
    )
    assert axes((4, 5)).channel_axis is None


def test_time_and_channels_are_never_filtered_together():
    labels = ("z", "T", "Channel", "y", "x")
    assert axes((2, 3, 4, 5, 6), axis_labels=labels, volume=True).space == (0, 3, 4)
    assert axes((2, 3, 4, 5, 6), axis_labels=labels, displayed=(1, 4)).space == (3, 4)
    by_unit = axes((3, 4, 5), units=("s", "um", "um"), displayed=(0, 2))
    assert by_unit.space == (1, 2)
    with pytest.raises(ValueError, match=r"^layer 'films' has 2 axes of space; expected 3"):
        axes((3, 4, 5), axis_labels=("t", "y", "x"), volume=True, name="films")


@pytest.mark.parametrize(
    ("scale", "units", "spacing"),
    [
        ((3, 1, 1), None, (3, 1, 1)),
        ((0.6, 0.2, 0.2), None, (3, 1, 1)),
        ((2, 2, 2), None, None),
        ((-3, 1, 1), None, (3, 1, 1)),
        ((0.6, 200, 200), ("um", "nm", "nm"), (3, 1, 1)),
    ],
)
def test_spacing_is_relative_and_in_one_unit(scale, units, spacing):
    found = axes((4, 5, 6), scale=scale, units=units, volume=True).spacing
    assert found == (spacing if spacing is None else pytest.approx(spacing))


@pytest.mark.parametrize(
    ("attributes", "volume"),
    [
        ({}, False),
        ({"axis_labels": ("z", "y", "x")}, True),
        ({"axis_labels": ("t", "y", "x")}, False),
        ({"units": ("um", "um", "um")}, True),
        ({"units": ("s", "um", "um")}, False),
    ],
)
def test_labels_and_units_tell_volumes(attributes, volume):
    assert is_volume(Image(np.zeros((3, 4, 5)), **attributes)) is volume
    assert not is_volume(Image(np.zeros((4, 5))))
