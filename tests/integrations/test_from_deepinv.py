"""A module with forward(x, sigma) as a Denoiser, whatever the unit; DeepInverse is not needed."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

import difffilter as df
from difffilter.integrations.deepinv import FromDeepinv, from_deepinv

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture
def image(photo, rng):
    return (photo[:48, :48] + rng.normal(0, 0.1, (48, 48))).astype(np.float32)


class Shrunk(torch.nn.Module):
    """Half the image and a tenth of σ; it notes what it sees."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, sigma):
        self.seen.append((x, sigma))
        return x / 2 + sigma / 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_unit_does_not_matter(dtype, image):
    image = np.stack([image, image[::-1], image.T], axis=-1).astype(dtype)
    denoiser = from_deepinv(Shrunk())
    result = denoiser(image, 0.1, channel_axis=-1)
    assert result.dtype == dtype
    twelve_bits = denoiser((4095 * image - 100).astype(dtype), 409.5, channel_axis=-1)
    assert_allclose((twelve_bits + 100) / 4095, result, atol=1e-4)


def test_sigma_is_in_the_units_of_the_network_and_may_be_estimated(image):
    model = Shrunk()
    result = from_deepinv(model, black=-1, white=3)(image, 0.1)
    [(x, sigma)] = model.seen
    assert_allclose(sigma, 0.025)
    assert_allclose(x[0, 0], (image + 1) / 4, atol=1e-6)
    assert_allclose(result, 4 * (x[0, 0] / 2 + 0.0025) - 1, atol=1e-5)
    from_deepinv(model, black=0, white=1)(image)
    assert_allclose(model.seen[1][1], df.estimate_sigma(image), rtol=1e-6)


def test_bright_stars_stay(rng):
    sky = 0.5 + rng.normal(0, 0.01, (32, 32))
    sky[10, 20] = 1000
    assert_allclose(from_deepinv(Shrunk(), black=0, white=1)(sky, 0.01)[10, 20], 1000, atol=1)


def test_a_volume_is_its_slices(image):
    denoiser, volume = from_deepinv(Shrunk(), black=0, white=1), np.stack([image, image.T])
    for mine, theirs in zip(denoiser(volume, 0.1), volume, strict=True):
        assert_allclose(mine, denoiser(theirs, 0.1), atol=1e-6)


def test_tiles_are_blended(image):
    image = np.tile(image, (3, 4))[:130]
    whole, cut = (from_deepinv(Shrunk(), tile=tile)(image, 0.1) for tile in (None, 64))
    assert_allclose(cut, whole, atol=1e-5)


def test_no_noise_changes_nothing(image):
    result = from_deepinv(Shrunk())(image, 0.0)
    assert_array_equal(result, image)
    assert result is not image


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": abs}, TypeError, "model is <built-in function abs>; expected a torch.nn.Module"),
        ({"black": 1, "white": 0}, ValueError, "white is 0; expected a number above black=1"),
        ({"tile": 10}, ValueError, "tile is 10; expected a whole number ≥ 64"),
        ({"channels": 0}, ValueError, "channels is 0; expected a whole number ≥ 1"),
    ],
)
def test_options_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        FromDeepinv(**({"model": Shrunk()} | options))


def test_a_model_that_changes_the_size_is_refused(image):
    model = torch.nn.Module()
    model.forward = lambda x, sigma: x[..., ::2]
    with pytest.raises(ValueError, match=r"model returns shape \(1, 1, 48, 24\)"):
        from_deepinv(model)(image, 0.1)
