"""Noise has the statistics it promises."""

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import difffilter as df
from difffilter.noise.camera import Camera, read_variance
from difffilter.noise.kinds import KINDS, strength

FLAT = np.full((400, 400), 0.6)


@pytest.mark.parametrize(
    ("noise", "mean", "variance"),
    [
        ("gaussian", 0.6, 0.1**2),
        ("poisson", 0.6, 0.6 * 0.1**2),
        ("speckle", 0.6, 0.6**2 * 0.1**2),
        ("salt_and_pepper", 0.9 * 0.6 + 0.05, 0.9 * 0.6**2 + 0.05 - (0.9 * 0.6 + 0.05) ** 2),
    ],
)
def test_mean_and_variance(noise, mean, variance):
    noisy = df.add_noise(FLAT, 0.1, noise, 1)
    assert noisy.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance) / 400)
    assert noisy.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("noise", KINDS)
def test_noise_depends_on_the_generator_alone(noise, photo):
    before = photo.copy()
    noisy = df.add_noise(photo, 0.1, noise, np.random.default_rng(5))
    np.testing.assert_array_equal(noisy, df.add_noise(photo, 0.1, noise, 5))
    np.testing.assert_array_equal(
        df.add_noise(photo, 0.1, noise), df.add_noise(photo, 0.1, noise, 0)
    )
    assert (noisy != df.add_noise(photo, 0.1, noise, 6)).any()
    np.testing.assert_array_equal(photo, before)
    assert noisy.dtype == np.float64
    assert df.add_noise((photo * 255).astype(np.uint8), 0.1, noise).dtype == np.float32
    if noise != "jpeg":
        np.testing.assert_array_equal(df.add_noise(photo, 0, noise), photo)


@pytest.mark.parametrize("noise", KINDS)
def test_channels_may_be_anywhere(noise, colour_photo):
    photo = colour_photo[:40, :50]
    noisy = df.add_noise(photo, 0.1, noise, channel_axis=-1)
    first = df.add_noise(np.moveaxis(photo, -1, 0), 0.1, noise, channel_axis=0)
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), noisy)


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 7, 3), (2, 5, 7, 3), (2, 3, 6, 7)])
@pytest.mark.parametrize("noise", [*KINDS, "camera(quality=50)", "correlated(fwhm=30)"])
def test_any_shape(noise, shape):
    channel_axis = -1 if shape[-1] == 3 else None
    noisy = df.add_noise(np.full(shape, 0.5), 0.1, noise, channel_axis=channel_axis)
    assert noisy.shape == shape
    assert np.isfinite(noisy).all()


@pytest.mark.parametrize("noise", ["camera", "jpeg", "correlated"])
def test_planes_are_images_of_their_own(noise, photo):
    planes = np.stack([photo[:32, :32], photo[32:64, 32:64]])
    rng = np.random.default_rng(0)
    together = df.add_noise(planes, 0.1, f"{noise}()", 0)
    if noise == "camera":
        np.testing.assert_allclose(together, [df.add_noise(p, 0.1, noise, rng) for p in planes])
    assert abs(np.corrcoef(*(together - planes).reshape(2, -1))[0, 1]) < 0.15


# --- camera -----------------------------------------------------------------------------------


@given(level=st.floats(0.3, 0.8), sigma=st.floats(0.01, 0.04), more=st.floats(0, 3e-4))
@settings(max_examples=8)
def test_raw_values_have_shot_and_read_noise(level, sigma, more):
    """The raw values that a grey photograph comes from have variance σ²·r + read."""
    photo = np.full((250, 250), level)
    raw = Camera().unprocess(photo)[0, 0]
    for read, options in ((more, {"read": more}), (read_variance(sigma**2), {})):
        noisy = Camera().unprocess(df.add_noise(photo, sigma, "camera", **options))
        variance = sigma**2 * raw + read
        assert noisy.mean() == pytest.approx(raw, abs=5 * np.sqrt(variance) / 250)
        assert noisy.var() == pytest.approx(variance, rel=5 * np.sqrt(2) / 250)


def test_raw_values_behind_a_mosaic_have_the_variance_of_interpolation():
    photo = np.full((400, 400, 3), 0.5)
    raw = Camera().unprocess(photo)[0, 0]
    variance = 0.02**2 * raw + 1e-5
    alone, bilinear = (
        Camera().unprocess(
            df.add_noise(photo, 0.02, f"camera(read=1e-5, demosaic={method!r})", channel_axis=-1)
        )[2:-2, 2:-2]
        for method in ("none", "bilinear")
    )
    np.testing.assert_allclose(np.cov(alone.reshape(-1, 3).T), np.diag(variance), atol=4e-6)
    # Red was seen at even rows and columns: elsewhere it is the mean of two or four neighbours.
    shares = [[bilinear[i::2, j::2, 0].var() / variance[0] for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_allclose(shares, [[1, 1 / 2], [1 / 2, 1 / 4]], rtol=0.05)
    greens = [[bilinear[i::2, j::2, 1].var() / variance[1] for j in (0, 1)] for i in (0, 1)]
    np.testing.assert_allclose(greens, [[1 / 4, 1], [1, 1 / 4]], rtol=0.05)


def test_a_camera_clips_and_its_jpeg_is_rounded(colour_photo):
    photo = colour_photo[:64, :64]
    for options in ({}, {"quality": 90}):
        noisy = df.add_noise(photo, 0.3, "camera", channel_axis=-1, **options)
        assert noisy.min() == 0
        assert noisy.max() == 1
        levels = 255 * noisy
        assert (np.abs(levels - np.rint(levels)).max() < 1e-9) == ("quality" in options)


def test_without_shot_noise_a_camera_reads_and_compresses(photo):
    assert (df.add_noise(photo, 0, "camera", read=1e-4) != photo).any()
    np.testing.assert_array_equal(
        df.add_noise(photo, 0, "camera", quality=60), df.add_noise(photo, 0, "jpeg", quality=60)
    )


# --- correlated -------------------------------------------------------------------------------


@pytest.mark.parametrize("fwhm", [2, 3, 5])
def test_correlation_is_that_of_a_gaussian(fwhm):
    """A Gaussian blur of standard deviation s correlates pixels at a distance d by exp(−d²/4s²)."""
    noise = df.add_noise(np.zeros((600, 700)), 0.1, f"correlated(fwhm={fwhm})")
    assert noise.mean() == pytest.approx(0, abs=0.002)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    s = fwhm / 2.3548
    for lag in [(0, 1), (1, 0), (1, 1), (2, 0), (3, 1)]:
        found = np.mean(noise * np.roll(noise, lag, (0, 1))) / np.mean(noise**2)  # it wraps around
        assert found == pytest.approx(np.exp(-np.dot(lag, lag) / (4 * s * s)), abs=0.02)


@pytest.mark.parametrize("fwhm", [2, 20])
def test_correlated_noise_is_as_strong_at_the_border_of_any_image(fwhm):
    noise = df.add_noise(np.zeros((4000, 6, 7)), 0.1, "correlated", fwhm=fwhm)
    np.testing.assert_allclose(noise.var(axis=0), 0.1**2, rtol=5 * np.sqrt(2 / 4000))


def test_correlation_is_that_of_the_kernel():
    kernel = np.array([[1, 2, 1], [0, 3, 0]])
    noise = df.add_noise(np.zeros((500, 500)), 0.1, "correlated", kernel=kernel)
    same = df.add_noise(np.zeros((500, 500)), 0.1, "correlated(kernel=[[1, 2, 1], [0, 3, 0]])")
    np.testing.assert_array_equal(noise, same)
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    norm = np.sum(kernel**2)
    for lag, product in {(0, 1): 2 + 2, (0, 2): 1, (1, 0): 6, (1, 1): 3, (0, 3): 0}.items():
        found = np.mean(noise * np.roll(noise, lag, (0, 1))) / np.mean(noise**2)
        assert found == pytest.approx(product / norm, abs=0.015)


def test_correlated_noise_keeps_channels_apart():
    noise = df.add_noise(np.zeros((300, 300, 3)), 0.1, "correlated", channel_axis=-1)
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


# --- JPEG -------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_jpeg_is_that_of_pillow(colour_photo, subsampling):
    photo = colour_photo[:40, :50]
    file = io.BytesIO()
    noisy = df.add_noise(photo, 0.1, "gaussian", 3)
    pixels = np.rint(255 * noisy.clip(0, 1)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=40, subsampling=subsampling)
    result = df.add_noise(
        photo, 0.1, "jpeg(quality=40)", 3, channel_axis=-1, subsampling=subsampling
    )
    np.testing.assert_array_equal(np.rint(255 * result), np.asarray(Image.open(file)))


def test_jpeg_without_noise_only_compresses(photo):
    losses = [df.psnr(photo, df.add_noise(photo, 0, "jpeg", quality=q)) for q in (20, 75, 95)]
    assert 25 < losses[0] < losses[1] < losses[2]
    np.testing.assert_array_equal(df.add_noise(photo, 0, "jpeg"), df.add_noise(photo, 0, "jpeg", 5))


# --- σ for a denoiser, errors -----------------------------------------------------------------


def test_processed_noise_has_its_root_mean_square_as_sigma(photo):
    for noise in KINDS:
        noisy = df.add_noise(photo, 0.1, noise)
        rms = np.sqrt(np.mean((noisy - photo) ** 2))
        expected = rms if noise in ("camera", "jpeg") else 0.1
        assert strength(photo, noisy, 0.1, noise) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("pink(fwhm=2)", "noise is 'pink'; expected one of gaussian, poisson"),
        ("camera(", "cannot read the noise 'camera('; write name or name(key=value, ...)"),
        ("camera(qualty=90)", "camera noise has no parameter 'qualty'; did you mean 'quality'?"),
        ("gaussian(fwhm=2)", "gaussian noise has no parameter 'fwhm'"),
        ("camera(quality=0)", "quality is 0; expected a whole number from 1 to 100, or None"),
        ("jpeg(quality=None)", "quality is None; expected a whole number from 1 to 100"),
        ("jpeg(quality=True)", "quality is True; expected a whole number from 1 to 100"),
        ("jpeg(subsampling='4:1:1')",
         "subsampling is '4:1:1'; expected one of 4:2:0, 4:2:2, 4:4:4"),
        ("camera(read=-1)", "read is -1; expected a finite number ≥ 0 and ≤ 1"),
        ("camera(demosaic='edge')", "demosaic is 'edge'; expected one of edges, bilinear, none"),
        ("correlated(fwhm=0)", "fwhm is 0; expected a finite number > 0"),
        ("correlated(kernel=[1, 2])", "kernel has shape (2,) with channel_axis=None; expected 2 axes"),
        ("correlated(kernel=[[0]])", "kernel is 0 everywhere; expected a point spread"),
        ("correlated(kernel=[[1] * 3])", "cannot read the noise"),
    ],
)  # fmt: skip
def test_bad_parameters(noise, message, photo):
    with pytest.raises(ValueError, match=r".") as caught:
        df.add_noise(photo, 0.1, noise)
    assert message in str(caught.value)


def test_bad_axes(photo, colour_photo):
    with pytest.raises(ValueError, match="image has 2 channels; expected 1 or 3 for camera noise"):
        df.add_noise(photo[..., None].repeat(2, axis=2), 0.1, "camera", channel_axis=-1)
    with pytest.raises(ValueError, match="image has 2 channels; expected 1 or 3 for JPEG noise"):
        df.add_noise(photo[..., None].repeat(2, axis=2), 0.1, "jpeg", channel_axis=-1)
    for noise in ("camera", "correlated", "jpeg"):
        with pytest.raises(ValueError, match=r"columns; did you mean channel_axis=-1\?"):
            df.add_noise(colour_photo, 0.1, noise)
    with pytest.raises(ValueError, match="channel_axis is 2; expected one of the 2 axes of image"):
        df.add_noise(photo, 0.1, channel_axis=2)
    with pytest.raises(ValueError, match=r"kernel is 0 when wrapped around 5×1 pixels"):
        df.add_noise(np.zeros((5, 1)), 0.1, "correlated(kernel=[[1, -1]])")


def test_bad_noise(photo):
    with pytest.raises(ValueError, match="noise is 'pink'; expected one of gaussian, poisson"):
        df.add_noise(photo, 0.1, "pink")
    with pytest.raises(ValueError, match="did you mean 25/255"):
        df.add_noise(photo, 25)
    with pytest.raises(ValueError, match="image has masked values; expected none"):
        df.add_noise(np.ma.masked_less(photo, 0.2), 0.1)
    assert type(df.add_noise(np.ma.array(photo), 0.1)) is np.ndarray
