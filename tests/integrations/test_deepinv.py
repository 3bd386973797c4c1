"""Denoisers go to DeepInverse and come from there, with the same results."""

import copy
import pickle

import numpy as np
import pytest
import torch
from networks import random_weights
from numpy.testing import assert_allclose
from torchvision_operators import imported

import difffilter as df
from difffilter.ddpm.denoiser import DDPM
from difffilter.integrations.deepinv import from_deepinv, to_deepinv

deepinv = imported("deepinv")

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("color") / "color.safetensors", 3)


@pytest.fixture
def clean(colour_photo):
    """Two photographs (2, 3, 48, 48)."""
    chw = np.moveaxis(colour_photo, -1, 0).astype(np.float32)
    return torch.from_numpy(np.stack([chw[:, :48, :48], chw[:, 40:88, 60:108]]))


@pytest.fixture
def noisy(clean):
    return clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def psnr(result, clean):
    return -10 * float(torch.log10((result - clean).square().mean()))


def gaussian(width):
    """A Gaussian kernel (1, 1, 9, 9)."""
    line = torch.exp(-(torch.arange(-4, 5) ** 2) / (2 * width**2))
    return (line[:, None] * line / line.sum() ** 2)[None, None]


def falling(start, end, count):
    """A σ for each iteration, as plug-and-play methods choose it."""
    return np.geomspace(start, end, count).tolist()


# --- to DeepInverse -------------------------------------------------------------------------


@pytest.mark.parametrize("method", [*df.methods(), df.PeronaMalik(kappa=0.1), "heat(time=1)"])
def test_results_are_those_of_denoise(method, noisy):
    model = to_deepinv(method)
    assert isinstance(model, deepinv.models.Denoiser)
    sigmas = [0.1, 0.05]
    grey = noisy[:, :1]
    with torch.no_grad():
        colour, alone = model(noisy, torch.tensor(sigmas)), model(grey, torch.tensor(sigmas))
    for k, sigma in enumerate(sigmas):
        expected = df.denoise(noisy[k].numpy(), sigma, method, channel_axis=0)
        assert_allclose(colour[k], expected, atol=1e-5)
        assert_allclose(alone[k, 0], df.denoise(grey[k, 0].numpy(), sigma, method), atol=1e-5)


@pytest.mark.parametrize(
    "sigma",
    [0.1, np.float32(0.1), torch.tensor(0.1), torch.tensor([0.1]), torch.tensor([0.1, 0.1]),
     torch.full((2, 1, 1, 1), 0.1), [0.1, 0.1]],
)  # fmt: skip
def test_sigma_in_all_its_forms(sigma, noisy):
    model = to_deepinv("heat")
    assert_allclose(model(noisy, sigma), model(noisy, 0.1), atol=1e-5)


def test_sigma_may_be_estimated(noisy):
    expected = df.denoise(noisy[1].numpy(), method="heat", channel_axis=0)
    assert_allclose(to_deepinv("heat")(noisy)[1], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", ["perona_malik", "tv_flow"])
def test_the_dtype_stays_and_the_input_too(method, dtype, noisy):
    x = noisy.to(dtype)
    before = x.clone()
    result = to_deepinv(method)(x, 0.1, any_option=True)
    assert result.dtype == dtype
    assert result.shape == x.shape
    assert torch.equal(x, before)


def test_a_batch_in_any_memory_format(noisy):
    model = to_deepinv("perona_malik")
    result = model(noisy.to(memory_format=torch.channels_last), 0.1)
    assert_allclose(result, model(noisy, 0.1), atol=1e-6)


def test_a_model_is_a_module(noisy):
    model = to_deepinv("heat(time=2)")
    assert "heat(time=2)" in repr(model)
    assert not list(model.parameters())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(noisy, 0.1), model(noisy, 0.1))


@pytest.mark.parametrize(
    ("x", "sigma", "error", "message"),
    [
        (np.zeros((1, 1, 8, 8)), 0.1, TypeError, "x is ndarray; expected a Tensor"),
        (torch.zeros(1, 1, 8, 8, dtype=torch.int64), 0.1, TypeError, "x has dtype torch.int64"),
        (torch.zeros(1, 8, 8), 0.1, ValueError, r"x has shape \(1, 8, 8\); expected \(B"),
        (torch.zeros(0, 1, 8, 8), 0.1, ValueError, r"x has shape \(0, 1, 8, 8\)"),
        (torch.zeros(2, 1, 8, 8), -0.1, ValueError, "sigma is -0.1"),
        (torch.zeros(2, 1, 8, 8), torch.ones(3), ValueError, r"sigma has shape \(3,\); expected one"),
        (torch.zeros(2, 1, 8, 8), "much", TypeError, "sigma is 'much'"),
        (torch.full((1, 1, 8, 8), torch.nan), 0.1, ValueError, "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_refused(x, sigma, error, message):
    with pytest.raises(error, match=message):
        to_deepinv("heat")(x, sigma)


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match="did you mean 'heat'"):
        to_deepinv("haet")


# --- gradients (more: test_with_gradient.py) ------------------------------------------------


@pytest.mark.parametrize(
    "method",
    ["heat(time=1)", "perona_malik(time=1, kappa=0.2, diffusivity='rational', presmooth=0)"],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_gradients_of_a_batch_are_finite_differences(method, channels, rng):
    x = torch.from_numpy(rng.random((2, channels, 5, 6))).requires_grad_()
    model, sigma = to_deepinv(method), torch.tensor([0.1, 0.2])
    with torch.no_grad():
        expected = model(x, sigma)
    assert_allclose(model(x, sigma).detach(), expected, atol=1e-5)
    assert torch.autograd.gradcheck(lambda x: model(x, sigma), x)


def test_the_ddpm_has_a_gradient(color, noisy):
    model = to_deepinv(DDPM(weights=color))
    with torch.no_grad():
        expected = model(noisy, 0.1)
    x = noisy.requires_grad_()
    result = model(x, 0.1)
    assert_allclose(result.detach(), expected, atol=1e-5)
    [gradient] = torch.autograd.grad(result.sum(), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("method", ["tv_flow", "edge_enhancing", "identity", "auto"])
def test_methods_without_a_gradient_say_so(method, noisy):
    x = noisy.requires_grad_()
    with pytest.raises(TypeError, match=r"has no gradient; expected heat, .* x\.detach\(\)"):
        to_deepinv(method)(x, 0.1)
    with torch.no_grad():
        assert not to_deepinv(method)(x, 0.1).requires_grad


# --- in DeepInverse -------------------------------------------------------------------------


def test_plug_and_play_fills_in(clean):
    """Perona-Malik as the prior of a picture of which half the pixels are known, and noisy."""
    torch.manual_seed(0)
    x = clean[:1]
    physics = deepinv.physics.Inpainting(
        img_size=x.shape[1:], mask=0.5, noise_model=deepinv.physics.GaussianNoise(0.02)
    )
    y = physics(x)
    model = deepinv.optim.PGD(
        data_fidelity=deepinv.optim.L2(),
        prior=deepinv.optim.PnP(to_deepinv("perona_malik")),
        stepsize=1.0,
        sigma_denoiser=falling(0.5, 0.02, 20),
        max_iter=20,
    )
    with torch.no_grad():
        result = model(y, physics)
    assert psnr(result, x) > psnr(y, x) + 20
    assert psnr(result, x) > 29


def test_plug_and_play_deblurs(clean):
    torch.manual_seed(0)
    x = clean[:1]
    physics = deepinv.physics.BlurFFT(
        img_size=x.shape[1:],
        filter=gaussian(1.5),
        noise_model=deepinv.physics.GaussianNoise(0.01),
    )
    y = physics(x)
    model = deepinv.optim.HQS(
        data_fidelity=deepinv.optim.L2(),
        prior=deepinv.optim.PnP(to_deepinv("perona_malik")),
        stepsize=10.0,
        sigma_denoiser=falling(0.2, 0.01, 8),
        max_iter=8,
    )
    with torch.no_grad():
        result = model(y, physics)
    assert psnr(result, x) > psnr(y, x) + 5


def test_unrolled_iterations_can_be_differentiated(clean):
    """A gradient through several iterations of DeepInverse reaches the measurements."""
    x = clean[:1, :1]
    physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(0.1))
    model = deepinv.optim.PGD(
        data_fidelity=deepinv.optim.L2(),
        prior=deepinv.optim.PnP(to_deepinv("perona_malik(kappa=0.2, time=1)")),
        stepsize=0.5,
        sigma_denoiser=0.05,
        max_iter=3,
        unfold=True,
    )
    y = physics(x).requires_grad_()
    [gradient] = torch.autograd.grad((model(y, physics) - x).square().sum(), y)
    assert gradient.isfinite().all()
    assert gradient.any()


@pytest.mark.parametrize("method", ["perona_malik", "heat"])
def test_as_a_reconstructor_that_is_compared_with_others(method, clean):
    """As leaderboards do: model(y, physics), where the physics tells σ, and metrics of the results."""
    physics = deepinv.physics.Denoising(deepinv.physics.GaussianNoise(0.1))
    model = deepinv.models.ArtifactRemoval(to_deepinv(method), mode="direct")
    torch.manual_seed(0)
    y = physics(clean)
    result = model(y, physics)
    score = deepinv.metric.PSNR()(result, clean)
    assert score.shape == (2,)
    assert (score > deepinv.metric.PSNR()(y, clean) + 3).all()


# --- from DeepInverse (more: test_from_deepinv.py) ------------------------------------------


def drunet(channels):
    torch.manual_seed(channels)
    return deepinv.models.DRUNet(
        in_channels=channels, out_channels=channels, nc=(4, 8, 8, 8), nb=1, pretrained=None
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_of_deepinverse(channels, noisy):
    model = drunet(channels)
    x = noisy[:1, :channels]
    with torch.no_grad():
        expected = model(x, 0.1)[0]
    denoiser = from_deepinv(model, black=0, white=1)
    if channels == 1:
        result = df.denoise(x[0, 0].numpy(), 0.1, denoiser)
        assert_allclose(result, expected[0], atol=1e-5)
    else:
        last = np.moveaxis(x[0].numpy(), 0, -1)
        result = df.denoise(last, 0.1, denoiser, channel_axis=-1)
        assert_allclose(np.moveaxis(result, -1, 0), expected, atol=1e-5)


def test_other_numbers_of_channels_are_denoised_one_by_one(noisy):
    image = noisy[0].numpy()
    alone = from_deepinv(drunet(1), channels=1, black=0, white=1)
    result = alone(image, 0.1, channel_axis=0)
    for mine, theirs in zip(result, image, strict=True):
        assert_allclose(mine, alone(theirs, 0.1), atol=1e-6)
    three = from_deepinv(drunet(3), channels=3, black=0, white=1)
    with torch.no_grad():
        same = drunet(3)(torch.from_numpy(image[:1])[None].expand(1, 3, -1, -1), 0.1 * 3**0.5)
    assert_allclose(three(image[0], 0.1), same[0].mean(dim=0), atol=1e-5)


def test_there_and_back(noisy):
    denoiser = from_deepinv(to_deepinv("heat(time=1)"), black=0, white=1)
    expected = df.denoise(noisy[0].numpy(), 0.1, "heat(time=1)", channel_axis=0)
    assert_allclose(denoiser(noisy[0].numpy(), 0.1, channel_axis=0), expected, atol=1e-5)
    assert repr(denoiser) == "from_deepinv(DifffilterDenoiser(), black=0, white=1)"


@pytest.mark.filterwarnings("ignore:.torch_dtype. is deprecated:FutureWarning")  # DeepInverse's
def test_a_folder_of_diffusers_that_we_wrote(photo, tmp_path):
    """DeepInverse denoises with the DDPM's weights, as a pipeline of diffusers."""
    bridge = pytest.importorskip("difffilter.integrations.diffusers", exc_type=ImportError)
    bridge.save_diffusers("natural-gray", tmp_path / "folder")
    wrapper = deepinv.models.DiffusersDenoiserWrapper(
        mode_id=str(tmp_path / "folder"), device="cpu"
    )
    x = torch.from_numpy(photo[:64, :64]).float()[None, None]
    y = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = wrapper(y, 0.1)
    ours = df.denoise(y[0, 0].numpy(), 0.1, method="ddpm(black=0, white=1)")
    assert psnr(theirs, x) > psnr(y, x) + 6
    assert psnr(theirs, x) == pytest.approx(psnr(torch.from_numpy(ours), x[0, 0]), abs=0.02)
