"""The command estimate, and options for what is chosen."""

import shlex

import numpy as np
import pytest
from command import invoke_error, invoke_ok, run
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
    *comments, command = text.splitlines()
    assert comments[0].startswith("# sigma=0.")
    assert all(line.startswith("# ") for line in comments)
    assert "'\"'\"'" not in command  # which nobody can read
    invoke_ok(*shlex.split(command)[1:], "-o", "again.png", cwd=folder)
    noisy, first, again = (
        np.asarray(Image.open(folder / name))
        for name in ("a noisy one.png", "a noisy one_smooth.png", "again.png")
    )
    np.testing.assert_array_equal(first, again)
    assert (first != noisy).any()


def test_the_noise_is_described_and_drawn(folder):
    """In a process of its own; a shell can run all that it prints."""
    noisy = df.add_noise(np.full((96, 96, 3), 0.5), 0.1, "correlated", channel_axis=-1)
    Image.fromarray(like(noisy, np.uint8(0))).save(folder / "scan.jpg", quality=90)
    result = run("estimate", "scan.jpg", "-m", "heat", "--plot", "noise.png", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    *comments, command = result.stdout.splitlines()
    assert all(line.startswith("# ") for line in comments)
    assert comments[1].startswith("# JPEG of quality 90; steps in 1/255: luminance 2 to 24, chroma")
    assert comments[2].startswith("# not white: correlation 0.")
    with Image.open(folder / "scan.jpg") as scan:
        expected = str(df.estimate_noise(scan, channel_axis=-1))
    assert [line[2:] for line in comments[2:]] == expected.splitlines()
    assert command.startswith("difffilter smooth scan.jpg -m ")
    with Image.open(folder / "noise.png") as drawn:
        assert drawn.width > 500
    again = run("estimate", "scan.jpg", "-m", "heat", "--plot", "noise.png", cwd=folder)
    assert again.returncode == 2
    assert "noise.png exists" in again.stderr


def test_noise_that_was_given_is_not_described(folder):
    for options in (["--sigma", "25/255"], ["--noise", "poisson"]):
        text = invoke_ok("estimate", "grey.png", "-m", "heat", *options, cwd=folder)
        assert len(text.splitlines()) == 2
    white = invoke_ok("estimate", "grey.png", "-m", "heat", cwd=folder).splitlines()
    assert white[1].startswith("# white: independent from pixel to pixel, sigma ")


@pytest.mark.parametrize("name", ["noise.svg", "noise.pdf"])
def test_the_drawing_in_other_formats(folder, name):
    invoke_ok("estimate", "grey.png", "-m", "heat", "--sigma", "0.1", "--plot", name, cwd=folder)
    head = (folder / name).read_bytes()[:200]
    assert head.startswith(b"%PDF") or b"<?xml" in head


def test_a_drawing_without_a_format_is_refused_before_the_work(folder):
    message = invoke_error("estimate", "missing.png", "--plot", "noise.doc", cwd=folder)
    assert "noise.doc" in message


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
