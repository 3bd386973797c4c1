"""The command line, through real processes and real files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tifffile
from command import run
from PIL import Image

import difffilter as df
from difffilter.image import like


def difffilter(*arguments, cwd, code=0):
    """Run the command; its standard output, or its error output if it is to fail."""
    result = run(*arguments, cwd=cwd)
    assert result.returncode == code, result.stderr
    return result.stdout if code == 0 else result.stderr


def one_line(*arguments, cwd):
    """Run the command, which must fail with one line and exit code 2."""
    text = difffilter(*arguments, cwd=cwd, code=2)
    assert text.startswith("error: ")
    assert text.count("\n") == 1
    return text


@pytest.fixture
def folder(tmp_path, photo, colour_photo, rng):
    """A folder with noisy images of several kinds."""
    noisy = like(photo + rng.normal(0, 0.1, photo.shape), np.uint8(0))
    Image.fromarray(noisy).save(tmp_path / "grey.png")
    colour = like(colour_photo + rng.normal(0, 0.1, colour_photo.shape), np.uint8(0))
    Image.fromarray(colour).save(tmp_path / "colour.jpg")
    tifffile.imwrite(
        tmp_path / "stack.tif", np.stack([noisy[:32, :48]] * 4), photometric="minisblack"
    )
    return tmp_path


def test_smooth_without_options(folder, photo):
    assert difffilter("smooth", "grey.png", cwd=folder) == ""
    noisy, result = (np.asarray(Image.open(folder / n)) for n in ("grey.png", "grey_smooth.png"))
    assert result.dtype == np.uint8
    assert df.psnr(photo, result / 255) > df.psnr(photo, noisy / 255) + 5
    # The command line adds nothing of its own.
    np.testing.assert_array_equal(result, like(df.denoise(noisy), noisy))


def test_smooth_verbose_says_what_was_chosen_and_can_be_repeated(folder):
    text = difffilter("smooth", "grey.png", "-v", cwd=folder)
    sigma, method = re.search(r"sigma=(\S+) .*?  (.*)\n", text).groups()
    assert float(sigma) == pytest.approx(0.1, rel=0.1)
    assert re.match(r"edge_enhancing\(kappa=[\d.]+, time=[\d.]+, presmooth=[\d.]+\)$", method)
    difffilter("smooth", "grey.png", "-o", "again.png", "-m", method, cwd=folder)
    np.testing.assert_array_equal(
        *(np.asarray(Image.open(folder / n)) for n in ("grey_smooth.png", "again.png"))
    )


def test_smooth_options_reach_the_filter(folder):
    difffilter("smooth", "colour.jpg", "-o", "out.png", "-m", "perona_malik(presmooth=0)",
               "--time", "2", "--kappa", "12/255", "--diffusivity", "tukey", cwd=folder)  # fmt: skip
    colour = np.asarray(Image.open(folder / "colour.jpg"))
    expected = df.perona_malik(colour, 2.0, 12 / 255, diffusivity="tukey", channel_axis=-1)
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "out.png")), like(expected, colour)
    )


def test_smooth_volume_or_page_by_page(folder):
    pages = tifffile.imread(folder / "stack.tif")
    method = "heat(time=1)"
    difffilter("smooth", "stack.tif", "-o", "pages.tif", "-m", method, cwd=folder)
    difffilter("smooth", "stack.tif", "-o", "volume.tif", "-m", method, "--volume",
               "--spacing", "3,1,1", cwd=folder)  # fmt: skip
    by_page = np.stack([like(df.heat(page, 1), page) for page in pages])
    np.testing.assert_array_equal(tifffile.imread(folder / "pages.tif"), by_page)
    volume = like(df.heat(pages, 1, spacing=(3, 1, 1)), pages)
    np.testing.assert_array_equal(tifffile.imread(folder / "volume.tif"), volume)


def test_smooth_float_volume_with_nothing_given(tmp_path, rng):
    blob = np.zeros((10, 40, 40), np.float32)
    blob[3:7, 10:30, 10:30] = 1
    noisy = blob + rng.normal(0, 0.1, blob.shape).astype(np.float32)
    tifffile.imwrite(tmp_path / "in.tif", noisy)
    difffilter("smooth", "in.tif", "--volume", cwd=tmp_path)
    result = tifffile.imread(tmp_path / "in_smooth.tif")
    assert result.dtype == np.float32
    assert df.psnr(blob, result) > df.psnr(blob, noisy) + 8


@pytest.mark.parametrize("jobs", [1, 2])
def test_smooth_folder_goes_on_after_a_bad_file(folder, jobs):
    (folder / "bad.png").write_text("no image")
    (folder / "notes.txt").write_text("not even by its name")
    text = difffilter("smooth", ".", "-o", "out", "--jobs", jobs, cwd=folder, code=1)
    assert "bad.png is not an image that can be read" in text
    assert "1 of 4 images failed; the others are done" in text
    assert sorted(os.listdir(folder / "out")) == ["colour.jpg", "grey.png", "stack.tif"]


def test_smooth_pattern_and_second_run(folder):
    difffilter("smooth", "*.png", cwd=folder)
    text = one_line("smooth", "grey.png", cwd=folder)
    assert "grey_smooth.png exists already; pass --overwrite to replace it" in text
    difffilter("smooth", "grey.png", "--overwrite", cwd=folder)
    # A folder's results are not taken for images to smooth.
    difffilter("smooth", ".", "--overwrite", cwd=folder)
    assert not list(folder.glob("*_smooth_smooth*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "there is no file missing.png; check the path"),
        (["none*.png"], "no file matches none*.png"),
        (["nothing"], "there is no image (.png, .jpg, .jpeg, .webp, .tif, .tiff) in the folder nothing"),
        (["empty.png"], "empty.png is empty (0 bytes)"),
        (["text.png"], "text.png is not an image that can be read"),
        (["cut.jpg"], "cut.jpg is damaged or truncated"),
        (["nan.tif"], "nan.tif: image has 1 pixels that are NaN or infinite; replace them"),
        (["grey.png", "--sigma", "25"], "sigma is 25, above the image's whole range [0, 1]; "
         "did you mean 25/255?"),
        (["grey.png", "--sigma", "lots"], "'lots' is not a number; write 0.098 or 25/255"),
        (["grey.png", "--kappa", "0"], "kappa is 0; expected a finite number > 0"),
        (["grey.png", "-m", "perona_malk"], "unknown method 'perona_malk'; did you mean 'perona_malik'?"),
        (["grey.png", "-m", "heat(tiem=3)"], "heat has no parameter 'tiem'; did you mean 'time'?"),
        (["grey.png", "-m", "heat(time=open('x'))"], "cannot read the method"),
        (["grey.png", "--diffusivity", "exponental"], "diffusivity must be one of exponential, rational"),
        (["grey.png", "-m", "heat", "--kappa", "1"], "heat has no parameter 'kappa'"),
        (["grey.png", "-o", "out.bmp"], "unknown suffix '.bmp'; use one of .png"),
        (["grey.png", "-o", "nowhere/out.png"], "there is no folder nowhere to write out.png in"),
        (["grey.png", "colour.jpg", "-o", "out.png"], "2 results do not fit into the one file out.png"),
        (["grey.png", "--volum"], "No such option"),
        (["grey.png", "--spacing", "1,x"], "'x' is not a number"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, arguments, message):
    (folder / "nothing").mkdir()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("some words")
    (folder / "cut.jpg").write_bytes((folder / "colour.jpg").read_bytes()[:900])
    tifffile.imwrite(folder / "nan.tif", np.array([[np.nan, 1], [0, 1]], np.float32))
    before = sorted(os.listdir(folder))
    assert message in one_line("smooth", *arguments, cwd=folder)
    assert sorted(os.listdir(folder)) == before


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or (os.geteuid() == 0 and not os.path.exists("/usr/bin/setpriv")),
    reason="needs a user whom permissions bind",
)
def test_read_only_folder(folder):
    target = folder / "locked"
    target.mkdir()
    target.chmod(0o555)
    command = [sys.executable, "-m", "difffilter", "smooth", "grey.png", "-o", "locked/"]
    if os.geteuid() == 0:  # root may write anywhere; without that right it is like everyone
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr == "error: cannot write in the folder locked: permission denied\n"
    assert not list(target.iterdir())


def test_noise_then_compare(tmp_path, photo):
    Image.fromarray(like(photo, np.uint8(0))).save(tmp_path / "clean.png")
    difffilter("noise", "clean.png", "--sigma", "25/255", "--seed", "3", cwd=tmp_path)
    noisy = np.asarray(Image.open(tmp_path / "clean_noisy.png")) / 255
    assert 20 < df.psnr(photo, noisy) < 21  # rounding and clipping take a little noise away
    text = difffilter("compare", "clean.png", "--sigma", "25/255", cwd=tmp_path)
    head, *rows, figure = text.splitlines()
    assert head.split() == ["method", "PSNR", "(dB)", "SSIM", "seconds", "parameters"]
    scores = {row.split()[0]: float(row.split()[1]) for row in rows}
    assert list(scores) == ["identity", "heat", "perona_malik", "ddpm"]
    assert scores["perona_malik"] > scores["heat"] > scores["identity"] + 3
    assert figure == "figure: clean_compare.png"
    with Image.open(tmp_path / "clean_compare.png") as drawn:
        assert drawn.size[0] > 800
    text = difffilter("compare", "clean_noisy.png", "--no-reference", "-m", "heat", "-m",
                      "perona_malik(diffusivity='tukey')", "-o", "fig.png", cwd=tmp_path)  # fmt: skip
    assert text.splitlines()[0].split() == ["method", "seconds", "parameters"]
    assert (tmp_path / "fig.png").exists()


def test_compare_takes_a_class_of_ones_own(folder):
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
    text = one_line("smooth", "grey.png", "-m", "mine:Lighter", cwd=folder)
    assert "mine has no class 'Lighter'" in text


@pytest.mark.parametrize("kind", ["poisson", "speckle", "salt_and_pepper"])
def test_noise_kinds(folder, kind):
    difffilter("noise", "colour.jpg", "--sigma", "0.2", "--kind", kind, "-o", "out.png", cwd=folder)
    clean, noisy = (np.asarray(Image.open(folder / n)) for n in ("colour.jpg", "out.png"))
    assert noisy.shape == clean.shape
    assert (noisy != clean).any()


def test_compare_needs_to_know_about_the_noise(folder):
    text = one_line("compare", "grey.png", cwd=folder)
    assert "pass --sigma 25/255 for the noise to put on, or --no-reference" in text
    assert "unknown kind of noise 'pink'" in one_line(
        "noise", "grey.png", "--sigma", "0.1", "--kind", "pink", cwd=folder
    )


def test_methods_and_version(tmp_path):
    text = difffilter("methods", cwd=tmp_path)
    assert [line.split()[0] for line in text.splitlines()] == df.methods()
    assert difffilter("--version", cwd=tmp_path) == f"difffilter, version {df.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["smooth"],
        ["estimate"],
        ["noise"],
        ["compare"],
        ["methods"],
        ["train"],
        ["weights"],
        ["sample"],
        ["evolve"],
    ],
)
def test_help_has_an_example(tmp_path, command):
    text = difffilter(*command, "--help", cwd=tmp_path)
    assert re.search(r"Examples?:\n +difffilter " + "".join(command), text)


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; from difffilter.cli.main import cli; cli.main(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'numba', 'matplotlib', 'numpy', 'scipy', 'skimage', 'PIL'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=tmp_path)


def test_first_run_says_what_it_waits_for(folder):
    result = subprocess.run(
        [sys.executable, "-m", "difffilter", "smooth", "grey.png"], cwd=folder, check=True,
        capture_output=True, text=True, env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")},
    )  # fmt: skip
    assert result.stderr == "compiling for this machine; this happens once ...\n"
    assert any((folder / "cache").rglob("*.nbi"))


def test_all_but_the_learned_method_works_without_torch(folder):
    def without_torch(*arguments):
        code = "import sys; sys.modules['torch'] = None; from difffilter.cli.main import main; "
        return subprocess.run(
            [sys.executable, "-c", f"{code} main({arguments})"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip

    assert without_torch("smooth", "grey.png").returncode == 0
    text = without_torch("compare", "grey.png", "--sigma", "0.1")
    assert text.stderr == "left out: ddpm needs torch: pip install 'difffilter[ddpm]'\n"
    assert "perona_malik" in text.stdout
    assert "pip install 'difffilter[ddpm]'" in without_torch("methods").stdout
    text = without_torch("smooth", "grey.png", "-m", "ddpm", "-o", "out.png")
    assert text.returncode == 2
    assert text.stderr == "error: ddpm needs torch: pip install 'difffilter[ddpm]'\n"


def test_weights_and_train(folder):
    assert "natural-gray" in difffilter("weights", cwd=folder)
    assert "unknown preset 'huge'; there are: gray-small" in one_line(
        "train", ".", "--preset", "huge", "-o", "run", cwd=folder
    )


def test_train_then_use_the_weights(folder, photo, rng):
    (folder / "photos").mkdir()
    for k in range(4):
        image = Image.fromarray(like(np.roll(photo, 20 * k, axis=1), np.uint8(0)))
        image.save(folder / f"photos/{k}.png")
    difffilter("train", "photos", "--steps", 2, "--batch", 2, "--crop", 32, "-o", "run",
               "--export", "my.safetensors", cwd=folder)  # fmt: skip
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"log.jsonl", "log.png", "checkpoint.safetensors"} <= names
    difffilter("smooth", "grey.png", "-o", "out.png", "-m", "ddpm(weights='my.safetensors')",
               cwd=folder)  # fmt: skip
    assert (folder / "out.png").exists()
    assert "run" in one_line("train", "photos", "--steps", 3, "-o", "run", cwd=folder)
    assert "only --steps can be changed" in one_line(
        "train", "photos", "--batch", 2, "-o", "run", "--resume", cwd=folder
    )
    difffilter("train", "photos", "--steps", 3, "-o", "run", "--resume", cwd=folder)
    assert '"step": 3' in (folder / "run/log.jsonl").read_text()
    difffilter("train", "photos", "--steps", 1, "--batch", 1, "--crop", 32, "--learning-rate", 0.1,
               "--init", "my.safetensors", "-o", "again", cwd=folder)  # fmt: skip
    mine, again = (
        safetensors.numpy.load_file(folder / name)["middle.blocks.0.conv1.weight"]
        for name in ("my.safetensors", "again/weights.safetensors")
    )
    assert 0 < abs(mine - again).max() < 0.01  # from there, one step at a low rate


def test_sample_draws_a_grid(folder):
    arguments = ("-n", 3, "--size", 20, "--steps", 2)
    assert difffilter("sample", *arguments, "-o", "grid.png", cwd=folder) == ""
    grid = np.asarray(Image.open(folder / "grid.png"))
    assert grid.shape == (2 * 20 + 6, 2 * 20 + 6)  # frames of two pixels around each
    assert (grid[24:-2, 24:-2] == 255).all()  # the fourth place is empty
    assert not (grid[2:22, 2:22] == 255).all()
    difffilter("sample", *arguments, "-o", "again.png", cwd=folder)
    np.testing.assert_array_equal(grid, np.asarray(Image.open(folder / "again.png")))
    assert "grid.png exists already" in one_line("sample", "-o", "grid.png", cwd=folder)
    assert "weights is 'unnatural': neither a file nor one of" in one_line(
        "sample", "-o", "other.png", "--weights", "unnatural", cwd=folder
    )
    assert not (folder / "other.png").exists()


def test_evolve_draws_and_animates(folder):
    assert difffilter("evolve", "grey.png", "--size", 32, cwd=folder) == ""
    with Image.open(folder / "grey_evolve.png") as figure:
        assert figure.size[0] > 2 * figure.size[1]  # seven columns of two rows
    options = ("--weights", "auto", "--last", 20, "--steps", 2, "--frames", 3, "--size", 24)
    difffilter("evolve", "colour.jpg", "-o", "way.gif", *options, cwd=folder)
    with Image.open(folder / "way.gif") as gif:
        assert gif.n_frames == 6
    assert "weights for 1 channels; the image has 3" in one_line(
        "evolve", "colour.jpg", "-o", "x.png", "--weights", "natural-gray", cwd=folder
    )
