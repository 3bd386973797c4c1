"""The command that makes labelled pictures."""

import pytest
from command import invoke_error, invoke_ok

pytest.importorskip("torch")
from tiny_models import tiny_model

MODEL = ("--model", "pixel.safetensors", "--steps", 1)


@pytest.fixture
def folder(tmp_path):
    tiny_model(tmp_path, "pixel")
    (tmp_path / "classes.txt").write_text("red heart\n\n  fish \n", "utf-8-sig")
    return tmp_path


def test_a_class_on_each_line(folder):
    said = invoke_ok("synthesize", "classes.txt", "-n", 2, "-o", "set", *MODEL, cwd=folder)
    assert said == "4 pictures of 2 classes: set\n"
    assert {path.name for path in (folder / "set").iterdir()} == {
        "red heart", "fish", "manifest.jsonl",
    }  # fmt: skip
    assert len(list((folder / "set/fish").iterdir())) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "classes.txt has no line; expected a class on each line"),
        (b"\xff\xfe\x00", "classes.txt is not a text file; expected a class on each line"),
        (b"a/b\n", "classes has 'a/b'; expected a name that a folder can have"),
    ],
)
def test_bad_input_is_one_line(folder, content, message):
    (folder / "classes.txt").write_bytes(content)
    error = invoke_error("synthesize", "classes.txt", "-n", 2, "-o", "set", *MODEL, cwd=folder)
    assert message in error
    assert not (folder / "set").exists()
