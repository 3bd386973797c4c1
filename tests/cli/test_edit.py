"""The command that changes a picture by words."""

import json

import numpy as np
import pytest
from command import invoke_error, invoke_ok
from PIL import Image

pytest.importorskip("torch")
from tiny_models import tiny_model

from difffilter.io.files import read

MODEL = ("--model", "latent.safetensors", "--steps", 2)


@pytest.fixture
def folder(tmp_path, rng):
    tiny_model(tmp_path)
    pixels = rng.integers(256, size=(40, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    Image.fromarray(pixels[:40, :40]).save(tmp_path / "square.png")
    mask = np.zeros((40, 70), np.uint8)
    mask[5:20, 30:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_rest_of_the_picture_stays(folder):
    invoke_ok(
        "edit",
        "photo.png",
        "a red heart",
        "--mask",
        "mask.png",
        "-o",
        "new.png",
        *MODEL,
        cwd=folder,
    )
    before, after = pixels(folder / "photo.png"), pixels(folder / "new.png")
    hole = pixels(folder / "mask.png")[..., 0] > 0
    assert (before[~hole] == after[~hole]).all()
    assert (before[hole] != after[hole]).any()


def test_several_results_have_numbers_and_say_what_they_are(folder):
    invoke_ok(
        "edit",
        "square.png",
        "a heart",
        "-n",
        2,
        "--strength",
        0.9,
        "-o",
        "new.png",
        *MODEL,
        cwd=folder,
    )
    one, other = (pixels(folder / f"new-{number}.png") for number in (1, 2))
    assert one.shape == (64, 64, 3)
    assert (one != other).any()
    with Image.open(folder / "new-1.png") as image:
        assert json.loads(image.info["Comment"])["prompt"] == "a heart"
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    invoke_ok("edit", "square.png", "a heart", "--no-prompt", "-o", "quiet.png", *MODEL, cwd=folder)
    assert b"a heart" not in (folder / "quiet.png").read_bytes()
    assert "new-1.png exists already" in invoke_error(
        "edit", "square.png", "a heart", "-n", 2, "-o", "new.png", *MODEL, cwd=folder
    )


def test_transparent_parts_are_white(folder):
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(folder / "nothing.png")
    Image.new("RGB", (64, 64), (255, 255, 255)).save(folder / "white.png")
    for name in ("nothing", "white"):
        invoke_ok("edit", f"{name}.png", "a heart", "-o", f"{name}-2.png", *MODEL, cwd=folder)
    assert (pixels(folder / "nothing-2.png") == pixels(folder / "white-2.png")).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.png", ""], "PROMPT is empty; expected what the picture shows in the end"),
        (["photo.png", "a heart"], "image is 70×40 pixels; expected a square one, or a mask"),
        (["photo.png", "a heart", "--mask", "square.png"],
         "square.png has 40×40 pixels; expected 70×40, as photo.png has"),
        (["mask.png", "a heart", "--strength", "-1"], "strength is -1"),
        (["none.png", "a heart"], "none.png"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(folder, arguments, message):
    error = invoke_error("edit", *arguments, "-o", "new.png", *MODEL, cwd=folder)
    assert message in error
    assert not (folder / "new.png").exists()


def test_outside_of_the_mask_bits_and_alpha_stay(folder, rng):
    hole = pixels(folder / "mask.png")[..., 0] > 0
    deep = rng.integers(65536, size=(40, 70), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "deep.png")
    clear = rng.integers(256, size=(40, 70, 4), dtype=np.uint8)
    Image.fromarray(clear).save(folder / "clear.png")
    for name in ("deep", "clear"):
        invoke_ok(
            "edit", f"{name}.png", "a heart", "--mask", "mask.png", "-o", f"{name}-2.png", *MODEL,
            cwd=folder,
        )  # fmt: skip
    found = read(folder / "deep-2.png").pages[0]
    assert found.dtype == np.uint16
    assert (found[~hole] == deep[~hole][:, None]).all()
    after = np.asarray(Image.open(folder / "clear-2.png"))
    assert (after[~hole] == clear[~hole]).all()
    assert (after[hole][:, 3] == 255).all()
