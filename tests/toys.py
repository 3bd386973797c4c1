"""Small Denoisers whose best parameters are known, for the tests of searches."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from difffilter.denoiser import Denoiser, prepare
from difffilter.search_space import Choice, Range


@dataclass(frozen=True, kw_only=True)
class Shrink(Denoiser):
    """Pulls an image towards its mean: best by σ²/(variance + σ²), whatever the image."""

    SEARCH: ClassVar[dict] = {"strength": Range(0.01, 10, per_sigma=True)}

    strength: float | None = None

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image, _ = prepare(noisy, sigma, channel_axis)
        return image + self.strength * (image.mean() - image)


@dataclass(frozen=True, kw_only=True)
class Decay(Denoiser):
    """Exponential decay; a checkerboard comes in unless there are 7 rounds."""

    SEARCH: ClassVar[dict] = {
        "time": Range(0.1, 100, along=True),
        "sign": Choice((-1, 1)),
        "rounds": Range(1, 40, whole=True),
    }

    time: float | None = None
    sign: int | None = None
    rounds: int | None = None

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        image, _ = prepare(noisy, sigma, channel_axis)
        checks = np.indices(image.shape).sum(axis=0) % 2
        return image * np.exp(-0.1 * self.sign * self.time) + 0.02 * abs(self.rounds - 7) * checks
