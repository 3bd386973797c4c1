"""What a network is trained on: a folder of photographs, and random crops of them."""

from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def load_images(folder, channels):
    """Read every image in a folder.

    Parameters
    ----------
    folder : str or Path
        Folder of image files; other files and subfolders are skipped.
    channels : {1, 3}
        1 converts to grey by the ITU-R 601 luma, 3 to RGB.

    Returns
    -------
    list of uint8 ndarray (channels, H, W)
        Sorted by file name.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"no images ({', '.join(SUFFIXES)}) in {folder}")
    images = []
    for path in paths:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        images.append(np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), 2, 0)))
    return images


def set_aside(images, count):
    """Split into training and validation images, the latter evenly spaced in the list.

    No more than half of the images are set aside, so that few of them make a run as well.
    """
    count = min(count, len(images) // 2)
    chosen = set(np.linspace(0, len(images) - 1, count).round().astype(int)) if count else set()
    train = [image for index, image in enumerate(images) if index not in chosen]
    return train, [images[index] for index in sorted(chosen)]


def image_at(position, count, seed):
    """Which of `count` images a run sees as its `position`-th: each once an epoch, shuffled anew.

    It follows from the position alone, so that neither a resumed run nor one on several processes
    sees an image twice in an epoch or misses one.
    """
    epoch, place = divmod(position, count)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
    return order.permutation(count)[place]


def draw_batch(images, config, step):
    """Crops and steps t of one training step, and a seed for their noise.

    Parameters
    ----------
    images : list of uint8 ndarray (C, H, W)
        Each at least ``config.crop`` high and wide.
    config : TrainingConfig
    step : int
        Number of the training step.

    Returns
    -------
    x0 : uint8 ndarray (batch, C, crop, crop)
    t : float64 ndarray (batch,)
    seed : int
    """
    rng = np.random.default_rng([config.seed, step])
    crops = []
    for position in range(step * config.batch, (step + 1) * config.batch):
        image = images[image_at(position, len(images), config.seed)]
        top, left = (rng.integers(extent - config.crop + 1) for extent in image.shape[1:])
        crop = image[:, top : top + config.crop, left : left + config.crop]
        vertical, horizontal, transposed = rng.integers(2, size=3)
        crop = crop[:, :: 1 - 2 * vertical, :: 1 - 2 * horizontal]
        crops.append(crop.swapaxes(1, 2) if transposed else crop)
    sigma = config.sigma * np.exp(config.spread * rng.standard_normal(config.batch))
    t = config.schedule.step_of(2 * sigma.clip(*config.sigma_range))
    uniform = rng.random(config.batch) < config.uniform
    t[uniform] = rng.uniform(1, config.schedule.T, size=uniform.sum())
    return np.stack(crops), t, int(rng.integers(2**63))
