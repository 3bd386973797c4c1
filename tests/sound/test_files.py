"""Sound files: every format, in constant memory, whole or not at all."""

import re
import sys

import numpy as np
import pytest
import soundfile

from difffilter.sound import denoise, denoise_file, make
from difffilter.sound.files import read

HEAT = make("heat")


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        (".wav", "PCM_16"), (".wav", "PCM_24"), (".wav", "FLOAT"), (".wav", "DOUBLE"),
        (".flac", "PCM_24"), (".aiff", "PCM_16"), (".aif", "PCM_16"), (".ogg", "VORBIS"),
        (".au", "PCM_16"), (".caf", "PCM_16"), (".w64", "PCM_16"), (".mp3", "MPEG_LAYER_III"),
    ],
)  # fmt: skip
def test_format_encoding_rate_and_tags_are_kept(tmp_path, noisy, suffix, subtype):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    kind = {".aif": "AIFF"}.get(suffix, suffix[1:])
    with soundfile.SoundFile(source, "w", 16000, 2, subtype, format=kind) as file:
        if suffix in (".wav", ".flac", ".ogg"):
            file.title = "A title"
        file.write(np.stack((noisy, noisy), axis=1))
    denoise_file(source, target, HEAT)
    before, after = soundfile.SoundFile(source), soundfile.SoundFile(target)
    for name in ("samplerate", "channels", "subtype", "format", "endian", "frames"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.copy_metadata() == before.copy_metadata()


def test_another_format(tmp_path, noisy):
    soundfile.write(tmp_path / "a.wav", noisy, 16000, "FLOAT")
    denoise_file(tmp_path / "a.wav", tmp_path / "b.flac", HEAT)
    assert soundfile.info(tmp_path / "b.flac").format == "FLAC"


def test_a_file_is_restored_as_an_array_is(tmp_path, noisy):
    long = np.tile(noisy, 7)  # of three blocks
    soundfile.write(tmp_path / "a.wav", long, 16000, "FLOAT")
    shares = []
    done = denoise_file(
        tmp_path / "a.wav", tmp_path / "b.wav", HEAT, progress=lambda *parts: shares.append(parts)
    )
    np.testing.assert_array_equal(read(tmp_path / "b.wav")[0][:, 0], denoise(long, 16000, "heat"))
    assert done.noise.sigma == pytest.approx(0.05, rel=0.05)
    assert (done.seconds, done.rate, done.channels, done.warnings) == (21, 16000, 1, [])
    assert shares[-1] == (21, 21)


@pytest.mark.parametrize(
    ("samples", "subtype", "warning"),
    [
        (np.zeros(8000), "PCM_16", "{} is silent; the result is silent, too"),
        (np.clip(np.sin(np.arange(8000) / 10) * 2, -1, 1), "PCM_16",
         "{} is clipped, 64% of it; that distortion stays"),
        (np.sin(np.arange(8000)) / 2, "PCM_U8",
         "{} has 8 bits, to which the result is rounded again; convert it to 16 bits first"),
        (np.sin(np.arange(8000)), "PCM_16", None),
    ],
)  # fmt: skip
def test_what_the_user_should_know(tmp_path, samples, subtype, warning):
    source = tmp_path / "a.wav"
    soundfile.write(source, samples, 8000, subtype)
    done = denoise_file(source, tmp_path / "b.wav", HEAT)
    assert done.warnings == ([warning.format(source)] if warning else [])
    assert soundfile.info(tmp_path / "b.wav").frames == 8000


def wav(samples, subtype="FLOAT"):
    def write(path):
        soundfile.write(path, samples, 8000, subtype)

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("hello"), "{} is not a sound file, or damaged: "),
        (lambda path: path.write_text(""), "{} is empty (0 bytes)"),
        (lambda path: path.mkdir(), "{} is a folder; expected a sound file"),
        (wav(np.zeros(100)), "{} has 100 samples, 12.5 ms; expected 40 ms or more"),
        (wav(np.r_[np.zeros(400), np.nan]), "{} is nan at sample 400; expected finite numbers"),
        (wav(np.r_[np.zeros(400), -np.inf]), "{} is -inf at sample 400; expected finite numbers"),
    ],
)
def test_bad_files(tmp_path, write, message):
    source, target = tmp_path / "a.wav", tmp_path / "b.wav"
    write(source)
    with pytest.raises((OSError, ValueError), match=re.escape(message.format(source))) as error:
        denoise_file(source, target, HEAT)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [source]


def test_an_existing_file_is_kept(tmp_path, noisy):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, noisy, 16000)
    before = (tmp_path / "b.wav").read_bytes()
    with pytest.raises(ValueError, match="exists already; pass --overwrite to replace it"):
        denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", HEAT)
    assert (tmp_path / "b.wav").read_bytes() == before
    denoise_file(tmp_path / "a.wav", tmp_path / "a.wav", HEAT, overwrite=True)
    assert read(tmp_path / "a.wav")[0].std() < noisy.std()
    with pytest.raises(ValueError, match=r"has suffix '\.xyz'; expected one of \.wav"):
        denoise_file(tmp_path / "a.wav", tmp_path / "a.xyz", HEAT)


def test_a_failure_on_the_way_leaves_nothing(tmp_path, noisy):
    soundfile.write(tmp_path / "a.wav", noisy, 16000)

    def fail(*_):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", HEAT, progress=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_without_soundfile_an_error_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "a.wav").write_text("")
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ValueError, match=r"needs soundfile: pip install 'difffilter\[sound\]'"):
        denoise_file(tmp_path / "a.wav", tmp_path / "b.wav", HEAT)
