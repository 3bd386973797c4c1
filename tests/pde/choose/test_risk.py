"""The stopping time of least risk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from difffilter.noise.measure import estimate_noise
from difffilter.pde.anisotropic import EdgeEnhancing, TensorDiffusion
from difffilter.pde.choose.risk import OneByOne, _signs, least, least_risk
from difffilter.pde.curvature_motion import LevelLineMotion
from difffilter.pde.solve.evolution import WithFidelity
from difffilter.pde.solve.schemes import Diffusion
from difffilter.pde.tv_flow import TotalVariationDiffusion, TVFlow

SQUARE = (1.0, 1.0, 1.0)


def test_finds_the_vertex_of_a_parabola():
    times = np.array([0.0, 0.2, 0.4, 1.0, 2.0, 3.0])
    risks = 0.3 + 0.7 * (np.log(times + 0.2) - np.log(1.3)) ** 2
    assert least(times, risks, 0.2) == pytest.approx((1.1, 0.3))


@pytest.mark.parametrize(
    ("risks", "found"),
    [
        ([1.0], (0.0, 1.0)),
        ([1.0, 2.0, 3.0], (0.0, 1.0)),
        ([3.0, 2.0, 1.0], (2.0, 1.0)),
        ([3.0, 1.0, np.inf], (1.0, 1.0)),
        ([1.0, 1.0, 1.0, 1.0], (0.0, 1.0)),
    ],
)
def test_takes_the_least_sample_if_there_is_no_parabola(risks, found):
    assert least(range(len(risks)), np.array(risks), 1.0) == found


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=9),
    st.floats(1.01, 3.0),
    st.floats(1e-3, 10.0),
)
def test_minimum_is_not_above_the_samples_nor_far_from_them(risks, later, unit):
    times = unit * (later ** np.arange(len(risks)) - 1)
    k = np.argmin(risks)
    time, risk = least(times, np.array(risks), unit)
    assert risk <= risks[k]
    assert times[max(k - 1, 0)] <= time <= times[min(k + 1, len(times) - 1)] * (1 + 1e-9)


FLOWS = {
    "tensor": (TensorDiffusion, EdgeEnhancing().evolutions(SQUARE, 0.1)[0]),
    "total variation": (
        TotalVariationDiffusion,
        TVFlow(epsilon=1e-4, step=0.005).evolutions(SQUARE, 0.1)[0],
    ),
}


@pytest.mark.parametrize("name", FLOWS)
def test_noise_without_an_image_is_followed_in_few_steps(name, rng, monkeypatch):
    cls, flow = FLOWS[name]
    noise = rng.normal(0.5, 0.1, (1, 1, 1, 64, 64))
    evolve, taken, longest = cls.evolve, 0, 0.0

    def counted(self, u, time):
        nonlocal taken, longest
        taken += self.steps(u.shape[2:], time)[0]
        longest += time
        return evolve(self, u, time)

    monkeypatch.setattr(cls, "evolve", counted)
    least_risk(noise, 0.1, [flow])
    assert taken < longest / flow.step / 2


def test_only_steps_that_are_stable_at_any_size_grow():
    for _, flow in FLOWS.values():
        assert flow.coarsened(7.0).step == 7
        assert flow.coarsened(1e-9).step == flow.step
        moving = WithFidelity(flow, 0.1, np.zeros((1, 1, 1, 4, 4)))
        assert moving.coarsened(7.0).evolution.step == 7
    for flow in Diffusion(), LevelLineMotion(epsilon=1e-4):
        assert flow.coarsened(7.0) is flow


def test_the_risk_under_correlated_noise(photo, rng):
    """It is the error if the probe is correlated as the noise is; a white one underestimates it."""
    noise = gaussian_filter(rng.standard_normal(photo.shape), 1.0)
    noisy = photo + 0.1 / noise.std() * noise
    state, signs = noisy[None, None, None], _signs(noisy[None, None, None])
    for time in (0.5, 2.0, 5.0):
        risks = []
        for probe in (estimate_noise(noisy).shaped(signs), signs):
            evolving = OneByOne(state, 0.1, [Diffusion()], 0.0, None, probe)
            evolving.advance(time)
            risks.append(evolving.risks())
        error = np.square(evolving.u[0, 0, 0] - photo).mean()
        assert risks[0] == pytest.approx(error, rel=0.15)
        assert risks[1] < 0.8 * error
