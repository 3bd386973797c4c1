"""Filling in image files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from difffilter.image import like
from difffilter.inpainting.inpainter import Callback, Inpainter, shares
from difffilter.inpainting.masks import dead_pixels, mask_of_colour
from difffilter.io.files import SUFFIXES, check_target, read, replacing, write
from difffilter.io.picture import Picture

__all__ = ["inpaint_file"]


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
    overwrite: bool = False,
    callback: Callback | None = None,
) -> int:
    """Fill in the pixels of an image file that a mask, a colour or a search for defects marks.

    Pixels that are marked in any of these ways are filled in, and those that are NaN. All others, and
    alpha, are written as they were read.

    Parameters
    ----------
    source, target : path-like
        The files to read and to write, of the kinds that `read` and `write` take.
    inpainter : Inpainter
    mask : path-like, optional
        An image file of the source's size, as both are shown upright, with one page or as many as the
        source: pixels that are neither 0 nor transparent are filled in.
    colour, tolerance
        As for `mask_of_colour`; ``None``: no colour is filled in.
    dead : bool, default False
        Whether to fill in what `dead_pixels` finds.
    ignore : path-like, optional
        A file as `mask`, of pixels that are neither used nor filled in.
    volume : bool, default False
        Whether the pages of a TIFF are one volume.
    spacing : float or sequence of float, optional
        Size of a pixel along each axis; ``None``: 1.
    overwrite : bool, default False
        Whether an existing target may be replaced.
    callback : callable, optional
        Called now and then with the number of steps that are done, and of all.

    Returns
    -------
    int
        The number of pixels that were filled in. If it is 0, the target is a copy of the source.

    Raises
    ------
    OSError, TypeError, ValueError
        If a file cannot be read or written, a mask has another size, nothing says which pixels to fill
        in, or a page has no pixel that is known; then no target is written.
    """
    source, target = Path(source), Path(target)
    check_target(target, overwrite, SUFFIXES)
    picture = read(source)
    images = [picture, *picture.others]
    if picture.others and (mask is not None or ignore is not None):
        raise ValueError(f"{source} has images of {len(images)} kinds; expected one with a mask")
    masked = None if mask is None else _marked(mask, picture, source)
    ignored = None if ignore is None else _marked(ignore, picture, source)
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
        _copy(source, target, picture)
        return 0
    first, *others = [
        _filled(image, hole, ignored, inpainter, source, volume, spacing, callback)
        for image, hole in zip(images, holes, strict=True)
    ]
    write(target, replace(first, others=others))
    return count


def _marked(path: str | os.PathLike, picture: Picture, source: Path) -> NDArray:
    """The pixels (N, H, W) of a picture that are marked in a file."""
    marks = read(path)
    pages = marks.upright() != 0
    if pages.ndim == 4:
        pages = pages.any(axis=-1)
    if marks.alpha is not None:
        pages = pages & (marks.with_pages(marks.alpha).upright() != 0)
    (height, width), shape = pages.shape[1:], picture.upright().shape
    if (height, width) != shape[1:3]:
        raise ValueError(
            f"{path} has {width}×{height} pixels; expected {shape[2]}×{shape[1]}, as {source} has"
        )
    if len(pages) not in (1, shape[0]):
        expected = f"1 or {shape[0]}" if shape[0] > 1 else "1"
        raise ValueError(f"{path} has {len(pages)} pages; expected {expected}, as {source} has")
    return np.broadcast_to(picture.as_stored(pages), picture.pages.shape[:3])


def _not_a_number(image: Picture) -> NDArray:
    """The pixels (N, H, W) that are NaN in a channel or more."""
    if image.pages.dtype.kind != "f":
        return np.zeros(image.pages.shape[:3], bool)
    found = np.isnan(image.pages)
    return found if image.channel_axis is None else found.any(axis=-1)


def _copy(source: Path, target: Path, picture: Picture) -> None:
    """Write a picture as it was read: byte for byte, if the target is of the same kind."""
    if source.suffix.lower() != target.suffix.lower():
        write(target, picture)
        return
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def _filled(
    image: Picture,
    hole: NDArray,
    ignored: NDArray | None,
    inpainter: Inpainter,
    source: Path,
    volume: bool,
    spacing: float | Sequence[float] | None,
    callback: Callback | None,
) -> Picture:
    """A picture whose pixels (N, H, W) are filled in page by page, or volume by volume."""

    def stacks(pages):
        part = image.with_pages(pages)
        return part.volumes() if volume else part.pages

    results, masks = np.array(stacks(image.pages)), stacks(hole)
    beyond = [None] * len(masks) if ignored is None else stacks(ignored)
    todo = [k for k, mask in enumerate(masks) if mask.any()]
    for k, step in zip(todo, shares(callback, len(todo)), strict=True):
        try:
            filled = inpainter(
                results[k], masks[k], ignore=beyond[k], channel_axis=image.channel_axis,
                spacing=spacing, callback=step,
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            where = f"page {k + 1} of {source}" if len(masks) > 1 else source
            raise ValueError(f"{where}: {error}") from error
        results[k][masks[k]] = like(filled[masks[k]], results)
    return image.with_volumes(results) if volume else image.with_pages(results)
