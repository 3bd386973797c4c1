"""The convex learned diffusion in PyTorch, to train its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difffilter.checks import check_whole
from difffilter.pde.solve import banks as numba_banks
from difffilter.pde.solve.banks import CELL, bounds
from difffilter.pde.solve.convex import Convex
from difffilter.training.convex_energy import Term, denoised, largest_eigenvalue, shrink
from difffilter.training.learned_network import NEW, as_float32, norms, zero_sum

__all__ = ["BANKS", "RHO", "STEEPEST", "BankConfig", "ConvexDiffusion"]

# The Hessian of E lies between 1 − RHO and 1 + STEEPEST. It is the more concave influence functions that
# keep edges, hence RHO near 1; the minimum is found in about √((1 + STEEPEST)/(1 − RHO)) steps.
RHO = 0.95
STEEPEST = 20.0

# Both bounds are held by power iteration on an image of this side: few iterations while training, where
# each step goes on from the last one's vector, and more of them where nothing is remembered. The value
# approaches the largest eigenvalue from below, which SAFETY makes up for.
SIDE = 96
ITERATIONS = 2
ITERATIONS_ALONE = 20
SAFETY = 1.02

# At the start: the first knot for filters of norm 1, the logarithm by which gaps grow, and the slopes.
FIRST_KNOT = 0.12
GROWTH_OF_GAPS = 0.7
FIRST_SLOPE, OTHER_SLOPES = 15.0, -0.1


@dataclass(frozen=True)
class BankConfig:
    """Sizes of one bank of filters of a convex learned diffusion.

    Parameters
    ----------
    stride : {1, 2, 4}, default 4
        The filters are applied at every `stride`-th pixel along both axes.
    size : int, default 12
        Side k of the filters in pixels, from 2 to 8 + `stride`.
    count : int, default 32
        Number F of filters, a multiple of 4.

    Raises
    ------
    TypeError, ValueError
        If one of them is out of range.

    Examples
    --------
    >>> BankConfig(stride=2, size=6, count=24).count
    24
    """

    stride: int = 4
    size: int = 12
    count: int = 32

    def __post_init__(self) -> None:
        if self.stride not in (1, 2, 4):
            raise ValueError(f"stride is {self.stride}; expected 1, 2 or 4")
        # From each place of a cell a filter reaches at most two cells further.
        most = 2 * CELL + self.stride
        if check_whole("size", self.size, least=2) > most:
            raise ValueError(
                f"size is {self.size}; expected at most {most} with stride {self.stride}"
            )
        # The kernel takes four filters at a time.
        if check_whole("count", self.count, least=1) % 4:
            raise ValueError(f"count is {self.count}; expected a multiple of 4")


# Fine filters for texture and wide ones for what is smooth.
BANKS = (BankConfig(1, 3, 8), BankConfig(2, 6, 24), BankConfig(4, 12, 32))


class Bank(nn.Module):
    """Filters and influence functions of one size, without constraints.

    The mean of each filter is subtracted; the gaps between knots are exponentials, times a scale and the
    filter's norm; the first slope is an exponential.
    """

    def __init__(self, config: BankConfig, channels: int, knots: int) -> None:
        super().__init__()
        self.config, count = config, config.count
        filters = torch.empty(count, channels, config.size, config.size)
        gain = config.size / 3 * math.sqrt(channels / count)
        self.filters = nn.Parameter(zero_sum(nn.init.orthogonal_(filters, gain)))
        self.log_scale = nn.Parameter(torch.full((count,), math.log(FIRST_KNOT)))
        # Tables of F×J numbers with one axis, since Muon takes what has two for linear maps.
        self.log_gaps = nn.Parameter((GROWTH_OF_GAPS * torch.arange(knots)).repeat(count))
        slopes = torch.full((knots,), OTHER_SLOPES)
        slopes[0] = math.log(FIRST_SLOPE)
        self.free_slopes = nn.Parameter(slopes.repeat(count))

    def knots(self) -> Tensor:
        """The knots (F, J)."""
        gaps = self.log_gaps.exp().view(self.config.count, -1)
        lengths = norms(zero_sum(self.filters)).view(-1, 1)
        return gaps.cumsum(1) * self.log_scale.exp()[:, None] * lengths

    def slopes(self) -> Tensor:
        """The slopes (F, J) before the Hessian is bounded."""
        free = self.free_slopes.view(self.config.count, -1)
        return torch.cat((free[:, :1].exp(), free[:, 1:]), 1)

    @torch.no_grad()
    def bank(self) -> numba_banks.Bank:
        """The same bank in Numba, its slopes not bounded either."""
        return numba_banks.Bank(
            self.config.stride,
            as_float32(zero_sum(self.filters)),
            as_float32(self.knots()),
            as_float32(self.slopes()),
        )

    @torch.no_grad()
    def load(self, bank: numba_banks.Bank) -> None:
        """Take the weights of a bank of the same sizes."""
        filters, slopes = torch.from_numpy(bank.filters), torch.from_numpy(bank.slopes)
        self.filters.copy_(filters)
        gaps = torch.from_numpy(bank.knots).diff(dim=1, prepend=torch.zeros(len(filters), 1))
        self.log_scale.copy_((gaps[:, 0] / norms(filters).flatten()).log())
        self.log_gaps.copy_((gaps / gaps[:, :1]).log().flatten())
        self.free_slopes.copy_(torch.cat((slopes[:, :1].log(), slopes[:, 1:]), 1).flatten())


class ConvexDiffusion(nn.Module):
    """The convex learned diffusion as a network whose weights can be trained.

    The result is the minimum of an energy, where the diffusion of its gradient flow ends:

        E(u) = Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|²,    ψᵢ′ = φᵢ

    Each φ is odd, linear between knots, and constant beyond the last. Positive and negative slopes are
    scaled, both by one factor for the whole network, until the eigenvalues of the Hessian of E lie
    between 0.05 and 21: there is one minimum. f goes on as in a mirror for 8 pixels, and filters apply
    wherever they lie in this larger image.

    Parameters
    ----------
    channels : {1, 3}, default 1
        1 for grey, 3 for colour.
    banks : sequence of BankConfig, optional
        The filters; ``None``: those of the preset ``convex-gray``.
    knots : int, default 4
        Number of knots of each influence function.

    Notes
    -----
    The gradient is that of the exact minimum: H du = −d∇E, with the Hessian H of E at the minimum, is
    solved by conjugate gradients (see Goujon, Neumayer & Unser, "Learning weakly convex regularizers for
    convergent image-reconstruction algorithms", SIAM J. Imaging Sciences 17(1), 2024). Memory therefore
    does not grow with the number of steps to the minimum.

    Examples
    --------
    >>> net = ConvexDiffusion(banks=[BankConfig(stride=2, size=6, count=8)])
    >>> noisy = torch.randn(1, 1, 9, 9)  # in units of σ
    >>> net(noisy).shape
    torch.Size([1, 1, 9, 9])
    """

    def __init__(
        self, channels: int = 1, banks: Sequence[BankConfig] | None = None, knots: int = 4
    ) -> None:
        super().__init__()
        self.channels = channels
        modules = nn.ModuleList(Bank(config, channels, knots) for config in banks or BANKS)
        self.banks = cast(Sequence[Bank], modules)
        # Where the power iterations for the two bounds stand.
        self.falling: Tensor
        self.rising: Tensor
        for name in ("falling", "rising"):
            self.register_buffer(name, torch.randn(1, channels, SIDE, SIDE))
        self.update_bounds()

    # It has a loop whose length depends on the data, and solves a system when it is differentiated.
    @torch.compiler.disable
    def forward(self, f: Tensor) -> Tensor:
        """The minimum of E for the noisy image f (N, C, H, W); both in units of σ."""
        learning = self.training and torch.is_grad_enabled()
        terms, steepness = self.energy(ITERATIONS if learning else ITERATIONS_ALONE, learning)
        return denoised(f, terms, steepness)

    def energy(self, iterations: int, remember: bool) -> tuple[list[Term], float]:
        """The terms of E, and the largest eigenvalue of its Hessian.

        Parameters
        ----------
        iterations : int
            Of the power iterations.
        remember : bool
            Whether the next ones go on from where these end.
        """
        slopes = [bank.slopes() for bank in self.banks]
        terms = [
            Term.of(bank.config.stride, zero_sum(bank.filters), bank.knots(), slope)
            for bank, slope in zip(self.banks, slopes, strict=True)
        ]
        falls = [F.relu(-slope).amax(1) for slope in slopes]
        rises = [slope.amax(1) for slope in slopes]
        largest = []
        for weights, vector in ((falls, self.falling), (rises, self.rising)):
            value, found = largest_eigenvalue(terms, weights, vector, iterations)
            largest.append(SAFETY * value)
            if remember:
                vector.copy_(found)
        fall, rise = largest
        down, up = shrink(RHO, fall), shrink(STEEPEST, rise)
        scaled = [term.scaled(down, up) for term in terms]
        return scaled, 1 + (rise * up).item()

    @torch.no_grad()
    def update_bounds(self) -> None:
        """Let the power iterations catch up with weights that are new."""
        self.energy(ITERATIONS_ALONE, True)

    @torch.no_grad()
    def convex(self) -> Convex:
        """The same energy in Numba.

        Its slopes are scaled by bounds that hold for images of every size, which those of the power
        iteration approach: they differ by a few percent.

        Returns
        -------
        difffilter.pde.solve.convex.Convex
        """
        banks = [bank.bank() for bank in self.banks]
        rise, fall = bounds(banks)
        # (A bound of 0 belongs to slopes that are all 0.)
        down, up = (
            min(1.0, most / max(bound, 1e-9)) for most, bound in ((RHO, fall), (STEEPEST, rise))
        )
        return Convex.of(
            [
                numba_banks.Bank(
                    bank.stride,
                    bank.filters,
                    bank.knots,
                    bank.slopes * np.where(bank.slopes < 0, down, up).astype(np.float32),
                )
                for bank in banks
            ]
        )

    @classmethod
    def from_convex(cls, energy: Convex) -> ConvexDiffusion:
        """The inverse of `convex`."""
        banks = [
            BankConfig(bank.stride, bank.filters.shape[2], len(bank.filters))
            for bank in energy.banks
        ]
        net = cls(energy.channels, banks, energy.banks[0].knots.shape[1])
        for mine, given in zip(net.banks, energy.banks, strict=True):
            mine.load(given)
        net.update_bounds()
        return net

    @torch.no_grad()
    def coloured(self, banks: Sequence[BankConfig], seed: int) -> ConvexDiffusion:
        """A network for colour that starts from this one for grey.

        Each filter looks at the three channels alike, divided by √3, with a random filter of 0.3 times
        its norm added, since colours differ between channels. Of a bank with too many filters, those
        that smooth most are taken; what has another stride or size starts afresh.

        Parameters
        ----------
        banks : sequence of BankConfig
            Those of the new network.
        seed : int
            Of all that is random in it.
        """
        knots = self.banks[0].slopes().shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = ConvexDiffusion(3, banks, knots)
        for mine, grey in zip(net.banks, self.banks, strict=False):
            if (mine.config.stride, mine.config.size) != (grey.config.stride, grey.config.size):
                continue
            lengths = norms(zero_sum(grey.filters)).flatten()
            most = (grey.slopes()[:, 0] * lengths**2).argsort(descending=True)[: mine.config.count]
            chosen = grey.filters[most].repeat(1, 3, 1, 1) / math.sqrt(3)
            share = mine.filters[: len(most)]
            share *= NEW * norms(chosen) / norms(share)
            share += chosen
            for name in ("log_scale", "log_gaps", "free_slopes"):
                rows = getattr(grey, name).view(grey.config.count, -1)[most]
                getattr(mine, name)[: rows.numel()] = rows.flatten()
        net.update_bounds()
        return net
