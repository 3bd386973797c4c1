"""Schemes: how fast they converge, what the tolerance promises, and that pieces leave no trace."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from equations import textbook
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df
from difffilter.pde.kernels import common, strips
from difffilter.pde.kernels import presmoothed as presmoothed_kernels
from difffilter.pde.kernels.step_colours import COLOURS, PIECE
from difffilter.pde.kernels.step_rows import ROWS
from difffilter.pde.kernels.strips import pieces
from difffilter.pde.solve import schemes
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion
from difffilter.pde.solve.tiles import sample


def rms(a, b):
    return np.sqrt(np.mean((a - b) ** 2))


@pytest.fixture(scope="module")
def noisy(photo):
    return photo + np.random.default_rng(7).normal(0, 20 / 255, photo.shape)


@pytest.fixture(scope="module")
def reference(noisy):
    """Perona–Malik diffusion of the noisy photograph by very short steps, computed once."""

    @functools.cache
    def by_short_steps(time, kappa, diffusivity, presmooth):
        options = {"diffusivity": diffusivity, "presmooth": presmooth}
        return df.perona_malik(noisy, time, kappa=kappa, scheme="explicit", step=0.02, **options)

    return by_short_steps


@pytest.mark.parametrize("scheme", ["explicit", "fsi", "aos"])
@pytest.mark.parametrize("presmooth", [0.0, 0.7])
def test_converges_at_first_order(photo, scheme, presmooth):
    smooth = df.heat(photo, 1.0)  # enough for the order to show
    options = {"diffusivity": "rational", "presmooth": presmooth}
    exact = textbook(smooth, 3.2, kappa=0.05, scheme="explicit", step=0.0025, **options)
    steps = {"explicit": (0.16, 0.08, 0.04), "fsi": (1.6, 0.8, 0.4), "aos": (0.4, 0.2, 0.1)}
    errors = [
        rms(textbook(smooth, 3.2, kappa=0.05, scheme=scheme, step=step, **options), exact)
        for step in steps[scheme]
    ]
    orders = np.log2(errors[:-1]) - np.log2(errors[1:])
    np.testing.assert_allclose(orders, 1, atol=0.25)


@pytest.mark.parametrize("scheme", ["fsi", "aos"])
def test_infinite_kappa_tends_to_heat(photo, scheme):
    errors = [
        rms(textbook(photo, 8.0, kappa=1e12, scheme=scheme, step=step), df.heat(photo, 8.0))
        for step in (4.0, 1.0, 0.1)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_a_cycle_covers_its_time():
    # A wave that is long enough decays as it does in one exact step.
    wave = np.cos(np.pi * (np.arange(400) + 0.5) / 400) * np.ones((400, 1))
    for time in (0.5, 2.0, 10.0, 40.0):
        result = textbook(wave, time, kappa=1e12, scheme="fsi", step=time)
        np.testing.assert_allclose(result, df.heat(wave, time), atol=1e-5)


@pytest.mark.parametrize(
    ("diffusivity", "kappa", "presmooth"),
    [("rational", 0.1, 0.0), ("exponential", 0.1, 0.0), ("rational", 0.02, 0.5)],
)
@pytest.mark.parametrize("scheme", ["auto", "explicit", "fsi", "aos"])
@pytest.mark.parametrize("time", [2.0, 20.0])
def test_tolerance_is_kept(noisy, reference, diffusivity, kappa, presmooth, scheme, time):
    exact = reference(time, kappa, diffusivity, presmooth)
    options = {"kappa": kappa, "diffusivity": diffusivity, "presmooth": presmooth}
    for tol in (2 / 255, 0.7 / 255):
        result = df.perona_malik(noisy, time, scheme=scheme, tol=tol, **options)
        assert rms(result, exact) < 1.5 * tol  # the exponential is ill-posed here


def test_auto_takes_cycles_for_long_times_and_explicit_steps_for_short_ones(noisy):
    def chosen(time, **options):
        return textbook(
            noisy, time, kappa=0.1, diffusivity="rational", full_output=True, **options
        )[1]

    assert chosen(1.0)["scheme"] == "explicit"
    assert chosen(50.0)["scheme"] == "fsi"
    assert chosen(50.0)["steps"] < 0.4 * chosen(50.0, scheme="explicit")["steps"]
    assert chosen(50.0, step=0.1)["scheme"] == "explicit"
    assert chosen(5.0, callback=lambda time, image: False)["scheme"] == "explicit"


@pytest.mark.parametrize("scheme", ["explicit", "fsi", "aos"])
def test_no_more_steps_than_the_tolerance_requires(noisy, scheme):
    time = 2.0 if scheme == "aos" else 10.0  # its steps are short, and many
    tolerances = np.geomspace(0.3, 0.03, 9) / 255
    steps = [
        textbook(
            noisy, time, kappa=0.1, diffusivity="rational", scheme=scheme, tol=tol, full_output=True
        )[1]["steps"]
        for tol in tolerances
    ]
    assert steps == sorted(steps)
    assert len(set(steps)) > 3


@pytest.mark.parametrize("scheme", ["fsi", "aos"])
def test_callback_sees_cycles_and_steps(noisy, scheme):
    seen = []
    options = {"scheme": scheme, "step": 2.0}
    result, chosen = textbook(
        noisy, 8.0, kappa=0.1, full_output=True, **options,
        callback=lambda time, image: seen.append((time, image)) or time > 5,
    )  # fmt: skip
    assert [time for time, _ in seen] == [2.0, 4.0, 6.0]
    assert chosen["time"] == 6.0
    np.testing.assert_array_equal(seen[-1][1], result)
    np.testing.assert_array_equal(result, textbook(noisy, 6.0, kappa=0.1, **options))


# --- pieces ---------------------------------------------------------------------------------


@st.composite
def evolutions(draw):
    """A state, a diffusion, and a function that takes some steps of it."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    depth = draw(st.sampled_from([1, 1, 4]))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), depth,
             draw(st.integers(9, 60)), draw(st.integers(1, 40)))  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    state = rng.random(shape).astype(dtype)
    mask = draw(st.sampled_from([None, rng.random((1, *shape[2:])) < 0.8]))
    kind = draw(st.sampled_from(sorted(DIFFUSIVITIES.values())))
    diffusion = Diffusion(kind, 0.2, presmooth=draw(st.sampled_from([0.0, 0.0, 0.7])), mask=mask)
    if draw(st.booleans()):
        steps = draw(st.integers(1, 11))

        def evolve(u):
            diffusion.explicit(u, steps, 0.1)
            return u
    else:
        cycles, steps = draw(st.tuples(st.integers(1, 3), st.integers(2, 6)))

        def evolve(u):
            return diffusion.semi_iterative(u, np.empty_like(u), cycles, steps, 1.0)[0]

    return state, evolve


WIDTHS = [1, 2, PIECE, PIECE + 1, 3 * PIECE - 1]
OWN_WAYS = [(1, kind) for kind in ROWS] + [(3, kind) for kind in COLOURS]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("channels", "kind"), OWN_WAYS)
@pytest.mark.parametrize("scheme", ["explicit", "semi_iterative"])
def test_specialised_steps_agree_with_the_general_one(
    width, channels, kind, scheme, rng, monkeypatch
):
    """Rows and colours. (A mask that is true everywhere selects the general step.)"""
    monkeypatch.setattr(strips, "WIDE", 1)
    state = rng.random((2, channels, 1, 21, width), np.float32)
    results = []
    for mask in (None, np.ones((1, *state.shape[2:]), bool)):
        results.append(evolved(state, Diffusion(kind, 0.2, mask=mask), scheme))
    np.testing.assert_allclose(*results, atol=1e-6)
    assert np.abs(results[0] - state).max() > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("channels", "kind"), OWN_WAYS)
@pytest.mark.parametrize("scheme", ["explicit", "semi_iterative"])
def test_specialised_steps_do_not_depend_on_the_strips(
    width, channels, kind, scheme, dtype, rng, monkeypatch
):
    monkeypatch.setattr(strips, "WIDE", 1)
    state = rng.random((1, channels, 1, 41, width), dtype)
    results = []
    for cut in [(1, 1), (1, 7), (3, 2), (2, 5), (4, 4)]:
        monkeypatch.setattr(schemes, "pieces", lambda *_, cut=cut: cut)
        results.append(evolved(state, Diffusion(kind, 0.2), scheme))
    for result in results[1:]:
        np.testing.assert_array_equal(results[0], result)


@given(st.data())
def test_presmoothed_steps_do_not_depend_on_the_layout(data):
    draw = data.draw
    dtype, channels = draw(st.sampled_from([np.float32, np.float64])), draw(st.integers(1, 3))
    depth = draw(st.sampled_from([1, 1, 2, 9]))
    height, width = draw(st.integers(1, 50)), draw(st.integers(1, 70 // depth))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    state = rng.random((draw(st.integers(1, 3)), channels, depth, height, width)).astype(dtype)
    kind = draw(st.sampled_from(sorted(DIFFUSIVITIES.values())))
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (1.5, 2.0, 1.0)]))
    diffusion = Diffusion(kind, 0.2, draw(st.sampled_from([0.5, 0.7, 1.0, 1.5])), spacing=spacing)
    scheme = draw(st.sampled_from(["explicit", "semi_iterative"]))
    results = [evolved(state, diffusion, scheme)]

    def layout(shape, itemsize, blurs, steps, workers):
        strips, blocks, chunk = draw(st.integers(1, 5)), 1, draw(st.integers(1, 60))
        at_once = draw(st.integers(1, 8))
        if shape[3] > 1 and draw(st.booleans()):
            strips, blocks, at_once = 1, draw(st.integers(2, 5)), 1
        elif shape[3] > 1:
            strips = 1
        n = chunk + 2 * (blurs + 2) + 2 + draw(st.integers(0, 5))
        return min(shape[2], strips), min(shape[3], blocks), at_once, chunk, n, at_once

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presmoothed_kernels, "layout", layout)
        results.append(evolved(state, diffusion, scheme))
    np.testing.assert_array_equal(*results)
    # A mask that is true everywhere selects the general step.
    open_ = replace(diffusion, mask=np.ones((1, *state.shape[2:]), bool))
    tolerance = 2e-6 if dtype == np.float32 else 1e-13
    np.testing.assert_allclose(results[0], evolved(state, open_, scheme), atol=tolerance)


def evolved(state, diffusion, scheme):
    """Seven steps, or six in two cycles."""
    u = state.copy()
    if scheme == "explicit":
        diffusion.explicit(u, 7, 0.1)
        return u
    return diffusion.semi_iterative(u, np.empty_like(u), 2, 3, 1.0)[0]


@given(evolutions(), st.data())
def test_results_do_not_depend_on_the_strips(evolution, data):
    state, evolve = evolution
    height = state.shape[3]
    results = []
    at_once = data.draw(st.integers(1, height // 4))
    for count, together in [
        (1, 1),
        (1, 7),
        (data.draw(st.integers(1, height // 2 // at_once)), at_once),
    ]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schemes, "pieces", lambda *_, p=(count, together): p)
            results.append(evolve(state.copy()))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@given(st.tuples(*[st.integers(1, 4)] * 2, *[st.integers(1, 9000)] * 3),
       st.sampled_from([4, 8, 16]), st.integers(1, 64))  # fmt: skip
def test_strips_have_enough_lines(shape, size, workers):
    count, at_once = pieces(shape, size, workers)
    assert count >= 1
    assert at_once >= 1
    assert count == 1 or shape[3] // count >= 2 * at_once


def test_large_images_are_cut_for_every_worker():
    for workers, side in itertools.product((1, 2, 3, 16), (512, 4096)):
        count, _ = pieces((1, 1, 1, side, side), 4, workers)
        assert count % workers == 0


def test_runs_of_many_lines_and_of_one(rng):
    # Wide lines fill the buffers alone, narrow ones by the dozen.
    for width in (common.RUN + 3, common.RUN - 1, 5):
        image = rng.random((40, width))
        result = textbook(image, 2.0, kappa=0.2, step=0.2)
        turned = textbook(image.T, 2.0, kappa=0.2, step=0.2)
        np.testing.assert_allclose(result, turned.T, atol=1e-13)


def test_tiles_have_the_mask_of_their_position():
    places = np.arange(96 * 96.0).reshape(1, 1, 1, 96, 96)
    tiles, tile = sample(np.concatenate([places, places + 1e4, places + 2e4]), 1 << 13, (1, 32, 32))
    masks = tile(places[0])
    assert len(tiles) > 3 * len(masks) - 1 > 3
    for b in range(len(tiles)):
        np.testing.assert_array_equal(tiles[b] % 1e4, masks[b % len(masks)][None] % 1e4)
