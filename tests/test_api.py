"""Parameters chosen for an image, to pass on; evolutions at chosen times."""

import numpy as np
import pytest
from equations import EQUATIONS
from skimage.transform import resize

import difffilter as df
from difffilter import catalog

CHOOSERS = [name for name in df.methods() if name != "identity"]


@pytest.fixture
def noisy(photo, rng):
    return photo[:64, :64] + rng.normal(0, 0.1, (64, 64))


@pytest.mark.parametrize("method", CHOOSERS)
def test_can_be_passed_on(method, noisy):
    chosen = df.estimate_parameters(noisy, method=method)
    expected = df.denoise(noisy, method=method)
    np.testing.assert_array_equal(chosen.method(noisy, chosen.sigma), expected)
    np.testing.assert_array_equal(df.make(str(chosen))(noisy, chosen.sigma), expected)
    if method not in ("auto", "blended", "stabilized"):  # which have parameters of their own
        np.testing.assert_array_equal(
            df.denoise(noisy, sigma=chosen.sigma, method=method, **chosen), expected
        )
    assert len(chosen) == len(dict(chosen)) > 0
    with pytest.raises(KeyError):
        chosen["sigma"]


@pytest.mark.parametrize("function", EQUATIONS)
def test_to_a_function(function, noisy):
    chosen = df.estimate_parameters(noisy, method=function)
    result = getattr(df, function)(noisy, **chosen)
    np.testing.assert_array_equal(result, chosen.method(noisy))


def test_given_parameters_stay(noisy, colour_photo):
    chosen = df.estimate_parameters(
        noisy, method="perona_malik", sigma=0.1, diffusivity="tukey", kappa="mad"
    )
    assert chosen.sigma == 0.1
    assert chosen["diffusivity"] == "tukey"
    assert chosen["kappa"] > 0.1
    wrapped = df.estimate_parameters(noisy, method=df.Heat(), noise="poisson")
    assert str(wrapped).startswith("stabilized(method='heat(time=")
    chosen = df.estimate_parameters(colour_photo, method="ddpm", sigma=0.1, channel_axis=-1)
    assert chosen["weights"] == "natural-color"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "identity"}, ValueError, "method is identity; expected one with parameters to estimate"),
        ({"method": "het"}, ValueError, "unknown method 'het'; did you mean 'heat'?"),
        ({"method": df.Heat(), "time": 3}, TypeError,
         "method is Heat(time=None, fidelity=0.0, spacing=None, scheme='exact', step=None, device=None) "
         "with parameters time; expected parameters only with the name of a method"),
        ({"noise": "pink"}, ValueError,
         "noise is 'pink'; expected one of gaussian, poisson, speckle"),
        ({"sigma": -1}, ValueError, "sigma is -1; expected a finite number ≥ 0"),
    ],
)  # fmt: skip
def test_bad_arguments_of_estimate_parameters(arguments, error, message):
    with pytest.raises(error) as caught:
        df.estimate_parameters(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message


# --- scale spaces ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", EQUATIONS)
def test_goes_on_from_time_to_time(name, photo, rng):
    noisy = photo[:48, :50] + rng.normal(0, 0.05, (48, 50))
    method = df.make(name).choose(noisy)
    times = method.time * np.array([0, 1, 1, 2])
    start, once, again, twice = df.scale_space(noisy, method, times)
    np.testing.assert_allclose(start, noisy, atol=1e-14)
    np.testing.assert_allclose(once, method(noisy), atol=1e-14)
    np.testing.assert_allclose(again, once, atol=1e-14)
    np.testing.assert_allclose(twice, method(once), atol=1e-9)


def test_chooses_once_what_is_none(photo, rng):
    noisy = (photo + rng.normal(0, 0.1, photo.shape)).astype(np.float32)
    chosen = df.PeronaMalik().choose(noisy, 0.1)
    [last] = df.scale_space(noisy, "perona_malik", [chosen.time], sigma=0.1)
    np.testing.assert_array_equal(last, chosen(noisy))


@pytest.mark.parametrize("scale", [1, 1000])
@pytest.mark.parametrize("name", [*EQUATIONS, "auto"])
def test_an_image_without_noise_evolves_as_well(name, scale, photo):
    clean = scale * resize(photo, (64, 64), anti_aliasing=True)
    clean += 1e-5 * scale * np.random.default_rng(0).random(clean.shape)
    unit = scale if name == "tv_flow" else 1  # its time goes with the intensity
    first, last = df.scale_space(clean, name, [0.1 * unit, 10 * unit])
    assert np.var(last) < 0.97 * np.var(first)


def test_auto_evolves_by_the_pde_of_least_risk(photo, rng):
    noisy = (photo[:64, :64] + rng.normal(0, 0.1, (64, 64))).astype(np.float32)
    chosen = df.make("auto").choose(noisy, 0.1)
    [last] = df.scale_space(noisy, "auto", [2.0], sigma=0.1)
    np.testing.assert_array_equal(last, chosen.replace(time=2.0)(noisy))


def test_heat_agrees_with_its_exact_solution(colour_photo):
    times = [0.5, 3, 20]
    for time, image in zip(
        times, df.scale_space(colour_photo, "heat", times, channel_axis=-1), strict=True
    ):
        np.testing.assert_allclose(image, df.heat(colour_photo, time, channel_axis=-1), atol=1e-12)


def test_what_is_yielded_may_be_written_to(photo):
    for time, image in zip([1, 2], df.scale_space(photo, "heat", [1, 2]), strict=True):
        np.testing.assert_allclose(image, df.heat(photo, time), atol=1e-12)
        image.fill(0)


@pytest.mark.parametrize(
    ("method", "times", "message"),
    [
        ("heat", [1, 0.5], "times is [1.0, 0.5]; expected numbers ≥ 0, none below the one before"),
        ("heat", [-1], "times is [-1.0]; expected numbers ≥ 0, none below the one before"),
        ("identity", [1], "method is identity, which has no time; expected a PDE"),
        ("het", [1], "unknown method 'het'; did you mean 'heat'?"),
    ],
)
def test_bad_arguments_of_scale_space(method, times, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.scale_space(np.zeros((4, 4)), method, times)  # before anything is drawn from it
    assert str(caught.value) == message


def test_every_pde_of_the_catalog_evolves():
    """(The laws of `EQUATIONS` are not those of a learned one, which has tests of its own.)"""
    homes = [name for name, home in catalog.CATALOG.items() if ".pde." in home]
    assert homes == ["auto", *EQUATIONS, "learned"]


def test_colours_taken_for_a_volume_are_warned_of(rng):
    colour = rng.random((20, 30, 3), np.float32)
    with pytest.warns(
        UserWarning, match=r"shape \(20, 30, 3\) and is filtered as a volume; if"
    ) as caught:
        df.denoise(colour, 0.1, "heat")
    assert caught[0].filename == __file__
    df.denoise(colour, 0.1, "heat", channel_axis=-1)
    df.denoise(np.moveaxis(colour, -1, 0), 0.1, "heat")


# --- series ---------------------------------------------------------------------------------


@pytest.fixture
def series(photo, rng):
    """(T, Y, X), with noise that becomes stronger."""
    return np.stack([photo[:40, :50] + rng.normal(0, s, (40, 50)) for s in (0.05, 0.1, 0.15)])


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_a_series_is_filtered_frame_by_frame(axis, series):
    frames = [df.denoise(frame, method="heat", full_output=True) for frame in series]
    moved = np.moveaxis(series, 0, axis)
    result, chosen = df.denoise(moved, method="heat", time_axis=axis, full_output=True)
    assert (result.shape, result.dtype) == (moved.shape, np.float64)
    np.testing.assert_array_equal(np.moveaxis(result, axis, 0), [frame for frame, _ in frames])
    assert chosen == [parameters for _, parameters in frames]
    assert chosen[0].sigma < chosen[1].sigma < chosen[2].sigma
    np.testing.assert_array_equal(df.denoise(moved, method="heat", time_axis=axis), result)


def test_parameters_that_are_given_are_those_of_every_frame(series):
    _, chosen = df.denoise(series, 0.1, "heat", time=2, time_axis=0, full_output=True)
    assert {(each.sigma, each["time"]) for each in chosen} == {(0.1, 2.0)}


@pytest.mark.parametrize(("time", "channel"), [(0, -1), (0, 1), (1, 0), (-1, 0), (2, 1), (-1, -2)])
def test_a_series_in_colour(time, channel, rng):
    frames = rng.random((2, 20, 30, 3), np.float32)
    image = np.moveaxis(frames, (0, 3), (time, channel))
    result = df.denoise(image, 0.1, "heat", time_axis=time, channel_axis=channel)
    expected = np.stack([df.denoise(frame, 0.1, "heat", channel_axis=-1) for frame in frames])
    expected = np.moveaxis(expected, (0, 3), (time, channel))
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_a_series_of_volumes_takes_the_default_for_volumes(rng):
    series = 0.5 + rng.normal(0, 0.1, (2, 8, 20, 20))
    result, chosen = df.denoise(series, time_axis=0, full_output=True)
    np.testing.assert_array_equal(result, [df.denoise(volume) for volume in series])
    assert {type(each.method) for each in chosen} <= {df.PeronaMalik, df.TVFlow}


def test_a_series_in_any_array(series):
    da = pytest.importorskip("dask.array")
    torch = pytest.importorskip("torch")
    expected = df.denoise(series, 0.1, "heat(time=2)", time_axis=0)
    lazy = df.denoise(da.from_array(series, (1, 30, 30)), 0.1, "heat(time=2)", time_axis=0)
    assert isinstance(lazy, da.Array)
    np.testing.assert_allclose(lazy, expected, atol=1e-5)
    tensor = df.denoise(torch.from_numpy(series), 0.1, "heat(time=2)", time_axis=0)
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(
        df.denoise(series.tolist(), 0.1, "heat(time=2)", time_axis=0), expected
    )
    masked = np.ma.masked_greater(series, 0.9)
    result = df.denoise(masked, 0.1, "heat(time=2)", time_axis=0)
    np.testing.assert_array_equal(result[1], df.denoise(masked[1], 0.1, "heat(time=2)"))
    counts = (4095 * np.clip(series, 0, 1)).astype(np.uint16)
    np.testing.assert_array_equal(
        df.denoise(counts, method="heat", time_axis=0, data_range=4095),
        df.denoise((counts / 4095).astype(np.float32), method="heat", time_axis=0),
    )


def test_errors_in_a_series_name_the_frame(series):
    series[1, 3, 3] = np.nan
    with pytest.raises(ValueError, match="image has 1 pixels that are NaN") as caught:
        df.denoise(series, time_axis=0)
    assert caught.value.__notes__ == ["This is frame 1 of 3, counted from 0."]


@pytest.mark.parametrize(
    ("shape", "axes", "error", "message"),
    [
        ((5, 6, 20, 20), {}, ValueError,
         "image has shape (5, 6, 20, 20) with channel_axis=None; expected 2 or 3 axes besides "
         "channels; filter a series frame by frame: denoise(image, time_axis=0)"),
        ((5, 20, 20), {"time_axis": 3}, ValueError,
         "time_axis is 3; expected one of the 3 axes of image"),
        ((5, 20, 20), {"time_axis": "t"}, TypeError,
         "time_axis is 't'; expected a whole number or None"),
        ((5, 20, 20), {"time_axis": 0, "channel_axis": -3}, ValueError,
         "time_axis is 0, as is channel_axis; expected another axis"),
        ((5, 20, 20, 3), {"time_axis": 0, "channel_axis": 4}, ValueError,
         "channel_axis is 4; expected one of the 4 axes of image"),
        ((0, 20, 20), {"time_axis": 0}, ValueError, "image is empty: its shape is (0, 20, 20)"),
        ((5, 20), {"time_axis": 0}, ValueError,
         "image has shape (20,) with channel_axis=None; expected 2 or 3 axes besides channels"),
    ],
)  # fmt: skip
def test_bad_series(shape, axes, error, message):
    with pytest.raises(error) as caught:
        df.denoise(np.zeros(shape), **axes)
    assert str(caught.value) == message


def test_colours_of_a_series_taken_for_volumes_are_warned_of_once(rng):
    with pytest.warns(UserWarning, match=r"shape \(20, 30, 3\)") as caught:
        df.denoise(rng.random((2, 20, 30, 3)), 0.1, "heat", time_axis=0)
    assert [each.filename for each in caught] == [__file__]
