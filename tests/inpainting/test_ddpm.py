"""Filling in by a DDPM: with a Gaussian prior, whose conditional moments are known, and with networks."""

import re
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch")

from mixtures import Mixture  # noqa: E402
from networks import random_weights  # noqa: E402

from difffilter.ddpm.conditional import Turning, draw, most_probable  # noqa: E402
from difffilter.ddpm.schedule import NoiseSchedule  # noqa: E402
from difffilter.inpainting.ddpm import DDPM, start_of  # noqa: E402
from difffilter.inpainting.harmonic import Harmonic  # noqa: E402
from difffilter.metrics import psnr  # noqa: E402

SCHEDULE = NoiseSchedule()

# Five pixels in a row, correlated; the first and the fourth are known.
MEAN = np.full(5, 0.1)
COVARIANCE = 0.04 * np.exp(-np.abs(np.subtract.outer(np.arange(5), np.arange(5))) / 4)
KNOWN = np.array([True, False, False, True, False])
VALUES = np.array([0.4, 0.0, 0.0, -0.2, 0.0])
PRIOR = Mixture([1.0], MEAN[None], COVARIANCE[None]).predictor(SCHEDULE)


def conditional_moments(noise):
    """Mean and covariance of all pixels, given the known ones with noise."""
    look = np.eye(5)[KNOWN]
    seen = look @ COVARIANCE @ look.T + noise**2 * np.eye(2)
    gain = COVARIANCE @ look.T @ np.linalg.inv(seen)
    return MEAN + gain @ (VALUES - MEAN)[KNOWN], COVARIANCE - gain @ look @ COVARIANCE


def batch(n):
    return torch.tensor(VALUES).repeat(n, 1), torch.tensor(KNOWN).repeat(n, 1)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_draws_have_the_conditional_mean_and_covariance(noise):
    """Replacing x̂_0 alone, or fresh noise in known pixels, leaves an error of the mean of 0.1."""
    generator = torch.Generator().manual_seed(0)
    samples = draw(PRIOR, *batch(1000), SCHEDULE, 1.5, noise, steps=400, generator=generator)
    mean, covariance = conditional_moments(noise)
    assert_allclose(samples.mean(dim=0), mean, atol=0.02)
    assert_allclose(samples.T.cov(), covariance, atol=0.003)


@pytest.mark.parametrize(("noise", "end"), [(0.0, 0.01), (0.2, 0.05)])
def test_the_most_probable_filling_of_a_gaussian_is_its_conditional_mean(noise, end):
    """But for the noise of the last step, with which pixels are less correlated."""
    falling = np.concatenate((np.geomspace(1, end, 100), np.full(200, end)))
    found = most_probable(PRIOR, *batch(1), SCHEDULE, falling, noise)[0]
    assert_allclose(found, conditional_moments(noise)[0], atol=0.02)


def test_a_turning_predictor_sees_every_orientation_and_answers_in_the_image_s_own():
    x, seen = torch.arange(6.0).reshape(1, 1, 2, 3), set()

    def doubled(turned, t):
        seen.add((tuple(turned.shape), tuple(turned.flatten().tolist())))
        return 2 * turned

    turning = Turning(doubled)
    for _ in range(8):
        assert_array_equal(turning(x, torch.zeros(1)), 2 * x)
    assert len(seen) == 8


def test_the_process_starts_lower_among_scattered_pixels():
    known = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    known[..., 3:6] = False
    assert start_of(known) == pytest.approx(
        0.25 - 0.125 / 3
    )  # two of six known columns are beside the hole
    assert start_of(torch.eye(9, dtype=torch.bool)[None, None]) == 0.125
    assert start_of(torch.zeros(1, 1, 9, 9, dtype=torch.bool)) == 0.125


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("gray") / "gray.safetensors", 1)


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("color") / "color.safetensors", 3)


def holes(shape, rng, share=0.5):
    mask = rng.random(shape) < share
    mask.flat[0], mask.flat[-1] = False, True
    return mask


@pytest.mark.parametrize("mode", ["map", "sample", "average"])
@pytest.mark.parametrize("shape", [(1, 2), (1, 7), (13, 1), (16, 16), (31, 37), (3, 9, 17)])
def test_known_pixels_stay_to_the_bit_and_holes_are_filled(gray, mode, shape, rng):
    image, mask = rng.random(shape), holes(shape, rng)
    image[mask] = np.nan
    before = image.copy()
    filled = DDPM(weights=gray, mode=mode, steps=2, samples=2)(image)
    assert filled.dtype == np.float64
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~mask], image[~mask])
    assert_array_equal(image, before)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_channel_axis_may_be_anywhere(color, axis, rng):
    image, mask = rng.random((18, 21, 3), np.float32), holes((18, 21), rng)
    inpainter = DDPM(weights=color, steps=2)
    expected = inpainter(image, mask, channel_axis=-1)
    moved = inpainter(np.moveaxis(image, -1, axis), mask, channel_axis=axis)
    assert_array_equal(np.moveaxis(moved, axis, -1), expected)
    assert expected.dtype == np.float32
    assert_array_equal(expected[~mask], image[~mask])


def test_grey_weights_fill_in_each_channel_by_itself(gray, rng):
    image, mask = rng.random((18, 21, 2)), holes((18, 21), rng)
    inpainter = DDPM(weights=gray, steps=2, black=0, white=1)
    together = inpainter(image, mask, channel_axis=-1)
    for k in range(2):
        assert_allclose(together[..., k], inpainter(image[..., k], mask), atol=1e-6)


def test_the_seed_decides_the_draws(gray, rng):
    image, mask = rng.random((16, 16)), holes((16, 16), rng)

    def fillings(seed):
        return DDPM(weights=gray, steps=2, samples=3, seed=seed).fillings(image, mask)

    first = fillings(0)
    assert first.shape == (3, 16, 16)
    assert_array_equal(first, fillings(0))
    assert not np.allclose(first[:, mask], fillings(1)[:, mask])
    assert (first[:, mask].std(axis=0) > 0).all()
    assert_array_equal(first[:, ~mask], np.broadcast_to(image[~mask], (3, (~mask).sum())))


def test_average_is_the_mean_of_the_fillings(gray, rng):
    image, mask = rng.random((16, 16)), holes((16, 16), rng)
    inpainter = DDPM(weights=gray, mode="average", steps=2, samples=3)
    assert_allclose(inpainter(image, mask), inpainter.fillings(image, mask).mean(axis=0))


def test_nothing_of_ignored_pixels_leaks(gray, rng):
    image, mask, ignore = rng.random((16, 16)), holes((16, 16), rng), np.zeros((16, 16), bool)
    ignore[:, 4:6] = True
    other = np.where(ignore, 99.0, image)
    inpainter = DDPM(weights=gray, steps=2)
    one, two = (inpainter(each, mask, ignore=ignore) for each in (image, other))
    assert_array_equal(one[~ignore], two[~ignore])
    assert_array_equal(two[ignore], other[ignore])


def test_the_callback_hears_of_each_step(gray, rng):
    image, mask, heard = rng.random((16, 16)), holes((16, 16), rng), []
    DDPM(weights=gray, steps=3)(image, mask, callback=lambda *step: heard.append(step))
    assert heard == [(1, 3), (2, 3), (3, 3)]


def test_an_image_without_holes_is_as_before(gray, rng):
    image = rng.random((16, 16))
    assert_array_equal(DDPM(weights=gray)(image, np.zeros((16, 16), bool)), image)


def test_brightness_and_contrast_do_not_matter(gray, rng):
    image, mask = rng.random((16, 16)), holes((16, 16), rng)
    inpainter = DDPM(weights=gray, steps=3)
    assert_allclose(inpainter(200 * image - 50, mask), 200 * inpainter(image, mask) - 50, atol=1e-3)


@pytest.mark.parametrize("channel_axis", [None, -1])
def test_it_gains_over_the_harmonic_filling(photo, astronaut, channel_axis):
    clean = photo[:64, :64] if channel_axis is None else astronaut
    mask = holes(clean.shape[:2], np.random.default_rng(0), 0.7)
    holed = np.where(mask if channel_axis is None else mask[..., None], 0, clean)
    learned, smooth = (
        psnr(clean, inpainter(holed, mask, channel_axis=channel_axis), channel_axis=channel_axis)
        for inpainter in (DDPM(steps=10), Harmonic())
    )
    assert learned > smooth + 0.5


@pytest.fixture(scope="module")
def astronaut():
    data = pytest.importorskip("skimage.data")
    return data.astronaut()[20:84, 180:244] / 255


def test_with_sigma_known_pixels_are_denoised_too(photo):
    clean, rng = photo[:64, :64], np.random.default_rng(0)
    noisy, mask = clean + 0.1 * rng.standard_normal(clean.shape), holes(clean.shape, rng, 0.3)
    ignore = np.zeros(clean.shape, bool)
    ignore[:, :2] = True
    restored = DDPM(sigma=0.1, steps=10)(noisy, mask, ignore=ignore)
    assert_array_equal(restored[ignore], noisy[ignore])
    known = ~(mask | ignore)
    errors = [np.mean((each - clean)[known] ** 2) for each in (noisy, restored)]
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"mode": "mean"}, "mode is 'mean'; expected"),
        ({"steps": 0}, "steps is 0; expected"),
        ({"samples": 0}, "samples is 0; expected"),
        ({"sigma": -1}, "sigma is -1; expected a finite number ≥ 0"),
        ({"start": 0}, "start is 0; expected a finite number ≥ 0.01 and ≤ 10"),
        ({"eta": 2}, "eta is 2; expected a finite number ≥ 0 and ≤ 1"),
        ({"black": 1, "white": 0}, "white is 0; expected a number above black=1"),
    ],
)
def test_parameters_are_checked(parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        DDPM(**parameters)


def test_weights_that_do_not_fit_are_refused(color, rng):
    message = f"weights is {str(color)!r}, for 3 channels; expected weights for 1"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DDPM(weights=color)(rng.random((16, 16)), holes((16, 16), rng))
    with pytest.raises(ValueError, match="weights is 'natural-gray-real', for real noise"):
        DDPM(weights="natural-gray-real")(rng.random((16, 16)), holes((16, 16), rng))


def test_the_contract_is_imported_without_torch():
    code = "import sys, difffilter.inpainting.api; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
