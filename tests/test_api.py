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
    if method not in ("auto", "stabilized"):  # which have parameters of their own
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
    homes = [name for name, home in catalog.CATALOG.items() if ".pde." in home]
    assert homes == ["auto", *EQUATIONS]


def test_colours_taken_for_a_volume_are_warned_of(rng):
    colour = rng.random((20, 30, 3), np.float32)
    with pytest.warns(
        UserWarning, match=r"shape \(20, 30, 3\) and is filtered as a volume; if"
    ) as caught:
        df.denoise(colour, 0.1, "heat")
    assert caught[0].filename == __file__
    df.denoise(colour, 0.1, "heat", channel_axis=-1)
    df.denoise(np.moveaxis(colour, -1, 0), 0.1, "heat")


def test_a_series_is_filtered_frame_by_frame():
    with pytest.raises(ValueError, match=r"filter a series frame by frame: \[denoise\(frame\) for"):
        df.denoise(np.zeros((5, 6, 20, 20)))
