"""Pictures of fillings on a page: their range, and values that are not numbers."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from difffilter.benchmark.report.fillings import example
from difffilter.inpainting.files import Filling


def pictures(before, hole, after):
    """The pixels of each picture on the page, by its label."""
    shown = example("a.tif", "4 pixels", Filling(4, before, hole, [after]))["pictures"]
    sources = {picture["label"]: picture["source"].split(",")[1] for picture in shown}
    return {
        label: np.asarray(Image.open(io.BytesIO(base64.b64decode(source))))
        for label, source in sources.items()
    }


@pytest.fixture
def hole():
    found = np.zeros((8, 9), bool)
    found[2:4, 3:5] = True
    return found


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_an_image_of_one_value_is_black(hole, dtype):
    image = np.full(hole.shape, 1000, dtype)
    found = pictures(image, hole, image)
    assert not found["image"].any()
    assert not found["filling"].any()
    np.testing.assert_array_equal(found["mask"], 255 * hole)
    np.testing.assert_array_equal((found["holes"] == (255, 0, 255)).all(axis=-1), hole)


def test_known_pixels_have_the_whole_range_and_others_are_cut_to_it(hole):
    image = np.linspace(-3, 6, 72).reshape(hole.shape)
    after = np.where(hole, 99, image)
    before = np.where(hole, np.nan, image)
    found = pictures(before, hole, after)
    np.testing.assert_array_equal(
        found["image"][~hole], np.rint(np.linspace(0, 255, 72))[~hole.ravel()]
    )
    assert not found["image"][hole].any()
    assert (found["filling"][hole] == 255).all()
