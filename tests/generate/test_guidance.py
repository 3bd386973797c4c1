"""Guidance: closed forms for Gaussians, and nothing left behind."""

import pytest
import torch
from networks import randomised

from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig
from difffilter.generate.guidance import classifier_free, classifier_guided, clip_guided

pytestmark = pytest.mark.usefixtures("torch_threads")

SCHEDULE = NoiseSchedule()
T = torch.tensor([1.0, 57.3, 400.0, 1000.0])


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shares(t, x):
    """√ᾱ_t and √(1 − ᾱ_t), to be multiplied by x."""
    alpha_bar = torch.as_tensor(SCHEDULE.alpha_bar(t.numpy())).reshape(-1, *[1] * (x.ndim - 1))
    return alpha_bar.sqrt().to(x), (1 - alpha_bar).sqrt().to(x)


def gaussian(mean):
    """ε_θ of pictures of which each pixel is drawn from N(mean, 1): x_t is from N(√ᾱ mean, 1)."""

    def eps_theta(x, t):
        signal, noise = shares(t, x)
        return noise * (x - signal * mean)

    return eps_theta


# --- without a classifier ---------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0, 0.3, 1, 3])
def test_guidance_moves_the_mean_of_a_gaussian(scale):
    """N(0, 1) without and N(m, 1) with the condition: N(w m, 1), at every t."""
    mean, x = 0.7, draws(4, 2, 3, 3)
    guided = classifier_free(gaussian(mean), gaussian(0), scale)
    torch.testing.assert_close(guided(x, T), gaussian(scale * mean)(x, T))


def test_scales_of_0_and_1_take_one_evaluation():
    given, free = gaussian(1), gaussian(0)
    assert classifier_free(given, free, 1, rescale=0.7) is given
    assert classifier_free(given, free, 0) is free


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_a_condition_that_says_nothing_changes_nothing(rescale):
    x, eps_theta = draws(4, 2, 3, 3), gaussian(0.5)
    guided = classifier_free(eps_theta, eps_theta, 3, rescale)
    torch.testing.assert_close(guided(x, T), eps_theta(x, T))


def test_rescaling_keeps_the_standard_deviation_of_each_picture():
    given, free = draws(4, 2, 5, 5), draws(4, 2, 5, 5, seed=1)

    def guided(rescale):
        return classifier_free(lambda x, t: given, lambda x, t: free, 3, rescale)(given, T)

    def deviations(eps):
        return eps.flatten(1).std(dim=1)

    assert (deviations(guided(0)) > 1.5 * deviations(given)).all()
    torch.testing.assert_close(deviations(guided(1)), deviations(given))
    halfway = (deviations(guided(0)) + deviations(given)) / 2
    torch.testing.assert_close(deviations(guided(0.5)), halfway)
    ratios = guided(1) / guided(0)  # the same for all pixels of a picture
    torch.testing.assert_close(ratios, ratios[:, :1, :1, :1].expand_as(ratios))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scale": -1}, ValueError, "scale is -1; expected a finite number ≥ 0"),
        ({"scale": float("inf")}, ValueError, "scale is inf; expected a finite number ≥ 0"),
        ({"scale": "4"}, TypeError, "scale is '4'; expected a finite number ≥ 0"),
        (
            {"scale": 3, "rescale": 1.5},
            ValueError,
            "rescale is 1.5; expected a finite number ≥ 0 and ≤ 1",
        ),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        classifier_free(gaussian(1), gaussian(0), **options)


# --- with a classifier ------------------------------------------------------------------------


def likelihood(target, variance):
    """log p(c | x_0) for c = x_0 + N(0, variance), all pixels apart, up to a constant."""
    return lambda x0: -(x0 - target).square().flatten(1).sum(dim=1) / (2 * variance)


@pytest.mark.parametrize("scale", [0, 1, 2.5])
def test_the_guided_score_of_a_gaussian(scale):
    """With x_0 from N(0, 1), x̂_0 = √ᾱ x_t: s ∇ log p(c | x̂_0) = s √ᾱ (c − √ᾱ x_t)/v is added to −x_t."""
    target, variance, x = 0.8, 0.3, draws(4, 2, 3, 3)
    eps = classifier_guided(gaussian(0), likelihood(target, variance), scale, SCHEDULE)(x, T)
    signal, noise = shares(T, x)
    expected = -x + scale * signal * (target - signal * x) / variance
    torch.testing.assert_close(-eps / noise, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("t", T)
def test_it_is_the_score_of_the_posterior_but_for_the_variance_of_the_estimate(t):
    """p(c | x_t) = N(√ᾱ x_t, v + 1 − ᾱ), of which x̂_0 leaves out 1 − ᾱ, the variance of x_0 given x_t.

    A scale of v/(v + 1 − ᾱ) makes up for it: the guided ε is then that of the posterior of x_0,
    N(c/(1 + v), v/(1 + v)).
    """
    target, variance, x = 0.8, 0.3, draws(1, 2, 3, 3)
    signal, noise = shares(t[None], x)
    scale = variance / (variance + noise.item() ** 2)
    guided = classifier_guided(gaussian(0), likelihood(target, variance), scale, SCHEDULE)
    mean = signal * target / (1 + variance)
    spread = signal**2 * variance / (1 + variance) + noise**2
    torch.testing.assert_close(
        guided(x, t[None]), noise * (x - mean) / spread, rtol=1e-5, atol=1e-6
    )


def test_vectors_in_single_precision_are_guided():
    target, x = 0.8, draws(4, 6).float()
    guided = classifier_guided(gaussian(0), likelihood(target, 1), 1, SCHEDULE)(x, T)
    signal, noise = shares(T, x)
    expected = noise * (x - signal * (target - signal * x))
    torch.testing.assert_close(guided, expected, rtol=1e-4, atol=1e-5)


def test_guidance_goes_through_the_network_and_leaves_no_gradient():
    """Its result is a plain tensor, however gradients are switched where it is called."""
    config = UNetConfig(
        shuffle=1, widths=(8,), blocks=1, middle=1, attention=(0,), heads=2, groups=4, embedding=16
    )
    net, x, t = randomised(UNet, config), draws(2, 1, 4, 4).float(), torch.tensor([100.0, 600.0])
    guided = classifier_guided(net, likelihood(0.5, 1), 2, SCHEDULE)
    found = guided(x, t)
    step, direction = 1e-2, draws(2, 1, 4, 4, seed=1).float()
    signal, noise = shares(t, x)

    def log_probability(x):
        return likelihood(0.5, 1)((x - noise * net(x, t)) / signal)

    with torch.no_grad():
        eps = net(x, t)
        rise = log_probability(x + step * direction) - log_probability(x - step * direction)
        slopes = (direction * (eps - found) / (2 * noise)).sum(dim=(1, 2, 3))
    torch.testing.assert_close(slopes, rise / (2 * step), rtol=1e-2, atol=1e-3)

    for mode in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with mode():
            again = guided(x.clone(), t.clone())
        assert not again.requires_grad
        torch.testing.assert_close(again, found)
    assert not x.requires_grad
    assert all(weight.grad is None for weight in net.parameters())
    guided(x.requires_grad_(), t)
    assert x.grad is None


@pytest.mark.parametrize("several", [False, True])
def test_clip_guidance_is_classifier_guidance_with_the_cosine(several):
    turn, x = draws(6, 5), draws(4, 6)
    text = torch.nn.functional.normalize(draws(4 if several else 1, 5, seed=2), dim=1)

    def embed(x0):
        return torch.nn.functional.normalize(x0 @ turn, dim=1)

    def cosine(x0):
        return torch.nn.functional.cosine_similarity(x0 @ turn, text, dim=1)

    guided = clip_guided(gaussian(0), embed, text if several else text[0], 3, SCHEDULE)
    expected = classifier_guided(gaussian(0), cosine, 3, SCHEDULE)
    torch.testing.assert_close(guided(x, T), expected(x, T))
    assert (guided(x, T) - gaussian(0)(x, T)).abs().max() > 0.1


def test_bad_scale():
    for guide in (
        lambda: classifier_guided(gaussian(0), likelihood(0, 1), -0.5, SCHEDULE),
        lambda: clip_guided(gaussian(0), lambda x: x, torch.ones(3), -0.5, SCHEDULE),
    ):
        with pytest.raises(ValueError, match=r"^scale is -0\.5; expected a finite number ≥ 0$"):
            guide()
