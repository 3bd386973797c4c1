"""The commands for the DDPM."""

import numpy as np
import pytest
import safetensors.numpy
from command import invoke_error, invoke_ok
from PIL import Image

from difffilter.image import like

pytest.importorskip("torch")


def test_weights_and_train(folder):
    assert "natural-gray" in invoke_ok("weights", cwd=folder)
    assert "preset is 'huge'; expected one of gray-small" in invoke_error(
        "train", ".", "--preset", "huge", "-o", "run", cwd=folder
    )


def test_train_then_use_the_weights(folder, photo, rng):
    (folder / "photos").mkdir()
    for k in range(4):
        image = Image.fromarray(like(np.roll(photo, 20 * k, axis=1), np.uint8(0)))
        image.save(folder / f"photos/{k}.png")
    invoke_ok("train", "photos", "--steps", 2, "--batch", 2, "--crop", 32, "-o", "run",
               "--export", "my.safetensors", cwd=folder)  # fmt: skip
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"log.jsonl", "log.png", "checkpoint.safetensors"} <= names
    invoke_ok("smooth", "grey.png", "-o", "out.png", "-m", "ddpm(weights='my.safetensors')",
               cwd=folder)  # fmt: skip
    assert (folder / "out.png").exists()
    assert "run" in invoke_error("train", "photos", "--steps", 3, "-o", "run", cwd=folder)
    assert "only --steps can be changed" in invoke_error(
        "train", "photos", "--batch", 2, "-o", "run", "--resume", cwd=folder
    )
    invoke_ok("train", "photos", "--steps", 3, "-o", "run", "--resume", cwd=folder)
    assert '"step": 3' in (folder / "run/log.jsonl").read_text()
    invoke_ok("train", "photos", "--steps", 1, "--batch", 1, "--crop", 32, "--learning-rate", 0.1,
               "--init", "my.safetensors", "-o", "again", cwd=folder)  # fmt: skip
    mine, again = (
        safetensors.numpy.load_file(folder / name)["middle.blocks.0.conv1.weight"]
        for name in ("my.safetensors", "again/weights.safetensors")
    )
    assert 0 < abs(mine - again).max() < 0.01  # from there, one step at a low rate


def test_sample_draws_a_grid(folder):
    arguments = ("-n", 3, "--size", 20, "--steps", 2)
    assert invoke_ok("sample", *arguments, "-o", "grid.png", cwd=folder) == ""
    grid = np.asarray(Image.open(folder / "grid.png"))
    assert grid.shape == (2 * 20 + 6, 2 * 20 + 6)  # frames of two pixels around each
    assert (grid[24:-2, 24:-2] == 255).all()  # the fourth place is empty
    assert not (grid[2:22, 2:22] == 255).all()
    invoke_ok("sample", *arguments, "-o", "again.png", cwd=folder)
    np.testing.assert_array_equal(grid, np.asarray(Image.open(folder / "again.png")))
    assert "grid.png exists already" in invoke_error("sample", "-o", "grid.png", cwd=folder)
    assert "weights is 'unnatural'; expected a file or one of" in invoke_error(
        "sample", "-o", "other.png", "--weights", "unnatural", cwd=folder
    )
    assert not (folder / "other.png").exists()


def test_evolve_draws_and_animates(folder):
    assert invoke_ok("evolve", "grey.png", "--size", 32, cwd=folder) == ""
    with Image.open(folder / "grey_evolve.png") as figure:
        assert figure.size[0] > 2 * figure.size[1]  # seven columns of two rows
    options = ("--weights", "auto", "--last", 20, "--steps", 2, "--frames", 3, "--size", 24)
    invoke_ok("evolve", "colour.jpg", "-o", "way.gif", *options, cwd=folder)
    with Image.open(folder / "way.gif") as gif:
        assert gif.n_frames == 6
    assert "for 1 channels; expected weights for 3" in invoke_error(
        "evolve", "colour.jpg", "-o", "x.png", "--weights", "natural-gray", cwd=folder
    )
