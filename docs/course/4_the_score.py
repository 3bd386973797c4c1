r"""
4. The score
============

To guess the noise is to know where the density of images grows. The gradient :math:`\nabla \log
p(y)` of the density of noisy images is called the score, and it is the guess up to a factor:

.. math:: \nabla \log p(y) = \frac{\hat x_0 - y}{\tilde\sigma^2} = -\frac{\varepsilon_\theta}{\tilde\sigma}

Here "images" are points of the plane, and their density is a mixture of three Gaussians, of which
everything can be computed exactly.
"""

import matplotlib.pyplot as plt
import torch

from difffilter.ddpm import NoiseSchedule, langevin, probability_flow, pure_noise, score

schedule = NoiseSchedule()
MEANS = torch.tensor([[-0.6, -0.4], [0.6, -0.4], [0.0, 0.65]], dtype=torch.float64)
WIDTH = 0.12


def log_density(y, sigma_tilde):
    """log p of points with noise: a mixture of wider Gaussians."""
    variance = WIDTH**2 + sigma_tilde**2
    distances = (y[:, None] - MEANS).square().sum(dim=2)
    return torch.logsumexp(-distances / (2 * variance), dim=1) - torch.log(
        3 * torch.pi * 2 * variance
    )


def eps_theta(x, t):
    """The exact guess of the noise in x_t, in place of a network."""
    alpha_bar = torch.from_numpy(schedule.alpha_bar(t.double().numpy()))[:, None]
    y, sigma_tilde = x / alpha_bar.sqrt(), (1 / alpha_bar - 1).sqrt()
    variance = WIDTH**2 + sigma_tilde**2
    distances = (y[:, None] - MEANS).square().sum(dim=2)
    share = (-distances / (2 * variance)).softmax(dim=1)  # of each Gaussian in a point
    mean = (share[:, :, None] * MEANS).sum(dim=1)
    return (y - mean) * sigma_tilde / variance


# %%
# The score is the gradient
# -------------------------
# Arrows show the score where there is little noise and where there is much. It leads from
# everywhere to the images.

grid = torch.linspace(-1.3, 1.3, 19, dtype=torch.float64)
points = torch.cartesian_prod(grid, grid)
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
for axis, sigma_tilde in zip(axes, (0.1, 0.4, 1.0), strict=True):
    arrows = score(eps_theta, points, sigma_tilde, schedule)
    y = points.clone().requires_grad_()
    log_density(y, torch.tensor(sigma_tilde, dtype=torch.float64)).sum().backward()
    assert torch.allclose(arrows, y.grad, rtol=1e-4, atol=1e-5)
    arrows = arrows / arrows.norm(dim=1, keepdim=True).clamp(min=1e-9)
    axis.quiver(*points.T, *arrows.T, color="tab:gray")
    axis.plot(*MEANS.T, "o", color="tab:red")
    axis.set_title(rf"$\tilde\sigma$ = {sigma_tilde}", fontsize=9)
    axis.set_aspect("equal")

# %%
# Two ways to the images
# ----------------------
# Langevin dynamics follows the score and adds noise in each step, at noise levels that fall. The
# probability flow has no noise of its own: each start leads to one end. Both end in the
# distribution of the images.

generator = torch.Generator().manual_seed(0)
start = pure_noise((1500, 2), schedule, generator).double()
levels = [float(schedule.sigma_tilde(t)) for t in (1000, 600, 400, 250, 150, 80, 40, 20, 8)]
drawn = langevin(eps_theta, start, levels, schedule, steps=60, generator=generator)
flowed = probability_flow(eps_theta, start, levels[0], schedule, steps=40)

figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
for axis, ends, title in zip(axes, (drawn, flowed), ("Langevin", "probability flow"), strict=True):
    axis.plot(*ends.T, ".", markersize=2)
    axis.set_title(title, fontsize=9)
    axis.set_aspect("equal")
    nearest = torch.cdist(ends, MEANS).argmin(dim=1)
    shares = torch.bincount(nearest, minlength=3) / len(ends)
    spread = torch.cdist(ends, MEANS).min(dim=1).values.square().mean().div(2).sqrt()
    print(f"{title}: shares {[round(s, 2) for s in shares.tolist()]}, width {float(spread):.3f}")
    assert (shares - 1 / 3).abs().max() < 0.06
    assert abs(float(spread) / WIDTH - 1) < 0.2
