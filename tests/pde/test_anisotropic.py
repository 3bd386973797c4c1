"""Edge- and coherence-enhancing diffusion: the oracle, geometry, what they are for."""

import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

import difffilter as df
from difffilter.pde.anisotropic import TensorDiffusion
from difffilter.pde.kernels import anisotropic as tensor_kernels
from difffilter.pde.kernels import tensor_volume as tensor_volume_kernels
from difffilter.pde.solve.schemes import Diffusion

KINDS = {"edge": tensor_kernels.EDGE, "coherence": tensor_kernels.COHERENCE}


@st.composite
def problems(draw):
    """An image (C, D, H, W) and how to filter it."""
    shape = draw(
        st.one_of(
            st.tuples(st.just(1), st.integers(1, 12), st.integers(1, 12)),
            st.tuples(st.integers(2, 4), st.integers(1, 5), st.integers(1, 5)),
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    image = rng.random((draw(st.sampled_from([1, 3])), *shape))
    options = {
        "kind": draw(st.sampled_from(list(KINDS))),
        "kappa": draw(st.floats(0.05, 1.0)),
        "presmooth": draw(st.sampled_from([0.0, 0.8])),
        "integration": draw(st.sampled_from([0.0, 1.3])),
        "alpha": draw(st.sampled_from([0.01, 0.2])),
        "step": 0.4,
        "spacing": draw(st.sampled_from([(1.0, 1.0, 1.0), tuple(rng.uniform(0.7, 1.5, 3))])),
    }
    return image, draw(st.sampled_from([0.3, 0.7])), options


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=12)
@given(problems())
def test_agrees_with_the_oracle(dtype, problem):
    image, time, options = problem
    image = image.astype(dtype)
    flow = TensorDiffusion(**options | {"kind": KINDS[options["kind"]]})
    result = flow.evolve(image[None].copy(), time)[0]
    # The oracle's space has no axis of length 1 in front, as D has none in that direction.
    flat = image.shape[1] == 1
    of = image[:, 0] if flat else image
    spacing = options["spacing"][1:] if flat else options["spacing"]
    expected = naive.tensor_diffusion(of, time, **options | {"spacing": spacing})
    assert result.dtype == dtype
    tolerance = {np.float32: 2e-4, np.float64: 1e-9}[dtype]
    np.testing.assert_allclose(result, expected.reshape(image.shape), atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.01, 0.027, 0.056, 1.0])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1, 1), (2, 1, 1, 3, 2), (1, 3, 1, 61, 5), (2, 1, 1, 90, 1030)]
)
def test_kernels_in_2d_and_3d_agree(shape, alpha, dtype, rng):
    u = rng.random(shape).astype(dtype)
    for kind in KINDS.values():
        for presmooth, integration in [(0, 0), (0.7, 1.4)]:
            options = (kind, 0.3, presmooth, integration, alpha)
            # Pixels that are hardly not square go the other way.
            fast = TensorDiffusion(*options, step=0.4).evolve(u.copy(), 0.4)
            oblong = TensorDiffusion(*options, step=0.4, spacing=(1.0, 1.0, 1 + 1e-15))
            slow = oblong.evolve(u.copy(), 0.4)
            tolerance = {np.float32: 2e-5, np.float64: 1e-12}[dtype]
            np.testing.assert_allclose(fast, slow, atol=tolerance)


def random_tensor(n, seed):
    """A symmetric n×n matrix with eigenvalues in [0.001, 1]."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return turn @ np.diag(10.0 ** rng.uniform(-3, 0, n)) @ turn.T


@given(st.integers(0, 10000))
def test_selling_reproduces_the_tensor(seed):
    d = random_tensor(2, seed)
    rho, e = np.empty(3), np.zeros((3, 2), int)
    tensor_kernels.selling_2d(d[0, 0], d[0, 1], d[1, 1], rho, e)
    assert (rho >= 0).all()
    np.testing.assert_allclose(np.einsum("k,ki,kj->ij", rho, e, e), d, atol=1e-12)


@settings(max_examples=20)
@given(st.integers(0, 10000))
def test_selling_reproduces_a_run_of_tensors(seed):
    run = tensor_volume_kernels.LENGTH
    tensors = np.array([random_tensor(3, seed + i) for i in range(run)])
    base = np.concatenate([np.eye(3), -np.ones((1, 3))])
    products = np.einsum("ki,nij,lj->kln", base, tensors, base)
    a = np.empty((tensor_volume_kernels.SLOTS, run))
    a[-6:] = products[np.triu_indices(4, 1)]
    b, e = np.empty(tensor_volume_kernels.BASES * run, np.int64), np.empty((6, 4, run), np.int32)
    tensor_volume_kernels.selling_run(a.ravel(), b, 1e-12)
    tensor_volume_kernels.terms_run(a.ravel(), b, e.ravel(), 1000, 100)
    half, vectors = a[-6:], e[:, :3]
    assert (half >= 0).all()
    given_back = 2 * np.einsum("kn,kin,kjn->nij", half, vectors, vectors)
    np.testing.assert_allclose(given_back, tensors, atol=1e-11)
    offsets = vectors[:, 0] + 1000 * vectors[:, 1] + 100_000 * vectors[:, 2]
    np.testing.assert_array_equal(e[:, 3], np.where(half > 0, offsets, 0))


def test_eigenvalues_of_a_run_agree_with_lapack(rng):
    run = tensor_volume_kernels.LENGTH
    matrices = rng.normal(size=(run, 3, 3)) * 10.0 ** rng.integers(-12, 13, (run, 1, 1))
    matrices += np.swapaxes(matrices, 1, 2)
    matrices[0], matrices[1] = 0, np.eye(3)
    u = rng.normal(size=3)
    matrices[2], matrices[3] = np.outer(u, u), np.eye(3) - 0.3 * np.outer(u, u)
    a = np.empty((tensor_volume_kernels.SLOTS, run))
    for slot, (i, j) in enumerate([(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)]):
        a[slot] = matrices[:, i, j]
    tensor_volume_kernels.eigenvalues_run(a.ravel())
    size = np.abs(matrices).max(axis=(1, 2))
    expected = np.linalg.eigvalsh(matrices)
    error = np.abs(np.sort(a[6:9].T) - expected).max(axis=1)
    # Where two are next to equal, both are off by the root of the rounding error.
    assert (error <= 1e-7 * size).all()
    assert (error <= 1e-13 * size)[4:].mean() > 0.9


@pytest.mark.parametrize("unit", [1e-30, 1e78, 1e150])
def test_volumes_do_not_depend_on_the_unit_of_intensity(unit, rng):
    volume = rng.random((3, 4, 5))
    for smooth in (df.edge_enhancing, df.coherence_enhancing):
        plain = smooth(volume, 1.0, kappa=0.1, sigma=0.1)
        in_unit = smooth(volume * unit, 1.0, kappa=0.1 * unit, sigma=0.1 * unit)
        np.testing.assert_allclose(in_unit / unit, plain, rtol=1e-6)


def turned(pattern, degrees, n=129):
    """A function of the plane on a grid, turned about its middle."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return pattern(c * x + s * y, c * y - s * x)


def ridges(x, y):
    """Like a fingerprint, in [0.1, 0.9]."""
    return 0.5 + 0.4 * np.cos(2 * np.pi * np.hypot(x + 20, y - 11) / 9 + np.sin(y / 17))


def waves(x, y):
    return 0.5 + 0.25 * np.cos(x / 3) + 0.2 * np.cos(y / 4 + x / 10)


@pytest.mark.parametrize("pattern", [ridges, waves])
@pytest.mark.parametrize(
    "smooth",
    [
        lambda u: df.edge_enhancing(u, 10, kappa=0.05, presmooth=1),
        lambda u: df.coherence_enhancing(u, 10, kappa=0.02, integration=3),
    ],
    ids=["edge", "coherence"],
)
def test_commutes_with_a_rotation_by_30_degrees(smooth, pattern):
    # Spline interpolation of this order turns such patterns with an error below 1e-4.
    across, along = turned(lambda x, y: x, 30), turned(lambda x, y: y, 30)
    result = smooth(turned(pattern, 0))
    result_turned = map_coordinates(result, [along + 64, across + 64], order=5, mode="nearest")
    inner = np.hypot(across, along) < 45
    error = (result_turned - smooth(turned(pattern, 30)))[inner]
    assert np.sqrt(np.mean(error**2)) < 0.01


@pytest.mark.parametrize("degrees", [0, 30, 63])
def test_edge_enhancing_keeps_a_noisy_step_and_cleans_beside_it(degrees, rng):
    distance = turned(lambda x, y: x, degrees)
    clean = 0.3 + 0.4 / (1 + np.exp(-3 * distance))
    noisy = clean + rng.normal(0, 0.05, clean.shape)
    smooth = df.edge_enhancing(noisy, 2.0, kappa=0.05, presmooth=1.5)
    middle = np.hypot(*(np.mgrid[:129, :129] - 64)) < 50

    def slope(u):
        near = middle & (np.abs(distance) <= 1)
        return np.polyfit(distance[near], u[near], 1)[0]

    assert slope(smooth) == pytest.approx(slope(clean), rel=0.1)
    beside = middle & (np.abs(distance) > 2) & (np.abs(distance) < 8)
    assert (smooth - clean)[beside].std() < (noisy - clean)[beside].std() / 2


def test_coherence_enhancing_closes_gaps():
    clean = turned(ridges, 0)
    broken = clean.copy()
    gaps = np.zeros(clean.shape, bool)
    for y, x in [(40, 40), (64, 90), (90, 60), (30, 100), (100, 100)]:
        gaps[y - 2 : y + 3, x - 2 : x + 3] = True
    broken[gaps] = 0.5
    healed = df.coherence_enhancing(broken, 20, kappa=0.02, presmooth=0.7, integration=4)

    def contrast(u):
        return np.cov(u[gaps], clean[gaps])[0, 1] / clean[gaps].var(ddof=1)

    assert contrast(broken) == pytest.approx(0, abs=1e-9)
    assert contrast(healed) > 0.6
    elsewhere = ~gaps
    elsewhere[[0, -1]] = elsewhere[:, [0, -1]] = False
    assert np.abs(healed - clean)[elsewhere].mean() < 0.05


def test_coherence_enhancing_follows_lines_in_volumes():
    # A tube along the diagonal of a volume, with a gap.
    z, y, x = np.mgrid[:24, :24, :24] - 11.5
    along = (x + y + z) / math.sqrt(3)
    tube = np.exp(-(x**2 + y**2 + z**2 - along**2) / 8)
    broken = np.where(np.abs(along) < 1.5, 0, tube)
    healed = df.coherence_enhancing(broken, 10, kappa=0.01, presmooth=0.7, integration=3)
    core = tube > 0.8
    beyond = core & (np.abs(along) > 3) & (np.abs(along) < 8)
    assert healed[core & (np.abs(along) < 1)].mean() > 0.8 * healed[beyond].mean()


def test_constant_tensor_is_the_heat_equation(photo):
    # κ beyond all contrasts makes D the identity, or α times it.
    u = photo[:40, :50]
    edge = df.edge_enhancing(u, 2.0, kappa=1e6, presmooth=0.7)
    np.testing.assert_allclose(edge, df.heat(u, 2.0, scheme="explicit", step=0.5 / 3), atol=1e-12)
    coherence = df.coherence_enhancing(u, 8.0, kappa=1e6, integration=1, alpha=0.25, step=1)
    np.testing.assert_allclose(
        coherence, df.heat(u, 2.0, scheme="explicit", step=0.25 / 3), atol=1e-12
    )


@pytest.mark.parametrize(("time", "steps"), [(0.1, 1), (5.0, 8)])
def test_cyclic_steps_are_those_of_the_semi_iterative_scheme(time, steps, photo):
    flow = TensorDiffusion(tensor_kernels.EDGE, 0.1, 0.5, 0.9, 1.0, step=time, cyclic=True)
    state = photo[None, None, None, :48, :40].astype(np.float64)
    heat = Diffusion().semi_iterative(state.copy(), state.copy(), 1, steps, time)[0]
    np.testing.assert_allclose(flow.evolve(state.copy(), time), heat, atol=1e-12)


def test_spacing_scales_length_and_time(photo):
    u = photo[:40, :50]
    plain = df.edge_enhancing(u, 2.0, kappa=0.1, presmooth=1)
    stretched = df.edge_enhancing(u, 8.0, kappa=0.05, presmooth=2, spacing=2, step=2)
    np.testing.assert_allclose(stretched, plain, atol=1e-12)


@pytest.mark.parametrize("method", [df.EdgeEnhancing(), df.CoherenceEnhancing()])
def test_chosen_denoiser_repeats_the_run(method, photo, rng):
    noisy = photo + rng.normal(0, 0.08, photo.shape)
    chosen = method.choose(noisy)
    assert chosen.choose(noisy) == chosen
    np.testing.assert_array_equal(chosen(noisy), method(noisy))
    kept = type(method)(kappa=0.03, time=1.5).choose(noisy)
    assert (kept.kappa, kept.time) == (0.03, 1.5)


def test_large_images_are_sampled_by_tiles(rng):
    scene = np.kron(rng.random((12, 16)), np.ones((40, 40)))  # 480×640
    noisy = (scene + rng.normal(0, 0.1, scene.shape)).astype(np.float32)
    chosen = df.EdgeEnhancing().choose(noisy, 0.1)
    small = df.EdgeEnhancing().choose(noisy[:160, :200], 0.1)
    assert chosen.time == pytest.approx(small.time, rel=0.35)


def test_full_output_reports_what_was_chosen(photo, rng):
    noisy = photo + rng.normal(0, 0.08, photo.shape)
    _, chosen = df.edge_enhancing(noisy, presmooth=0.9, full_output=True)
    assert chosen["sigma"] == pytest.approx(0.08, rel=0.1)
    assert chosen["presmooth"] == 0.9
    assert chosen["time"] > 0.5
    _, chosen = df.coherence_enhancing(noisy, 3.0, kappa=0.05, integration=2, full_output=True)
    assert chosen == {
        "sigma": None, "kappa": 0.05, "time": 3.0, "presmooth": 0.5, "integration": 2,
        "alpha": 0.01, "spacing": None, "step": 1.0, "fidelity": 0.0, "steps": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kappa": 0}, ValueError, "kappa is 0; expected a finite number > 0"),
        ({"time": -1}, ValueError, "time is -1; expected a finite number ≥ 0"),
        ({"time": "long"}, TypeError, "time is 'long'; expected a finite number ≥ 0"),
        ({"presmooth": -1}, ValueError, "presmooth is -1; expected a finite number ≥ 0"),
        ({"integration": math.nan}, ValueError,
         "integration is nan; expected a finite number ≥ 0"),
        ({"alpha": 0}, ValueError, "alpha is 0; expected a finite number > 0 and ≤ 1"),
        ({"alpha": 1.5}, ValueError, "alpha is 1.5; expected a finite number > 0 and ≤ 1"),
        ({"step": 0}, ValueError, "step is 0; expected a finite number > 0"),
        ({"spacing": (1, 2, 3)}, ValueError,
         "spacing is (1, 2, 3); expected one number, or one for each of the 2 spatial axes"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error) as caught:
        df.coherence_enhancing(np.zeros((8, 8)), **arguments)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "filter_",
    [
        lambda u: df.edge_enhancing(u, 2.0, kappa=0.1, presmooth=0.7),
        lambda u: df.coherence_enhancing(u, 2.0, kappa=0.1, integration=1.0),
    ],
    ids=KINDS,
)
@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 4, 1), (1, 5, 1)])
def test_the_axis_of_length_one_does_not_matter(filter_, shape, rng):
    image = rng.random(shape)
    result = filter_(image)
    for axes in itertools.permutations(range(3)):
        turned = filter_(image.transpose(axes))
        np.testing.assert_allclose(turned, result.transpose(axes), atol=1e-12)
