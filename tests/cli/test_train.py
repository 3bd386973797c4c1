"""The commands for what is learned."""

import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
from captioned_folders import write_squares
from command import invoke_error, invoke_ok
from PIL import Image

from difffilter.cli import train
from difffilter.cli.completion import PRESETS as NAMES
from difffilter.generate import weights as generate_weights
from difffilter.image import like
from difffilter.io.weights import Collection
from difffilter.pde import weights

pytest.importorskip("torch")


def test_weights_are_listed_by_method(folder):
    lines = invoke_ok("weights", cwd=folder).splitlines()
    learned, ddpm = lines.index("learned"), lines.index("ddpm")
    assert any(re.match(r"  deep-gray .*\(1\.\d MB\)", line) for line in lines[learned:ddpm])
    assert any(re.match(r"  natural-gray .*\(5\.2 MB\)", line) for line in lines[ddpm:])
    assert any("bsd68, mmse: 31.76 dB at 15/255, 29.29" in line for line in lines[ddpm:])


def test_scores_of_weights_without_modes_are_listed(capsys):
    about = {"description": "Grey", "psnr": {"photos": {"15": 31.234, "25": 29.0}}}
    train.echo_card("deep-gray", about, 1_000_000)
    assert capsys.readouterr().out == (
        "  deep-gray           Grey (1.0 MB)\n"
        "                      photos: 31.23 dB at 15/255, 29.00 dB at 25/255\n"
    )
    train.echo_card("convex-gray", {"description": "Grey"}, 26_400)
    assert capsys.readouterr().out == "  convex-gray         Grey (26 kB)\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "huge"], "preset is 'huge'; expected one of gray-small, color-small, "
         "gray-bias-free, color-bias-free, gray-real, color-real, gray-base, color-base\n"),
        (["--preset", "deep-gray"], "preset is 'deep-gray'; expected one of gray-small, color-small, "
         "gray-bias-free, color-bias-free, gray-real, color-real, gray-base, color-base, or "
         "--method learned\n"),
        (["-m", "learned", "--preset", "gray-small"], "preset is 'gray-small'; expected one of "
         "deep-gray, deep-color, convex-gray, convex-color, or --method ddpm\n"),
        (["-m", "learned", "--preset", "deep-grey"], "preset is 'deep-grey'; expected one of deep-gray, "
         "deep-color, convex-gray, convex-color; did you mean 'deep-gray'?\n"),
        (["-m", "heat"], "method is 'heat'; expected one of ddpm, learned, generate, sound\n"),
        (["-m", "generate", "--preset", "deep-gray"], "preset is 'deep-gray'; expected one of "
         "autoencoder, clip, latent, decoder, prior, prior-regression, pixel, fashion, sounds, "
         "upsampler, judge-scenes, judge-groups, judge-fashion, or --method learned\n"),
        (["--preset", "clip"], "preset is 'clip'; expected one of gray-small, color-small, "
         "gray-bias-free, color-bias-free, gray-real, color-real, gray-base, color-base, or "
         "--method generate\n"),
        (["-m", "generate"], "no captions.jsonl or captions.csv in .\n"),
        (["-m", "learned", "--init", "natural-gray"], "weights is 'natural-gray'; expected a file or "
         "one of convex-color, convex-gray, deep-color, deep-gray"),
        (["-m", "learned", "--preset", "convex-gray", "--init", "natural-gray"], "weights is "
         "'natural-gray'; expected a file or one of convex-color, convex-gray, deep-color, deep-gray"),
    ],
)  # fmt: skip
def test_presets_and_weights_belong_to_a_method(folder, options, message):
    error = invoke_error("train", ".", "-o", "run", *options, cwd=folder)
    assert error.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("saved", "preset"),
    [
        ("deep-gray", "convex-gray"),
        ("clip", "pixel"),
        ("pixel", "latent"),
        ("pixel", "fashion"),
        ("judge-scenes", "judge-groups"),
    ],
)
def test_another_preset_contradicts_the_run(saved, preset):
    from difffilter.training import PRESETS

    train._check_resumed("run", PRESETS[saved], saved, {})
    with pytest.raises(
        ValueError, match=rf"^preset is {preset}; expected that of the run run, or none$"
    ):
        train._check_resumed("run", PRESETS[saved], preset, {})


@pytest.fixture
def photos(folder, photo):
    (folder / "photos").mkdir()
    for k in range(4):
        image = Image.fromarray(like(np.roll(photo, 20 * k, axis=1), np.uint8(0)))
        image.save(folder / f"photos/{k}.png")
    return folder


SMALL = ("--batch", 2, "--crop", 32)


def test_train_then_use_the_weights(photos):
    text = invoke_ok("train", "photos", "--steps", 2, *SMALL, "-o", "run",
                     "--export", "my.safetensors", cwd=photos)  # fmt: skip
    names = {path.name for path in (photos / "run").iterdir()}
    assert {"log.jsonl", "log.png", "checkpoint.safetensors"} <= names
    steps, loss, psnr, weights, following = text.splitlines()
    assert re.fullmatch(r"steps: +2, in \d+ s", steps)
    losses = [
        json.loads(line).get("loss") for line in (photos / "run/log.jsonl").read_text().splitlines()
    ]
    mean = np.mean([loss for loss in losses if loss is not None])
    assert re.fullmatch(rf"loss: +{mean:.4f}, mean of the last 2 steps", loss)
    assert re.fullmatch(r"PSNR: +\d+\.\d\d dB at σ = 25/255, on the validation images", psnr)
    assert weights.split()[1] == "my.safetensors"
    # The command that is printed works.
    *command, _, option, method = shlex.split(following.partition(":")[2])
    assert command == ["difffilter", "smooth"]
    invoke_ok("smooth", "grey.png", "-o", "out.png", option, method, cwd=photos)
    assert (photos / "out.png").exists()
    invoke_ok("train", "photos", "--steps", 1, "--batch", 1, "--crop", 32, "--learning-rate", 0.1,
               "--init", "my.safetensors", "-o", "again", cwd=photos)  # fmt: skip
    mine, again = (
        safetensors.numpy.load_file(photos / name)["middle.blocks.0.conv1.weight"]
        for name in ("my.safetensors", "again/weights.safetensors")
    )
    assert 0 < abs(mine - again).max() < 0.01  # from there, one step at a low rate


def test_training_resumes_with_the_same_options_or_none(photos):
    train = ("train", "photos", "-o", "run")
    init = ("--init", "natural-gray")
    invoke_ok(*train, "--steps", 1, *SMALL, *init, cwd=photos)
    assert "run" in invoke_error(*train, "--steps", 3, cwd=photos)  # which is not overwritten
    same = ("--steps", 2, *SMALL, "--preset", "gray-small", *init, "--resume")
    assert "steps:   2, 1 of them now" in invoke_ok(*train, *same, cwd=photos)
    assert "steps:   3, 1 of them now" in invoke_ok(*train, "--steps", 3, "--resume", cwd=photos)
    assert '"step": 3' in (photos / "run/log.jsonl").read_text()
    assert "steps:   3, 0 of them now" in invoke_ok(*train, "--resume", cwd=photos)


def test_options_that_contradict_a_run_are_named_and_leave_it_as_it_is(photos):
    run = photos / "run"
    invoke_ok("train", "photos", "--steps", 2, *SMALL, "-o", "run", cwd=photos)
    files = {path: path.read_bytes() for path in run.iterdir()}
    for options, message in [
        (["--batch", 4], "batch is 4; expected 2, as in the run that is resumed, of which only steps "
         "can change"),
        (["--crop", 32, "--learning-rate", 1], "learning_rate is 1.0; expected 0.003, as in the run"),
        (["--preset", "color-small"], "preset is color-small; expected that of the run run, or none"),
        (["--steps", 1], "steps is 1; expected at least 2, the steps that are done"),
        (["--init", "natural-gray"], "expected none, as in the run that is resumed, of which only "
         "steps can change"),
        (["-o", "none"], "nothing to resume: there is no none/checkpoint.safetensors"),
    ]:  # fmt: skip
        error = invoke_error("train", "photos", "-o", "run", "--resume", *options, cwd=photos)
        assert message in error
        assert {path: path.read_bytes() for path in run.iterdir()} == files


def test_train_a_learned_diffusion_then_use_the_weights(photos):
    run = ("train", "photos", "-o", "run")
    small = ("--batch", 1, "--crop", 16)
    text = invoke_ok(*run, "--method", "learned", *small, "--steps", 1, cwd=photos)
    assert re.match(r"steps: +1, in \d+ s\nloss: ", text)
    assert re.search(r"^PSNR: +\d+\.\d\d dB at σ = 25/255", text, re.M)
    following = text.splitlines()[-1]
    assert following == (
        "next:    difffilter smooth photo.png -m \"learned(weights='run/weights.safetensors')\""
    )
    *_, option, method = shlex.split(following)
    invoke_ok("smooth", "grey.png", "-o", "out.png", option, method, cwd=photos)
    assert (photos / "out.png").exists()
    # It goes on without the method being named again, and only as what it is.
    text = invoke_ok(*run, "--resume", "--steps", 2, "--export", "my.safetensors", cwd=photos)
    assert re.match(r"steps: +2, 1 of them now", text)
    assert "-m \"learned(weights='my.safetensors')\"" in text
    assert "preset is deep-color; expected that of the run run, or none" in invoke_error(
        *run, "--resume", "--preset", "deep-color", cwd=photos
    )
    assert "method is ddpm; expected learned, as in the run that is resumed" in invoke_error(
        *run, "--resume", "--method", "ddpm", cwd=photos
    )
    colour = ("-m", "learned", "--preset", "deep-color", "--init", "my.safetensors")
    invoke_ok("train", "photos", "-o", "other", *colour, *small, "--steps", 1, cwd=photos)
    assert weights.load(photos / "other/weights.safetensors").channels == 3


# --- text to image --------------------------------------------------------------------------


@pytest.fixture
def emoji(tmp_path, monkeypatch):
    """A folder with captioned pictures, and presets that are soon trained on it."""
    from picture_runs import CONFIGS

    from difffilter.training import PRESETS

    for name in ("autoencoder", "clip", "pixel", "judge-groups"):
        small = replace(CONFIGS[name], scenes=0.0, steps=3, validate_every=5)
        monkeypatch.setitem(PRESETS, name, small)
    (tmp_path / "emoji").mkdir()
    write_squares(tmp_path / "emoji")
    return tmp_path


GENERATE = ("train", "emoji/", "--method", "generate", "-o", "run")


def test_train_a_clip_then_compare_a_picture_with_texts(emoji):
    text = invoke_ok(*GENERATE, "--preset", "clip", "--steps", 2, "--batch", 4, cwd=emoji)
    steps, loss, score, weights, following = text.splitlines()
    assert re.fullmatch(r"steps: +2, in \d+ s", steps)
    assert re.fullmatch(r"loss: +\d\.\d{4}, mean of the last 2 steps", loss)
    assert re.fullmatch(
        r"score: +[\d.]+, share of pictures with the nearest caption, on what was set aside", score
    )
    assert weights.split()[1] == "run/weights.safetensors"
    assert {"log.jsonl", "log.png", "checkpoint.safetensors"} <= {
        path.name for path in (emoji / "run").iterdir()
    }
    # The command that is printed works, for a picture that exists.
    program, *command = shlex.split(following.partition(":")[2])
    assert program == "difffilter"
    (emoji / "emoji/red-top.png").rename(emoji / "heart.png")
    assert len(invoke_ok(*command, cwd=emoji).splitlines()) == 2


def test_train_text_to_image_then_make_a_picture(emoji):
    text = invoke_ok(*GENERATE, "--preset", "pixel", "--export", "my model.safetensors", cwd=emoji)
    assert re.search(r"^score: +\d.*, mean squared error of the noise, on what was set", text, re.M)
    program, *command = shlex.split(text.splitlines()[-1].partition(":")[2])
    assert program == "difffilter"
    assert "my model.safetensors" in command
    invoke_ok(*command, cwd=emoji)
    with Image.open(emoji / "heart.png") as picture:
        assert picture.mode == "RGB"


def test_text_to_image_resumes_with_the_same_options_or_none(emoji):
    options = ("--preset", "clip", "--batch", 3)
    invoke_ok(*GENERATE, *options, "--steps", 1, cwd=emoji)
    same = invoke_ok(*GENERATE, *options, "--steps", 2, "--resume", cwd=emoji)
    assert "steps:   2, 1 of them now" in same
    run = ("train", "emoji", "-o", "run", "--resume")
    assert "steps:   3, 1 of them now" in invoke_ok(*run, "--steps", 3, cwd=emoji)
    for given, message in (
        (["--batch", 4], "batch is 4; expected 3, as in the run that is resumed, of which only"),
        (["--preset", "pixel"], "preset is pixel; expected that of the run run, or none"),
        (["--scenes", 0.5], "scenes is 0.5; expected 0.0, as in the run that is resumed, of which"),
        (["--crop", 32], "crop is 32; expected none: what is trained has no such setting"),
        (["-m", "ddpm"], "method is ddpm; expected generate, as in the run that is resumed, of"),
    ):
        assert invoke_error(*run, *given, cwd=emoji).startswith(f"error: {message}")


@pytest.mark.parametrize("name", ["autoencoder", "judge-groups"])
def test_a_preset_goes_on_with_what_its_run_added(emoji, name):
    """Such as the groups that a judge tells apart."""
    command = (*GENERATE, "--preset", name, "--steps", 1)
    # (What they are for has no command of its own.)
    assert "next:" not in invoke_ok(*command, cwd=emoji)
    assert "steps:   1, 0 of them now" in invoke_ok(*command, "--resume", cwd=emoji)


def test_the_first_preset_is_the_default(emoji):
    text = invoke_ok(*GENERATE, "--steps", 1, cwd=emoji)
    assert "PSNR of the decoded pictures / dB, on what was set aside" in text
    assert NAMES["generate"][0] == "autoencoder"
    assert generate_weights.load(emoji / "run/weights.safetensors").kind == "autoencoder"


def test_weights_of_text_to_image_are_listed(emoji, monkeypatch):
    folder = emoji / "weights"
    folder.mkdir()
    invoke_ok(*GENERATE, "--steps", 1, "--export", "weights/mine.safetensors", cwd=emoji)
    (folder / "mine.json").write_text('{"description": "Squares", "kind": "autoencoder"}')
    collection = Collection(folder, generate_weights.COLLECTION.kind)
    for name in ("available", "card", "find"):
        monkeypatch.setattr(generate_weights, name, getattr(collection, name))
    lines = invoke_ok("weights", cwd=emoji).splitlines()
    after = lines[lines.index("generate") + 1 : lines.index("sound")]
    assert len(after) == 1
    assert re.fullmatch(r"  mine {16}Squares \(\d+ kB\)", after[0])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["-m", "generate", "--crop", 64], "crop is 64"),
        (["-m", "generate", "--autoencoder", "mine"], "autoencoder is mine"),
        (["--scenes", 0.5], "scenes is 0.5"),
    ],
)
def test_settings_belong_to_a_preset(folder, options, name):
    error = invoke_error("train", ".", "-o", "run", *options, cwd=folder)
    assert error == f"error: {name}; expected none: what is trained has no such setting\n"
