"""Arrays in TIFF, Zarr and HDF5 files, read and written in parts.

Each class has ``shape``, ``dtype``, ``axes`` (in tifffile's letters), ``chunks`` (the shape of the
unit that is read or written, or None), ``read(index)`` and, if it can be a target,
``write(index, values)``. An index is a tuple with one slice for each axis, start and stop given.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path

import numpy as np

from difffilter.io.picture import check_size
from difffilter.io.tiff_arrays import NotInParts, Tiff

__all__ = ["ARRAYS", "Hdf5", "Zarr", "is_large", "open_array", "split_path"]

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
