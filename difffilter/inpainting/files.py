"""Filling in image files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.image import DataRange, like, scaled
from difffilter.inpainting.inpainter import Callback, Inpainter, shares
from difffilter.inpainting.masks import dead_pixels, mask_of_colour
from difffilter.io.arrays import ARRAYS, split_path
from difffilter.io.files import READABLE, SUFFIXES, check_target, read, replacing, write
from difffilter.io.picture import Picture

__all__ = ["Filling", "inpaint_file", "mask_for", "numbered", "shown_marks"]

# Called as an Inpainter is; returns its result, or several, stacked.
Filler = Callable[..., NDArray]


@dataclass(frozen=True)
class Filling:
    """A file that was filled in.

    Attributes
    ----------
    count : int
        The number of pixels that were filled in. If it is 0, the targets are copies of the source.
    before, after : ndarray (H, W) or (H, W, C), and a list of them
        The first page with holes, or else the first one, as it is shown upright, and its fillings.
    hole : bool ndarray (H, W)
        The pixels of that page that were filled in.
    """

    count: int
    before: NDArray
    hole: NDArray
    after: list[NDArray]


def inpaint_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    inpainter: Inpainter,
    *,
    mask: str | os.PathLike | None = None,
    colour: Sequence[float] | str | None = None,
    tolerance: float = 0.0,
    dead: bool = False,
    ignore: str | os.PathLike | None = None,
    volume: bool = False,
    spacing: float | Sequence[float] | None = None,
    data_range: DataRange = None,
    samples: int | None = None,
    overwrite: bool = False,
    max_pixels: int | None = None,
    quality: int | None = None,
    callback: Callback | None = None,
) -> Filling:
    """Fill in the pixels of an image file that a mask, a colour or a search for defects marks.

    Pixels that are marked in any of these ways are filled in, and those that are NaN. All others, and
    alpha, are written as they were read.

    Parameters
    ----------
    source, target : path-like
        The files to read and to write, of the kinds that `read` and `write` take.
    inpainter : Inpainter
    mask : path-like, optional
        An image file of the source's size, both upright, with one page or as many as the source:
        pixels that are neither 0 nor transparent are filled in. Or a folder, see `mask_for`.
    colour, tolerance
        As for `mask_of_colour`; ``None``: no colour is filled in.
    dead : bool, default False
        Whether to fill in what `dead_pixels` finds.
    ignore : path-like, optional
        A file or a folder as `mask`, of pixels that are neither used nor filled in.
    volume : bool, default False
        Whether the pages of a TIFF are one volume.
    spacing : float or sequence of float, optional
        Size of a pixel along each axis; ``None``: 1.
    data_range : float or (float, float), optional
        As for `denoise`, for parameters in units of intensity; ``None``: that of the type.
    samples : int, optional
        Write so many fillings of an inpainter with `Inpainter.draws`, to the names of `numbered`;
        ``None``: the result of its call, to `target`.
    overwrite : bool, default False
        Whether an existing target may be replaced.
    max_pixels : int, optional
        Refuse larger images; ``None``: the default limit of `read`.
    quality : int, optional
        Quality of a JPEG, WebP, AVIF or HEIC file, from 1 to 100; ``None``: that of the source.
    callback : callable, optional
        Called now and then with the number of steps that are done, and of all.

    Returns
    -------
    Filling

    Raises
    ------
    OSError, TypeError, ValueError
        If a file cannot be read or written, a mask has another size, nothing says which pixels to fill
        in, a page has no pixel that is known, or there are `samples` of an inpainter that draws none.
        Then no target is written, unless it is writing one of several that fails.
    """
    if samples is not None and not inpainter.draws:
        raise ValueError(
            f"samples is {samples}; expected None, as {type(inpainter).__name__} always fills in alike"
        )
    source, targets = Path(source), numbered(target, samples)
    for path in targets:
        check_target(path, overwrite, SUFFIXES)
    picture = read(source, max_pixels)
    images = [picture, *picture.others]
    if picture.others and (mask is not None or ignore is not None):
        raise ValueError(f"{source} has images of {len(images)} kinds; expected one with a mask")
    masked = None if mask is None else _marked(mask_for(mask, source), picture, source, max_pixels)
    ignored = (
        None if ignore is None else _marked(mask_for(ignore, source), picture, source, max_pixels)
    )
    holes = [_not_a_number(image) for image in images]
    if mask is None and colour is None and not dead and not any(hole.any() for hole in holes):
        raise ValueError(
            f"{source} has no NaN; expected a mask: pass --mask, --mask-color or --dead-pixels"
        )
    for image, hole in zip(images, holes, strict=True):
        if masked is not None:
            hole |= masked
        if colour is not None:
            hole |= mask_of_colour(
                image.pages, colour, tolerance=tolerance, channel_axis=image.channel_axis
            )
        if dead:
            hole |= dead_pixels(image.pages, channel_axis=image.channel_axis)
        if ignored is not None:
            hole &= ~ignored
    count = sum(int(hole.sum()) for hole in holes)
    if not count:
        for path in targets:
            _copy(source, path, picture, quality)
        return _shown(images, holes, [images] * len(targets))
    fill = _filler(inpainter, samples, spacing=spacing)
    parts = [
        _filled(image, hole, ignored, fill, len(targets), source, volume, data_range, callback)
        for image, hole in zip(images, holes, strict=True)
    ]
    fillings = [list(pictures) for pictures in zip(*parts, strict=True)]
    for path, (first, *others) in zip(targets, fillings, strict=True):
        write(path, _with_quality(replace(first, others=others), quality))
    return _shown(images, holes, fillings)


def numbered(target: str | os.PathLike, samples: int | None) -> list[Path]:
    """The files for several fillings: itself for ``None``.

    Examples
    --------
    >>> [path.name for path in numbered("photo_inpaint.png", 2)]
    ['photo_inpaint-1.png', 'photo_inpaint-2.png']
    """
    path = Path(target)
    if samples is None:
        return [path]
    return [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(1, samples + 1)]


def mask_for(mask: str | os.PathLike, source: str | os.PathLike) -> Path:
    """The file of a mask for an image: itself or, in a folder, that of the same name.

    Parameters
    ----------
    mask : path-like
        A file, or a folder of files with the names of images, other suffixes aside.
    source : path-like
        The image.

    Raises
    ------
    ValueError
        If no file of a folder has that name, or several have, and none the suffix too.
    """
    folder, name = Path(mask), split_path(source)[0]
    if not folder.is_dir() or split_path(folder)[0].suffix.lower() in ARRAYS:
        return folder
    if (folder / name.name).exists():
        return folder / name.name
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.stem == name.stem and path.suffix.lower() in READABLE + ARRAYS
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found) or "no mask"
    raise ValueError(f"{folder} has {names} for {source}; expected one file named {name.stem}.*")


def _marked(
    path: str | os.PathLike, picture: Picture, source: Path, max_pixels: int | None
) -> NDArray:
    """The pixels (N, H, W) of a picture that are marked in a file."""
    pages = shown_marks(read(path, max_pixels))
    (height, width), shape = pages.shape[1:], picture.upright().shape
    if (height, width) != shape[1:3]:
        raise ValueError(
            f"{path} has {width}×{height} pixels; expected {shape[2]}×{shape[1]}, as {source} has"
        )
    if len(pages) not in (1, shape[0]):
        expected = f"1 or {shape[0]}" if shape[0] > 1 else "1"
        raise ValueError(f"{path} has {len(pages)} pages; expected {expected}, as {source} has")
    return np.broadcast_to(picture.as_stored(pages), picture.pages.shape[:3])


def shown_marks(mask: Picture) -> NDArray:
    """The pixels (N, H, W) of a mask, as it is shown upright, that are neither 0 nor transparent."""
    pages = mask.upright() != 0
    if pages.ndim == 4:
        pages = pages.any(axis=-1)
    return pages if mask.alpha is None else pages & (mask.with_pages(mask.alpha).upright() != 0)


def _not_a_number(image: Picture) -> NDArray:
    """The pixels (N, H, W) that are NaN in a channel or more."""
    if image.pages.dtype.kind != "f":
        return np.zeros(image.pages.shape[:3], bool)
    found = np.isnan(image.pages)
    return found if image.channel_axis is None else found.any(axis=-1)


def _with_quality(picture: Picture, quality: int | None) -> Picture:
    return (
        picture if quality is None else replace(picture, meta=picture.meta | {"quality": quality})
    )


def _copy(source: Path, target: Path, picture: Picture, quality: int | None) -> None:
    """Write a picture as it was read: byte for byte, if the target is of the same kind."""
    if source.suffix.lower() != target.suffix.lower():
        write(target, _with_quality(picture, quality))
        return
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def _filler(inpainter: Any, samples: int | None, **options: Any) -> Filler:
    """The function that returns one filling or more, stacked along a new first axis."""
    if samples is not None:
        return partial(replace(inpainter, samples=samples).fillings, **options)
    call = partial(inpainter, **options)
    return lambda *image, **given: call(*image, **given)[None]


def _filled(
    image: Picture,
    hole: NDArray,
    ignored: NDArray | None,
    fill: Filler,
    count: int,
    source: Path,
    volume: bool,
    data_range: DataRange,
    callback: Callback | None,
) -> list[Picture]:
    """`count` fillings of the pixels (N, H, W) of a picture, page by page, or volume by volume."""

    def stacks(pages):
        part = image.with_pages(pages)
        return part.volumes() if volume else part.pages

    images, masks = stacks(image.pages), stacks(hole)
    beyond = [None] * len(masks) if ignored is None else stacks(ignored)
    todo = [k for k, mask in enumerate(masks) if mask.any()]
    results = [np.array(images) for _ in range(count)]
    for k, step in zip(todo, shares(callback, len(todo)), strict=True):
        try:
            fillings = fill(
                scaled(images[k], data_range), masks[k], ignore=beyond[k],
                channel_axis=image.channel_axis, callback=step,
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            where = f"page {k + 1} of {source}" if len(masks) > 1 else source
            raise ValueError(f"{where}: {error}") from error
        for result, filling in zip(results, fillings, strict=True):
            result[k][masks[k]] = like(filling[masks[k]], images, data_range)
    with_pixels = image.with_volumes if volume else image.with_pages
    return [with_pixels(result) for result in results]


def _shown(images: list[Picture], holes: list[NDArray], fillings: list[list[Picture]]) -> Filling:
    """The count of the pixels, and the first page with holes."""
    places = ((n, k) for n, hole in enumerate(holes) for k, page in enumerate(hole) if page.any())
    number, k = next(places, (0, 0))

    def page(picture: Picture) -> NDArray:
        return picture.upright()[k]

    return Filling(
        sum(int(hole.sum()) for hole in holes),
        page(images[number]),
        page(images[number].with_pages(holes[number])),
        [page(pictures[number]) for pictures in fillings],
    )
