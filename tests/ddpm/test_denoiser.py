"""The DDPM as a Denoiser: with a small random network what holds for all, with the real one what
makes it worth having."""

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from networks import random_weights
from numpy.testing import assert_allclose, assert_array_equal

from difffilter.ddpm import weights
from difffilter.ddpm.denoiser import DDPM
from difffilter.ddpm.evolution import evolve, generate
from difffilter.ddpm.loading import load_once
from difffilter.ddpm.process import posterior_mean
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.tiles import cut

MODES = ("mmse", "sample", "average")
SIZES = [(1, 1), (1, 7), (13, 1), (2, 3), (16, 16), (31, 37)]


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("gray") / "gray.safetensors", 1)


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("color") / "color.safetensors", 3)


# The network sees the image as it is.
UNIT = {"black": 0.0, "white": 1.0}


def quick(path, mode="mmse", **options):
    return DDPM(weights=path, mode=mode, steps=3, samples=2, **options)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SIZES)
def test_shape_and_dtype_stay_and_the_input_too(gray, mode, dtype, shape, rng):
    noisy = rng.random(shape).astype(dtype)
    before = noisy.copy()
    noisy.flags.writeable = False
    result = quick(gray, mode)(noisy, 0.1)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.isfinite(result).all()
    assert_array_equal(noisy, before)


def test_strides_do_not_matter(gray, rng):
    big = rng.random((40, 60))
    view = big[::-2, ::3]
    assert_array_equal(quick(gray)(view, 0.1), quick(gray)(view.copy(), 0.1))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_the_channel_axis_may_be_anywhere(color, axis, rng):
    noisy = rng.random((18, 21, 3))
    expected = quick(color)(noisy, 0.1, channel_axis=-1)
    moved = quick(color)(np.moveaxis(noisy, -1, axis), 0.1, channel_axis=axis)
    assert_array_equal(np.moveaxis(moved, axis, -1), expected)


def test_a_volume_is_its_slices(gray, color, rng):
    volume = rng.random((3, 18, 21, 3))
    for denoise, stack, axis in [(color, volume, -1), (gray, volume[..., 0], None)]:
        chosen = quick(denoise).choose(stack, 0.1, channel_axis=axis)
        result = chosen(stack, channel_axis=axis)
        for mine, theirs in zip(result, stack, strict=True):
            assert_allclose(mine, chosen(theirs, channel_axis=axis), atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_no_noise_no_change(gray, mode, rng):
    image = rng.random((9, 9))
    result = quick(gray, mode)(image, 0)
    assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_mmse_is_the_posterior_mean_at_the_interpolated_step(gray, rng):
    noisy, sigma = rng.random((32, 48)), 0.0777
    loaded = weights.load(gray)
    y = torch.from_numpy(2 * noisy - 1).float()[None, None]
    with torch.no_grad():
        x0 = posterior_mean(loaded.net, y, 2 * sigma, loaded.schedule)
    result = quick(gray, dtype="float32", **UNIT)(noisy, sigma)
    assert_allclose(result, (x0[0, 0].numpy() + 1) / 2, atol=1e-5)


def test_the_result_is_continuous_in_sigma(gray, rng):
    noisy, denoise = rng.random((16, 16)), quick(gray)
    whole = float(NoiseSchedule().sigma_tilde(40)) / 2
    assert_allclose(denoise(noisy, whole * (1 - 1e-6)), denoise(noisy, whole), atol=1e-5)


def test_sigma_is_estimated_if_not_given(gray, rng):
    noisy = 0.5 + 0.1 * rng.standard_normal((64, 64))
    denoise = quick(gray)
    estimate = denoise.estimate_sigma(noisy)
    assert estimate == pytest.approx(0.1, rel=0.1)
    assert_array_equal(denoise(noisy), denoise(noisy, estimate))
    assert not np.array_equal(denoise(noisy), denoise(noisy, 0.2))


def test_sigma_outside_the_trained_range_is_clamped_with_a_warning(gray, rng):
    noisy, denoise = rng.random((16, 16)), quick(gray, **UNIT)
    with pytest.warns(UserWarning, match=r"sigma=0\.9 is outside the range 0\.01 \.\.\. 0\.5"):
        assert_array_equal(denoise(noisy, 0.9), denoise(noisy, 0.5))
    with pytest.warns(UserWarning, match=r"sigma=0\.001 is outside"):
        little = denoise(noisy, 0.001) - noisy
    assert_allclose(little, (denoise(noisy, 0.01) - noisy) / 10, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_an_estimate_below_the_trained_range_needs_no_warning(gray, mode, rng):
    """Half of the least σ trained on changes the image half as much as that would."""
    noisy = 0.5 + 0.005 * rng.standard_normal((64, 64))
    denoise = quick(gray, mode, **UNIT)
    estimate = denoise.estimate_sigma(noisy)
    assert 0.004 < estimate < 0.006
    change = denoise(noisy) - noisy
    assert_allclose(change, estimate / 0.01 * (denoise(noisy, 0.01) - noisy), atol=1e-6)
    assert np.abs(change).max() > 1e-4


@pytest.mark.parametrize("mode", ["sample", "average"])
def test_the_seed_decides(gray, mode, rng):
    noisy = rng.random((16, 16))
    first = quick(gray, mode)
    assert_array_equal(first(noisy, 0.1), first(noisy, 0.1))
    assert not np.array_equal(first(noisy, 0.1), replace(first, seed=1)(noisy, 0.1))


def test_the_average_of_one_is_a_sample_and_of_many_has_less_variance(gray, rng):
    noisy = rng.random((16, 16))
    sample = DDPM(weights=gray, mode="sample", steps=5)
    average = DDPM(weights=gray, mode="average", steps=5, samples=1)
    assert_array_equal(sample(noisy, 0.1), average(noisy, 0.1))

    def spread(denoise):
        return np.std([replace(denoise, seed=s)(noisy, 0.1) for s in range(8)], axis=0).mean()

    assert spread(replace(average, samples=16)) == pytest.approx(spread(sample) / 4, rel=0.2)


def test_tiles_are_a_matter_of_memory_only_for_samples_too(gray, rng):
    """The noise of the way back is drawn for the whole image, whatever its tiles."""
    noisy = rng.random((64, 160))
    denoise = DDPM(weights=gray, mode="sample", steps=3, tile=64, dtype="float32")
    one = replace(denoise, batch=1)(noisy, 0.1)
    assert_allclose(one, replace(denoise, batch=5)(noisy, 0.1), atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_less_precision_is_nearly_the_same(gray, dtype, rng):
    noisy = rng.random((32, 32))
    result = quick(gray, dtype=dtype)(noisy, 0.1)
    assert result.dtype == np.float64
    exact = quick(gray, dtype="float32")(noisy, 0.1)
    assert_allclose(result, exact, atol=0.02)
    assert not np.array_equal(result, exact)


@pytest.mark.parametrize(("able", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_precision_follows_the_hardware(gray, able, dtype, rng, monkeypatch):
    monkeypatch.setattr("difffilter.ddpm.denoiser.multiplies_bfloat16", lambda device: able)
    noisy = rng.random((32, 32))
    assert_array_equal(quick(gray)(noisy, 0.1), quick(gray, dtype=dtype)(noisy, 0.1))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_gray_weights_take_channels_one_by_one_and_say_so(gray, channels, rng):
    noisy = rng.random((17, 19, channels))
    with pytest.warns(UserWarning, match="are for 1 channels"):
        result = quick(gray, **UNIT)(noisy, 0.1, channel_axis=-1)
    for channel in range(channels):
        expected = quick(gray, **UNIT)(noisy[..., channel], 0.1)
        assert_allclose(result[..., channel], expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(17, 19), (17, 19, 2)])
def test_color_weights_take_gray_and_say_so(color, shape, rng):
    noisy = rng.random(shape)
    with pytest.warns(UserWarning, match="are for 3 channels"):
        result = quick(color)(noisy, 0.1, channel_axis=-1 if len(shape) == 3 else None)
    assert result.shape == shape


def test_weights_that_were_trained_further_are_read_again(tmp_path, rng):
    path = random_weights(tmp_path / "net.safetensors", 1)
    noisy, denoise = rng.random((16, 16)), quick(path)
    before = denoise(noisy, 0.1)
    loaded = weights.load(path)
    loaded.net.tail.bias.data += 1
    weights.save(path, loaded.net, loaded.schedule, loaded.sigma_range)
    assert not np.allclose(denoise(noisy, 0.1), before)


# --- the contract ---------------------------------------------------------------------------


def test_choose_sets_what_is_open(rng):
    noisy = rng.random((16, 16))
    denoise = DDPM(mode="sample", **UNIT)
    chosen = denoise.choose(noisy, 15 / 255)
    assert (chosen.weights, chosen.steps, chosen.sigma) == ("natural-gray", 33, 15 / 255)
    assert denoise.choose(noisy).sigma == denoise.estimate_sigma(noisy)
    assert denoise.choose(rng.random((8, 8, 4)), 0.1, channel_axis=2).weights == "natural-gray"
    assert denoise.choose(rng.random((8, 8, 3)), 0.1, channel_axis=2).weights == "natural-color"
    assert replace(denoise, steps=5, sigma=0.2).choose(noisy, 0.1) == replace(
        denoise, weights="natural-gray", steps=5, sigma=0.2
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [None, 1, 2, 3])
def test_what_was_chosen_does_what_the_call_does(gray, color, mode, channels, rng):
    """And looks at nothing but its fields, so that it warns of nothing."""
    shape, axis = ((16, 16), None) if channels is None else ((16, 16, channels), -1)
    noisy = rng.random(shape)
    for path in (gray, color):
        denoise = DDPM(weights=path, mode=mode, samples=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen = denoise.choose(noisy, 0.012, channel_axis=axis)
            expected = denoise(noisy, 0.012, channel_axis=axis)
        assert chosen.is_settled()
        for sigma in (None, 0.012, 0.3):
            assert_array_equal(chosen(noisy, sigma, channel_axis=axis), expected)
        assert chosen.choose(noisy, 0.3, channel_axis=axis) is chosen


def test_it_is_settled_when_nothing_is_open(gray):
    assert not DDPM().is_settled(0.1)
    assert not DDPM(weights=gray).is_settled(0.1)
    assert not DDPM(weights=gray, steps=3).is_settled(0.1)
    assert DDPM(weights=gray, steps=3, **UNIT).is_settled(0.1)
    assert not DDPM(weights=gray, steps=3, **UNIT).is_settled()
    assert DDPM(weights=gray, steps=3, sigma=0.1, **UNIT).is_settled()


def test_the_network_sees_every_range_alike(gray, rng):
    noisy = rng.random((32, 48))
    expected = quick(gray)(noisy, 0.1)
    for scale, offset in [(1e-6, 0), (4095, -1024), (1e6, 1e6)]:
        result = quick(gray)(scale * noisy + offset, 0.1 * scale)
        assert_allclose((result - offset) / scale, expected, atol=1e-6)


def test_an_image_without_contrast_has_levels_around_its_noise(gray, rng):
    chosen = quick(gray).choose(7 + rng.normal(0, 0.1, (64, 64)), 0.1)
    assert (chosen.black, chosen.white) == pytest.approx((6.8, 7.2), abs=0.05)
    chosen = quick(gray).choose(np.full((8, 8), 3.0), 0.0)
    assert (chosen.black, chosen.white) == (2.5, 3.5)


def test_white_is_above_black(gray):
    with pytest.raises(ValueError, match=r"white is 1; expected a number above black=2"):
        DDPM(black=2.0, white=1.0)
    with pytest.raises(ValueError, match=r"black is 9 and white is .*; expected white above black"):
        quick(gray, black=9.0)(np.eye(16), 0.1)


def test_warnings_point_at_the_caller(gray, rng):
    noisy = rng.random((16, 16))
    for call in (quick(gray, **UNIT), quick(gray, **UNIT).choose):
        with pytest.warns(UserWarning, match="outside the range") as caught:
            call(noisy, 0.9)
        assert caught[0].filename == __file__


@pytest.mark.parametrize("tile", [None, 64, 100])
@pytest.mark.parametrize("shape", [(150, 170), (2, 50, 201)])
def test_blocks_come_out_as_in_the_whole(gray, tile, shape, rng):
    noisy = rng.random(shape, np.float32)
    denoise = DDPM(weights=gray, tile=tile, dtype="float32").choose(noisy, 0.1)
    whole = denoise(noisy)
    halo = denoise.halo(len(shape))
    result = np.full(shape, np.nan, np.float32)
    for box in product(*[[(a, min(a + 70, n)) for a in range(0, n, 70)] for n in shape]):
        needed, part = denoise.block(box, shape)
        assert part.is_settled()
        for (a, b), (low, high), far, n in zip(box, needed, halo, shape, strict=True):
            assert max(0, a - far) <= low <= a < b <= high <= min(n, b + far)
        pixels = part(noisy[tuple(slice(*span) for span in needed)])
        inner = [slice(a - low, b - low) for (a, b), (low, _) in zip(box, needed, strict=True)]
        result[tuple(slice(*span) for span in box)] = pixels[tuple(inner)]
    assert_array_equal(result, whole)


@pytest.mark.parametrize("mode", ["sample", "average"])
def test_samples_are_not_drawn_block_by_block(mode):
    denoise = DDPM(mode=mode)
    for ask in (lambda: denoise.block(((0, 9), (0, 9)), (9, 9)), lambda: denoise.halo(2)):
        with pytest.raises(ValueError, match=f"mode='{mode}' cannot go block by block"):
            ask()


def test_warming_up_loads_the_weights(tmp_path, rng):
    path = random_weights(tmp_path / "net.safetensors", 1)
    before = load_once.cache_info().misses
    denoise = quick(path)
    denoise.warm_up()
    assert load_once.cache_info().misses == before + 1
    denoise(rng.random((16, 16)), 0.1)
    assert load_once.cache_info().misses == before + 1


# --- bad parameters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "mean"),
        ("steps", 0),
        ("steps", 2.5),
        ("samples", 0),
        ("eta", 1.1),
        ("eta", float("nan")),
        ("seed", -1),
        ("device", "toaster"),
        ("dtype", "int8"),
        ("tile", 10),
        ("batch", 0),
        ("sigma", -0.1),
    ],
)
def test_bad_parameters_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} is"):
        DDPM(**{name: value})


def test_unknown_weights_are_refused_at_once():
    with pytest.raises(FileNotFoundError, match="natural-gray"):
        DDPM(weights="natural-grey")


# --- with the weights of the package --------------------------------------------------------


def psnr(image, clean):
    return -10 * np.log10(np.mean((image.clip(0, 1) - clean) ** 2))


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).standard_normal((128, 128))


@pytest.mark.parametrize(("sigma", "gain"), [(15 / 255, 4), (25 / 255, 6), (50 / 255, 8)])
def test_it_denoises_a_photograph(photo, noise, sigma, gain):
    noisy = photo + sigma * noise
    assert psnr(DDPM()(noisy, sigma), photo) > psnr(noisy, photo) + gain


def test_it_denoises_a_colour_photograph(colour_photo, rng):
    sigma = 25 / 255
    noisy = colour_photo + sigma * rng.standard_normal(colour_photo.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = DDPM()(noisy, sigma, channel_axis=-1)
    assert psnr(result, colour_photo) > psnr(noisy, colour_photo) + 7


def test_the_modes_trade_error_for_sharpness(photo, noise):
    """A perfect sample has twice the squared error of the mean, the average of 4 has 5/4 of it."""
    clean, sigma = photo[:64, :64], 25 / 255
    noisy = clean + sigma * noise[:64, :64]
    mean, average, sample = (
        DDPM(weights="natural-gray", mode=mode, samples=4, steps=28)(noisy, sigma)
        for mode in ("mmse", "average", "sample")
    )
    scores = [psnr(image, clean) for image in (mean, average, sample)]
    assert scores[0] > scores[1] > scores[2] > scores[0] - 4
    assert np.abs(np.diff(sample)).mean() > 1.1 * np.abs(np.diff(mean)).mean()


def test_tiles_cost_nothing_and_show_no_seam(photo, noise):
    sigma = 25 / 255
    clean = np.tile(photo, (1, 2))
    noisy = clean + sigma * np.hstack((noise, noise[::-1]))
    whole = DDPM(tile=256)(noisy, sigma)
    tiled = DDPM(tile=96)(noisy, sigma)
    assert abs(psnr(tiled, clean) - psnr(whole, clean)) < 0.1
    assert np.abs(tiled - whole).max() < 0.1


def test_a_smooth_image_stays_smooth_across_tiles(noise):
    """The largest jump across the borders of tiles is no larger than elsewhere."""
    sigma = 25 / 255
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 256), (64, 256))
    noisy = ramp + sigma * noise.reshape(64, 256)
    jumps = np.abs(np.diff(DDPM(tile=64)(noisy, sigma), axis=1)).max(axis=0)
    _, starts = cut(256, 64, 16, 16)
    borders = [edge - 1 for start in starts for edge in (start, start + 64) if 0 < edge < 256]
    elsewhere = np.delete(jumps, borders)
    assert jumps[borders].max() <= elsewhere.max()


def test_images_out_of_noise():
    images = generate(2, (32, 48), steps=5)
    assert images.shape == (2, 32, 48)
    assert images.min() >= 0
    assert images.max() <= 1
    assert_array_equal(images, generate(2, (32, 48), steps=5))
    assert not np.array_equal(images, generate(2, (32, 48), steps=5, seed=1))


def test_an_image_goes_to_noise_and_comes_back(photo):
    image = photo[:32, :32].astype(np.float32)
    there, back = evolve(image, [0, 20, 60], backward="natural-gray")
    assert_allclose(there[0], image, atol=1e-6)
    assert_array_equal(there[-1], back[-1])
    errors = [np.mean((x - image) ** 2) for x in there]
    assert errors == sorted(errors)
    assert psnr(back[0], image) > psnr(there[-1], image) + 3


def test_evolve_wants_rising_steps(photo):
    for t in ([], [5, 3], [3, 3]):
        with pytest.raises(ValueError, match="rising"):
            evolve(photo, t)


def test_evolve_wants_an_image_that_fits_the_weights(photo):
    with pytest.raises(ValueError, match="single image"):
        evolve(np.zeros((2, 8, 8)), [0, 5])
    with pytest.raises(ValueError, match="channels"):
        evolve(np.zeros((8, 8, 3)), [0, 5], channel_axis=-1, backward="natural-gray")
