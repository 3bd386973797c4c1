"""Time stepping of a `Diffusion` with tensors, on their device."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import torch

from difffilter.pde.backends import torch_steps
from difffilter.pde.kernels import common as kernels
from difffilter.pde.solve.schemes import cycle_steps, cycle_weights
from difffilter.pde.solve.stability import equal_steps, stability_bound

__all__ = ["evolve"]


def evolve(diffusion, u, time):
    """Evolve a state on its device, and record the gradient if the state requires one.

    Parameters
    ----------
    diffusion : Diffusion
    u : Tensor (B, C, D, H, W)
        Contiguous; overwritten by cycles.
    time : float
        The duration.

    Returns
    -------
    Tensor (B, C, D, H, W)
    """
    count, size = diffusion.steps(u.shape[2:], time)
    alpha = np.ones(1)
    if diffusion.scheme == "fsi":
        cycle = cycle_steps(size, stability_bound(u.shape[2:], diffusion.spacing))
        alpha, size = cycle_weights(cycle, size)
        count *= cycle
    gradient = u.requires_grad and torch.is_grad_enabled()
    with torch.set_grad_enabled(gradient), torch.cuda.device_of(u):
        return _evolve(u, diffusion, count, alpha, size)


def implementation(u):
    """The module with the steps: `triton_steps` on CUDA if Triton is installed, else `torch_steps`.

    Only the latter can be differentiated.
    """
    if u.is_cuda and not u.requires_grad and find_spec("triton"):
        return import_module("difffilter.pde.backends.triton_steps")
    return torch_steps


def _evolve(u, diffusion, steps, alpha, size):
    """Take explicit steps of a size, step k of a cycle extrapolated by alpha[k]."""
    backend = implementation(u)
    mask = None
    if diffusion.mask is not None:
        mask = torch.from_numpy(diffusion.mask.astype(np.uint8)).to(u.device)
    rows = _rows(diffusion, alpha, size, u)
    blurred = bool(diffusion.presmooth) and diffusion.kind != kernels.CONSTANT
    if blurred:
        # The heat equation at time presmooth²/2; with half the stable step, no frequency gets a
        # negative factor.
        bound = stability_bound(u.shape[2:], diffusion.spacing)
        blurs, blur_size = equal_steps(diffusion.presmooth**2 / 2, bound / 2)
        [blur] = _rows(diffusion, np.ones(1), blur_size, u)
    g, before = None, None
    for done in range(steps):
        k = done % len(rows)
        if blurred:
            smooth = u
            for _ in range(blurs):
                sharper, smooth = smooth, torch.empty_like(u)
                backend.step(sharper, smooth, blur, kernels.CONSTANT, None, mask, False)
            g = backend.pixel_diffusivity(smooth, rows[k], diffusion.kind, mask)
        after = torch.empty_like(u) if k == 0 else before
        backend.step(u, after, rows[k], diffusion.kind, g, mask, k > 0)
        before, u = u, after
    return u


def _rows(diffusion, alpha, size, u):
    """The coefficients of the steps of a cycle: the ``row`` of `torch_steps.step` for each."""
    spacing = np.asarray(diffusion.spacing)
    # The limits, far beyond any contrast, keep it from vanishing or overflowing in float32.
    inverse = np.clip((diffusion.kappa * spacing) ** -2.0, torch.finfo(u.dtype).tiny, 1e37)
    rows = np.empty((len(alpha), 8))
    rows[:, 0], rows[:, 1] = alpha, 1 - alpha
    rows[:, 2:5] = alpha[:, None] * size / spacing**2
    rows[:, 5:] = inverse
    return torch.from_numpy(rows).to(u).unbind()
