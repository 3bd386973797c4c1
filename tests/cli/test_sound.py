"""The command smooth on sound files."""

import numpy as np
import pytest
import soundfile
from command import invoke, invoke_error, invoke_ok, run

from difffilter.sound import denoise_file, make


@pytest.fixture
def folder(tmp_path):
    time = np.arange(16000) / 16000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * np.exp(-4 * (time % 0.5))
    noise = 0.02 * np.random.default_rng(0).standard_normal((2, 16000))
    soundfile.write(tmp_path / "a.wav", (tone + noise).T, 16000)
    soundfile.write(tmp_path / "b.flac", tone + noise[0], 16000)
    (tmp_path / "text.wav").write_text("hello")
    return tmp_path


def test_smooth_without_options(folder):
    assert invoke_ok("smooth", "a.wav", cwd=folder) == ""
    denoise_file(folder / "a.wav", folder / "again.wav", make("ddpm"))
    assert (folder / "a_smooth.wav").read_bytes() == (folder / "again.wav").read_bytes()


def test_smooth_verbose_says_what_was_estimated(folder):
    text = invoke_ok("smooth", "a.wav", "-v", "-m", "heat(beta=1.5)", "--time", "3", cwd=folder)
    assert text.startswith("a.wav -> a_smooth.wav  1 s, 16000 Hz, stereo; white noise, sigma 0.0")
    assert text.endswith("SoundPDE(equation='heat', time=3.0, kappa=0.03, beta=1.5)\n")


def test_several_sounds_into_a_folder(folder):
    result = invoke("smooth", "a.wav", "b.flac", "text.wav", "-o", "out", "-m", "heat", cwd=folder)
    assert result.returncode == 1
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.wav", "b.flac"]
    assert result.stderr == (
        "error: text.wav is not a sound file, or damaged: Format not recognised.\n"
        "1 of 3 sounds failed; the others are done\n"
    )


def test_a_pattern_and_resume_and_dry_run(folder):
    text = invoke_ok("smooth", "?.wav", "--dry-run", "-m", "heat", cwd=folder)
    assert text.startswith("a.wav -> a_smooth.wav  SoundPDE(")
    assert not (folder / "a_smooth.wav").exists()
    (folder / "a_smooth.wav").write_text("kept")
    invoke_ok("smooth", "a.wav", "--resume", cwd=folder)
    assert (folder / "a_smooth.wav").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text.wav"], "text.wav is not a sound file, or damaged: Format not recognised."),
        (["none.wav"], "there is no file none.wav; check the path"),
        (["a.wav", "-m", "srad"],
         "method is 'srad'; expected one of ddpm, heat, perona_malik, coherence_enhancing"),
        (["a.wav", "--volume"],
         "--volume is given; expected none: it is for images, not for sounds"),
        (["a.wav", "--sigma", "-1"], "sigma is -1.0; expected a finite number ≥ 0"),
        (["a.wav", "-o", "a.png"], "a.png has suffix '.png'; expected one of .wav, .flac, .ogg, "
         ".mp3, .aiff, .aif, .w64, .caf, .au"),
        (["a.wav", "-o", "a.wav"], "a.wav exists already; pass --overwrite to replace it"),
        (["a.wav", "--kappa", "0.1"], "kappa is not a parameter of ddpm; it has weights"),
        (["a.wav", "-m", "heat(size=3)"],
         "size is not a parameter of heat; it has time, kappa, beta"),
    ],
)  # fmt: skip
def test_errors_are_one_line(folder, arguments, message):
    assert invoke_error("smooth", *arguments, cwd=folder) == f"error: {message}\n"
    assert len(list(folder.iterdir())) == 3


def test_in_a_process_of_its_own(folder):
    result = run("smooth", "b.flac", cwd=folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert soundfile.info(folder / "b_smooth.flac").frames == 16000
