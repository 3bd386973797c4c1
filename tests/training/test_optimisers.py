"""The optimiser against the singular value decomposition."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difffilter.training.optimisers import ITERATIONS, QUINTIC, Muon, orthogonal

SIDES = st.integers(1, 12)


def by_svd(matrix):
    """The polynomial on the singular values, whose number it does not change."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(ITERATIONS):
        a, b, c = QUINTIC
        s = a * s + b * s**3 + c * s**5
    return u @ torch.diag(s) @ v


@given(st.integers(1, 3), SIDES, SIDES, st.integers(0, 99))
def test_orthogonal_changes_the_singular_values_alone(count, rows, columns, seed):
    matrices = torch.randn(
        count, rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    expected = torch.stack([by_svd(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonal(matrices), expected, rtol=1e-5, atol=1e-5)


def test_singular_values_come_near_one():
    matrices = torch.randn(4, 16, 100, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize("shape", [(8, 16), (16, 8), (8, 4, 3, 3)])
def test_the_first_step_is_as_long_as_the_learning_rate_says(shape):
    weight = torch.nn.Parameter(torch.zeros(shape))
    optimizer = Muon([weight], lr=0.1)
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    optimizer.step()
    assert weight.square().mean().sqrt().item() == pytest.approx(0.2 * 0.1, rel=0.2)


def test_steps_do_not_heed_the_size_of_the_gradient():
    gradient = torch.randn(8, 16, generator=torch.Generator().manual_seed(0))
    weights = []
    for scale in (1.0, 1e3):
        weight = torch.nn.Parameter(torch.zeros(8, 16))
        weight.grad = scale * gradient
        Muon([weight], lr=0.1).step()
        weights.append(weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


def test_a_matrix_is_fitted():
    target = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    weight = torch.nn.Parameter(torch.zeros(6, 10))
    optimizer = Muon([weight], lr=0.1)
    for step in range(300):
        optimizer.zero_grad()
        (weight - target).square().sum().backward()
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimizer.step()
    assert (weight - target).abs().max() < 0.05


def test_without_a_gradient_there_is_only_the_decay():
    weight = torch.nn.Parameter(torch.ones(4, 4))
    weight.grad = torch.zeros(4, 4)
    Muon([weight], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(weight.detach(), torch.full((4, 4), 0.95))
