"""The command inpaint with several images, several fillings, and its page."""

import base64
import io
import json
import re

import numpy as np
import pytest
import tifffile
from command import invoke, invoke_error, invoke_ok
from PIL import Image

from difffilter.image import like
from difffilter.inpainting.edge_enhancing import EdgeEnhancing
from difffilter.inpainting.harmonic import Harmonic

HARMONIC = ("-m", "harmonic")


def read(path):
    return tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))


def filled(image, mask):
    axis = -1 if image.ndim == 3 else None
    return like(Harmonic()(image, mask, channel_axis=axis), image)


@pytest.fixture
def masks():
    """Two masks of 48×64 pixels."""
    row, block = np.zeros((48, 64), bool), np.zeros((48, 64), bool)
    row[20:23], block[10:20, 30:40] = True, True
    return {"a": row, "b": block}


@pytest.fixture
def folder(tmp_path, photo, colour_photo, masks):
    """``scans`` with a.png and b.png, ``masks`` with a.png and b.tif, and one.png for both."""
    for name in ("scans", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(like(photo[:48, :64], np.uint8(0))).save(tmp_path / "scans/a.png")
    Image.fromarray(like(colour_photo[:48, :64], np.uint8(0))).save(tmp_path / "scans/b.png")
    Image.fromarray(masks["a"]).save(tmp_path / "masks/a.png")
    tifffile.imwrite(tmp_path / "masks/b.tif", masks["b"].astype(np.uint8))
    Image.fromarray(masks["a"]).save(tmp_path / "one.png")
    return tmp_path


# --- several images -------------------------------------------------------------------------


def test_a_folder_with_one_mask_for_all(folder, masks):
    invoke_ok("inpaint", "scans", "--mask", "one.png", "-o", "out", *HARMONIC, cwd=folder)
    for name in ("a.png", "b.png"):
        image = read(folder / "scans" / name)
        np.testing.assert_array_equal(read(folder / "out" / name), filled(image, masks["a"]))


@pytest.mark.parametrize("images", [["scans"], ["scans/a.png", "scans/b.png"], ["scans/*.png"]])
def test_masks_of_the_same_names(folder, masks, images):
    text = invoke_ok("inpaint", *images, "--mask", "masks", "-v", *HARMONIC, cwd=folder)
    assert text.splitlines() == [
        f"scans/{name}.png -> scans/{name}_inpaint.png  {mask.sum()} pixels by harmonic(tolerance=1e-07)"
        for name, mask in masks.items()
    ]
    for name, mask in masks.items():
        image = read(folder / f"scans/{name}.png")
        np.testing.assert_array_equal(
            read(folder / f"scans/{name}_inpaint.png"), filled(image, mask)
        )


def test_a_mask_of_the_very_name_wins(folder, masks):
    Image.fromarray(masks["a"]).save(folder / "masks/b.png")
    invoke_ok("inpaint", "scans/b.png", "--mask", "masks", "-o", "b.png", *HARMONIC, cwd=folder)
    image = read(folder / "scans/b.png")
    np.testing.assert_array_equal(read(folder / "b.png"), filled(image, masks["a"]))


def test_a_folder_of_what_is_ignored(folder, masks):
    command = ("inpaint", "scans/a.png", "--mask", "one.png", "-o", "a.png", *HARMONIC)
    invoke_ok(*command, "--ignore", "masks", cwd=folder)  # all of the mask is ignored
    assert (folder / "a.png").read_bytes() == (folder / "scans/a.png").read_bytes()


def test_results_of_a_run_are_not_filled_in_again(folder):
    command = ("inpaint", "scans", "--mask", "one.png", *HARMONIC)
    invoke_ok(*command, cwd=folder)
    (folder / "scans/a_inpaint-3.png").write_bytes((folder / "scans/a.png").read_bytes())
    before = sorted(path.name for path in (folder / "scans").iterdir())
    result = invoke(*command, cwd=folder)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        "error: scans/a.png: scans/a_inpaint.png exists already; pass --overwrite to replace it",
        "error: scans/b.png: scans/b_inpaint.png exists already; pass --overwrite to replace it",
        "2 of 2 images failed; none is done",
    ]
    assert sorted(path.name for path in (folder / "scans").iterdir()) == before


def test_resume_fills_in_what_is_left(folder, masks):
    command = ("inpaint", "scans", "--mask", "masks", "-v", "--resume", *HARMONIC)
    (folder / "scans/a_inpaint.png").write_text("of an earlier run")
    text = invoke_ok(*command, cwd=folder)
    assert text.startswith("scans/b.png -> scans/b_inpaint.png")
    assert text.count("\n") == 1
    assert (folder / "scans/a_inpaint.png").read_text() == "of an earlier run"
    assert invoke_ok(*command, cwd=folder) == ""


def test_others_are_filled_in_after_a_failure(folder, masks):
    (folder / "masks/a.png").unlink()
    result = invoke("inpaint", "scans", "--mask", "masks", *HARMONIC, cwd=folder)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "error: masks has no mask for scans/a.png; expected one file named a.*",
        "1 of 2 images failed; the others are done",
    ]
    assert (folder / "scans/b_inpaint.png").exists()
    assert not (folder / "scans/a_inpaint.png").exists()


# --- reading and writing --------------------------------------------------------------------


def test_quality_is_that_of_the_image_unless_given(folder):
    Image.open(folder / "scans/b.png").save(folder / "b.jpg", quality=90)
    command = ("inpaint", "b.jpg", "--mask", "one.png", *HARMONIC)
    invoke_ok(*command, "-o", "same.jpg", cwd=folder)
    invoke_ok(*command, "-o", "small.jpg", "--quality", 20, cwd=folder)
    tables = {}
    for name in ("b", "same", "small"):
        with Image.open(folder / f"{name}.jpg") as image:
            tables[name] = image.quantization
    assert tables["same"] == tables["b"]
    assert tables["small"][0][0] == 40  # of libjpeg's 16 at quality 50


def test_images_and_masks_that_are_too_large(folder):
    command = ("inpaint", "scans/a.png", "--mask", "one.png", *HARMONIC)
    text = invoke_error(*command, "--max-pixels", 3071, cwd=folder)
    assert text == (
        "error: scans/a.png is refused: it has 3072 pixels; pass --max-pixels 3072 if that is right\n"
    )
    Image.fromarray(np.ones((60, 64), bool)).save(folder / "large.png")
    text = invoke_error("inpaint", "scans/a.png", "--mask", "large.png", "--max-pixels", 3072,
                        *HARMONIC, cwd=folder)  # fmt: skip
    assert text == (
        "error: large.png is refused: it has 3840 pixels; pass --max-pixels 3840 if that is right\n"
    )
    invoke_ok(*command, "--max-pixels", 3072, cwd=folder)


def test_the_data_range_is_the_unit_of_parameters(folder, photo, masks):
    image = (4095 * photo[:48, :64]).astype(np.uint16)
    tifffile.imwrite(folder / "deep.tif", image)
    command = ("inpaint", "deep.tif", "--mask", "one.png")
    invoke_ok(*command, "--data-range", 4095, cwd=folder)
    result = read(folder / "deep_inpaint.tif")
    unit = EdgeEnhancing()((image / 4095).astype(np.float32), masks["a"])
    np.testing.assert_array_equal(result[~masks["a"]], image[~masks["a"]])
    np.testing.assert_allclose(result / 4095, unit, atol=1.01 / 4095)
    invoke_ok(*command, "-o", "other.tif", cwd=folder)  # where edges are 16 times weaker
    assert np.abs(read(folder / "other.tif").astype(float) - result).max() > 40


def test_an_image_without_holes_beside_one_with(folder):
    first, second = np.ones((16, 16), np.float32), np.full((8, 12), 2, np.float32)
    holed = second.copy()
    holed[3, 4] = np.nan
    with tifffile.TiffWriter(folder / "several.tif") as file:
        file.write(first)
        file.write(holed)
    invoke_ok("inpaint", "several.tif", *HARMONIC, cwd=folder)
    with tifffile.TiffFile(folder / "several_inpaint.tif") as file:
        for series, image in zip(file.series, (first, second), strict=True):
            np.testing.assert_allclose(series.asarray(), image, rtol=1e-6)


# --- blocks ---------------------------------------------------------------------------------


@pytest.fixture
def large(tmp_path, photo):
    """A TIFF file and a mask for it."""
    mask = np.zeros(photo.shape, bool)
    mask[20:40, 30:50] = mask[::9, 100] = mask[100:104] = True
    tifffile.imwrite(tmp_path / "large.tif", like(photo, np.uint16(0)))
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def test_blocks_change_nothing(large):
    command = ("inpaint", "large.tif", "--mask", "mask.png", "-v", *HARMONIC)
    whole = invoke_ok(*command, cwd=large)
    blocks = invoke_ok(*command, "--block", 16, "--quality", 9, "-o", "blocks.tif", cwd=large)
    assert whole == blocks.replace("blocks.tif", "large_inpaint.tif")
    found, expected = (
        read(large / f"{name}.tif").astype(int) for name in ("blocks", "large_inpaint")
    )
    np.testing.assert_allclose(found, expected, atol=1)


def test_arrays_and_their_masks(large):
    zarr = pytest.importorskip("zarr")
    image, mask = read(large / "large.tif"), read(large / "mask.png")
    (large / "arrays").mkdir()
    (large / "masks").mkdir()
    for name, array in (("arrays/one.zarr", image), ("masks/one.zarr", mask)):
        zarr.create_array(str(large / name), data=array, chunks=(32, 32))
    for arguments in (
        ["arrays/one.zarr", "--mask", "masks"],
        ["arrays", "--mask", "masks/one.zarr"],
    ):
        invoke_ok("inpaint", *arguments, "-o", "out/", "--overwrite", *HARMONIC, cwd=large)
        found = zarr.open_array(str(large / "out/one.zarr"), mode="r")[:]
        np.testing.assert_allclose(found.astype(int), filled(image, mask).astype(int), atol=1)


def test_the_page_leaves_out_what_was_filled_in_in_blocks(large):
    result = invoke("inpaint", "large.tif", "--mask", "mask.png", "--block", 16, "--report", "page.html",
                    *HARMONIC, cwd=large)  # fmt: skip
    assert result.returncode == 0
    assert result.stderr == ("note: large.tif was filled in in blocks; the page leaves it out\n")
    assert "<h1>0 images filled in</h1>" in (large / "page.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["--mask-color", "ff"], "--mask-color"), (["--dead-pixels"], "--dead-pixels"),
     (["--samples", "2", "-m", "ddpm"], "--samples")],
)  # fmt: skip
def test_what_blocks_cannot_do(large, arguments, option):
    if option == "--samples":
        pytest.importorskip("torch")
    text = invoke_error("inpaint", "large.tif", "--block", 16, *arguments, cwd=large)
    assert text == f"error: {option} is not for large.tif, which is processed in blocks\n"
    assert not list(large.glob("*_inpaint*"))


# --- several fillings -----------------------------------------------------------------------


@pytest.fixture
def ddpm(folder):
    """The text of a DDPM for grey images."""
    pytest.importorskip("torch")
    from networks import random_weights

    random_weights(folder / "net.safetensors", 1)
    return "ddpm(weights='net.safetensors', steps=2)"


@pytest.mark.parametrize("given", [[], ["-o", "out.png"], ["-o", "out/"]])
def test_samples_are_the_fillings_of_the_ddpm(folder, ddpm, masks, given):
    from difffilter.inpainting.ddpm import DDPM

    command = ("inpaint", "scans/a.png", "--mask", "one.png", "-m", ddpm, "--samples", 3, *given)
    target = "out/a" if given == ["-o", "out/"] else "out" if given else "scans/a_inpaint"
    text = invoke_ok(*command, "-v", cwd=folder)
    assert text.startswith(f"scans/a.png -> {target}-1.png ... {target.split('/')[-1]}-3.png  192 ")
    image = read(folder / "scans/a.png")
    drawn = DDPM(weights=folder / "net.safetensors", steps=2, samples=3).fillings(image, masks["a"])
    found = [read(folder / f"{target}-{n}.png") for n in (1, 2, 3)]
    np.testing.assert_array_equal(found, [like(one, image) for one in drawn])
    assert not np.array_equal(found[0], found[1])
    assert not (folder / f"{target}.png").exists()


def test_samples_that_exist_are_kept(folder, ddpm):
    command = ("inpaint", "scans/a.png", "--mask", "one.png", "-m", ddpm, "--samples", 2)
    (folder / "scans/a_inpaint-2.png").touch()
    text = invoke_error(*command, cwd=folder)
    assert text == ("error: scans/a_inpaint-2.png exists already; pass --overwrite to replace it\n")
    assert not (folder / "scans/a_inpaint-1.png").exists()
    assert invoke_ok(*command, "--resume", cwd=folder) == ""
    invoke_ok(*command, "--overwrite", cwd=folder)
    assert read(folder / "scans/a_inpaint-2.png").shape == (48, 64)


# --- the page -------------------------------------------------------------------------------


def examples(path):
    """The examples on a page, their pictures decoded."""
    text = path.read_text("utf-8")
    found = json.loads(re.search(r'id="example-data">(.*?)</script>', text, re.DOTALL)[1])
    for example in found:
        for picture in example["pictures"]:
            kind, _, data = picture.pop("source").partition(",")
            assert kind == "data:image/png;base64"
            picture["pixels"] = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    return found


def test_the_page_shows_each_image_its_holes_and_its_filling(folder, masks):
    invoke_ok("inpaint", "scans", "--mask", "masks", "--report", "page.html", *HARMONIC, cwd=folder)
    found = examples(folder / "page.html")
    assert [example["image"] for example in found] == ["scans/a.png", "scans/b.png"]
    for example, name in zip(found, "ab", strict=True):
        assert (example["left"], example["best"]) == ("holes", "filling")
        assert example["case"] == f"{masks[name].sum()} pixels by harmonic"
        shown = {picture["label"]: picture["pixels"] for picture in example["pictures"]}
        assert list(shown) == ["image", "holes", "mask", "filling"]
        image, mask = read(folder / f"scans/{name}.png"), masks[name]
        np.testing.assert_array_equal(shown["image"], image)
        np.testing.assert_array_equal(shown["mask"], 255 * mask)
        np.testing.assert_array_equal(shown["filling"], read(folder / f"scans/{name}_inpaint.png"))
        assert (shown["holes"][mask] == (255, 0, 255)).all()
        plain = image if image.ndim == 3 else image[..., None]
        assert (shown["holes"][~mask] == plain[~mask]).all()
    text = (folder / "page.html").read_text("utf-8")
    assert "<h1>2 images filled in</h1>" in text
    assert "Failed" not in text
    assert "<img-comparison-slider" in text


def test_the_page_shows_fillings_that_differ(folder, ddpm):
    invoke_ok("inpaint", "scans/a.png", "--mask", "one.png", "-m", ddpm, "--samples", 2, "--report",
              "page.html", cwd=folder)  # fmt: skip
    [example] = examples(folder / "page.html")
    labels = [picture["label"] for picture in example["pictures"]]
    assert labels == ["image", "holes", "mask", "filling 1", "filling 2"]
    assert example["best"] == "filling 1"


def test_the_page_lists_failures(folder):
    (folder / "masks/a.png").unlink()
    result = invoke("inpaint", "scans/a.png", "--mask", "masks", "--report", "page.html", *HARMONIC,
                    cwd=folder)  # fmt: skip
    message = "masks has no mask for scans/a.png; expected one file named a.*"
    assert result.stderr == f"error: {message}\n1 of 1 images failed; none is done\n"
    assert result.returncode == 1
    text = (folder / "page.html").read_text("utf-8")
    assert f"<li><b>scans/a.png</b>: {message}</li>" in text
    assert "<h1>0 images filled in</h1>" in text


def test_the_page_shows_floats_by_the_range_of_what_is_known(folder):
    image = np.linspace(-100, 300, 64 * 48).reshape(48, 64).astype(np.float32)
    image[5, 5] = np.nan
    tifffile.imwrite(folder / "height.tif", image)
    invoke_ok("inpaint", "height.tif", "--report", "page.html", *HARMONIC, cwd=folder)
    [example] = examples(folder / "page.html")
    shown = {picture["label"]: picture["pixels"] for picture in example["pictures"]}
    expected = np.rint(255 * (np.nan_to_num(image, nan=-100) + 100) / 400)
    np.testing.assert_allclose(shown["image"], expected, atol=1)
    whole = read(folder / "height_inpaint.tif")
    np.testing.assert_allclose(shown["filling"], np.rint(255 * (whole + 100) / 400), atol=1)


def test_large_pictures_are_scaled_down_on_the_page(folder):
    image = np.full((20, 4100), 100, np.uint8)
    Image.fromarray(image).save(folder / "wide.png")
    mask = np.zeros(image.shape, bool)
    mask[:, :3] = True
    Image.fromarray(mask).save(folder / "mask.png")
    invoke_ok("inpaint", "wide.png", "--mask", "mask.png", "--report", "page.html", *HARMONIC,
              cwd=folder)  # fmt: skip
    [example] = examples(folder / "page.html")
    for picture in example["pictures"]:
        assert picture["score"] == "scaled down by 3"
        assert picture["pixels"].shape[:2] == (7, 1367)
    shown = {picture["label"]: picture["pixels"] for picture in example["pictures"]}
    assert (shown["mask"][:, 0] == 255).all()
    assert (shown["filling"] == 100).all()


# --- usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scans", "--samples", "2", "-m", "harmonic"],
         "--samples is 2; expected none for harmonic, whose filling is always the same: pass -m ddpm"),
        (["scans", "--samples", "2"],
         "--samples is 2; expected none for edge_enhancing, whose filling is always the same: "
         "pass -m ddpm"),
        (["scans", "--report", "page.csv"], "page.csv has suffix '.csv'; expected one of .html, .htm"),
        (["scans", "--report", "no/page.html"], "there is no folder no to write page.html in"),
        (["scans", "-o", "out.png"], "output is out.png; expected a folder for 2 results"),
        (["-", "--mask", "masks"], "masks is a folder; expected a file as the mask of -"),
        (["-", "--ignore", "masks"], "masks is a folder; expected a file as the mask of -"),
        (["-", "scans/a.png"], "IMG is - scans/a.png; expected a single image with -"),
        (["none"], "there is no file none; check the path"),
        (["scans/b.png", "--mask", "several"],
         "several has b.jpg, b.webp for scans/b.png; expected one file named b.*"),
        (["scans/a.png", "--mask", "one.png", "--quality", "0"],
         "Invalid value for '--quality': 0 is not in the range 1<=x<=100."),
    ],
)  # fmt: skip
def test_bad_usage_is_one_line(folder, arguments, message):
    (folder / "several").mkdir()
    for suffix in ("jpg", "webp"):
        Image.new("L", (64, 48)).save(folder / f"several/b.{suffix}")
    before = sorted(folder.rglob("*"))
    assert invoke_error("inpaint", *arguments, cwd=folder) == f"error: {message}\n"
    assert sorted(folder.rglob("*")) == before


def test_samples_need_names(folder, ddpm):
    command = ("inpaint", "scans/a.png", "--mask", "one.png", "-m", ddpm, "--samples", 2, "-o", "-")
    text = invoke_error(*command, cwd=folder)
    assert text == "error: --output is -; expected a file or a folder with --samples\n"
