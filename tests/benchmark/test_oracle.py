"""An oracle finds what the clean image tells it, and is called one."""

import numpy as np
import pytest

import difffilter as df
from difffilter.benchmark.oracle import Oracle
from difffilter.catalog import CATALOG

SIGMA = 25 / 255


@pytest.fixture
def pair(photo, rng):
    clean = photo[:64, :64]
    return clean, clean + rng.normal(0, SIGMA, clean.shape)


@pytest.mark.parametrize("method", ["heat", "perona_malik"])
def test_not_below_the_automatic_choice(method, pair):
    clean, noisy = pair
    oracle = Oracle(method)
    result = oracle(noisy, SIGMA, clean, None)
    automatic = df.make(method)(noisy, SIGMA)
    best = df.psnr(clean, result.clip(0, 1))
    assert best >= df.psnr(clean, automatic.clip(0, 1))
    chosen = oracle.choose(noisy, SIGMA, clean)
    np.testing.assert_array_equal(chosen(noisy, SIGMA), result)


def test_heat_is_as_good_as_the_best_of_many_times(pair):
    clean, noisy = pair
    result = Oracle("heat")(noisy, SIGMA, clean)
    scores = [df.psnr(clean, df.heat(noisy, t).clip(0, 1)) for t in np.geomspace(0.1, 10, 100)]
    assert df.psnr(clean, result.clip(0, 1)) >= max(scores) - 0.01


def test_perona_malik_is_as_good_as_a_grid(pair):
    clean, noisy = pair
    result = Oracle("perona_malik(presmooth=0.0)")(noisy, SIGMA, clean)
    scores = [
        df.psnr(clean, df.perona_malik(noisy, time, k * SIGMA, diffusivity=g).clip(0, 1))
        for g in ("exponential", "rational", "tukey")
        for k in (0.7, 1.0, 1.4, 2.0, 2.8)
        for time in np.geomspace(0.3, 10, 12)
    ]
    assert df.psnr(clean, result.clip(0, 1)) >= max(scores) - 0.05


def test_what_is_given_stays(pair):
    clean, noisy = pair
    chosen = Oracle("perona_malik(diffusivity='tukey', kappa=0.2)").choose(noisy, SIGMA, clean)
    assert (chosen.diffusivity, chosen.kappa) == ("tukey", 0.2)
    assert None not in (chosen.time, chosen.presmooth)


def test_finds_the_optimum_of_a_method_that_chooses_nothing(monkeypatch, rng):
    monkeypatch.setitem(CATALOG, "toy", "toys:Shrink")
    clean = rng.normal(0.5, 0.2, (80, 80))
    noisy = clean + rng.normal(0, 0.1, clean.shape)
    chosen = Oracle("toy").choose(noisy, 0.1, clean)
    assert chosen.strength == pytest.approx(0.1**2 / (0.1**2 + 0.2**2), rel=0.1)


def test_not_below_the_calibrated_constants_of_a_peer(monkeypatch, pair):
    monkeypatch.setitem(CATALOG, "tv", "peers:TotalVariation")
    clean, noisy = pair
    result = Oracle("tv")(noisy, SIGMA, clean)
    calibrated = df.make("tv")(noisy, SIGMA)
    assert df.psnr(clean, result.clip(0, 1)) >= df.psnr(clean, calibrated.clip(0, 1))


def test_colour_and_an_unknown_sigma(colour_photo, rng):
    clean = np.moveaxis(colour_photo[:32, :32], -1, 0)
    noisy = (clean + rng.normal(0, SIGMA, clean.shape)).astype(np.float32)
    oracle = Oracle("perona_malik(diffusivity='rational', presmooth=0.5)")
    result = oracle(noisy, None, clean, channel_axis=0)
    assert result.shape == clean.shape
    assert result.dtype == np.float32
    assert df.psnr(clean, result, channel_axis=0) > df.psnr(clean, noisy, channel_axis=0) + 3


def test_no_noise_is_the_identity(photo):
    np.testing.assert_allclose(Oracle("heat")(photo, 0.0, photo), photo, atol=1e-12)


def test_it_is_called_an_oracle():
    assert Oracle("perona_malik(kappa=0.1)").label == "oracle(perona_malik(kappa=0.1))"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("identity", "oracle(identity): identity has no parameters to search"),
        ("heat(time=1)", "oracle(heat(time=1)): heat(time=1) has no parameters to search"),
        ("hat", "unknown method 'hat'; did you mean 'heat'?"),
    ],
)
def test_what_it_cannot_search_says_so(method, message):
    with pytest.raises(ValueError, match=r"oracle|unknown") as caught:
        Oracle(method)
    assert str(caught.value) == message
