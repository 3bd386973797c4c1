"""The laws that every Denoiser keeps; those of the PDEs are in `pde/test_laws.py`."""

import numpy as np
import pytest

import difffilter as df

METHODS = df.methods()


@pytest.fixture(params=METHODS)
def denoiser(request):
    return df.make(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (13, 5), (31, 37)])
def test_shape_and_dtype_stay(denoiser, shape, dtype, rng):
    noisy = rng.random(shape).astype(dtype)
    result = denoiser(noisy, 0.1)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.isfinite(result).all()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_stay_where_they_are(denoiser, axis, rng):
    noisy = np.moveaxis(rng.random((17, 19, 3), np.float32), -1, axis)
    result = denoiser(noisy, 0.1, channel_axis=axis)
    assert result.shape == noisy.shape
    last = denoiser(np.moveaxis(noisy, axis, -1), 0.1, channel_axis=-1)
    np.testing.assert_array_equal(np.moveaxis(result, axis, -1), last)


def test_input_is_untouched_and_may_be_read_only_and_strided(denoiser, rng):
    noisy = rng.random((40, 60), np.float32)[::2, ::3]
    before = noisy.copy()
    noisy.flags.writeable = False
    result = denoiser(noisy, 0.1)
    np.testing.assert_array_equal(noisy, before)
    assert not np.shares_memory(result, noisy)
    np.testing.assert_array_equal(result, denoiser(before, 0.1))


def test_results_do_not_depend_on_earlier_calls(denoiser, rng):
    noisy, other = rng.random((24, 24)), rng.random((24, 24))
    first = denoiser(noisy)
    denoiser(other, 0.3)
    np.testing.assert_array_equal(denoiser(noisy), first)


def test_no_noise_is_the_identity(denoiser, photo):
    np.testing.assert_allclose(denoiser(photo, 0.0), photo, atol=1e-12)


def test_integers_are_scaled(denoiser, rng):
    noisy = rng.integers(0, 256, (20, 20), np.uint8)
    result = denoiser(noisy, 0.1)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, denoiser((noisy / 255).astype(np.float32), 0.1), atol=1e-6)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
@pytest.mark.parametrize("sigma", [10 / 255, 25 / 255])
def test_gains_psnr_on_a_photograph(method, sigma, photo, rng):
    noisy = photo + rng.normal(0, sigma, photo.shape)
    assert df.psnr(photo, df.denoise(noisy, sigma=sigma, method=method)) > df.psnr(photo, noisy) + 1
    assert df.psnr(photo, df.denoise(noisy, sigma=None, method=method)) > df.psnr(photo, noisy) + 1


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
def test_gains_psnr_on_a_colour_photograph(method, colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    result = df.denoise(noisy, sigma=0.1, method=method, channel_axis=-1)
    before = df.psnr(colour_photo, noisy, channel_axis=-1)
    assert df.psnr(colour_photo, result, channel_axis=-1) > before + 2


@pytest.mark.parametrize(
    ("image", "sigma", "error", "message"),
    [
        (np.zeros((0, 4)), 0.1, ValueError, "image is empty: its shape is (0, 4)"),
        (
            np.zeros(4),
            0.1,
            ValueError,
            "image has shape (4,) with channel_axis=None; expected 2 or 3 axes",
        ),
        (np.zeros((2, 2, 2, 2)), 0.1, ValueError, "did you mean channel_axis=-1?"),
        (np.array([[np.nan, 0.0]]), 0.1, ValueError, "image has 1 pixels that are NaN or infinite"),
        (np.array([[np.inf, 0.0]]), 0.1, ValueError, "image has 1 pixels that are NaN or infinite"),
        (
            np.zeros((2, 2), complex),
            0.1,
            TypeError,
            "image has dtype complex",
        ),
    ],
)
def test_bad_images(denoiser, image, sigma, error, message):
    with pytest.raises(error) as caught:
        denoiser(image, sigma)
    assert message in str(caught.value)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (25, "sigma is 25; expected at most 1, the range of the image; did you mean 25/255?"),
        (-0.1, "sigma is -0.1; expected a finite number ≥ 0"),
        (np.nan, "sigma is nan; expected a finite number ≥ 0"),
    ],
)
def test_bad_sigma(method, sigma, message):
    with pytest.raises(ValueError, match="sigma") as caught:
        df.denoise(np.zeros((8, 8)), sigma=sigma, method=method)
    assert str(caught.value) == message


@pytest.mark.parametrize("method", [m for m in METHODS if m not in ("stabilized", "srad")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_range_is_treated_alike(method, dtype, photo, rng):
    """f(a·u + b) = a·f(u) + b; chosen parameters are rounded to four digits."""
    noisy = photo + rng.normal(0, 0.1, photo.shape)
    expected = df.denoise(noisy, method=method)
    # Ill-posed sharpening amplifies the rounding of κ.
    tolerance = {"forward_backward": 0.05, "coherence_enhancing": 0.01}.get(method, 1e-3)
    for scale, offset in [(1e-6, 0), (4095, -1024), (1e6, 1e6)]:
        result = df.denoise((scale * noisy + offset).astype(dtype), method=method)
        difference = (result.astype(np.float64) - offset) / scale - expected
        assert np.abs(difference).max() < 2 * tolerance
        assert np.sqrt(np.square(difference).mean()) < tolerance / 2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("numbers", "same_as"),
    [
        (lambda u: np.rint(255 * u).astype(np.int64), lambda u: np.rint(255 * u)),
        (lambda u: np.rint(255 * u).astype(int).tolist(), lambda u: np.rint(255 * u)),
        (lambda u: u.astype(">f8"), lambda u: u),
        (lambda u: u.astype(np.float16), lambda u: u.astype(np.float16).astype(np.float32)),
    ],
)
def test_numbers_of_every_kind_are_what_they_are(method, numbers, same_as, photo, rng):
    noisy = np.clip(photo + rng.normal(0, 0.05, photo.shape), 0.1, 0.9)[:40, :40]
    given, plain = numbers(noisy), same_as(noisy)
    sigma = 0.1 * plain.max() / noisy.max() if method != "srad" else 0.1
    result = df.denoise(given, sigma=sigma, method=method)
    expected = df.denoise(plain, sigma=sigma, method=method)
    assert result.dtype == (np.float64 if np.asarray(given).dtype.str == ">f8" else np.float32)
    tolerance = 0.05 if method == "forward_backward" else 1e-3  # it amplifies rounding
    np.testing.assert_allclose(result, expected, atol=tolerance * plain.max())
