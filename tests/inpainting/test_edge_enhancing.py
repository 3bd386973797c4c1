"""Edge-enhancing inpainting: edges go on, maximum principle, symmetry, no leaks."""

import re

import numpy as np
import pytest
from fillings import box
from skimage import data

from difffilter.inpainting import tensors_volume
from difffilter.inpainting.edge_enhancing import EdgeEnhancing
from difffilter.inpainting.harmonic import Harmonic
from difffilter.inpainting.inpainter import Problem
from difffilter.inpainting.pyramid import coarser, enlarged, pyramid

# --- edges go on ----------------------------------------------------------------------------


def test_an_edge_goes_on_through_a_wide_hole():
    x = np.mgrid[:64, :64][1]
    edge = np.where(x < 32, 0.2, 0.8)
    hole = box(edge.shape, slice(20, 44), slice(8, 56))
    filled, harmonic = EdgeEnhancing()(edge, hole), Harmonic()(edge, hole)
    # Four pixels from the edge the image is what it was.
    away = hole & (abs(x - 31.5) > 4)
    assert abs(filled - edge)[away].max() < 0.05
    assert abs(harmonic - edge)[away].max() > 0.15
    assert abs(filled - edge)[hole].mean() < 0.35 * abs(harmonic - edge)[hole].mean()


@pytest.mark.parametrize("phase", [0, 1, 2, 3])  # where the gaps lie in the cells of the pyramid
def test_a_dashed_line_becomes_a_line(phase):
    y, x = np.mgrid[:64, :64]
    line = np.where(abs(x - 31.5) < 2, 0.8, 0.2)
    hole = (y + phase) % 20 >= 14  # scratches across it, of 6 pixels
    hole[58:] = False
    filled, harmonic = EdgeEnhancing()(line, hole), Harmonic()(line, hole)
    assert np.array_equal(filled > 0.5, line > 0.5)
    assert not np.array_equal(harmonic > 0.5, line > 0.5)
    assert abs(filled - line).max() < 0.2
    assert abs(harmonic - line).max() > 0.3


def test_a_smaller_kappa_leaves_a_sharper_edge():
    edge = np.where(np.arange(48) < 24, 0.2, 0.8) * np.ones((48, 1))
    hole = box(edge.shape, slice(15, 33), slice(15, 33))
    errors = [
        abs(EdgeEnhancing(kappa=kappa)(edge, hole) - edge)[hole].mean()
        for kappa in (0.001, 0.004, 0.016, 0.064)
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 4 * errors[0]


def test_more_presmoothing_closes_wider_gaps():
    y, x = np.mgrid[:48, :48] - 23.5
    line = 0.2 + 0.6 * np.clip(2.5 - abs(np.cos(0.5) * x + np.sin(0.5) * y), 0, 1)
    hole = abs(y) < 3
    core = hole & (line > 0.75)
    less, more = (EdgeEnhancing(presmooth=s)(line, hole)[core].min() for s in (0.8, 3))
    assert less < 0.5 < more


def test_gains_on_harmonic_filling_of_sparse_pixels():
    camera = (data.camera()[64:320, 128:384] / 255).astype(np.float32)
    hole = np.random.default_rng(0).random(camera.shape) > 0.05

    def psnr(filled):
        return -10 * np.log10(np.mean((filled - camera) ** 2))

    assert psnr(EdgeEnhancing()(camera, hole)) > psnr(Harmonic()(camera, hole)) + 1


# --- laws -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 3])
def test_keeps_known_pixels_and_their_range(camera, dtype, channels):
    image = camera[:50, :41].astype(dtype)
    if channels:
        image = np.stack([image, 1 - image, 0.5 * image], axis=-1)
    hole = np.random.default_rng(1).random(image.shape[:2]) < 0.7
    before = image.copy()
    result = EdgeEnhancing()(image, hole, channel_axis=-1 if channels else None)
    assert result.dtype == dtype
    assert result.shape == image.shape
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result[~hole], image[~hole])
    assert (result.min(axis=(0, 1)) >= image[~hole].min(axis=0)).all()
    assert (result.max(axis=(0, 1)) <= image[~hole].max(axis=0)).all()
    np.testing.assert_array_equal(
        result, EdgeEnhancing()(image, hole, channel_axis=-1 if channels else None)
    )


def test_equal_channels_are_filled_alike(camera):
    hole = np.random.default_rng(1).random((40, 40)) < 0.7
    image = np.stack([camera[:40, :40]] * 2)
    result = EdgeEnhancing()(image, hole, channel_axis=0)
    np.testing.assert_array_equal(result[0], result[1])
    # Two equal channels have twice the products of one, as if κ were smaller by √2.
    one = EdgeEnhancing(kappa=0.004 / np.sqrt(2))(camera[:40, :40], hole)
    np.testing.assert_allclose(result[0], one, atol=2e-3)


@pytest.mark.parametrize("shape", [(33, 20), (1, 17), (17, 1)])
def test_a_constant_stays(shape):
    hole = np.random.default_rng(0).random(shape) < 0.6
    result = EdgeEnhancing()(np.full(shape, 0.3), hole)
    np.testing.assert_array_equal(result, 0.3)


def test_a_ramp_is_continued():
    y, x = np.mgrid[:64, :64]
    ramp = 0.01 * x + 0.003 * y
    hole = box(ramp.shape, slice(20, 44), slice(18, 47))
    result = EdgeEnhancing(cycles=60, tolerance=1e-12)(ramp, hole)
    np.testing.assert_allclose(result, ramp, atol=1e-9)
    np.testing.assert_allclose(EdgeEnhancing()(ramp, hole), ramp, atol=5e-4)


def test_a_line_of_pixels_is_filled_linearly():
    row = np.array([[0.0, np.nan, np.nan, 0.75]])
    expected = [[0, 0.25, 0.5, 0.75]]
    options = {"kappa": 100, "cycles": 20, "tolerance": 0}  # so large a κ makes no edges
    np.testing.assert_allclose(EdgeEnhancing(**options)(row), expected, atol=1e-6)
    np.testing.assert_allclose(EdgeEnhancing(**options)(row.T).T, expected, atol=1e-6)


def test_with_a_large_kappa_it_is_harmonic(camera):
    hole = box(camera.shape, slice(30, 50), slice(40, 55))
    result = EdgeEnhancing(kappa=1e4, cycles=50, tolerance=0)(camera.astype(float), hole)
    # (Weak links along the axes change nothing where no link is cut.)
    np.testing.assert_allclose(result, Harmonic()(camera.astype(float), hole), atol=1e-5)


TURNS = {
    "left-right": lambda a: a[:, ::-1],
    "up-down": lambda a: a[::-1],
    "quarter": lambda a: np.rot90(a),
    "transposed": lambda a: a.T,
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_equivariant_to_flips_and_turns(camera, turn):
    image = camera[:45, :38].astype(float)  # odd sizes at several levels
    hole = np.random.default_rng(2).random(image.shape) < 0.7
    expected = turn(EdgeEnhancing()(image, hole))
    np.testing.assert_allclose(EdgeEnhancing()(turn(image), turn(hole)), expected, atol=1e-6)


def test_pixels_that_are_ignored_do_not_matter(camera):
    image = camera[:48, :48].copy()
    hole = np.random.default_rng(3).random(image.shape) < 0.6
    ignore = box(image.shape, slice(10, 30), slice(20, 24))
    first = EdgeEnhancing()(image, hole, ignore=ignore)
    image[ignore] = 5
    second = EdgeEnhancing()(image, hole, ignore=ignore)
    np.testing.assert_array_equal(second[~ignore], first[~ignore])
    np.testing.assert_array_equal(second[ignore], 5)


def test_nothing_flows_through_a_wall():
    # Left of the wall all is 0.2, right of it 0.8.
    image = np.where(np.arange(32) < 16, 0.2, 0.8) * np.ones((32, 1))
    ignore = box(image.shape, slice(None), slice(15, 17))
    hole = box(image.shape, slice(4, 28), slice(4, 28))
    result = EdgeEnhancing(cycles=60, tolerance=0)(image, hole, ignore=ignore)
    np.testing.assert_allclose(result[:, :15], 0.2, atol=1e-4)
    np.testing.assert_allclose(result[:, 17:], 0.8, atol=1e-4)


def test_the_unit_of_spacing_does_not_matter(camera):
    hole = np.random.default_rng(4).random((40, 40)) < 0.7
    image = camera[:40, :40].astype(float)
    first = EdgeEnhancing()(image, hole, spacing=(1, 2))
    np.testing.assert_array_equal(EdgeEnhancing()(image, hole, spacing=(4, 8)), first)
    assert abs(EdgeEnhancing()(image, hole) - first).max() > 0.01


@pytest.mark.parametrize("place", [(0, 0), (0, 5), (5, 5), (8, 11)])
def test_a_hole_of_one_pixel_lies_between_its_neighbours(camera, place):
    image = camera[:9, :12]
    result = EdgeEnhancing()(image, box(image.shape, *place))
    assert image.min() <= result[place] <= image.max()
    near = image[max(place[0] - 2, 0) : place[0] + 3, max(place[1] - 2, 0) : place[1] + 3]
    assert near.min() <= result[place] <= near.max()


# --- volumes --------------------------------------------------------------------------------


def test_a_plane_goes_on_through_a_wide_hole():
    z, y, x = np.mgrid[:20, :20, :20]
    signed = x + 0.3 * y - 0.2 * z - 10.7
    step = np.where(signed < 0, 0.2, 0.8).astype(np.float32)
    hole = box(step.shape, slice(4, 16), slice(4, 16), slice(3, 17))
    filled, harmonic = EdgeEnhancing()(step, hole), Harmonic()(step, hole)
    away = hole & (abs(signed) > 3)
    assert abs(filled - step)[away].max() < 0.01
    assert abs(harmonic - step)[away].max() > 0.1
    assert abs(filled - step)[hole].mean() < 0.3 * abs(harmonic - step)[hole].mean()


def test_slices_that_are_alike_are_filled_in_as_a_plane(camera):
    image = camera[:28, :25].astype(float)
    hole = np.random.default_rng(1).random(image.shape) < 0.7
    ignore = box(image.shape, slice(8, 11), slice(5, 20))
    plane = EdgeEnhancing()(image, hole, ignore=ignore)
    for axis in range(3):
        stacks = (np.stack([a] * 7, axis) for a in (image, hole, ignore))
        volume, holes, ignored = stacks
        result = EdgeEnhancing()(volume, holes, ignore=ignored)
        # (Weak links along the axes, where those along the stack end, change little.)
        np.testing.assert_allclose(np.take(result, 3, axis), plane, atol=5e-3)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (2.5, 1, 1.5)])
def test_in_volumes_with_a_large_kappa_it_is_harmonic(spacing):
    volume = np.random.default_rng(0).random((8, 10, 9))
    hole = box(volume.shape, slice(3, 6), slice(2, 7), slice(3, 7))
    result = EdgeEnhancing(kappa=1e4, cycles=50, tolerance=0)(volume, hole, spacing=spacing)
    np.testing.assert_allclose(result, Harmonic()(volume, hole, spacing=spacing), atol=1e-5)


@pytest.mark.parametrize("spacing", [(1, 1, 1), (3, 1, 2)])
@pytest.mark.parametrize("slope", [(0.0, 0.0, 0.0), (0.01, 0.0, 0.0), (0.01, -0.02, 0.015)])
def test_links_of_a_voxel_add_up_to_its_tensor(slope, spacing):
    h, kappa = np.array(spacing), 0.01
    places = np.moveaxis(np.mgrid[:41, :41, :41] * h[:, None, None, None], 0, -1)
    volume = (places @ slope)[None]
    numbers = np.full(volume[0].size, -1, np.int32)
    middle = np.ravel_multi_index((20, 20, 20), volume[0].shape)
    numbers[middle] = 0
    within, inverse = np.ones(volume[0].shape, bool), tuple(1 / h)
    starts, others, shares = tensors_volume.neighbours(
        volume, within, inverse, kappa**2, numbers, 1
    )
    assert starts.tolist() == [0, len(others)]
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1)
    ways = (np.stack(np.unravel_index(others, within.shape), axis=1) - 20) * h
    found = np.einsum("n,ni,nj->ij", shares, ways, ways)
    square = np.square(slope).sum()
    across = np.array(slope) / np.sqrt(square or 1)
    g = 1 / np.sqrt(1 + square / kappa**2)
    tensor = np.eye(3) + (g - 1) * np.outer(across, across)
    np.testing.assert_allclose(found / np.trace(found), tensor / np.trace(tensor), atol=1e-9)


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0)])
def test_in_volumes_equivariant_to_flips_and_turns(order):
    rng = np.random.default_rng(2)
    volume, hole = rng.random((9, 12, 11)), rng.random((9, 12, 11)) < 0.6

    def turned(a):
        return np.transpose(a, order)[::-1]

    expected = turned(EdgeEnhancing()(volume, hole))
    np.testing.assert_allclose(EdgeEnhancing()(turned(volume), turned(hole)), expected, atol=1e-6)


def test_in_volumes_keeps_known_voxels_and_their_range():
    rng = np.random.default_rng(3)
    volume = rng.random((11, 9, 10, 2)).astype(np.float32)
    hole = rng.random(volume.shape[:3]) < 0.6
    result = EdgeEnhancing()(volume, hole, channel_axis=-1)
    np.testing.assert_array_equal(result[~hole], volume[~hole])
    low, high = volume[~hole].min(axis=0), volume[~hole].max(axis=0)
    assert ((low <= result[hole]) & (result[hole] <= high)).all()
    np.testing.assert_array_equal(EdgeEnhancing()(np.full((6, 7, 8), 0.3), hole[:6, :7, :8]), 0.3)


def test_in_volumes_nothing_flows_through_a_wall():
    volume = np.where(np.arange(16) < 8, 0.2, 0.8) * np.ones((12, 12, 1))
    ignore = box(volume.shape, slice(None), slice(None), slice(7, 9))
    hole = box(volume.shape, *[slice(3, 10)] * 2, slice(2, 14))
    result = EdgeEnhancing(cycles=40, tolerance=0)(volume, hole, ignore=ignore)
    np.testing.assert_allclose(result[..., :7], 0.2, atol=1e-4)
    np.testing.assert_allclose(result[..., 9:], 0.8, atol=1e-4)


# --- the pyramid ----------------------------------------------------------------------------


def test_coarse_pixels_are_means_of_known_ones():
    state = np.array([[0, 1, 1], [1, 1, 2], [0, 0, 2]], np.uint8)
    image = np.where(state == 0, np.arange(9.0).reshape(3, 3), 0)[..., None]
    coarse = coarser(Problem(image, state, (1.0, 1.0)))
    np.testing.assert_array_equal(coarse.state, [[0, 1], [0, 0]])
    # The middle row counts half in both; below right there is half of the last row's 7.
    np.testing.assert_allclose(coarse.image[..., 0], [[0, 0], [(6 + 7 / 2) / 1.5, 7]])


def test_the_way_back_keeps_ramps_inside():
    ramp = np.arange(8.0)[None, :, None] * np.ones((4, 1, 1))
    fine = enlarged(ramp, np.ones((4, 8), bool), (8, 16))
    expected = np.clip((np.arange(16) + 0.5) / 2 - 0.5, 0, 7)
    np.testing.assert_allclose(fine[..., 0], np.tile(expected, (8, 1)))


def test_a_volume_of_equal_slices_has_their_levels():
    rng = np.random.default_rng(0)
    state = (rng.random((7, 10)) < 0.5).astype(np.uint8)
    image = np.where(state == 0, rng.random((7, 10)), 0)[..., None]
    plane = coarser(Problem(image, state, (1.0, 1.0)))
    stack = coarser(Problem(np.stack([image] * 5), np.stack([state] * 5), (1.0, 1.0, 1.0)))
    np.testing.assert_array_equal(stack.state, [plane.state] * 3)
    np.testing.assert_allclose(stack.image, [plane.image] * 3, rtol=1e-12)
    back = enlarged(plane.image, plane.state == 0, (7, 10))
    again = enlarged(stack.image, stack.state == 0, (5, 7, 10))
    np.testing.assert_allclose(again, [back] * 5, atol=1e-12)


def test_levels_end_without_holes():
    state = np.zeros((64, 64), np.uint8)
    state[10, 10] = 1
    image = np.where(state == 0, 1.0, 0.0)[..., None]
    levels = pyramid(Problem(image, state, (1.0, 1.0)), 8)
    assert [level.state.shape for level in levels] == [(64, 64), (32, 32)]
    assert (levels[-1].image == 1).all()


# --- arguments ------------------------------------------------------------------------------


def test_callback(camera):
    calls = []
    hole = np.random.default_rng(0).random((40, 40)) < 0.7
    EdgeEnhancing(cycles=3, tolerance=0)(
        camera[:40, :40], hole, callback=lambda *call: calls.append(call)
    )
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {done[-1]}
    assert list(done) == sorted(set(done))


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"kappa": 0}, "kappa is 0; expected a finite number > 0"),
        ({"presmooth": -1}, "presmooth is -1; expected a finite number ≥ 0"),
        ({"cycles": 0}, "cycles is 0; expected a whole number ≥ 1"),
        ({"tolerance": -1}, "tolerance is -1; expected a finite number ≥ 0"),
    ],
)
def test_refuses_parameters(parameters, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        EdgeEnhancing(**parameters)


def test_refuses_pixels_that_are_cut_off():
    ignore = box((5, 5), slice(None), 1)
    error = "ignore cuts 5 pixels of the mask off from every known one; expected none"
    with pytest.raises(ValueError, match=f"^{error}$"):
        EdgeEnhancing()(np.zeros((5, 5)), box((5, 5), slice(None), 0), ignore=ignore)
