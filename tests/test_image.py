"""Pixels of any type as floating point and back; colours as grey."""

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from difffilter.image import as_float, grey, like


@given(npst.arrays(st.sampled_from([np.uint8, np.uint16, np.int16, np.uint32, np.bool_]), (3, 5)))
def test_integers_survive_conversion_to_float_and_back(image):
    floats = as_float(image)
    assert floats.dtype == np.float32
    assert floats.min() >= -1.0001
    assert floats.max() <= 1
    back = like(floats, image)
    assert back.dtype == image.dtype
    if image.dtype.itemsize <= 2:  # float32 has 24 bits
        np.testing.assert_array_equal(back, image)


def test_full_range_becomes_one():
    for dtype in (np.uint8, np.uint16, np.uint32, np.int16):
        top = np.iinfo(dtype).max
        assert as_float(np.array([[0, top]], dtype)).tolist() == [[0, 1]]
        assert like(np.array([[-2.0, 2.0]]), np.zeros(1, dtype))[0, 1] == top


def test_grey_of_bytes_is_that_of_pillow(rng):
    colours = rng.integers(256, size=(500, 200, 3), dtype=np.uint8)
    luma = grey(colours)
    assert luma.dtype == np.uint8
    np.testing.assert_array_equal(luma, np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_grey_is_the_luma_in_every_dtype(dtype, rng):
    colours = rng.random((20, 30, 3))
    colours[0, 0] = 1
    luma = grey(like(colours, np.zeros(1, dtype)))
    assert luma.dtype == dtype
    levels = 1e6 if dtype in (np.float32, np.float64) else np.iinfo(dtype).max
    np.testing.assert_allclose(
        as_float(luma), colours @ [0.299, 0.587, 0.114], rtol=0, atol=1.5 / levels
    )
    assert as_float(luma)[0, 0] == pytest.approx(1, abs=1e-7)
