"""TIFF's many ways to store pixels: brightness as other programs see it, and the way back."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from difffilter.blocks.folders import Task, smooth_file
from difffilter.catalog import make
from difffilter.io.files import read, write


def values(count, *shape):
    rng = np.random.default_rng(5)
    if count == 1:
        return rng.random(shape) < 0.3
    return rng.integers(0, 2**count, shape, np.uint8 if count <= 8 else np.uint16)


def tags(path):
    """The tags of each page, except those that locate the pixels."""
    places = {"StripOffsets", "TileOffsets", "StripByteCounts", "TileByteCounts"}
    with tifffile.TiffFile(path) as file:
        return [[(t.name, t.value) for t in p.tags if t.name not in places] for p in file.pages]


def with_pixels_of(path, other):
    """The bytes of a file with one strip, and those of the strip from another file."""
    data, parts = bytearray(path.read_bytes()), []
    for name in (path, other):
        with tifffile.TiffFile(name) as file:
            [start], [count] = file.pages[0].dataoffsets, file.pages[0].databytecounts
            parts.append((start, start + count))
    (a, b), (c, d) = parts
    data[a:b] = other.read_bytes()[c:d]
    return bytes(data)


def copied(path):
    """A copy of the file with the pixels that were read."""
    target = path.with_name("out.tif")
    picture = read(path)
    write(target, picture)
    return picture, target


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("count", [1, 2, 4, 6, 8, 12, 16])
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_grey_of_any_depth_is_as_bright_as_in_other_programs(
    tmp_path, count, photometric, byteorder
):
    path = tmp_path / "in.tif"
    image = values(count, 21, 34)
    packed = {"bitspersample": count} if count not in (8, 16) else {}
    tifffile.imwrite(path, image, photometric=photometric, byteorder=byteorder, **packed)
    if packed and byteorder == ">":  # tifffile would pack 12 bits as if they were bytes
        little = tmp_path / "little.tif"
        tifffile.imwrite(little, image, photometric=photometric, byteorder="<", **packed)
        path.write_bytes(with_pixels_of(path, little))
    picture, target = copied(path)
    most = 2**count - 1
    expected = (most - image.astype(int) if photometric == "miniswhite" else image) / most
    whole = 1 if count == 1 else np.iinfo(image.dtype).max
    np.testing.assert_allclose(picture.pages[0] / whole, expected, atol=0.5 / whole)
    if count in (1, 2, 4, 8):
        with Image.open(path) as seen:
            np.testing.assert_array_equal(picture.pages[0], np.asarray(seen))
    np.testing.assert_array_equal(tifffile.imread(target), image)
    assert tags(target) == tags(path)
    png = tmp_path / "out.png"
    write(png, picture)
    with Image.open(png) as seen:
        deepest = 65535 if count > 8 else 255
        np.testing.assert_allclose(np.asarray(seen) / deepest, expected, atol=0.5 / deepest)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_other_types_keep_pixels_and_tags(tmp_path, dtype, photometric):
    path = tmp_path / "in.tif"
    image = (np.random.default_rng(1).normal(0, 40, (19, 23))).astype(dtype)
    tifffile.imwrite(path, image, photometric=photometric)
    _, target = copied(path)
    np.testing.assert_array_equal(tifffile.imread(target), image)
    assert tags(target) == tags(path)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_colours_in_every_arrangement(tmp_path, planar, compression, dtype, tile):
    path = tmp_path / "in.tif"
    image = values(8, 37, 53, 3).astype(dtype)
    stored = np.moveaxis(image, -1, 0) if planar == "separate" else image
    predictor = {"predictor": True} if compression in ("lzw", "deflate", "zstd") else {}
    strips = {"tile": tile} if tile else {"rowsperstrip": 8}
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, compression=compression,
                     **strips, **predictor)  # fmt: skip
    picture, target = copied(path)
    np.testing.assert_array_equal(picture.pages[0], image)
    np.testing.assert_array_equal(tifffile.imread(target), stored)
    assert tags(target) == tags(path)


def test_twelve_bits_of_colour_stay_twelve(tmp_path):
    path = tmp_path / "in.tif"
    image = values(12, 20, 30, 3)
    tifffile.imwrite(path, image, photometric="rgb", bitspersample=12)
    picture, target = copied(path)
    assert picture.pages.max() > 60_000  # of 65535, so that σ has its usual unit
    np.testing.assert_array_equal(tifffile.imread(target), image)
    assert tags(target) == tags(path)


@pytest.mark.parametrize(
    ("photometric", "channels", "message"),
    [
        ("separated", 4, "CMYK"),
        ("cielab", 3, "CIELab"),
        ("icclab", 3, "CIELab"),
        ("linear_raw", 3, None),
        ("logl", 0, None),
        ("mask", 0, None),
    ],
)
def test_other_colours_stay_what_they_are(tmp_path, photometric, channels, message):
    path = tmp_path / "in.tif"
    image = values(8, 20, 30, *((channels,) if channels else ()))
    tifffile.imwrite(path, image, photometric=photometric)
    picture, target = copied(path)
    assert picture.alpha is None
    np.testing.assert_array_equal(tifffile.imread(target), image)
    assert tags(target) == tags(path)
    if message:
        with pytest.raises(ValueError, match=rf"\.png cannot hold {message} colours"):
            write(tmp_path / "out.png", picture)


def test_signed_colours_are_smoothed_across_zero(tmp_path):
    """a* of -1 and 1 are neighbours, although they are stored as 255 and 1."""
    path = tmp_path / "in.tif"
    image = np.zeros((16, 16, 3), np.uint8)
    image[::2, :, 1], image[1::2, :, 1] = 255, 1
    tifffile.imwrite(path, image, photometric="cielab")
    smooth_file(Task(path, tmp_path / "out.tif"), make("heat(time=9)"))
    assert set(np.unique(tifffile.imread(tmp_path / "out.tif")[4:-4, :, 1])) <= {255, 0, 1}


def test_ycbcr_becomes_rgb_as_in_pillow(tmp_path, colour_photo):
    path = tmp_path / "in.tif"
    image = Image.fromarray((colour_photo * 255).astype(np.uint8)).convert("YCbCr")
    image.save(path)
    picture, target = copied(path)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(picture.pages[0], expected)
    with Image.open(target) as result:
        assert result.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("colours", [2, 200])
def test_palettes_become_rgb(tmp_path, colours):
    path = tmp_path / "in.tif"
    image = Image.fromarray(values(8, 20, 30)).quantize(colours)
    image.putpalette(np.random.default_rng(2).integers(0, 256, 768, np.uint8).tobytes())
    image.save(path)
    picture, target = copied(path)
    with Image.open(path) as before, Image.open(target) as after:
        np.testing.assert_array_equal(picture.pages[0], np.asarray(before.convert("RGB")))
        np.testing.assert_array_equal(np.asarray(after), picture.pages[0])


def test_a_mosaic_of_colour_filters_is_refused(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, values(8, 20, 30), photometric="cfa")
    with pytest.raises(ValueError, match="is a camera's mosaic of colour filters; expected an im"):
        read(path)


@pytest.mark.parametrize("group", ["group3", "group4"])
def test_faxes_stay_faxes(tmp_path, group):
    path = tmp_path / "in.tif"
    image = np.zeros((64, 64), bool)
    image[9:40, 20:50] = True
    Image.fromarray(image).save(path, compression=group)
    picture, target = copied(path)
    np.testing.assert_array_equal(picture.pages[0], image)
    with Image.open(target) as result:
        assert result.info["compression"] == group
        np.testing.assert_array_equal(np.asarray(result), image)


@pytest.mark.parametrize("photometric", ["rgb", "ycbcr", "minisblack"])
def test_jpeg_inside_tiff_stays_so_with_its_quality(tmp_path, photometric, colour_photo):
    path = tmp_path / "in.tif"
    image = (colour_photo * 255).astype(np.uint8)
    image = image[..., 0] if photometric == "minisblack" else image
    how = {"level": 85} | ({"outcolorspace": photometric} if image.ndim == 3 else {})
    tifffile.imwrite(
        path, image, compression="jpeg", tile=(64, 64), compressionargs=how,
        photometric="rgb" if image.ndim == 3 else photometric,
    )  # fmt: skip
    _, target = copied(path)
    before, after = tifffile.imread(path), tifffile.imread(target)
    assert np.abs(np.subtract(before, after, dtype=float)).mean() < 1
    assert tags(target) == tags(path)
    assert target.stat().st_size < 1.1 * path.stat().st_size


# --- what only looks like alpha -------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb", "planarconfig": "separate"},
        {"photometric": "minisblack", "planarconfig": "separate"},
        {"photometric": "minisblack"},
    ],
)
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_the_fourth_page_of_a_stack_is_smoothed(tmp_path, options, compression):
    path = tmp_path / "in.tif"
    stack = np.full((4, 32, 32), 100, np.uint8)
    stack[:, ::2, ::2] = 140
    tifffile.imwrite(path, stack, compression=compression, **options)
    smooth_file(Task(path, tmp_path / "out.tif"), make("heat(time=3)"))
    result = tifffile.imread(tmp_path / "out.tif")
    assert result.shape == stack.shape
    assert result.std(axis=(1, 2)).max() < 2
    assert tags(tmp_path / "out.tif") == tags(path)


@pytest.mark.parametrize("extra", ["unassalpha", "assocalpha", "unspecified"])
def test_alpha_is_what_the_file_calls_so(tmp_path, extra):
    path = tmp_path / "in.tif"
    tifffile.imwrite(path, values(8, 20, 30, 4), photometric="rgb", extrasamples=[extra])
    picture, target = copied(path)
    assert (picture.alpha is None) == (extra == "unspecified")
    assert tags(target) == tags(path)
    if extra == "unspecified":
        with pytest.raises(
            ValueError, match=r"\.png cannot hold 4 channels; name the output \.tif"
        ):
            write(tmp_path / "out.png", picture)


# --- by blocks ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_miniswhite_by_blocks(tmp_path, compression, dtype, suffix):
    path, target = tmp_path / "in.tif", tmp_path / f"out{suffix}"
    image = values(8, 90, 110).astype(dtype)
    tifffile.imwrite(path, image, photometric="miniswhite", compression=compression)
    smooth_file(Task(path, target), make("identity"), side=32)
    if suffix == ".zarr":
        zarr = pytest.importorskip("zarr")
        np.testing.assert_array_equal(zarr.open(str(target))[:], ~image)
    else:
        np.testing.assert_array_equal(read(target).pages[0], ~image)


def test_uncompressed_files_by_blocks_keep_every_tag(tmp_path):
    path, target = tmp_path / "in.tif", tmp_path / "out.tif"
    stack = values(16, 3, 90, 110)
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(stack, photometric="minisblack",
                     metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "RFP"]}})  # fmt: skip
    smooth_file(Task(path, target), make("identity"), side=32)
    assert path.read_bytes() == target.read_bytes()


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("side", [None, 32])
def test_ome_channels_and_positions_are_kept(tmp_path, compression, side):
    path, target = tmp_path / "in.ome.tif", tmp_path / "out.ome.tif"
    about = {
        "axes": "TCYX", "SignificantBits": 12, "PhysicalSizeX": 0.2,
        "Channel": {"Name": ["DAPI", "µ-GFP"]}, "Plane": {"PositionX": [1.0, 2.0, 3.0, 4.0]},
    }  # fmt: skip
    tifffile.imwrite(path, values(12, 2, 2, 90, 110), ome=True, metadata=about,
                     photometric="minisblack", compression=compression)  # fmt: skip
    smooth_file(Task(path, target), make("identity"), side=side)
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(target) as after:
        assert after.ome_metadata == before.ome_metadata
        assert after.series[0].axes == "TCYX"
        np.testing.assert_array_equal(after.asarray(), before.asarray())


@pytest.mark.parametrize("side", [None, 32])
def test_imagej_labels_and_overlays_are_kept(tmp_path, side):
    path, target = tmp_path / "in.tif", tmp_path / "out.tif"
    about = {"axes": "ZYX", "Labels": ["one", "two", "three"], "spacing": 3.0, "unit": "um",
             "Ranges": (0.0, 99.0)}  # fmt: skip
    tifffile.imwrite(path, values(16, 3, 40, 50), imagej=True, metadata=about)
    smooth_file(Task(path, target), make("identity"), side=side)
    assert target.read_bytes() == path.read_bytes()


# --- several sizes --------------------------------------------------------------------------


def chequered(height, width, *channels):
    image = np.full((height, width, *channels), 100, np.uint8)
    image[::2, ::2] = 180
    return image


def test_pages_of_different_sizes_are_all_smoothed(tmp_path):
    path = tmp_path / "in.tif"
    with tifffile.TiffWriter(path) as writer:
        for size in ((40, 50), (44, 52), (40, 50)):
            writer.write(chequered(*size), photometric="minisblack", contiguous=False)
        writer.write(chequered(30, 30, 3), photometric="rgb")
    smooth_file(Task(path, tmp_path / "out.tif"), make("heat(time=9)"))
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(tmp_path / "out.tif") as after:
        assert [p.shape for p in after.pages] == [p.shape for p in before.pages]
        assert max(p.asarray()[4:-4, 4:-4].std() for p in after.pages) < 2
    assert tags(tmp_path / "out.tif") == tags(path)


@pytest.mark.parametrize("subifds", [True, False])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_pyramids_and_thumbnails_are_made_anew(tmp_path, subifds, compression):
    path = tmp_path / "in.tif"
    image = chequered(128, 192, 3)
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "compression": compression, "tile": (64, 64)}
        writer.write(image, subifds=2 if subifds else None, metadata=None, **options)
        for step in (2, 4):
            writer.write(image[::step, ::step], subfiletype=1, metadata=None, **options)
    smooth_file(Task(path, tmp_path / "out.tif"), make("heat(time=9)"))
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        levels = [level.asarray() for level in file.series[0].levels]
    assert [level.shape for level in levels] == [(128, 192, 3), (64, 96, 3), (32, 48, 3)]
    means = image.mean()
    for level in levels:
        assert np.abs(level[8:-8, 8:-8] - means).max() < 2
    assert tags(tmp_path / "out.tif") == tags(path)


def test_the_old_pixels_are_not_left_in_the_file(tmp_path):
    path = tmp_path / "in.tif"
    noise = np.random.default_rng(0).integers(0, 256, (100, 100), np.uint8)
    tifffile.imwrite(path, noise, compression="deflate", rowsperstrip=5)
    smooth_file(Task(path, tmp_path / "out.tif"), make("heat(time=50)"))
    before, after = path.read_bytes(), (tmp_path / "out.tif").read_bytes()
    assert len(after) < 0.5 * len(before)
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[7]
    assert before[start : start + 64] not in after
