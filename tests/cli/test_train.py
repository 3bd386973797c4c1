"""The commands for what is learned."""

import json
import re
import shlex

import numpy as np
import pytest
import safetensors.numpy
from command import invoke_error, invoke_ok
from PIL import Image

from difffilter.image import like

pytest.importorskip("torch")


def test_weights_are_listed_and_an_unknown_preset_is_named(folder):
    assert "natural-gray" in invoke_ok("weights", cwd=folder)
    assert "preset is 'huge'; expected one of gray-small" in invoke_error(
        "train", ".", "--preset", "huge", "-o", "run", cwd=folder
    )


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", 4], "batch is 4; expected 2, as in the run that is resumed, of which only steps "
         "can change"),
        (["--crop", 32, "--learning-rate", 1], "learning_rate is 1.0; expected 0.003, as in the run"),
        (["--preset", "color-small"], "preset is color-small; expected that of the run run, or none"),
        (["--steps", 1], "steps is 1; expected at least 2, the steps that are done"),
        (["--init", "natural-gray"], "expected none, as in the run that is resumed, of which only "
         "steps can change"),
        (["-o", "none"], "nothing to resume: there is no none/checkpoint.safetensors"),
    ],
)  # fmt: skip
def test_options_that_contradict_a_run_are_named(photos, options, message):
    invoke_ok("train", "photos", "--steps", 2, *SMALL, "-o", "run", cwd=photos)
    error = invoke_error("train", "photos", "-o", "run", "--resume", *options, cwd=photos)
    assert message in error
