"""The command estimate, and options for what is chosen."""

import shlex

import numpy as np
import pytest
from command import invoke_error, invoke_ok
from PIL import Image

import difffilter as df
from difffilter.image import like


@pytest.mark.parametrize(
    "options", [["-m", "tv_flow", "--sigma", "25/255"], ["--noise", "poisson"], ["-m", "ddpm"]]
)
def test_the_command_that_is_printed_does_the_same(options, folder):
    (folder / "grey.png").rename(folder / "a noisy one.png")
    invoke_ok("smooth", "a noisy one.png", *options, cwd=folder)
    text = invoke_ok("estimate", "a noisy one.png", *options, cwd=folder)
    comment, command = text.splitlines()
    assert comment.startswith("# sigma=0.")
    assert "'\"'\"'" not in command  # which nobody can read
    invoke_ok(*shlex.split(command)[1:], "-o", "again.png", cwd=folder)
    noisy, first, again = (
        np.asarray(Image.open(folder / name))
        for name in ("a noisy one.png", "a noisy one_smooth.png", "again.png")
    )
    np.testing.assert_array_equal(first, again)
    assert (first != noisy).any()


def test_old_name_of_the_noise_option(folder):
    new, old, usual = (
        invoke_ok("estimate", "grey.png", "-m", "heat", *options, cwd=folder)
        for options in (["--noise", "poisson"], ["--noise-model", "poisson"], [])
    )
    assert new == old != usual
    for option in ("--noise", "--noise-model"):
        out = f"{option[2:]}.png"
        invoke_ok("smooth", "grey.png", option, "speckle", "-m", "heat", "-o", out, cwd=folder)
    outs = [(folder / name).read_bytes() for name in ("noise.png", "noise-model.png")]
    assert outs[0] == outs[1]


def test_kinds_of_noise_and_rules_for_kappa(photo, tmp_path):
    counts = like(df.add_noise(photo, 0.1, "poisson"), np.uint8(0))
    Image.fromarray(counts).save(tmp_path / "photons.png")
    invoke_ok("smooth", "photons.png", "--noise", "poisson", "-m", "tv_flow",
              "--fidelity", "0.5", "-o", "told.png", cwd=tmp_path)  # fmt: skip
    told = np.asarray(Image.open(tmp_path / "told.png"))
    expected = df.denoise(counts, method="tv_flow", fidelity=0.5, noise="poisson")
    np.testing.assert_array_equal(told, like(expected, counts))
    invoke_ok("smooth", "photons.png", "--kappa", "mad", "-o", "mad.png", cwd=tmp_path)
    mad = np.asarray(Image.open(tmp_path / "mad.png"))
    np.testing.assert_array_equal(mad, like(df.EdgeEnhancing(kappa="mad")(counts), counts))
    for options, message in [
        (
            ["--kappa", "made"],
            "kappa is 'made'; expected one of mad, quantile, sigma; did you mean 'mad'?",
        ),
        (["--noise", "poisson", "-m", "srad"], "srad is for speckle noise, not for poisson"),
    ]:
        assert message in invoke_error("smooth", "photons.png", *options, cwd=tmp_path)
