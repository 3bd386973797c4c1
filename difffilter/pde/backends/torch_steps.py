"""A diffusion step by PyTorch's operations: the readable counterpart of `triton_steps`.

State, units and faces are those of `kernels`. Used on devices without Triton, and by the tests.
"""

from __future__ import annotations

import torch

from difffilter.pde.kernels import common as kernels


def step(u, v, row, kind, g, mask, extrapolate):
    """Write u + τ div(g ∇u), or α (u + τ div(g ∇u)) + (1 - α) v to extrapolate, to v.

    Parameters
    ----------
    u, v : Tensor (B, C, D, H, W)
        The state, and the output; when extrapolating, v holds the previous state.
    row : Tensor (8,)
        α, 1 - α, then α τ/h² for the axes z, y, x, then 1/(κh)² for these axes.
    kind : int
        Code of the diffusivity.
    g : Tensor (B, D, H, W) or None
        The diffusivity at pixels, averaged at each face; ``None``: it follows from the difference
        across the face.
    mask : Tensor (1, D, H, W) of uint8, or None
        1 where diffusion takes place, else 0; ``None``: everywhere.
    extrapolate : bool
        Whether this is a step of a cycle, but not its first.
    """
    alpha, beta = row[:2]
    change = torch.zeros_like(u)
    for axis, rate, inverse in zip((-3, -2, -1), row[2:5], row[5:8], strict=True):
        near, far = _neighbours(u, axis)
        d = far - near
        if kind == kernels.CONSTANT:
            weight = torch.ones_like(d[:, :1])
        elif g is None:
            weight = diffusivity(kind, (d * d * inverse).sum(dim=1, keepdim=True))
        else:
            weight = sum(_neighbours(g[:, None], axis)) / 2
        if mask is not None:
            weight = weight * _open(mask[:, None], axis)
        flux = rate * weight * d
        _add(change, axis, flux, -flux)
    if extrapolate:
        v.mul_(beta).add_(alpha * u).add_(change)
    else:
        v.copy_(u).add_(change)  # which, unlike an output argument, can be differentiated


def pixel_diffusivity(u, row, kind, mask):
    """The diffusivity g (B, D, H, W) of each pixel, by central differences over all channels.

    A neighbour outside the image or the mask is taken to equal the pixel itself. The parameters
    are those of `step`.
    """
    q = torch.zeros_like(u)
    for axis, inverse in zip((-3, -2, -1), row[5:8], strict=True):
        near, far = _neighbours(u, axis)
        d = far - near
        if mask is not None:
            d = d * _open(mask[:, None], axis)
        twice = torch.zeros_like(u)  # the sum of the differences across both faces
        _add(twice, axis, d, d)
        q += twice * twice * (inverse / 4)
    return diffusivity(kind, q.sum(dim=1))


def diffusivity(kind, q):
    """The diffusivity g(s), given q = (s/κ)²."""
    if kind == kernels.EXPONENTIAL:
        return torch.exp(-q)
    if kind == kernels.RATIONAL:
        return 1 / (1 + q)
    if kind == kernels.CHARBONNIER:
        return 1 / torch.sqrt(1 + q)
    if kind == kernels.TUKEY:
        return torch.clamp(1 - q, min=0) ** 2
    # (At the limit g is 1 to the last digit; without it the derivative at 0 would be NaN.)
    return 1 - torch.exp(-kernels.WEICKERT_C / q.clamp(min=0.1) ** 4)


def _neighbours(a, axis):
    """All pixels but the last along an axis, and the next neighbour of each."""
    faces = a.shape[axis] - 1
    return a.narrow(axis, 0, faces), a.narrow(axis, 1, faces)


def _add(a, axis, near, far):
    """Add something to both pixels of each face along an axis, in place."""
    faces = a.shape[axis] - 1
    # (Of two views made before both additions, PyTorch could not differentiate the second.)
    a.narrow(axis, 0, faces).add_(near)
    a.narrow(axis, 1, faces).add_(far)


def _open(mask, axis):
    """Whether both pixels of each face are inside the mask."""
    near, far = _neighbours(mask, axis)
    return near & far
