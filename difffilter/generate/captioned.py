"""Folders of pictures with captions, and Fashion-MNIST as its authors lay it out."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_choice, check_whole
from difffilter.image import as_float, like
from difffilter.io.files import read
from difffilter.io.picture import joined

__all__ = ["FASHION", "Captioned", "read_captioned"]

# The files of captions, the first that exists.
CAPTIONS = ("captions.jsonl", "captions.csv")
SPLITS = ("train", "test")

# The classes of Fashion-MNIST, in the order of their labels.
FASHION = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
IDX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Captioned:
    """Pictures with their captions.

    Attributes
    ----------
    images : uint8 ndarray (N, S, S, C)
        Grey (C = 1), or red, green, blue and alpha (C = 4).
    labels : tuple of str
        The caption of each.
    tags : tuple of tuple of str
        Further words for each; often none.
    groups : tuple of str
        The group of each; "" where it has none.
    """

    images: NDArray
    labels: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def over(self, index: int, background: NDArray | float = 1.0) -> NDArray:
        """A picture (S, S, 3) or (S, S, 1), float32 in [0, 1], over a background."""
        pixels = self.images[index].astype(np.float32) / 255
        if pixels.shape[2] == 1:
            return pixels
        return pixels[..., :3] * pixels[..., 3:] + background * (1 - pixels[..., 3:])

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A caption: mostly the label, sometimes with tags, or tags alone."""
        label, tags = self.labels[index], self.tags[index]
        chance = rng.random()
        if not tags or chance < 0.6:
            return label
        some = [str(tag) for tag in rng.permutation(tags)[: rng.integers(1, 4)]]
        return " ".join([label, *some] if chance < 0.85 else some)


def read_captioned(folder: str | PathLike, size: int = 64, split: str = "train") -> Captioned:
    """Read the captioned pictures of a folder.

    Parameters
    ----------
    folder : str or Path
        With ``captions.jsonl``, an object a line, or ``captions.csv``, with a head line: ``file``,
        the path within the folder, and ``caption`` or ``label``; optional are ``tags`` (in a CSV
        file separated by semicolons), ``group`` and ``split`` ("train" or "test"; without it, all
        are for training). Or the four files of Fashion-MNIST, ``train-images-idx3-ubyte.gz`` and so
        on, whose labels become words.
    size : int, default 64
        Height and width to which pictures are brought. Those that are not square are centred on
        transparent pixels; smaller ones of Fashion-MNIST on black.
    split : {"train", "test"}, default "train"

    Returns
    -------
    Captioned

    Raises
    ------
    FileNotFoundError
        If there is no such folder, no captions in it, or no picture of the split.
    ValueError
        If a line or a picture is damaged.

    Examples
    --------
    >>> read_captioned("emoji", split="test")  # doctest: +SKIP
    """
    folder = Path(folder)
    check_whole("size", size, least=1)
    check_choice("split", split, SPLITS)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if (folder / "train-images-idx3-ubyte.gz").exists():
        return read_fashion(folder, size, split)
    path = next((folder / name for name in CAPTIONS if (folder / name).exists()), None)
    if path is None:
        raise FileNotFoundError(f"no {' or '.join(CAPTIONS)} in {folder}")
    records = [each for each in records_of(path) if each["split"] == split]
    if not records:
        raise FileNotFoundError(f"no picture of the split {split!r} in {path}")
    return Captioned(
        np.stack([squared(folder / each["file"], size) for each in records]),
        tuple(each["label"] for each in records),
        tuple(each["tags"] for each in records),
        tuple(each["group"] for each in records),
    )


def records_of(path: Path) -> Iterable[dict[str, Any]]:
    """The lines of a file of captions, each with file, label, tags, group and split."""
    with open(path, encoding="utf-8", newline="") as stream:
        lines: Iterable[Any] = csv.DictReader(stream) if path.suffix == ".csv" else stream
        for number, line in enumerate(lines, 1):
            try:
                record = line if isinstance(line, Mapping) else json.loads(line)
                label = record.get("label") or record["caption"]
                tags = record.get("tags") or ()
                tags = tags.split(";") if isinstance(tags, str) else tags
                yield {
                    "file": str(record["file"]),
                    "label": str(label),
                    "tags": tuple(str(tag).strip() for tag in tags),
                    "group": str(record.get("group") or ""),
                    "split": str(record.get("split") or "train"),
                }
            except (AttributeError, KeyError, TypeError, ValueError):
                raise ValueError(
                    f"{path}, record {number}, is {str(line).strip()[:60]!r}; expected file and "
                    "caption (or label)"
                ) from None


def with_alpha(path: Path) -> NDArray:
    """The first page of a picture, upright, with alpha as the last channel if it has any."""
    picture = read(path)
    return replace(picture, pages=joined(picture), alpha=None).upright()[0]


def squared(path: Path, size: int) -> NDArray:
    """A picture as uint8 (size, size, 4)."""
    from PIL import Image

    page = with_alpha(path)
    pixels = like(as_float(page, -1 if page.ndim == 3 else None), np.empty(0, np.uint8))
    image = Image.fromarray(pixels).convert("RGBA")
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    if image.size != (size, size):
        grow = size / max(image.size)
        image = image.resize(
            [max(1, round(grow * n)) for n in image.size], Image.Resampling.LANCZOS
        )
    square = Image.new("RGBA", (size, size))
    left, top = ((size - n) // 2 for n in image.size)
    square.paste(image, (left, top))
    return np.asarray(square)


def read_fashion(folder: Path, size: int, split: str) -> Captioned:
    """Fashion-MNIST, its 28×28 pixels centred on black."""
    start = IDX[split]
    images = read_idx(folder / f"{start}-images-idx3-ubyte.gz")
    numbers = read_idx(folder / f"{start}-labels-idx1-ubyte.gz")
    if images.ndim != 3 or numbers.shape != (len(images),) or numbers.max() >= len(FASHION):
        raise ValueError(f"{folder} does not hold Fashion-MNIST: images and labels do not match")
    before = [size - n for n in images.shape[1:]]
    if min(before) < 0:
        raise ValueError(f"size is {size}; expected at least {max(images.shape[1:])}")
    sides = [(n // 2, n - n // 2) for n in before]
    images = np.pad(images, [(0, 0), *sides])[..., None]
    labels = tuple(FASHION[number] for number in numbers)
    return Captioned(images, labels, ((),) * len(labels), labels)


def read_idx(path: Path) -> NDArray:
    """A gzipped file in the IDX format, of bytes."""
    try:
        with gzip.open(path) as stream:
            content = stream.read()
        zeros, kind, axes = content[:2], content[2], content[3]
        shape = np.frombuffer(content, ">u4", axes, offset=4)
        pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (EOFError, IndexError, ValueError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if zeros != b"\0\0" or kind != 8:
        raise ValueError(f"{path} is not an IDX file of bytes")
    return pixels
