"""Sounds of words, and spectrograms to train on."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")
from tiny_models import tiny_model, tiny_sounds  # noqa: E402

from difffilter.generate import images, read_captioned  # noqa: E402
from difffilter.sound import from_mel, generate, mel_picture, spectrograms  # noqa: E402
from difffilter.sound.generation import caption_of  # noqa: E402


@pytest.fixture
def model(tmp_path):
    return tiny_sounds(tmp_path)


def test_sounds_are_those_of_the_pictures_that_the_model_makes(model):
    made = generate("a red heart", 2, model=model, steps=2, seed=3)
    pictures = images("a red heart", 2, model=model, steps=2, seed=3)
    assert made.shape == (2, 20_000)
    for sound, picture in zip(made, pictures, strict=True):
        np.testing.assert_array_equal(sound, from_mel(picture, seed=3))


def test_models_of_pictures_make_no_sounds(tmp_path):
    with pytest.raises(ValueError, match=r"for colour pictures; expected one for sounds$"):
        generate("x", model=tiny_model(tmp_path), steps=1)


def write(folder, name, samples, rate=16_000):
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / name, samples, rate)


def test_spectrograms_are_captioned_pictures(tmp_path):
    time = np.arange(22_050) / 22_050
    write(tmp_path / "in", "bd_hard2.wav", np.sin(2 * np.pi * 500 * time), 22_050)
    write(tmp_path / "in", "nothing.wav", np.zeros(1000))
    (tmp_path / "in" / "notes.txt").write_text("not a sound")
    count = spectrograms(tmp_path / "in", tmp_path / "out", words={"bd": "bass drum"}, variants=3)
    assert count == 3
    captioned = read_captioned(tmp_path / "out")
    assert captioned.labels == ("bass drum hard",) * 3
    first, *others = (captioned.over(k)[..., 0] for k in range(3))
    plain = mel_picture(np.sin(2 * np.pi * 500 * time), 22_050)
    np.testing.assert_allclose(first, plain, atol=2.1e-3)  # of 8 bits
    pitches = [int(picture[:, 20].argmax()) for picture in (first, *others)]
    assert len(set(pitches)) == 3
    assert max(pitches) - min(pitches) < 8
    lines = (tmp_path / "out" / "captions.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["file"] == "images/bd_hard2-1.png"


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("snare_hard2", "snare hard"),
        ("Elec-Blip 03", "electronic blip"),
        ("misc_crow", "crow"),
        ("Trommel_süß", "trommel süß"),
    ],
)
def test_captions_are_the_words_of_names(name, caption):
    assert caption_of(name, {"elec": "electronic", "misc": ""}) == caption


def test_a_folder_without_sounds(tmp_path):
    with pytest.raises(ValueError, match=r"has no sound files; expected some with \.wav"):
        spectrograms(tmp_path, tmp_path / "out")
    write(tmp_path, "a.wav", np.ones(2000))
    with pytest.raises(ValueError, match=r"^variants is 0; expected a whole number ≥ 1$"):
        spectrograms(tmp_path, tmp_path / "out", variants=0)
