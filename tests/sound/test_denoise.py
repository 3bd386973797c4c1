"""Laws that every sound denoiser keeps, and its gain."""

import re

import numpy as np
import pytest

from difffilter import sound
from difffilter.sound import Noise, blocks
from difffilter.sound.denoiser import SoundDenoiser
from difffilter.sound.spectrogram import Transform

METHODS = sound.methods()


class Unchanged(SoundDenoiser):
    def __call__(self, spectra):
        return (spectrum.values for spectrum in spectra)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sigma", [None, 0.05])
def test_it_gains(method, sigma, clean, noisy):
    before = noisy.copy()
    restored = sound.denoise(noisy, 16000, method, sigma)
    np.testing.assert_array_equal(noisy, before)
    assert restored.shape == noisy.shape
    assert restored.dtype == np.float32
    gain = sound.si_sdr(clean, restored) - sound.si_sdr(clean, noisy)
    assert gain > {"ddpm": 13, "coherence_enhancing": 5}.get(method, 10)


def test_the_ddpm_gains_more_than_any_pde(clean, noisy):
    scores = {m: sound.si_sdr(clean, sound.denoise(noisy, 16000, m)) for m in METHODS}
    assert max(scores, key=scores.get) == "ddpm"


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_rate(rate):
    time = np.arange(2 * rate) / rate
    clean = np.sin(2 * np.pi * 700 * time) * np.exp(-4 * (time % 0.5))
    noisy = clean + 0.1 * np.random.default_rng(1).standard_normal(len(time))
    restored = sound.denoise(noisy, rate)
    assert restored.dtype == np.float64
    assert sound.si_sdr(clean, restored) > sound.si_sdr(clean, noisy) + 10


@pytest.mark.parametrize("method", METHODS)
def test_sigma_zero_changes_nothing(method, noisy):
    np.testing.assert_array_equal(sound.denoise(noisy, 16000, method, sigma=0), noisy)


@pytest.mark.parametrize("method", ["ddpm", "perona_malik"])
@pytest.mark.parametrize("factor", [1e-3, 32768.0])
def test_the_range_of_the_samples_is_of_no_account(method, factor, clean, noisy):
    restored = sound.denoise(noisy * np.float32(factor), 16000, method) / factor
    gain = sound.si_sdr(clean, restored) - sound.si_sdr(clean, noisy)
    assert gain > 10


def test_integers_are_scaled(noisy):
    integers = np.round(noisy * 32768).astype(np.int16)
    restored = sound.denoise(integers, 16000, "heat")
    expected = sound.denoise(integers.astype(np.float32) / 32768, 16000, "heat")
    np.testing.assert_array_equal(restored, expected)
    unsigned = (integers.astype(np.int32) + 32768).astype(np.uint16)
    np.testing.assert_array_equal(sound.denoise(unsigned, 16000, "heat"), expected)


@pytest.mark.parametrize("method", ["ddpm", "heat"])
def test_channels_are_restored_one_by_one(method, noisy):
    both = np.stack((noisy, noisy[::-1]), axis=1)[:16000]
    restored = sound.denoise(both, 16000, method, sigma=0.05)
    for channel in (0, 1):
        alone = sound.denoise(both[:, channel], 16000, method, sigma=0.05)
        np.testing.assert_allclose(restored[:, channel], alone, atol=1e-6)


def test_a_silent_channel_stays_silent(noisy):
    both = np.stack((noisy, np.zeros_like(noisy)), axis=1)
    restored = sound.denoise(both, 16000, "heat")
    assert not restored[:, 1].any()
    assert restored[:, 0].any()


@pytest.mark.parametrize("n", [640, 16000 * 11, 16000 * 12 - 1, 16000 * 20 + 77])
def test_blocks_that_are_not_changed_make_the_sound_again(n):
    samples = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
    restored = sound.denoise(samples, 16000, Unchanged(), sigma=0.1)
    np.testing.assert_allclose(restored, samples, atol=1e-5)


def test_blocks_fade_into_each_other_without_a_seam(monkeypatch, clean, noisy):
    whole = sound.denoise(noisy, 16000, "heat", 0.05)
    monkeypatch.setattr(blocks, "BLOCK", 0.7)
    parts = sound.denoise(noisy, 16000, "heat", 0.05)
    np.testing.assert_allclose(parts, whole, atol=0.01)


def test_the_result_is_the_same_again(noisy):
    first, second = (sound.denoise(noisy, 16000) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(100), 8000, "samples has 100 samples, 12.5 ms; expected 40 ms or more"),
        (np.zeros((3, 4, 5)), 8000, r"samples has shape (3, 4, 5); expected (n,) or (n, channels)"),
        (np.zeros((400, 0)), 8000, r"samples has shape (400, 0); expected (n,) or (n, channels)"),
        (np.full(400, np.nan), 8000, "samples is nan at 0; expected finite numbers"),
        (np.zeros(400), 100, "rate is 100; expected a finite number ≥ 4000"),
        (np.zeros(400), np.nan, "rate is nan; expected a finite number ≥ 4000"),
    ],
)
def test_bad_input(samples, rate, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sound.denoise(samples, rate)


def test_bad_options(noisy):
    with pytest.raises(ValueError, match="method is 'srad'; expected one of ddpm, heat"):
        sound.denoise(noisy, 16000, "srad")
    with pytest.raises(ValueError, match="sigma is -1; expected a finite number ≥ 0"):
        sound.denoise(noisy, 16000, "heat", -1)
    with pytest.raises(TypeError, match="expected numbers"):
        sound.denoise(["a"], 16000)
    with pytest.raises(ValueError, match="equation is 'tv'; expected one of heat"):
        sound.SoundPDE(equation="tv")


def test_si_sdr_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    clean = rng.standard_normal(5000)
    noise = rng.standard_normal(5000)
    noise -= clean * (clean @ noise) / (clean @ clean)
    noise *= 0.1 * np.linalg.norm(clean) / np.linalg.norm(noise)
    assert sound.si_sdr(clean, 3 * (clean + noise)) == pytest.approx(20)
    assert sound.si_sdr(clean, 2 * clean) > 200
    with pytest.raises(ValueError, match=r"estimate has shape \(2,\); expected \(3,\)"):
        sound.si_sdr([1, 2, 3], [1, 2])


def test_memory_does_not_grow_with_the_sound():
    """Of an hour, no more than 13 s are read at once, and as much is held."""
    rate, asked = 4000, []

    def read(start, stop):
        asked.append(stop - start)
        return np.ones((stop - start, 1), dtype=np.float32)

    transform = Transform(rate)
    noise = blocks.measured(read, 3600 * rate, 1, transform)
    noise = Noise(np.ones_like(noise.floor))
    pieces = blocks.restored(read, 3600 * rate, transform, Unchanged(), noise)
    assert sum(map(len, pieces)) == 3600 * rate
    assert max(asked) <= 13 * rate
