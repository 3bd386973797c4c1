"""Sounds as pictures, and back."""

import re

import numpy as np
import pytest

from difffilter.sound.mel import (
    HIGH,
    LENGTH,
    LOW,
    RATE,
    SIDE,
    filters,
    from_mel,
    hertz,
    mel,
    mel_picture,
)

TIME = np.arange(LENGTH) / RATE


def tone(frequency, rate=RATE):
    return np.sin(2 * np.pi * frequency * np.arange(round(LENGTH * rate / RATE)) / rate)


@pytest.mark.parametrize("frequency", [100, 440, 1000, 3000, 7000])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_a_tone_is_a_line_at_its_pitch(frequency, rate):
    if frequency > 0.45 * rate:
        return
    column = mel_picture(tone(frequency, rate), rate)[:, 30]
    centres = hertz(np.linspace(mel(LOW), mel(HIGH), SIDE + 2))[1:-1]
    nearest = int(np.abs(centres - frequency).argmin())
    assert abs(SIDE - 1 - int(column.argmax()) - nearest) <= 1
    assert column.max() > 0.99


def test_level_is_in_decibels_below_the_loudest():
    fading = tone(440) * np.where(TIME < 0.6, 1, 10 ** (-35 / 20))
    line = mel_picture(fading).max(axis=0)
    assert line[1:25].min() > 0.99
    assert line[35:60] == pytest.approx(1 - 35 / 70, abs=0.01)
    np.testing.assert_allclose(mel_picture(1000 * tone(440)), mel_picture(tone(440)), atol=1e-5)


def test_a_sound_begins_at_the_left_and_silence_follows():
    burst = np.random.default_rng(0).standard_normal(RATE // 4)
    picture = mel_picture(np.concatenate([np.zeros(3 * RATE), burst]))
    assert picture[:, 1:11].mean() > 0.7
    assert picture[:, 15:].max() == 0
    stereo = np.stack([burst, burst], axis=1)
    np.testing.assert_allclose(mel_picture(stereo), mel_picture(burst), atol=1e-6)


def test_bands_are_means_of_the_power():
    rows = filters()
    assert rows.shape == (SIDE, 321)
    assert rows.min() == 0
    np.testing.assert_allclose(rows.sum(axis=1), 1)
    assert (np.diff((rows * np.arange(321)).sum(axis=1)) > 0).all()
    # White noise is equally strong everywhere.
    noise = np.random.default_rng(0).standard_normal(LENGTH)
    levels = 70 * mel_picture(noise)
    assert levels[:32, 5:].std() < 3.5
    assert levels[:16, 5:].mean() == pytest.approx(levels[24:40, 5:].mean(), abs=1.5)


@pytest.mark.parametrize(
    ("sound", "gain"),  # by how much iterations lessen the error
    [
        (tone(440) * np.exp(-6 * TIME), 0.75),
        (np.random.default_rng(0).standard_normal(LENGTH) * np.exp(-20 * TIME), 1.0),
        (np.sin(2 * np.pi * (200 * TIME + 800 * TIME**2)), 0.92),
    ],
    ids=["pluck", "hit", "glide"],
)
def test_a_picture_becomes_a_sound_that_has_it(sound, gain):
    picture = mel_picture(sound)
    back = from_mel(picture)
    assert back.shape == (LENGTH,)
    assert back.dtype == np.float32
    assert np.abs(back).max() == pytest.approx(0.9)
    error = np.abs(mel_picture(back) - picture).mean()
    assert error < 0.035
    assert error < gain * np.abs(mel_picture(from_mel(picture, iterations=0)) - picture).mean()
    np.testing.assert_array_equal(back, from_mel(picture))


def test_black_is_silence():
    assert not from_mel(np.zeros((SIDE, SIDE))).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mel_picture(np.zeros(500)), "samples is silent or not finite; expected a sound"),
        (lambda: mel_picture([np.nan, 1.0]), "samples is silent or not finite; expected a sound"),
        (lambda: mel_picture(np.ones((2, 2, 2))), "samples has shape (2, 2, 2); expected (n,) or"),
        (lambda: from_mel(np.ones((3, 3))), "picture has shape (3, 3); expected (64, 64)"),
        (lambda: from_mel(np.ones((64, 64)), -1), "iterations is -1; expected a whole number ≥ 0"),
    ],
)  # fmt: skip
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()
