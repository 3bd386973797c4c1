"""A step of the diffusion by PyTorch's own operations: readable, where `triton_steps` is fast.

The state, its units and its faces are those of `kernels`. This serves devices without Triton, and
the tests.
"""

from __future__ import annotations

import torch

from difffilter.pde.kernels import common as kernels


def step(u, v, row, kind, g, mask, extrapolate):
    """v <- u + τ div(g ∇u), or α (u + τ div(g ∇u)) + (1 - α) v to extrapolate.

    Parameters
    ----------
    u, v : Tensor (B, C, D, H, W)
        The state, and where its successor goes, which holds the state before when extrapolating.
    row : Tensor (8,)
        α, 1 - α, and for the axes z, y, x first α τ/h², then 1/(κh)².
    kind : int
        Code of the diffusivity.
    g : Tensor (B, D, H, W) or None
        The diffusivity of each pixel, a face taking the mean of its two; ``None``: it follows from
        the difference across the face.
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
        into, out_of = _neighbours(change, axis)
        into += flux
        out_of -= flux
    if extrapolate:
        v.mul_(beta).add_(alpha * u).add_(change)
    else:
        torch.add(u, change, out=v)


def pixel_diffusivity(u, row, kind, mask):
    """The diffusivity g (B, D, H, W) of each pixel, by central differences over all channels.

    A neighbour beyond the border or the mask is taken to equal the pixel itself. Parameters are
    those of `step`.
    """
    q = torch.zeros_like(u)
    for axis, inverse in zip((-3, -2, -1), row[5:8], strict=True):
        near, far = _neighbours(u, axis)
        d = far - near
        if mask is not None:
            d = d * _open(mask[:, None], axis)
        twice = torch.zeros_like(u)  # the difference to the one neighbour and to the other
        before, after = _neighbours(twice, axis)
        before += d
        after += d
        q += twice * twice * (inverse / 4)
    return diffusivity(kind, q.sum(dim=1))


def diffusivity(kind, q):
    """g(s) of q = (s/κ)²."""
    if kind == kernels.EXPONENTIAL:
        return torch.exp(-q)
    if kind == kernels.RATIONAL:
        return 1 / (1 + q)
    if kind == kernels.CHARBONNIER:
        return 1 / torch.sqrt(1 + q)
    if kind == kernels.TUKEY:
        return torch.clamp(1 - q, min=0) ** 2
    return 1 - torch.exp(-kernels.WEICKERT_C / q**4)


def _neighbours(a, axis):
    """Every pixel but the last along an axis, and the next neighbour of each."""
    faces = a.shape[axis] - 1
    return a.narrow(axis, 0, faces), a.narrow(axis, 1, faces)


def _open(mask, axis):
    near, far = _neighbours(mask, axis)
    return near & far
