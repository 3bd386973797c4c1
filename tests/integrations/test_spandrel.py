"""Published weight files as Denoisers give what their networks give."""

import pickle
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from published_networks import architecture, saved, small
from torchvision_operators import imported

import difffilter as df
from difffilter.integrations.spandrel import from_file, takes_sigma

spandrel = imported("spandrel")

pytestmark = pytest.mark.usefixtures("torch_threads")


@pytest.fixture
def noisy(rng):
    return (0.5 + 0.2 * rng.standard_normal((45, 50, 3))).astype(np.float32)


UNIT = {"black": 0, "white": 1, "device": "cpu"}


def as_batch(image):
    return torch.from_numpy(np.moveaxis(image, -1, 0))[None]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".ckpt"])
@pytest.mark.parametrize("name", ["SCUNet", "NAFNet", "DnCNN"])
def test_a_blind_network(name, suffix, noisy, tmp_path):
    path = saved(small(name), tmp_path / f"weights{suffix}")
    denoiser = from_file(path, **UNIT)
    image = noisy.clip(0.1, 0.9)
    theirs = spandrel.ModelLoader().load_from_state_dict(small(name).state_dict())
    result = df.denoise(image, 0.1, denoiser, channel_axis=-1)
    assert_allclose(as_batch(result), theirs(as_batch(image)), atol=1e-5)
    assert_array_equal(denoiser(image, 0.3, channel_axis=-1), result)
    assert not takes_sigma(denoiser._found())


def test_an_architecture_of_the_other_package(noisy, tmp_path):
    extra = pytest.importorskip(
        "spandrel_extra_arches", reason="spandrel_extra_arches is not installed"
    )
    extra.install(ignore_duplicates=True)
    torch.manual_seed(0)
    module = import_module("spandrel_extra_arches.architectures.Restormer")
    net = module.Restormer(
        dim=8, num_blocks=[1] * 4, num_refinement_blocks=1, heads=[1, 2, 4, 8]
    ).eval()
    path = saved(net, tmp_path / "restormer.pth")
    image = noisy[:40, :48].clip(0.1, 0.9)  # sides that it takes as they are
    result = df.denoise(image, 0.1, from_file(path, **UNIT), channel_axis=-1)
    with torch.inference_mode():
        expected = net(as_batch(image)).clamp(0, 1)
    assert_allclose(as_batch(result), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_sigma_goes_to_a_network_that_takes_it(channels, noisy, tmp_path):
    net = small("DRUNet", channels)
    denoiser = from_file(saved(net, tmp_path / "drunet.pth"), **UNIT)
    assert takes_sigma(denoiser._found())
    noisy = noisy.clip(0, 1)
    x = as_batch(noisy[:40, :48, :channels])  # multiples of 8, which need no padding
    image = noisy[:40, :48] if channels == 3 else noisy[:40, :48, 0]
    axis = -1 if channels == 3 else None
    for sigma in (0.05, 0.2):
        with torch.no_grad():
            expected = net(torch.cat([x, torch.full_like(x[:, :1], sigma)], dim=1))[0]
        result = denoiser(image, sigma, channel_axis=axis)
        assert_allclose(result, expected.movedim(0, -1).squeeze(-1), atol=1e-5)
    assert denoiser(noisy, 0.1, channel_axis=-1).shape == noisy.shape  # 45 × 50


def test_the_unit_does_not_matter_and_sigma_may_be_estimated(noisy, tmp_path):
    denoiser = from_file(saved(small("DRUNet"), tmp_path / "drunet.pth"), device="cpu")
    for sigma, larger in [(0.1, 100.0), (None, None)]:
        result = denoiser(noisy, sigma, channel_axis=-1)
        kilo = denoiser(1000 * noisy, larger, channel_axis=-1)
        assert_allclose(kilo / 1000, result, atol=1e-4)


def test_grey_images_and_volumes(noisy, tmp_path):
    denoiser = from_file(saved(small("SCUNet"), tmp_path / "scunet.pth"), **UNIT)
    volume = np.ascontiguousarray(np.moveaxis(noisy, -1, 0))
    for mine, theirs in zip(denoiser(volume, 0.1), volume, strict=True):
        assert_allclose(mine, denoiser(theirs, 0.1), atol=1e-5)


def test_tiles(rng, tmp_path):
    denoiser = from_file(saved(small("DRUNet", 1), tmp_path / "drunet.pth"), **UNIT)
    image = rng.random((130, 90), np.float32)
    result = replace(denoiser, tile=64)(image, 0.1)
    assert np.abs(result - denoiser(image, 0.1)).mean() < 0.02


def test_a_denoiser_is_text(tmp_path):
    """So that command lines, studies and processes can pass it on."""
    path = str(saved(small("DnCNN"), tmp_path / "dncnn.pth"))
    denoiser = from_file(path, tile=64)
    assert df.make(f"difffilter.integrations.spandrel:FromFile(path={path!r}, tile=64)") == denoiser
    assert pickle.loads(pickle.dumps(denoiser)) == denoiser


# --- files that are refused (more: test_weight_files.py) ------------------------------------


def test_other_networks_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"layer.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ValueError, match="expected weights of a network that spandrel knows"):
        from_file(path)
    doubling = architecture("Compact")(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2)
    with pytest.raises(ValueError, match="for SR at scale 2; expected a network that denoises"):
        from_file(saved(doubling, path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        from_file(tmp_path / "none.pth")
