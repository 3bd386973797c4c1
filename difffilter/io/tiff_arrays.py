"""Arrays in TIFF files, and raw ones, read and written in parts; see `difffilter.io.arrays`."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["NotInParts", "Raw", "Tiff"]


class NotInParts(ValueError):
    """A file that can only be read as a whole."""


@dataclass(frozen=True)
class Raw:
    """An uncompressed array, contiguous in C order.

    Attributes
    ----------
    path : Path
        The file.
    offset : int
        The position of the first element, in bytes.
    shape : tuple of int
    type : str
        The dtype, byte order included.
    axes : str
        The axes, in tifffile's letters.
    inverted : bool
        Whether larger integers in the file are darker. Those read and written are brighter.
    """

    path: Path
    offset: int
    shape: tuple[int, ...]
    type: str
    axes: str
    inverted: bool = False
    chunks = None

    @property
    def dtype(self):
        return np.dtype(self.type)

    def read(self, index):
        values = np.empty([s.stop - s.start for s in index], self.dtype)
        memory = memoryview(values.reshape(-1).view(np.uint8))
        with open(self.path, "rb", buffering=0) as file:
            for at, begin, end in self._runs(index):
                file.seek(at)
                while begin < end:
                    count = file.readinto(memory[begin:end])
                    if not count:
                        raise ValueError(f"{self.path} is truncated")
                    begin += count
        return np.invert(values, out=values) if self.inverted else values

    def write(self, index, values):
        values = np.ascontiguousarray(values, self.dtype)
        if self.inverted:
            values = np.invert(values)
        memory = memoryview(values.reshape(-1).view(np.uint8))
        with open(self.path, "r+b", buffering=0) as file:
            for at, begin, end in self._runs(index):
                file.seek(at)
                while begin < end:
                    begin += file.write(memory[begin:end])

    def _runs(self, index):
        """(position in the file, start and stop in the values) of each contiguous run, in bytes."""
        steps = np.cumprod((self.dtype.itemsize, *self.shape[:0:-1])).tolist()[::-1]
        last = len(index) - 1
        while last > 0 and index[last].stop - index[last].start == self.shape[last]:
            last -= 1  # consecutive complete lines are one run
        length = (index[last].stop - index[last].start) * steps[last]
        first = self.offset + index[last].start * steps[last]
        outer = (range(s.start, s.stop) for s in index[:last])
        for k, place in enumerate(itertools.product(*outer)):
            at = first + sum(i * step for i, step in zip(place, steps, strict=False))
            yield at, k * length, (k + 1) * length


class Tiff:
    """The images of a TIFF file, read tile by tile or strip by strip.

    Attributes
    ----------
    meta : dict
        The metadata, for `create_tiff`.
    alpha : bool
        Whether the last sample is alpha.
    raw : Raw or None
        The pixels, if they are one uncompressed array in the file, which has no smaller copies.
    """

    def __init__(self, path):
        import tifffile

        self.path = Path(path)
        try:
            self._file = tifffile.TiffFile(path, _multifile=False)
        except tifffile.TiffFileError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        try:
            self._read_structure()
        except BaseException:
            self._file.close()
            raise

    def _read_structure(self):
        """Read shape, axes and chunks, and check that the file can be read in parts."""
        from difffilter.io.tiff import images_of, tiff_meta
        from difffilter.io.tiff_pixels import alpha_is_last, is_inverted, same_when_shown

        path = self.path
        images = images_of(self._file)
        if sum(len(image.series) for image in images) != 1:
            raise NotInParts(
                f"{path} holds {len(images)} images of different sizes or kinds; split it first"
            )
        [image] = images
        [series] = image.series
        page = series.keyframe
        self.shape, self.axes, self.dtype = image.shape, image.axes, np.dtype(series.dtype)
        samples = self.axes.endswith("S")
        if not self.axes.removesuffix("S").endswith("YX") or page.imagedepth != 1:
            raise NotInParts(
                f"{path} has axes {self.axes}; expected Y, X and samples last to read it in parts"
            )
        if not same_when_shown(page) or page.bitspersample not in (8, 16, 32, 64):
            raise NotInParts(
                f"{path} has a palette, other colours or packed bits, which cannot be read in parts"
            )
        self.meta = tiff_meta(self._file, page)
        self.alpha = samples and alpha_is_last(page, series.kind)
        self._inverted = is_inverted(page)
        self._lock = threading.Lock()
        self._page, self._pages = page, series.pages
        self.chunks = None
        self._raw = self.raw = None
        if series.dataoffset is not None and page.is_contiguous:
            kind = self.dtype.newbyteorder(self._file.byteorder).str
            self._raw = Raw(
                self.path, series.dataoffset, self.shape, kind, self.axes, self._inverted
            )
            if len(self._file.series) == 1 and len(series.levels) == 1:
                self.raw = self._raw
            size = math.prod(self.shape) * self.dtype.itemsize
            if self.path.stat().st_size < series.dataoffset + size:
                raise ValueError(
                    f"{path} is truncated: it is shorter than its {size} bytes of pixels"
                )
            return
        if not samples and "S" in series.axes:
            raise NotInParts(f"{path} has separate colour planes, which cannot be read in parts")
        tall, wide = (
            (page.tilelength, page.tilewidth)
            if page.is_tiled
            else (page.rowsperstrip, self.shape[self.axes.index("X")])
        )
        height, width = (self.shape[self.axes.index(axis)] for axis in "YX")
        count = math.ceil(height / tall) * math.ceil(width / wide)
        if len(page.dataoffsets) < count:
            raise ValueError(
                f"{path} is damaged: it has {len(page.dataoffsets)} of {count} tiles or strips"
            )
        self.chunks = (1,) * (len(self.shape) - 2 - samples) + (tall, wide)
        self.chunks += (self.shape[-1],) if samples else ()

    def close(self):
        self._file.close()

    def read(self, index):
        if self._raw is not None:
            return self._raw.read(index)
        lead = len(self.shape) - 2 - self.axes.endswith("S")
        values = np.empty([s.stop - s.start for s in index], self.dtype)
        numbers = np.arange(math.prod(self.shape[:lead])).reshape(self.shape[:lead])
        flat = values.reshape(-1, *values.shape[lead:])
        for number, out in zip(numbers[index[:lead]].ravel(), flat, strict=True):
            self._read_page(int(number), index[lead], index[lead + 1], out)
        if self._inverted:
            np.invert(values, out=values)
        return values[(..., *index[lead + 2 :])] if self.axes.endswith("S") else values

    def _read_page(self, number, rows, columns, out):
        page = self._pages[number]
        tall, wide = self.chunks[-3:-1] if self.axes.endswith("S") else self.chunks[-2:]
        across = math.ceil(self.shape[self.axes.index("X")] / wide)
        for ty in range(rows.start // tall, math.ceil(rows.stop / tall)):
            for tx in range(columns.start // wide, math.ceil(columns.stop / wide)):
                top, left = ty * tall, tx * wide
                y0, y1 = max(rows.start, top), min(rows.stop, top + tall)
                x0, x1 = max(columns.start, left), min(columns.stop, left + wide)
                segment = self._segment(page, ty * across + tx)
                place = np.s_[
                    y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start
                ]
                if segment is None:  # a tile that was never written
                    out[place] = 0
                else:
                    part = segment[y0 - top : y1 - top, x0 - left : x1 - left]
                    out[place] = part if out.ndim == 3 else part[..., 0]

    def _segment(self, page, k):
        """Tile or strip number `k` as ``(H, W, S)``; None if it was never written."""
        try:
            offset, size = page.dataoffsets[k], page.databytecounts[k]
            if not size:
                return None
            with self._lock:
                data = self._file.filehandle.read_segments([offset], [size])
                data = next(iter(data))[0]
            tables = {"jpegtables": self._page.jpegtables} if self._page.jpegtables else {}
            decoded = self._page.decode(data, k, **tables)[0]
        except Exception as error:  # decoders may raise anything on a damaged file
            raise ValueError(f"{self.path} is damaged or truncated: {error}") from error
        return None if decoded is None else decoded[0]


# --- Zarr -----------------------------------------------------------------------------------
