"""Images with labels come back with them."""

import numpy as np
import pytest

import difffilter as df
from difffilter.labels import relative, step_of, unlabelled

FILTERS = ["heat", "perona_malik", "tv_flow", "edge_enhancing", "curvature_motion"]


@pytest.fixture
def noisy(rng):
    return np.clip(0.5 + 0.1 * rng.standard_normal((32, 40)), 0, 1).astype(np.float32)


@pytest.fixture
def labelled(noisy):
    xarray = pytest.importorskip("xarray")
    coords = {"y": 2.0 * np.arange(32), "x": 2.0 * np.arange(40)[::-1]}
    return xarray.DataArray(noisy, coords, ("y", "x"), "height", {"units": "m"})


def same_labels(result, image):
    xarray = pytest.importorskip("xarray")
    assert type(result) is type(image)
    assert (result.name, result.attrs) == (image.name, image.attrs)
    xarray.testing.assert_equal(result.copy(data=image.values), image)


@pytest.mark.parametrize("name", FILTERS)
def test_filters_keep_coordinates(labelled, noisy, name):
    result = getattr(df, name)(labelled, 1.0, sigma=0.1)
    same_labels(result, labelled)
    np.testing.assert_array_equal(result.values, getattr(df, name)(noisy, 1.0, sigma=0.1))


def test_functions_that_return_an_image_keep_coordinates(labelled, noisy):
    for function in (df.denoise, lambda image: df.add_noise(image, 0.1, rng=1)):
        result = function(labelled)
        same_labels(result, labelled)
        np.testing.assert_array_equal(result.values, function(noisy))
    hole = np.zeros(noisy.shape, bool)
    hole[10:14, 10:14] = True
    same_labels(df.inpaint(labelled, hole, "harmonic"), labelled)
    smooth, chosen = df.heat(labelled, full_output=True)
    same_labels(smooth, labelled)
    assert chosen["sigma"] == df.heat(noisy, full_output=True)[1]["sigma"]
    smooth, chosen = df.denoise(labelled, full_output=True)
    same_labels(smooth, labelled)
    assert chosen == df.estimate_parameters(labelled) == df.estimate_parameters(noisy)


def test_functions_that_return_something_else_take_images_with_labels(labelled, noisy):
    assert df.estimate_sigma(labelled) == df.estimate_sigma(noisy)
    assert str(df.estimate_noise(labelled)) == str(df.estimate_noise(noisy))
    assert len(list(df.scale_space(labelled, "heat", times=[1.0, 2.0]))) == 2


def test_names_of_dimensions_tell_channels_and_time(rng):
    xarray = pytest.importorskip("xarray")
    pixels = rng.random((2, 24, 20, 3), np.float32)
    series = xarray.DataArray(pixels, dims=("Time", "y", "x", "band"))
    result = df.denoise(series, 0.1, "heat", time=1.0)
    same_labels(result, series)
    frames = [df.heat(frame, 1.0, channel_axis=-1) for frame in pixels]
    np.testing.assert_allclose(result.values, frames, atol=1e-6)
    one = df.heat(series[0], 1.0)
    np.testing.assert_array_equal(one.values, frames[0])
    # What is given counts.
    volume = df.denoise(series[..., 0], 0.1, "heat", time=1.0, time_axis=2)
    assert np.abs(volume.values - result.values[..., 0]).max() > 1e-3
    twice = xarray.DataArray(pixels, dims=("c", "y", "x", "band"))
    with pytest.raises(ValueError, match=r"^image has the dimensions \['c', 'y', 'x', 'band'\]"):
        df.denoise(twice)


@pytest.mark.parametrize("method", [None, "perona_malik", "heat"])
def test_uneven_pixels_are_told_to_the_method(rng, method):
    xarray = pytest.importorskip("xarray")
    pixels = rng.random((8, 24, 20), np.float32)
    coords = {"z": 1.5 * np.arange(8), "y": 0.5 * np.arange(24), "x": 0.5 * np.arange(20)}
    volume = xarray.DataArray(pixels, coords, ("z", "y", "x"))
    method = method or "auto"
    told = df.denoise(volume, 0.1, method)
    np.testing.assert_array_equal(told, df.denoise(pixels, 0.1, method, spacing=(3, 1, 1)))
    given = df.denoise(volume, 0.1, method, spacing=1)
    np.testing.assert_array_equal(given, df.denoise(pixels, 0.1, method, spacing=1))
    assert np.abs(told - given).max() > 1e-3


def test_steps_of_coordinates():
    assert step_of([0, 2, 4]) == step_of([4.0, 2.0, 0.0]) == 2
    for other in ([0, 1, 3], [1], None, ["a", "b"], [1, 1, 1], [[1, 2], [3, 4]]):
        assert step_of(other) is None
    assert relative([3.0, 1.0, 1.5]) == (3.0, 1.0, 1.5)
    assert relative([0.2, 0.1]) == (2.0, 1.0)
    assert relative([2.0, 2.0]) is relative([2.0, None]) is relative([]) is None


def test_tables_keep_their_names(noisy):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(noisy, index=[f"r{k}" for k in range(32)])
    result = df.perona_malik(table, sigma=0.1)
    assert list(result.index) == list(table.index)
    np.testing.assert_array_equal(result.to_numpy(), df.perona_malik(noisy, sigma=0.1))


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_simpleitk_keep_where_they_are(rng, channels):
    sitk = pytest.importorskip("SimpleITK")
    shape = (6, 20, 24) if channels == 1 else (6, 20, 24, 3)
    pixels = rng.random(shape, np.float32)
    image = sitk.GetImageFromArray(pixels, isVector=channels > 1)
    image.SetSpacing((0.5, 0.5, 2.0))
    image.SetOrigin((10.0, -3.0, 7.0))
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    image.SetMetaData("patient", "none")
    for result in (df.denoise(image, 0.1, "perona_malik"), df.perona_malik(image, sigma=0.1)):
        assert result.GetSpacing() == image.GetSpacing()
        assert result.GetOrigin() == image.GetOrigin()
        assert result.GetDirection() == image.GetDirection()
        assert result.GetMetaData("patient") == "none"
        expected = df.perona_malik(
            pixels, sigma=0.1, spacing=(4, 1, 1), channel_axis=None if channels == 1 else -1
        )
        np.testing.assert_array_equal(sitk.GetArrayFromImage(result), expected)


def test_images_of_itk_keep_where_they_are(rng):
    itk = pytest.importorskip("itk")
    pixels = rng.random((20, 24), np.float32)
    image = itk.image_from_array(pixels)
    image.SetSpacing((0.5, 1.0))
    image.SetOrigin((10.0, -3.0))
    result = df.perona_malik(image, sigma=0.1)
    assert list(result.GetSpacing()) == [0.5, 1.0]
    assert list(result.GetOrigin()) == [10.0, -3.0]
    expected = df.perona_malik(pixels, sigma=0.1, spacing=(2, 1))
    np.testing.assert_array_equal(itk.array_from_image(result), expected)


def test_arrays_have_no_labels(noisy):
    for image in (noisy, noisy.tolist(), 3.0, None):
        assert unlabelled(image) is None
