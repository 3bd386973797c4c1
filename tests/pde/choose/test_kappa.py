"""The named rules for κ."""

import numpy as np
import pytest
from equations import textbook

import difffilter as df
from difffilter.pde.choose.kappa import PEAKS

DIFFERENCES = {
    "mad": 1.4826 * np.sqrt(2) * 0.6745,
    "quantile": 1.6449 * np.sqrt(2),
    "sigma": np.sqrt(2),
}


def kappa(image, rule, **options):
    return textbook(image, 0.1, kappa=rule, full_output=True, **options)[1]["kappa"]


@pytest.mark.parametrize("rule", DIFFERENCES)
def test_of_noise_alone(rule, rng):
    """Differences between neighbours have the standard deviation √2 σ."""
    noise = rng.normal(0.5, 0.1, (300, 300))
    assert kappa(noise, rule, diffusivity="rational") == pytest.approx(
        0.1 * DIFFERENCES[rule], rel=0.02
    )


def test_rules_by_their_formulas(photo, rng):
    noisy = photo + rng.normal(0, 0.05, photo.shape)
    slopes = np.abs(np.concatenate([np.diff(noisy, axis=axis).ravel() for axis in (0, 1)]))
    options = {"diffusivity": "exponential", "sigma": 0.05}
    robust = np.sqrt(2) * 1.4826022 * np.median(slopes)
    assert kappa(noisy, "mad", **options) == pytest.approx(robust, rel=1e-3)
    assert kappa(noisy, "quantile", **options) == pytest.approx(np.quantile(slopes, 0.9), rel=1e-3)
    assert kappa(noisy, "sigma", **options) == pytest.approx(0.05 * np.sqrt(2), rel=1e-3)


@pytest.mark.parametrize("diffusivity", [g for g in PEAKS if g != "charbonnier"])
def test_by_mad_the_flux_is_greatest_at_the_robust_deviation(diffusivity):
    import naive

    s = np.linspace(1e-3, 3, 30000)
    flux = s * naive.G[diffusivity](s, PEAKS[diffusivity])
    assert s[np.argmax(flux)] == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize("rule", ["mad", "quantile"])
@pytest.mark.parametrize("options", [{}, {"presmooth": 0.7}, {"diffusivity": "tukey"}])
def test_follows_contrast_spacing_and_mask(rule, options, photo):
    first = kappa(photo, rule, **options)
    assert kappa(3 * photo, rule, **options) == pytest.approx(3 * first, rel=1e-3)
    # Presmoothing is in units of length as well.
    wide = options | ({"presmooth": 1.4} if "presmooth" in options else {})
    assert kappa(photo, rule, spacing=2, **wide) == pytest.approx(first / 2, rel=1e-3)
    mask = np.zeros(photo.shape, bool)
    mask[20:60, 30:70] = True
    inside = kappa(photo[20:60, 30:70], rule, **options)
    # Presmoothing is exact in the mask; central differences at its border are not.
    tolerance = 0.1 if "presmooth" in options else 1e-3
    assert kappa(photo, rule, mask=mask, **options) == pytest.approx(inside, rel=tolerance)


@pytest.mark.parametrize("method", ["perona_malik", "forward_backward"])
@pytest.mark.parametrize("rule", DIFFERENCES)
def test_is_a_number_once_chosen(method, rule, photo, rng):
    noisy = photo + rng.normal(0, 0.05, photo.shape)
    method = df.make(method, kappa=rule)
    chosen = method.choose(noisy)
    assert 0.01 < chosen.kappa < 1
    np.testing.assert_array_equal(chosen(noisy), method(noisy))
    assert df.psnr(photo, method(noisy)) > df.psnr(photo, noisy) + 1
    [once] = df.scale_space(noisy, method, [chosen.time])
    np.testing.assert_allclose(once, method(noisy), atol=1e-12)


def test_flat_and_clean_images(photo):
    assert kappa(np.full((9, 9), 0.5), "mad") == 1e-6
    assert kappa(np.full((1, 1), 0.5), "quantile", presmooth=0.5) == 1e-6
    np.testing.assert_array_equal(df.PeronaMalik(kappa="quantile")(photo, 0.0), photo)
    np.testing.assert_array_equal(df.ForwardBackward(kappa="sigma")(photo, 0.0), photo)


@pytest.mark.parametrize("method", ["perona_malik", "forward_backward"])
def test_unknown_rule(method):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text follows)
        df.make(method, kappa="made")
    message = (
        "kappa is 'made'; expected a number or one of mad, quantile, sigma; did you mean 'mad'?"
    )
    assert str(caught.value) == message
