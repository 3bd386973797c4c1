"""Arrays in TIFF, Zarr and HDF5 files, read and written in parts.

Each class has ``shape``, ``dtype``, ``axes`` (in tifffile's letters), ``chunks`` (the shape of the
unit that is read or written, or None), ``read(index)`` and, if it can be a target,
``write(index, values)``. An index is a tuple with one slice for each axis, start and stop given.
"""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from difffilter.io.picture import check_size

__all__ = ["ARRAYS", "Hdf5", "Raw", "Tiff", "Zarr", "open_array", "split_path"]

ZARR, HDF5, TIFF = (".zarr",), (".h5", ".hdf5", ".hdf"), (".tif", ".tiff")

# Formats that are always processed block by block.
ARRAYS = ZARR + HDF5

# A TIFF file with more samples than this is processed block by block: as a whole it would take
# about 30 bytes of memory for each.
LARGE = 1 << 27

# More pixels than this are taken for a mistake: their blocks would be too many to list.
MOST = 1 << 40

# Larger chunks (in bytes) are refused, since reading one would take as much memory as a whole file.
LARGEST_CHUNK = 1 << 30


def split_path(path):
    """Split ``"a.zarr/0"`` into the path of a Zarr or HDF5 file and that of an array inside it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    tuple of (Path, str)
        The file, and the array; ``""`` if the path names no array.

    Examples
    --------
    >>> file, inner = split_path("data/volume.h5/exported/data")
    >>> file.name, inner
    ('volume.h5', 'exported/data')
    """
    path = Path(path)
    for parent in (path, *path.parents):
        if parent.suffix.lower() in ARRAYS:
            inner = path.relative_to(parent).as_posix()
            return parent, "" if inner == "." else inner
    return path, ""


class NotInParts(ValueError):
    """A file that can only be read as a whole."""


def open_array(path, axes=None, max_pixels=None):
    """Open the array in a file for reading.

    Parameters
    ----------
    path : path-like
        A TIFF, Zarr or HDF5 file; the latter two may be followed by the path of an array inside,
        which is required where there are several.
    axes : str, optional
        The axes, such as ``"ZYX"`` or ``"TYXS"`` (S: samples); ``None``: as recorded in the file,
        or else YX or ZYX.
    max_pixels : int, optional
        Refuse larger arrays; ``None``: more than 2^40 pixels, or chunks that `picture.check_size`
        refuses, as only chunks have to fit into memory.

    Returns
    -------
    Tiff, Zarr or Hdf5

    Raises
    ------
    OSError, ValueError
        If the file does not exist, is damaged, or cannot be read in parts (`NotInParts`).
    """
    file, inner = split_path(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no file {file}; check the path")
    suffix = file.suffix.lower()
    kind = Zarr if suffix in ZARR else Hdf5 if suffix in HDF5 else Tiff
    try:
        array = Tiff(file) if kind is Tiff else kind(file, inner, axes)
    except (OSError, ValueError):
        raise
    except Exception as error:  # decoders may raise anything on a damaged file
        raise ValueError(f"{file} is damaged: {error}") from error
    try:
        if kind is Tiff and axes not in (None, array.axes):
            raise ValueError(f"axes is {axes!r}; expected {array.axes}, those of {file}")
        _check(array, path)
        check_size(file, math.prod(array.shape), MOST if max_pixels is None else max_pixels)
        check_size(file, math.prod(array.chunks or ()), max_pixels, MOST)
    except ValueError:
        array.close()
        raise
    return array


def is_large(path):
    """Whether a TIFF file is too large to be read as a whole, and can be read in parts."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            if sum(math.prod(series.shape) for series in file.series) <= LARGE:
                return False
    except Exception:  # reported when the file is read
        return False
    try:
        open_array(path).close()
    except NotInParts:
        return False
    except (OSError, ValueError):
        pass
    return True


def _check(array, path):
    if len(array.axes) != len(array.shape):
        raise ValueError(
            f"{path} has {len(array.shape)} axes, of shape {array.shape}; name them, for example "
            f"--axes {'TCZYX'[-len(array.shape) :] if len(array.shape) < 6 else 'TCZYX'}"
        )
    if len(set(array.axes)) != len(array.axes) or not {"Y", "X"} <= set(array.axes):
        raise ValueError(
            f"{path} has axes {array.axes}; expected different ones, Y and X among them"
        )
    if array.dtype.kind not in "buif":
        raise ValueError(f"{path} has pixels of dtype {array.dtype}; expected real numbers")
    if 0 in array.shape:
        raise ValueError(f"{path} is empty: its shape is {array.shape}")
    if array.chunks and math.prod(array.chunks) * array.dtype.itemsize > LARGEST_CHUNK:
        raise NotInParts(
            f"{path} has chunks of shape {array.chunks}, too large to be read in parts; rechunk it"
        )


# --- uncompressed arrays --------------------------------------------------------------------


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


# --- TIFF -----------------------------------------------------------------------------------


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


class Zarr:
    """An array of a Zarr store.

    Attributes
    ----------
    source : zarr.Array
        The array.
    multiscales : dict or None
        The OME-Zarr description of the pyramid whose first level this is.
    """

    def __init__(self, path, inner="", axes=None, mode="r"):
        zarr = library("zarr")
        self.path, self.inner = Path(path), inner
        try:
            node = zarr.open(store=str(path), path=inner or None, mode=mode)
        except Exception as error:  # of many kinds, if it is damaged or not a Zarr store
            raise ValueError(f"{path} has no Zarr array {inner!r}: {error}") from None
        self.multiscales = None
        if isinstance(node, zarr.Group):
            node = self._of_group(zarr, node)
        self.source = node
        self.shape, self.dtype = node.shape, np.dtype(node.dtype)
        self.chunks = node.shards or node.chunks
        self.axes = axes or _axes(node.ndim, self._names())

    def _of_group(self, zarr, group):
        """The first level of a pyramid, or else the only array of a group."""
        attributes = group.attrs.asdict()
        scales = attributes.get("ome", attributes).get("multiscales")
        try:
            if scales:
                self.multiscales = scales[0]
                return group[self.multiscales["datasets"][0]["path"]]
            arrays = dict(group.arrays())
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{self.path} is damaged: {error!r} in its multiscales") from None
        if len(arrays) != 1:
            names = ", ".join(f"{self.path / self.inner / name}" for name in arrays)
            hint = f"; name one: {names}" if arrays else ""
            raise ValueError(f"{self.path} has {len(arrays) or 'no'} arrays{hint}")
        return next(iter(arrays.values()))

    def _names(self):
        if self.multiscales and "axes" in self.multiscales:
            return [a["name"] if isinstance(a, dict) else a for a in self.multiscales["axes"]]
        return getattr(self.source.metadata, "dimension_names", None) or self.source.attrs.get(
            "_ARRAY_DIMENSIONS"
        )

    def close(self):
        pass  # a store keeps no file open

    def read(self, index):
        try:
            return np.asarray(self.source[index])
        except (OSError, MemoryError):
            raise
        except Exception as error:  # codecs may raise anything on a damaged chunk
            raise ValueError(f"{self.path} is damaged: {error}") from error

    def write(self, index, values):
        self.source[index] = values


def _axes(count, names):
    """The axes by their names in the file; without usable names, the usual ones."""
    if names and len(names) == count and all(isinstance(n, str) and n for n in names):
        letters = "".join(name[0].upper() for name in names)
        if len(set(letters)) == count and {"Y", "X"} <= set(letters):
            return letters
    return {2: "YX", 3: "ZYX"}.get(count, "")


# --- HDF5 -----------------------------------------------------------------------------------


class Hdf5:
    """A dataset of an HDF5 file."""

    def __init__(self, path, inner="", axes=None):
        h5py = library("h5py")
        self.path = Path(path)
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            if error.errno is not None and error.strerror:
                raise
            raise ValueError(f"{path} is damaged or not an HDF5 file: {error}") from None
        try:
            self.inner = inner or self._only(h5py)
            self._data = self._file.get(self.inner)
            if not isinstance(self._data, h5py.Dataset):
                raise ValueError(f"{path} has no dataset {self.inner!r}")
        except BaseException:
            self._file.close()
            raise
        self.shape, self.dtype = self._data.shape or (), self._data.dtype
        self.chunks = self._data.chunks
        labels = [d.label for d in self._data.dims]
        self.axes = axes or _axes(len(self.shape), labels)

    def _only(self, h5py):
        """The name of the only dataset."""
        found = []
        self._file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
        if len(found) != 1:
            names = ", ".join(f"{self.path / name}" for name in found[:9])
            hint = f"; name one: {names}" if found else ""
            raise ValueError(f"{self.path} has {len(found) or 'no'} datasets{hint}")
        return found[0]

    @cached_property
    def attributes(self):
        return {k: v for k, v in self._data.attrs.items() if k not in ("DIMENSION_LIST", "CLASS")}

    def close(self):
        self._file.close()

    def read(self, index):
        try:
            return self._data[index]
        except OSError as error:
            raise ValueError(f"{self.path} is damaged: {error}") from None


def library(name):
    """Import an optional library.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ValueError(f"this needs {name}: pip install 'difffilter[large]'") from None
