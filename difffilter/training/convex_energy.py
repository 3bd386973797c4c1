"""The energy Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|² of given weights in PyTorch: its gradient, Hessian and minimum.

Images are (N, C, H, W), in units of σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from difffilter.pde.solve import banks
from difffilter.pde.solve.banks import CELL
from difffilter.pde.solve.convex import TOLERANCE

__all__ = ["MARGIN", "Term", "denoised", "largest_eigenvalue", "shrink"]

# Pixels by which an image goes on beyond its border, as in a mirror.
MARGIN = CELL * banks.MARGIN

MOST_STEPS = 200

# Conjugate gradients for the gradient of the loss end at this relative residual: its error is far below
# that of a gradient of a few crops.
RESIDUAL = 1e-2
MOST_PRODUCTS = 25


@dataclass(frozen=True)
class Term:
    """The part ψ(W u) of a bank.

    Attributes
    ----------
    cell : int
        Side of the cells by which the filters move.
    filters : Tensor (F, C·cell², m, m)
        W of images whose cells count as pixels.
    knots, slopes : Tensor (J, F, 1, 1)
        Of φ = ψ′.
    """

    cell: int
    filters: Tensor
    knots: Tensor
    slopes: Tensor

    @classmethod
    def of(cls, stride: int, filters: Tensor, knots: Tensor, slopes: Tensor) -> Term:
        """The term of filters (F, C, k, k) and tables (F, J).

        Filters grow by zeros to whole cells, which changes nothing, since images have whole cells:
        convolutions without a stride are several times as fast.
        """
        count, channels, size, _ = filters.shape
        cells = -(-size // stride)
        more = cells * stride - size
        wide = F.pad(filters, (0, more, 0, more))
        wide = wide.view(count, channels, cells, stride, cells, stride).permute(0, 1, 3, 5, 2, 4)
        return cls(
            stride,
            wide.reshape(count, -1, cells, cells),
            knots.T[..., None, None],
            slopes.T[..., None, None],
        )

    def scaled(self, down: Tensor, up: Tensor) -> Term:
        """The same with its negative and its positive slopes multiplied by a factor each."""
        return replace(self, slopes=self.slopes * torch.where(self.slopes < 0, down, up))

    def apply(self, u: Tensor) -> Tensor:
        """W u."""
        return F.conv2d(F.pixel_unshuffle(u, self.cell), self.filters)

    def transposed(self, h: Tensor) -> Tensor:
        """Wᵀ h."""
        return F.pixel_shuffle(F.conv_transpose2d(h, self.filters), self.cell)

    def weights(self) -> Tensor:
        """The cⱼ of φ(h) = Σⱼ cⱼ max(−tⱼ, min(tⱼ, h)), as (J, F, 1, 1)."""
        return self.slopes - torch.cat((self.slopes[1:], torch.zeros_like(self.slopes[:1])))

    def influence(self, h: Tensor) -> Tensor:
        """φ(h)."""
        parts = zip(self.weights(), self.knots, strict=True)
        return sum_of([c * torch.clamp(h, -t, t) for c, t in parts])

    def slope(self, h: Tensor) -> Tensor:
        """φ′(h)."""
        h = h.abs()
        return sum_of([c * (h < t) for c, t in zip(self.weights(), self.knots, strict=True)])


def denoised(f: Tensor, terms: Sequence[Term], steepness: float) -> Tensor:
    """The minimum of E for a noisy image, to be differentiated by f and by what the terms depend on.

    Parameters
    ----------
    f : Tensor (N, C, H, W)
    terms : sequence of Term
    steepness : float
        The largest eigenvalue of the Hessian, about.

    Returns
    -------
    Tensor (N, C, H, W)
    """
    height, width = f.shape[2:]
    f = extended(f)
    # In units of weak noise, photographs have values around ±40, which bfloat16 and TF32 round by far
    # more than the tolerance.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        u = minimum(f, terms, steepness)
        g = gradient(u, f, terms)
        if g.requires_grad:
            curvatures = [term.slope(term.apply(u)).detach() for term in terms]
            # H du + d∇E = 0 at the minimum: the value remains u, and an incoming gradient is multiplied
            # by H⁻¹ before it reaches −∇E.
            u = u - (g - g.detach())
            u.register_hook(lambda incoming: hessian_inverse(incoming, terms, curvatures))
    return u[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]


def extended(f: Tensor) -> Tensor:
    """An image with a mirrored margin, after it as much wider as makes whole cells."""
    for axis in (2, 3):
        extent = f.shape[axis]
        places = torch.arange(-MARGIN, extent + MARGIN + -extent % CELL, device=f.device)
        places = places % (2 * extent)
        f = f.index_select(axis, torch.minimum(places, 2 * extent - 1 - places))
    return f


def gradient(u: Tensor, f: Tensor, terms: Sequence[Term]) -> Tensor:
    """∇E = Σ Wᵀ φ(W u) + u − f."""
    return u - f + sum_of([term.transposed(term.influence(term.apply(u))) for term in terms])


@torch.no_grad()
def minimum(
    f: Tensor, terms: Sequence[Term], steepness: float, start: Tensor | None = None
) -> Tensor:
    """The minimum of E by the steps of Barzilai and Borwein, each image with its own.

    Parameters
    ----------
    f : Tensor (N, C, H, W)
        With height and width in whole cells.
    terms : sequence of Term
    steepness : float
        The largest eigenvalue of the Hessian, about.
    start : Tensor (N, C, H, W), optional
        ``None``: f.

    Returns
    -------
    Tensor (N, C, H, W)

    References
    ----------
    J. Barzilai, J. M. Borwein, "Two-point step size gradient methods", IMA J. Numerical Analysis
    8(1), 1988.
    """
    u = f if start is None else start
    small = TOLERANCE**2 * f[0].numel()
    g = gradient(u, f, terms)
    step: float | Tensor = 2 / steepness
    for number in range(1, MOST_STEPS):
        length = dot(g, g)
        going = length >= small
        if not going.any():
            break
        # An image that is done stays as it is, whatever else is in its batch.
        move = -step * going * g
        u = u + move
        before, g = g, gradient(u, f, terms)
        change = g - before
        curvature = dot(move, change)
        step = dot(move, move) / curvature if number % 2 else curvature / dot(change, change)
        step = step.nan_to_num(1 / steepness, 1 / steepness, 1 / steepness)
        step = step.clamp(0.5 / steepness, 2.0)
    return u


@torch.no_grad()
def hessian_inverse(g: Tensor, terms: Sequence[Term], curvatures: Sequence[Tensor]) -> Tensor:
    """H⁻¹ g by conjugate gradients, with H = I + Σ Wᵀ diag(curvature) W."""

    def hessian(v: Tensor) -> Tensor:
        parts = zip(terms, curvatures, strict=True)
        return v + sum_of([term.transposed(k * term.apply(v)) for term, k in parts])

    x = g / 2
    r = g - hessian(x)
    p, length, small = r, dot(r, r), RESIDUAL**2 * dot(g, g)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for _ in range(MOST_PRODUCTS):
            if not (length > small).any():
                break
            product = hessian(p)
            factor = length / dot(p, product).clamp_min(1e-30)
            x = x + factor * p
            r = r - factor * product
            before, length = length, dot(r, r)
            p = r + length / before.clamp_min(1e-30) * p
    return x


def largest_eigenvalue(
    terms: Sequence[Term], weights: Sequence[Tensor], vector: Tensor, iterations: int
) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue of Σᵢ wᵢ Wᵢᵀ Wᵢ, which can be differentiated, and its eigenvector.

    Both are approached from a vector (1, C, H, W) by the power method. The weights wᵢ ≥ 0 are (F,).
    """
    weights = [weight.view(-1, 1, 1) for weight in weights]
    with torch.no_grad():
        for _ in range(iterations):
            pairs = zip(terms, weights, strict=True)
            product = sum_of([term.transposed(w * term.apply(vector)) for term, w in pairs])
            length = product.norm()
            # All weights may be 0 for a while.
            vector = torch.where(length > 0, product / length, vector)
    vector = vector / vector.norm()
    pairs = zip(terms, weights, strict=True)
    return sum_of([(w * term.apply(vector).square()).sum() for term, w in pairs]), vector


def shrink(most: float, value: Tensor) -> Tensor:
    """The factor, 1 at most, that brings a value ≥ 0 down to `most`."""
    return most / value.clamp_min(most)


def dot(u: Tensor, v: Tensor) -> Tensor:
    """Product of each image with another, as (N, 1, 1, 1)."""
    return (u * v).sum(dim=(1, 2, 3), keepdim=True)


def sum_of(parts: Sequence[Tensor]) -> Tensor:
    """The sum of one tensor or more."""
    return reduce(torch.add, parts)
