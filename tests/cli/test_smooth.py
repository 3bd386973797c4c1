"""The command smooth, with real files."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from command import invoke, invoke_error, invoke_ok
from PIL import Image

import difffilter as df
from difffilter.image import like


def test_smooth_without_options(folder, photo):
    assert invoke_ok("smooth", "grey.png", cwd=folder) == ""
    noisy, result = (np.asarray(Image.open(folder / n)) for n in ("grey.png", "grey_smooth.png"))
    assert result.dtype == np.uint8
    assert df.psnr(photo, result / 255) > df.psnr(photo, noisy / 255) + 5
    # The command line adds nothing of its own.
    np.testing.assert_array_equal(result, like(df.denoise(noisy), noisy))


def test_smooth_verbose_says_what_was_chosen_and_can_be_repeated(folder):
    text = invoke_ok("smooth", "grey.png", "-v", cwd=folder)
    sigma, method = re.search(r"sigma=(\S+) .*?  (.*)\n", text).groups()
    assert float(sigma) == pytest.approx(0.1, rel=0.1)
    assert method.startswith("edge_enhancing(")
    assert set(re.findall(r"(\w+)=[\d.]+[,)]", method)) == {"kappa", "time", "presmooth", "alpha"}
    invoke_ok("smooth", "grey.png", "-o", "again.png", "-m", method, cwd=folder)
    np.testing.assert_array_equal(
        *(np.asarray(Image.open(folder / n)) for n in ("grey_smooth.png", "again.png"))
    )


def test_smooth_options_reach_the_filter(folder):
    invoke_ok("smooth", "colour.jpg", "-o", "out.png", "-m", "perona_malik(presmooth=0)",
               "--time", "2", "--kappa", "12/255", "--diffusivity", "tukey", cwd=folder)  # fmt: skip
    colour = np.asarray(Image.open(folder / "colour.jpg"))
    expected = df.perona_malik(
        colour, time=2.0, kappa=12 / 255, diffusivity="tukey", presmooth=0, channel_axis=-1
    )
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "out.png")), like(expected, colour)
    )


def test_smooth_volume_or_page_by_page(folder):
    pages = tifffile.imread(folder / "stack.tif")
    method = "heat(time=1)"
    invoke_ok("smooth", "stack.tif", "-o", "pages.tif", "-m", method, cwd=folder)
    invoke_ok("smooth", "stack.tif", "-o", "volume.tif", "-m", method, "--volume",
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
    invoke_ok("smooth", "in.tif", "--volume", cwd=tmp_path)
    result = tifffile.imread(tmp_path / "in_smooth.tif")
    assert result.dtype == np.float32
    assert df.psnr(blob, result) > df.psnr(blob, noisy) + 8


@pytest.mark.parametrize("jobs", [1, 2])
def test_smooth_folder_goes_on_after_a_bad_file(folder, jobs):
    (folder / "bad.png").write_text("no image")
    (folder / "notes.txt").write_text("not even by its name")
    result = invoke("smooth", ".", "-o", "out", "--jobs", jobs, cwd=folder)
    assert result.returncode == 1
    assert "bad.png is not an image that can be read" in result.stderr
    assert "1 of 4 images failed; the others are done" in result.stderr
    assert sorted(os.listdir(folder / "out")) == ["colour.jpg", "grey.png", "stack.tif"]


def test_smooth_pattern_and_second_run(folder):
    invoke_ok("smooth", "*.png", cwd=folder)
    text = invoke_error("smooth", "grey.png", cwd=folder)
    assert "grey_smooth.png exists already; pass --overwrite to replace it" in text
    invoke_ok("smooth", "grey.png", "--overwrite", cwd=folder)
    # A folder's results are not taken for images to smooth.
    invoke_ok("smooth", ".", "--overwrite", cwd=folder)
    assert not list(folder.glob("*_smooth_smooth*"))


def test_a_folder_for_the_result_is_made(folder):
    invoke_ok("smooth", "grey.png", "-m", "identity", "-o", "new/folder/", cwd=folder)
    assert (folder / "new/folder/grey.png").exists()


@pytest.mark.parametrize("argument", [".", "*.png"])
def test_a_folder_with_one_image_is_smoothed_into_a_folder(folder, argument):
    for name in ("colour.jpg", "stack.tif"):
        (folder / name).unlink()
    invoke_ok("smooth", argument, "-o", "new", "-m", "identity", cwd=folder)
    assert (folder / "new/grey.png").read_bytes()
    # Again, into the folder that exists now.
    invoke_ok("smooth", argument, "-o", "new", "-m", "identity", "--overwrite", cwd=folder)
    assert "expected a folder for 1 result" in invoke_error(
        "smooth", argument, "-o", "new.png", "-m", "identity", cwd=folder
    )


@pytest.mark.filterwarnings("default::UserWarning")
def test_images_that_cannot_be_read_are_named(folder):
    for name in ("a.psd", "b.JXL", "notes.txt", "paper.pdf"):
        (folder / name).touch()
    result = invoke("smooth", ".", "-o", "out", "-m", "identity", cwd=folder)
    assert result.returncode == 0
    assert result.stderr == (
        "warning: .: skipped 2 files of kinds that cannot be read: a.psd, b.JXL\n"
    )


def test_gif_is_read_and_becomes_png(folder):
    Image.open(folder / "grey.png").save(folder / "old.gif")
    invoke_ok("smooth", "old.gif", "-m", "identity", cwd=folder)
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "old_smooth.png")),
        np.asarray(Image.open(folder / "grey.png")),
    )


@pytest.mark.parametrize("name", ["a.jfif", "a.bmp", "a.avif", "a.webp"])
def test_other_formats_keep_their_format(folder, name):
    kind = {"a.jfif": "JPEG"}.get(name)
    Image.open(folder / "colour.jpg").save(folder / name, kind)
    invoke_ok("smooth", name, "-m", "identity", cwd=folder)
    with (
        Image.open(folder / name) as before,
        Image.open(folder / name.replace("a.", "a_smooth.")) as after,
    ):
        assert (before.format, before.mode, before.size) == (after.format, after.mode, after.size)
        difference = np.subtract(np.asarray(before, float), np.asarray(after, float))
    assert np.abs(difference).mean() < 4


def test_quality_is_that_of_the_input_unless_given(folder):
    size = (folder / "colour.jpg").stat().st_size
    invoke_ok("smooth", "colour.jpg", "-m", "identity", "-o", "same.jpg", cwd=folder)
    assert (folder / "same.jpg").stat().st_size <= 1.02 * size
    invoke_ok("smooth", "colour.jpg", "-m", "identity", "-o", "a.jpg", "--quality", 30, cwd=folder)
    assert (folder / "a.jpg").stat().st_size < 0.7 * size
    text = invoke_error("smooth", "colour.jpg", "--quality", 0, cwd=folder)
    assert "--quality" in text


def through_pipe(*arguments, cwd, data):
    return subprocess.run([sys.executable, "-m", "difffilter", "smooth", *arguments], cwd=cwd,
                          input=data, capture_output=True)  # fmt: skip


@pytest.mark.parametrize("name", ["grey.png", "colour.jpg", "stack.tif"])
def test_standard_input_and_output(folder, name):
    invoke_ok("smooth", name, "-m", "heat(time=1)", cwd=folder)
    data = (folder / name).read_bytes()
    before = sorted(os.listdir(folder))
    result = through_pipe("-", "-o", "-", "-v", "-m", "heat(time=1)", cwd=folder, data=data)
    assert result.returncode == 0
    smooth = folder / name.replace(".", "_smooth.")
    assert result.stdout == smooth.read_bytes()
    assert result.stderr.splitlines()[0].startswith(b"- -> -  ")
    assert sorted(os.listdir(folder)) == before


def test_a_dry_run_on_standard_input(folder):
    data = (folder / "grey.png").read_bytes()
    result = through_pipe("-", "--dry-run", "-m", "heat", cwd=folder, data=data)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"- -> -  heat\n", b"")


def test_standard_input_to_a_file_and_a_file_to_standard_output(folder):
    data = (folder / "grey.png").read_bytes()
    result = through_pipe("-", "-o", "out.png", "-m", "identity", cwd=folder, data=data)
    assert (result.returncode, result.stdout) == (0, b"")
    result = through_pipe("grey.png", "-o", "-", "-m", "identity", cwd=folder, data=b"")
    assert result.stdout == (folder / "out.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "data", "message"),
    [
        (["-"], b"", "error: standard input is empty (0 bytes)\n"),
        (["-"], b"no image at all", "error: standard input is not an image that can be read (PNG, "
         "JPEG, WebP, TIFF, ...)\n"),
        (["-", "grey.png"], b"", "error: IMG is - grey.png; expected a single image with -\n"),
        ([".", "-o", "-"], b"", "error: IMG is .; expected a single image with -\n"),
    ],
)  # fmt: skip
def test_standard_input_that_is_no_image(folder, arguments, data, message):
    result = through_pipe(*arguments, "-m", "identity", cwd=folder, data=data)
    assert (result.returncode, result.stdout, result.stderr.decode()) == (2, b"", message)


def test_a_dry_run_lists_everything_and_writes_nothing(folder):
    before = sorted(os.listdir(folder))
    text = invoke_ok("smooth", ".", "-o", "new", "--dry-run", "--time", "2", cwd=folder)
    assert sorted(os.listdir(folder)) == before
    assert text.splitlines() == [
        f"{name} -> new/{name}  edge_enhancing(time=2.0)" for name in before
    ]
    (folder / "grey_smooth.png").touch()
    text = invoke_ok("smooth", "grey.png", "--dry-run", "-m", "heat", cwd=folder)
    assert text == "grey.png -> grey_smooth.png  heat  (exists already)\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "there is no file missing.png; check the path"),
        (["none*.png"], "no file matches none*.png"),
        (["nothing"], "there is no image (.png, .jpg, .jpeg, .jpe, .jfif, .webp, .avif, .heic, .heif, "
         ".bmp, .gif, .tif, .tiff, .dcm, .nii, .nii.gz, or a raw file) in the folder nothing"),
        (["empty.png"], "empty.png is empty (0 bytes)"),
        (["text.png"], "text.png is not an image that can be read"),
        (["cut.jpg"], "cut.jpg is damaged or truncated"),
        (["nan.tif"], "nan.tif: image has 1 pixels that are NaN or infinite; replace them"),
        (["grey.png", "--sigma", "25"], "sigma is 25; expected at most 1, the range of the image; "
         "did you mean 25/255?"),
        (["grey.png", "--sigma", "lots"], "--sigma is 'lots'; expected a number such as 0.098 or 25/255"),
        (["grey.png", "--kappa", "0"], "kappa is 0.0; expected a finite number > 0"),
        (["grey.png", "--kappa", "made"], "kappa is 'made'; expected one of mad, quantile, sigma; "
         "did you mean 'mad'?"),
        (["grey.png", "-m", "perona_malk"], "unknown method 'perona_malk'; did you mean 'perona_malik'?"),
        (["grey.png", "-m", "heat(tiem=3)"], "heat has no parameter 'tiem'; did you mean 'time'?"),
        (["grey.png", "-m", "heat(time=open('x'))"], "cannot read the method"),
        (["grey.png", "--diffusivity", "exponental"],
         "diffusivity is 'exponental'; expected one of exponential, rational"),
        (["grey.png", "-m", "heat", "--kappa", "1"], "heat has no parameter 'kappa'"),
        (["grey.png", "-o", "out.gif"], "out.gif has suffix '.gif'; expected one of .png"),
        (["grey.png", "-o", "nowhere/out.png"], "there is no folder nowhere to write out.png in"),
        (["grey.png", "colour.jpg", "-o", "out.png"], "output is out.png; expected a folder for 2 results"),
        (["grey.png", "--spacing", "1,x"], "--spacing is 'x'; expected a number"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, arguments, message):
    (folder / "nothing").mkdir()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("some words")
    (folder / "cut.jpg").write_bytes((folder / "colour.jpg").read_bytes()[:900])
    tifffile.imwrite(folder / "nan.tif", np.array([[np.nan, 1], [0, 1]], np.float32))
    before = sorted(os.listdir(folder))
    assert message in invoke_error("smooth", *arguments, cwd=folder)
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


def test_first_run_says_what_it_waits_for(folder):
    result = subprocess.run(
        [sys.executable, "-m", "difffilter", "smooth", "grey.png", "-m", "edge_enhancing"],
        cwd=folder, check=True, capture_output=True, text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "cache")},
    )  # fmt: skip
    assert result.stderr == "compiling for this machine; this happens once ...\n"
    assert any((folder / "cache").rglob("*.nbi"))
