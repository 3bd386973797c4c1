"""Denoisers of other libraries keep the laws of ours and take our units."""

import doctest
import sys
from dataclasses import fields

import numpy as np
import peers
import pytest

import difffilter as df
from difffilter.benchmark.calibration import calibrated
from difffilter.catalog import MissingExtra

SIGMA = 25 / 255


@pytest.fixture
def photo(photo):
    """A piece of it: BM3D takes its time."""
    return photo[32:96, 32:96]


@pytest.fixture
def colour_photo(colour_photo):
    return colour_photo[16:64, :64]


def made(name, **constants):
    """A peer; where its library is missing, the test is skipped with the message that says so."""
    try:
        return getattr(peers, name)(**constants)
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture(params=peers.__all__)
def peer(request):
    return made(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (13, 5), (31, 37)])
def test_shape_and_dtype_stay_and_the_input_is_untouched(peer, shape, dtype, rng):
    noisy = rng.random(shape).astype(dtype)
    before = noisy.copy()
    noisy.flags.writeable = False
    result = peer(noisy, SIGMA)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(noisy, before)
    assert not np.shares_memory(result, noisy)


def test_channels_stay_where_they_are(peer, rng):
    noisy = rng.random((17, 19, 3), np.float32)
    last = peer(noisy, SIGMA, channel_axis=-1)
    first = peer(np.moveaxis(noisy, -1, 0), SIGMA, channel_axis=0)
    np.testing.assert_array_equal(np.moveaxis(first, 0, -1), last)


def test_no_noise_is_the_identity(peer, photo):
    np.testing.assert_array_equal(peer(photo, 0.0), photo)
    assert peer(photo, 0.0) is not photo


def test_gains_psnr_on_a_photograph_with_sigma_given_or_estimated(peer, photo, rng):
    noisy = photo + rng.normal(0, SIGMA, photo.shape)
    for sigma in (SIGMA, None):
        assert df.psnr(photo, peer(noisy, sigma)) > df.psnr(photo, noisy) + 1


def test_gains_psnr_on_a_colour_photograph(peer, colour_photo, rng):
    noisy = colour_photo + rng.normal(0, SIGMA, colour_photo.shape)
    result = peer(noisy, SIGMA, channel_axis=-1)
    before = df.psnr(colour_photo, noisy, channel_axis=-1)
    assert df.psnr(colour_photo, result, channel_axis=-1) > before + 2


def test_choose_fills_in_what_a_call_uses(peer, photo, rng):
    noisy = photo + rng.normal(0, SIGMA, photo.shape)
    chosen = peer.choose(noisy, SIGMA)
    assert all(getattr(chosen, name) is not None for name in peer.SEARCH)
    np.testing.assert_array_equal(chosen(noisy, SIGMA), peer(noisy, SIGMA))
    assert chosen.choose(noisy, 0.5) == chosen


def test_joint_colour_is_not_channel_by_channel(peer, colour_photo, rng):
    noisy = colour_photo + rng.normal(0, SIGMA, colour_photo.shape)
    chosen = peer.choose(noisy, SIGMA, channel_axis=-1)
    apart = np.stack([chosen(c, SIGMA) for c in np.moveaxis(noisy, -1, 0)], axis=-1)
    together = chosen(noisy, SIGMA, channel_axis=-1)
    assert np.allclose(together, apart, atol=1e-4) != peer.JOINT


def test_volumes_are_refused(peer):
    with pytest.raises(ValueError, match="expected 2 axes besides channels"):
        peer(np.zeros((4, 4, 4)), SIGMA)


@pytest.mark.parametrize("name", peers.__all__)
def test_the_examples_hold(name):
    peer = type(made(name))
    for example in doctest.DocTestFinder(recurse=False).find(peer, name):
        example.globs |= vars(peers) | {"np": np}
        assert example.examples
        assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("name", peers.__all__)
def test_a_missing_library_is_named(name, monkeypatch):
    peer = getattr(peers, name)
    monkeypatch.setitem(sys.modules, peer.MODULES[-1], None)
    with pytest.raises(MissingExtra) as caught:
        peer()
    package = peer.PACKAGES[-1]
    assert str(caught.value) == f"{name} needs {package}: pip install 'difffilter[peers]'"


def test_bad_constants_are_refused():
    with pytest.raises(ValueError, match="weight is -1; expected a finite number > 0"):
        made("TotalVariation", weight=-1)


# --- units ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "constants", "diffusivity"),
    [
        ("DIPlibPeronaMalik", {"g": "Gauss"}, "exponential"),
        ("DIPlibPeronaMalik", {"g": "quadratic"}, "rational"),
        ("DIPlibPeronaMalik", {"g": "Tukey"}, "tukey"),
        ("MedPyDiffusion", {"option": 1}, "exponential"),
        ("MedPyDiffusion", {"option": 2}, "rational"),
    ],
)
def test_kappa_and_time_are_ours(name, constants, diffusivity, photo, rng):
    noisy = (photo + rng.normal(0, SIGMA, photo.shape)).astype(np.float32)
    result = made(name, kappa=0.15, time=3.0, **constants)(noisy, SIGMA)
    ours = df.perona_malik(
        noisy, 3.0, kappa=0.15, diffusivity=diffusivity, presmooth=0.0, scheme="explicit"
    )
    np.testing.assert_allclose(result, ours, atol=2e-5)


@pytest.mark.parametrize("kappa", [0.1, 0.3])
def test_kappa_of_simpleitk_is_in_units_of_intensity(kappa, photo):
    """One step by hand: fluxes damped by the gradient at the face between two pixels."""
    image = photo.astype(np.float32)
    u = np.pad(image.astype(np.float64), 2, mode="edge")
    expected = u.copy()
    for axis in (0, 1):
        across = np.gradient(u, axis=1 - axis)
        difference = np.diff(u, axis=axis)
        size = u.shape[axis]
        between = (across.take(range(size - 1), axis) + across.take(range(1, size), axis)) / 2
        flux = np.exp(-(difference**2 + between**2) / kappa**2) * difference
        inner = tuple(slice(1, -1) if a == axis else slice(None) for a in (0, 1))
        expected[inner] += 0.1 * np.diff(flux, axis=axis)
    result = made("SimpleITKGradient", kappa=kappa, time=0.1)(image, SIGMA)
    np.testing.assert_allclose(result, expected[2:-2, 2:-2], atol=1e-6)


def test_kappa_of_opencv_is_in_units_of_intensity():
    """An edge of height d: the three neighbours beyond it give α·3·d·exp(-(d/κ)²)."""
    edge = np.repeat([0.2, 0.6], 20) * np.ones((40, 1))
    result = made("OpenCVDiffusion", kappa=0.4, alpha=0.1, iterations=1)(edge, SIGMA)
    assert result[20, 19] == pytest.approx(0.2 + 0.1 * 3 * 0.4 * np.exp(-1), abs=1.5 / 255)
    assert result[20, 10] == pytest.approx(0.2, abs=0.5 / 255)


def test_opencv_does_not_read_beyond_its_table():
    """From black to white: no flux at all for a small κ."""
    edge = np.repeat([0.0, 1.0], 20) * np.ones((40, 1))
    result = made("OpenCVDiffusion", kappa=0.01, alpha=0.1, iterations=3)(edge, SIGMA)
    np.testing.assert_allclose(result, edge, atol=1e-6)


@pytest.mark.parametrize("name", ["OpenCVDiffusion", "OpenCVNonLocalMeans"])
def test_eight_bits_do_not_clip_noise(name, rng):
    black = np.zeros((64, 64))
    noisy = black + rng.normal(0, SIGMA, black.shape)
    result = made(name).choose(noisy, SIGMA)(noisy, SIGMA)
    assert abs(result.mean()) < 0.01


def test_diplib_does_not_darken_the_border():
    ramp = np.linspace(0.4, 0.6, 40) * np.ones((40, 1))
    result = made("DIPlibPeronaMalik", kappa=1.0, time=5.0, g="Gauss")(ramp, SIGMA)
    assert result.min() >= 0.4 - 1e-6


def test_every_peer_with_constants_is_calibrated():
    for name in peers.__all__:
        peer = getattr(peers, name)
        for colour in [False, True][: 1 + peer.JOINT]:
            space = peer.SEARCH | (peer.SEARCH_COLOUR if colour else {})
            # (What has a default, such as the factor of BM3D, only an oracle searches.)
            if any(field.default is None for field in fields(peer) if field.name in space):
                assert calibrated(f"peers:{name}", SIGMA, colour=colour).keys() == space.keys()
