"""Files for large results, whose parts are written in any order."""

from __future__ import annotations

import math
import os
import shutil
from contextlib import suppress
from pathlib import Path

from difffilter.io.arrays import ARRAYS, HDF5, TIFF, ZARR, Hdf5, Zarr, library
from difffilter.io.tiff import create_tiff
from difffilter.io.tiff_arrays import Raw, Tiff

__all__ = ["check_room", "check_suffix", "create", "finish", "reopen"]

# The side of a chunk of a Zarr array if the source has no suitable chunks.
CHUNK = {2: 512, 3: 64}

# Least and greatest number of elements of a chunk of the source that the result adopts.
CHUNK_ELEMENTS = 1 << 8, 1 << 23


def check_suffix(path):
    """Raise ValueError unless a result can be written in parts under this name."""
    suffix = Path(path).suffix.lower()
    if suffix not in TIFF + ARRAYS:
        raise ValueError(
            f"{path} has suffix {suffix!r}; expected one of {', '.join(TIFF + ARRAYS)} to write it "
            "in parts"
        )
    for parent in Path(path).parents:
        if parent.suffix.lower() in ARRAYS:
            raise ValueError(f"{path} is inside {parent}; expected a new file")


def chunks_for(path, layout, source, side=None):
    """Choose the shape of the chunks of a result.

    Parameters
    ----------
    path : path-like
        The result.
    layout : Layout
    source : Tiff, Zarr or Hdf5
    side : int, optional
        Largest side of a chunk; ``None``: `CHUNK`.

    Returns
    -------
    tuple of int or None
        A number for each axis of the array; None if the format has no chunks.
    """
    if Path(path).suffix.lower() not in ZARR:
        return None
    same = getattr(source, "chunks", None)
    if isinstance(source, (Zarr, Hdf5)) and same:
        # A chunk must not span images, as blocks of different ones are written at the same time.
        same = tuple(s if k in layout.kept else 1 for k, s in enumerate(same))
        if CHUNK_ELEMENTS[0] <= math.prod(same) <= CHUNK_ELEMENTS[1]:
            return same
    side = min(side or CHUNK[len(layout.spatial)], CHUNK[len(layout.spatial)])
    index = layout.index(0, tuple((0, min(side, n)) for n in layout.spatial))
    return tuple(s.stop - s.start for s in index)


def create(partial, kind, source, layout, chunks):
    """Create an empty array like the source.

    Parameters
    ----------
    partial : Path
        The file to create; an existing one is deleted.
    kind : str
        The suffix of the format.
    source : Tiff, Zarr or Hdf5
        The array whose shape, dtype and metadata the new one gets.
    layout : Layout
    chunks : tuple of int or None
        The shape of a chunk of a Zarr array.

    Returns
    -------
    dict
        The argument of `reopen`, as JSON types.

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the format cannot hold the array.
    """
    delete(partial)
    shape, dtype, axes = source.shape, source.dtype.newbyteorder("="), source.axes
    if kind in ZARR:
        _create_zarr(partial, source, shape, dtype, chunks)
        return {"kind": "zarr"}
    check_room(partial, math.prod(shape) * dtype.itemsize)
    if kind in HDF5:
        try:
            offset = _create_hdf5(partial, source, shape, dtype)
        except (OSError, RuntimeError) as error:
            raise OSError(f"cannot write {partial.stem}: {error}") from error
    else:
        if dtype.kind == "b":
            raise ValueError(f"{partial.stem}: TIFF cannot hold bool pixels; name the output .zarr")
        if not axes.removesuffix("S").endswith("YX"):
            raise ValueError(f"{partial.stem}: TIFF cannot hold axes {axes}; name the output .zarr")
        tiff = isinstance(source, Tiff)
        if tiff and source.raw is not None:  # all but the pixels stays as it is
            shutil.copyfile(source.path, partial)
            raw = source.raw
            return {"kind": "raw", "offset": raw.offset, "shape": shape, "type": raw.type,
                    "axes": axes, "inverted": raw.inverted}  # fmt: skip
        meta = source.meta if tiff else {}
        if tiff:
            dtype = dtype.newbyteorder(meta["byteorder"])
        offset = create_tiff(partial, shape, dtype, axes, meta, alpha=tiff and source.alpha)
    return {"kind": "raw", "offset": offset, "shape": shape, "type": dtype.str, "axes": axes}


def reopen(partial, made):
    """Open the array that `create` made, for reading and writing."""
    if made["kind"] == "zarr":
        return Zarr(partial, mode="r+")
    return Raw(Path(partial), made["offset"], tuple(made["shape"]), made["type"], made["axes"],
               made.get("inverted", False))  # fmt: skip


def _create_zarr(partial, source, shape, dtype, chunks):
    zarr = library("zarr")
    options, multiscales = {}, None
    if isinstance(source, Zarr):
        array = source.source
        options["zarr_format"] = array.metadata.zarr_format
        options["attributes"] = array.attrs.asdict()
        if options["zarr_format"] == 3:
            options["dimension_names"] = array.metadata.dimension_names
        multiscales = source.multiscales
    elif isinstance(source, Hdf5):
        options["attributes"] = source.attributes
    else:
        options["dimension_names"] = [letter.lower() for letter in source.axes]
    if multiscales:  # a pyramid of one level
        version = multiscales.get("version")
        level = {k: v for k, v in multiscales.items() if k != "datasets"}
        level["datasets"] = [{**multiscales["datasets"][0], "path": "0"}]
        attributes = {"multiscales": [level]}
        if version is None:  # since OME-Zarr 0.5
            attributes = {"ome": {"version": "0.5", **attributes}}
        zarr.create_group(str(partial), zarr_format=options["zarr_format"], attributes=attributes)
    zarr.create_array(
        str(partial), name="0" if multiscales else None,
        shape=shape, chunks=chunks, dtype=dtype, fill_value=0, **options,
    )  # fmt: skip


def _create_hdf5(partial, source, shape, dtype):
    """Create a contiguous dataset, and return its position in the file.

    Its pixels are then written without the library: HDF5 files are damaged if the process is
    killed while the library writes.
    """
    h5py = library("h5py")
    with h5py.File(partial, "w") as file:
        name = source.inner if isinstance(source, Hdf5) else "data"
        kind = h5py.h5t.py_create(dtype, logical=True)
        if dtype.kind == "b":
            raise ValueError(f"{partial.stem}: HDF5 cannot hold bool pixels; name the output .zarr")
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        *groups, leaf = name.split("/")
        group = file.require_group("/".join(groups)) if groups else file
        space = h5py.h5s.create_simple(shape)
        data = h5py.Dataset(h5py.h5d.create(group.id, leaf.encode(), kind, space, how))
        for key, value in getattr(source, "attributes", {}).items():
            data.attrs[key] = value
        for dimension, letter in zip(data.dims, source.axes, strict=True):
            dimension.label = letter.lower()
        file.flush()
        return data.id.get_offset()


def check_room(partial, size):
    """Raise OSError unless the rest of a result of `size` bytes fits on the disk."""
    written = os.stat(partial).st_blocks * 512 if partial.exists() and os.name == "posix" else 0
    free = shutil.disk_usage(partial.parent).free
    if size - written > free:
        raise OSError(
            f"{partial.parent} has {free / 1e9:.3g} GB of free space; "
            f"the result takes another {(size - written) / 1e9:.3g} GB"
        )


def finish(partial, target):
    """Rename a complete result to its target, which is replaced if it exists."""
    _sync(partial)
    if partial.is_dir() or (target.is_dir() and not target.is_symlink()):
        # A folder cannot replace another in one step.
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        with suppress(FileNotFoundError):
            os.rename(target, old)
        os.rename(partial, target)
        delete(old)
    else:
        os.replace(partial, target)


def delete(path):
    """Delete a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path):
    """Flush a file, or all files of a folder, to the disk."""
    names = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for name in names:
        with open(name, "rb") as file:
            os.fsync(file.fileno())
