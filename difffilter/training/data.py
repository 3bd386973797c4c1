"""Training data: a folder of photographs, and random crops of them.

Crops and noise of training step n come from a generator seeded by (seed, n). So a resumed
run draws what the unbroken one would have drawn, and a run on several processes what a single one
would.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from difffilter.image import as_float, grey
from difffilter.io.files import SUFFIXES, read
from difffilter.io.picture import rgb_of_cmyk
from difffilter.training.drawings import drawing
from difffilter.training.photo_configs import DiffusionConfig, PhotoConfig, TrainingConfig

__all__ = ["draw_batch", "draw_noisy", "load_images", "read_photos", "set_aside", "signed"]

# An image, or a sound.
Item = TypeVar("Item")


def load_images(folder: str | PathLike, channels: int) -> list[NDArray]:
    """Read every image in a folder.

    Parameters
    ----------
    folder : str or Path
        Folder of image files that `difffilter.io.files.read` reads; other files and subfolders are
        skipped. Of a file with several pages the first is taken; alpha is dropped.
    channels : {1, 3}
        1 converts to grey, 3 to RGB.

    Returns
    -------
    list of ndarray (channels, H, W)
        Sorted by file name: uint8 or uint16 as in the file, all else float32 or float64 in [0, 1].

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    ValueError
        If a file is damaged, or is neither grey nor colour.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no images ({', '.join(SUFFIXES)}) in {folder}")
    return [np.ascontiguousarray(np.moveaxis(load_image(path, channels), 2, 0)) for path in paths]


def load_image(path: Path, channels: int) -> NDArray:
    """An image as (H, W, channels), in the dtype of its file where that is uint8 or uint16."""
    picture = read(path)
    pixels = rgb_of_cmyk(picture) if picture.meta.get("cmyk") else picture.pages[0]
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise ValueError(f"{path} has {pixels.shape[2]} channels; expected 1 or 3")
    if pixels.dtype not in (np.uint8, np.uint16):
        pixels = as_float(pixels, picture.channel_axis, name=str(path))
        if pixels.min() < 0 or pixels.max() > 1:
            raise ValueError(
                f"{path} has values from {pixels.min():.3g} to {pixels.max():.3g}; expected [0, 1]"
            )
    if pixels.ndim == 3 and channels == 1:
        pixels = grey(pixels)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], channels, axis=2)


def set_aside(images: list[Item], count: int) -> tuple[list[Item], list[Item]]:
    """Split items into those for training and those for validation, evenly spaced in the list.

    At most half of the images are set aside, so that a few are enough for a run.
    """
    count = min(count, len(images) // 2)
    chosen = set(np.linspace(0, len(images) - 1, count).round().astype(int)) if count else set()
    train = [image for index, image in enumerate(images) if index not in chosen]
    return train, [images[index] for index in sorted(chosen)]


def read_photos(folder: str | PathLike, config: PhotoConfig) -> tuple[list[NDArray], list[NDArray]]:
    """The photographs of a folder: those to train on, as large as a crop at least, and those set aside.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_images`, and if none is large enough.
    """
    train, validation = set_aside(load_images(folder, config.channels), config.validation)
    side, _ = config.crops(config.steps - 1)  # the largest
    train = [image for image in train if min(image.shape[1:]) >= side]
    if not train:
        raise ValueError(f"no image in {folder} is {side} pixels high and wide")
    return train, validation


def signed(pixels: NDArray) -> NDArray:
    """Pixels as `load_images` returns them, scaled to [−1, 1], float32."""
    half = np.iinfo(pixels.dtype).max / 2 if pixels.dtype.kind == "u" else 0.5
    return pixels.astype(np.float32) / half - 1


def image_at(position: int, count: int, seed: int) -> int:
    """Index of the image, among `count`, that a run sees at a position: a new order each epoch.

    It follows from the position alone, so that neither a resumed run nor one on several processes
    sees an image twice in an epoch or misses one.
    """
    epoch, place = divmod(position, count)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return order.permutation(count)[place]


def draw_crops(
    images: list[NDArray], config: PhotoConfig, step: int
) -> tuple[NDArray, np.random.Generator]:
    """Crops of one training step, and the generator for what else it draws.

    Parameters
    ----------
    images : list of ndarray (C, H, W)
        Each at least as high and wide as a crop, as `load_images` returns them.
    config : PhotoConfig
    step : int
        Number of the training step.

    Returns
    -------
    x0 : float32 ndarray (B, C, S, S)
        In [−1, 1].
    rng : numpy.random.Generator
    """
    rng = np.random.default_rng([config.seed, step])
    crops = []
    side, positions = config.crops(step)
    for position in positions:
        image = images[image_at(position, len(images), config.seed)]
        top, left = (rng.integers(extent - side + 1) for extent in image.shape[1:])
        crop = image[:, top : top + side, left : left + side]
        vertical, horizontal, transposed = rng.integers(2, size=3)
        crop = crop[:, :: 1 - 2 * vertical, :: 1 - 2 * horizontal]
        crops.append(signed(crop.swapaxes(1, 2) if transposed else crop))
    return np.stack(crops), rng


def draw_batch(
    images: list[NDArray], config: TrainingConfig, step: int
) -> tuple[NDArray, NDArray, int]:
    """Crops and steps t of one training step of a DDPM, and a seed for their noise.

    Parameters
    ----------
    images : list of ndarray (C, H, W)
        As for `draw_crops`.
    config : TrainingConfig
    step : int
        Number of the training step.

    Returns
    -------
    x0 : float32 ndarray (B, C, S, S)
        In [−1, 1].
    t : float64 ndarray (B,)
    seed : int
    """
    crops, rng = draw_crops(images, config, step)
    sigma = config.sigma * np.exp(config.spread * rng.standard_normal(len(crops)))
    t = config.schedule.step_of(2 * sigma.clip(*config.sigma_range))
    uniform = rng.random(len(crops)) < config.uniform
    t[uniform] = rng.uniform(1, config.schedule.T, size=uniform.sum())
    if config.drawings:
        channels, side = crops.shape[1:3]
        for index in np.flatnonzero(rng.random(len(crops)) < config.drawings):
            crops[index] = 2 * drawing(side, channels, rng) - 1
    return crops, t, int(rng.integers(2**63))


def draw_noisy(
    images: list[NDArray], config: DiffusionConfig, step: int
) -> tuple[NDArray, NDArray, int]:
    """Crops and strengths of noise of one training step of a learned diffusion, and a seed for it.

    Parameters
    ----------
    images : list of ndarray (C, H, W)
        As for `draw_crops`.
    config : DiffusionConfig
    step : int
        Number of the training step.

    Returns
    -------
    x0 : float32 ndarray (batch, C, crop, crop)
        In [−1, 1].
    sigma : float32 ndarray (batch,)
        For an image in [0, 1].
    seed : int
    """
    crops, rng = draw_crops(images, config, step)
    low, high = np.log(config.sigma_range)
    sigma = np.exp(rng.uniform(low, high, len(crops)))
    return crops, sigma.astype(np.float32), int(rng.integers(2**63))
