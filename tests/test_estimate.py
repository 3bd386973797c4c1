"""Parameters for an image, to pass on, and the command that prints them."""

import shlex

import numpy as np
import pytest
from command import invoke
from equations import EQUATIONS
from PIL import Image

import difffilter as df
from difffilter.image import like

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
        chosen["no parameter"]


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


# --- the command line -----------------------------------------------------------------------


def run(*arguments, cwd, code=0):
    result = invoke(*arguments, cwd=cwd)
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


@pytest.mark.parametrize(
    "options", [["-m", "tv_flow", "--sigma", "25/255"], ["--noise-model", "poisson"]]
)
def test_the_command_that_is_printed_does_the_same(options, noisy, tmp_path):
    Image.fromarray(like(noisy, np.uint8(0))).save(tmp_path / "a noisy one.png")
    run("smooth", "a noisy one.png", *options, cwd=tmp_path)
    text = run("estimate", "a noisy one.png", *options, cwd=tmp_path)
    comment, command = text.splitlines()
    assert comment.startswith("# sigma=0.")
    program, *arguments = shlex.split(command)
    assert program == "difffilter"
    run(*arguments, "-o", "again.png", cwd=tmp_path)
    first, again = (
        np.asarray(Image.open(tmp_path / name)) for name in ("a noisy one_smooth.png", "again.png")
    )
    np.testing.assert_array_equal(first, again)
    assert (first != like(noisy, np.uint8(0))).any()


def test_noise_model_and_rules_on_the_command_line(photo, tmp_path):
    counts = like(df.add_noise(photo, 0.1, "poisson"), np.uint8(0))
    Image.fromarray(counts).save(tmp_path / "photons.png")
    run("smooth", "photons.png", "--noise-model", "poisson", "-m", "tv_flow",
        "--fidelity", "0.5", "-o", "told.png", cwd=tmp_path)  # fmt: skip
    told = np.asarray(Image.open(tmp_path / "told.png"))
    expected = df.denoise(counts, method="tv_flow", fidelity=0.5, noise="poisson")
    np.testing.assert_array_equal(told, like(expected, counts))
    run("smooth", "photons.png", "--kappa", "mad", "-o", "mad.png", cwd=tmp_path)
    mad = np.asarray(Image.open(tmp_path / "mad.png"))
    np.testing.assert_array_equal(mad, like(df.EdgeEnhancing(kappa="mad")(counts), counts))
    for options, message in [
        (["--kappa", "made"], "'made' is no rule for kappa; did you mean 'mad'?"),
        (["--noise-model", "poisson", "-m", "srad"], "srad is for speckle noise, not for poisson"),
    ]:
        text = run("smooth", "photons.png", *options, cwd=tmp_path, code=2)
        assert message in text
        assert text.count("\n") == 1


def test_rules_of_the_command_line_are_all_there_are():
    from difffilter.cli.main import RULES
    from difffilter.pde.choose.kappa import KAPPA_RULES

    assert RULES == KAPPA_RULES
