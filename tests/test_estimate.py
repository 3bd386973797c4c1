"""Parameters for an image, to pass on, and the command that prints them."""

import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import difffilter as df
from difffilter.image import like

CHOOSERS = [name for name in df.methods() if hasattr(df.make(name), "choose")]
FUNCTIONS = [name for name in CHOOSERS if callable(getattr(df, name, None))]


@pytest.fixture
def noisy(photo, rng):
    return photo[:64, :64] + rng.normal(0, 0.1, (64, 64))


@pytest.mark.parametrize("method", CHOOSERS)
def test_can_be_passed_on(method, noisy):
    chosen = df.estimate_parameters(noisy, method)
    expected = df.denoise(noisy, method=method)
    np.testing.assert_array_equal(chosen.method(noisy, chosen.sigma), expected)
    np.testing.assert_array_equal(df.make(str(chosen))(noisy, chosen.sigma), expected)
    if method != "stabilized":  # which has a parameter `method` of its own
        np.testing.assert_array_equal(df.denoise(noisy, chosen.sigma, method, **chosen), expected)
    assert len(chosen) == len(dict(chosen)) > 0
    with pytest.raises(KeyError):
        chosen["sigma"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_to_a_function(function, noisy):
    chosen = df.estimate_parameters(noisy, function)
    # (The functions of the tensor filters have no fidelity term.)
    parameters = {k: v for k, v in chosen.items() if k != "fidelity"}
    result = getattr(df, function)(noisy, **parameters)
    np.testing.assert_array_equal(result, chosen.method(noisy))


def test_given_parameters_stay(noisy, colour_photo):
    chosen = df.estimate_parameters(noisy, "perona_malik", 0.1, diffusivity="tukey", kappa="mad")
    assert chosen.sigma == 0.1
    assert chosen["diffusivity"] == "tukey"
    assert chosen["kappa"] > 0.1
    told = df.estimate_parameters(noisy, df.Heat(), noise="poisson")
    assert str(told).startswith("stabilized(method='heat(time=")
    chosen = df.estimate_parameters(colour_photo, "ddpm", 0.1, -1)
    assert chosen["weights"] == "natural-color"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "identity"}, ValueError, "identity has no parameters to estimate"),
        ({"method": "het"}, ValueError, "unknown method 'het'; did you mean 'heat'?"),
        ({"method": df.Heat(), "time": 3}, TypeError,
         "parameters go with the name of a method, not with a Denoiser"),
        ({"noise": "pink"}, ValueError,
         "noise must be one of gaussian, poisson, speckle; got 'pink'"),
        ({"sigma": -1}, ValueError, "sigma must be a number ≥ 0; got -1.0"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        df.estimate_parameters(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message


# --- the command line -----------------------------------------------------------------------


def run(*arguments, cwd, code=0):
    result = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


@pytest.mark.parametrize(
    "options", [["-m", "tv_flow", "--sigma", "25/255"], ["--noise", "poisson"]]
)
def test_the_command_that_is_printed_does_the_same(options, noisy, tmp_path):
    Image.fromarray(like(noisy, np.uint8(0))).save(tmp_path / "a noisy one.png")
    run("difffilter", "smooth", "a noisy one.png", *options, cwd=tmp_path)
    text = run("difffilter", "estimate", "a noisy one.png", *options, cwd=tmp_path)
    comment, command = text.splitlines()
    assert comment.startswith("# sigma=0.")
    run(*shlex.split(command), "-o", "again.png", cwd=tmp_path)
    first, again = (
        np.asarray(Image.open(tmp_path / name)) for name in ("a noisy one_smooth.png", "again.png")
    )
    np.testing.assert_array_equal(first, again)
    assert (first != like(noisy, np.uint8(0))).any()


def test_noise_model_and_rules_on_the_command_line(photo, tmp_path):
    counts = like(df.add_noise(photo, 0.1, "poisson"), np.uint8(0))
    Image.fromarray(counts).save(tmp_path / "photons.png")
    run("difffilter", "smooth", "photons.png", "--noise", "poisson", "-m", "tv_flow",
        "--fidelity", "0.5", "-o", "told.png", cwd=tmp_path)  # fmt: skip
    told = np.asarray(Image.open(tmp_path / "told.png"))
    expected = df.denoise(counts, method="tv_flow", fidelity=0.5, noise="poisson")
    np.testing.assert_array_equal(told, like(expected, counts))
    run("difffilter", "smooth", "photons.png", "--kappa", "mad", "-o", "mad.png", cwd=tmp_path)
    mad = np.asarray(Image.open(tmp_path / "mad.png"))
    np.testing.assert_array_equal(mad, like(df.EdgeEnhancing(kappa="mad")(counts), counts))
    for options, message in [
        (
            ["--kappa", "made"],
            "kappa is 'made'; expected one of mad, quantile, sigma; did you mean 'mad'?",
        ),
        (["--noise", "poisson", "-m", "srad"], "srad is for speckle noise, not for poisson"),
    ]:
        text = run("difffilter", "smooth", "photons.png", *options, cwd=tmp_path, code=2)
        assert message in text
        assert text.count("\n") == 1
