"""Metadata of PNG, JPEG, WebP and AVIF, and what becomes of it in another format."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from difffilter.io import jpeg, png
from difffilter.io.files import read, write

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmp:Rating="5"/></x:xmpmeta>'


@pytest.fixture
def image(colour_photo):
    return Image.fromarray((colour_photo * 255).astype(np.uint8))


def exif(**more):
    data = Image.Exif()
    if more:
        data[700] = more["xmp"]
    data[0x010F] = "Camera maker"
    data[0x0112] = 6
    data.get_ifd(0x8769)[0x829A] = 0.004
    loaded = Image.Exif()  # (as Pillow writes directories inside TIFF only if they were read)
    loaded.load(data.tobytes())
    return loaded


def written(path, name=None):
    target = path.with_name(name or f"out{path.suffix}")
    write(target, read(path))
    return target


# --- JPEG -----------------------------------------------------------------------------------


def test_jpeg_keeps_every_segment_and_what_follows(tmp_path, image):
    path = tmp_path / "in.jpg"
    image.save(path, quality=80, exif=exif(), icc_profile=PROFILE, xmp=XMP, comment=b"a caption")
    segments, rest, _ = jpeg.split(path.read_bytes())
    segments += [(0xED, b"Photoshop 3.0\0IPTC"), (0xEB, b"vendor's own")]
    path.write_bytes(jpeg.with_segments(rest + b"\xff\xd9", segments, b"a film"))
    target = written(path)
    again, _, trailer = jpeg.split(target.read_bytes())
    assert again == segments
    assert trailer == b"a film"
    with Image.open(target) as result:
        assert result.info["comment"] == b"a caption"
        assert result.info["xmp"] == XMP
        assert result.info["icc_profile"] == PROFILE


@pytest.mark.parametrize("quality", [35, 60, 90, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_keeps_quality_subsampling_and_progressive_mode(
    tmp_path, image, quality, subsampling, progressive
):
    path = tmp_path / "in.jpg"
    image.save(path, quality=quality, subsampling=subsampling, progressive=progressive)
    target = written(path)
    with Image.open(path) as before, Image.open(target) as after:
        assert after.quantization == before.quantization
        assert after.layer == before.layer
        assert after.info.get("progressive") == before.info.get("progressive")
    assert target.stat().st_size <= 1.02 * path.stat().st_size


def test_the_images_that_follow_in_a_jpeg_are_found(tmp_path, image):
    path = tmp_path / "in.jpg"
    image.save(path, "MPO", save_all=True, append_images=[image.resize((40, 30))], quality=95)
    write(target := tmp_path / "out.jpg", picture := read(path))
    picture.meta["quality"] = 10  # of another length
    write(small := tmp_path / "small.jpg", picture)
    for name in (target, small):
        with Image.open(name) as result:
            assert (result.format, result.n_frames) == ("MPO", 2)
            result.seek(1)
            assert result.size == (40, 30)
            result.load()


def test_colours_of_jpegs_without_ycbcr(tmp_path, image):
    path = tmp_path / "in.jpg"
    image.save(path, quality=95, keep_rgb=True)
    with Image.open(path) as before, Image.open(written(path)) as after:
        assert np.abs(np.subtract(before, after, dtype=float)).mean() < 2


# --- PNG ------------------------------------------------------------------------------------


def test_png_keeps_every_chunk(tmp_path, image):
    path = tmp_path / "in.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "A. Person")
    text.add_text("Description", "long " * 99, zip=True)
    text.add_itxt("Titel", "größer", lang="de", tkey="Titel")
    text.add(b"tIME", struct.pack(">HBBBBB", 2024, 2, 29, 12, 0, 0))
    text.add(b"gAMA", struct.pack(">I", 45455))
    text.add(b"vpAg", b"private", after_idat=True)
    image.save(path, pnginfo=text, exif=exif(), icc_profile=PROFILE, dpi=(300, 300))
    assert png.chunks_of(written(path).read_bytes()) == png.chunks_of(path.read_bytes())


def test_chunks_that_describe_other_pixels_are_left_out(tmp_path):
    path = tmp_path / "in.png"
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("P")
    info = PngImagePlugin.PngInfo()
    info.add(b"bKGD", b"\x07")
    info.add(b"hIST", bytes(512))
    image.putpalette(bytes(range(256)) * 3)
    image.save(path, pnginfo=info, transparency=3)
    target = written(path)
    assert png.chunks_of(target.read_bytes()) == []
    Image.open(target).load()
    grey = tmp_path / "grey.png"
    info = PngImagePlugin.PngInfo()
    info.add(b"bKGD", b"\x00\x07")
    Image.new("L", (8, 8)).save(grey, pnginfo=info)
    assert png.chunks_of(written(grey).read_bytes()) == [(b"bKGD", b"\x00\x07", True)]


def test_a_chunk_cut_short_is_no_obstacle(tmp_path):
    path = tmp_path / "in.png"
    Image.new("L", (8, 8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data + struct.pack(">I", 99) + b"tEXtcut" + struct.pack(">I", zlib.crc32(b"")))
    assert png.chunks_of(written(path).read_bytes()) == []


# --- WebP, AVIF, HEIC -----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".heic"])
@pytest.mark.parametrize("quality", [40, 75])
def test_lossy_formats_keep_metadata_and_do_not_grow(tmp_path, image, suffix, quality):
    path = tmp_path / f"in{suffix}"
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    image.save(path, quality=quality, exif=exif(), icc_profile=PROFILE, xmp=XMP)
    target = written(path)
    assert target.stat().st_size <= path.stat().st_size
    with Image.open(target) as result:
        assert result.info["icc_profile"] == PROFILE
        assert result.info["xmp"].rstrip(b"\0") == XMP
        assert result.getexif()[0x010F] == "Camera maker"


@pytest.mark.parametrize("name", ["in.heic", "renamed.jpg"])
def test_heic_without_its_library_is_named(tmp_path, monkeypatch, name):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / name
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    with pytest.raises(ValueError, match=r"is a HEIC file, which needs pillow-heif: pip install"):
        read(path)


# --- from one format to another -------------------------------------------------------------


@pytest.mark.parametrize("source", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_another_format_gets_profile_exif_and_xmp(tmp_path, image, source, target):
    path = tmp_path / f"in{source}"
    dpi = {} if source == ".webp" else {"dpi": (300, 300)}
    data = exif(xmp=XMP) if source == ".tif" else exif()
    if source == ".tif":
        image.save(path, exif=data, icc_profile=PROFILE, **dpi)
    elif source == ".png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        image.save(path, exif=data, icc_profile=PROFILE, pnginfo=info, **dpi)
    else:
        image.save(path, exif=data, icc_profile=PROFILE, xmp=XMP, **dpi)
    result_path = written(path, f"out{target}")
    with Image.open(result_path) as result:
        assert result.info["icc_profile"] == PROFILE
        assert result.getexif()[0x010F] == "Camera maker"
        assert float(result.getexif().get_ifd(0x8769)[0x829A]) == pytest.approx(0.004)
        xmp = result.info.get("xmp") or result.info.get("XML:com.adobe.xmp") or b""
        assert (xmp.encode() if isinstance(xmp, str) else xmp).rstrip(b"\0") == XMP
        if dpi and target not in (".webp", ".avif"):
            assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_a_16_bit_tiff_becomes_a_16_bit_png_with_its_description(tmp_path):
    path = tmp_path / "in.tif"
    tifffile.imwrite(
        path, np.arange(800, dtype=np.uint16).reshape(20, 40), description="a scan", metadata=None,
        resolution=(118.11, 118.11), resolutionunit="CENTIMETER",
    )  # fmt: skip
    with Image.open(written(path, "out.png")) as result:
        assert result.info["Comment"] == "a scan"
        assert result.info["dpi"] == pytest.approx((300, 300), abs=0.1)
