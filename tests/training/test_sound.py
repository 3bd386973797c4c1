"""Training on sounds."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from finished_runs import assert_same_run

from difffilter.ddpm.unet import UNetConfig
from difffilter.io.weights import read
from difffilter.sound import denoise, make
from difffilter.training import SoundTraining, export, fit_sound
from difffilter.training import sound as training_sound
from difffilter.training.loop import training_steps
from difffilter.training.sound import Sound, SoundLoss, draw, read_sounds
from difffilter.training.state import TrainingState

TINY = SoundTraining(
    unet=UNetConfig(channels=1, shuffle=2, widths=(8, 8), blocks=1, middle=1, attention=(), embedding=16),
    steps=6, batch=2, crop=16, band=32, warmup=1, validation=1, validate_every=3, precision="float32",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    time = np.arange(8000) / 16000
    for number in range(4):
        tone = np.sin(2 * np.pi * 220 * (number + 2) * time) * np.exp(-4 * time)
        soundfile.write(folder / f"{number}.wav", 0.5 * np.stack((tone, tone), axis=1), 16000)
    (folder / "notes.txt").write_text("not a sound")
    return folder


def test_a_run_that_was_stopped_ends_as_an_unbroken_one(folder, tmp_path, monkeypatch):
    whole = fit_sound(folder, tmp_path / "whole", TINY)

    def failing(sounds, config, place):
        if place == 8:
            raise KeyboardInterrupt
        return draw(sounds, config, place)

    with monkeypatch.context() as patch:
        patch.setattr(training_sound, "draw", failing)
        with pytest.raises(KeyboardInterrupt):
            fit_sound(folder, tmp_path / "parts", TINY, checkpoint_seconds=0)
    fit_sound(folder, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    export(tmp_path / "whole", tmp_path / "w.safetensors")
    for mine, exported in zip(read(whole), read(tmp_path / "w.safetensors"), strict=True):
        assert mine.keys() == exported.keys()
    assert read(whole)[0]["sha256"] == read(tmp_path / "w.safetensors")[0]["sha256"]
    noisy = np.random.default_rng(0).standard_normal(16000)
    restored = denoise(noisy, 16000, make("ddpm", weights=whole))
    assert np.isfinite(restored).all()


def test_draws_follow_from_their_number(folder):
    sounds, held = read_sounds(folder, TINY)
    assert (len(sounds), len(held)) == (3, 1)
    first, again, other = (draw(sounds, TINY, place) for place in (3, 3, 4))
    for mine, same, another in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(mine, same)
        assert not np.array_equal(mine, another)


@pytest.mark.parametrize("babble", [0.0, 1.0])
def test_the_noise_is_in_units_of_its_floor(folder, babble):
    sounds, _ = read_sounds(folder, TINY)
    config = replace(TINY, babble=babble, band=128)
    levels = []
    for place in range(40):
        x0, eps, sigma_tilde = draw(sounds, config, place)
        assert x0.shape == eps.shape == (2, 128, 16)
        assert x0.dtype == eps.dtype == np.float32
        assert 0.0099 <= sigma_tilde <= 10
        levels.append(np.sqrt(np.mean(eps**2)))
    assert 0.7 < np.median(levels) < (2.2 if babble else 1.3)


def test_a_low_rate_has_fewer_bins_than_a_crop():
    sound = Sound(np.random.default_rng(0).standard_normal(8000).astype(np.float32), 4000)
    x0, eps, _ = draw([sound], SoundTraining(), 0)
    assert x0.shape == eps.shape == (2, 192, 96)


def test_learning(folder):
    """A few steps on one crop bring the loss down."""
    sounds, _ = read_sounds(folder, TINY)
    state = TrainingState(replace(TINY, steps=25), torch.device("cpu"))
    loss = SoundLoss(state, sounds, 0, 1)
    losses = [float(x) for x in training_steps(state, lambda step: loss(0))]
    assert losses[-1] < 0.8 * losses[0]


def test_errors(folder, tmp_path):
    with pytest.raises(ValueError, match="band is 30; expected a multiple of 4"):
        replace(TINY, band=30)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        fit_sound(tmp_path / "none", tmp_path / "run", TINY)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no sounds \(\.wav, "):
        fit_sound(tmp_path / "empty", tmp_path / "run", TINY)
