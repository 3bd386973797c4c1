"""σ as a number, a map or a NoiseModel, and noise of which nothing is told."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

import difffilter as df
from difffilter.ddpm import DDPM
from difffilter.ddpm.maps import by_levels
from difffilter.noise.measure import assumed_noise
from difffilter.noise.model import check_noise_given, white_noise

PDES = ["auto", "heat", "perona_malik", "edge_enhancing", "tv_flow", "curvature_motion"]


@pytest.fixture(scope="module")
def colour():
    return data.astronaut()[100:356, 100:356] / np.float32(255)


@pytest.fixture(scope="module")
def camera(colour):
    return df.add_noise(colour, 0.09, "camera", channel_axis=-1)


def halves(shape, low, high):
    """A map of σ: low on the left, high on the right."""
    return np.where(np.arange(shape[1]) < shape[1] // 2, low, high) * np.ones(shape)


# --- maps -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PDES)
def test_a_constant_map_is_a_number(name, photo, rng):
    noisy = photo + 0.1 * rng.standard_normal(photo.shape)
    given = df.denoise(noisy, 0.1, name)
    assert df.psnr(df.denoise(noisy, np.full(photo.shape, 0.1), name), given) > 45


def test_a_constant_map_is_a_number_for_the_ddpm(photo, rng):
    noisy = (photo + 0.1 * rng.standard_normal(photo.shape)).astype(np.float32)
    given = df.denoise(noisy, 0.1, "ddpm")
    mapped = df.denoise(noisy, np.full(photo.shape, 0.1), "ddpm")
    np.testing.assert_allclose(mapped, given, atol=1e-5)


@pytest.mark.parametrize("name", ["ddpm", "perona_malik", "tv_flow", "edge_enhancing"])
def test_a_map_is_worth_giving(name, photo, rng):
    sigma = halves(photo.shape, 0.01, 0.15)
    noisy = (photo + sigma * rng.standard_normal(photo.shape)).astype(np.float32)
    number = float(np.sqrt(np.mean(sigma**2)))
    told, mapped = (df.denoise(noisy, each, name) for each in (number, sigma))
    # The PDEs have one set of parameters for all of the image.
    least = 1.0 if name == "ddpm" else -0.05
    assert df.psnr(photo, mapped) > df.psnr(photo, told) + least


def test_a_map_of_the_spatial_shape_is_that_of_each_channel(colour, rng):
    sigma = halves(colour.shape[:2], 0.02, 0.1)
    noisy = colour + sigma[..., None] * rng.standard_normal(colour.shape)
    flat, full = (
        df.perona_malik(noisy, sigma=each, channel_axis=-1)
        for each in (sigma, np.repeat(sigma[..., None], 3, axis=2))
    )
    np.testing.assert_array_equal(flat, full)


def test_levels_between_which_to_interpolate():
    seen = []

    def restore(sigma):
        seen.append(sigma)
        return np.full(5, sigma)

    sigma = np.array([0.0, 0.1, 0.15, 0.2, 0.2])
    found = by_levels(restore, np.zeros(5), sigma)
    assert min(seen) == pytest.approx(0.2 / 32)
    assert max(seen) == pytest.approx(0.2)
    np.testing.assert_allclose(found, sigma, rtol=0.02)  # log σ is interpolated, not σ


@pytest.mark.parametrize(
    ("sigma", "error", "message"),
    [
        (
            np.zeros((3, 3)),
            ValueError,
            r"sigma has shape \(3, 3\); expected a number, a NoiseModel",
        ),
        (np.full((8, 8), np.nan), ValueError, "sigma has negative, NaN or infinite values"),
        (np.full((8, 8), -1.0), ValueError, "sigma has negative, NaN or infinite values"),
        (np.full((8, 8), "a"), TypeError, "sigma has dtype <U1; expected numbers"),
        (np.full((8, 8), 25.0), ValueError, "sigma is 25; expected at most 1"),
        (white_noise(0.1, 3), ValueError, "a NoiseModel of 3 channels; the image has 1"),
    ],
)
def test_what_does_not_fit_the_image(sigma, error, message):
    image = np.full((8, 8), 0.5)
    for method in ("perona_malik", "ddpm", "identity"):
        with pytest.raises(error, match=message):
            df.denoise(image, sigma, method)


def test_other_noise_takes_a_number(photo):
    sigma = np.full(photo.shape, 0.1)
    with pytest.raises(ValueError, match="sigma is not a number; expected one for speckle noise"):
        df.srad(photo, sigma=sigma)
    with pytest.raises(ValueError, match="sigma is not a number; expected one for mode='sample'"):
        DDPM(mode="sample")(photo, sigma)


def test_a_map_for_a_dask_array():
    dask = pytest.importorskip("dask.array")
    with pytest.raises(ValueError, match="sigma is a map; expected a number or a NoiseModel"):
        df.denoise(dask.zeros((8, 8)), np.zeros((8, 8)), "heat")


def test_a_method_that_takes_numbers_is_told_the_root_mean_square():
    told = []

    def method(noisy, sigma=None, *, channel_axis=None):
        told.append(sigma)
        return noisy

    df.denoise(np.zeros((2, 2)), np.array([[0.3, 0.4], [0.3, 0.4]]), method)
    assert told == [pytest.approx(np.sqrt(0.125))]


def test_forms():
    image = np.zeros((2, 2))
    model = white_noise(0.1)
    assert check_noise_given(model, image, None, image).model is model
    assert model.plain
    assert model.uniform
    assert check_noise_given(0.1, image, None, image).map is None


# --- models -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auto", "heat", "perona_malik", "edge_enhancing", "tv_flow"])
def test_nothing_given_is_the_model_that_is_estimated(name, camera):
    model = df.estimate_noise(camera, channel_axis=-1)
    assert not model.white
    assert model.certain
    given, chosen = df.denoise(camera, model, name, channel_axis=-1, full_output=True)
    np.testing.assert_array_equal(df.denoise(camera, method=name, channel_axis=-1), given)
    assert chosen.noise is model
    assert chosen.sigma == model.sigma


@pytest.mark.parametrize("name", ["heat", "perona_malik", "edge_enhancing", "tv_flow"])
def test_camera_noise_is_removed(name, colour, camera):
    white = df.estimate_sigma(camera, channel_axis=-1)
    as_white, as_it_is = (
        df.denoise(camera, sigma, name, channel_axis=-1) for sigma in (white, None)
    )
    assert df.psnr(colour, as_it_is) > df.psnr(colour, as_white) + 1.5


@pytest.mark.parametrize("coupled", [True, False])
def test_channels_with_one_or_with_several_diffusivities(coupled, colour, camera):
    method = df.PeronaMalik(coupled=coupled)
    result = df.denoise(camera, method=method, channel_axis=-1)
    moved = df.denoise(np.moveaxis(camera, -1, 0), method=method, channel_axis=0)
    np.testing.assert_allclose(np.moveaxis(moved, 0, -1), result, atol=1e-6)
    assert df.psnr(colour, result) > df.psnr(colour, camera) + 2


def test_correlated_noise_in_grey(photo, rng):
    big = np.tile(photo, (2, 2))
    noisy = df.add_noise(big, 0.1, "correlated")
    white = df.denoise(noisy, df.estimate_sigma(noisy))
    assert df.psnr(big, df.denoise(noisy)) > df.psnr(big, white) + 2


def test_noise_that_grows_with_the_image():
    clean = np.linspace(0.05, 0.95, 300) * np.ones((300, 1))
    clean += 0.04 * np.sin(np.arange(300) / 5)[:, None]
    noisy = df.add_noise(clean, 0.1, "poisson")
    model = df.estimate_noise(noisy)
    assert model.white
    assert not model.uniform
    truth = 0.1 * np.sqrt(clean)
    found = model.deviation(clean)
    assert np.sqrt(np.mean(np.log(found / truth) ** 2)) < 0.15
    assert model.sigma == pytest.approx(np.sqrt(np.mean(truth**2)), rel=0.05)
    assert df.denoise(noisy, full_output=True)[1].noise is not None


def test_blocks_are_chosen_for_the_noise_as_it_is(colour):
    dask = pytest.importorskip("dask.array")
    photo = np.tile(colour, (3, 3, 1))
    noisy = df.add_noise(photo, 0.09, "camera", channel_axis=-1)
    lazy = dask.from_array(noisy, chunks=(256, 256, 3))
    result = df.denoise(lazy, method="perona_malik", channel_axis=-1).compute()
    whole = df.denoise(noisy, method="perona_malik", channel_axis=-1)
    assert df.psnr(whole, result) > 40


# --- the DDPM ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "name"), [(-1, "natural-color"), (None, "natural-gray")])
def test_weights_for_the_noise(axis, name, colour, rng):
    clean = colour if axis else colour.mean(axis=-1)
    white = clean + 0.1 * rng.standard_normal(clean.shape)
    real = df.add_noise(clean, 0.1, "correlated", channel_axis=axis)

    def weights(noisy, sigma=None, **options):
        chosen = df.estimate_parameters(noisy, sigma, "ddpm", channel_axis=axis, **options)
        return chosen.method.weights

    assert weights(white) == name
    assert weights(real) == f"{name}-real"
    assert weights(real, 0.1) == name  # a number stands for white noise
    assert weights(real, df.estimate_noise(real, channel_axis=axis)) == f"{name}-real"
    assert weights(real, mode="sample", steps=2) == name
    default, told = (
        df.psnr(clean, df.denoise(real, sigma, "ddpm", channel_axis=axis)) for sigma in (None, 0.1)
    )
    assert default > told + 1


@pytest.fixture(scope="module")
def photons():
    clean = (
        np.linspace(0.05, 0.95, 256) * np.ones((256, 1))
        + 0.04 * np.sin(np.arange(256) / 5)[:, None]
    )
    noisy = df.add_noise(clean, 0.1, "poisson").astype(np.float32)
    model = df.estimate_noise(noisy)
    assert model.white
    assert not model.uniform
    return noisy


@pytest.mark.parametrize("name", ["ddpm", "perona_malik"])
def test_every_way_to_denoise_uneven_noise_gives_the_same(name, photons):
    dask = pytest.importorskip("dask.array")
    result = df.denoise(photons, method=name)
    again, chosen = df.denoise(photons, method=name, full_output=True)
    np.testing.assert_array_equal(again, result)
    np.testing.assert_array_equal(df.make(str(chosen))(photons), result)
    lazy = df.denoise(dask.from_array(photons, chunks=128), method=name).compute()
    np.testing.assert_allclose(lazy, result, atol=1e-4)


def test_a_map_with_full_output(photo, rng):
    sigma = halves(photo.shape, 0.01, 0.15)
    noisy = (photo + sigma * rng.standard_normal(photo.shape)).astype(np.float32)
    result, chosen = df.denoise(noisy, sigma, "ddpm", full_output=True)
    np.testing.assert_array_equal(df.denoise(noisy, sigma, "ddpm"), result)
    assert chosen.sigma == pytest.approx(np.sqrt(np.mean(sigma**2)))


def test_samples_of_uneven_noise(photons):
    samples = df.denoise(photons[:64, :64], method="ddpm", mode="sample", steps=2)
    assert samples.shape == (64, 64)
    assert df.denoise(photons, method="ddpm", mode="sample", steps=1).shape == photons.shape


# --- images without noise ---------------------------------------------------------------------


def drawing():
    """A page with lines, text and filled shapes, antialiased."""
    page = Image.new("RGB", (1200, 800), (246, 246, 240))
    draw = ImageDraw.Draw(page)
    for k in range(24):
        draw.text((40, 30 + 30 * k), f"{k}. The quick brown fox jumps over the lazy dog " * 3, 0)
    draw.rectangle((800, 100, 1150, 300), (70, 130, 180), (20, 20, 20), 4)
    draw.ellipse((820, 400, 1120, 700), (220, 120, 40))
    return np.asarray(page.resize((600, 400), Image.Resampling.LANCZOS))


def ramps():
    """Smooth shading in 8 bits."""
    x, y = np.meshgrid(np.linspace(0, 1, 400), np.linspace(0, 1, 300))
    return np.rint(255 * np.stack([x, y, 0.5 + 0.4 * np.sin(6 * x * y)], axis=-1)).astype(np.uint8)


@pytest.mark.parametrize(
    ("image", "axis"),
    [
        (drawing(), -1),
        (drawing()[..., 0], None),
        (ramps(), -1),
        (np.kron(np.indices((24, 24)).sum(axis=0) % 2, np.ones((12, 12))), None),
        (data.page(), None),
        (data.camera(), None),
        (np.asarray(Image.fromarray(data.checkerboard()).convert("RGB")), -1),
    ],
    ids=["drawing", "grey drawing", "ramps", "squares", "scanned page", "camera", "checkerboard"],
)
def test_a_clean_image_is_left_alone(image, axis):
    result = df.denoise(image, channel_axis=axis)
    clean = np.asarray(image, np.float64) / (255 if image.dtype == np.uint8 else 1)
    assert np.sqrt(np.mean((result - clean) ** 2)) < 0.5 / 255


def test_what_may_be_texture_is_taken_for_white_noise():
    fur = data.chelsea()[80:176, 150:246]  # and no noise to speak of
    model = df.estimate_noise(fur, channel_axis=-1)
    assert not model.white
    assert not model.certain
    assert assumed_noise(fur, channel_axis=-1).white
