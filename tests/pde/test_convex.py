import math

import naive
import numba
import numpy as np
import pytest
from skimage import data, img_as_float32

import difffilter as df
from difffilter.pde import weights
from difffilter.pde.learned import Learned
from difffilter.pde.solve.banks import Bank, norm, strengths, to_cells, with_margin
from difffilter.pde.solve.convex import Convex, Descent


def random_bank(rng, stride=2, size=6, count=4, channels=1, steep=1.0):
    filters = rng.standard_normal((count, channels, size, size))
    filters -= filters.mean(axis=(1, 2, 3), keepdims=True)
    filters /= np.sqrt(np.square(filters).sum(axis=(1, 2, 3), keepdims=True))
    knots = np.cumsum(rng.uniform(0.1, 1, (count, 3)), axis=1)
    slopes = steep * np.concatenate(
        [rng.uniform(1, 3, (count, 1)), rng.uniform(-0.02, 0.02, (count, 2))], axis=1
    )
    return Bank(stride, *(each.astype(np.float32) for each in (filters, knots, slopes)))


@pytest.fixture
def shapes_of_banks(rng):
    return [random_bank(rng, 1, 5), random_bank(rng, 2, 6), random_bank(rng, 4, 12, 8)]


@pytest.fixture
def shipped():
    return weights.load("convex-gray")


def noisy_photo(side=96, sigma=0.1, rng=None):
    clean = img_as_float32(data.camera())[150 : 150 + side, 200 : 200 + side]
    return clean + (rng or np.random.default_rng(0)).normal(0, sigma, clean.shape)


def in_sigma(image, sigma=0.1):
    """An image as float32 (1, 1, H, W), in units of σ."""
    return (image / sigma).astype(np.float32)[None, None]


# --- energy and gradient -------------------------------------------------------------------------


@pytest.mark.parametrize("varying", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_kernel_computes_energy_and_gradient(channels, varying, rng):
    banks = [
        random_bank(rng, stride, size, 4, channels, steep=0.2)
        for stride, size in ((1, 3), (2, 6), (4, 12))
    ]
    f, u = (2 * rng.standard_normal((2, channels, 9, 14)).astype(np.float32) for _ in range(2))
    scale = rng.uniform(0.5, 2, (2, 9, 14)).astype(np.float32) if varying else None
    here = Descent(Convex.of(banks), f, scale, to_cells(u))
    start, given, slope = (with_margin(each) for each in (here.u, here.f, here.g))
    by_bank = [None, None] if scale is None else strengths(scale, banks)
    for b in range(2):
        energy, gradient = naive.convex_energy(
            start[b].astype(float), given[b].astype(float), banks, by_bank[b]
        )
        np.testing.assert_allclose(slope[b], gradient, atol=2e-5)
        assert here.energies[0][b] == pytest.approx(energy, rel=1e-5)


def test_the_gradient_of_the_oracle_is_the_derivative_of_its_energy(shapes_of_banks, rng):
    f, u, way = (rng.standard_normal((1, 16, 20)) for _ in range(3))
    _, gradient = naive.convex_energy(u, f, shapes_of_banks)
    high, low = (naive.convex_energy(u + t * way, f, shapes_of_banks)[0] for t in (1e-6, -1e-6))
    assert (high - low) / 2e-6 == pytest.approx(np.sum(gradient * way), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (140, 30), (20, 540)])
def test_blocks_make_no_difference(shape, shapes_of_banks, rng):
    """The gradient at a pixel of a large image is that of its surroundings alone."""
    energy = Convex.of(shapes_of_banks)
    image = rng.standard_normal((1, 1, *shape)).astype(np.float32)
    there = Descent(energy, image, None, to_cells(image))
    planes = with_margin(there.u)[0]
    expected = 0.0
    if shape[0] > 100:  # the oracle is slow: around the border of two blocks
        planes, expected = planes[:, 100:156, :40], slice(12, -12)
        _, gradient = naive.convex_energy(planes.astype(float), planes.astype(float), energy.banks)
        found = with_margin(there.g)[0][:, 100:156, :40]
        np.testing.assert_allclose(
            found[:, expected, 12:28], gradient[:, expected, 12:28], atol=2e-5
        )
    else:
        columns = slice(max(0, planes.shape[2] - 60), None)
        planes = planes[:, :, columns].astype(float)
        _, gradient = naive.convex_energy(planes, planes, energy.banks)
        found = with_margin(there.g)[0][:, :, columns]
        inside = slice(12 if shape[1] > 60 else 0, None)
        np.testing.assert_allclose(found[..., inside], gradient[..., inside], atol=2e-5)


def test_the_number_of_threads_makes_no_difference(shapes_of_banks, rng):
    energy = Convex.of(shapes_of_banks)
    f = 2 * rng.standard_normal((2, 1, 150, 150)).astype(np.float32)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = energy.minimum(f)
    finally:
        numba.set_num_threads(before)
    together = energy.minimum(f)
    np.testing.assert_array_equal(alone.u, together.u)
    np.testing.assert_array_equal(alone.energies, together.energies)


def test_a_linear_influence_is_solved_exactly(rng):
    """φ(h) = s h beyond all responses: the minimum is (I + s WᵀW)⁻¹ f."""
    bank = random_bank(rng)
    bank = Bank(2, bank.filters, np.full((4, 1), 1e4, np.float32), np.full((4, 1), 2, np.float32))
    f = rng.standard_normal((1, 1, 12, 16)).astype(np.float32)
    found = Descent(Convex.of([bank]), f, None, to_cells(f))
    while found.residual > 1e-6:
        found.advance()
    given = with_margin(found.f)[0, 0]
    rows = []
    for y in range(0, given.shape[0] - 5, 2):
        for x in range(0, given.shape[1] - 5, 2):
            for w in bank.filters[:, 0]:
                row = np.zeros_like(given, float)
                row[y : y + 6, x : x + 6] = w
                rows.append(row.ravel())
    matrix = np.eye(given.size) + 2 * np.transpose(rows) @ rows
    expected = np.linalg.solve(matrix, given.ravel().astype(float)).reshape(given.shape)
    np.testing.assert_allclose(with_margin(found.u)[0, 0], expected, atol=1e-5)


# --- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_norm_is_a_bound_and_a_close_one(channels, rng):
    banks = [random_bank(rng, stride, size, 4, channels) for stride, size in ((1, 5), (4, 12))]
    factors = [rng.uniform(0.5, 2, 4) for _ in banks]
    height, width = 48, 52
    v = rng.standard_normal((channels, height, width))

    def applied(v):
        total = np.zeros_like(v)
        for bank, factor in zip(banks, factors, strict=True):
            k = bank.filters.shape[2]
            windows = np.lib.stride_tricks.sliding_window_view(v, (k, k), axis=(1, 2))
            windows = windows[:, :: bank.stride, :: bank.stride]
            responses = np.einsum("cyxij,fcij->fyx", windows, bank.filters)
            for f, w in enumerate(bank.filters):
                for i in range(k):
                    for j in range(k):
                        rows = slice(i, i + bank.stride * responses.shape[1], bank.stride)
                        across = slice(j, j + bank.stride * responses.shape[2], bank.stride)
                        total[:, rows, across] += (
                            factor[f] * w[:, i, j][:, None, None] * responses[f]
                        )
        return total

    for _ in range(60):
        v = applied(v)
        largest = np.linalg.norm(v)
        v /= largest
    assert largest <= norm(banks, factors) < 1.15 * largest


def test_an_energy_that_is_not_convex_is_an_error(rng):
    bank = random_bank(rng)
    steep = Bank(2, bank.filters, bank.knots, np.full((4, 3), -2, np.float32))
    with pytest.raises(ValueError, match="the energy is not convex: φ′ falls to -"):
        Convex.of([steep])


@pytest.mark.parametrize("name", ["convex-gray", "convex-color"])
def test_shipped_weights_are_what_they_state(name):
    shipped = weights.load(name)
    assert shipped.convexity == pytest.approx(0.05, abs=1e-4)
    certified = Convex.of(shipped.banks)
    assert shipped.convexity == pytest.approx(certified.convexity, abs=1e-6)
    assert shipped.steepness == pytest.approx(certified.steepness, abs=1e-4)
    for bank in shipped.banks:
        np.testing.assert_allclose(bank.filters.sum(axis=(1, 2, 3)), 0, atol=1e-5)
    parameters = sum(a.size for b in shipped.banks for a in (b.filters, b.knots, b.slopes))
    assert parameters <= 15_000


# --- guarantees ----------------------------------------------------------------------------------


def test_every_start_ends_at_the_same_minimum(shipped, rng):
    f = in_sigma(noisy_photo(64))
    ends = []
    for strength in np.geomspace(0.1, 30, 6):
        start = f + strength * rng.standard_normal(f.shape).astype(np.float32)
        ends.append(0.1 * shipped.minimum(f, start=start, tolerance=1e-5).u)
    assert np.ptp(ends, axis=0).max() < 1e-4


@pytest.mark.parametrize("sigma", [1e-4, 1e-5, 1e-7])
@pytest.mark.parametrize("clean", ["step", "photo"])
def test_noise_below_the_rounding_of_float32_is_no_endless_search(clean, sigma, shipped):
    image = noisy_photo(64, sigma)
    if clean == "step":
        image = np.repeat([[0.0, 1.0]], 32, axis=1) + np.random.default_rng(0).normal(
            0, sigma, (64, 64)
        )
    found = shipped.minimum(((image - image.mean()) / sigma).astype(np.float32)[None, None])
    assert found.reached
    assert len(found.energies) < 200


def test_energy_falls_at_every_step(shipped):
    energies = shipped.minimum(in_sigma(noisy_photo())).energies[:, 0]
    assert len(energies) > 10
    assert (np.diff(energies) < 1e-6 * energies[0]).all()
    assert energies[-1] < 0.9 * energies[0]


def test_the_residual_bounds_the_distance_to_the_minimum(shipped):
    f = in_sigma(noisy_photo())
    best, here = Descent(shipped, f, None, to_cells(f)), Descent(shipped, f, None, to_cells(f))
    while best.residual > 2e-5:
        best.advance()
    for tolerance in (0.1, 1e-2, 1e-3):
        while here.residual > tolerance:
            here.advance()
        distance = np.sqrt(np.square(here.u - best.u).mean(dtype=float))
        assert 0.2 * here.residual[0] < distance < here.residual[0] / shipped.convexity


def test_images_of_a_stack_do_not_wait_for_each_other(shipped, rng):
    """Those that are ready stay as they are."""
    photo = in_sigma(noisy_photo(48))
    stack = np.concatenate([photo, np.zeros_like(photo), rng.standard_normal(photo.shape)])
    together = shipped.minimum(stack.astype(np.float32))
    for image, found in zip(stack.astype(np.float32), together.u, strict=True):
        np.testing.assert_array_equal(shipped.minimum(image[None]).u[0], found)


def test_the_result_is_lipschitz_in_the_image(shipped, rng):
    """The norm of the derivative, by a few power iterations, is far below the bound 1/m."""
    f = in_sigma(noisy_photo(48))
    best = shipped.minimum(f, tolerance=2e-5).u
    way = rng.standard_normal(f.shape).astype(np.float32)
    for _ in range(6):
        way *= 2 / np.linalg.norm(way)
        # (The derivative is symmetric but for the border.)
        way = shipped.minimum(f + way, start=best, tolerance=2e-5).u - best
    largest = np.linalg.norm(way) / 2
    assert 0.9 < largest < 0.5 / shipped.convexity


def test_the_mean_is_kept_with_the_margin(shipped):
    """Filters have the sum 0, so that Wᵀ φ adds nothing."""
    f = in_sigma(noisy_photo())
    found = Descent(shipped, f, None, to_cells(f))
    while found.residual > 1e-4:
        found.advance()
    assert float(found.u.mean(dtype=float)) == pytest.approx(found.f.mean(dtype=float), abs=1e-4)


def test_the_flow_leads_to_the_minimum(shipped):
    f = in_sigma(noisy_photo(48))
    best = shipped.minimum(f, tolerance=1e-4).u
    away = [np.abs(shipped.evolve(f, time)[0] - best).max() for time in (0.0, 0.5, 2.0, 8.0, 40.0)]
    assert (np.diff(away) < 1e-3).all()
    assert away[-1] < 0.1
    u, found = shipped.evolve(f, 2.0)
    assert found == {"time": 2.0, "steps": math.ceil(2 * shipped.steepness)}
    finer = Convex(1, shipped.banks, shipped.convexity, 4 * shipped.steepness)
    np.testing.assert_allclose(finer.evolve(f, 2.0)[0], u, atol=0.1)


# --- the filter ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [5, 15, 25])
def test_is_above_perona_malik_on_a_photograph(sigma):
    clean = img_as_float32(data.camera())[150:350, 100:300]
    noisy = clean + np.random.default_rng(0).normal(0, sigma / 255, clean.shape)
    results = [
        df.learned(noisy, weights="convex-gray", sigma=sigma / 255),
        df.perona_malik(noisy, sigma=sigma / 255),
    ]
    mine, classical = (df.psnr(clean, each) for each in results)
    assert mine > classical + 0.2


def test_says_how_far_it_came():
    image = noisy_photo()
    result, found = df.learned(image, weights="convex-gray", sigma=0.1, full_output=True)
    assert found["time"] == math.inf
    assert found["residual"] <= 1e-3
    assert 10 < found["steps"] < 60
    _, found = df.learned(image, 0.5, weights="convex-gray", sigma=0.1, full_output=True)
    assert (found["time"], found["steps"]) == (0.5, 11)
    assert result.dtype == image.dtype


def test_colours_are_filtered_together(colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    together, apart = (
        df.psnr(
            colour_photo, df.learned(noisy, weights=w, sigma=0.1, channel_axis=-1), channel_axis=-1
        )
        for w in ("convex-color", "convex-gray")
    )
    assert together > apart + 0.5


def test_nothing_is_left_to_choose():
    image = noisy_photo(40)
    settled = Learned(weights="convex-gray").choose(image)
    assert settled.is_settled()
    assert settled.halo(2) is None
    np.testing.assert_array_equal(settled(image), settled(image, 0.3))


def test_a_callback_watches_and_stops():
    image, seen = noisy_photo(40), []
    result, found = df.learned(
        image, weights="convex-gray", sigma=0.1, full_output=True,
        callback=lambda time, u: seen.append((time, u)) or len(seen) == 4,
    )  # fmt: skip
    assert (found["steps"], found["time"]) == (4, seen[-1][0])
    assert np.all(np.diff([time for time, _ in seen]) > 0)
    np.testing.assert_array_equal(result, seen[-1][1])


def test_a_map_is_followed(rng):
    clean = img_as_float32(data.camera())[150:350, 100:300]
    deviation = np.linspace(0.02, 0.2, 200) * np.ones((200, 1))
    noisy = clean + deviation * rng.standard_normal(clean.shape)
    method = Learned(weights="convex-gray")
    known = df.psnr(clean, method(noisy, deviation))
    assert known > df.psnr(clean, method(noisy, np.sqrt(np.square(deviation).mean()))) + 0.5


def test_without_noise_nothing_changes():
    image = noisy_photo(20)
    for sigma in (0.0, np.zeros(image.shape)):
        result, found = df.learned(image, weights="convex-gray", sigma=sigma, full_output=True)
        np.testing.assert_array_equal(result, image)
        assert (found["time"], found["steps"]) == (math.inf, 0)


def test_planes_and_channels_are_filtered_apart(rng):
    volume = noisy_photo(40)[None] + rng.normal(0, 0.1, (3, 40, 40))
    method = Learned(weights="convex-gray", sigma=0.15)
    for axis in (0, None):
        result = method(volume, channel_axis=axis)
        for plane, found in zip(volume, result, strict=True):
            np.testing.assert_allclose(found, method(plane), atol=2e-4)


def test_a_map_of_equal_numbers_is_a_number():
    image, method = noisy_photo(50), Learned(weights="convex-gray")
    np.testing.assert_allclose(
        method(image, np.full(image.shape, 0.1)), method(image, 0.1), atol=1e-4
    )


def test_it_commutes_with_a_change_of_units():
    image, method = noisy_photo(50), Learned(weights="convex-gray")
    expected = 3 * method(image, 0.1) + 7
    found = method(3 * image + 7, np.full(image.shape, 0.3))
    np.testing.assert_allclose(found, expected, atol=3e-4)


def test_beyond_a_mask_nothing_counts(rng):
    image = noisy_photo(50)
    mask = np.zeros(image.shape, bool)
    mask[10:40, 10:35] = True
    result = df.learned(image, weights="convex-gray", sigma=0.1, mask=mask)
    np.testing.assert_array_equal(result[~mask], image[~mask])
    other = np.where(mask, image, rng.random(image.shape))
    found = df.learned(other, weights="convex-gray", sigma=0.1, mask=mask)
    np.testing.assert_array_equal(found[mask], result[mask])


# --- weight files --------------------------------------------------------------------------------


def test_a_weight_file_is_what_was_saved(tmp_path, shapes_of_banks):
    saved = Convex.of(shapes_of_banks)
    weights.save(tmp_path / "mine.safetensors", saved)
    found = weights.load(tmp_path / "mine.safetensors")
    assert (found.channels, found.convexity) == (1, saved.convexity)
    for mine, other in zip(saved.banks, found.banks, strict=True):
        assert mine.stride == other.stride
        for name in weights.OF_BANK:
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stride": 3}, "filters of 6×6 pixels cannot be moved by 3"),
        ({"knots": np.ones((4, 3), np.float32)}, "the knots do not rise"),
        ({"slopes": np.ones((4, 2), np.float32)}, "(4, 3) knots do not go with (4, 2) slopes"),
        (
            {"filters": np.ones((6, 1, 6, 6), np.float32)},
            "filters has shape (6, 1, 6, 6); expected (F, 1, k, k), F a multiple of 4",
        ),
    ],
)
def test_weights_that_do_not_fit_are_an_error(tmp_path, rng, change, message):
    bank = Bank(**vars(random_bank(rng)) | change)
    weights.save(tmp_path / "bad.safetensors", Convex(1, (bank,), 0.5, 3.0))
    with pytest.raises(ValueError, match="is damaged") as caught:
        weights.load(tmp_path / "bad.safetensors")
    assert message in str(caught.value)


def test_a_file_cannot_claim_what_is_impossible(tmp_path, rng):
    weights.save(tmp_path / "bad.safetensors", Convex(1, (random_bank(rng),), 0.0, 3.0))
    with pytest.raises(ValueError, match=r"the Hessian cannot be between 0\.0 and 3\.0"):
        weights.load(tmp_path / "bad.safetensors")


def test_cells_are_the_image_and_its_mirror(rng):
    image = rng.random((1, 1, 6, 5)).astype(np.float32)
    expected = np.pad(image[0, 0], ((8, 10), (8, 11)), mode="symmetric")
    np.testing.assert_array_equal(with_margin(to_cells(image))[0, 0], expected)
