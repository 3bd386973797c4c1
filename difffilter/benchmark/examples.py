"""Pictures of a study's first results, kept for the report."""

from __future__ import annotations

import json
import re

import numpy as np

from difffilter.image import like
from difffilter.io.files import replacing, write
from difffilter.io.picture import Picture

__all__ = ["file_names", "keep"]


def keep(results, case, labels, label, clean, result):
    """Write a result and the clean image as PNG files, and ``labels.json``, which names them.

    Parameters
    ----------
    results : Path
        The folder of the results.
    case : Case
    labels : iterable of str
        The labels of all methods of the study.
    label : str
        The method of this result.
    clean, result : ndarray
    """
    folder = results / "examples" / case.image / f"{case.noise}-{case.sigma * 255:g}-{case.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    names = file_names(labels)
    listed = {name: each for each, name in names.items()}
    with replacing(folder / "labels.json") as temporary:
        temporary.write_text(json.dumps(listed, ensure_ascii=False, indent=1), "utf-8")
    for name, image in (("clean.png", clean), (names[label], result)):
        write(folder / name, Picture(like(image, np.uint8(0))[None]))


def file_names(labels):
    """Label to a file name that any file system accepts.

    Examples
    --------
    >>> file_names(["a b", "a/b"])
    {'a b': 'a_b.png', 'a/b': 'a_b-2.png'}
    """
    names = {}
    for label in labels:
        stem = re.sub(r"[^\w.+-]+", "_", label).strip("_.")[:60] or "method"
        taken = {*names.values(), "clean.png"}
        number = next(n for n in range(1, len(taken) + 2) if _numbered(stem, n) not in taken)
        names[label] = _numbered(stem, number)
    return names


def _numbered(stem, number):
    return f"{stem}.png" if number == 1 else f"{stem}-{number}.png"
