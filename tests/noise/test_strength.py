import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage import data, img_as_float32

from difffilter.noise import measure, strength
from difffilter.noise.measure import estimate_noise
from difffilter.noise.spectrum import Patches, spectrum_of
from difffilter.noise.strength import correction, features


def blurred(rng, shape, strength):
    noise = gaussian_filter(rng.normal(size=shape), 1)
    return strength / noise.std() * noise


def measured(image):
    patches = Patches.of(image[None, None])
    return patches, spectrum_of(patches, 0.01)


@pytest.mark.parametrize("scale", [1e-3, 4095.0])
def test_the_unit_of_intensity_does_not_matter(scale, photo, rng):
    noisy = photo + blurred(rng, photo.shape, 0.1)
    expected = features(*measured(noisy), 0.1, np.ptp(noisy))
    found = features(*measured(scale * noisy), scale * 0.1, np.ptp(scale * noisy))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_corrected_estimates_are_nearer_to_the_truth(rng, monkeypatch):
    names = ("astronaut", "chelsea", "coffee", "coins", "gravel", "immunohistochemistry", "rocket")
    photos = [img_as_float32(getattr(data, name)())[:400, :400] for name in names]

    def error(photo, strength):
        axis = -1 if photo.ndim == 3 else None
        noise = gaussian_filter(rng.normal(size=photo.shape), (1, 1, 0)[: photo.ndim])
        noisy = photo + strength / noise.std() * noise
        with monkeypatch.context() as patch:
            corrected = estimate_noise(noisy, channel_axis=axis)
            patch.setattr(measure, "correction", lambda *_: 1.0)
            raw = estimate_noise(noisy, channel_axis=axis)
        assert corrected.certain
        return [abs(np.log(model.sigma / strength)) for model in (raw, corrected)]

    errors = [error(photo, strength) for photo in photos for strength in (0.05, 0.15)]
    raw, corrected = np.mean(errors, axis=0)
    assert corrected < 0.65 * raw
    assert corrected < 0.06


@pytest.mark.parametrize("channels", [1, 3])
def test_a_flat_image_needs_little_correction(channels, rng):
    noise = np.stack([blurred(rng, (256, 256), 0.1) for _ in range(channels)], axis=-1)
    model = estimate_noise(0.5 + noise, channel_axis=-1)
    assert model.sigma == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("bias", [-9, 9])
def test_no_image_is_corrected_by_more_than_the_limit(bias, rng, monkeypatch):
    nets = {kind: net | {"outer_bias": bias} for kind, net in strength._networks().items()}
    monkeypatch.setattr(strength, "_networks", lambda: nets)
    factor = correction(*measured(rng.random((64, 64))), 0.1, 1.0)
    assert factor == pytest.approx(np.exp(np.sign(bias) * 0.5))
