"""Filling in arrays larger than memory, group by group of their holes."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.blocks.layout import Layout
from difffilter.checks import check_whole
from difffilter.image import DataRange, like, scaled
from difffilter.inpainting.components import Batch, Box, batches, cut_off, find_groups, own_pixels
from difffilter.inpainting.files import mask_for, shown_marks
from difffilter.inpainting.inpainter import Callback, Inpainter, shares
from difffilter.io.arrays import ARRAYS, TIFF, open_array, split_path
from difffilter.io.files import check_target, read
from difffilter.io.picture import Picture
from difffilter.io.tiff_arrays import NotInParts, Tiff
from difffilter.io.writers import check_suffix, chunks_for, create, delete, finish, reopen

__all__ = ["CONTEXT", "inpaint_blocks"]

# Known pixels around holes for a method whose fillings depend on the whole image.
CONTEXT = 64

# Default side of a cell, by the number of axes: holes that begin in one are filled in together.
SIDE = {2: 1024, 3: 128}

# Crops of more pixels than this are announced by a warning, as they take much memory.
LARGE_CROP = 1 << 26

# Pixels that are read at a time, about; whole rows of chunks at least.
STRIP = 1 << 22

# Steps that progress is reported in, for each image.
STEPS = 1000

# Called with the number of an image and a box: the pixels that are marked there.
Marks = Callable[[int, Box], NDArray]


def inpaint_blocks(
    source: str | os.PathLike,
    target: str | os.PathLike,
    inpainter: Inpainter,
    *,
    mask: str | os.PathLike | None = None,
    ignore: str | os.PathLike | None = None,
    volume: bool | None = None,
    axes: str | None = None,
    spacing: float | Sequence[float] | None = None,
    data_range: DataRange = None,
    side: int | None = None,
    overwrite: bool = False,
    max_pixels: int | None = None,
    callback: Callback | None = None,
) -> int:
    """Fill in an array in a file, in memory for its largest hole and for a row of its chunks.

    Holes that depend on each other are filled in together, from a crop that holds them and the known
    pixels that they depend on (see `Inpainter.halo`). For ``harmonic`` and ``biharmonic`` the result is
    that of the whole image. Other methods see no more than 64 pixels around each hole, so that their
    fillings differ a little.

    Parameters
    ----------
    source : path-like
        A TIFF, Zarr or HDF5 file; the latter two may be followed by the path of an array inside.
    target : path-like
        A ``.tif``, ``.zarr`` or ``.h5`` file; TIFF and HDF5 are written uncompressed. Until it is
        complete its name is ``TARGET.partial``.
    inpainter : Inpainter
    mask : path-like, optional
        A file of the source's size, or a folder, see `mask_for`: pixels that are neither 0 nor
        transparent are filled in, as are those of the source that are NaN; ``None``: the latter alone.
        Arrays and most TIFF files are read in parts, other files as a whole.
    ignore : path-like, optional
        As `mask`, for pixels that are neither used nor filled in; ``None``: none.
    volume : bool, optional
        Whether an image is a volume, whose third axis is Z or else the last one before Y and X;
        ``None``: if there is a Z.
    axes : str, optional
        As for `open_array`; without S, also those of masks in arrays with as many axes.
    spacing, data_range
        As for `inpaint_file`.
    side : int, optional
        Holes that begin in the same square of this side are filled in together; ``None``: 1024, or
        128 in a volume.
    overwrite : bool, default False
        Whether an existing target may be replaced.
    max_pixels : int, optional
        Refuse larger arrays and masks; ``None``: the default limits of `open_array` and `read`.
    callback : callable, optional
        Called now and then with the number of steps that are done, and of all.

    Returns
    -------
    int
        The number of pixels that were filled in.

    Raises
    ------
    OSError, TypeError, ValueError
        If a file cannot be read or written, a mask has another size, or a hole has no known pixel
        around it; then no target is written.

    Examples
    --------
    >>> inpaint_blocks("map.tif", "whole.tif", df.make_inpainter("harmonic"))  # doctest: +SKIP
    """
    source, target = Path(source), Path(target)
    if side is not None:
        check_whole("side", side, least=1)
    check_suffix(target)
    check_target(target, overwrite)
    with ExitStack() as opened:
        array = opened.enter_context(closing(open_array(source, axes, max_pixels)))
        layout = Layout(array.axes, array.shape, "Z" in array.axes if volume is None else volume)
        if mask is None and array.dtype.kind != "f":
            raise ValueError(f"{source} has no NaN; expected a mask: pass --mask")
        masked, ignored = (
            None
            if path is None
            else _open_marks(mask_for(path, source), axes, max_pixels, array, layout, opened)
            for path in (mask, ignore)
        )
        partial_target = target.with_name(target.name + ".partial")
        try:
            chunks = chunks_for(target, layout, array, side)
            made = create(partial_target, target.suffix.lower(), array, layout, chunks)
            result = reopen(partial_target, made)
            job = _Job(
                source, array, result, layout, masked, ignored, inpainter, spacing, data_range
            )
            count = job.run(side or SIDE[len(layout.spatial)], callback)
            finish(partial_target, target)
        except BaseException:
            delete(partial_target)
            raise
    return count


def _open_marks(
    path: Path,
    axes: str | None,
    max_pixels: int | None,
    source: Any,
    layout: Layout,
    opened: ExitStack,
) -> Marks:
    """The pixels of an array that are marked in a file, which stays open."""
    alpha, meta = False, getattr(source, "meta", {})
    try:
        array = opened.enter_context(closing(_open_array(path, axes, max_pixels)))
        if isinstance(array, Tiff) and _orientation(array.meta) != _orientation(meta):
            raise NotInParts
        alpha = getattr(array, "alpha", False)
        own, read_index = Layout(array.axes, array.shape, layout.volume), array.read
    except NotInParts:
        marked = shown_marks(read(path, max_pixels))
        pages = Picture(marked, meta=meta).as_stored(marked)
        own, read_index = Layout("ZYX", pages.shape, layout.volume), pages.__getitem__
    if own.spatial != layout.spatial:
        raise ValueError(
            f"{path} has shape {own.spatial}; expected {layout.spatial}, as {source.path} has"
        )
    if own.images not in (1, layout.images):
        expected = f"1 or {layout.images}" if layout.images > 1 else "1"
        raise ValueError(
            f"{path} has {own.images} images; expected {expected}, as {source.path} has"
        )

    def marks(image: int, box: Box) -> NDArray:
        values = own.as_image(read_index(own.index(image if own.images > 1 else 0, box))) != 0
        if own.channels is None:
            return values
        return values[..., :-1].any(axis=-1) & values[..., -1] if alpha else values.any(axis=-1)

    return marks


def _open_array(path: Path, axes: str | None, max_pixels: int | None) -> Any:
    """Open the array of a mask, with the axes of its image if it has as many."""
    suffix = split_path(path)[0].suffix.lower()
    if suffix not in ARRAYS + TIFF:
        raise NotInParts
    if axes is not None and suffix in ARRAYS:
        try:
            return open_array(path, axes.replace("S", ""), max_pixels)
        except ValueError:  # of another number of axes; or what is wrong is said below
            pass
    return open_array(path, None, max_pixels)


def _orientation(meta: dict) -> int:
    return int(meta.get("orientation", 1))


@dataclass(frozen=True)
class _Job:
    """An array in a file, its result, and what is to be filled in, by which method."""

    source: Path
    array: Any
    result: Any
    layout: Layout
    mask: Marks | None
    ignore: Marks | None
    inpainter: Inpainter
    spacing: float | Sequence[float] | None
    data_range: DataRange

    def run(self, side: int, callback: Callback | None) -> int:
        """Copy the array, and fill in its holes; the number of their pixels."""
        rows = self._rows()
        for image, box in self.layout.boxes((rows, *self.layout.spatial[1:])):
            index = self.layout.index(image, box)
            self.result.write(index, self.array.read(index).astype(self.result.dtype, copy=False))
        count = 0
        reach = self.inpainter.halo or 1
        for image, step in enumerate(shares(callback, self.layout.images)):
            groups = find_groups(partial(self.holes, image), self.layout.spatial, reach, rows)
            count += groups.count
            parts = list(batches(groups, side))
            for number, part in enumerate(parts):
                self.fill(image, part, reach)
                if step is not None and number + 1 < len(parts):
                    step(STEPS * (number + 1) // len(parts), STEPS)
            if step is not None:
                step(STEPS, STEPS)
        return count

    def _rows(self) -> int:
        """Rows of a strip of about 4 million pixels, or whole chunks."""
        rows = max(1, STRIP // math.prod(self.layout.spatial[1:]))
        chunks = [a.chunks for a in (self.array, self.result) if getattr(a, "chunks", None)]
        tall = max([self.layout.spatial_of(each)[0] for each in chunks], default=1)
        return -(-rows // tall) * tall

    def colours(self, image: int, box: Box) -> NDArray:
        """The pixels of a box, without alpha; grey ones without an axis of channels."""
        pixels = self.layout.as_image(self.array.read(self.layout.index(image, box)))
        if not getattr(self.array, "alpha", False):
            return pixels
        return pixels[..., 0] if pixels.shape[-1] == 2 else pixels[..., :-1]

    def holes(self, image: int, box: Box) -> NDArray:
        """The pixels of a box that are to be filled in."""
        shape = tuple(stop - start for start, stop in box)
        found = np.zeros(shape, bool) if self.mask is None else self.mask(image, box)
        if self.array.dtype.kind == "f":
            missing = np.isnan(self.colours(image, box))
            found = found | (missing.any(axis=-1) if missing.ndim > len(box) else missing)
        return found if self.ignore is None else found & ~self.ignore(image, box)

    def states(self, image: int, box: Box, seeds: NDArray, reach: int) -> tuple[NDArray, ...]:
        """The holes of a crop to be filled in, those of the seeds' groups, and the pixels to ignore."""
        holes = self.holes(image, box)
        own = own_pixels(holes, seeds - [start for start, _ in box], reach)
        ignored = np.zeros(holes.shape, bool) if self.ignore is None else self.ignore(image, box)
        # The crop may cut others off from their known pixels; linear methods need none of them.
        others = holes & ~own if self.inpainter.halo is not None else cut_off(holes, ignored) & ~own
        return holes & ~others, own, ignored | others

    def fill(self, image: int, batch: Batch, reach: int) -> None:
        """Fill in groups of holes, and write their pixels."""
        halo = CONTEXT if self.inpainter.halo is None else 1  # beside what `reach` has added
        box = tuple(
            (max(0, start - halo), min(extent, stop + halo))
            for (start, stop), extent in zip(batch.box, self.layout.spatial, strict=True)
        )
        shape = tuple(stop - start for start, stop in box)
        if math.prod(shape) > LARGE_CROP:
            warnings.warn(
                f"{self.source} has connected holes that span {'×'.join(map(str, shape))} pixels, "
                "which are filled in as a whole, in memory",
                stacklevel=2,
            )
        mask, own, ignored = self.states(image, box, batch.seeds, reach)
        pixels = self.colours(image, box)
        channel_axis = -1 if pixels.ndim > len(shape) else None
        try:
            filled = self.inpainter(
                scaled(pixels, self.data_range), mask, ignore=ignored if ignored.any() else None,
                channel_axis=channel_axis, spacing=self.spacing,
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            where = ", ".join(
                f"{axis} {start}...{stop - 1}"
                for axis, (start, stop) in zip("zyx"[-len(box) :], box, strict=True)
            )
            one = self.layout.images == 1
            file = self.source if one else f"image {image + 1} of {self.source}"
            raise ValueError(f"{file}, {where}: {error}") from error
        index = self.layout.index(image, box)
        values = self.layout.as_image(self.result.read(index)).copy()
        new = like(filled[own], pixels, self.data_range)
        if values.ndim > len(shape):  # alpha stays
            values[..., : values.shape[-1] - bool(getattr(self.array, "alpha", False))][own] = (
                new.reshape(len(new), -1)
            )
        else:
            values[own] = new
        self.result.write(index, self.layout.as_array(values))
