import naive
import numpy as np
import pytest
from skimage import data, img_as_float32

import difffilter as df
from difffilter.pde import weights
from difffilter.pde.learned import Learned
from difffilter.pde.solve.stages import Stage, Stages


def random_stage(rng, channels=1, cell=2, offset=0, count=8, hidden=4):
    filters = rng.standard_normal((count, channels * cell**2, 3, 3)) / (3 * cell)
    filters -= filters.mean(axis=(1, 2, 3), keepdims=True)
    arrays = {
        "filters": filters,
        "kappa": np.exp(rng.standard_normal(count)),
        "mixing": rng.standard_normal((hidden, count, 3, 3)) / np.sqrt(9 * count),
        "bias": 0.1 * rng.standard_normal(hidden),
        "influence": rng.standard_normal((count, hidden)) / np.sqrt(hidden),
        "level": 0.1 * rng.standard_normal(count),
    }
    narrow = {name: value.astype(np.float32) for name, value in arrays.items()}
    return Stage(cell, offset, fidelity=0.1, **narrow)


@pytest.fixture
def noisy(photo, rng):
    return photo + rng.normal(0, 0.1, photo.shape)


# --- one step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize(
    ("channels", "cell", "offset", "shape"),
    [
        (1, 2, 0, (24, 31)),
        (1, 2, 1, (13, 17)),
        (1, 4, 3, (37, 29)),
        (3, 4, 1, (40, 31)),
        (1, 4, 2, (5, 3)),
        (1, 2, 1, (1, 1)),
        (1, 2, 0, (9, 700)),  # several blocks abreast
        (1, 2, 1, (300, 20)),  # and one above the other
    ],
)
def test_a_step_is_the_equation(channels, cell, offset, shape, varying, rng):
    stage = random_stage(rng, channels, cell, offset)
    u, f = (4 * rng.standard_normal((2, channels, *shape)) for _ in range(2))
    scale = rng.uniform(0.5, 2, (2, *shape)) if varying else np.zeros((0, 0, 0))
    found = stage(*(each.astype(np.float32) for each in (u, f, scale)))
    for b in range(2):
        expected = naive.learned_step(u[b], f[b], stage, scale[b] if varying else None)
        np.testing.assert_allclose(found[b], expected, atol=2e-5)


def test_a_step_conserves_the_mean_inside(rng):
    """All that is taken from a pixel is given to others: filters have the sum 0."""
    stage = random_stage(rng)
    u = np.zeros((1, 1, 64, 64), np.float32)
    u[..., 24:40, 24:40] = rng.standard_normal((16, 16))
    rest = stage(np.zeros_like(u), u, np.zeros((0, 0, 0), np.float32))
    change = stage(u, u, np.zeros((0, 0, 0), np.float32)) - u
    assert np.abs(change[..., 30:34, 30:34]).max() > 0.1
    assert abs((change - rest + 0.1 * u).sum()) < 1e-3


def test_the_synthesis_is_the_adjoint_of_the_analysis(rng):
    """Where φ is linear, a step is u − Wᵀ M W u, and M = I makes that symmetric."""
    stage = random_stage(rng, count=4, hidden=8)
    # φ(h) = κ (max(0, z) − max(0, −z)) ≈ h where |h| is far below κ.
    mixing = np.zeros((8, 4, 3, 3), np.float32)
    mixing[:4, :, 1, 1], mixing[4:, :, 1, 1] = np.eye(4), -np.eye(4)
    influence = np.concatenate([np.eye(4), -np.eye(4)], axis=1).astype(np.float32)
    linear = Stage(
        2, 0, stage.filters, np.full(4, 1e4, np.float32), mixing, np.zeros(8, np.float32),
        influence, np.zeros(4, np.float32), 0.0,
    )  # fmt: skip

    def applied(u):
        return u - linear(u, u, np.zeros((0, 0, 0), np.float32))

    inside = np.zeros((2, 1, 1, 48, 48), np.float32)
    inside[..., 16:32, 16:32] = rng.standard_normal((2, 1, 1, 16, 16))
    a, b = inside
    assert np.vdot(applied(a), b) == pytest.approx(np.vdot(a, applied(b)), rel=1e-4)
    assert np.vdot(applied(a), a) > 0


# --- the filter --------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [5, 15, 25, 50])
def test_is_far_above_the_other_pdes_on_a_photograph(sigma, rng):
    clean = img_as_float32(data.camera())[150:350, 100:300]
    noisy = clean + rng.normal(0, sigma / 255, clean.shape)
    gain = df.psnr(clean, df.learned(noisy, sigma=sigma / 255)) - df.psnr(
        clean, df.edge_enhancing(noisy, sigma=sigma / 255)
    )
    assert gain > 0.3


def test_time_counts_the_steps(noisy):
    frames = []
    result, chosen = df.learned(
        noisy, sigma=0.1, callback=lambda t, u: frames.append((t, u)), full_output=True
    )
    assert [time for time, _ in frames] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert chosen == {"sigma": 0.1, "weights": "deep-gray", "time": 8.0, "steps": 8}
    np.testing.assert_array_equal(frames[-1][1], result)
    np.testing.assert_array_equal(df.learned(noisy, 3, sigma=0.1), frames[2][1])
    between = df.learned(noisy, 2.25, sigma=0.1)
    np.testing.assert_allclose(between, 0.75 * frames[1][1] + 0.25 * frames[2][1], atol=1e-6)
    np.testing.assert_allclose(df.learned(noisy, 0, sigma=0.1), noisy, atol=1e-12)


def test_a_callback_stops_the_evolution(noisy):
    result, chosen = df.learned(noisy, sigma=0.1, callback=lambda t, _: t == 2, full_output=True)
    assert (chosen["time"], chosen["steps"]) == (2, 2)
    np.testing.assert_array_equal(result, df.learned(noisy, 2, sigma=0.1))


def test_every_image_on_the_way_is_a_denoised_one(photo, noisy):
    scores = [df.psnr(photo, noisy)]
    df.learned(noisy, sigma=0.1, callback=lambda _, u: scores.append(df.psnr(photo, u)))
    assert scores[-1] > scores[0] + 5
    assert min(scores[1:]) > scores[0] + 1


def test_its_scale_space_is_the_evolution(noisy):
    frames = list(df.scale_space(noisy, "learned", [0, 2, 8], sigma=0.1))
    np.testing.assert_array_equal(frames[1], df.learned(noisy, 2, sigma=0.1))
    np.testing.assert_array_equal(frames[2], df.learned(noisy, sigma=0.1))


def test_a_map_of_equal_numbers_is_a_number(noisy):
    expected = df.learned(noisy, sigma=0.1)
    found = df.learned(noisy, sigma=np.full(noisy.shape, 0.1))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_map_is_followed(rng):
    clean = img_as_float32(data.camera())[150:350, 100:300]
    deviation = np.linspace(0.02, 0.2, 200) * np.ones((200, 1))
    noisy = clean + deviation * rng.standard_normal(clean.shape)
    known = df.psnr(clean, df.learned(noisy, sigma=deviation))
    rms = np.sqrt(np.square(deviation).mean())
    assert known > df.psnr(clean, df.learned(noisy, sigma=rms)) + 0.5


def test_beyond_a_mask_nothing_counts(noisy, rng):
    mask = np.zeros(noisy.shape, bool)
    mask[20:80, 10:70] = True
    result = df.learned(noisy, sigma=0.1, mask=mask)
    np.testing.assert_array_equal(result[~mask], noisy[~mask])
    other = np.where(mask, noisy, rng.random(noisy.shape))
    np.testing.assert_array_equal(df.learned(other, sigma=0.1, mask=mask)[mask], result[mask])
    broken = np.where(mask, noisy, np.nan)
    np.testing.assert_array_equal(df.learned(broken, sigma=0.1, mask=mask)[mask], result[mask])
    assert np.isnan(df.learned(broken, sigma=0.1, mask=mask)[~mask]).all()


def test_an_empty_mask_changes_nothing(noisy):
    mask = np.zeros(noisy.shape, bool)
    np.testing.assert_array_equal(df.learned(noisy, sigma=0.1, mask=mask), noisy)


def test_volumes_are_filtered_plane_by_plane(rng):
    volume = rng.random((3, 20, 24))
    result = df.learned(volume, sigma=0.1)
    for plane, found in zip(volume, result, strict=True):
        np.testing.assert_allclose(found, df.learned(plane, sigma=0.1), atol=1e-6)


def test_grey_weights_filter_each_channel(rng):
    image = rng.random((20, 24, 2))
    result = df.learned(image, sigma=0.1, channel_axis=-1)
    for channel in range(2):
        expected = df.learned(image[..., channel], sigma=0.1)
        np.testing.assert_allclose(result[..., channel], expected, atol=1e-6)


def test_blocks_with_their_halo_are_the_whole(rng):
    image = rng.random((260, 275), np.float32)
    settled = Learned().choose(image, 0.1)
    whole = settled(image)
    box = ((101, 143), (121, 190))
    needed, method = settled.block(box, image.shape)
    assert all(start % 4 == 0 for start, _ in needed)
    part = method(image[tuple(slice(*each) for each in needed)])
    inner = tuple(slice(a - n, b - n) for (a, b), (n, _) in zip(box, needed, strict=True))
    np.testing.assert_allclose(part[inner], whole[101:143, 121:190], atol=2e-6)
    assert settled.halo(2) == (88, 88)
    assert settled.halo(3) == (0, 88, 88)


def test_colours_are_filtered_together(colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    assert Learned().choose(noisy, 0.1, channel_axis=-1).weights == "deep-color"
    together, apart = (
        df.psnr(
            colour_photo, df.learned(noisy, weights=w, sigma=0.1, channel_axis=-1), channel_axis=-1
        )
        for w in ("deep-color", "deep-gray")
    )
    assert together > apart + 1


def test_nothing_is_left_to_choose(noisy):
    settled = Learned().choose(noisy)
    assert settled.is_settled()
    np.testing.assert_array_equal(settled(noisy), settled(noisy, 0.3))
    assert df.make("learned(time=3)").choose(noisy, 0.1).time == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"time": -1}, ValueError, "time is -1; expected a finite number ≥ 0"),
        ({"sigma": 7}, ValueError, "sigma is 7; expected at most 1"),
        ({"callback": 3}, TypeError, "callback is 3; expected a function of time and image"),
        ({"weights": "deep-grey"}, FileNotFoundError, "did you mean 'deep-gray'?"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        df.learned(np.zeros((8, 8)), **arguments)
    assert message in str(caught.value)


# --- weight files ------------------------------------------------------------------------------


def test_a_weight_file_is_what_was_saved(tmp_path, rng):
    learned = Stages(1, (random_stage(rng), random_stage(rng, cell=4, offset=2)))
    weights.save(tmp_path / "mine.safetensors", learned)
    found = weights.load(tmp_path / "mine.safetensors")
    u = rng.standard_normal((1, 1, 30, 30)).astype(np.float32)
    np.testing.assert_array_equal(found.evolve(u, 2)[0], learned.evolve(u, 2)[0])
    assert (found.multiple, found.radius) == (4, 7 + 15)


def test_colour_weights_take_colour_alone(tmp_path, rng):
    weights.save(tmp_path / "mine.safetensors", Stages(3, (random_stage(rng, channels=3),)))
    method = Learned(weights=tmp_path / "mine.safetensors")
    image = rng.random((12, 12, 3))
    method.warm_up()
    assert method(image, 0.1, channel_axis=-1).shape == image.shape
    with pytest.raises(
        ValueError, match="are for 3 channels; the image has 1: expected 'deep-gray'"
    ):
        method(image[..., 0], 0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 2}, "cells of 2 pixels cannot begin 2 before"),
        (
            {"kappa": np.ones(6, np.float32)},
            "filters has shape (8, 4, 3, 3); expected (6, 4, 3, 3)",
        ),
        ({"level": np.ones(3, np.float32)}, "level has shape (3,); expected (8,)"),
    ],
)
def test_weights_that_do_not_fit_are_an_error(tmp_path, rng, change, message):
    stage = random_stage(rng)
    weights.save(tmp_path / "bad.safetensors", Stages(1, (Stage(**vars(stage) | change),)))
    with pytest.raises(ValueError, match="is damaged") as caught:
        weights.load(tmp_path / "bad.safetensors")
    assert message in str(caught.value)


def test_weights_that_are_not_finite_are_not_saved(tmp_path, rng):
    stage = random_stage(rng)
    stage.kappa[0] = np.nan
    with pytest.raises(ValueError, match="kappa of step 1 is not finite"):
        weights.save(tmp_path / "bad.safetensors", Stages(1, (stage,)))
    assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_an_error(tmp_path):
    whole = weights.find("deep-gray").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged, truncated"):
        weights.load(tmp_path / "cut.safetensors")
