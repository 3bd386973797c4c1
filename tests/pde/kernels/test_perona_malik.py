"""The plain step is the equation, and the fast kernels take the same steps."""

import naive
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.pde.kernels import common, strips
from difffilter.pde.kernels.implicit import implicit
from difffilter.pde.kernels.perona_malik import diffusivity, step
from difffilter.pde.kernels.pixel_diffusivity import pixel_diffusivity
from difffilter.pde.kernels.presmoothed import evolve_presmoothed

KINDS = {
    "exponential": common.EXPONENTIAL,
    "rational": common.RATIONAL,
    "charbonnier": common.CHARBONNIER,
    "tukey": common.TUKEY,
    "weickert": common.WEICKERT,
}
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
KAPPA = 0.3


@st.composite
def problems(draw, most=40):
    """A state, its kind of diffusivity, g or none, a mask or none, and the spacing."""
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    plane = st.tuples(st.just(1), st.integers(1, most), st.integers(1, most))
    volume = st.tuples(st.integers(2, 4), st.integers(1, 9), st.integers(1, 9))
    shape = draw(st.one_of(plane, volume))
    batch, channels = draw(st.sampled_from([(1, 1), (1, 3), (2, 1), (2, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    u = rng.random((batch, channels, *shape)).astype(dtype)
    kind = draw(st.sampled_from([common.CONSTANT, *KINDS.values()]))
    g = draw(st.sampled_from([np.empty((0, *shape)), rng.random((batch, *shape))])).astype(dtype)
    mask = draw(st.sampled_from([np.empty((0, *shape), bool), rng.random((1, *shape)) < 0.8]))
    spacing = draw(st.sampled_from([np.ones(3), rng.uniform(0.7, 1.5, 3)]))
    return u, kind, g, mask, spacing


def constants(u, spacing, tau):
    """1/(κh)² and τ/h²."""
    return ((KAPPA * spacing) ** -2).astype(u.dtype), (tau / spacing**2).astype(u.dtype)


def stepped(u, kind, inverse, rate, g, mask):
    v = np.empty_like(u)
    step(u, v, kind, inverse, rate, g, mask)
    return v


def evolved(u, steps, alpha, kind, inverse, rate, g, mask, cut):
    workers = numba.get_num_threads()
    slopes, space = strips.room(u.shape, u.dtype, *cut, workers)
    rates = (alpha[:, None] * rate).astype(u.dtype)
    u, alpha = u.copy(), alpha.astype(u.dtype)
    v = u.copy() if len(alpha) > 1 else u
    return strips.evolve(u, v, 0, steps, alpha, kind, inverse, rates, g, mask, slopes, space)


@pytest.mark.parametrize("name", KINDS)
def test_the_diffusivity_is_that_of_the_oracle(name):
    s = np.append(np.linspace(0, 3 * KAPPA, 50), [KAPPA, 1e3])
    result = [diffusivity(KINDS[name], (value / KAPPA) ** 2) for value in s]
    np.testing.assert_allclose(result, naive.G[name](s, KAPPA), atol=1e-15)


@given(problems(most=12))
def test_the_plain_step_is_that_of_the_oracle(problem):
    u, kind, g, mask, spacing = problem
    result = stepped(u, kind, *constants(u, spacing, 0.1), g, mask)
    name = next((name for name, code in KINDS.items() if code == kind), None)
    for b in range(len(u)):
        where = mask[0] if mask.size else np.ones(u.shape[2:], bool)

        def of_face(axis, d, b=b):
            if g.size:
                near, far = naive.neighbours(axis, 3)
                return (g[b][near] + g[b][far]) / 2
            return naive.G[name](np.sqrt((d**2).sum(axis=0)), KAPPA) if name else 1.0

        expected = naive.step_with(u[b].astype(float), 0.1, spacing, where, of_face)
        np.testing.assert_allclose(result[b], expected, atol=TOLERANCE[u.dtype.type])


@given(problems(), st.data())
def test_strips_take_plain_steps(problem, data):
    u, kind, g, mask, spacing = problem
    inverse, rate = constants(u, spacing, 0.1)
    at_once = data.draw(st.integers(1, max(1, u.shape[3] // 2)))
    cut = data.draw(st.integers(1, max(1, u.shape[3] // (2 * at_once)))), at_once
    steps = data.draw(st.integers(1, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "WIDE", data.draw(st.sampled_from([1, strips.WIDE])))
        result = evolved(u, steps, np.ones(1), kind, inverse, rate, g, mask, cut)
    expected = u
    for _ in range(steps):
        expected = stepped(expected, kind, inverse, rate, g, mask)
    np.testing.assert_allclose(result, expected, atol=TOLERANCE[u.dtype.type])


@given(problems(), st.integers(1, 6))
def test_cycles_extrapolate_plain_steps(problem, steps):
    u, kind, g, mask, spacing = problem
    inverse, rate = constants(u, spacing, 0.1)
    alpha = np.array([2 / 3, 6 / 5, 10 / 7])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "WIDE", 1)
        result = evolved(u, steps, alpha, kind, inverse, rate, g, mask, (1, 2))
    now = before = u
    for k in range(steps):
        a, before = alpha[k % 3], now if k % 3 == 0 else before
        now, before = a * stepped(now, kind, inverse, rate, g, mask) + (1 - a) * before, now
        now = now.astype(u.dtype)
    np.testing.assert_allclose(result, now, atol=TOLERANCE[u.dtype.type])


@given(problems(most=20), st.integers(1, 3), st.integers(1, 3))
def test_presmoothed_steps_are_plain_steps(problem, blurs, steps):
    u, kind, _, _, spacing = problem
    inverse, rate = constants(u, spacing, 0.1)
    none, everywhere = np.empty((0, *u.shape[2:]), u.dtype), np.empty((0, *u.shape[2:]), bool)
    expected, workers = u, numba.get_num_threads()
    for _ in range(steps):
        smooth = expected
        for _ in range(blurs):
            smooth = stepped(smooth, common.CONSTANT, inverse, rate, none, everywhere)
        g = gradient_diffusivity(smooth, kind, spacing, everywhere)
        expected = stepped(expected, kind, inverse, rate, g, everywhere)
    state = u.copy()
    result = evolve_presmoothed(
        state,
        state,
        steps,
        blurs,
        np.ones(1, u.dtype),
        kind,
        inverse / 4,
        rate[None],
        rate,
        workers,
    )
    np.testing.assert_allclose(result, expected, atol=TOLERANCE[u.dtype.type])


@given(problems(most=20))
def test_the_diffusivity_of_pixels_follows_from_the_gradient(problem):
    u, kind, _, mask, spacing = problem
    g = np.empty((len(u), *u.shape[2:]), u.dtype)
    pixel_diffusivity(u, kind, constants(u, spacing, 1)[0] / 4, mask, g, numba.get_num_threads())
    where = np.broadcast_to(mask if mask.size else True, g.shape)
    expected = gradient_diffusivity(u, kind, spacing, mask)
    # (What lies outside the mask is never used.)
    np.testing.assert_allclose(g[where], expected[where], atol=TOLERANCE[u.dtype.type])


def gradient_diffusivity(u, kind, spacing, mask):
    """g of every pixel of u."""
    where = mask[0] if mask.size else np.ones(u.shape[2:], bool)
    s = np.array([naive.gradient_norm(state.astype(float), spacing, where) for state in u])
    return np.vectorize(lambda s: diffusivity(kind, (s / KAPPA) ** 2))(s).astype(u.dtype)


@given(problems())
def test_an_implicit_step_undone_by_a_plain_one_is_the_state(problem):
    """v solves (1 - τA) v = u, and v + τA v is the plain step of v: u = 2v - step(v)."""
    u, _, g, mask, spacing = problem
    inverse, rate = constants(u, spacing, 1.5)
    v, workers = u.copy(), numba.get_num_threads()
    ratio, weights = (
        np.empty((workers, u.shape[3], 16), u.dtype),
        np.empty((workers, 3, 16), u.dtype),
    )
    implicit(v, common.CONSTANT, inverse[1], rate[1], g, mask, ratio, weights)
    along_y = np.array([0, rate[1], 0], u.dtype)
    back = 2 * v - stepped(v, common.CONSTANT, inverse, along_y, g, mask)
    np.testing.assert_allclose(back, u, atol=TOLERANCE[u.dtype.type])
