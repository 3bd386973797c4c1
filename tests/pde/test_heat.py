"""The heat equation against what is known in closed form."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import difffilter as df


@given(st.data())
def test_cosine_modes_decay_exactly(data):
    shape = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    mode = [data.draw(st.integers(0, n - 1)) for n in shape]
    spacing = [data.draw(st.floats(0.5, 3)) for _ in shape]
    time = data.draw(st.floats(0, 20))
    wave, factor = naive.heat_mode(shape, mode, spacing, time)
    np.testing.assert_allclose(df.heat(wave, time, spacing=spacing), factor * wave, atol=1e-12)


def test_is_a_gaussian_blur(photo):
    # The discrete heat kernel and a sampled Gaussian have the same variance and differ by O(1/σ²).
    for sigma in (2.0, 4.0, 8.0):
        blurred = gaussian_filter(photo, sigma, mode="reflect", truncate=10)
        np.testing.assert_allclose(df.heat(photo, sigma**2 / 2), blurred, atol=0.04 / sigma**2)
    # Where the image is smooth on the scale of pixels, all that is left is what the filter cuts
    # off: 6e-5 of its weight beyond 4σ along each axis.
    smooth = df.heat(photo, 100.0)
    blurred = gaussian_filter(smooth, 2.0, mode="reflect", truncate=4)
    np.testing.assert_allclose(df.heat(smooth, 2.0), blurred, atol=6e-5)


def test_variance_of_the_kernel_is_two_t():
    dot = np.zeros(201)
    dot[100] = 1
    kernel = df.heat(dot, 7.5)
    assert kernel @ (np.arange(201) - 100.0) ** 2 == pytest.approx(15, rel=1e-12)


def test_times_add_up(photo):
    twice = df.heat(df.heat(photo, 1.5), 2.5)
    np.testing.assert_allclose(twice, df.heat(photo, 4.0), atol=1e-14)


@pytest.mark.parametrize("spacing", [None, (2.0, 0.7)])
def test_explicit_converges_at_first_order(photo, spacing):
    image = df.heat(photo, 1.0, spacing=spacing)  # smooth enough for the order to show
    exact = df.heat(image, 2.0, spacing=spacing)
    errors = [
        np.abs(df.heat(image, 2.0, spacing=spacing, scheme="explicit", step=s) - exact).max()
        for s in (0.08, 0.04, 0.02)
    ]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    np.testing.assert_allclose(orders, 1, atol=0.1)


def test_explicit_takes_one_to_three_axes(rng):
    for shape in [(30,), (9, 8), (5, 6, 7)]:
        u = df.heat(rng.random(shape), 0.5)
        explicit = df.heat(u, 1.0, scheme="explicit", step=0.005)
        np.testing.assert_allclose(explicit, df.heat(u, 1.0), atol=2e-3)


def test_spacing_stretches_time(photo):
    np.testing.assert_allclose(
        df.heat(photo, 12.0, spacing=2.0), df.heat(photo, 3.0, spacing=1.0), atol=1e-14
    )


def test_channels_do_not_mix(colour_photo):
    together = df.heat(colour_photo, 1.0, channel_axis=-1)
    for c in range(3):
        np.testing.assert_allclose(together[..., c], df.heat(colour_photo[..., c], 1.0), atol=1e-14)


def test_float32_stays_close_to_float64(photo):
    single = df.heat(photo.astype(np.float32), 3.0)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, df.heat(photo, 3.0), atol=1e-6)


@pytest.mark.parametrize("sigma", [5 / 255, 25 / 255, 75 / 255])
def test_chosen_time_is_near_the_best(photo, rng, sigma):
    noisy = photo + rng.normal(0, sigma, photo.shape)
    best = max(df.psnr(photo, df.heat(noisy, t)) for t in np.geomspace(1e-3, 30, 200))
    assert df.psnr(photo, df.Heat()(noisy, sigma)) > best - 0.1


def test_a_mask_and_a_callback_make_the_steps_explicit(photo):
    mask, times = np.ones(photo.shape, bool), []
    mask[:, 60:64] = False
    options = {"mask": mask, "callback": lambda time, image: times.append(time)}
    result = df.heat(photo, 1.0, **options)
    assert times[-1] == pytest.approx(1.0)
    np.testing.assert_array_equal(result, df.heat(photo, 1.0, scheme="explicit", **options))
    np.testing.assert_array_equal(result[:, 60:64], photo[:, 60:64])


def test_no_noise_no_time(photo):
    weight = np.ones(photo.shape)
    assert df.Heat().choose_weighted(photo, 0.0, weight=weight).time == 0
    settled = df.Heat(time=1.0)
    assert settled.choose_weighted(photo, 0.1, weight=weight) is settled


def test_chosen_parameters_are_reported(photo):
    chosen = df.Heat().choose(photo, 0.1)
    assert chosen.time > 0
    np.testing.assert_array_equal(chosen(photo), df.Heat()(photo, 0.1))
    assert df.Heat(time=2.0).choose(photo).time == 2.0


@pytest.mark.parametrize("channel_axis", [None, -1])
def test_is_chosen_on_tiles_with_noise_that_is_not_white(photo, colour_photo, channel_axis):
    """The model has the channels of the image, and the tiles pass for more."""
    image = photo[:96] if channel_axis is None else colour_photo
    noisy = df.add_noise(image, 0.1, "camera(quality=90)", channel_axis=channel_axis)
    model = df.estimate_noise(noisy, channel_axis=channel_axis)
    tiles = np.stack([noisy[:48, :64], noisy[48:, :64], noisy[:48, 64:], noisy[48:, 64:]])
    chosen = df.Heat().choose_on(tiles, model, channel_axis=channel_axis)
    whole = df.Heat().choose(noisy, model, channel_axis=channel_axis)
    assert chosen.time == pytest.approx(whole.time, rel=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time": -1}, "time is -1; expected a finite number ≥ 0"),
        ({"time": math.nan}, "time is nan; expected a finite number ≥ 0"),
        ({"time": 1, "spacing": (1, 2, 3)}, "expected one number, or one for each of the 2"),
        ({"time": 1, "spacing": 0}, "spacing is 0; expected a finite number > 0"),
        ({"time": 1, "scheme": "implicit"}, "scheme is 'implicit'; expected one of exact, explicit"),
        ({"time": 1, "step": 0.1}, "which goes with scheme='explicit'"),
        ({"time": 1, "scheme": "explicit", "step": 0.3},
         "step is 0.3; expected at most the bound 1/(2 Σ 1/h²) = 0.25"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=r".") as caught:
        df.heat(np.zeros((4, 4)), **arguments)
    assert message in str(caught.value)
