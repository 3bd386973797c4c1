"""The command inpaint, with real files."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from command import invoke, invoke_error, invoke_ok, run, terminal
from PIL import Image

from difffilter.cli import main
from difffilter.image import like
from difffilter.inpainting.files import inpaint_file
from difffilter.inpainting.harmonic import Harmonic

HARMONIC = ("-m", "harmonic")


def read(path):
    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))


@pytest.fixture
def holes(rng):
    """Scratches of 128×128 pixels, and single ones."""
    mask = rng.random((128, 128)) < 0.02
    mask[40:43, 10:100] = True
    return mask


@pytest.fixture
def folder(tmp_path, photo, colour_photo, holes):
    """A folder with images of several kinds, and masks."""
    grey = like(photo, np.uint8(0))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(like(colour_photo, np.uint8(0))).save(tmp_path / "colour.png")
    tifffile.imwrite(tmp_path / "deep.tif", like(photo, np.uint16(0)), description="mine")
    stack = np.stack([grey[:32, :48], grey[32:64, :48], grey[64:96, :48]])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    Image.fromarray(holes).save(tmp_path / "mask.png")
    Image.fromarray(holes[:96]).save(tmp_path / "wide.png")
    Image.fromarray(holes[20:52, :48]).save(tmp_path / "small.png")
    Image.fromarray(np.ones((128, 128), bool)).save(tmp_path / "all.png")
    Image.fromarray(np.zeros((128, 128), bool)).save(tmp_path / "none.png")
    floats = photo.astype(np.float32)
    floats[holes] = np.nan
    tifffile.imwrite(tmp_path / "nan.tif", floats)
    return tmp_path


def test_quality_counts_without_holes_too(folder):
    tables = []
    for quality in (20, 90):
        invoke_ok("inpaint", "grey.png", "--mask", "none.png", "-o", f"{quality}.jpg", "--quality",
                  quality, cwd=folder)  # fmt: skip
        with Image.open(folder / f"{quality}.jpg") as image:
            tables.append(image.quantization[0][0])
    assert tables == [40, 3]  # of libjpeg's 16 at quality 50


def test_samples_are_of_an_inpainter_that_draws(folder):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        inpaint_file(
            folder / "grey.png", folder / "out.png", Harmonic(), mask=folder / "mask.png", samples=2
        )
    assert str(raised.value) == "samples is 2; expected None, as Harmonic always fills in alike"


@pytest.mark.parametrize("name", ["grey.png", "deep.tif"])
def test_holes_are_filled_and_known_pixels_stay(folder, holes, name):
    assert invoke_ok("inpaint", name, "--mask", "mask.png", *HARMONIC, cwd=folder) == ""
    before, after = read(folder / name), read(folder / name.replace(".", "_inpaint."))
    assert after.dtype == before.dtype
    np.testing.assert_array_equal(after[~holes], before[~holes])
    # The command line adds nothing of its own.
    np.testing.assert_array_equal(after, like(Harmonic()(before, holes), before))


def test_colours_stay_where_they_are_known(folder, holes):
    invoke_ok("inpaint", "colour.png", "--mask", "wide.png", *HARMONIC, cwd=folder)
    before, after = read(folder / "colour.png"), read(folder / "colour_inpaint.png")
    np.testing.assert_array_equal(after[~holes[:96]], before[~holes[:96]])
    filled = Harmonic()(before, holes[:96], channel_axis=-1)
    np.testing.assert_array_equal(after, like(filled, before))


def test_every_value_of_16_bits_stays(tmp_path):
    values = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    mask = np.zeros(values.shape, bool)
    mask[100, 100] = True
    tifffile.imwrite(tmp_path / "all.tif", values)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    invoke_ok("inpaint", "all.tif", "--mask", "mask.png", *HARMONIC, cwd=tmp_path)
    after = read(tmp_path / "all_inpaint.tif")
    np.testing.assert_array_equal(after, values)  # the mean of its neighbours is the value itself


def test_metadata_stays(folder):
    invoke_ok("inpaint", "deep.tif", "--mask", "mask.png", *HARMONIC, cwd=folder)
    with tifffile.TiffFile(folder / "deep_inpaint.tif") as file:
        assert file.pages[0].description == "mine"


def test_without_a_mask_nan_is_filled(folder, holes):
    invoke_ok("inpaint", "nan.tif", *HARMONIC, cwd=folder)
    before, after = read(folder / "nan.tif"), read(folder / "nan_inpaint.tif")
    assert after.dtype == np.float32
    np.testing.assert_array_equal(after, Harmonic()(before, holes))


def test_a_mask_fills_nan_too_but_not_where_it_is_ignored(folder, holes):
    outside = np.zeros(holes.shape, bool)
    outside[:, 64:] = True
    Image.fromarray(outside).save(folder / "outside.png")
    extra = np.zeros(holes.shape, np.uint8)
    extra[90:95, 50:80] = 7
    Image.fromarray(extra).save(folder / "extra.png")
    invoke_ok("inpaint", "nan.tif", "--mask", "extra.png", "--ignore", "outside.png", *HARMONIC,
              cwd=folder)  # fmt: skip
    before, after = read(folder / "nan.tif"), read(folder / "nan_inpaint.tif")
    np.testing.assert_array_equal(after[outside], before[outside])
    expected = Harmonic()(before, (holes | (extra > 0)) & ~outside, ignore=outside)
    np.testing.assert_array_equal(after, expected)


def test_a_colour_is_filled(folder):
    image = read(folder / "colour.png").copy()
    mask = np.zeros(image.shape[:2], bool)
    mask[10:14, 20:90] = True
    image[mask] = 255, 0, 255
    image[50, 60] = 252, 3, 255
    Image.fromarray(image).save(folder / "painted.png")
    invoke_ok("inpaint", "painted.png", "--mask-color", "#f0f", *HARMONIC, cwd=folder)
    filled = Harmonic()(image, mask, channel_axis=-1)
    np.testing.assert_array_equal(read(folder / "painted_inpaint.png"), like(filled, image))
    invoke_ok("inpaint", "painted.png", "--mask-color", "ff00ff", "--tolerance", "3/255", "-o",
              "more.png", *HARMONIC, cwd=folder)  # fmt: skip
    mask[50, 60] = True
    filled = Harmonic()(image, mask, channel_axis=-1)
    np.testing.assert_array_equal(read(folder / "more.png"), like(filled, image))


def test_dead_pixels_are_filled_beside_those_of_a_mask(folder, holes):
    image = read(folder / "grey.png").copy()
    hot, dead = (15, 30), (8, 110)  # on the coat, and in the sky
    image[hot], image[dead] = 255, 0
    holes[hot] = holes[dead] = False
    Image.fromarray(image).save(folder / "defects.png")
    Image.fromarray(holes).save(folder / "mask.png")
    text = invoke_ok("inpaint", "defects.png", "--dead-pixels", "--mask", "mask.png", "-v", *HARMONIC,
                     cwd=folder)  # fmt: skip
    changed = (read(folder / "defects_inpaint.png") != image) & ~holes
    assert changed[hot]
    assert changed[dead]
    assert changed.sum() < 10
    count = int(text.partition("  ")[2].split()[0])
    assert holes.sum() + 2 <= count < holes.sum() + 10


def test_verbose_names_the_method_with_its_parameters(folder, holes):
    text = invoke_ok("inpaint", "grey.png", "--mask", "mask.png", "-v", "-m",
                     "harmonic(tolerance=1e-5)", cwd=folder)  # fmt: skip
    assert text == (
        f"grey.png -> grey_inpaint.png  {holes.sum()} pixels by harmonic(tolerance=1e-05)\n"
    )


@pytest.mark.parametrize("kind", ["RGBA", "LA"])
def test_alpha_is_kept(folder, colour_photo, holes, kind):
    image = Image.fromarray(like(colour_photo, np.uint8(0))).convert(kind)
    alpha = np.arange(96 * 128).reshape(96, 128) % 256
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    image.save(folder / "a.png")
    invoke_ok("inpaint", "a.png", "--mask", "wide.png", *HARMONIC, cwd=folder)
    before, after = read(folder / "a.png"), read(folder / "a_inpaint.png")
    np.testing.assert_array_equal(after[..., -1], alpha)
    np.testing.assert_array_equal(after[~holes[:96]], before[~holes[:96]])
    colours = before[..., 0] if kind == "LA" else before[..., :3]
    filled = Harmonic()(colours, holes[:96], channel_axis=None if kind == "LA" else -1)
    np.testing.assert_array_equal(
        after[..., 0] if kind == "LA" else after[..., :3], like(filled, colours)
    )


def test_transparent_pixels_of_a_mask_are_0(folder, holes):
    rgba = np.full((128, 128, 4), 255, np.uint8)
    rgba[..., 3] = 200 * holes
    rgba[5, 5] = 0, 0, 0, 255
    Image.fromarray(rgba).save(folder / "rgba.png")
    for mask in ("mask", "rgba"):
        invoke_ok("inpaint", "grey.png", "--mask", f"{mask}.png", "-o", f"by_{mask}.png", *HARMONIC,
                  cwd=folder)  # fmt: skip
    np.testing.assert_array_equal(read(folder / "by_mask.png"), read(folder / "by_rgba.png"))


def test_masks_are_laid_over_images_as_they_are_shown(folder):
    """A photograph on its side, of which the mask was painted upright."""
    image = Image.open(folder / "colour.png")
    exif = Image.Exif()
    exif[274] = 6
    image.save(folder / "side.png", exif=exif)
    mask = np.zeros((128, 96), bool)
    mask[10:20, 5] = True
    Image.fromarray(mask).save(folder / "upright.png")
    invoke_ok("inpaint", "side.png", "--mask", "upright.png", *HARMONIC, cwd=folder)
    stored = np.rot90(mask)  # 6: shown after a quarter turn to the right
    filled = Harmonic()(np.asarray(image), stored, channel_axis=-1)
    np.testing.assert_array_equal(
        read(folder / "side_inpaint.png"), like(filled, np.asarray(image))
    )


def test_the_pages_of_a_stack_have_one_mask_or_their_own(folder, holes):
    pages, one = read(folder / "stack.tif"), holes[20:52, :48]
    own = np.stack([one, one[::-1], np.zeros_like(one)])
    tifffile.imwrite(folder / "own.tif", own.astype(np.uint8), photometric="minisblack")
    for name, masks in (("small.png", [one] * 3), ("own.tif", own)):
        invoke_ok("inpaint", "stack.tif", "--mask", name, "-o", "out.tif", "--overwrite", *HARMONIC,
                  cwd=folder)  # fmt: skip
        expected = [
            like(Harmonic()(page, mask), page) for page, mask in zip(pages, masks, strict=True)
        ]
        np.testing.assert_array_equal(read(folder / "out.tif"), expected)


def test_a_stack_as_a_volume(folder, holes):
    pages, mask = read(folder / "stack.tif"), np.stack([holes[20:52, :48]] * 3)
    mask[1] = False
    tifffile.imwrite(folder / "own.tif", mask.astype(np.uint8), photometric="minisblack")
    invoke_ok("inpaint", "stack.tif", "--mask", "own.tif", "--volume", "--spacing", "3,1,1",
              *HARMONIC, cwd=folder)  # fmt: skip
    filled = Harmonic()(pages, mask, spacing=(3, 1, 1))
    np.testing.assert_array_equal(read(folder / "stack_inpaint.tif"), like(filled, pages))


def test_nothing_to_fill_is_a_note_and_a_copy(folder):
    Image.open(folder / "grey.png").save(folder / "grey.jpg")
    for name in ("grey.png", "grey.jpg"):
        result = invoke("inpaint", name, "--mask", "none.png", "-v", *HARMONIC, cwd=folder)
        assert (result.returncode, result.stdout) == (0, "")
        assert result.stderr == f"note: {name} has no pixels to fill in; it is written as it is\n"
        copy = folder / name.replace(".", "_inpaint.")
        assert copy.read_bytes() == (folder / name).read_bytes()
    invoke_ok("inpaint", "grey.png", "--mask", "none.png", "-o", "other.tif", *HARMONIC, cwd=folder)
    np.testing.assert_array_equal(read(folder / "other.tif"), read(folder / "grey.png"))


def test_a_result_that_exists_is_kept(folder, holes):
    command = ("inpaint", "grey.png", "--mask", "mask.png", *HARMONIC)
    invoke_ok(*command, cwd=folder)
    first = (folder / "grey_inpaint.png").read_bytes()
    text = invoke_error(*command, cwd=folder)
    assert text == "error: grey_inpaint.png exists already; pass --overwrite to replace it\n"
    invoke_ok(*command, "--overwrite", cwd=folder)
    assert (folder / "grey_inpaint.png").read_bytes() == first


def test_a_folder_for_the_result_is_made(folder):
    invoke_ok(
        "inpaint", "grey.png", "--mask", "mask.png", "-o", "new/folder/", *HARMONIC, cwd=folder
    )
    assert (folder / "new/folder/grey.png").exists()


def test_in_a_process_and_through_pipes(folder):
    command = ("inpaint", "grey.png", "--mask", "mask.png", *HARMONIC)
    result = run(*command, cwd=folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    piped = subprocess.run(
        [sys.executable, "-m", "difffilter", "inpaint", "-", *command[2:], "-v"], cwd=folder,
        input=(folder / "grey.png").read_bytes(), capture_output=True,
    )  # fmt: skip
    assert piped.returncode == 0
    assert piped.stdout == (folder / "grey_inpaint.png").read_bytes()
    assert piped.stderr.startswith(b"- -> -  ")


class Slow(Harmonic):
    """A method that reports its steps."""

    def fill(self, problem, callback):
        for done in range(1, 6):
            callback(done, 5)
        return super().fill(problem, None)


def test_progress_is_shown_on_a_terminal(folder, monkeypatch):
    monkeypatch.setattr("difffilter.inpainting.catalog.make_inpainter", lambda text: Slow())
    seen = []
    from tqdm import tqdm

    update = tqdm.update
    monkeypatch.setattr(
        tqdm, "update", lambda bar, n: (update(bar, n), seen.append((bar.n, bar.total)))
    )
    with contextlib.chdir(folder), terminal():
        main(["inpaint", "stack.tif", "--mask", "small.png"])
    assert seen == [(done, 15) for done in range(1, 16)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.png"], "there is no file missing.png; check the path"),
        (["grey.png"], "grey.png has no NaN; expected a mask: pass --mask, --mask-color or "
         "--dead-pixels"),
        (["deep.tif", "--ignore", "mask.png"], "deep.tif has no NaN; expected a mask: pass --mask, "
         "--mask-color or --dead-pixels"),
        (["grey.png", "--mask", "missing.png"], "missing.png: no such file or directory"),
        (["grey.png", "--mask", "words.png"],
         "words.png is not an image that can be read (PNG, JPEG, WebP, TIFF, ...)"),
        (["grey.png", "--mask", "wide.png"],
         "wide.png has 128×96 pixels; expected 128×128, as grey.png has"),
        (["grey.png", "--mask", "mask.png", "--ignore", "small.png"],
         "small.png has 48×32 pixels; expected 128×128, as grey.png has"),
        (["stack.tif", "--mask", "two.tif"], "two.tif has 2 pages; expected 1 or 3, as stack.tif has"),
        (["grey.png", "--mask", "all.png"], "grey.png: mask is True for all 16384 pixels that are not "
         "ignored; expected some that are known"),
        (["grey.png", "--mask", "mask.png", "-m", "harmonc"],
         "unknown method 'harmonc'; did you mean 'harmonic'?"),
        (["grey.png", "--mask", "mask.png", "-m", "harmonic(tol=1)"],
         "harmonic has no parameter 'tol'; did you mean 'tolerance'?"),
        (["grey.png", "--mask", "mask.png", "-m", "harmonic(tolerance=0)"],
         "tolerance is 0; expected a finite number > 0 and ≤ 0.1"),
        (["grey.png", "--mask", "mask.png", "--spacing", "1,1,1"], "grey.png: spacing is (1.0, 1.0, 1.0); "
         "expected one number, or one for each of the 2 spatial axes"),
        (["grey.png", "--mask", "mask.png", "--tolerance", "0.1"], "--tolerance is for --mask-color"),
        (["grey.png", "--mask-color", "f00"],
         "colour is 'f00'; expected a grey one for a grey image"),
        (["colour.png", "--mask-color", "pink"], "colour is 'pink'; expected red, green and "
         "blue in [0, 1], or hexadecimal digits such as 'ff00ff'"),
        (["grey.png", "--mask", "mask.png", "-o", "out.gif"], "out.gif has suffix '.gif'; expected one of "
         ".png, .jpg, .jpeg, .jpe, .jfif, .webp, .avif, .heic, .heif, .bmp, .tif, .tiff, "
         ".dcm, .nii, .nii.gz"),
        (["several.tif", "--mask", "mask.png"],
         "several.tif has images of 2 kinds; expected one with a mask"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, arguments, message):
    (folder / "words.png").write_text("some words")
    tifffile.imwrite(folder / "two.tif", np.ones((2, 32, 48), np.uint8), photometric="minisblack")
    with tifffile.TiffWriter(folder / "several.tif") as file:
        file.write(np.zeros((128, 128), np.uint8))
        file.write(np.zeros((64, 64), np.uint8))
    before = sorted(os.listdir(folder))
    method = () if "-m" in arguments else HARMONIC
    assert invoke_error("inpaint", *arguments, *method, cwd=folder) == f"error: {message}\n"
    assert sorted(os.listdir(folder)) == before


def test_images_of_several_sizes_in_a_file(folder):
    """Without a mask, each has holes of its own."""
    first, second = np.ones((16, 16), np.float32), np.full((8, 12), 2, np.float32)
    with tifffile.TiffWriter(folder / "several.tif") as file:
        for image in (first, second):
            image = image.copy()
            image[3, 4] = np.nan
            file.write(image)
    invoke_ok("inpaint", "several.tif", *HARMONIC, cwd=folder)
    with tifffile.TiffFile(folder / "several_inpaint.tif") as file:
        for series, image in zip(file.series, (first, second), strict=True):
            np.testing.assert_allclose(series.asarray(), image, rtol=1e-6)
