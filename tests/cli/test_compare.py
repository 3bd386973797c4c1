"""Adding noise to an image, and comparing methods on it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command import invoke_error, invoke_ok, run
from PIL import Image

import difffilter as df
from difffilter.catalog import usual_method
from difffilter.image import like
from difffilter.io.files import read


def test_noise_then_compare(tmp_path, photo):
    Image.fromarray(like(photo, np.uint8(0))).save(tmp_path / "clean.png")
    invoke_ok("noise", "clean.png", "--sigma", "25/255", "--seed", "3", cwd=tmp_path)
    noisy = np.asarray(Image.open(tmp_path / "clean_noisy.png")) / 255
    assert 20 < df.psnr(photo, noisy) < 21  # rounding and clipping take a little noise away
    text = invoke_ok("compare", "clean.png", "--sigma", "25/255", cwd=tmp_path)
    head, *rows, figure = text.splitlines()
    assert head.split() == ["method", "PSNR", "(dB)", "SSIM", "seconds", "parameters"]
    assert [row.split()[0] for row in rows if " (default) " in row] == [usual_method(False)]
    plain = [row.replace(" (default)", "").split() for row in rows]
    scores = {name: float(score) for name, score, *_ in plain}
    assert list(scores) == ["identity", "heat", "perona_malik", usual_method(False), "ddpm"]
    assert scores["perona_malik"] > scores["heat"] > scores["identity"] + 3
    assert figure == "figure: clean_compare.png"
    with Image.open(tmp_path / "clean_compare.png") as drawn:
        assert drawn.size[0] > 800
    text = invoke_ok("compare", "clean_noisy.png", "--no-reference", "-m", "heat", "-m",
                     "perona_malik(diffusivity='tukey')", "-o", "fig.png", cwd=tmp_path)  # fmt: skip
    assert text.splitlines()[0].split() == ["method", "seconds", "parameters"]
    assert (tmp_path / "fig.png").exists()


def test_compare_takes_a_user_class(folder):
    """In the current folder, by the installed script, which does not look there by itself."""
    (folder / "mine.py").write_text(
        "class Darker:\n"
        "    def __init__(self, share=0.5):\n"
        "        self.share = share\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        return self.share * noisy\n"
    )
    script = Path(sys.executable).with_name("difffilter")
    command = [script, "compare", "grey.png", "--sigma", "0.1", "-m", "mine:Darker(share=1)",
               "-m", "identity"]  # fmt: skip
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    head, mine, identity, _ = result.stdout.splitlines()
    assert mine.startswith("mine:Darker(share=1)")
    at = head.index("PSNR (dB)")
    assert mine[at : at + 9] == identity[at : at + 9]
    command = [script, "smooth", "grey.png", "-m", "mine:Darker(share=1)", "-o", "same.png"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    grey, same = (np.asarray(Image.open(folder / name)) for name in ("grey.png", "same.png"))
    np.testing.assert_array_equal(grey, same)
    command = [script, "smooth", "grey.png", "-m", "mine:Lighter"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 2
    assert "mine has no class 'Lighter'" in result.stderr


@pytest.mark.parametrize("noise", ["poisson", "speckle", "salt_and_pepper"])
def test_kinds_of_noise(folder, noise):
    options = ("noise", "colour.jpg", "--sigma", "0.2")
    invoke_ok(*options, "--noise", noise, "-o", "out.png", cwd=folder)
    clean, noisy = (np.asarray(Image.open(folder / n)) for n in ("colour.jpg", "out.png"))
    expected = df.add_noise(clean, 0.2, noise, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy, like(expected, clean))
    # The name of the option in earlier versions.
    invoke_ok(*options, "--kind", noise, "-o", "again.png", cwd=folder)
    assert (folder / "out.png").read_bytes() == (folder / "again.png").read_bytes()


@pytest.mark.parametrize("name", ["colour.jpg", "stack.tif"])
def test_kinds_of_noise_with_parameters(folder, name):
    """Those that look at neighbours and channels; of several pages, each is a photograph."""
    noise = "camera(quality=90, read=1e-5, demosaic='bilinear')"
    result = run("noise", name, "--sigma", "0.1", "--noise", noise, "-o", "out.tif", cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    clean, noisy = (read(folder / n).pages for n in (name, "out.tif"))
    channel_axis = -1 if name == "colour.jpg" else None
    expected = df.add_noise(clean, 0.1, noise, channel_axis=channel_axis)
    np.testing.assert_array_equal(noisy, like(expected, clean))


def test_compare_tells_methods_the_noise_that_a_camera_left(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "told_rms.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Told:\n"
        "    def __call__(self, noisy, sigma=None, *, channel_axis=None):\n"
        "        return 0 * noisy + sigma\n"
    )
    clean = df.add_noise(np.asarray(Image.open(folder / "colour.jpg")), 0)
    camera = df.add_noise(clean, 0.3, "camera", channel_axis=-1)
    for noise, sigma in {"camera()": np.sqrt(np.mean((camera - clean) ** 2)),
                         "correlated(fwhm=3)": 0.3}.items():  # fmt: skip
        text = invoke_ok("compare", "colour.jpg", "--sigma", "0.3", "--noise", noise,
                         "-m", "told_rms:Told", "--overwrite", cwd=folder)  # fmt: skip
        expected = df.psnr(clean, np.full_like(clean, sigma), channel_axis=-1)
        assert float(text.splitlines()[1].split()[1]) == pytest.approx(expected, abs=0.006)


def test_noise_is_gaussian_by_default(folder):
    for name, options in {"plain.png": (), "named.png": ("--noise", "gaussian")}.items():
        invoke_ok("noise", "grey.png", "--sigma", "0.2", *options, "-o", name, cwd=folder)
    assert (folder / "plain.png").read_bytes() == (folder / "named.png").read_bytes()


def test_old_name_of_the_noise_option_in_compare(folder):
    new, old, usual = (
        invoke_ok("compare", "grey.png", "--sigma", "0.5", "-m", "identity", *options,
                  "--overwrite", cwd=folder).split()[7]
        for options in (["--noise", "salt_and_pepper"], ["--kind", "salt_and_pepper"], [])
    )  # fmt: skip
    assert new == old != usual


def test_compare_needs_to_know_about_the_noise(folder):
    text = invoke_error("compare", "grey.png", cwd=folder)
    assert "pass --sigma 25/255 for the noise to add, or --no-reference" in text
    text = invoke_error("noise", "grey.png", "--sigma", "0.1", "--noise", "pink", cwd=folder)
    assert "noise is 'pink'; expected one of gaussian, poisson, speckle, salt_and_pepper" in text
    for noise, message in {
        "jpeg(quality=200)": "quality is 200; expected a whole number from 1 to 100",
        "jpeg(quality=2": "cannot read the noise 'jpeg(quality=2'; write name or name(key=value",
    }.items():
        for command in ("noise", "compare"):
            text = invoke_error(command, "grey.png", "--sigma", "0.1", "--noise", noise, cwd=folder)
            assert message in text


def test_compare_shows_a_photograph_upright(folder):
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    with Image.open(folder / "colour.jpg") as image:
        image.save(folder / "turned.png", exif=exif)
    invoke_ok("compare", "turned.png", "--no-reference", "-m", "heat", cwd=folder)
    height = np.asarray(Image.open(folder / "turned_compare.png")).shape[0]
    invoke_ok("compare", "colour.jpg", "--no-reference", "-m", "heat", cwd=folder)
    assert height > np.asarray(Image.open(folder / "colour_compare.png")).shape[0]


@pytest.mark.filterwarnings("ignore:sigma")
def test_all_methods_but_the_default_in_another_guise(tmp_path, photo):
    pytest.importorskip("torch")
    Image.fromarray(like(photo[:32, :32], np.uint8(0))).save(tmp_path / "small.png")
    text = invoke_ok("compare", "small.png", "--sigma", "0.1", "-m", "all", cwd=tmp_path)
    shown = [row.split()[0] for row in text.splitlines()[1:-1]]
    assert shown == [name for name in df.methods() if name != "blended"]
