"""The score and its samplers, on mixtures of Gaussians and on one, where all is in closed form."""

import math
import re

import numpy as np
import pytest
import torch
from mixtures import LINE, PLANE, Mixture
from scipy.stats import kstest

from difffilter.ddpm import (
    NoiseSchedule,
    langevin,
    posterior_mean,
    probability_flow,
    pure_noise,
    score,
)

SCHEDULE = NoiseSchedule()
SIGMA_T = float(SCHEDULE.sigma_tilde(SCHEDULE.T))
MIXTURES = [pytest.param(LINE, id="line"), pytest.param(PLANE, id="plane")]
POINT = Mixture([1.0], [[0.2, -0.4]], [[[1e-12, 0.0], [0.0, 1e-12]]])
GAUSSIAN = Mixture([1.0], [[0.2]], [[[0.09]]])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def p_value(mixture, y, sigma):
    """Least p of Kolmogorov-Smirnov tests of the projections on several directions, corrected for
    their number."""
    angles = np.linspace(0, math.pi, 6, endpoint=False) if y.shape[1] == 2 else [0]
    directions = [[math.cos(a), math.sin(a)][: y.shape[1]] for a in angles]
    y = y.double()
    p = [
        kstest(y.numpy() @ np.array(e), lambda u, e=e: mixture.cdf(u, sigma, e)).pvalue
        for e in directions
    ]
    return min(1, len(p) * min(p))


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("sigma", [0.004, 0.1, 0.5, 3.0, 100.0])
def test_score_is_the_gradient_of_the_log_density(mixture, sigma):
    y = (0.7 + sigma) * normal(50, mixture.mu.shape[1])
    actual = score(mixture.predictor(SCHEDULE), y, sigma, SCHEDULE)
    torch.testing.assert_close(actual, mixture.score(y, sigma), rtol=1e-5, atol=1e-5)
    y.requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_density(y, sigma).sum(), y)
    torch.testing.assert_close(actual, gradient, rtol=1e-5, atol=1e-5)


def test_score_points_to_the_posterior_mean():
    y, eps_theta = normal(50, 2), PLANE.predictor(SCHEDULE)
    torch.testing.assert_close(
        y + 0.3**2 * score(eps_theta, y, 0.3, SCHEDULE),
        posterior_mean(eps_theta, y, 0.3, SCHEDULE),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_shape_are_kept_and_the_argument_left_alone(dtype):
    y = normal(3, 1, 2, 2).to(dtype)
    before = y.clone()
    results = [
        score(lambda x, t: x.sin(), y, 0.3, SCHEDULE),
        langevin(lambda x, t: x.sin(), y, [0.3, 0.2], SCHEDULE, steps=2),
        probability_flow(lambda x, t: x.sin(), y, 0.3, SCHEDULE, steps=2),
    ]
    assert [(r.dtype, r.shape) for r in results] == [(dtype, y.shape)] * 3
    assert torch.equal(y, before)


def test_langevin_chains_of_a_gaussian_have_the_moments_of_an_autoregression():
    """y − μ shrinks by a = 1 − τ/(2v) a step, v = λ + σ̃², and gains the variance τ = step σ̃²."""
    sigma, step, n = 0.4, 0.8, 5
    tau = step * sigma**2
    a = 1 - tau / (2 * (0.09 + sigma**2))
    y = langevin(
        GAUSSIAN.predictor(SCHEDULE),
        torch.full((40_000, 1), 2.0, dtype=torch.float64),
        sigma,
        SCHEDULE,
        steps=n,
        step=step,
        generator=generator(),
    )
    variance = tau * (1 - a ** (2 * n)) / (1 - a**2)
    assert y.mean().item() == pytest.approx(0.2 + a**n * 1.8, abs=4 * (variance / 40_000) ** 0.5)
    assert y.var().item() == pytest.approx(variance, rel=4 * (2 / 40_000) ** 0.5)


def test_langevin_excess_of_variance_is_as_documented():
    sigma, step = 0.5, 0.5
    y = POINT.mu + sigma * normal(20_000, 2)
    y = langevin(
        POINT.predictor(SCHEDULE), y, sigma, SCHEDULE, steps=30, step=step, generator=generator(1)
    )
    excess = y.var(dim=0) / sigma**2 - 1
    assert excess.numpy() == pytest.approx(step / (4 - step), abs=0.05)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_annealed_langevin_from_pure_noise_ends_in_the_mixture(mixture):
    y = pure_noise((3000, mixture.mu.shape[1]), SCHEDULE, generator()).double()
    levels = SCHEDULE.levels(SIGMA_T, 11, end=0.05)
    eps_theta = mixture.predictor(SCHEDULE)
    y = langevin(eps_theta, y, levels, SCHEDULE, steps=50, step=0.5, generator=generator(1))
    assert p_value(mixture, y, 0.05) > 0.05


def test_langevin_at_a_low_level_alone_stays_in_the_nearest_mode():
    """Without annealing the shares of the modes are those of the basins: the test above can fail."""
    y = normal(3000, 1)
    y = langevin(
        LINE.predictor(SCHEDULE), y, 0.05, SCHEDULE, steps=400, step=0.5, generator=generator(1)
    )
    assert y.std() < 0.7
    assert p_value(LINE, y, 0.05) < 1e-9


def test_langevin_takes_the_levels_in_turn_and_its_noise_from_the_generator():
    y, eps_theta = normal(5, 2), PLANE.predictor(SCHEDULE)

    def draw(start, levels, source):
        return langevin(eps_theta, start, levels, SCHEDULE, steps=3, generator=source)

    source = generator(1)
    one_by_one = draw(draw(y, 0.5, source), 0.2, source)
    assert torch.equal(draw(y, [0.5, 0.2], generator(1)), one_by_one)
    assert not torch.allclose(draw(y, [0.5, 0.2], generator(2)), one_by_one)


@pytest.mark.parametrize("mixture", MIXTURES)
def test_probability_flow_from_pure_noise_ends_in_the_mixture(mixture):
    y = pure_noise((4000, mixture.mu.shape[1]), SCHEDULE, generator()).double()
    y = probability_flow(mixture.predictor(SCHEDULE), y, SIGMA_T, SCHEDULE, steps=40)
    assert p_value(mixture, y, 0) > 0.05


@pytest.mark.parametrize("sigma", [0.3, 2.0, SIGMA_T])
def test_probability_flow_keeps_quantiles(sigma):
    """The last step, Euler's from σ̃_1 = 0.01, costs 0.5 % of the distance from the narrow mode."""
    y = (0.7 + sigma) * torch.linspace(-2, 2, 101, dtype=torch.float64)[:, None]
    x = probability_flow(LINE.predictor(SCHEDULE), y, sigma, SCHEDULE, steps=300)
    torch.testing.assert_close(x, LINE.flow(y, sigma), rtol=0, atol=3e-3)


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.05), (0.05, 1.0)])
def test_probability_flow_is_of_second_order(start, end):
    """A Gaussian keeps its mean and scales by √((λ + σ̃_end²)/(λ + σ̃²))."""
    y = torch.tensor([[1.3]], dtype=torch.float64)
    exact = 0.2 + 1.1 * math.sqrt((0.09 + end**2) / (0.09 + start**2))
    eps_theta = GAUSSIAN.predictor(SCHEDULE)
    errors = [
        abs(probability_flow(eps_theta, y, start, SCHEDULE, steps=n, end=end).item() - exact)
        for n in (20, 40, 80)
    ]
    assert errors[2] < 1e-3
    np.testing.assert_allclose(np.array(errors[:2]) / errors[1:], 4, rtol=0.15)


def test_probability_flow_there_and_back():
    y, eps_theta = normal(20, 2), PLANE.predictor(SCHEDULE)
    noise = probability_flow(eps_theta, y, 0.1, SCHEDULE, steps=200, end=5.0)
    assert noise.std() > 3
    back = probability_flow(eps_theta, noise, 5.0, SCHEDULE, steps=200, end=0.1)
    torch.testing.assert_close(back, y, rtol=0, atol=5e-3)


def test_probability_flow_evaluates_twice_a_step_but_once_to_0():
    def counted(end):
        steps = []
        probability_flow(
            lambda x, t: steps.append(float(t[0])) or x,
            normal(1, 1),
            1.0,
            SCHEDULE,
            steps=4,
            end=end,
        )
        return len(steps)

    assert (counted(0.0), counted(0.1)) == (7, 8)


NOT_ABOVE_0 = "sigma_tilde is {}; expected a finite number > 0"
BEYOND = f"sigma_tilde is 1000.0; expected numbers in [0, {SIGMA_T:.6g}]"
FALL = "sigma_tilde is {}; expected a number > 0, or several that fall"


@pytest.mark.parametrize(
    ("function", "sigma", "options", "message"),
    [
        (score, 0, {}, NOT_ABOVE_0.format(0)),
        (score, 1000.0, {}, BEYOND),
        (langevin, 0, {"steps": 1}, FALL.format(0)),
        (langevin, [], {"steps": 1}, FALL.format([])),
        (langevin, [0.1, 0.2], {"steps": 1}, FALL.format([0.1, 0.2])),
        (langevin, math.nan, {"steps": 1}, FALL.format("nan")),
        (langevin, 1000.0, {"steps": 1}, BEYOND.replace("1000.0", "[1000.]")),
        (langevin, 0.1, {"steps": 0}, "steps is 0; expected a whole number ≥ 1"),
        (langevin, 0.1, {"steps": 1, "step": 0}, "step is 0; expected a finite number > 0 and ≤ 2"),
        (langevin, 0.1, {"steps": 1, "step": 3}, "step is 3; expected a finite number > 0 and ≤ 2"),
        (probability_flow, 0, {"steps": 1}, NOT_ABOVE_0.format(0)),
        (probability_flow, -0.1, {"steps": 1}, NOT_ABOVE_0.format(-0.1)),
        (probability_flow, 1000.0, {"steps": 1}, BEYOND),
        (probability_flow, 0.1, {"steps": 0}, "steps is 0; expected a whole number ≥ 1"),
        (
            probability_flow,
            0.1,
            {"steps": 1, "end": -1},
            "end is -1; expected a finite number ≥ 0 and ≤ 157.407",
        ),
        (
            probability_flow,
            0.1,
            {"steps": 1, "end": 200},
            "end is 200; expected a finite number ≥ 0 and ≤ 157.407",
        ),
    ],
)
def test_bad_arguments_are_refused(function, sigma, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        function(lambda x, t: x, torch.zeros(1, 1), sigma, SCHEDULE, **options)
