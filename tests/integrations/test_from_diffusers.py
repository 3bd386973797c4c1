"""DDPMs of diffusers as Denoisers: one estimate through both libraries, and clear refusals."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from tiny_ddpms import SCHEDULES, UNIT, save_pipeline, tiny_model

import difffilter as df
from difffilter.catalog import spell
from difffilter.ddpm.process import keyed_generator
from difffilter.ddpm.schedule import NoiseSchedule

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

from difffilter.integrations.diffusers import (  # noqa: E402
    DiffusersDDPM,
    from_diffusers,
)
from difffilter.integrations.networks import PREDICTIONS  # noqa: E402

pytestmark = pytest.mark.usefixtures("torch_threads", "no_network")

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return save_pipeline(tmp_path_factory.mktemp("theirs") / "pipeline")


@pytest.fixture
def copy(theirs, tmp_path):
    """A copy to change."""
    return shutil.copytree(theirs, tmp_path / "copy")


@pytest.fixture
def noisy(rng):
    return rng.random((16, 24, 3))


def estimate_by_diffusers(folder, kind, image, step):
    """x̂_0 of an image in [0, 1] and its σ, by the scheduler, at a step counted from 0."""
    model = diffusers.UNet2DModel.from_pretrained(folder / "unet", low_cpu_mem_usage=False)
    scheduler = getattr(diffusers, f"{kind}Scheduler").from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(scheduler.config.num_train_timesteps)
    alpha_bar = (1 - scheduler.betas.double()).cumprod(dim=0)[step]
    y = torch.from_numpy(2 * np.moveaxis(image, -1, 0)[None] - 1)
    x = (alpha_bar.sqrt() * y).float()
    with torch.no_grad():
        output = model(x, step).sample
    x0 = scheduler.step(output, step, x).pred_original_sample
    sigma = float(((1 - alpha_bar) / alpha_bar).sqrt()) / 2
    return (np.moveaxis(x0[0].numpy(), 0, -1) + 1) / 2, sigma


@pytest.mark.parametrize("kind", ["DDPM", "DDIM"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_both_libraries_estimate_the_same_image(prediction, schedule, kind, tmp_path, noisy):
    settings = SCHEDULES[schedule]
    folder = save_pipeline(
        tmp_path / "pipeline", kind, prediction_type=prediction, clip_sample=False, **settings
    )
    denoise = from_diffusers(folder, **UNIT)
    for step in [1, 2] if schedule == "given" else [1, 40, 350]:
        expected, sigma = estimate_by_diffusers(folder, kind, noisy, step)
        assert_allclose(denoise(noisy, sigma, channel_axis=-1), expected, atol=1e-5)


def test_both_libraries_generate_the_same_image(theirs):
    """From the same noise, by DDIM, which adds none; all estimates are clipped."""
    denoise = from_diffusers(theirs, device="cpu", steps=5, eta=0, seed=3)
    made = denoise.generate(2)
    assert made.shape == (2, 8, 8, 3)
    model = diffusers.UNet2DModel.from_pretrained(theirs / "unet", low_cpu_mem_usage=False)
    scheduler = diffusers.DDIMScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(5)
    x = torch.randn((2, 3, 8, 8), generator=keyed_generator(3))
    for t in scheduler.timesteps:
        with torch.no_grad():
            output = model(x, t).sample
        x = scheduler.step(output, t, x, use_clipped_model_output=True).prev_sample
    assert_allclose(made, np.moveaxis((x.numpy() + 1) / 2, 1, -1).clip(0, 1), atol=1e-5)


def test_size_and_steps_of_generated_images(theirs, copy):
    assert from_diffusers(theirs, device="cpu", steps=1).generate(1, (4, 6)).shape == (1, 4, 6, 3)
    change(copy / "unet/config.json", sample_size=[4, 8])
    assert from_diffusers(copy, device="cpu", steps=1).generate(1).shape == (1, 4, 8, 3)
    change(copy / "unet/config.json", sample_size=None)
    with pytest.raises(ValueError, match=r"^shape is None; expected height and width, which the "):
        from_diffusers(copy, device="cpu").generate(1)


@pytest.mark.parametrize("mode", ["mmse", "sample", "average"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (13, 5, 3), (40, 70, 3)])
def test_every_mode_and_shape(theirs, mode, shape, rng):
    denoise = from_diffusers(theirs, mode=mode, samples=2, steps=3, tile=64, device="cpu")
    noisy = rng.random(shape, np.float32)
    result = denoise(noisy, 0.1, channel_axis=-1)
    assert (result.shape, result.dtype) == (noisy.shape, np.float32)
    assert np.isfinite(result).all()
    assert_array_equal(denoise(noisy, 0.1, channel_axis=-1), result)


def test_grey_images_go_through_networks_of_one_channel(tmp_path, rng):
    folder = save_pipeline(tmp_path / "grey", model=tiny_model(in_channels=1, out_channels=1))
    noisy = 0.5 + 0.1 * rng.standard_normal((32, 32))
    denoise = from_diffusers(folder, device="cpu")
    assert denoise.choose(noisy).sigma == pytest.approx(0.1, rel=0.2)
    assert denoise(noisy).shape == (32, 32)


def test_of_a_learned_variance_the_noise_is_taken(tmp_path, noisy):
    model = tiny_model(out_channels=6)
    folder = save_pipeline(
        tmp_path / "learned", model=model, variance_type="learned_range", clip_sample=False
    )
    expected, sigma = estimate_by_diffusers(folder, "DDPM", noisy, 40)
    result = from_diffusers(folder, **UNIT)(noisy, sigma, channel_axis=-1)
    assert_allclose(result, expected, atol=1e-5)


def test_below_the_first_step_the_change_is_in_proportion(theirs, noisy):
    denoise = from_diffusers(theirs, **UNIT)
    least = float(NoiseSchedule().sigma_tilde(1)) / 2
    change = denoise(noisy, least, channel_axis=-1) - noisy
    with pytest.warns(UserWarning, match="is outside the range"):
        little = denoise(noisy, least / 4, channel_axis=-1) - noisy
    assert_allclose(little, change / 4, atol=1e-5)


@pytest.mark.parametrize("index", [True, False])
def test_a_bare_model_with_its_scheduler(index, theirs, tmp_path, noisy):
    bare = shutil.copytree(theirs / "unet", tmp_path / "bare")
    shutil.copy(theirs / "scheduler/scheduler_config.json", bare)
    if index:  # as the first models on the Hub have
        shutil.copy(theirs / "model_index.json", bare)
    expected = from_diffusers(theirs, device="cpu")(noisy, 0.1, channel_axis=-1)
    assert_array_equal(from_diffusers(bare, device="cpu")(noisy, 0.1, channel_axis=-1), expected)


def test_weights_of_a_variant(theirs, copy, noisy):
    (copy / "unet" / WEIGHTS).rename(
        copy / "unet" / WEIGHTS.replace(".safetensors", ".fp16.safetensors")
    )
    expected = from_diffusers(theirs, device="cpu")(noisy, 0.1, channel_axis=-1)
    assert_array_equal(from_diffusers(copy, device="cpu")(noisy, 0.1, channel_axis=-1), expected)


def test_changed_files_are_read_anew(copy, noisy):
    denoise = from_diffusers(copy, device="cpu")
    before = denoise(noisy, 0.1, channel_axis=-1)
    change(copy / "scheduler/scheduler_config.json", prediction_type="sample")
    assert not np.array_equal(denoise(noisy, 0.1, channel_axis=-1), before)


def test_text_and_pickles_make_the_same_denoiser(theirs, noisy):
    denoise = from_diffusers(theirs, mode="sample", steps=2, device="cpu")
    assert spell(denoise).startswith("difffilter.integrations.diffusers:DiffusersDDPM(weights=")
    assert df.make(spell(denoise)) == pickle.loads(pickle.dumps(denoise)) == denoise
    chosen = df.estimate_parameters(noisy, method=denoise, channel_axis=-1)
    expected = denoise(noisy, channel_axis=-1)
    assert_array_equal(df.make(str(chosen))(noisy, channel_axis=-1), expected)


def test_blocks_are_those_of_the_whole(theirs, rng):
    noisy = rng.random((150, 130, 3))
    denoise = from_diffusers(theirs, tile=64, device="cpu").choose(noisy, 0.1, channel_axis=-1)
    (rows, columns), part = denoise.block(((60, 90), (0, 130)), noisy.shape[:2])
    result = part(noisy[slice(*rows), slice(*columns)], channel_axis=-1)
    expected = denoise(noisy, channel_axis=-1)[60:90]
    assert_allclose(result[60 - rows[0] : 90 - rows[0]], expected, atol=1e-6)


@pytest.mark.parametrize(("size", "tile"), [(8, 128), (256, 256), ([160, 192], 192), (None, 128)])
def test_tiles_are_as_large_as_the_images_of_the_training(size, tile, copy):
    change(copy / "unet/config.json", sample_size=size)
    assert from_diffusers(copy, device="cpu").tile == tile
    assert from_diffusers(copy, device="cpu", tile=64).tile == 64


# --- refusals -------------------------------------------------------------------------------


def change(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusal(folder, kind=ValueError, **options):
    """The message with which a folder is refused, without the path."""
    with pytest.raises(kind) as caught:
        from_diffusers(folder, device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "FOLDER")


def test_names_are_not_looked_up():
    assert refusal("google/ddpm-cat-256", FileNotFoundError) == (
        "folder is 'FOLDER'; expected a folder on this machine, since nothing is downloaded"
    )


def test_pickles_are_refused(copy):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    weights = copy / "unet" / WEIGHTS
    torch.save(Trap(), weights.with_suffix(".bin"))
    from_diffusers(copy, device="cpu")  # which takes the safetensors
    weights.unlink()
    assert refusal(copy).startswith(
        "unet/diffusion_pytorch_model.bin is a pickle, which can run any code when it is opened; "
        "expected safetensors"
    )


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("unet/config.json", "unet has no config.json; expected a folder that diffusers wrote"),
        ("scheduler/scheduler_config.json",
         "scheduler has no scheduler_config.json; expected a folder that diffusers wrote"),
        (f"unet/{WEIGHTS}", "FOLDER cannot be opened: "),
    ],
)  # fmt: skip
def test_incomplete_folders_are_refused(file, message, copy):
    (copy / file).unlink()
    assert refusal(copy).startswith(message)


def test_empty_folders_are_refused(tmp_path):
    assert refusal(tmp_path) == "FOLDER has no config.json; expected a folder that diffusers wrote"


@pytest.mark.parametrize("text", ["", "[]", "{}", "\0"])
@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json"])
def test_damaged_configurations_are_refused(file, text, copy):
    (copy / file).write_text(text)
    assert refusal(copy) == f"{file} is damaged; expected JSON that names a class"


def test_damaged_weights_are_refused(copy):
    content = (copy / "unet" / WEIGHTS).read_bytes()
    (copy / "unet" / WEIGHTS).write_bytes(content[: len(content) // 2])
    assert refusal(copy).startswith("FOLDER cannot be opened: ")


def test_layers_that_the_file_lacks_are_not_made_up(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "unet" / WEIGHTS)
    del tensors["conv_in.bias"]
    save_file(tensors, copy / "unet" / WEIGHTS, {"format": "pt"})
    assert refusal(copy) == (
        "unet is damaged: its weights do not fit its config: conv_in.bias"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"},
         "unet/config.json is of a UNet2DConditionModel; expected a UNet2DModel or UnshuffledUNet"),
        ("unet/config.json", {"num_class_embeds": 10},
         "unet is a network of classes; expected one without"),
        ("unet/config.json", {"time_embedding_type": "fourier"},
         "time_embedding_type of unet is 'fourier'; expected 'positional'"),
        ("unet/config.json", {"out_channels": 4},
         "out_channels of unet is 4; expected 3, as in_channels, or twice that"),
        ("scheduler/scheduler_config.json", {"_class_name": "PNDMScheduler"},
         "scheduler/scheduler_config.json is of a PNDMScheduler; expected a DDPMScheduler or DDIMScheduler"),
        ("scheduler/scheduler_config.json", {"prediction_type": "flow"},
         "prediction_type of scheduler is 'flow'; expected one of epsilon, v_prediction, sample"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "secret"},
         "FOLDER cannot be opened: secret is not implemented for "
         "<class 'diffusers.schedulers.scheduling_ddpm.DDPMScheduler'>"),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1, 1.5]},
         "FOLDER cannot be opened: betas has 1.5; expected numbers > 0 and < 1"),
    ],
)  # fmt: skip
def test_other_models_are_refused(file, changes, message, copy):
    change(copy / file, **changes)
    assert refusal(copy) == message


def test_code_in_a_folder_is_never_run(copy):
    for place in (copy, copy / "unet"):
        (place / "evil.py").write_text("raise SystemExit('code of the folder was run')")
    change(copy / "model_index.json", unet=["evil", "UNet"])
    from_diffusers(copy, device="cpu")  # which does not look at the index
    change(copy / "unet/config.json", _class_name="evil.UNet")
    assert refusal(copy) == (
        "unet/config.json is of a evil.UNet; expected a UNet2DModel or UnshuffledUNet"
    )


def test_bad_options_are_refused(theirs):
    assert refusal(theirs, mode="best").startswith("mode is 'best'; expected one of")
    with pytest.raises(TypeError, match="weights"):
        DiffusersDDPM()


def test_without_diffusers_it_says_what_to_install():
    code = (
        "import sys; sys.modules['diffusers'] = None\n"
        "try:\n"
        "    import difffilter.integrations.diffusers\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == (
        "difffilter.integrations.diffusers needs diffusers: pip install 'difffilter[diffusers]'\n"
    )
