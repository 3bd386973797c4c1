"""Parameters that are chosen for an image, to pass on."""

import numpy as np
import pytest
from equations import EQUATIONS

import difffilter as df

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
    if method != "stabilized":  # which has a parameter `method` of its own
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
    told = df.estimate_parameters(noisy, method=df.Heat(), noise="poisson")
    assert str(told).startswith("stabilized(method='heat(time=")
    chosen = df.estimate_parameters(colour_photo, method="ddpm", sigma=0.1, channel_axis=-1)
    assert chosen["weights"] == "natural-color"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "identity"}, ValueError, "method is identity; expected one with parameters to estimate"),
        ({"method": "het"}, ValueError, "unknown method 'het'; did you mean 'heat'?"),
        ({"method": df.Heat(), "time": 3}, TypeError,
         "method is Heat(time=None, scheme='exact', step=None, fidelity=0.0, spacing=None, device=None) "
         "with parameters time; expected parameters only with the name of a method"),
        ({"noise": "pink"}, ValueError,
         "noise is 'pink'; expected one of gaussian, poisson, speckle"),
        ({"sigma": -1}, ValueError, "sigma is -1; expected a finite number ≥ 0"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        df.estimate_parameters(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message
