"""Guidance: a noise predictor made from others, which pulls harder towards what is asked for.

Each function takes and returns an ε_θ(x_t, t), so that every sampler of `difffilter.ddpm` works with the
result.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from difffilter.checks import check_number
from difffilter.ddpm.process import NoisePredictor, shares
from difffilter.ddpm.schedule import NoiseSchedule

__all__ = ["classifier_free", "classifier_guided", "clip_guided"]


def classifier_free(
    conditional: NoisePredictor,
    unconditional: NoisePredictor,
    scale: float,
    rescale: float = 0.0,
) -> NoisePredictor:
    """Classifier-free guidance: ε = ε_∅ + w (ε_c − ε_∅).

    Parameters
    ----------
    conditional, unconditional : callable
        ε_c and ε_∅. With a caption of what is not wanted in place of none, ε_∅ is a negative prompt.
    scale : float
        w: 0 ignores the condition, 1 takes it as it was learned, more exaggerates it.
    rescale : float, default 0
        From 0 to 1: how far the standard deviation of ε is brought back to that of ε_c, against the
        glaring colours of a large scale.

    Returns
    -------
    callable

    Raises
    ------
    TypeError, ValueError
        If `scale` is below 0, or `rescale` is outside [0, 1].

    References
    ----------
    Ho & Salimans, "Classifier-free diffusion guidance", 2022.
    Lin, Liu, Li & Yang, "Common diffusion noise schedules and sample steps are flawed", WACV 2024,
    for `rescale`.

    Examples
    --------
    >>> import torch
    >>> guided = classifier_free(lambda x, t: x + 1, lambda x, t: x, 3.0)
    >>> guided(torch.zeros(1), torch.zeros(1))
    tensor([3.])
    """
    check_number("scale", scale, least=0)
    check_number("rescale", rescale, least=0, most=1)

    def eps_theta(x: Tensor, t: Tensor) -> Tensor:
        given, free = conditional(x, t), unconditional(x, t)
        eps = free + scale * (given - free)
        if rescale:
            axes = tuple(range(1, x.ndim))
            ratio = given.std(dim=axes, keepdim=True) / eps.std(dim=axes, keepdim=True)
            eps = eps * (1 + rescale * (ratio - 1))
        return eps

    if scale == 1:  # saves the second evaluation
        return conditional
    return unconditional if scale == 0 else eps_theta


def classifier_guided(
    eps_theta: NoisePredictor,
    log_probability: Callable[[Tensor], Tensor],
    scale: float,
    schedule: NoiseSchedule,
) -> NoisePredictor:
    """Classifier guidance: ε − s √(1 − ᾱ_t) ∇ log p(c | x_t), with p(c | x_t) ≈ p(c | x̂_0(x_t)).

    The classifier sees the denoised picture, so that it need not know noise.

    Parameters
    ----------
    eps_theta : callable
        ε_θ, which can be differentiated.
    log_probability : callable
        log p(c | x_0) of pictures (B, ...) in [−1, 1], or of latents, as a Tensor (B,).
    scale : float
        s ≥ 0.
    schedule : NoiseSchedule

    Returns
    -------
    callable

    Raises
    ------
    TypeError, ValueError
        If `scale` is below 0.

    References
    ----------
    Dhariwal & Nichol, "Diffusion models beat GANs on image synthesis", NeurIPS 2021, algorithm 2.
    Bansal et al., "Universal guidance for diffusion models", CVPR 2023, for x̂_0 in place of x_t.

    Examples
    --------
    >>> import torch
    >>> guided = classifier_guided(
    ...     lambda x, t: 0 * x, lambda x0: -x0.square().sum(dim=1), 0.5, NoiseSchedule()
    ... )
    >>> bool(guided(torch.ones(1, 1), torch.tensor([500.0])) > 0)
    True
    """
    check_number("scale", scale, least=0)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        # Samplers mostly run without gradients. Tensors of inference mode never have any; copies do.
        with torch.inference_mode(False), torch.enable_grad():
            x, t = x.detach().clone().requires_grad_(), t.detach().clone()
            signal, noise = shares(t.cpu(), x, schedule)
            eps = eps_theta(x, t)
            x0 = (x - noise * eps) / signal
            (gradient,) = torch.autograd.grad(log_probability(x0).sum(), x)
        return eps.detach() - scale * noise * gradient

    return guided


def clip_guided(
    eps_theta: NoisePredictor,
    embed: Callable[[Tensor], Tensor],
    text: Tensor,
    scale: float,
    schedule: NoiseSchedule,
) -> NoisePredictor:
    """CLIP guidance: classifier guidance with log p(c | x_0) = cos(f(x_0), g(c)), up to a factor.

    Parameters
    ----------
    eps_theta : callable
        ε_θ, which can be differentiated.
    embed : callable
        f: unit vectors (B, m) of pictures (B, ...) in [−1, 1], or of latents.
    text : Tensor (m,) or (B, m)
        g(c): unit vectors.
    scale : float
        The factor of the cosine, ≥ 0.
    schedule : NoiseSchedule

    Returns
    -------
    callable

    Raises
    ------
    TypeError, ValueError
        If `scale` is below 0.

    References
    ----------
    Nichol et al., "GLIDE: towards photorealistic image generation and editing with text-guided
    diffusion models", ICML 2022.

    Examples
    --------
    >>> import torch
    >>> guided = clip_guided(
    ...     lambda x, t: 0 * x,
    ...     lambda x0: torch.nn.functional.normalize(x0, dim=1),
    ...     torch.tensor([1.0, 0.0]),
    ...     1.0,
    ...     NoiseSchedule(),
    ... )
    >>> guided(torch.ones(1, 2), torch.tensor([500.0])).sign()
    tensor([[-1.,  1.]])
    """
    return classifier_guided(eps_theta, lambda x0: (embed(x0) * text).sum(dim=-1), scale, schedule)
