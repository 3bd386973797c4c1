"""Random noise of many kinds, to train a network on real noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from difffilter.ddpm.maps import smoothed
from difffilter.image import LUMA
from difffilter.noise.camera import MATRIX, Camera, compress, read_variance

__all__ = ["draw_map", "draw_noise"]

# Probabilities of the kinds; otherwise the photograph is only compressed.
CAMERA, CORRELATED, WHITE, GROWING = 0.55, 0.15, 0.12, 0.08


def draw_noise(photo: NDArray, rng: np.random.Generator) -> NDArray:
    """Add noise of random kind and strength to a photograph.

    Parameters
    ----------
    photo : float32 ndarray
        ``(H, W, 3)`` or ``(H, W)``, in [0, 1].
    rng : numpy.random.Generator

    Returns
    -------
    float32 ndarray
        In [0, 1] for camera noise and if compressed; otherwise not clipped.
    """
    kind = rng.random()
    if kind < CAMERA:
        noisy, compressed = from_camera(photo, rng), rng.random() < 0.5
    elif kind < CAMERA + CORRELATED:
        noisy, compressed = photo + correlated(photo.shape, rng), rng.random() < 0.3
    elif kind < CAMERA + CORRELATED + WHITE:
        noisy, compressed = photo + strength(rng) * normal(photo.shape, rng), rng.random() < 0.25
    elif kind < CAMERA + CORRELATED + WHITE + GROWING:
        exponent = rng.choice([0.5, 1.0])
        noisy = photo + strength(rng) * photo**exponent * normal(photo.shape, rng)
        compressed = rng.random() < 0.25
    else:
        noisy, compressed = photo, True
    if compressed:
        lowest = 20 if noisy is photo else 55
        noisy = compress(noisy, int(rng.integers(lowest, 99)), int(rng.integers(3)))
    return noisy.astype(np.float32)


def draw_map(photo: NDArray, noise: NDArray, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Draw a strength of noise that differs from pixel to pixel, and what of it can be known.

    In half of the draws the variance grows with the intensity of the photograph, as that of photon noise
    on top of read noise does. What is known of it is read from the blurred noisy image, since a map
    computed from the photograph would show the photograph. In the other half the strength varies
    smoothly with position.

    Parameters
    ----------
    photo : ndarray (H, W)
        In [0, 1].
    noise : ndarray (H, W)
        The noise, where its strength is 1.
    rng : numpy.random.Generator

    Returns
    -------
    true, known : float32 ndarray (H, W)
        Above 0; the first has a mean square of 1.
    """
    if rng.random() < 0.5:
        dark = 10 ** rng.uniform(-3, 0)
        variance = dark + (1 - dark) * photo
        mean = variance.mean()
        true = np.sqrt(variance / mean)
        level = smoothed(photo + true * noise).clip(0, 1)
        known = np.sqrt((dark + (1 - dark) * level) / mean)
    else:
        octaves = rng.uniform(0, 2) * rng.standard_normal((4, 4))
        rows, columns = (np.linspace(0, 3, extent) for extent in photo.shape)
        along = np.stack([np.interp(columns, range(4), row) for row in octaves])
        variance = 2 ** np.stack([np.interp(rows, range(4), column) for column in along.T], axis=1)
        true = known = np.sqrt(variance / variance.mean())
    return true.astype(np.float32), known.astype(np.float32)


def normal(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """White noise of standard deviation 1, float32."""
    return rng.standard_normal(shape, np.float32)


def strength(rng: np.random.Generator, most: float = 60 / 255) -> float:
    """A standard deviation, log-uniform from 2/255."""
    return float(np.exp(rng.uniform(np.log(2 / 255), np.log(most))))


def correlated(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """Gaussian noise blurred to an FWHM of 1 to 4 pixels, partly common to the channels."""
    noise = normal(shape, rng)
    if len(shape) == 3:
        common = rng.uniform(0, 1)
        noise = np.sqrt(1 - common) * noise + np.sqrt(common) * normal(shape[:2], rng)[..., None]
    width = rng.uniform(1, 4) / 2.355
    noise = gaussian_filter(noise, (width, width) + (0,) * (len(shape) - 2), mode="wrap")
    return strength(rng, 45 / 255) / noise.std() * noise


def from_camera(photo: NDArray, rng: np.random.Generator) -> NDArray:
    """Add camera noise to a photograph; to a grey one, that of a monochrome sensor or of a luma."""
    shot = float(np.exp(rng.uniform(np.log(1e-4), np.log(0.03))))
    read = read_variance(shot) * float(np.exp(rng.normal(0.4, 0.7)))
    white = (rng.uniform(1.3, 2.4), rng.uniform(1.2, 2.2))
    vivid = rng.uniform(0, 1.6)
    matrix = np.eye(3) + vivid * (np.array(MATRIX) - np.eye(3))
    camera = Camera(gains=white, matrix=tuple(map(tuple, matrix)), tone=rng.random() < 0.6)
    method = "edges" if rng.random() < 0.8 else "bilinear"
    if photo.ndim == 3:
        noise = camera.noise_of(photo, shot, read, rng, method)
    elif rng.random() < 0.5:
        coloured = np.repeat(photo[..., None], 3, axis=2)
        noise = camera.noise_of(coloured, shot, read, rng, method) @ np.array(LUMA, np.float32)
    else:
        noise = camera.noise_of(photo, shot, read, rng)
    return np.clip(photo + noise, 0, 1)
