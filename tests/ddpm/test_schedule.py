"""The noise schedule against the formulas of the papers, evaluated plainly."""

import json
import math
import re
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffilter.ddpm.schedule import NoiseSchedule

LINEAR = NoiseSchedule()
COSINE = NoiseSchedule("cosine")


def naive_alpha_bar(betas):
    """ᾱ_1 ... ᾱ_T by the definition."""
    product, result = 1.0, []
    for beta in betas:
        product *= 1 - beta
        result.append(product)
    return result


@pytest.mark.parametrize(("T", "low", "high"), [(1000, 1e-4, 0.02), (1, 0.3, 0.3), (37, 1e-3, 0.5)])
def test_linear_schedule_is_the_product_of_its_definition(T, low, high):
    schedule = NoiseSchedule("linear", T, low, high)
    betas = [low + (high - low) * i / max(T - 1, 1) for i in range(T)]
    alpha_bar = naive_alpha_bar(betas)
    np.testing.assert_allclose(schedule.beta, betas, rtol=1e-14)
    np.testing.assert_allclose(schedule.alpha_bar(np.arange(1, T + 1)), alpha_bar, rtol=1e-11)


def test_cosine_schedule_is_that_of_nichol_and_dhariwal():
    def f(t):
        return math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (1, 10, 500, 900):
        assert COSINE.alpha_bar(t) == pytest.approx(f(t) / f(0), rel=1e-9)
    assert COSINE.beta.max() == 0.999
    assert COSINE.alpha_bar(1000) > 0


@pytest.mark.parametrize(("sigma", "t"), [(15, 33), (25, 57), (50, 115)])
def test_steps_of_the_usual_noises(sigma, t):
    assert round(LINEAR.step_of(2 * sigma / 255)) == t


@pytest.mark.parametrize("schedule", [LINEAR, COSINE])
def test_step_of_is_exact_at_whole_steps(schedule):
    t = np.arange(schedule.T + 1)
    np.testing.assert_allclose(schedule.step_of(schedule.sigma_tilde(t)), t, atol=1e-9)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE])
@given(t=st.floats(0, 1000))
def test_step_of_inverts_sigma_tilde(schedule, t):
    assert schedule.step_of(schedule.sigma_tilde(t)) == pytest.approx(t, rel=1e-9, abs=1e-9)


def test_sigma_tilde_between_steps_is_the_geometric_mean():
    ends = LINEAR.sigma_tilde([56, 57])
    assert LINEAR.sigma_tilde(56.5) == pytest.approx(math.sqrt(ends[0] * ends[1]), rel=1e-14)


@pytest.mark.parametrize("schedule", [LINEAR, COSINE])
def test_the_way_to_noise_has_no_bump(schedule):
    t = np.linspace(0, schedule.T, 7001)
    assert np.all(np.diff(schedule.sigma_tilde(t)) > 0)
    assert schedule.sigma_tilde(0) == 0
    assert schedule.alpha_bar(0) == 1


def test_snr_is_the_ratio_of_the_variances():
    t = np.array([1, 57.3, 1000])
    alpha_bar = LINEAR.alpha_bar(t)
    np.testing.assert_allclose(LINEAR.snr(t), alpha_bar / (1 - alpha_bar), rtol=1e-10)
    assert LINEAR.snr(0) == math.inf


@pytest.mark.parametrize("t", [-0.1, 1000.1, math.nan, [5, 2000]])
def test_steps_outside_the_schedule_are_refused(t):
    with pytest.raises(ValueError, match="t is"):
        LINEAR.sigma_tilde(t)


@pytest.mark.parametrize("sigma", [-0.1, 1e4, math.nan])
def test_noises_outside_the_schedule_are_refused(sigma):
    with pytest.raises(ValueError, match="sigma_tilde is"):
        LINEAR.step_of(sigma)


@pytest.mark.parametrize(
    "fields",
    [{"kind": "quadratic"}, {"T": 0}, {"beta_min": 0.0}, {"beta_min": 0.1}, {"beta_max": 1}],
)
def test_schedules_that_make_no_sense_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        NoiseSchedule(**fields)


def test_explicit_betas_are_any_schedule():
    for schedule in (LINEAR, COSINE):
        explicit = NoiseSchedule("explicit", betas=schedule.beta)
        t = np.linspace(0, 1000, 57)
        np.testing.assert_array_equal(explicit.sigma_tilde(t), schedule.sigma_tilde(t))
    short = NoiseSchedule("explicit", betas=[0.1, 0.5])
    assert (short.T, short.betas) == (2, (0.1, 0.5))
    assert short == NoiseSchedule(**json.loads(json.dumps(asdict(short))))
    assert hash(short) == hash(NoiseSchedule("explicit", betas=(0.1, 0.5)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "explicit"}, "betas is None; expected numbers for kind='explicit'"),
        ({"betas": [0.1]}, "betas is given; expected None for kind='linear'"),
        ({"kind": "explicit", "betas": [0.1, 1]}, "betas has 1.0; expected numbers > 0 and < 1"),
        ({"kind": "explicit", "betas": [math.nan]}, "betas has nan; expected numbers > 0 and < 1"),
        ({"kind": "explicit", "betas": []}, "T is 0; expected a whole number ≥ 1"),
    ],
)
def test_explicit_betas_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        NoiseSchedule(**fields)


def test_levels_are_evenly_spaced_in_log_sigma_tilde():
    levels = LINEAR.levels(100, 7, end=0.3)
    assert levels[[0, -1]] == pytest.approx([100, 0.3])
    np.testing.assert_allclose(levels[1:] / levels[:-1], (0.3 / 100) ** (1 / 7))
    np.testing.assert_allclose(LINEAR.levels(0.3, 7, end=100), levels[::-1])


@pytest.mark.parametrize(("start", "least"), [(100, LINEAR.sigma_tilde(1)), (0.004, 0.002)])
def test_levels_to_0_step_down_from_the_noise_of_the_first_step_or_half_the_start(start, least):
    levels = LINEAR.levels(start, 4)
    np.testing.assert_allclose(levels[:-1], LINEAR.levels(start, 3, end=least))
    assert levels[-1] == 0
    assert LINEAR.levels(start, 1).tolist() == [start, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "start is 0; expected a finite number > 0"),
        ((1, 0), "steps is 0; expected a whole number ≥ 1"),
        ((1, 3, -1), "end is -1; expected a finite number ≥ 0"),
    ],
)
def test_levels_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        LINEAR.levels(*arguments)
