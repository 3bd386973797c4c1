"""The content of image files."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from difffilter.io.files import read
from difffilter.io.picture import Picture


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(9))
def test_pages_are_turned_as_they_are_shown(tmp_path, rng, suffix, orientation):
    path = tmp_path / f"turned{suffix}"
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    pixels = rng.integers(256, size=(5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, exif=exif, **options)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read(path)
    np.testing.assert_array_equal(picture.upright(), expected[None])
    np.testing.assert_array_equal(picture.as_stored(picture.upright()), picture.pages)


def test_damaged_metadata_turns_nothing(rng):
    pages = rng.integers(256, size=(1, 5, 7), dtype=np.uint8)
    for exif in (b"Exif\0\0nonsense", b"II*\0\xff\xff\xff\xff", b"x"):
        np.testing.assert_array_equal(Picture(pages, meta={"exif": exif}).upright(), pages)
