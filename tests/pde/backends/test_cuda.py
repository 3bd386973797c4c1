"""The PDEs on a GPU give what they give on the CPU. (Their kernels: test_pde_triton_steps.py.)"""

import numpy as np
import pytest
from equations import textbook

import difffilter as df

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
if not torch.cuda.is_available():
    pytest.skip("PyTorch sees no CUDA device", allow_module_level=True)


@pytest.fixture
def noisy(colour_photo, rng):
    return (colour_photo + rng.normal(0, 0.1, colour_photo.shape)).astype(np.float32)


@pytest.mark.parametrize("scheme", ["explicit", "fsi", "auto"])
@pytest.mark.parametrize("presmooth", [0.0, 0.7])
def test_perona_malik(noisy, scheme, presmooth):
    options = {"channel_axis": -1, "scheme": scheme, "presmooth": presmooth, "full_output": True}
    expected, known = textbook(noisy, 10.0, kappa=0.1, **options)
    tensor = torch.from_numpy(noisy).cuda()
    result, chosen = textbook(tensor, 10.0, kappa=0.1, **options)
    assert result.device == tensor.device
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.cpu().numpy(), expected, atol=1e-4)
    assert chosen == known
    array, _ = textbook(noisy, 10.0, kappa=0.1, device="cuda", **options)
    np.testing.assert_array_equal(array, result.cpu().numpy())
    back, _ = textbook(torch.from_numpy(noisy), 10.0, kappa=0.1, device="cuda", **options)
    assert back.device.type == "cpu"


def test_volume_with_mask(rng):
    volume, mask = rng.random((12, 33, 140)), rng.random((12, 33, 140)) < 0.8
    options = {"mask": mask, "spacing": (2.0, 1.0, 1.0), "diffusivity": "tukey"}
    expected = textbook(volume, 3.0, kappa=0.3, **options)
    result = textbook(torch.from_numpy(volume).cuda(), 3.0, kappa=0.3, **options)
    np.testing.assert_allclose(result.cpu().numpy(), expected, atol=1e-11)
    options["mask"] = torch.from_numpy(mask).cuda()
    again = textbook(volume, 3.0, kappa=0.3, device="cuda", **options)
    np.testing.assert_array_equal(again, result.cpu().numpy())


@pytest.mark.parametrize("method", ["perona_malik", "heat"])
def test_everything_chosen(noisy, method):
    result = df.denoise(noisy, method=df.make(method, device="cuda"), channel_axis=-1)
    expected = df.denoise(noisy, method=method, channel_axis=-1)
    np.testing.assert_allclose(result, expected, atol=1e-4)


def test_the_implementations_agree(rng):
    """Triton's and PyTorch's steps, on images of several tiles."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from difffilter.pde.backends import torch_schemes, torch_steps
    from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion

    state = torch.from_numpy(rng.random((1, 1, 1, 1000, 1500), np.float32)).cuda()
    diffusion = Diffusion(DIFFUSIVITIES["rational"], 0.1, scheme="fsi", step=2.0)
    time = 4.0
    assert torch_schemes.implementation(state).__name__.endswith("triton_steps")
    result = torch_schemes.evolve(diffusion, state.clone(), time)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_schemes, "implementation", lambda u: torch_steps)
        expected = torch_schemes.evolve(diffusion, state.clone(), time)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_heat(noisy, dtype):
    image = noisy.astype(dtype)
    expected = df.heat(image, 5.0, channel_axis=-1)
    result = df.heat(torch.from_numpy(image).cuda(), 5.0, channel_axis=-1)
    assert result.is_cuda
    np.testing.assert_allclose(result.cpu().numpy(), expected, atol=1e-5)
    explicit = df.heat(image, 5.0, channel_axis=-1, scheme="explicit", device="cuda")
    usual = df.heat(image, 5.0, channel_axis=-1, scheme="explicit")
    np.testing.assert_allclose(explicit, usual, atol=1e-5)


def test_mean_and_extrema_stay(noisy):
    image = noisy.astype(np.float64)
    options = {"channel_axis": -1, "scheme": "explicit", "device": "cuda"}
    result = textbook(image, 50.0, kappa=0.1, **options)
    np.testing.assert_allclose(result.mean(axis=(0, 1)), image.mean(axis=(0, 1)))
    assert image.min() <= result.min()
    assert result.max() <= image.max()


def test_errors():
    with pytest.raises(ValueError, match="scheme is 'aos', which works on the CPU only"):
        textbook(torch.zeros(8, 8).cuda(), 1.0, kappa=0.1, scheme="aos")
    with pytest.raises(ValueError, match="image has 1 pixels that are NaN or infinite"):
        df.heat(torch.tensor([[0.0, np.nan]]).cuda(), 1.0)
    with pytest.raises(TypeError, match="only heat and perona_malik take"):
        df.tv_flow(torch.zeros(8, 8).cuda())
