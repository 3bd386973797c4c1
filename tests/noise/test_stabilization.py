"""Poisson noise and speckle: how strong they are, and every method made fit for them."""

import numpy as np
import pytest
from skimage import data

import difffilter as df
from difffilter.stabilized import TRANSFORMS

PHOTOS = {
    "camera": lambda: data.camera()[::2, ::2] / 255,
    "coffee": lambda: data.coffee()[::2, ::2, 0] / 255,
    "chelsea": lambda: data.chelsea()[..., 1] / 255,
}
OTHERS = [m for m in df.methods() if m not in ("identity", "srad", "stabilized")]


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("noise", ["poisson", "speckle"])
@pytest.mark.parametrize("sigma", [0.05, 0.1, 0.2])
def test_strength_on_photographs(name, noise, sigma):
    noisy = df.add_noise(PHOTOS[name](), sigma, noise)
    assert df.estimate_sigma(noisy, noise=noise) == pytest.approx(sigma, rel=0.12)


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_estimated_strength_scales_with_the_noise(noise, photo):
    sigma = df.estimate_sigma(df.add_noise(photo, 0.1, noise), noise=noise)
    factor = {"poisson": np.sqrt(50), "speckle": 1}[noise]
    scaled = df.estimate_sigma(50 * df.add_noise(photo, 0.1, noise), noise=noise)
    assert scaled == pytest.approx(factor * sigma, rel=1e-6)


@pytest.mark.parametrize("shape", [(2, 2), (9, 9), (1, 300), (5, 30, 30)])
@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_strength_for_any_shape(shape, noise, rng):
    estimate = df.estimate_sigma(df.add_noise(np.full(shape, 0.5), 0.1, noise, rng), noise=noise)
    assert 0.02 < estimate < 0.3
    assert df.estimate_sigma(np.zeros(shape), noise=noise) == 0


@pytest.mark.parametrize(("sigma", "read"), [(0.1, 0.0), (0.1, 0.05), (0.05, 0.03)])
@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_both_components_of_the_noise(sigma, read, noise, rng):
    clean = PHOTOS["camera"]()
    noisy = df.add_noise(clean, sigma, noise) + rng.normal(0, 1, clean.shape) * read
    found = df.estimate_shot_noise(noisy, noise=noise)
    # What counts is the strength at dark and at bright places.
    exponent = {"poisson": 1, "speckle": 2}[noise]
    for level in (0.2, 0.8):
        expected = np.sqrt(sigma**2 * level**exponent + read**2)
        assert np.sqrt(found[0] ** 2 * level**exponent + found[1] ** 2) == pytest.approx(
            expected, rel=0.15
        )


@pytest.mark.parametrize(("sigma", "read"), [(0.05, 0.0), (0.2, 0.0), (0.1, 0.05)])
@pytest.mark.parametrize("noise", ["poisson", "speckle"])
@pytest.mark.parametrize("level", [0.25, 0.5, 1.0])
def test_transform_stabilises_the_variance_and_its_inverse_is_unbiased(
    noise, sigma, read, level, rng
):
    transform = TRANSFORMS[noise](1.0, sigma, read)
    many = df.add_noise(np.full((400, 500), level), sigma, noise, rng)
    stabilised = transform.forward(many + read * rng.normal(size=many.shape))
    # (asinh is linear at 0, by design: speckle is stabilised only well above an eighth of the top.)
    if noise == "poisson" or level >= 0.5:
        assert stabilised.std() == pytest.approx(transform.sigma, rel=0.12)
    assert transform.inverse(stabilised.mean()) == pytest.approx(level, rel=0.01)


def test_anscombe_at_few_photons(rng):
    """Where the plain algebraic inverse would be off by more than a tenth."""
    transform = TRANSFORMS["poisson"](1.0, 1.0, 0.0)
    for photons in (0.5, 1.0, 3.0):
        stabilised = transform.forward(rng.poisson(photons, 400_000).astype(float)).mean()
        assert transform.inverse(stabilised) == pytest.approx(photons, abs=0.02)
        low = 2 * np.sqrt(3 / 8)
        unit = 2 * np.sqrt(1 + 3 / 8) - low
        assert (stabilised * unit + low) ** 2 / 4 - 3 / 8 < 0.95 * photons


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_every_method_gains_by_knowing_the_noise(method, noise, photo):
    noisy = df.add_noise(photo[20:116, 20:116], 0.2, noise).astype(np.float32)
    clean = photo[20:116, 20:116]
    aware = df.denoise(noisy, method=method, noise=noise)
    assert aware.dtype == np.float32
    unaware = df.denoise(noisy, method=method)
    assert df.psnr(clean, aware) > df.psnr(clean, noisy) + 3
    # (The heat equation blurs everything equally, whatever the noise.)
    slack = 0.05 if method == "heat" else 0
    assert df.psnr(clean, aware) > df.psnr(clean, unaware) - slack


def test_read_noise_known_estimated_and_ignored(photo, rng):
    noisy = df.add_noise(photo, 0.1, "poisson") + rng.normal(0, 0.08, photo.shape)
    known, estimated, forgotten = (
        df.psnr(photo, df.Stabilized(method="tv_flow", read=read, top=top)(noisy, sigma))
        for read, sigma, top in ((0.08, 0.1, None), (None, None, None), (0.0, 0.1, 1.0))
    )
    assert known > forgotten + 0.5
    assert estimated > known - 0.2


def test_counts_and_colour(photo, colour_photo, rng):
    counts = rng.poisson(30 * photo).astype(float)
    smooth = df.denoise(counts, sigma=1.0, noise="poisson")
    assert df.psnr(photo, smooth / 30) > df.psnr(photo, counts / 30) + 5
    assert smooth.mean() == pytest.approx(counts.mean(), rel=0.02)
    np.testing.assert_allclose(
        df.denoise(counts / 100, sigma=0.1, noise="poisson", method="tv_flow"),
        df.denoise(counts, sigma=1.0, noise="poisson", method="tv_flow") / 100,
        rtol=1e-6,
        atol=1e-9,
    )
    noisy = df.add_noise(colour_photo, 0.2, "poisson")
    smooth = df.denoise(noisy, noise="poisson", channel_axis=-1)
    before = df.psnr(colour_photo, noisy, channel_axis=-1)
    assert df.psnr(colour_photo, smooth, channel_axis=-1) > before + 5


def test_volume(rng):
    ball = 0.2 + 0.7 * (np.square(np.mgrid[:16, :32, :32] - 15.5).sum(axis=0) < 150)
    noisy = df.add_noise(ball, 0.2, "poisson")
    assert df.psnr(ball, df.denoise(noisy, noise="poisson")) > df.psnr(ball, noisy) + 8


def test_chosen_parameters_repeat_the_result(photo):
    noisy = df.add_noise(photo, 0.1, "poisson")
    method = df.Stabilized(method="edge_enhancing", noise="poisson", read=None)
    chosen = method.choose(noisy)
    assert chosen.read is not None
    inner = df.make(chosen.method)
    assert None not in (inner.kappa, inner.time, inner.presmooth)
    sigma = method.estimate_sigma(noisy)
    np.testing.assert_array_equal(chosen(noisy, sigma), method(noisy))


@pytest.mark.parametrize("noise", ["poisson", "speckle"])
def test_images_without_light(noise):
    black = np.zeros((20, 30))
    np.testing.assert_array_equal(df.denoise(black, noise=noise), black)


# --- values below 0 -------------------------------------------------------------------------


def counts_of(light, read, rng):
    """Photons of a spot of light upon nothing, with read noise, and where nothing is."""
    clean = np.zeros((128, 128))
    clean[40:90, 40:90] = light
    return rng.poisson(clean) + read * rng.normal(size=clean.shape), clean, clean == 0


@pytest.mark.parametrize("read", [0.3, 1, 3, 6])
@pytest.mark.parametrize("sigma", [1.0, None])
def test_read_noise_about_zero_is_found_and_leaves_no_bias(read, sigma, rng):
    noisy, clean, dark = counts_of(20, read, rng)
    smooth, chosen = df.denoise(noisy, sigma, "tv_flow", noise="poisson", full_output=True)
    assert chosen["read"] == pytest.approx(read, rel=0.15)
    # (Values below 0 used to become 0: a mean of 2 photons with read noise of 6.)
    assert abs(smooth[dark].mean() - noisy[dark].mean()) < max(0.05, 0.03 * read)
    assert abs(smooth[dark].mean()) < max(0.05, 0.04 * read)
    assert df.psnr(clean / 20, smooth / 20) > df.psnr(clean / 20, noisy / 20) + 8


def test_read_noise_in_images_too_small_for_patches(rng):
    noisy = rng.poisson(np.repeat([0.0, 30.0], 10) * np.ones((20, 1))) + 2.0 * rng.normal(
        size=(20, 20)
    )
    assert df.Stabilized().choose(noisy, 1.0).read == pytest.approx(2, rel=0.4)


def test_few_values_below_zero_are_no_read_noise(photo, rng):
    noisy = rng.poisson(30 * photo).astype(float)
    noisy[5, 5] = -20.0
    assert df.Stabilized().choose(noisy, 1.0).read == 0


@pytest.mark.parametrize("read", [0.5, 1.0, 2.0, 5.0])
def test_the_inverse_is_unbiased_down_to_no_light(read, rng):
    transform = TRANSFORMS["poisson"](50.0, 1.0, read)
    for light in (0.0, 0.3, 1.0, 3.0):
        noisy = rng.poisson(light, 400_000) + read * rng.normal(size=400_000)
        assert transform.inverse(transform.forward(noisy).mean()) == pytest.approx(light, abs=0.06)
    values = transform.inverse(np.linspace(-1, 1, 1000))
    assert (np.diff(values) > 0).all()


def test_a_frame_without_light_is_no_error(rng):
    frame = 3 * rng.normal(size=(64, 64))
    smooth = df.denoise(frame, noise="poisson")
    assert abs(smooth.mean() - frame.mean()) < 0.3
    assert smooth.std() < 1


def test_dark_blocks_of_an_image_are_no_error(rng):
    noisy, _, _ = counts_of(20, 1, rng)
    chosen = df.Stabilized(method="tv_flow").choose(noisy, 1.0)
    block = noisy[:16, :16] - 0.5
    assert chosen(block, 1.0).mean() == pytest.approx(block.mean(), abs=0.2)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (lambda u: np.full((20, 30), -1.0), "mean -1"),
        (lambda u: 20 * np.log10(u + 1e-3), "mean -10"),  # decibels
        (lambda u: np.where(u > 0.9, 100.0, -0.1), "95% of its values below 0"),
        (lambda u: (u - u.mean()) / u.std(), "values down to -1.489"),
    ],
)
def test_what_cannot_be_counts_is_an_error(image, found, photo):
    noisy = image(df.add_noise(photo, 0.1, "poisson"))
    for sigma in (None, 0.1):
        with pytest.raises(ValueError, match=found) as caught:
            df.denoise(noisy, sigma, "tv_flow", noise="poisson")
        assert str(caught.value).endswith(
            "; expected intensities, below 0 by no more than noise, for noise='poisson'; subtract the "
            "offset (the value where there is no light) first"
        )


def test_methods_are_matched_to_kinds_of_noise(photo):
    noisy = df.add_noise(photo, 0.1, "speckle")
    np.testing.assert_array_equal(df.denoise(noisy, method="srad", noise="speckle"), df.srad(noisy))
    np.testing.assert_array_equal(
        df.denoise(noisy, method="heat", noise="gaussian"), df.denoise(noisy, method="heat")
    )
    np.testing.assert_array_equal(
        df.denoise(noisy, noise="speckle", method="tv_flow", time=0.1),
        df.make("stabilized(method='tv_flow(time=0.1)', noise='speckle')")(noisy),
    )
    assert df.Stabilized(method=df.Heat(time=2.0)) == df.make("stabilized(method='heat(time=2.0)')")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda u: df.denoise(u, noise="pink"),
         "noise is 'pink'; expected one of gaussian, poisson, speckle"),
        (lambda u: df.estimate_sigma(u, noise="pink"),
         "noise is 'pink'; expected one of gaussian, poisson, speckle"),
        (lambda u: df.denoise(u, method="srad", noise="poisson"),
         "srad is for speckle noise, not for poisson noise"),
        (lambda u: df.denoise(u, method="srad", noise="gaussian"),
         "srad is for speckle noise, not for gaussian noise"),
        (lambda u: df.Stabilized(method="srad"),
         "method is srad, for speckle noise; expected one for gaussian noise"),
        (lambda u: df.Stabilized(noise="gaussian"),
         "noise is 'gaussian'; expected poisson or speckle: use the method alone"),
        (lambda u: df.Stabilized(method="het"), "unknown method 'het'; did you mean 'heat'?"),
        (lambda u: df.Stabilized(read=-1), "read is -1; expected a finite number ≥ 0"),
        (lambda u: df.Stabilized(top="1"), "top is '1'; expected a finite number or None"),
        (lambda u: df.denoise(u, sigma=25, noise="poisson"),
         "sigma is 25; expected at most 1, the range of the image; did you mean 25/255?"),
    ],
)  # fmt: skip
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=r".") as caught:
        call(np.zeros((8, 8)))
    assert str(caught.value) == message
