"""The PDEs on tensors give what they give on arrays.

Tensors in the CPU's memory are filtered as arrays are. What a GPU would do is tried here, too, with
PyTorch's operations on the CPU: `on_device` has tensors go that way.
"""

import subprocess
import sys

import numpy as np
import pytest
from equations import textbook
from evolutions import TOLERANCE, evolutions
from hypothesis import given
from hypothesis import strategies as st

import difffilter as df
from difffilter.devices import find_device
from difffilter.pde.choose import risk
from difffilter.pde.solve import steps as planning
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from difffilter.pde.backends import tensors, torch_schemes  # noqa: E402

CPU = torch.device("cpu")
OTHERS = [df.tv_flow, df.edge_enhancing, df.coherence_enhancing, df.curvature_motion]


@pytest.fixture
def on_device(monkeypatch):
    """Make tensors, and arrays with a device, be filtered as if they were on a GPU."""

    def backend_of(image, device=None):
        return tensors.Tensors(CPU, CPU if isinstance(image, torch.Tensor) else None)

    monkeypatch.setattr("difffilter.pde.problem.backend_of", backend_of)


# --- the steps ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
def test_steps_are_those_of_the_kernels(dtype, data):
    diffusion, time, state = data.draw(evolutions(dtype))
    result = torch_schemes.evolve(diffusion, torch.from_numpy(state.copy()), time)
    expected = diffusion.evolve(state, time)
    assert result.dtype == getattr(torch, np.dtype(dtype).name)
    np.testing.assert_allclose(result.numpy(), expected, atol=TOLERANCE[dtype])


@given(evolutions(np.float64))
def test_steps_keep_mean_and_extrema(evolution):
    diffusion, time, state = evolution
    result = torch_schemes.evolve(diffusion, torch.from_numpy(state.copy()), time).numpy()
    np.testing.assert_allclose(result.mean(axis=(2, 3, 4)), state.mean(axis=(2, 3, 4)), atol=1e-12)
    if diffusion.scheme == "explicit":
        assert result.max() <= state.max() + 1e-12
        assert result.min() >= state.min() - 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kappa", [1e-30, 1e12])
def test_extreme_contrasts(dtype, kappa, photo):
    """Nothing flows where all is above κ, and all is heat where all is below."""
    image = (photo[:32, :32] + 1e-3 * np.eye(32)).astype(dtype)
    state = image[None, None, None]
    for kind in DIFFUSIVITIES.values():
        diffusion, time = Diffusion(kind, kappa, step=0.2), 0.8
        result = torch_schemes.evolve(diffusion, torch.from_numpy(state.copy()), time).numpy()
        expected = state if kappa < 1 else Diffusion(step=0.2).evolve(state.copy(), time)
        np.testing.assert_allclose(result, expected, atol=TOLERANCE[dtype] / 10)


# --- tensors in the CPU's memory ------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype",
    ["bool", "uint8", "int16", "uint16", "float16", "bfloat16", "float32", "float64"],
)
@pytest.mark.parametrize("where", ["cpu", "on_device"])
def test_dtypes_are_those_of_arrays(dtype, where, request, rng):
    numbers = torch.from_numpy(rng.random((20, 30)))
    kind = getattr(torch, dtype)
    if not kind.is_floating_point and dtype != "bool":
        numbers = numbers * torch.iinfo(kind).max
    tensor = (numbers > 0.5) if dtype == "bool" else numbers.to(kind)
    array = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
    expected = textbook(array, 2.0, kappa=0.3), df.heat(array, 2.0)
    if where == "on_device":
        request.getfixturevalue("on_device")
    results = textbook(tensor, 2.0, kappa=0.3), df.heat(tensor, 2.0)
    for result, known in zip(results, expected, strict=True):
        assert result.dtype == (torch.float64 if dtype == "float64" else torch.float32)
        np.testing.assert_allclose(result.numpy(), known, atol=1e-6)


def test_on_the_cpu_bit_for_bit(colour_photo, rng):
    noisy = colour_photo + rng.normal(0, 0.1, colour_photo.shape)
    tensor = torch.from_numpy(noisy)
    result, chosen = df.perona_malik(tensor, channel_axis=-1, full_output=True)
    expected, known = df.perona_malik(noisy, channel_axis=-1, full_output=True)
    np.testing.assert_array_equal(result.numpy(), expected)
    assert chosen == known
    result = textbook(tensor, 5.0, kappa=0.1, channel_axis=-1, scheme="aos")
    expected = textbook(noisy, 5.0, kappa=0.1, channel_axis=-1, scheme="aos")
    np.testing.assert_array_equal(result.numpy(), expected)
    for method in ("heat", "perona_malik"):
        result = df.denoise(tensor, method=method, channel_axis=-1)
        expected = df.denoise(noisy, method=method, channel_axis=-1)
        np.testing.assert_array_equal(result.numpy(), expected)


def test_device_cpu_equals_the_default(photo):
    expected = textbook(photo, 2.0, kappa=0.1)
    for device in ("cpu", torch.device("cpu")):
        np.testing.assert_array_equal(textbook(photo, 2.0, kappa=0.1, device=device), expected)
    result = df.make("heat(time=2, device='cpu')")(torch.from_numpy(photo))
    np.testing.assert_array_equal(result.numpy(), df.heat(photo, 2.0))


# --- tensors on a device ----------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("shape", [(24, 31), (5, 12, 9)])
def test_tensors_on_a_device_agree_with_arrays(axis, coupled, shape, rng, request):
    image = rng.random(shape) if axis is None else np.stack([rng.random(shape)] * 2, axis) ** 2
    options = {
        "channel_axis": axis, "coupled": coupled, "presmooth": 0.7, "diffusivity": "rational",
        "mask": rng.random(shape) < 0.8, "spacing": (2.0, 1.0, 1.5)[-len(shape) :],
        "full_output": True,
    }  # fmt: skip
    expected, known = textbook(image, 6.0, kappa=0.2, **options)
    request.getfixturevalue("on_device")
    before = image.copy()
    result, chosen = textbook(torch.from_numpy(image), 6.0, kappa=0.2, **options)
    assert isinstance(result, torch.Tensor)
    assert result.shape == image.shape
    assert result.is_contiguous()
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-12)
    assert chosen == known
    np.testing.assert_array_equal(image, before)
    options["mask"] = torch.from_numpy(options["mask"])
    array, _ = textbook(image, 6.0, kappa=0.2, device="cuda", **options)
    np.testing.assert_array_equal(array, result.numpy())


def test_choice_for_tensors_agrees_with_arrays(photo, rng, request):
    noisy = (photo + rng.normal(0, 0.08, photo.shape)).astype(np.float32)
    expected, known = df.perona_malik(noisy, full_output=True)
    denoisers = [df.Heat(), df.PeronaMalik()]
    chosen = [d.choose(noisy) for d in denoisers]
    request.getfixturevalue("on_device")
    tensor = torch.from_numpy(noisy)
    result, found = df.perona_malik(tensor, full_output=True)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    assert found == known
    assert [d.choose(tensor) for d in denoisers] == chosen
    assert torch.equal(chosen[1](tensor), df.PeronaMalik()(tensor))


def test_large_tensors_are_sampled(request, rng):
    scene = np.kron(rng.random((13, 17)), np.ones((80, 80)))  # 1040×1360
    noisy = (scene + rng.normal(0, 0.1, scene.shape)).astype(np.float32)
    mask = np.ones(scene.shape, bool)
    noisy[:500], mask[:500] = 0.5 + 0.1 * (noisy[:500] - 0.5), False  # nearly flat outside the mask
    assert noisy.size > tensors.IMAGE_PIXELS
    known = df.PeronaMalik().choose(noisy, 0.1)
    time = df.Heat().choose(noisy, 0.1).time
    request.getfixturevalue("on_device")
    tensor = torch.from_numpy(noisy)
    assert df.PeronaMalik().choose(tensor, 0.1) == known
    assert df.Heat().choose(tensor, 0.1).time == pytest.approx(time, rel=0.3)
    backend = tensors.Tensors(CPU, CPU)
    assert backend.assumed_noise(tensor, None, mask[None, None]).sigma == pytest.approx(
        0.1, rel=0.03
    )
    colour = torch.stack([tensor, tensor, tensor])
    assert backend.assumed_noise(colour, 0, mask[None, None]).sigma == pytest.approx(0.1, rel=0.03)


def test_the_copied_sample_suffices_for_every_choice():
    assert (
        max(planning.SAMPLE_PIXELS, *(size for size, *_ in risk.SideBySide.ROUNDS))
        <= tensors.STATE_PIXELS
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
def test_exact_heat(dtype, data):
    shape = data.draw(st.lists(st.integers(1, 13), min_size=1, max_size=4))
    time = data.draw(st.floats(0, 20))
    image = np.random.default_rng(data.draw(st.integers(0, 99))).random(shape).astype(dtype)
    tensor = torch.from_numpy(image)
    axes = list(range(len(shape)))
    factors = [
        np.exp(-time * np.linspace(0, 2, n)).reshape(-1, *[1] * (len(shape) - 1 - axis))
        for axis, n in zip(axes, shape, strict=True)
    ]
    result = tensors.Tensors(CPU, CPU).damped(tensor, axes, factors)
    expected = tensors.HostTensors(CPU).damped(image, axes, factors)
    assert result.dtype == expected.dtype == tensor.dtype
    np.testing.assert_allclose(result, expected, atol=TOLERANCE[dtype] / 10)


@pytest.mark.parametrize("scheme", ["exact", "explicit"])
def test_heat_on_a_device(scheme, colour_photo, request):
    image = np.moveaxis(colour_photo, -1, 1)
    options = {"channel_axis": 1, "spacing": (2.0, 0.7), "scheme": scheme}
    expected = df.heat(image, 3.0, **options)
    request.getfixturevalue("on_device")
    result = df.heat(torch.from_numpy(image), 3.0, **options)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-12)
    array = df.heat(image.astype(np.float32), 3.0, device="cuda", **options)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-6)


@pytest.mark.usefixtures("on_device")
def test_callback_on_a_device(photo):
    tensor, seen = torch.from_numpy(photo), []

    def watch(time, image):
        seen.append((time, image))
        return time > 0.35

    result, chosen = textbook(tensor, 1.0, kappa=0.1, step=0.1, callback=watch, full_output=True)
    assert [time for time, _ in seen] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert torch.equal(seen[-1][1], result)
    assert torch.equal(seen[1][1], textbook(tensor, 0.2, kappa=0.1, step=0.1))
    assert chosen["steps"] == 4
    cycles = []
    options = {"scheme": "fsi", "step": 5.0}
    textbook(tensor, 20.0, kappa=0.1, callback=lambda t, u: cycles.append(u), **options)
    assert torch.equal(cycles[0], textbook(tensor, 5.0, kappa=0.1, **options))


@pytest.mark.usefixtures("on_device")
def test_the_input_is_neither_changed_nor_returned(rng):
    weights = torch.from_numpy(rng.random((12, 30)))[:, ::2].requires_grad_()
    before = weights.detach().clone()
    for result in (
        textbook(weights, 3.0, kappa=0.1, scheme="fsi", step=3.0),
        textbook(weights, 0.0, kappa=0.1),
        df.heat(weights, 0.0),
        df.heat(weights, 0.0, scheme="explicit"),
    ):
        assert not result.requires_grad
        result += 1
    assert torch.equal(weights, before)


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (np.zeros((4, 4), complex), {}),
        (np.zeros((4, 0)), {}),
        (np.zeros(4), {}),
        (np.zeros((2, 3, 4, 3)), {}),
        (np.zeros((4, 4)), {"channel_axis": 2}),
        (np.full((4, 4), np.nan), {}),
        (np.array([[1.0, np.inf], [-np.inf, 0.0]]), {}),
        (np.zeros((8, 8)), {"step": 0.26}),
        (np.zeros((8, 8)), {"mask": np.ones((3, 3), bool)}),
        (np.zeros((8, 8)), {"sigma": 25}),
        (np.zeros((8, 8)), {"scheme": "magic"}),
    ],
)
@pytest.mark.parametrize("where", ["cpu", "on_device"])
def test_errors_are_those_of_arrays(image, options, where, request):
    with pytest.raises((TypeError, ValueError)) as of_arrays:
        textbook(image, 1.0, kappa=0.1, **options)
    if where == "on_device":
        request.getfixturevalue("on_device")
    with pytest.raises(of_arrays.type) as of_tensors:
        textbook(torch.from_numpy(image), 1.0, kappa=0.1, **options)
    assert str(of_tensors.value) == str(of_arrays.value)


@pytest.mark.usefixtures("on_device")
def test_large_values_are_finite():
    """Though their sum is not."""
    image = torch.full((4, 4), 3e38)
    torch.testing.assert_close(textbook(image, 0.0, kappa=1.0), image)


@pytest.mark.usefixtures("on_device")
def test_wide_ranges_may_have_large_sigma(rng):
    df.perona_malik(torch.from_numpy(100 * rng.random((8, 8))), 1.0, sigma=10)


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"scheme": "aos"},
            "scheme is 'aos', which works on the CPU only; expected auto, explicit or fsi on cpu",
        ),
        (
            {"kappa": "mad"},
            "kappa is 'mad', a rule that works on the CPU only; expected a number or None on cpu",
        ),
        ({"fidelity": 0.1}, "fidelity is 0.1, which works on the CPU only; expected 0 on cpu"),
    ],
)
def test_arguments_not_supported_on_a_device(options, message):
    with pytest.raises(ValueError, match=message):
        df.perona_malik(torch.zeros(8, 8), **{"time": 1.0, "kappa": 0.1} | options)


@pytest.mark.usefixtures("on_device")
def test_heat_on_a_device_has_no_fidelity_term():
    with pytest.raises(
        ValueError, match=r"fidelity is 0\.1, which works on the CPU only; expected 0 on cpu"
    ):
        df.heat(torch.zeros(8, 8), 1.0, fidelity=0.1)


@pytest.mark.parametrize("options", [{"kappa": "mad"}, {"kappa": 0.1, "fidelity": 0.2}])
def test_tensors_on_the_cpu_support_everything(options, photo):
    result = df.perona_malik(torch.from_numpy(photo), 2.0, **options)
    np.testing.assert_array_equal(result.numpy(), df.perona_malik(photo, 2.0, **options))
    fidelity = options.get("fidelity", 0.0)
    result = df.heat(torch.from_numpy(photo), 2.0, fidelity=fidelity)
    np.testing.assert_array_equal(result.numpy(), df.heat(photo, 2.0, fidelity=fidelity))


@pytest.mark.parametrize("filter", OTHERS, ids=lambda f: f.__name__)
def test_other_filters_name_those_that_take_tensors(filter):
    with pytest.raises(TypeError) as caught:
        filter(torch.zeros(8, 8))
    assert str(caught.value) == (
        "image is a torch.Tensor, which only heat and perona_malik take; expected an array: "
        "image.cpu().numpy()"
    )


def test_unknown_device_and_missing_pytorch(monkeypatch):
    with pytest.raises(ValueError, match="device is 'quantum', which cannot be used here"):
        df.heat(np.zeros((8, 8)), 1.0, device="quantum")
    monkeypatch.setitem(sys.modules, "torch", None)
    df.heat(np.zeros((8, 8)), 1.0, device="auto")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text follows)
        find_device("cuda")
    assert str(caught.value) == (
        "device is 'cuda', which needs PyTorch: pip install 'difffilter[ddpm]'"
    )


def test_arrays_do_not_import_torch():
    code = (
        "import sys, numpy as np, difffilter as df; image = np.eye(16);"
        "df.perona_malik(image); df.Heat()(image); df.heat(image, 1.0, device='cpu');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_benchmark_runs_without_a_gpu():
    import speed_cuda

    text = speed_cuda.report("cpu", repeats=1)
    rows = [line for line in text.splitlines() if line.startswith("| PyTorch, ")]
    assert len(rows) == 2 * len(speed_cuda.DIFFUSIONS)
