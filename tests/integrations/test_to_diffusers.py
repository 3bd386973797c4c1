"""The DDPM's weights as folders that diffusers opens."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import random_bias_free, random_weights, randomised
from numpy.testing import assert_allclose, assert_array_equal
from tiny_ddpms import UNIT, save_pipeline

from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.denoiser import DDPM
from difffilter.ddpm.evolution import generate
from difffilter.ddpm.process import keyed_generator
from difffilter.ddpm.schedule import NoiseSchedule
from difffilter.ddpm.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

from difffilter.integrations.diffusers import (  # noqa: E402
    as_scheduler,
    as_unet2d,
    from_diffusers,
    save_diffusers,
)

pytestmark = pytest.mark.usefixtures("torch_threads", "no_network")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return random_weights(tmp_path_factory.mktemp("ours") / "ours.safetensors", 3)


@pytest.fixture
def noisy(rng):
    return rng.random((16, 24, 3))


def generated(pipeline, steps=3, seed=0):
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    return pipeline(num_inference_steps=steps, generator=generator, output_type="np").images


def load_pipeline(folder, **options):
    return diffusers.DDPMPipeline.from_pretrained(folder, low_cpu_mem_usage=False, **options)


def test_the_steps_of_diffusers_are_one_less(ours):
    net, bridge = weight_files.load(ours).net, as_unet2d(ours, size=16)
    assert (bridge.config.sample_size, bridge.config.in_channels) == (16, 3)
    assert (bridge.dtype, bridge.device) == (torch.float32, torch.device("cpu"))
    x = torch.randn(2, 3, 16, 16, generator=keyed_generator(0))
    for t in (0, 57, torch.tensor(57), torch.tensor([57, 999])):
        expected = net(x, torch.as_tensor(t).expand(2).float() + 1)
        assert_array_equal(bridge(x, t).sample.numpy(), expected.numpy())
        assert_array_equal(bridge(x, t, return_dict=False)[0].numpy(), expected.numpy())


def test_the_pipeline_from_the_folder_generates_what_the_network_does(ours, tmp_path):
    save_diffusers(ours, tmp_path / "saved", size=16)
    assert not list((tmp_path / "saved").rglob("*.py"))
    pipeline = diffusers.DDPMPipeline(as_unet2d(ours, size=16), as_scheduler(ours))
    expected = generated(pipeline)
    assert expected.shape == (1, 16, 16, 3)
    assert_allclose(generated(load_pipeline(tmp_path / "saved")), expected, atol=1e-5)


@pytest.mark.parametrize("steps", [2, 5, 8])
def test_the_pipeline_generates_the_images_of_ours(steps, ours, tmp_path):
    """To rounding, from a generator in the same state: both draw the same noises in the same order."""
    save_diffusers(ours, tmp_path / "saved", size=16)
    pipeline = load_pipeline(tmp_path / "saved")
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        batch_size=2,
        generator=keyed_generator(3),
        num_inference_steps=steps,
        output_type="np",
    ).images
    expected = generate(2, (16, 16), weights=ours, steps=steps, seed=3, device="cpu")
    # (The first estimate is 157 times the rounding of the network.)
    assert_allclose(images, expected, atol=1e-4)
    denoise = from_diffusers(tmp_path / "saved", steps=steps, seed=3, device="cpu")
    assert_allclose(denoise.generate(2), expected, atol=1e-4)


def test_a_fresh_process_needs_but_one_import(ours, tmp_path):
    save_diffusers(ours, tmp_path / "saved", size=16)
    code = (
        "import diffusers, difffilter.integrations.diffusers\n"
        f"pipe = diffusers.DDPMPipeline.from_pretrained({str(tmp_path / 'saved')!r}, local_files_only=True)\n"
        "print(pipe(num_inference_steps=2, output_type='np').images.shape)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "(1, 16, 16, 3)\n"


def test_both_libraries_take_the_same_way_back(ours, tmp_path):
    save_diffusers(ours, tmp_path / "saved", size=16)
    denoise = from_diffusers(tmp_path / "saved", steps=5, eta=0, device="cpu")
    net = as_unet2d(ours, size=16)
    scheduler = diffusers.DDIMScheduler.from_config(as_scheduler(ours).config)
    scheduler.set_timesteps(5)
    x = torch.randn((1, 3, 16, 16), generator=keyed_generator(0))
    for t in scheduler.timesteps:
        x = scheduler.step(net(x, t).sample, t, x, use_clipped_model_output=True).prev_sample
    expected = np.moveaxis((x.numpy() + 1) / 2, 1, -1).clip(0, 1)
    assert_allclose(denoise.generate(1), expected, atol=1e-5)


def test_there_and_back_it_denoises_as_before(ours, tmp_path, noisy):
    save_diffusers(ours, tmp_path / "saved", size=(16, 32))
    before = DDPM(weights=ours, dtype="float32", **UNIT)
    after = from_diffusers(tmp_path / "saved", **UNIT)
    result = after(noisy, 0.1, channel_axis=-1)
    assert_allclose(result, before(noisy, 0.1, channel_axis=-1), atol=1e-6)
    with pytest.warns(UserWarning, match=r"sigma=0\.9 is outside the range 0\.01 \.\.\. 0\.5"):
        after(noisy, 0.9, channel_axis=-1)
    sample = replace(after, mode="sample", steps=3)(noisy, 0.1, channel_axis=-1)
    expected = replace(before, mode="sample", steps=3)(noisy, 0.1, channel_axis=-1)
    assert_allclose(sample, expected, atol=1e-5)


def test_a_denoiser_stands_for_its_weights(ours):
    bridge = as_unet2d(DDPM(weights=ours), size=16)
    expected = as_unet2d(ours, size=16).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in bridge.state_dict().items())
    assert as_scheduler(DDPM(weights=ours)).config == as_scheduler(ours).config


def test_the_network_of_the_bridge_is_a_copy(ours):
    bridge = as_unet2d(ours, size=16)
    bridge.to(torch.float64)
    assert as_unet2d(ours, size=16).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_pipelines_in_half_precision(dtype, ours, tmp_path):
    save_diffusers(ours, tmp_path / "saved", size=16)
    pipeline = load_pipeline(tmp_path / "saved", dtype=dtype)
    assert pipeline.unet.dtype == dtype
    x = torch.randn((1, 3, 16, 16), generator=keyed_generator(0)).to(dtype)
    expected = as_unet2d(ours, size=16)(x.float(), 500).sample
    assert_allclose(pipeline.unet(x, 500).sample.float().detach(), expected, atol=0.1)


@pytest.mark.parametrize(
    "schedule",
    [
        NoiseSchedule(),
        NoiseSchedule("linear", 50, 0.001, 0.2),
        NoiseSchedule("cosine"),
        NoiseSchedule("explicit", betas=(0.1, 0.2, 0.3)),
    ],
    ids=lambda schedule: schedule.kind,
)
def test_every_schedule_has_its_scheduler(schedule, tmp_path):
    config = UNetConfig(widths=(8,), blocks=1, middle=1, attention=(), groups=4, embedding=8)
    weights = tmp_path / "own.safetensors"
    weight_files.save(weights, randomised(UNet, config), schedule, (0.01, 0.5))
    scheduler = as_scheduler(weights)
    assert_allclose(scheduler.betas, schedule.beta, rtol=2e-5)
    save_diffusers(weights, tmp_path / "saved", size=8)
    denoise = from_diffusers(tmp_path / "saved", device="cpu")
    read = denoise.load_weights(denoise.weights)
    assert_allclose(read.schedule.beta, schedule.beta, rtol=2e-5)
    assert read.sigma_range == (0.01, 0.5)
    assert generated(load_pipeline(tmp_path / "saved"), steps=2).shape == (1, 8, 8, 1)


def test_weights_that_take_maps_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"of a BiasFreeUNet; expected those of a UNet, which takes"
    ):
        as_unet2d(random_bias_free(tmp_path / "gray.safetensors", 1))


@pytest.mark.parametrize(
    ("weights", "options", "kind", "message"),
    [
        ("natural-gry", {}, FileNotFoundError, r"weights is 'natural-gry'; expected a file or one of"),
        ("natural-color-real", {}, ValueError, r"weights is 'natural-color-real', for real noise; expected"),
        (3, {}, TypeError, r"weights is 3; expected a name such as 'natural-gray', a file, or a DDPM"),
        (DDPM(), {}, TypeError, r"weights is DDPM\(weights=None, .*; expected a name such as"),
        ("natural-gray", {"size": 40}, ValueError, r"size is 40; expected a multiple of 16"),
        ("natural-gray", {"size": (32, 0)}, ValueError, r"size is 0; expected a whole number"),
        ("natural-gray", {"size": "64"}, ValueError, r"size is '64'; expected a whole number"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused(weights, options, kind, message, tmp_path):
    with pytest.raises(kind, match=f"^{message}"):
        save_diffusers(weights, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_no_folder_is_written_over(ours, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(ValueError, match=r"which is not empty; expected a new folder$"):
            save_diffusers(ours, folder)


def test_a_foreign_network_is_not_saved_as_ours(tmp_path):
    theirs = save_pipeline(tmp_path / "theirs")
    with pytest.raises(FileNotFoundError, match="expected a file or one of"):
        save_diffusers(from_diffusers(theirs, device="cpu"), tmp_path / "new")
