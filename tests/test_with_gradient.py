"""Results that PyTorch can differentiate: the derivative is that of the method, the value as well."""

from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_allclose

import difffilter as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from networks import random_weights  # noqa: E402

from difffilter.ddpm.denoiser import DDPM  # noqa: E402

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("color") / "color.safetensors", 3)


@pytest.fixture
def noisy(colour_photo, rng):
    """(3, 48, 48)."""
    image = np.moveaxis(colour_photo[:48, :48], -1, 0)
    return torch.from_numpy(image + rng.normal(0, 0.1, image.shape))


SETTLED = [
    "heat(time=1.5)",
    "heat(time=1.5, scheme='explicit')",
    "perona_malik(time=2, kappa=0.2, diffusivity='exponential', presmooth=0, scheme='explicit')",
    "perona_malik(time=2, kappa=0.2, diffusivity='rational', presmooth=0.7, step=0.2)",
    "perona_malik(time=4, kappa=0.2, diffusivity='charbonnier', presmooth=0, scheme='fsi', step=2)",
    "perona_malik(time=1, kappa=0.3, diffusivity='tukey', presmooth=0.5, coupled=False, step=0.2)",
    "perona_malik(time=1, kappa=0.3, diffusivity='weickert', presmooth=0, step=0.2)",
]


@pytest.mark.parametrize("method", SETTLED)
def test_gradients_are_finite_differences(method, rng):
    x = torch.from_numpy(rng.random((2, 5, 6))).requires_grad_()
    method = df.make(method)
    expected = method(x.detach().numpy(), channel_axis=0)
    assert_allclose(method.with_gradient(x, channel_axis=0).detach(), expected, atol=1e-9)
    assert torch.autograd.gradcheck(lambda x: method.with_gradient(x, channel_axis=0), x)


@pytest.mark.parametrize("method", ["heat", "perona_malik"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("axis", [0, 2, None])
def test_what_is_chosen_counts_as_constant(method, dtype, axis, noisy):
    x = {0: noisy, 2: noisy.movedim(0, 2), None: noisy[0]}[axis].to(dtype).requires_grad_()
    method = df.make(method)
    settled = method.choose(x.detach().numpy(), 0.1, channel_axis=axis)
    results = [each.with_gradient(x, 0.1, channel_axis=axis) for each in (method, settled)]
    gradients = [torch.autograd.grad(result.square().sum(), x)[0] for result in results]
    assert results[0].dtype == dtype
    expected = method(x.detach().numpy(), 0.1, channel_axis=axis)
    for result in results:
        assert_allclose(result.detach(), expected, atol=1e-5)
    assert_allclose(*gradients, atol=1e-4)


def test_flat_images_have_gradients():
    for diffusivity in ("exponential", "rational", "charbonnier", "tukey", "weickert"):
        x = torch.zeros(8, 8).requires_grad_()
        options = {"time": 1.0, "kappa": 0.1, "presmooth": 0.5, "diffusivity": diffusivity}
        result = df.PeronaMalik(**options).with_gradient(x, 0.1)
        [gradient] = torch.autograd.grad(result.sum(), x)
        assert_allclose(gradient, 1, atol=1e-5)  # the mean is conserved


# --- the DDPM -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(20, 17), (150, 40)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_of_the_ddpm_is_a_finite_difference(color, channels, size, rng):
    """Of one tile and of several, and of grey images by a network for colour."""
    ddpm = DDPM(weights=color, black=0.0, white=1.0, steps=3, dtype="float32")
    x, v, w = (torch.from_numpy(rng.random((channels, *size), np.float32)) for _ in range(3))

    def applied(x):
        return ddpm.with_gradient(x, 0.1, channel_axis=0)

    warned = pytest.warns(UserWarning, match="are for 3 channels")
    with warned if channels == 1 else nullcontext():
        assert_allclose(applied(x), ddpm(x.numpy(), 0.1, channel_axis=0), atol=1e-5)
        slope = ((applied(x + 1e-2 * v) - applied(x - 1e-2 * v)) * w).sum() / 2e-2
        x.requires_grad_()
        [gradient] = torch.autograd.grad((applied(x) * w).sum(), x)
    assert_allclose((gradient * v).sum(), slope, rtol=2e-3)


@pytest.mark.parametrize("mode", ["mmse", "sample", "average"])
def test_modes_of_the_ddpm(color, mode, noisy):
    ddpm = DDPM(weights=color, mode=mode, steps=2, samples=2)
    x = noisy.float().requires_grad_()
    result = ddpm.with_gradient(x, 0.1, channel_axis=0)
    assert_allclose(result.detach(), ddpm(x.detach().numpy(), 0.1, channel_axis=0), atol=1e-5)
    [gradient] = torch.autograd.grad(result.sum(), x)
    assert gradient.isfinite().all()
    assert gradient.any()


def test_without_noise_the_ddpm_is_the_identity(color, noisy):
    x = noisy.requires_grad_()
    result = DDPM(weights=color).with_gradient(x, 0.0, channel_axis=0)
    [gradient] = torch.autograd.grad(result.sum(), x)
    assert torch.equal(result, x)
    assert torch.equal(gradient, torch.ones_like(x))


def test_the_weights_of_the_ddpm_get_no_gradient(color, noisy):
    ddpm = DDPM(weights=color)
    x = noisy.requires_grad_()
    ddpm.with_gradient(x, 0.1, channel_axis=0).sum().backward()
    assert x.grad.isfinite().all()
    assert all(weight.grad is None for weight in ddpm._trained(3).net.parameters())


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["tv_flow", "edge_enhancing", "identity", "auto", "blended"])
def test_methods_without_a_gradient_say_so(method, noisy):
    with pytest.raises(TypeError, match=r"has no gradient; expected heat, .* x\.detach\(\)"):
        df.make(method).with_gradient(noisy.requires_grad_(), 0.1, channel_axis=0)


@pytest.mark.parametrize(
    "method", ["heat(fidelity=0.1)", "perona_malik(fidelity=0.1)", "perona_malik(scheme='aos')"]
)
def test_options_without_a_gradient_say_so(method, noisy):
    with pytest.raises(ValueError, match="which has no gradient; expected"):
        df.make(method).with_gradient(noisy.requires_grad_(), 0.1, channel_axis=0)


def test_a_map_has_no_gradient(color, noisy):
    with pytest.raises(ValueError, match="sigma differs between pixels; expected a number"):
        DDPM(weights=color).with_gradient(noisy, np.full((48, 48), 0.1), channel_axis=0)
