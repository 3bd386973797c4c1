"""What holds for every Denoiser, and for every PDE."""

import itertools

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df

METHODS = df.methods()
PDES = {
    "heat": lambda u, **k: df.heat(u, 2.0, **k),
    "heat explicit": lambda u, **k: df.heat(u, 2.0, scheme="explicit", **k),
    **{
        f"perona_malik {g} {s} {scheme}": lambda u, g=g, s=s, scheme=scheme, **k: df.perona_malik(
            u, 2.0, kappa=0.1, diffusivity=g, presmooth=s, scheme=scheme, **k
        )
        for g, s, scheme in [
            *itertools.product(
                ("exponential", "rational", "charbonnier", "tukey", "weickert"),
                (0.0, 0.7),
                ("explicit",),
            ),
            ("exponential", 0.0, "aos"),
            ("rational", 0.7, "aos"),
            ("rational", 0.0, "fsi"),
            ("exponential", 0.7, "fsi"),
            ("rational", 0.7, "auto"),
        ]
    },
    "edge_enhancing": lambda u, **k: df.edge_enhancing(u, 1.0, kappa=0.1, presmooth=0.7, **k),
    "tv_flow": lambda u, **k: df.tv_flow(u, 0.02, **k),
    "coherence_enhancing": lambda u, **k: df.coherence_enhancing(
        u, 2.0, kappa=0.1, integration=1.0, **k
    ),
}
# Extrapolation may overshoot a little.
KEEPS_EXTREMA = {name for name in PDES if not name.endswith(("fsi", "auto"))}

shapes = st.one_of(
    st.tuples(st.integers(1, 19), st.integers(1, 19)),
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 9)),
)


def images(shape, dtype=np.float64):
    return npst.arrays(dtype, shape, elements=st.floats(0, 1, width=16))


@pytest.fixture(params=METHODS)
def denoiser(request):
    return df.make(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (13, 5), (31, 37)])
def test_shape_and_dtype_stay(denoiser, shape, dtype, rng):
    noisy = rng.random(shape).astype(dtype)
    result = denoiser(noisy, 0.1)
    assert result.shape == shape
    assert result.dtype == dtype
    assert np.isfinite(result).all()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_stay_where_they_are(denoiser, axis, rng):
    noisy = np.moveaxis(rng.random((17, 19, 3), np.float32), -1, axis)
    result = denoiser(noisy, 0.1, channel_axis=axis)
    assert result.shape == noisy.shape
    last = denoiser(np.moveaxis(noisy, axis, -1), 0.1, channel_axis=-1)
    np.testing.assert_array_equal(np.moveaxis(result, axis, -1), last)


def test_input_is_untouched_and_may_be_read_only_and_strided(denoiser, rng):
    noisy = rng.random((40, 60), np.float32)[::2, ::3]
    before = noisy.copy()
    noisy.flags.writeable = False
    result = denoiser(noisy, 0.1)
    np.testing.assert_array_equal(noisy, before)
    assert not np.shares_memory(result, noisy)
    np.testing.assert_array_equal(result, denoiser(before, 0.1))


def test_same_result_each_time_whatever_came_between(denoiser, rng):
    noisy, other = rng.random((24, 24)), rng.random((24, 24))
    first = denoiser(noisy)
    denoiser(other, 0.3)
    np.testing.assert_array_equal(denoiser(noisy), first)


def test_no_noise_is_the_identity(denoiser, photo):
    np.testing.assert_allclose(denoiser(photo, 0.0), photo, atol=1e-12)


def test_integers_are_scaled(denoiser, rng):
    noisy = rng.integers(0, 256, (20, 20), np.uint8)
    result = denoiser(noisy, 0.1)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, denoiser((noisy / 255).astype(np.float32), 0.1), atol=1e-6)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
@pytest.mark.parametrize("sigma", [10 / 255, 25 / 255])
def test_gains_psnr_on_a_photograph(method, sigma, photo, rng):
    noisy = photo + rng.normal(0, sigma, photo.shape)
    assert df.psnr(photo, df.denoise(noisy, sigma=sigma, method=method)) > df.psnr(photo, noisy) + 1
    assert df.psnr(photo, df.denoise(noisy, sigma=None, method=method)) > df.psnr(photo, noisy) + 1


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
def test_gains_psnr_on_a_colour_photograph(method, colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    result = df.denoise(noisy, sigma=0.1, method=method, channel_axis=-1)
    before = df.psnr(colour_photo, noisy, channel_axis=-1)
    assert df.psnr(colour_photo, result, channel_axis=-1) > before + 2


@pytest.mark.parametrize(
    ("image", "sigma", "error", "message"),
    [
        (np.zeros((0, 4)), 0.1, ValueError, "image is empty: its shape is (0, 4)"),
        (np.zeros(4), 0.1, ValueError, "image must have 2 or 3 axes besides channels"),
        (np.zeros((2, 2, 2, 2)), 0.1, ValueError, "say which: channel_axis=-1"),
        (np.array([[np.nan, 0.0]]), 0.1, ValueError, "image has 1 pixels that are NaN or infinite"),
        (np.array([[np.inf, 0.0]]), 0.1, ValueError, "image has 1 pixels that are NaN or infinite"),
        (
            np.zeros((2, 2), complex),
            0.1,
            TypeError,
            "image must hold real numbers; got dtype complex",
        ),
    ],
)
def test_bad_images(denoiser, image, sigma, error, message):
    with pytest.raises(error) as caught:
        denoiser(image, sigma)
    assert message in str(caught.value)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "identity"])
@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (25, "sigma=25 is above the image's whole range [0, 1]; did you mean 25/255?"),
        (-0.1, "sigma must be a number ≥ 0; got -0.1"),
        (np.nan, "sigma must be a number ≥ 0; got nan"),
    ],
)
def test_bad_sigma(method, sigma, message):
    with pytest.raises(ValueError, match="sigma") as caught:
        df.denoise(np.zeros((8, 8)), sigma=sigma, method=method)
    assert str(caught.value) == message


# --- PDEs -----------------------------------------------------------------------------------


every_pde = pytest.mark.parametrize("pde", PDES.values(), ids=PDES)


@pytest.mark.parametrize("name", PDES)
@given(st.data())
def test_mean_is_conserved_and_extrema_are_kept(name, data):
    u = data.draw(shapes.flatmap(images))
    result = PDES[name](u)
    slack = 1e-12 if name in KEEPS_EXTREMA else 0.05
    assert result.mean() == pytest.approx(u.mean(), abs=1e-12)
    assert result.min() >= u.min() - slack
    assert result.max() <= u.max() + slack


@every_pde
@given(st.data())
def test_flips_and_turns_commute(pde, data):
    u = data.draw(shapes.flatmap(images))
    result = pde(u)
    axis = data.draw(st.integers(0, u.ndim - 1))
    np.testing.assert_allclose(pde(np.flip(u, axis)), np.flip(result, axis), atol=1e-12)
    axes = data.draw(st.permutations(range(u.ndim)))
    np.testing.assert_allclose(pde(u.transpose(axes)), result.transpose(axes), atol=1e-12)


@every_pde
@given(st.data())
def test_a_constant_stays_and_an_offset_passes_through(pde, data):
    u = data.draw(shapes.flatmap(images))
    np.testing.assert_allclose(pde(np.full_like(u, 0.25)), 0.25, rtol=1e-14)
    np.testing.assert_allclose(pde(u + 0.5), pde(u) + 0.5, atol=1e-12)


@every_pde
def test_channels_that_are_alike_stay_alike(pde, rng):
    grey = rng.random((12, 9))
    colour = np.stack([grey, grey, grey], axis=-1)
    result = pde(colour, channel_axis=-1)
    np.testing.assert_array_equal(result[..., 0], result[..., 1])
    np.testing.assert_array_equal(result[..., 0], result[..., 2])


@every_pde
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (67, 131), (5, 70, 33)])
def test_results_do_not_depend_on_threads(pde, shape, dtype, rng):
    import numba

    u = rng.random(shape).astype(dtype)
    threads = numba.get_num_threads()
    many = pde(u)
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(pde(u), many)
    finally:
        numba.set_num_threads(threads)
