"""Laplace's and the biharmonic equation, against exact solutions and direct solves."""

import numba
import numpy as np
import pytest
from fillings import solved
from skimage import data
from skimage.restoration import inpaint_biharmonic

from difffilter.inpainting import multigrid
from difffilter.inpainting.biharmonic import Biharmonic
from difffilter.inpainting.harmonic import Harmonic, Holes
from difffilter.inpainting.inpainter import prepare

POWERS = {Harmonic: 1, Biharmonic: 2}


def masks(shape, seed=0):
    """Masks of several kinds, by name."""
    rng = np.random.default_rng(seed)
    block, border = np.zeros(shape, bool), np.zeros(shape, bool)
    block[tuple(slice(extent // 4, 3 * extent // 4) for extent in shape)] = True
    border[: shape[0] // 3] = True
    return {
        "random": rng.random(shape) < 0.8,
        "block": block,
        "border": border,
        "single": np.arange(block.size).reshape(shape) == block.size // 2,
    }


@pytest.mark.parametrize("method", POWERS)
@pytest.mark.parametrize("name", masks((2, 2)))
@pytest.mark.parametrize(("shape", "spacing"), [((40, 51), None), ((9, 12, 11), (2.0, 1.0, 0.5))])
def test_the_equation_is_solved(method, name, shape, spacing):
    image, mask = np.random.default_rng(1).random(shape), masks(shape)[name]
    expected = solved(image, mask, power=POWERS[method], spacing=spacing)
    found = method(tolerance=1e-9)(image, mask, spacing=spacing)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # The default ends early enough to be fast, and late enough to be exact to the eye.
    np.testing.assert_allclose(method()(image, mask, spacing=spacing), expected, atol=2e-4)


@pytest.mark.parametrize("method", POWERS)
def test_pixels_that_are_ignored_have_no_flux(method):
    image, mask = np.random.default_rng(1).random((30, 31)), masks((30, 31))["block"]
    ignore = np.zeros(mask.shape, bool)
    ignore[5:12, 10:20] = True
    expected = solved(image, mask, power=POWERS[method], ignore=ignore)
    found = method(tolerance=1e-9)(image, mask, ignore=ignore)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_an_annulus_between_two_values():
    # u(r) = log(r/r₁)/log(r₂/r₁) between circles at which u is 0 and 1.
    y, x = np.mgrid[-64:65, -64:65]
    r = np.hypot(x, y)
    inside, outside = 12, 56
    mask = (r > inside) & (r < outside)
    exact = np.log(np.maximum(r, 1) / inside) / np.log(outside / inside)
    found = Harmonic()(np.where(mask, 0.0, exact), mask)
    assert np.abs(found - exact)[mask].max() < 4e-4  # the discretisation's O(h²/r²)


def test_harmonic_values_lie_between_those_around():
    image = data.camera()[100:200, 150:250]
    for mask in masks(image.shape).values():
        found, known = Harmonic()(image, mask), image[~mask] / 255
        assert known.min() - 1e-5 <= found.min()
        assert found.max() <= known.max() + 1e-5


@pytest.mark.parametrize("method", POWERS)
def test_a_ramp_is_continued(method):
    y, x = np.mgrid[:40, :50]
    ramp = 0.2 + 0.01 * x - 0.005 * y
    mask = np.zeros(ramp.shape, bool)
    mask[8:31, 11:37] = True
    np.testing.assert_allclose(method(tolerance=1e-8)(ramp, mask), ramp, atol=1e-6)


def test_a_plate_continues_what_a_membrane_does_not():
    # The cubic x³ − 3xy² has Δ = 0, and x³ has Δ² = 0 only.
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    mask = np.hypot(x, y) < 0.5
    for exact, wrong in ((x**3 - 3 * x * y**2, 0), (x**3, 0.03)):
        membrane = np.abs(Harmonic()(exact, mask) - exact).max()
        assert np.abs(Biharmonic(tolerance=1e-8)(exact, mask) - exact).max() < 1e-6
        assert membrane < 1e-6 if wrong == 0 else membrane > wrong


@pytest.mark.parametrize("name", masks((2, 2)))
def test_biharmonic_agrees_with_scikit_image(name):
    image = data.camera()[100:148, 150:210] / 255.0
    mask = masks(image.shape)[name]
    # (The other one clips its result to the range of the known pixels.)
    found = Biharmonic(tolerance=1e-9)(image, mask).clip(image[~mask].min(), image[~mask].max())
    np.testing.assert_allclose(found, inpaint_biharmonic(image, mask), atol=1e-6)


def test_cycles_do_not_depend_on_the_size_of_a_hole():
    counts = []
    for extent in (32, 128, 512):
        mask = np.ones((extent, extent), bool)
        mask[[0, -1]] = mask[:, [0, -1]] = False
        image = np.random.default_rng(0).random(mask.shape)
        holes = Holes(prepare(image, mask, None, None, None)[0])
        residual, u = [], np.zeros(mask.sum())
        b = holes.sources(np.where(mask, 0, image))
        level = holes.hierarchy[0]
        product = np.empty(len(b))
        for _ in range(4):
            multigrid.apply(
                np.append(u, 0),
                level.neighbours,
                level.weights,
                level.diagonal,
                level.chunks,
                product,
            )
            residual.append(np.linalg.norm(b - product))
            u += multigrid.cycle(holes.hierarchy, (b - product).astype(np.float32))[:-1]
        counts.append(residual[-1] / residual[1])
    assert max(counts) < 0.25, counts


@pytest.mark.parametrize("method", POWERS)
def test_results_do_not_depend_on_threads(method):
    image = np.random.default_rng(0).random((300, 310))
    mask = np.random.default_rng(1).random(image.shape) < 0.8
    assert len(Holes(prepare(image, mask, None, None, None)[0]).hierarchy[0].chunks) > 4
    found = method()(image, mask)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        np.testing.assert_array_equal(method()(image, mask), found)
    finally:
        numba.set_num_threads(before)


@pytest.mark.parametrize("method", POWERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_progress_is_monotone_and_complete(method, channels):
    image = np.random.default_rng(0).random((40, 51, channels))
    mask, heard = masks((40, 51))["block"], []
    found = method()(image, mask, channel_axis=-1, callback=lambda *step: heard.append(step))
    np.testing.assert_array_equal(found, method()(image, mask, channel_axis=-1))
    done, totals = zip(*heard, strict=True)
    assert set(totals) == {100 * channels}
    assert list(done) == sorted(done)
    assert done[-1] == 100 * channels
    # One call an iteration: each gains about a digit of the error, and so of the progress.
    assert len(heard) > 5 * channels
    assert max(np.diff((0, *done))) < 50
    assert set(range(100, 100 * channels + 1, 100)) <= set(done)  # channel by channel


@pytest.mark.parametrize("method", POWERS)
def test_progress_of_what_needs_no_iteration(method):
    mask, heard = masks((40, 51))["block"], []
    method()(np.zeros((40, 51)), mask, callback=lambda *step: heard.append(step))
    assert heard == [(100, 100)]


def test_progress_ends_where_the_iterations_do():
    # Without preconditioning they do not suffice for a chain of this length.
    n, heard = 2000, []

    def times(p):
        return 2 * p[:-1] - np.append(p[1:-1], 0) - np.append(0, p[:-2])

    b = np.zeros(n)
    b[0] = 1
    multigrid.conjugate_gradients(times, np.copy, b, 1e-9, lambda *step: heard.append(step))
    done, _ = zip(*heard, strict=True)
    assert len(heard) == multigrid.MOST + 1
    assert list(done) == sorted(done)
    assert done[-2] < done[-1] == 100


def test_progress_is_the_fall_of_the_residual():
    expected = [(1.0, 0), (2.0, 0), (1e-2, 25), (1e-4, 50), (1e-8, 100), (0.0, 100), (-1e-9, 100)]
    for rho, done in expected:
        assert multigrid.fallen(rho, 1.0, 1e-4) == done


def test_a_cycle_is_symmetric_and_positive():
    mask = np.random.default_rng(0).random((12, 13)) < 0.7
    hierarchy = Holes(prepare(np.zeros(mask.shape), mask, None, None, None)[0]).hierarchy
    columns = np.eye(mask.sum(), dtype=np.float32)
    matrix = np.stack([multigrid.cycle(hierarchy, column)[:-1] for column in columns])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert np.linalg.eigvalsh(matrix.astype(float)).min() > 0
