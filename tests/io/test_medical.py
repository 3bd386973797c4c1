"""DICOM and NIfTI: pixels change, and all else stays."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from command import invoke_error, invoke_ok

from difffilter.io.files import name_parts, read, write


@pytest.fixture
def dicom(tmp_path):
    """Copies a file that pydicom ships."""
    pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file

    def copied(name):
        return Path(shutil.copy(get_testdata_file(name, download=False), tmp_path / name))

    return copied


@pytest.fixture
def nifti(tmp_path):
    """Copies a file that nibabel ships."""
    nibabel = pytest.importorskip("nibabel")
    folder = Path(nibabel.__file__).parent / "tests" / "data"

    def copied(name):
        return Path(shutil.copy(folder / name, tmp_path / name))

    return copied


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("CT_small.dcm", (1, 128, 128)),
        ("MR_small_RLE.dcm", (1, 64, 64)),
        ("SC_rgb_small_odd.dcm", (1, 3, 3, 3)),
        ("SC_rgb_rle_2frame.dcm", (2, 100, 100, 3)),
    ],
)
def test_a_dicom_file_keeps_its_values_and_tags(dicom, name, shape):
    import pydicom

    path = dicom(name)
    picture = read(path)
    assert picture.pages.shape == shape
    other = picture.pages.copy()
    other[:, 1:3, 1:3] = other[:, :2, :2].copy()
    write(path.with_name("new.dcm"), picture.with_pages(other))
    before, after = pydicom.dcmread(path), pydicom.dcmread(path.with_name("new.dcm"))
    np.testing.assert_array_equal(after.pixel_array.reshape(shape), other)
    pixels = {"PixelData", "SOPInstanceUID", "ImageType", "DerivationDescription", "NumberOfFrames"}
    pixels |= {"PhotometricInterpretation", "PlanarConfiguration", "SmallestImagePixelValue"}
    for element in before:
        if element.keyword not in pixels:
            assert after[element.tag] == element
    assert after.SOPInstanceUID != before.SOPInstanceUID
    assert after.ImageType[0] == "DERIVED"
    assert after.ImageType[1:] == before.ImageType[1:]
    assert "difffilter" in after.DerivationDescription


def test_values_stay_in_the_bits_that_are_stored(dicom):
    import pydicom

    path = dicom("CT_small.dcm")
    dataset = pydicom.dcmread(path)
    dataset.BitsStored, dataset.HighBit = 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = np.zeros((128, 128), np.uint16).tobytes()
    dataset.save_as(path)
    picture = read(path)
    write(path, picture.with_pages(np.full_like(picture.pages, 5000)))
    assert pydicom.dcmread(path).pixel_array.max() == 4095


def test_smooth_keeps_hounsfield_units(dicom):
    import pydicom

    path = dicom("CT_small.dcm")
    invoke_ok("smooth", path.name, "-m", "heat", "--time", 1, cwd=path.parent)
    before, after = (
        pydicom.dcmread(each) for each in (path, path.with_name("CT_small_smooth.dcm"))
    )
    assert (after.RescaleSlope, after.RescaleIntercept) == (1, -1024)
    assert after.pixel_array.std() < before.pixel_array.std()
    assert after.pixel_array.mean() == pytest.approx(before.pixel_array.mean(), abs=0.1)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("examples_palette.dcm", "examples_palette.dcm has a palette; expected grey levels or"),
        ("ExplVR_BigEnd.dcm", "ExplVR_BigEnd.dcm has big-endian numbers, which DICOM has retired"),
        ("rtplan.dcm", "rtplan.dcm has no pixels; expected a DICOM image"),
    ],
)
def test_dicom_files_that_are_refused(dicom, name, message):
    path = dicom(name)
    error = invoke_error("smooth", path.name, "-m", "heat", "--time", 1, cwd=path.parent)
    assert message in error
    assert error.count("\n") == 1
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize("name", ["anatomical.nii", "example4d.nii.gz", "functional.nii"])
def test_a_nifti_file_keeps_its_header(nifti, name):
    import nibabel

    path = nifti(name)
    picture = read(path)
    before = nibabel.load(path)
    stored = np.asarray(before.dataobj.get_unscaled())
    assert picture.pages.shape == (int(np.prod(before.shape[2:])), *before.shape[1::-1])
    assert picture.lead == before.shape[:1:-1]
    np.testing.assert_array_equal(picture.pages[1], stored[..., 1].T if stored.ndim == 3 else
                                  stored[..., 1, 0].T)  # fmt: skip
    invoke_ok("smooth", name, "-m", "heat", "--time", 1, cwd=path.parent)
    stem, suffix = name_parts(path)
    new = path.with_name(f"{stem}_smooth{suffix}")
    after = nibabel.load(new)

    def head(file):
        opened = gzip.open if file.suffix == ".gz" else open
        with opened(file, "rb") as stream:
            return stream.read(before.dataobj.offset)

    assert head(new) == head(path)
    assert (after.affine == before.affine).all()
    assert after.dataobj.slope == before.dataobj.slope
    assert after.get_fdata().std() < before.get_fdata().std()
    assert after.get_fdata().mean() == pytest.approx(before.get_fdata().mean(), rel=1e-3)


def test_volumes_have_the_spacing_of_the_file(nifti):
    path = nifti("functional.nii")  # of 4×4×8 mm
    how = ("smooth", path.name, "--volume", "--overwrite", "-o", "new.nii")
    invoke_ok(*how, "-m", "heat", "--time", 2, cwd=path.parent)
    told = read(path.with_name("new.nii")).pages
    invoke_ok(*how, "-m", "heat(spacing=(2, 1, 1))", "--time", 2, cwd=path.parent)
    np.testing.assert_array_equal(told, read(path.with_name("new.nii")).pages)
    invoke_ok(*how, "-m", "heat(spacing=1)", "--time", 2, cwd=path.parent)
    assert (told != read(path.with_name("new.nii")).pages).any()


def test_the_same_pixels_are_the_same_bytes(nifti):
    path = nifti("example4d.nii.gz")
    picture = read(path)
    for name in ("one.nii.gz", "two.nii.gz"):
        write(path.with_name(name), picture)
    assert path.with_name("one.nii.gz").read_bytes() == path.with_name("two.nii.gz").read_bytes()
    np.testing.assert_array_equal(read(path.with_name("one.nii.gz")).pages, picture.pages)


def test_nifti_files_that_are_refused(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    (tmp_path / "text.nii").write_text("no image at all" * 50)
    nibabel.Nifti1Image(np.zeros((4, 4, 2), np.complex64), np.eye(4)).to_filename(
        tmp_path / "waves.nii"
    )
    nibabel.Nifti1Image(np.zeros((40, 40, 20), np.int16), np.eye(4)).to_filename(
        tmp_path / "large.nii"
    )
    for arguments, message in (
        (("text.nii",), "text.nii is not a NIfTI file, or damaged"),
        (("waves.nii",), "waves.nii has 3 axes of complex64; expected an image of numbers"),
        (("large.nii", "--max-pixels", 1000), "large.nii is refused: it has 32000 pixels"),
        (("large.nii", "-o", "new.dcm"), "the picture is not of a file with .dcm, whose copy"),
    ):
        error = invoke_error("smooth", *arguments, cwd=tmp_path)
        assert message in error
        assert error.count("\n") == 1


def test_other_formats_take_medical_pictures(nifti):
    path = nifti("anatomical.nii")
    invoke_ok("smooth", path.name, "-m", "heat", "--time", 1, "-o", "new.tif", cwd=path.parent)
    assert read(path.with_name("new.tif")).pages.shape == (25, 41, 33)
    error = invoke_error("smooth", "new.tif", "-o", "back.nii", cwd=path.parent)
    assert (
        "the picture is not of a file with .nii or .nii.gz, whose copy this format needs" in error
    )


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "nibabel", None)
    (tmp_path / "scan.nii.gz").write_bytes(b"x" * 400)
    with pytest.raises(ValueError, match=r"scan.nii.gz needs nibabel, which is not installed: pip"):
        read(tmp_path / "scan.nii.gz")
