"""Images whose intensities do not fill their type, scaled by the range that is given."""

import sys

import numpy as np
import pytest

import difffilter as df
from difffilter.image import check_data_range, like, scaled
from difffilter.noise.estimation import check_sigma


@pytest.fixture
def counts(photo, rng):
    """12 bits in 16."""
    return np.clip(4095 * (photo + rng.normal(0, 0.05, photo.shape)), 0, 4095).astype(np.uint16)


def unit(counts):
    return (counts / 4095).astype(np.float32)


@pytest.mark.parametrize("method", df.methods())
def test_is_the_same_as_dividing(method, counts):
    counts = counts[:40, :50]
    result = df.denoise(counts, 0.05, method, data_range=4095)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, df.denoise(unit(counts), 0.05, method))
    assert df.denoise(counts.astype(np.float64), 0.05, method, data_range=4095).dtype == np.float64


def test_low_and_high(counts):
    hounsfield = counts.astype(np.int16) - 1024
    for image in (hounsfield, hounsfield.astype(np.int64), hounsfield.tolist()):
        result = df.denoise(image, data_range=(-1024, 3071))
        np.testing.assert_array_equal(result, df.denoise(unit(counts)))


def test_what_is_chosen_and_estimated_refers_to_the_scaled_image(counts):
    chosen = df.estimate_parameters(counts, method="heat", data_range=4095)
    assert chosen == df.estimate_parameters(unit(counts), method="heat")
    assert chosen.sigma == df.estimate_sigma(counts, data_range=4095)
    assert chosen.sigma == df.estimate_sigma(unit(counts)) == pytest.approx(0.05, rel=0.1)
    result, also = df.denoise(counts, method="heat", data_range=4095, full_output=True)
    assert also == chosen
    np.testing.assert_array_equal(result, chosen.method(unit(counts)))
    mask = np.zeros(counts.shape, bool)
    mask[10:60, 10:60] = True
    assert df.estimate_sigma(counts, mask=mask, data_range=4095) == df.estimate_sigma(
        unit(counts), mask=mask
    )


def test_photons_are_counted_from_low(photo):
    counts = (100 + 2000 * df.add_noise(photo, 0.1, "poisson")).astype(np.uint16)
    assert df.estimate_sigma(counts, noise="poisson", data_range=(100, 2100)) == pytest.approx(
        0.1, rel=0.15
    )
    below = ((counts - 100.0) / 2000).astype(np.float32)
    assert df.estimate_shot_noise(counts, data_range=(100, 2100)) == df.estimate_shot_noise(below)
    result = df.denoise(counts, method="heat", noise="poisson", data_range=(100, 2100))
    np.testing.assert_array_equal(result, df.denoise(below, method="heat", noise="poisson"))


def test_scale_space(counts):
    found = df.scale_space(counts, "heat", [0, 2], data_range=4095)
    expected = df.scale_space(unit(counts), "heat", [0, 2])
    np.testing.assert_array_equal(list(found), list(expected))


def test_masked_arrays_keep_their_mask(counts):
    masked = np.ma.masked_greater(counts, 3000)
    assert masked.mask.any()
    result = df.denoise(masked, 0.05, "heat", data_range=4095)
    expected = df.denoise(np.ma.array(unit(counts), mask=masked.mask), 0.05, "heat")
    np.testing.assert_array_equal(result, expected)


def test_dask_arrays_are_scaled_lazily(counts):
    da = pytest.importorskip("dask.array")
    reads = []

    def noted(block):
        reads.append(block.shape)
        return block

    lazy = da.from_array(counts, 50).map_blocks(noted, dtype=counts.dtype, meta=counts[:0, :0])
    result = df.denoise(lazy, 0.05, "heat(time=2)", data_range=4095)
    assert not reads
    assert (result.dtype, result.shape) == (np.float32, counts.shape)
    expected = df.denoise(unit(counts), 0.05, "heat(time=2)")
    np.testing.assert_allclose(result.compute(), expected, atol=1e-5)
    with pytest.raises(TypeError, match="image has dtype complex128; expected real numbers"):
        df.denoise(da.zeros((2, 2), dtype=complex), data_range=4095)


def test_tensors(counts):
    torch = pytest.importorskip("torch")
    expected = df.denoise(unit(counts), 0.05, "heat")
    for image in (counts.astype(np.int32), counts.astype(np.float32)):
        result = df.denoise(torch.from_numpy(image), 0.05, "heat", data_range=4095)
        assert result.dtype == torch.float32
        np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    double = torch.from_numpy(counts.astype(np.float64))
    assert scaled(double, 4095).dtype == torch.float64
    complexes = double.to(torch.complex64)
    assert scaled(complexes, 4095) is complexes


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.uint64, np.float32])
def test_there_and_back(dtype, rng):
    image = rng.integers(0, 120, (20, 30)).astype(dtype)
    for data_range in (255, 100, (-20, 90), (10, 200.5)):
        back = like(scaled(image, data_range), image, data_range)
        assert back.dtype == dtype
        np.testing.assert_allclose(back, image, rtol=1e-6, atol=1e-5 if dtype == np.float32 else 0)
    flags = image > 50
    np.testing.assert_array_equal(like(scaled(flags, 3), flags, 3), flags)
    if dtype != np.float32:
        far = like(np.array([-1e30, 1e30]), image, 100).astype(np.float64)
        np.testing.assert_allclose(far, [np.iinfo(dtype).min, np.iinfo(dtype).max], rtol=1e-15)


@pytest.mark.parametrize(
    ("data_range", "error"),
    [
        (-1, ValueError), (0, ValueError), (np.nan, ValueError), (np.inf, ValueError),
        ((1, 1), ValueError), ((3, 1), ValueError), ((0, np.inf), ValueError),
        ((-sys.float_info.max, sys.float_info.max), ValueError),
        ("4095", TypeError), ((1, 2, 3), TypeError), ((0, None), TypeError), ({0, 1}, TypeError),
        (1j, TypeError),
    ],
)  # fmt: skip
def test_bad_data_ranges(data_range, error):
    expected = "expected a positive number, or a pair (low, high) with low < high"
    image = np.zeros((8, 8))
    for refuse in (df.denoise, df.estimate_parameters, df.estimate_sigma):
        with pytest.raises(error, match=r"^data_range is ") as caught:
            refuse(image, data_range=data_range)
        assert str(caught.value).endswith(f"; {expected}")
    with pytest.raises(error, match=r"^data_range is "):  # before anything is drawn from it
        df.scale_space(image, "heat", [1], data_range=data_range)


def test_data_ranges_of_every_kind():
    for pair in ([0, 4095], np.array([0, 4095]), (np.uint16(0), np.float32(4095))):
        assert check_data_range(pair) == (0, 4095)


def test_bad_images_are_refused_as_without():
    for image, message in [
        (np.full((8, 8), np.nan), "image has 64 pixels that are NaN or infinite"),
        (np.full((8, 8), 1e308), "image has 64 pixels that are NaN or infinite"),
        (np.zeros((8, 8), complex), "image has dtype complex128; expected real numbers"),
        (np.zeros(8), r"image has shape \(8,\)"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            df.denoise(image, 0.1, data_range=0.001)


def test_a_sigma_in_the_unit_of_the_image_is_suggested_as_a_fraction(counts):
    message = "sigma is 200; expected at most 1, the range of the image; did you mean 200/4095?"
    for refuse in (
        lambda: df.denoise(counts, 200, data_range=4095),
        lambda: df.estimate_parameters(counts, 200, data_range=(-1024, 3071)),
        lambda: df.scale_space(counts, "heat", [1], sigma=200, data_range=4095),
    ):
        with pytest.raises(ValueError, match=r".") as caught:
            refuse()
        assert str(caught.value) == message
    with pytest.raises(ValueError, match=r"the range of the image$"):
        check_sigma(5000, data_range=4095)


@pytest.mark.parametrize(
    ("pixels", "sigma", "hint"),
    [
        (np.array([0, 4000], np.uint16), 200, "200/65535, or 200/4095 with data_range=4095"),
        (np.array([0, 4000], np.uint16), 5000, "5000/65535"),
        (np.array([0, 40000], np.uint16), 200, "200/65535"),
        (np.array([0, 100], np.uint8), 200, "200/255"),
        (np.array([0, 100], np.int32), 200, "200/2147483647, or 200/255 with data_range=255"),
        (np.array([-1024, 3071], np.int16), 200,
         "200/32767, or 200/4095 with data_range=(-1024, 3071)"),
        (np.array([-1024, -1024], np.int16), 200, "200/32767"),
    ],
)  # fmt: skip
def test_a_data_range_is_suggested_where_integers_do_not_fill_their_type(pixels, sigma, hint):
    with pytest.raises(ValueError, match=r".") as caught:
        check_sigma(sigma, pixels)
    assert f"; did you mean {hint}?" in str(caught.value)


@pytest.mark.parametrize("method", [m for m in df.methods() if m != "identity"])
def test_the_suggestion_reaches_every_method(method, counts):
    for refuse in (
        lambda: df.denoise(counts, 200, method),
        lambda: df.denoise(counts, 200, method, full_output=True),
        lambda: df.estimate_parameters(counts, 200, method),
        lambda: df.make(method).choose(counts, 200),
    ):
        with pytest.raises(ValueError, match=r"or 200/4095 with data_range=4095\? \(uint16 is"):
            refuse()
