"""Camera raw files: development, metadata and errors."""

import io
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image
from raws import write_dng

from difffilter.blocks.folders import Task, plan_tasks, smooth_file
from difffilter.catalog import make
from difffilter.io.files import RAW, read, suffix_of, write
from difffilter.io.raw import MAGIC, _exif, is_raw
from difffilter.metrics import psnr

EXIF = {33434: 0.004, 33437: 8.0, 34855: 800, 36867: "2024:05:06 07:08:09", 37500: b"notes"}
PLACE = {1: "N", 2: (48.0, 8.0, 0.0)}


@pytest.fixture
def photo(colour_photo):
    bright = np.array(colour_photo[: colour_photo.shape[0] // 2 * 2, :])
    bright[:8, :8] = 1  # (LibRaw takes the brightest value for the sensor's limit.)
    return bright


@pytest.fixture
def dng(tmp_path, photo):
    """A raw file, after its library is known to be there."""
    pytest.importorskip("rawpy")
    path = tmp_path / "photo.dng"
    write_dng(path, photo, exif=EXIF, gps=PLACE)
    return path


def directories(path):
    with Image.open(path) as image:
        exif = image.getexif()
        return exif, exif.get_ifd(34665), exif.get_ifd(34853)


def test_a_raw_file_is_developed(dng, photo):
    picture = read(dng)
    assert picture.pages.shape == (1, *photo.shape)
    assert picture.pages.dtype == np.uint16
    inner = (slice(12, -12), slice(12, -12))
    developed = picture.pages[0][inner].astype(np.float64) / 65535
    assert psnr(photo[inner].astype(np.float64), developed) > 30
    assert abs((developed - photo[inner]).mean((0, 1))).max() < 0.02


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 3), (8, 1)])
def test_the_picture_is_upright(tmp_path, dng, photo, orientation, turns):
    straight = read(dng).pages[0]
    path = tmp_path / "turned.dng"
    write_dng(path, photo, first={274: orientation})
    picture = read(path)
    np.testing.assert_array_equal(picture.pages[0], np.rot90(straight, turns))
    np.testing.assert_array_equal(picture.upright(), picture.pages)


@pytest.mark.parametrize("name", ["out.tif", "out.png", "out.jpg", "out.webp"])
def test_results_have_the_pixels_and_the_metadata(tmp_path, dng, name):
    picture = read(dng)
    target = tmp_path / name
    write(target, picture)
    pages = read(target).pages
    deep = name in ("out.tif", "out.png")
    assert pages.dtype == (np.uint16 if deep else np.uint8)
    scale = 1 if deep else 257
    error = np.abs(pages.astype(np.float64) * scale - picture.pages).mean()
    assert error <= (0 if deep else 1000)
    first, exif, gps = directories(target)
    assert (first[271], first[272], first[306]) == ("Maker", "Model 1", "2024:05:06 07:08:09")
    assert first.get(274, 1) == 1
    assert 50706 not in first  # the result is no DNG
    assert float(exif[33434]) == pytest.approx(0.004)
    assert (exif[34855], exif[36867], exif[40961]) == (800, "2024:05:06 07:08:09", 1)
    assert 37500 not in exif
    assert gps[2] == (48.0, 8.0, 0.0)


def test_a_file_that_says_nothing_of_the_photograph(tmp_path, photo):
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "in.dng", photo)
    write(tmp_path / "out.tif", read(tmp_path / "in.dng"))
    first, exif, gps = directories(tmp_path / "out.tif")
    assert first[271] == "Maker"
    assert dict(exif) == {40961: 1}
    assert not gps


def test_the_result_is_a_tiff_beside_the_raw_file(dng):
    before = dng.read_bytes()
    [task] = plan_tasks([dng])
    assert task.target == dng.with_name("photo_smooth.tif")
    smooth_file(task, make("heat(time=1)"))
    assert read(task.target).pages.dtype == np.uint16
    assert dng.read_bytes() == before
    with pytest.raises(ValueError, match=r"has suffix '\.dng'; expected one of"):
        smooth_file(Task(dng, dng), make("heat(time=1)"), overwrite=True)


def test_raw_files_are_known_by_their_content(tmp_path, dng):
    renamed = tmp_path / "renamed.tif"
    renamed.write_bytes(dng.read_bytes())
    np.testing.assert_array_equal(read(renamed).pages, read(dng).pages)
    picture = tmp_path / "jpeg.dng"
    Image.new("RGB", (8, 8)).save(picture, "JPEG")
    assert read(picture).pages.dtype == np.uint8


@pytest.mark.parametrize(("at", "magic", "suffix"), MAGIC)
def test_kinds_of_raw_files(tmp_path, at, magic, suffix):
    head = (bytes([1]) * at + magic).ljust(32, b"\1")
    assert suffix_of(head) == suffix
    assert suffix in RAW
    assert is_raw(tmp_path / "any", head)


def test_a_preview_before_the_mosaic_is_not_the_picture(tmp_path):
    path = tmp_path / "in.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subifds=1)
        writer.write(np.zeros((16, 16), np.uint16), photometric="cfa", metadata=None)
    assert is_raw(path, path.read_bytes()[:32])
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subifds=1)
        writer.write(np.zeros((4, 4, 3), np.uint8), photometric="rgb", metadata=None)
    assert not is_raw(path, path.read_bytes()[:32])


def tiff_data(directory, **sub):
    file = Image.Exif()
    file.update(directory)
    for code, values in sub.items():
        file.get_ifd(int(code[1:])).update(values)
    return file.tobytes().removeprefix(b"Exif\0\0")


def of_exif(data):
    file = Image.Exif()
    file.load(data)
    return file[271], file.get_ifd(34665)[34855], dict(file.get_ifd(34853))


def test_metadata_of_cr3_boxes():
    def box(name, content):
        return (len(content) + 8).to_bytes(4, "big") + name + content

    data = box(b"ftyp", b"crx \0\0\0\1")
    data += box(b"CMT1", tiff_data({271: "Maker", 50706: b"\1"}))
    data += box(b"CMT2", tiff_data({34855: 800, 37500: b"notes"}))
    data += box(b"CMT4", tiff_data({1: "N", 2: (48.0, 8.0, 0.0)}))
    assert of_exif(_exif(data, None)) == ("Maker", 800, PLACE)


@pytest.mark.parametrize("magic", [b"RO", b"U\0"])
def test_metadata_of_files_like_tiff(magic):
    data = tiff_data({271: "Maker"}, _34665={34855: 800}, _34853=PLACE)
    assert data[:2] in (b"II", b"MM")
    assert of_exif(_exif(data[:2] + magic + data[4:], None)) == ("Maker", 800, PLACE)


def test_metadata_of_the_camera_s_own_jpeg():
    rawpy = pytest.importorskip("rawpy")
    memory = io.BytesIO()
    exif = Image.Exif()
    exif.load(tiff_data({271: "Maker"}, _34665={34855: 800}, _34853=PLACE))
    Image.new("L", (8, 8)).save(memory, "JPEG", exif=exif)

    class Raw:
        def extract_thumb(self):
            return rawpy.Thumbnail(rawpy.ThumbFormat.JPEG, memory.getvalue())

    assert of_exif(_exif(b"FUJIFILMCCD-RAW", Raw())) == ("Maker", 800, PLACE)

    class Bare:
        def extract_thumb(self):
            raise rawpy.LibRawNoThumbnailError(b"none")

    assert _exif(b"FUJIFILMCCD-RAW", Bare()) is None


@pytest.mark.parametrize("data", [b"II*\0", b"II*\0" + b"\xff" * 64, b"MM\0*" + bytes(64)])
def test_damaged_metadata_are_left_out(data):
    assert _exif(data, None) is None


def test_errors(tmp_path, dng, capfd):
    cut = tmp_path / "cut.dng"
    cut.write_bytes(dng.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"cut\.dng is damaged or truncated: Input/output error"):
        read(cut)
    cut.write_bytes(b"text" * 20)
    with pytest.raises(ValueError, match=r"cut\.dng is a raw file of a kind that LibRaw does not"):
        read(cut)
    with pytest.raises(ValueError, match=r"is refused: it has \d+ pixels"):
        read(dng, max_pixels=100)
    capfd.readouterr()  # LibRaw writes to standard error


def test_without_its_library(tmp_path, monkeypatch, photo):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "in.dng"
    write_dng(path, photo)
    with pytest.raises(ValueError, match=r"needs rawpy: pip install 'difffilter\[raw\]'"):
        read(path)
