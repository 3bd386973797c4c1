"""The process without a network: a Gaussian prior, whose exact ε is known in closed form.

If x_0 ~ N(μ, C) then x_t ~ N(√ᾱ_t μ, ᾱ_t C + (1 − ᾱ_t) I), and every estimate, path and sample
of a DDPM can be written down.
"""

import re

import numpy as np
import pytest
import torch
from mixtures import LINE

from difffilter.ddpm.process import (
    add_noise,
    posterior_mean,
    predict_noise,
    pure_noise,
    reverse,
    reverse_path,
)
from difffilter.ddpm.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule()
MEAN = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
ROOT = torch.tensor([[0.5, 0.1, 0.0], [0.2, -0.3, 0.1], [0.0, 0.2, 0.15]], dtype=torch.float64)
COVARIANCE = ROOT @ ROOT.T
EYE = torch.eye(3, dtype=torch.float64)


def eps_theta(x, t):
    """E[ε | x_t], exactly."""
    alpha_bar = SCHEDULE.alpha_bar(t[0].item())
    covariance = alpha_bar * COVARIANCE + (1 - alpha_bar) * EYE
    centred = x - alpha_bar**0.5 * MEAN
    return (1 - alpha_bar) ** 0.5 * centred @ torch.linalg.inv(covariance)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def noisy():
    return MEAN + torch.randn((7, 3), generator=generator(), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.001, 0.02, 0.1, 0.5, 5.0])
def test_posterior_mean_is_the_wiener_estimate(noisy, sigma):
    wiener = COVARIANCE @ torch.linalg.inv(COVARIANCE + sigma**2 * EYE)
    expected = MEAN + (noisy - MEAN) @ wiener.T
    actual = posterior_mean(eps_theta, noisy, sigma, SCHEDULE)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


def test_ddim_follows_the_probability_flow_to_its_end(noisy):
    """dy/dσ̃ = ε(y, σ̃) shrinks each principal axis by √(λ/(λ + σ̃²)); Euler's error is O(1/n)."""
    sigma = 0.5
    values, axes = torch.linalg.eigh(COVARIANCE)
    end = MEAN + (noisy - MEAN) @ axes @ torch.diag((values / (values + sigma**2)).sqrt()) @ axes.T
    errors = [
        (reverse(eps_theta, noisy, sigma, SCHEDULE, steps=n, eta=0) - end).abs().max().item()
        for n in (500, 1000, 2000)
    ]
    assert errors[2] < 1e-3
    np.testing.assert_allclose(np.array(errors[:2]) / errors[1:], 2, rtol=0.1)


def moments(samples):
    return samples.mean(dim=0), samples.T.cov()


def test_ancestral_samples_have_the_mean_and_covariance_of_the_prior():
    y = pure_noise((10_000, 3), SCHEDULE, generator()).double()
    samples = reverse(
        eps_theta, y, float(SCHEDULE.sigma_tilde(1000)), SCHEDULE, generator=generator(1)
    )
    mean, covariance = moments(samples)
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=0.02)
    torch.testing.assert_close(covariance, COVARIANCE, rtol=0, atol=0.02)


@pytest.mark.parametrize("steps", [None, 400])
def test_samples_from_a_noisy_image_have_the_moments_of_the_posterior(noisy, steps):
    sigma = 0.4
    precision = torch.linalg.inv(COVARIANCE) + EYE / sigma**2
    y = noisy[:1].repeat(10_000, 1)
    samples = reverse(eps_theta, y, sigma, SCHEDULE, steps=steps, generator=generator(2))
    mean, covariance = moments(samples)
    expected = posterior_mean(eps_theta, noisy[:1], sigma, SCHEDULE)[0]
    torch.testing.assert_close(mean, expected, rtol=0, atol=0.01)
    torch.testing.assert_close(covariance, torch.linalg.inv(precision), rtol=0, atol=0.005)


def test_one_step_is_that_of_ho_et_al(noisy):
    """From t to t − 1: the mean of eq. 7 and the variance β̃_t, in x_t."""
    t = 40
    beta, alpha_bar = SCHEDULE.beta[t - 1], SCHEDULE.alpha_bar(np.array([t - 1, t]))
    sigma = float(SCHEDULE.sigma_tilde(t))
    x_t = alpha_bar[1] ** 0.5 * noisy
    x0 = noisy - sigma * predict_noise(eps_theta, noisy, float(t), SCHEDULE)
    expected = (alpha_bar[0] ** 0.5 * beta * x0 + (1 - beta) ** 0.5 * (1 - alpha_bar[0]) * x_t) / (
        1 - alpha_bar[1]
    )
    z = torch.randn(noisy.shape, generator=generator(3), dtype=torch.float64)
    expected += ((1 - alpha_bar[0]) / (1 - alpha_bar[1]) * beta) ** 0.5 * z

    path = reverse_path(eps_theta, noisy, sigma, SCHEDULE, steps=t, generator=generator(3))
    sigma_s, y = next(path)
    assert sigma_s == pytest.approx(SCHEDULE.sigma_tilde(t - 1))
    torch.testing.assert_close(alpha_bar[0] ** 0.5 * y, expected, rtol=1e-9, atol=1e-9)


def test_a_single_step_lands_on_the_posterior_mean(noisy):
    torch.testing.assert_close(
        reverse(eps_theta, noisy, 0.3, SCHEDULE, steps=1),
        posterior_mean(eps_theta, noisy, 0.3, SCHEDULE),
    )


def test_the_generator_decides_the_sample(noisy):
    def draw(seed, eta=1.0):
        return reverse(eps_theta, noisy, 0.3, SCHEDULE, eta=eta, generator=generator(seed))

    assert torch.equal(draw(4), draw(4))
    assert not torch.allclose(draw(4), draw(5))
    assert torch.equal(draw(4, eta=0), draw(5, eta=0))


def test_the_path_ends_without_noise_and_leaves_its_start_alone(noisy):
    before = noisy.clone()
    path = list(reverse_path(eps_theta, noisy, 0.3, SCHEDULE, steps=6, generator=generator()))
    sigmas = [sigma for sigma, _ in path]
    assert len(path) == 6
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[-1] == 0
    assert torch.equal(noisy, before)


def test_steps_may_be_named(noisy):
    """Steps of a given number are evenly spaced; naming the same ones is the same path."""
    t = float(SCHEDULE.step_of(0.3))
    by_number = reverse_path(eps_theta, noisy, 0.3, SCHEDULE, steps=3, eta=0)
    by_name = reverse_path(eps_theta, noisy, 0.3, SCHEDULE, steps=[2 / 3 * t, 1 / 3 * t, 0], eta=0)
    for (sigma, y), (other, z) in zip(by_number, by_name, strict=True):
        assert sigma == pytest.approx(other)
        torch.testing.assert_close(y, z)


def test_clip_keeps_estimates_in_range():
    y = torch.full((1, 4), 9.0)
    end = reverse(lambda x, t: torch.zeros_like(x), y, 2.0, SCHEDULE, steps=5, clip=True)
    assert end.abs().max() <= 1


def test_add_noise_has_the_moments_of_q():
    t = np.array([1.0, 57.3, 1000.0])
    x0 = torch.full((3, 200_000), 0.8, dtype=torch.float64)
    eps = torch.randn(x0.shape, generator=generator(), dtype=torch.float64)
    xt = add_noise(x0, t, eps, SCHEDULE)
    alpha_bar = torch.from_numpy(SCHEDULE.alpha_bar(t))
    torch.testing.assert_close(xt.mean(dim=1), alpha_bar.sqrt() * 0.8, rtol=0, atol=0.01)
    torch.testing.assert_close(xt.var(dim=1), 1 - alpha_bar, rtol=0.01, atol=0)
    assert torch.equal(add_noise(x0, 0, eps, SCHEDULE), x0)


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("eta", {"eta": 1.5}),
        ("eta", {"eta": -0.1}),
        ("steps", {"steps": 0}),
        ("steps", {"steps": [10, 20, 0]}),
        ("steps", {"steps": [10, 5]}),
        ("steps", {"steps": [900, 0]}),
    ],
)
def test_bad_options_are_refused(noisy, argument, options):
    with pytest.raises(ValueError, match=argument):
        reverse(eps_theta, noisy, 0.3, SCHEDULE, **options)


@pytest.mark.parametrize("sigma", [0.0, -1.0, 1e4])
def test_noise_there_is_no_way_back_from_is_refused(noisy, sigma):
    with pytest.raises(ValueError, match="sigma_tilde"):
        reverse(eps_theta, noisy, sigma, SCHEDULE)


DPM = {"solver": "dpm++", "eta": 0}


def test_dpm_solver_is_of_second_order(noisy):
    """Before its last step, to 0, against the exact flow to the same σ̃."""
    sigma = 0.5
    values, axes = torch.linalg.eigh(COVARIANCE)

    def error(n):
        path = list(reverse_path(eps_theta, noisy, sigma, SCHEDULE, steps=n + 1, **DPM))
        end, y = path[-2]
        scale = torch.diag(((values + end**2) / (values + sigma**2)).sqrt())
        return (y - MEAN - (noisy - MEAN) @ axes @ scale @ axes.T).abs().max().item()

    errors = [error(n) for n in (40, 80, 160)]
    assert errors[2] < 2e-4
    np.testing.assert_allclose(np.array(errors[:2]) / errors[1:], 4, rtol=0.1)


@pytest.mark.parametrize("sigma", [1.0, float(SCHEDULE.sigma_tilde(1000))])
@pytest.mark.parametrize(("steps", "share"), [(10, 0.8), (20, 0.4)])
def test_dpm_solver_is_more_accurate_than_ddim_with_as_many_steps(sigma, steps, share):
    """Root mean square of the error at 0, on a mixture of Gaussians; DDIM with its better steps."""
    y = (0.5 + sigma) * torch.randn((500, 1), generator=generator(), dtype=torch.float64)
    mixture, end = LINE.predictor(SCHEDULE), LINE.flow(y, sigma)

    def error(**options):
        x0 = reverse(mixture, y, sigma, SCHEDULE, steps=steps, eta=0, **options)
        return (x0 - end).square().mean().sqrt().item()

    ddim = min(error(spacing=spacing) for spacing in ("t", "log"))
    assert error(solver="dpm++") < share * ddim


def test_dpm_solver_starts_as_ddim_does(noisy):
    def path(**options):
        return list(reverse_path(eps_theta, noisy, 0.3, SCHEDULE, spacing="log", **options))

    torch.testing.assert_close(path(steps=1, **DPM), path(steps=1, eta=0))
    dpm, ddim = path(steps=3, **DPM), path(steps=3, eta=0)
    torch.testing.assert_close(dpm[0], ddim[0])
    assert not torch.allclose(dpm[1][1], ddim[1][1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"eta": 0}, "t"),
        ({"eta": 0, "spacing": "log"}, "log"),
        (DPM, "log"),
        ({**DPM, "spacing": "t"}, "t"),
    ],
)
def test_spacing_of_the_steps(noisy, options, expected):
    path = reverse_path(eps_theta, noisy, 0.3, SCHEDULE, steps=4, **options)
    evenly = {
        "t": SCHEDULE.sigma_tilde(np.linspace(SCHEDULE.step_of(0.3), 0, 5)),
        "log": SCHEDULE.levels(0.3, 4),
    }
    np.testing.assert_allclose([sigma for sigma, _ in path], evenly[expected][1:], rtol=1e-9)


def test_dpm_solver_takes_named_steps_and_as_many_as_in_training_by_default(noisy):
    named = reverse_path(eps_theta, noisy, 0.3, SCHEDULE, steps=[40, 10, 0], **DPM)
    assert [s for s, _ in named] == pytest.approx(SCHEDULE.sigma_tilde([40, 10, 0]))
    by_default = list(reverse_path(eps_theta, noisy, 0.3, SCHEDULE, **DPM))
    assert len(by_default) == round(float(SCHEDULE.step_of(0.3)))


def test_dpm_solver_ends_within_the_range_with_clip():
    y = torch.full((1, 4), 9.0)
    end = reverse(lambda x, t: torch.zeros_like(x), y, 2.0, SCHEDULE, steps=5, clip=True, **DPM)
    assert torch.equal(end, torch.ones(1, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "dpm++"}, "eta is 1.0; expected 0 for solver='dpm++', which adds no noise"),
        (
            {"solver": "dpm"},
            "solver is 'dpm'; expected one of ddim, dpm++; did you mean 'dpm++'?",
        ),
        ({"spacing": "logt"}, "spacing is 'logt'; expected one of t, log; did you mean 'log'?"),
        ({"spacing": "t", "steps": [9, 0]}, "spacing is 't'; expected None beside named steps"),
    ],
)
def test_bad_solvers_and_spacings_are_refused(noisy, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        reverse(eps_theta, noisy, 0.3, SCHEDULE, **options)
