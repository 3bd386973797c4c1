"""Muon, the optimiser of the weights that are matrices: momentum, made orthogonal."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Muon"]

# a, b, c of the odd polynomial a x + b x³ + c x⁵ that, applied five times, takes singular values of
# (0, 1] to about 1 (0.7 to 1.2).
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Descend by the momentum M of the gradient, with all its singular values made about equal.

    A kernel (out, in, 3, 3) counts as the matrix (out, 9 in). The step of a matrix m×n is

        W ← (1 - η λ) W - 0.2 η √max(m, n) · O,    O ≈ (M Mᵀ)^(-1/2) M,

    whose root mean square is about 0.2 η, as AdamW's is: learning rates mean the same for both.

    Parameters
    ----------
    weights : iterable of Parameter
        Each with two axes or more.
    lr : float
        The learning rate η.
    momentum : float, default 0.95
        Decay of M; the step looks one gradient ahead (Nesterov).
    weight_decay : float, default 0.01
        λ.

    References
    ----------
    Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    Liu et al., "Muon is scalable for LLM training", 2025, for the size of the step.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.ones(2, 3))
    >>> optimizer = Muon([weight], lr=0.1)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> bool((weight < 1).all())
    True
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take a step along the gradients, all matrices of a shape at once."""
        for group in self.param_groups:
            lr, beta = group["lr"], group["momentum"]
            alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - beta)
                ahead = weight.grad.lerp(state["momentum"], beta).flatten(1)
                alike.setdefault(ahead.shape, []).append((weight, ahead))
            for shape, pairs in alike.items():
                directions = orthogonal(torch.stack([ahead for _, ahead in pairs]))
                size = 0.2 * max(shape) ** 0.5
                for (weight, _), direction in zip(pairs, directions, strict=True):
                    weight.mul_(1 - lr * group["weight_decay"])
                    weight.sub_(direction.view_as(weight), alpha=lr * size)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices (B, m, n) with the same singular vectors, but singular values near 1.

    The polynomial of a matrix X is P X with a P that follows from X Xᵀ alone, so that all but two
    products are of the smaller size.
    """
    a, b, c = QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    gram, product = x @ x.mT, None
    one = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        factor = a * one + b * gram + c * gram @ gram
        product = factor if product is None else factor @ product
        gram = factor @ gram @ factor
    x = product @ x
    return x.mT if tall else x
