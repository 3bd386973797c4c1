"""Evolutions at chosen times."""

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df
from difffilter import catalog


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
def test_bad_arguments(method, times, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.scale_space(np.zeros((4, 4)), method, times)  # before anything is drawn from it
    assert str(caught.value) == message


def test_every_pde_of_the_catalog_evolves():
    homes = [name for name, home in catalog.CATALOG.items() if ".pde." in home]
    assert homes == list(EQUATIONS)
