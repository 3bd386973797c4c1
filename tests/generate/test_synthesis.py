"""Folders of generated pictures with labels."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from tiny_models import tiny_model

from difffilter.generate import images, synthesis, synthesize

NAMES = ["red heart", "fish"]


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path, "pixel")


@pytest.fixture
def colour(tmp_path):
    return tiny_model(tmp_path)


def content(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def made(model, folder, n=3, names=NAMES, **options):
    return synthesize(names, n, folder, model=model, steps=1, **options)


def test_a_folder_for_each_class_and_a_manifest(model, tmp_path):
    calls = []
    lines = made(model, tmp_path / "set", seed=7, callback=lambda *numbers: calls.append(numbers))
    assert sorted(content(tmp_path / "set")) == [
        *(f"fish/0000{k}.png" for k in (1, 2, 3)), "manifest.jsonl",
        *(f"red heart/0000{k}.png" for k in (1, 2, 3)),
    ]  # fmt: skip
    text = (tmp_path / "set/manifest.jsonl").read_text("utf-8")
    assert [json.loads(line) for line in text.splitlines()] == lines
    assert [line["class"] for line in lines] == ["red heart"] * 3 + ["fish"] * 3
    assert calls == [(3, 6), (6, 6)]
    for line in lines:  # each says how it is made again
        again = images(line["prompt"], 3, model=model, steps=1, seed=line["seed"])[line["number"]]
        pixels = np.asarray(Image.open(tmp_path / "set" / line["file"]))
        np.testing.assert_allclose(pixels, 255 * again, atol=0.51)
        assert line["similarity"] is None


def test_the_template_makes_the_prompt_and_files_tell_it(model, tmp_path):
    lines = made(model, tmp_path / "set", 1, template="a {} or another {}")
    assert lines[0]["prompt"] == "a red heart or another red heart"
    with Image.open(tmp_path / "set" / lines[0]["file"]) as image:
        assert json.loads(image.info["Comment"])["prompt"] == lines[0]["prompt"]


def test_what_was_interrupted_ends_as_if_it_had_not_been(model, tmp_path, monkeypatch):
    made(model, tmp_path / "whole")

    def stopped(*arguments, **options):
        if arguments[0] == "fish":
            raise KeyboardInterrupt
        return images(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(synthesis, "images", stopped)
        with pytest.raises(KeyboardInterrupt):
            made(model, tmp_path / "broken")
    assert len(content(tmp_path / "broken")) == 4

    def full(path, picture):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(synthesis, "write", full)
        with pytest.raises(OSError, match="no space"):
            made(model, tmp_path / "empty")
    made(model, tmp_path / "empty")
    assert content(tmp_path / "empty") == content(tmp_path / "whole")
    made(model, tmp_path / "broken")
    assert content(tmp_path / "broken") == content(tmp_path / "whole")
    before = content(tmp_path / "whole")
    made(model, tmp_path / "whole")
    assert content(tmp_path / "whole") == before


def test_the_most_similar_are_kept(colour, tmp_path, monkeypatch):
    likeness = iter([0.1, 0.9, 0.5, 0.9, 0.2, 0.3])
    monkeypatch.setattr(synthesis, "similarity", lambda *_: np.float32([next(likeness)]))
    lines = made(colour, tmp_path / "set", 3, ["fish"], keep=0.5)
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert [line["similarity"] for line in lines] == [0.9, 0.5, 0.9]


def test_many_pictures_are_made_in_parts(model, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "TOGETHER", 2)
    lines = made(model, tmp_path / "set", 5, ["fish"], seed=1)
    assert [line["number"] for line in lines] == [0, 1, 0, 1, 0]
    others = made(model, tmp_path / "others", 5, ["fish"], seed=3)
    assert len({line["seed"] for line in lines + others}) == 6  # no part is another one's
    made(model, tmp_path / "set", 5, ["fish"], seed=1)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        ([], {}, "classes is empty; expected at least one name"),
        (["fish", "Fish "], {}, "classes has 'fish' twice; expected each name once"),
        (["fish", ".."], {}, "classes has '..'; expected a name that a folder can have"),
        (["a/b"], {}, "classes has 'a/b'; expected a name that a folder can have"),
        (["fish", " "], {}, "classes has ''; expected a name that a folder can have"),
        (["fish"], {"n": 0}, "n is 0; expected a whole number ≥ 1"),
        (["fish"], {"keep": 0}, "keep is 0; expected a finite number > 0 and ≤ 1"),
        (["fish"], {"template": "a"}, "template is 'a'; expected {} in it, for the class"),
        (["fish"], {"keep": 0.5}, "keep is 0.5; expected 1: CLIP does not know the grey pictures"),
    ],
)
def test_bad_input(model, tmp_path, names, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        made(model, tmp_path / "set", names=names, **options)
    assert not (tmp_path / "set").exists()


def test_classes_are_a_sequence(model, tmp_path):
    with pytest.raises(TypeError, match=r"^classes is 'fish'; expected a sequence of names$"):
        made(model, tmp_path / "set", names="fish")


def test_folders_of_something_else_are_left_alone(model, tmp_path):
    folder = tmp_path / "set"
    made(model, folder, 2)
    for options, message in (
        ({"seed": 1}, "is of other arguments; expected a new folder"),
        ({"seed": 32}, "is of other arguments; expected a new folder"),
        ({"guidance": 3.0}, "is of other arguments; expected a new folder"),
        ({"names": ["fish"]}, "is of other arguments; expected a new folder"),
        ({"n": 3}, "has 2 pictures of 'red heart'; expected 3, or a new folder"),
    ):
        with pytest.raises(ValueError, match=f"{re.escape(message)}$"):
            made(model, folder, **{"n": 2} | options)
    (folder / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(
        ValueError, match=r"is damaged; expected the lines that `synthesize` writes$"
    ):
        made(model, folder, 2)
    (folder / "manifest.jsonl").unlink()
    with pytest.raises(ValueError, match=r"is not empty and has no manifest.jsonl; expected a new"):
        made(model, folder, 2)
