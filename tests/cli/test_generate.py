"""The commands for words and pictures."""

import json
import re

import numpy as np
import pytest
from command import invoke, invoke_error, invoke_ok
from PIL import Image

torch = pytest.importorskip("torch")
from tiny_models import tiny_clip, tiny_model, tiny_sounds  # noqa: E402

from difffilter.generate import Pipeline  # noqa: E402


@pytest.fixture
def models(tmp_path):
    tiny_model(tmp_path)
    tiny_model(tmp_path, "pixel")
    tiny_clip(tmp_path)
    return tmp_path


def test_generate_writes_a_grid(models):
    arguments = ("a red heart", "-n", 3, "--steps", 2, "--model", "latent.safetensors")
    assert invoke_ok("generate", *arguments, "-o", "grid.png", cwd=models) == ""
    grid = np.asarray(Image.open(models / "grid.png"))
    assert grid.shape == (2 * 64 + 6, 2 * 64 + 6, 3)
    assert (grid[68:-2, 68:-2] == 255).all()  # the fourth place is empty
    invoke_ok("generate", *arguments, "-o", "again.png", cwd=models)
    np.testing.assert_array_equal(grid, np.asarray(Image.open(models / "again.png")))
    invoke_ok("generate", *arguments, "-o", "other.png", "--seed", 1, cwd=models)
    assert (grid != np.asarray(Image.open(models / "other.png"))).any()
    assert "grid.png exists already" in invoke_error(
        "generate", *arguments, "-o", "grid.png", cwd=models
    )


def test_upsampled_pictures_are_four_times_as_large(models):
    arguments = ("a red heart", "--steps", 1, "--upsample")
    invoke_ok("generate", *arguments, "--model", "latent.safetensors", "-o", "256.png", cwd=models)
    assert np.asarray(Image.open(models / "256.png")).shape == (256, 256, 3)
    for option, words in (
        (
            ("--model", "pixel.safetensors"),
            "for pictures in colour, and this model makes grey ones",
        ),
        (("--pipeline", "folder"), "--upsample is not for --pipeline; --size sets its size"),
    ):
        refused = invoke_error("generate", *arguments, *option, "-o", "no.png", cwd=models)
        assert words in refused
        assert not (models / "no.png").exists()


def test_generate_writes_one_picture_and_its_way(models):
    invoke_ok(
        "generate", "a fish", "--model", "pixel.safetensors", "--steps", 3, "-o", "fish.png",
        "--gif", "way.gif", "--guidance", "1", "--negative", "a heart", "--solver", "ddim",
        cwd=models,
    )  # fmt: skip
    assert np.asarray(Image.open(models / "fish.png")).shape == (16, 16)
    with Image.open(models / "way.gif") as animation:
        assert animation.n_frames == 4
        assert animation.size == (192, 192)
        animation.seek(3)
        assert animation.info["duration"] == 1500


def test_files_say_that_they_were_generated(models):
    def info(*options):
        invoke_ok(
            "generate", "a red heart", "--model", "pixel.safetensors", "--steps", 1, "--seed", 3,
            "-o", "heart.png", "--gif", "way.gif", "--overwrite", *options, cwd=models,
        )  # fmt: skip
        with Image.open(models / "heart.png") as image:
            details, xmp = json.loads(image.info["Comment"]), image.info["XML:com.adobe.xmp"]
        assert "digitalsourcetype/trainedAlgorithmicMedia" in xmp
        with Image.open(models / "way.gif") as animation:
            assert json.loads(animation.info["comment"]) == details
        return details

    details = info()
    assert details.pop("software").startswith("difffilter ")
    assert details.pop("source").endswith("trainedAlgorithmicMedia")
    assert details == {
        "prompt": "a red heart", "model": "pixel.safetensors", "steps": 1, "seed": 3,
    }  # fmt: skip
    assert "prompt" not in info("--no-prompt")


def test_generate_tells_words_that_the_model_never_saw(models):
    result = invoke(
        "generate", "a red quark", "--model", "pixel.safetensors", "--steps", 1, "-o", "quark.png",
        cwd=models,
    )  # fmt: skip
    assert result.returncode == 0
    assert result.stderr == "note: the model never saw the word 'quark'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "clip.safetensors"], "of kind clip; expected text-to-image"),
        (["--model", "lattent"], "weights is 'lattent'; expected a file or one of"),
        (["--model", "pixel.safetensors", "--size", "64"], "--size is for --pipeline; a model has one size"),
        (["--pipeline", "nowhere", "--gif", "a.gif"], "--gif is not for --pipeline"),
        (["--pipeline", "nowhere", "--model", "latent"], "--model is not for --pipeline"),
        (["--pipeline", "nowhere", "--prior", "prior"], "--prior is not for --pipeline"),
        (["--model", "pixel.safetensors", "--gif", "a.mp4"], "a.mp4"),
        (["--guidance", "-1", "--model", "pixel.safetensors"], "guidance is -1.0; expected a finite number"),
    ],
)  # fmt: skip
def test_generate_refuses(models, arguments, message):
    assert message in invoke_error("generate", "a fish", "-o", "fish.png", *arguments, cwd=models)
    assert not (models / "fish.png").exists()


@pytest.fixture
def pipeline(tmp_path):
    """A folder of diffusers with a DDPM of 8×8 pixels with random weights."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()).save_pretrained(tmp_path / "ddpm")
    return tmp_path


def test_generate_by_a_pipeline(pipeline):
    arguments = ("--pipeline", "ddpm", "--steps", 2, "--seed", 3, "--device", "cpu")
    assert invoke_ok("generate", "", *arguments, "-n", 2, "-o", "grid.png", cwd=pipeline) == ""
    grid = np.asarray(Image.open(pipeline / "grid.png"))
    made = Pipeline.load(pipeline / "ddpm", device="cpu").images(n=2, steps=2, seed=3)
    np.testing.assert_array_equal(grid[2:10, 2:10], made[0])
    np.testing.assert_array_equal(grid[2:10, 12:20], made[1])
    assert (grid[:2] == 255).all()
    error = invoke_error("generate", "a frog", *arguments, "-o", "frog.png", cwd=pipeline)
    assert error.startswith("error: prompt is 'a frog'; expected None")


def test_a_lack_of_memory_is_told_with_advice(pipeline, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("2 images do not fit into the memory of cuda; try fewer")

    monkeypatch.setattr(Pipeline, "images", fail)
    arguments = ("--pipeline", "ddpm", "-o", "frog.png", "--device", "cpu")
    assert invoke_error("generate", "", *arguments, cwd=pipeline) == (
        "error: 2 images do not fit into the memory of cuda; try fewer\n"
    )


def test_similarity_draws_bars(models):
    Image.new("RGBA", (40, 30), (255, 0, 0, 128)).save(models / "red.png")
    out = invoke_ok(
        "similarity", "red.png", "a red heart", "a blue fish", "--model", "clip.safetensors",
        cwd=models,
    )  # fmt: skip
    found = re.findall(r"^(a red heart|a blue fish) +(-?\d\.\d\d)(?:  (█*))?$", out, re.M)
    assert len(found) == 2
    values = [float(value) for _, value, _ in found]
    assert values == sorted(values, reverse=True)
    assert [len(bar) for *_, bar in found] == [
        pytest.approx(max(0, 40 * value), abs=0.7) for value in values
    ]


def test_the_name_of_a_sound_makes_sounds(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    tiny_sounds(tmp_path)
    how = ("--model", "sounds.safetensors", "--steps", 2)
    invoke_ok("generate", "a red heart", "-o", "one.wav", *how, cwd=tmp_path)
    invoke_ok(
        "generate", "a red heart", "-n", 2, "--no-prompt", "-o", "two.flac", *how, cwd=tmp_path
    )
    with soundfile.SoundFile(tmp_path / "one.wav") as file:
        assert (file.samplerate, file.channels, len(file)) == (16_000, 1, 20_000)
        told = json.loads(file.comment)
    assert told["prompt"] == "a red heart"
    assert told["source"].endswith("trainedAlgorithmicMedia")
    assert (tmp_path / "two-2.flac").exists()
    assert b"heart" not in (tmp_path / "two-1.flac").read_bytes()
    for arguments, message in (
        (("--upsample",), "--upsample is for pictures, and x.wav is a sound"),
        (("--gif", "x.gif"), "--gif is for pictures, and x.wav is a sound"),
        (("--size", 64), "--size is for pictures, and x.wav is a sound"),
        (("-o", "x.mp3"), "x.mp3"),
        (("-o", "one.wav"), "one.wav exists already"),
    ):
        error = invoke_error("generate", "x", "-o", "x.wav", *how, *arguments, cwd=tmp_path)
        assert message in error
