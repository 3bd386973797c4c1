"""Sounds for the tests."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def clean():
    """Three seconds of plucked tones at 16 kHz, with pauses."""
    rate = 16000
    time = np.arange(rate // 2) / rate
    tones = [
        sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 6)) * np.exp(-8 * time)
        for pitch in (220, 330, 262, 440, 196, 294)
    ]
    return (0.2 * np.concatenate(tones)).astype(np.float32)


@pytest.fixture(scope="session")
def noisy(clean):
    """The same with white noise of σ = 0.05."""
    noise = np.random.default_rng(0).standard_normal(len(clean), dtype=np.float32)
    return clean + np.float32(0.05) * noise
