"""Mixtures of Gaussians, of which a DDPM's every density, score and noise is known in closed form.

With noise σ̃ a mixture stays one, its covariances C becoming C + σ̃² I.
"""

import numpy as np
import torch
from scipy.stats import norm
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal


class Mixture:
    """Σ_k w_k N(μ_k, C_k) with w (K,), μ (K, D) and C (K, D, D), in float64."""

    def __init__(self, weights, means, covariances):
        self.w, self.mu, self.C = (
            torch.tensor(a, dtype=torch.float64) for a in (weights, means, covariances)
        )

    def noisy(self, sigma):
        return self.C + sigma**2 * torch.eye(self.mu.shape[1], dtype=torch.float64)

    def log_density(self, y, sigma):
        parts = MultivariateNormal(self.mu, self.noisy(sigma))
        return MixtureSameFamily(Categorical(self.w), parts).log_prob(y)

    def score(self, y, sigma):
        """Σ_k p(k | y) (C_k + σ̃² I)⁻¹ (μ_k − y)."""
        C = self.noisy(sigma)
        pull = torch.einsum("kij,nkj->nki", torch.linalg.inv(C), self.mu - y[:, None])
        distance = ((y[:, None] - self.mu) * -pull).sum(dim=2)
        share = (self.w.log() - torch.logdet(C) / 2 - distance / 2).softmax(dim=1)
        return (share[..., None] * pull).sum(dim=1)

    def predictor(self, schedule):
        """ε_θ(x, t) = −σ̃_t ∇ log p(x/√ᾱ_t), in the dtype of x."""

        def eps_theta(x, t):
            step = float(t[0])
            y = x.double() / schedule.alpha_bar(step) ** 0.5
            sigma = schedule.sigma_tilde(step)
            return (-sigma * self.score(y, sigma)).to(x.dtype)

        return eps_theta

    def cdf(self, u, sigma, direction=(1.0,)):
        """Distribution function of the projection of y on a unit vector."""
        e = torch.tensor(direction, dtype=torch.float64)
        scale = torch.einsum("i,kij,j->k", e, self.noisy(sigma), e).sqrt()
        u = np.asarray(u)[..., None]
        return norm.cdf(u, (self.mu @ e).numpy(), scale.numpy()) @ self.w.numpy()

    def flow(self, y, sigma):
        """End of the probability flow at σ̃ = 0, in 1-D: it rises with y, so it keeps quantiles."""
        grid = np.linspace(-3, 3, 60_001)
        x = np.interp(self.cdf(y[:, 0], sigma), self.cdf(grid, 0), grid)
        return torch.from_numpy(x)[:, None]


LINE = Mixture([0.3, 0.7], [[-0.6], [0.5]], [[[0.01]], [[0.04]]])
PLANE = Mixture(
    [0.2, 0.5, 0.3],
    [[-0.6, -0.3], [0.5, 0.4], [0.3, -0.7]],
    [
        [[0.01, 0.0], [0.0, 0.01]],
        [[0.04, 0.015], [0.015, 0.02]],
        [[0.01, -0.005], [-0.005, 0.04]],
    ],
)
