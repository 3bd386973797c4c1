"""Files: what goes in comes out."""

import io

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from difffilter.io.files import read, write

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif():
    data = Image.Exif()
    data[0x010F] = "Camera maker"
    data[0x0112] = 6
    data.get_ifd(0x8769)[0x829A] = 0.004  # exposure time
    loaded = Image.Exif()
    loaded.load(data.tobytes())
    return loaded


def pixels(dtype, *shape):
    rng = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def round_trip(path):
    picture = read(path)
    target = path.with_name("out" + path.suffix)
    write(target, picture)
    return picture, target


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_8_bit_files_keep_pixels_alpha_profile_and_exif(tmp_path, mode, suffix):
    if suffix == ".webp" and mode in ("L", "LA"):
        pytest.skip("WebP has no grey images")
    path = tmp_path / f"in{suffix}"
    shape = (17, 23, len(mode)) if len(mode) > 1 else (17, 23)
    image = Image.fromarray(pixels(np.uint8, *shape))
    assert image.mode == mode
    exactly = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    image.save(path, icc_profile=PROFILE, exif=exif(), **exactly)
    picture, target = round_trip(path)
    assert (picture.alpha is not None) == mode.endswith("A")
    assert picture.channel_axis == (-1 if "RGB" in mode else None)
    with Image.open(target) as result:
        assert result.mode == mode
        # (Pillow turns a TIFF by its orientation tag.)
        stored = tifffile.imread(target) if suffix == ".tif" else np.asarray(result)
        np.testing.assert_array_equal(stored, np.asarray(image))
        assert result.info["icc_profile"] == PROFILE
        assert result.getexif()[0x010F] == "Camera maker"
        assert float(result.getexif().get_ifd(0x8769)[0x829A]) == pytest.approx(0.004)


@pytest.mark.parametrize("channels", [(), (3,), (2,), (4,)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files(tmp_path, channels, suffix):
    image = pixels(np.uint16, 17, 23, *channels)
    path = tmp_path / f"in{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(image))
    else:
        extra = {"extrasamples": ["unassalpha"]} if channels in [(2,), (4,)] else {}
        colour = {"photometric": "rgb" if channels in [(3,), (4,)] else "minisblack"}
        planar = {"planarconfig": "contig"} if channels else {}
        tifffile.imwrite(path, image, iccprofile=PROFILE, **extra, **colour, **planar)
    picture, target = round_trip(path)
    assert picture.pages.dtype == np.uint16
    assert (picture.alpha is not None) == (channels in [(2,), (4,)])
    decode = (
        (lambda p: imagecodecs.png_decode(p.read_bytes())) if suffix == ".png" else tifffile.imread
    )
    np.testing.assert_array_equal(decode(target), image)


def test_16_bit_png_keeps_profile_exif_and_resolution(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(pixels(np.uint16, 9, 9)).save(
        path, icc_profile=PROFILE, exif=exif(), dpi=(300, 300)
    )
    _, target = round_trip(path)
    with Image.open(target) as result:
        assert result.mode == "I;16"
        assert result.info["icc_profile"] == PROFILE
        assert result.getexif()[0x010F] == "Camera maker"
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.01)


def test_jpeg_keeps_size_profile_exif_and_sampling(tmp_path, colour_photo):
    path = tmp_path / "in.jpg"
    Image.fromarray((colour_photo * 255).astype(np.uint8)).save(
        path, quality=95, subsampling=1, icc_profile=PROFILE, exif=exif(), dpi=(72, 72)
    )
    _, target = round_trip(path)
    with Image.open(path) as before, Image.open(target) as after:
        assert (after.format, after.mode, after.size) == ("JPEG", "RGB", before.size)
        assert after.info["icc_profile"] == PROFILE
        assert after.getexif() == before.getexif()
        assert after.getexif().get_ifd(0x8769) == before.getexif().get_ifd(0x8769)
        assert after.info["dpi"] == before.info["dpi"]
        assert after.layer == before.layer
        assert np.abs(np.subtract(after, before, dtype=float)).mean() < 1


def test_cmyk_jpeg_has_four_colours_and_no_alpha(tmp_path, colour_photo):
    path = tmp_path / "in.jpg"
    rgb = Image.fromarray((colour_photo * 255).astype(np.uint8))
    rgb.convert("CMYK").save(path, quality=95)
    picture, target = round_trip(path)
    assert picture.pages.shape == (1, 96, 128, 4)
    assert picture.alpha is None
    with Image.open(path) as before, Image.open(target) as after:
        assert after.mode == "CMYK"
        assert np.abs(np.subtract(after, before, dtype=float)).mean() < 2
    with pytest.raises(ValueError, match=r"\.png cannot hold CMYK colours; name the output \.jpg"):
        write(tmp_path / "out.png", picture)


def test_palettes_become_colours_or_grey(tmp_path):
    colours = Image.fromarray(pixels(np.uint8, 12, 12, 3)).quantize(16)
    path = tmp_path / "in.png"
    colours.save(path)
    picture, target = round_trip(path)
    assert picture.pages.shape == (1, 12, 12, 3)
    np.testing.assert_array_equal(
        np.asarray(Image.open(target)), np.asarray(colours.convert("RGB"))
    )
    grey = Image.fromarray(pixels(np.uint8, 12, 12)).quantize(16)
    grey.save(path)
    assert read(path).pages.shape == (1, 12, 12)
    colours.save(path, transparency=3)
    picture = read(path)
    np.testing.assert_array_equal(picture.alpha[0] == 0, np.asarray(colours) == 3)


def test_bitmaps_and_transparent_colours(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(pixels(np.uint8, 8, 8) > 99).save(path)
    assert set(np.unique(read(path).pages)) == {0, 255}
    image = Image.fromarray(pixels(np.uint8, 8, 8, 3))
    image.save(path, transparency=image.getpixel((2, 1)))
    assert read(path).alpha[0, 1, 2] == 0


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int16, np.uint32, np.int8]
)
def test_tiff_of_any_type(tmp_path, dtype):
    path = tmp_path / "in.tif"
    image = pixels(dtype, 20, 30)
    tifffile.imwrite(
        path, image, resolution=(400, 200), resolutionunit="CENTIMETER", compression="zlib",
        predictor=False, description="a scan", software="scanner",
    )  # fmt: skip
    _, target = round_trip(path)
    with tifffile.TiffFile(target) as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), image)
        assert page.dtype == dtype
        assert page.description == "a scan"
        assert page.software == "scanner"
        assert page.get_resolution("CENTIMETER") == (400, 200)
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_tiff_keeps_exif_directory(tmp_path, byteorder):
    path = tmp_path / "in.tif"
    image = Image.fromarray(pixels(np.uint8, 9, 9, 3))
    image.save(path, exif=exif())
    if byteorder == ">":  # the same file the other way round
        picture = read(path)
        picture.meta["byteorder"] = ">"
        write(path, picture)
    _, target = round_trip(path)
    with Image.open(target) as result:
        assert result.getexif()[0x0112] == 6
        assert float(result.getexif().get_ifd(0x8769)[0x829A]) == pytest.approx(0.004)


@pytest.mark.parametrize("kind", ["plain", "imagej", "ome", "planar", "tiled", "pages"])
def test_tiff_stacks(tmp_path, kind):
    path = tmp_path / "in.tif"
    if kind == "plain":
        image = pixels(np.uint16, 5, 20, 30)
        tifffile.imwrite(path, image, metadata={"axes": "ZYX"}, photometric="minisblack")
    elif kind == "imagej":
        image = pixels(np.uint16, 2, 5, 3, 20, 30)
        tifffile.imwrite(
            path, image, imagej=True, metadata={"axes": "TZCYX", "spacing": 3.0, "unit": "um"}
        )
    elif kind == "ome":
        image = pixels(np.uint16, 2, 5, 20, 30)
        tifffile.imwrite(path, image, ome=True, photometric="minisblack",
                         metadata={"axes": "CZYX", "PhysicalSizeZ": 3.0, "PhysicalSizeX": 1.0})  # fmt: skip
    elif kind == "planar":
        image = pixels(np.uint8, 3, 20, 30)
        tifffile.imwrite(path, image, photometric="rgb", planarconfig="separate")
    elif kind == "tiled":
        image = pixels(np.uint8, 40, 50, 3)
        tifffile.imwrite(path, image, tile=(16, 16), photometric="rgb", compression="lzw")
    else:
        image = pixels(np.uint8, 4, 20, 30)
        with tifffile.TiffWriter(path) as writer:
            for page in image:
                writer.write(page, contiguous=False, photometric="minisblack")
    picture, target = round_trip(path)
    with tifffile.TiffFile(target) as file:
        result = np.stack([page.asarray() for page in file.pages]).reshape(image.shape)
    np.testing.assert_array_equal(result, image)
    if kind in ("imagej", "ome"):
        volumes = picture.volumes()
        assert volumes.shape == ((6, 5, 20, 30) if kind == "imagej" else (2, 5, 20, 30))
        if kind == "imagej":
            np.testing.assert_array_equal(volumes[4], image[1, :, 1])
        np.testing.assert_array_equal(picture.with_volumes(volumes).pages, picture.pages)
        with tifffile.TiffFile(target) as file:
            if kind == "imagej":
                assert file.imagej_metadata["spacing"] == 3.0
                assert file.series[0].axes == "TZCYX"
            else:
                assert 'PhysicalSizeZ="3.0"' in file.ome_metadata
                assert file.series[0].axes == "CZYX"


def test_tiff_palette_becomes_colour(tmp_path):
    path = tmp_path / "in.tif"
    colours = Image.fromarray(pixels(np.uint8, 12, 12, 3)).quantize(16)
    colours.save(path)
    picture = read(path)
    assert picture.pages.shape == (1, 12, 12, 3)
    np.testing.assert_array_equal(picture.pages[0], np.asarray(colours.convert("RGB")))


def bad_files(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(pixels(np.uint8, 64, 64, 3)).save(buffer, "JPEG")
    tiff = tmp_path / "whole.tif"
    tifffile.imwrite(tiff, pixels(np.uint8, 64, 64))
    return {
        "empty.png": (b"", "is empty (0 bytes)"),
        "text.png": (b"just some words in a file", "is not an image that can be read"),
        "cut.jpg": (buffer.getvalue()[:600], "is damaged or truncated"),
        "cut.tif": (tiff.read_bytes()[:1000], "is damaged"),
        "head.png": (b"\x89PNG\r\n\x1a\n", "is not an image that can be read"),
        "noise.tif": (b"II*\0" + bytes(range(200)), "is damaged"),
    }


@pytest.mark.parametrize(
    "name", ["empty.png", "text.png", "cut.jpg", "cut.tif", "head.png", "noise.tif"]
)
def test_bad_files(tmp_path, name):
    content, message = bad_files(tmp_path)[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is ") as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_where_nothing_can_be_written(tmp_path):
    Image.fromarray(pixels(np.uint8, 4, 5)).save(tmp_path / "in.png")
    with pytest.raises(
        FileNotFoundError, match=r"there is no folder .*nowhere to write out\.png in"
    ):
        write(tmp_path / "nowhere/out.png", read(tmp_path / "in.png"))
    with pytest.raises(IsADirectoryError, match="is a folder; expected an image file"):
        read(tmp_path)


def test_other_formats_and_animations_are_refused(tmp_path):
    path = tmp_path / "in.png"
    Image.new("L", (4, 4)).save(path, "PCX")
    with pytest.raises(ValueError, match="is a PCX file; expected PNG, JPEG, WebP, AVIF, HEIC, BM"):
        read(path)
    frames = [Image.fromarray(pixels(np.uint8, 4, 4, 3)), Image.new("RGB", (4, 4))]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="is an animation"):
        read(tmp_path / "in.webp")


def test_pictures_that_a_format_cannot_hold(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, pixels(np.float32, 8, 8))
    with pytest.raises(
        ValueError, match=r"\.png cannot hold float32 pixels; name the output \.tif"
    ):
        write(tmp_path / "out.png", read(path))
    tifffile.imwrite(path, pixels(np.uint8, 3, 8, 8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"3 pages need a TIFF file; name the output \.tif"):
        write(tmp_path / "out.png", read(path))
    Image.fromarray(pixels(np.uint8, 8, 8, 4)).save(tmp_path / "in.png")
    with pytest.raises(ValueError, match=r"JPEG has no alpha channel"):
        write(tmp_path / "out.jpg", read(tmp_path / "in.png"))
    with pytest.raises(ValueError, match=r"has suffix '.xyz'; expected one of"):
        write(tmp_path / "out.xyz", read(path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "in.tif"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "in.png"
    Image.fromarray(pixels(np.uint8, 8, 8)).save(path)
    before, picture = path.read_bytes(), read(path)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, picture)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_after_the_renaming_is_not_lost(tmp_path, monkeypatch):
    """When the file has its name already there is nothing left to tidy up."""
    import os

    from difffilter.io.files import replacing

    renamed = os.replace

    def then_interrupted(source, target):
        renamed(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", then_interrupted)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
