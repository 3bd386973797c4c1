"""Folders of pictures with captions, and Fashion-MNIST as its authors lay it out."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_choice, check_whole
from difffilter.image import as_float, like
from difffilter.io.files import read
from difffilter.io.picture import rgb_of_cmyk

__all__ = ["FASHION", "Captioned", "Captions", "read_captioned", "read_captions", "with_alpha"]

# The files of captions, the first that exists.
CAPTIONS = ("captions.jsonl", "captions.csv")
SPLITS = ("train", "test")

ARTICLES = ("a ", "an ", "the ")

# The classes of Fashion-MNIST, in the order of their labels.
FASHION = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
IDX = {"train": "train", "test": "t10k"}


class Captions(NamedTuple):
    """The captions of pictures.

    Attributes
    ----------
    labels : tuple of str
        The caption of each.
    tags : tuple of tuple of str
        Further words for each; often none.
    groups : tuple of str
        The group of each; "" where it has none.
    """

    labels: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]


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
    colours : tuple of str, default ()
        The main colour of each, "" where it has none, for captions that name it; or nothing.
    """

    images: NDArray
    labels: tuple[str, ...]
    tags: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    colours: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """int: Channels of a picture over a background: 1 for grey, 3 for colour."""
        return min(self.images.shape[3], 3)

    def over(self, index: int, background: NDArray | float = 1.0) -> NDArray:
        """A picture (S, S, 3), float32 in [0, 1], over a background; a grey one (S, S, 1) as it is."""
        pixels = self.images[index].astype(np.float32) / 255
        if pixels.shape[2] == 1:
            return pixels
        return pixels[..., :3] * pixels[..., 3:] + background * (1 - pixels[..., 3:])

    def caption(self, index: int, rng: np.random.Generator) -> str:
        """A caption: mostly the label, sometimes with tags, or tags alone.

        With `colours`, three in ten are the label with an article, and most of these name the colour;
        labels that have an article are sentences, and stay as they are.
        """
        label, tags = self.labels[index], self.tags[index]
        if self.colours and rng.random() < 0.3:
            named = self.colours[index] if rng.random() < 0.75 else ""
            named = "" if label.startswith(ARTICLES) else named
            return with_article(label if named in label else f"{named} {label}")
        chance = rng.random()
        if not tags or chance < 0.6:
            return label
        some = [str(tag) for tag in rng.permutation(tags)[: rng.integers(1, 4)]]
        return " ".join([label, *some] if chance < 0.85 else some)


def with_article(words: str) -> str:
    """Words with an indefinite article, unless they seem to be a plural."""
    if words.endswith("s") or words.startswith(ARTICLES):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def read_captioned(folder: str | PathLike, size: int = 64, split: str = "train") -> Captioned:
    """Read the captioned pictures of a folder.

    Parameters
    ----------
    folder : str or Path
        With ``captions.jsonl``, an object a line, or ``captions.csv``, with a header row: ``file``,
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
        If there is no such folder, no captions in it, no picture of the split, or not the file of
        one.
    ValueError
        If a line or a picture is damaged, or a picture has channels other than those of grey, RGB or
        CMYK and alpha.

    Examples
    --------
    >>> read_captioned("emoji", split="test")  # doctest: +SKIP
    """
    folder = Path(folder)
    check_whole("size", size, least=1)
    captions = read_captions(folder, split)
    if is_fashion(folder):
        return Captioned(fashion_images(folder, size, split, len(captions.labels)), *captions)
    images = [squared(folder / each.file, size) for each in records_in(folder, split)]
    return Captioned(np.stack(images), *captions)


def read_captions(folder: str | PathLike, split: str = "train") -> Captions:
    """Read the captions of a folder without its pictures.

    Parameters
    ----------
    folder, split
        As for `read_captioned`.

    Returns
    -------
    Captions

    Raises
    ------
    FileNotFoundError, ValueError
        As for `read_captioned`.

    Examples
    --------
    >>> read_captions("emoji").labels[0]  # doctest: +SKIP
    'grinning face'
    """
    folder = Path(folder)
    check_choice("split", split, SPLITS)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if is_fashion(folder):
        return fashion_captions(folder, split)
    records = records_in(folder, split)
    return Captions(
        tuple(each.label for each in records),
        tuple(each.tags for each in records),
        tuple(each.group for each in records),
    )


# --- files of captions ----------------------------------------------------------------------


class Record(NamedTuple):
    """A line of a file of captions."""

    file: str
    label: str
    tags: tuple[str, ...]
    group: str
    split: str


def records_in(folder: Path, split: str) -> list[Record]:
    """The lines of a folder's captions that are of a split, one at least."""
    path = next((folder / name for name in CAPTIONS if (folder / name).exists()), None)
    if path is None:
        raise FileNotFoundError(f"no {' or '.join(CAPTIONS)} in {folder}")
    records = [each for each in records_of(path) if each.split == split]
    if not records:
        raise FileNotFoundError(f"no picture of the split {split!r} in {path}")
    return records


def records_of(path: Path) -> Iterator[Record]:
    """The lines of a file of captions, blank ones left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin with a byte-order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    stream = io.StringIO(text, newline="")
    lines: Iterable[Any] = csv.DictReader(stream) if path.suffix == ".csv" else stream
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if isinstance(line, Mapping) or line.strip():
                yield record_of(line, f"{path}, record {number}")
    except csv.Error as error:
        raise ValueError(f"{path}, record {number + 1}, is damaged: {error}") from None


def record_of(line: str | Mapping[str, Any], where: str) -> Record:
    """A line of captions, JSON or the fields of a CSV file; `where` it stands is for messages."""
    try:
        fields = line if isinstance(line, Mapping) else json.loads(line)
        file, label = fields["file"], fields.get("label") or fields["caption"]
        if not all(isinstance(text, str) and text.strip() for text in (file, label)):
            raise ValueError
        tags = fields.get("tags") or ()
        tags = [str(tag).strip() for tag in (tags.split(";") if isinstance(tags, str) else tags)]
        group, split = (str(fields.get(name) or "") for name in ("group", "split"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(
            f"{where}, is {str(line).strip()[:60]!r}; expected file and caption (or label)"
        ) from None
    check_choice(f"{where}: split", split or "train", SPLITS)
    return Record(file, label.strip(), tuple(tag for tag in tags if tag), group, split or "train")


# --- pictures -------------------------------------------------------------------------------


def with_alpha(path: Path) -> NDArray:
    """The first page of a picture, upright, float32 in [0, 1] unless its file has other floats.

    Returns
    -------
    ndarray (H, W), (H, W, 3) or, if it has alpha, (H, W, 4)

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If it is damaged, or has other channels.
    """
    picture = read(path)
    page, colours = picture.pages[0], picture.meta.get("colours")
    if colours == "CMYK":
        page = rgb_of_cmyk(picture)
    elif colours or (page.ndim == 3 and page.shape[2] != 3):
        raise ValueError(
            f"{path} has {colours or f'{page.shape[2]} channels'}; expected grey, RGB or CMYK"
        )
    page = as_float(page, -1 if page.ndim == 3 else None, name=str(path))
    if picture.alpha is not None:
        alpha = as_float(picture.alpha[0], name=str(path))
        page = np.dstack([page] * (1 if page.ndim == 3 else 3) + [alpha])
    return replace(picture, pages=page[None], alpha=None).upright()[0]


def squared(path: Path, size: int) -> NDArray:
    """A picture as uint8 (size, size, 4)."""
    from PIL import Image

    image = Image.fromarray(like(with_alpha(path), np.empty(0, np.uint8))).convert("RGBA")
    grow = size / max(image.size)
    within = [max(1, round(grow * n)) for n in image.size]
    if image.size != tuple(within):
        image = image.resize(within, Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (size, size))
    left, top = ((size - n) // 2 for n in image.size)
    square.paste(image, (left, top))
    return np.asarray(square)


# --- Fashion-MNIST --------------------------------------------------------------------------


def is_fashion(folder: Path) -> bool:
    """Whether a folder is that of Fashion-MNIST."""
    return (folder / "train-images-idx3-ubyte.gz").exists()


def fashion_captions(folder: Path, split: str) -> Captions:
    """The classes of Fashion-MNIST as captions, and as groups."""
    path = folder / f"{IDX[split]}-labels-idx1-ubyte.gz"
    numbers = read_idx(path)
    if numbers.ndim != 1 or (numbers >= len(FASHION)).any():
        raise ValueError(f"{path} does not hold labels from 0 to {len(FASHION) - 1}")
    if not len(numbers):
        raise FileNotFoundError(f"no picture of the split {split!r} in {path}")
    labels = tuple(FASHION[number] for number in numbers)
    return Captions(labels, ((),) * len(labels), labels)


def fashion_images(folder: Path, size: int, split: str, count: int) -> NDArray:
    """The pictures of Fashion-MNIST, uint8 (count, size, size, 1), 28×28 pixels centred on black."""
    path = folder / f"{IDX[split]}-images-idx3-ubyte.gz"
    images = read_idx(path)
    if images.ndim != 3 or len(images) != count:
        raise ValueError(
            f"{path} has the shape {images.shape}; expected {count} pictures, as labels"
        )
    before = [size - n for n in images.shape[1:]]
    if min(before) < 0:
        raise ValueError(f"size is {size}; expected at least {max(images.shape[1:])}")
    sides = [(n // 2, n - n // 2) for n in before]
    return np.pad(images, [(0, 0), *sides])[..., None]


def read_idx(path: Path) -> NDArray:
    """A gzipped file in the IDX format, of bytes."""
    try:
        with gzip.open(path) as stream:
            content = stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if content[:3] != b"\0\0\x08":  # two zeros, and the number of the type
        raise ValueError(f"{path} is not an IDX file of bytes")
    try:
        axes = content[3]
        shape = np.frombuffer(content, ">u4", axes, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
