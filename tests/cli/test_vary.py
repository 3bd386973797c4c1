"""The command that makes pictures like a picture."""

import json

import numpy as np
import pytest
from command import invoke_error, invoke_ok
from PIL import Image

pytest.importorskip("torch")
from tiny_models import tiny_unclip

MODEL = ("--model", "decoder.safetensors", "--steps", 2)


@pytest.fixture
def folder(tmp_path, rng):
    tiny_unclip(tmp_path)
    for name in ("one.png", "other.png"):
        Image.fromarray(rng.integers(256, size=(40, 30, 3), dtype=np.uint8)).save(tmp_path / name)
    return tmp_path


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def vary(folder, *arguments):
    return invoke_ok("vary", "one.png", *MODEL, *arguments, cwd=folder)


def test_variations_stand_in_a_grid_and_say_what_they_are(folder):
    vary(folder, "-n", 4, "-o", "new.png")
    assert pixels(folder / "new.png").shape == (2 * 64 + 3 * 2, 2 * 64 + 3 * 2, 3)
    with Image.open(folder / "new.png") as image:
        assert json.loads(image.info["Comment"])["steps"] == 2
        assert "trainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]


@pytest.mark.parametrize("way", [("--between", "other.png"), ("--toward", "a red heart")])
def test_ways_stand_in_a_row(folder, way):
    vary(folder, *way, "-n", 3, "-o", "way.png")
    row = pixels(folder / "way.png")
    assert row.shape == (64 + 2 * 2, 3 * 64 + 4 * 2, 3)
    first, last = row[2:66, 2:66], row[2:66, -66:-2]
    assert (first != last).any()


def test_texts_are_told_unless_they_are_not_to_be(folder):
    texts = ("--toward", "a red heart", "--away", "a blue fish", "-n", 1)
    vary(folder, *texts, "-o", "told.png")
    with Image.open(folder / "told.png") as image:
        told = json.loads(image.info["Comment"])
    assert (told["toward"], told["away"]) == ("a red heart", "a blue fish")
    vary(folder, *texts, "--no-prompt", "-o", "quiet.png")
    assert b"heart" not in (folder / "quiet.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--amount", "0.3"), "--amount is for --toward"),
        (("--away", "a cat"), "--away is for --toward"),
        (
            ("--toward", "a cat", "--amount", "2"),
            "amount is 2.0; expected a finite number ≥ 0 and ≤ 1",
        ),
        (
            ("--toward", "a cat", "--between", "other.png"),
            "between and toward are both given; expected one of them",
        ),
        (("--between", "none.png"), "none.png: no such file"),
        (("--model", "clip"), "clip.safetensors', of kind clip; expected text-to-image"),
    ],
)
def test_bad_options(folder, arguments, message):
    error = invoke_error("vary", "one.png", "-o", "new.png", *MODEL, *arguments, cwd=folder)
    assert message in error
    assert not (folder / "new.png").exists()


def test_files_are_not_replaced_unasked(folder):
    vary(folder, "-n", 1, "-o", "new.png")
    error = invoke_error("vary", "one.png", *MODEL, "-o", "new.png", cwd=folder)
    assert "new.png exists already" in error
    vary(folder, "-n", 1, "-o", "new.png", "--overwrite")
