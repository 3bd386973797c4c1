"""Pictures of a study's first results, kept for the report."""

from __future__ import annotations

import json
import re

import numpy as np

from difffilter.image import like
from difffilter.io.files import replacing, write
from difffilter.io.picture import Picture

__all__ = ["file_names", "folder_names", "keep"]


# The colour of holes.
MAGENTA = (1, 0, 1)


def keep(results, study, case, label, degraded, result):
    """Write a result and the clean image as PNG files, and ``labels.json``, which names them.

    Where there are holes, ``holes.png`` shows them in magenta.

    Parameters
    ----------
    results : Path
        The folder of the results.
    study : Study
    case : Case
    label : str
        The method of this result.
    degraded : Degraded
    result : ndarray
    """
    noise = folder_names(study.kinds)[case.noise]
    folder = results / "examples" / case.image / f"{noise}-{case.sigma * 255:g}-{case.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    names = file_names(study.denoisers)
    listed = {name: each for each, name in names.items()}
    with replacing(folder / "labels.json") as temporary:
        temporary.write_text(json.dumps(listed, ensure_ascii=False, indent=1), "utf-8")
    pictures = {"clean.png": degraded.clean, names[label]: result}
    if degraded.mask is not None:
        pictures["holes.png"] = _in_colour(degraded)
    for name, image in pictures.items():
        write(folder / name, Picture(like(image, np.uint8(0))[None]))


def _in_colour(degraded):
    """The image with its holes in magenta, ``(H, W, 3)``."""
    image = degraded.image
    coloured = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image.copy()
    coloured[degraded.mask] = MAGENTA
    return coloured


def file_names(labels):
    """Label to a file name that any file system accepts.

    Examples
    --------
    >>> file_names(["a b", "a/b"])
    {'a b': 'a_b.png', 'a/b': 'a_b-2.png'}
    """
    return _distinct(labels, ".png", {"clean.png", "holes.png"})


def folder_names(noises):
    """Kind of noise to the start of a folder name that any file system accepts.

    Examples
    --------
    >>> folder_names(["gaussian", "camera(quality=90)", "camera(quality='90')"])
    {'gaussian': 'gaussian', 'camera(quality=90)': 'camera_quality_90',
     "camera(quality='90')": 'camera_quality_90-2'}
    """
    return _distinct(noises, "", set())


def _distinct(texts, suffix, taken):
    names = {}
    for text in texts:
        stem = re.sub(r"[^\w.+-]+", "_", text).strip("_.")[:60] or "method"
        used = {*names.values(), *taken}
        numbered = (f"{stem}{f'-{n}' if n > 1 else ''}{suffix}" for n in range(1, len(used) + 2))
        names[text] = next(name for name in numbered if name not in used)
    return names
