"""The convex learned diffusion in PyTorch: its energy, its minimum, and the gradient of the minimum."""

import math

import naive
import numpy as np
import pytest
import torch

from difffilter.pde.solve.banks import from_cells, norm, to_cells
from difffilter.pde.solve.convex import Descent
from difffilter.training import convex_energy, convex_network
from difffilter.training.convex_energy import (
    MARGIN,
    Term,
    extended,
    gradient,
    largest_eigenvalue,
    minimum,
)
from difffilter.training.convex_network import (
    RHO,
    STEEPEST,
    BankConfig,
    ConvexDiffusion,
)

# With filters that fill their cells and filters that do not.
BANKS = (BankConfig(1, 3, 4), BankConfig(2, 5, 4), BankConfig(4, 8, 8))


@pytest.fixture
def exact(monkeypatch):
    """Everything iterated until nothing changes, in images that are small enough for that."""
    for name, value in {
        "TOLERANCE": 1e-11, "MOST_STEPS": 10_000, "RESIDUAL": 1e-11, "MOST_PRODUCTS": 10_000,
    }.items():  # fmt: skip
        monkeypatch.setattr(convex_energy, name, value)
    monkeypatch.setattr(convex_network, "SIDE", 16)
    monkeypatch.setattr(convex_network, "ITERATIONS_ALONE", 400)


def network(channels=1, banks=BANKS, strength=20.0, fall=-3.0, seed=0):
    """A network with the same slopes for all filters but for some randomness."""
    torch.manual_seed(seed)
    net = ConvexDiffusion(channels, banks, 3)
    with torch.no_grad():
        for bank in net.banks:
            count = bank.config.count
            slopes = torch.tensor([math.log(strength), fall, fall / 2]).repeat(count)
            bank.free_slopes.copy_(slopes * (1 + 0.1 * torch.randn(3 * count)))
            bank.log_scale.add_(1 + 0.3 * torch.randn(count))
    net.update_bounds()
    return net.eval()


def gentle(channels=1, **options):
    """A network whose slopes are within the bounds as they are."""
    return network(channels, strength=0.5, fall=-0.05, **options)


def energy(u, f, terms):
    """E(u) from ψ, which is linear beyond each knot and quadratic before."""
    total = (u - f).square().sum() / 2
    for term in terms:
        h = term.apply(u).abs()
        for c, t in zip(term.weights(), term.knots, strict=True):
            total = total + (c * torch.where(h < t, h * h / 2, t * h - t * t / 2)).sum()
    return total


def test_the_gradient_is_the_derivative_of_the_energy():
    terms, _ = network(3).double().energy(5, False)
    f = extended(torch.randn(2, 3, 9, 14, dtype=torch.float64))
    u = (2 * torch.randn_like(f)).requires_grad_()
    (expected,) = torch.autograd.grad(energy(u, f, terms), u)
    torch.testing.assert_close(gradient(u, f, terms), expected)
    assert all((term.apply(u).abs() > term.knots[-1]).any() for term in terms)  # every piece counts


@pytest.mark.usefixtures("exact")
def test_the_minimum_does_not_depend_on_the_start():
    terms, steepness = network().double().energy(5, False)
    f = extended(3 * torch.randn(2, 1, 12, 9, dtype=torch.float64))
    one = minimum(f, terms, steepness)
    other = minimum(f, terms, steepness, start=20 * torch.randn_like(f))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-8)
    assert (one - f).abs().max() > 1
    for _ in range(10):  # nor is any other image better
        assert energy(one, f, terms) < energy(one + 0.1 * torch.randn_like(f), f, terms)


def test_the_hessian_is_inverted(rng):
    terms, _ = network().double().energy(20, False)
    g = torch.from_numpy(rng.normal(size=(2, 1, 16, 16)))
    bends = [term.slope(term.apply(3 * torch.randn_like(g))) for term in terms]
    x = convex_energy.hessian_inverse(g, terms, bends)
    back = x + sum(term.transposed(k * term.apply(x)) for term, k in zip(terms, bends, strict=True))
    assert (back - g).square().sum() < convex_energy.RESIDUAL**2 * g.square().sum()


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("make", [network, gentle])
def test_the_derivative_of_the_minimum_is_that_of_finite_differences(make):
    """By f and by every weight, also where the slopes are scaled."""
    net = make(banks=BANKS[:2]).double()
    f = (3 * torch.randn(1, 1, 7, 6, dtype=torch.float64)).requires_grad_()
    target = torch.randn_like(f)

    def loss():
        return (net(f) - target).square().sum()

    loss().backward()
    for name, weight in [*net.named_parameters(), ("f", f)]:
        step = 1e-6 * torch.randn_like(weight)
        with torch.no_grad():
            weight += step
            above = loss()
            weight -= 2 * step
            below = loss()
            weight += step
        slope = ((above - below) / 2).item()
        assert (weight.grad * step).sum().item() == pytest.approx(slope, rel=1e-3, abs=1e-10), name


@pytest.mark.parametrize(("channels", "shape"), [(1, (13, 10)), (3, (8, 9)), (1, (1, 1))])
def test_the_result_is_the_minimum_of_the_energy_in_numba(channels, shape):
    net = gentle(channels)
    f = 3 * torch.randn(1, channels, *shape)
    wide = extended(f)
    terms, steepness = net.energy(20, False)
    u = minimum(wide, terms, steepness)
    _, rest = naive.convex_energy(u[0].numpy(), wide[0].numpy(), net.convex().banks)
    assert np.sqrt(np.mean(rest**2)) < 1.1 * convex_energy.TOLERANCE
    with torch.no_grad():
        inside = u[..., 8 : 8 + shape[0], 8 : 8 + shape[1]]
        torch.testing.assert_close(net(f), inside, rtol=0, atol=0)


def test_beyond_its_border_an_image_goes_on_as_in_a_mirror():
    f = torch.arange(5.0).view(1, 1, 1, 5)
    assert extended(f).shape == (1, 1, 20, 24)
    before, after = [2, 3, 4, 4, 3, 2, 1, 0], [4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 4]
    for row in extended(f)[0, 0]:
        assert row.tolist() == [*before, 0, 1, 2, 3, 4, *after]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_hessian_in_numba_is_within_its_bounds(channels):
    energy = network(channels).convex()
    assert energy.convexity == pytest.approx(1 - RHO, abs=1e-5)
    assert energy.steepness == pytest.approx(1 + STEEPEST, rel=1e-5)
    assert energy.channels == channels


def test_slopes_within_the_bounds_stay_as_they_are():
    net = gentle()
    for bank, term, mine in zip(
        net.convex().banks, net.energy(1, False)[0], net.banks, strict=True
    ):
        np.testing.assert_array_equal(bank.slopes, mine.slopes().detach())
        np.testing.assert_array_equal(bank.slopes, term.slopes[..., 0, 0].T.detach())


def test_the_power_method_finds_nearly_the_bound_that_is_certain():
    net = network()
    slopes = [bank.slopes().amax(1).detach() for bank in net.banks]
    with torch.no_grad():
        terms, _ = net.energy(1, False)
        found, _ = largest_eigenvalue(terms, slopes, net.rising, 100)
    bound = norm([bank.bank() for bank in net.banks], [slope.numpy() for slope in slopes])
    assert 0.9 * bound < found < bound


@pytest.mark.usefixtures("exact")
def test_the_largest_eigenvalue_is_that_of_the_matrix():
    net = network(banks=BANKS[:2]).double()
    with torch.no_grad():
        terms, _ = net.energy(1, False)
        weights = [torch.rand(4, dtype=torch.float64) for _ in terms]
        unit = torch.eye(256, dtype=torch.float64).view(256, 1, 16, 16)
        matrix = sum(
            term.transposed(weight.view(-1, 1, 1) * term.apply(unit))
            for term, weight in zip(terms, weights, strict=True)
        ).flatten(1)
        found, _ = largest_eigenvalue(terms, weights, net.rising, 2000)
    assert found.item() == pytest.approx(torch.linalg.eigvalsh(matrix).max().item(), rel=1e-6)


def test_the_power_method_survives_slopes_that_are_never_negative():
    net = network(fall=0.0).train()
    net(torch.randn(1, 1, 8, 8)).sum().backward()
    assert net.falling.norm() > 0.5
    for weight in net.parameters():
        assert weight.grad.isfinite().all()
    assert net.convex().convexity == 1


def test_only_training_remembers_its_power_iterations():
    net, f = network(), torch.randn(1, 1, 8, 8)
    before = net.falling.clone()
    net(f)
    with torch.no_grad():
        net.train()(f)
    assert torch.equal(net.falling, before)
    net(f)
    assert not torch.equal(net.falling, before)


def test_the_value_is_the_same_whether_differentiated_or_not():
    net, f = network(), 3 * torch.randn(2, 1, 10, 11)
    with torch.no_grad():
        plain = net(f)
    with torch.inference_mode():
        assert torch.equal(net(f), plain)
    result = net(f)
    assert result.requires_grad
    assert torch.equal(result, plain)


def test_each_image_of_a_batch_is_as_alone():
    net = network()
    f = torch.randn(3, 1, 12, 12) * torch.tensor([0.01, 1, 30]).view(3, 1, 1, 1)
    with torch.no_grad():
        together = net(f)
        for image, expected in zip(f.split(1), together.split(1), strict=True):
            torch.testing.assert_close(net(image), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("exact")
def test_brightness_makes_no_difference():
    net, noisy = network().double(), torch.randn(1, 1, 10, 13, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(noisy + 7), net(noisy) + 7)


@pytest.mark.parametrize("make", [network, gentle])
def test_weights_are_the_same_there_and_back(make):
    """Also where the first export scales the slopes, which the second then leaves alone."""
    energy = make().convex()
    net = ConvexDiffusion.from_convex(energy).eval()
    again = net.convex()
    terms, _ = net.energy(20, False)
    for mine, theirs, term in zip(again.banks, energy.banks, terms, strict=True):
        assert mine.stride == theirs.stride
        for name in ("filters", "knots", "slopes"):
            np.testing.assert_allclose(
                getattr(mine, name), getattr(theirs, name), rtol=1e-5, atol=1e-7, err_msg=name
            )
        np.testing.assert_allclose(term.slopes[..., 0, 0].T.detach(), theirs.slopes, rtol=1e-5)


def test_the_exported_weights_do_not_change_with_the_network():
    net = gentle()
    energy = net.convex()
    before = energy.banks[0].knots.copy()
    with torch.no_grad():
        net.banks[0].log_scale.add_(1)
    np.testing.assert_array_equal(energy.banks[0].knots, before)


def test_every_weight_has_a_gradient():
    net = network(3).train()
    net(3 * torch.randn(2, 3, 16, 16))[..., :8].square().mean().backward()
    for name, weight in net.named_parameters():
        assert weight.grad.abs().max() > 0, name


@pytest.mark.usefixtures("exact")
def test_colour_that_starts_from_grey_sees_grey_images_as_before(monkeypatch):
    """Three equal channels u/√3 give the responses that u alone gave."""
    monkeypatch.setattr(convex_network, "NEW", 0)
    net, u = gentle().double(), torch.randn(1, 1, 11, 14, dtype=torch.float64)
    colour = net.float().coloured(BANKS, 0).eval().double()
    with torch.no_grad():
        expected = net.double()(u).repeat(1, 3, 1, 1) / 3**0.5
        torch.testing.assert_close(
            colour(u.repeat(1, 3, 1, 1) / 3**0.5), expected, rtol=0, atol=1e-6
        )


def test_colour_may_have_other_banks():
    """With fewer filters it takes those that smooth most; what is random follows from the seed."""
    grey = network()
    banks = (BankConfig(1, 3, 8), BankConfig(2, 6, 4), BankConfig(4, 8, 4))
    one, same, other = (grey.coloured(banks, seed).banks for seed in (1, 1, 2))
    assert [bank.config for bank in one] == list(banks)
    for mine, again, different in zip(one, same, other, strict=True):
        assert torch.equal(mine.filters, again.filters)
        assert not torch.equal(mine.filters, different.filters)
    strength = grey.banks[2].slopes()[:, 0] * grey.banks[2].filters.square().sum((1, 2, 3))
    taken = strength.argsort(descending=True)[:4]
    assert torch.equal(one[2].log_scale, grey.banks[2].log_scale[taken])
    assert torch.equal(one[2].slopes(), grey.banks[2].slopes()[taken])
    assert set(grey.banks[0].log_scale.tolist()) < set(one[0].log_scale.tolist())
    assert (one[1].log_scale == math.log(convex_network.FIRST_KNOT)).all()  # of another size


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"stride": 3}, "stride is 3; expected 1, 2 or 4"),
        ({"stride": 1, "size": 10}, "size is 10; expected at most 9 with stride 1"),
        ({"size": 13}, "size is 13; expected at most 12 with stride 4"),
        ({"size": 1}, "size is 1; expected a whole number ≥ 2"),
        ({"count": 6}, "count is 6; expected a multiple of 4"),
    ],
)
def test_bad_sizes_of_a_bank_are_named(sizes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        BankConfig(**sizes)


def test_numba_finds_the_same_minimum():
    net = network().float().eval()
    f = 3 * torch.randn(2, 1, 21, 30)
    energy = net.convex()
    here = Descent(energy, f.numpy(), None, to_cells(f.numpy()))
    terms = [
        Term.of(
            bank.stride, *(torch.from_numpy(a) for a in (bank.filters, bank.knots, bank.slopes))
        )
        for bank in energy.banks
    ]
    wide = extended(f)
    slope = gradient(wide, wide, terms)[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    found = from_cells(here.g, f.shape)
    np.testing.assert_allclose(found, slope[..., :21, :30], atol=1e-5)
    best = minimum(wide, terms, energy.steepness)[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    # (Each stops where the residual is below 1e-3.)
    np.testing.assert_allclose(energy.minimum(f.numpy()).u, best[..., :21, :30], atol=0.02)
