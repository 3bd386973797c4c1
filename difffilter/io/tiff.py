"""Reading and writing of TIFF files: pages, volumes, palettes and metadata."""

from __future__ import annotations

import logging
import math
import os

import numpy as np

from difffilter.io.picture import check_size, joined, split_alpha

# Without a handler, tifffile's warnings about damaged files would go to standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# Tags that are copied unchanged: document name, camera, orientation, date, artist and the like.
_TEXT_TAGS = (269, 271, 272, 274, 285, 305, 306, 315, 316, 33432)
_SUB_FILES = {34665: "exif", 34853: "gps"}

# Files with more bytes of pixels than this are written as BigTIFF.
BIG = 2**32 - 2**25


def read_tiff(path, max_pixels=None):
    """Read a TIFF file; parameters, result and errors are those of `difffilter.io.files.read`."""
    import tifffile

    try:
        file = tifffile.TiffFile(path)
    except tifffile.TiffFileError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    with file:
        if not file.series:
            raise ValueError(f"{path} is damaged: it has no image")
        series = file.series[0]
        page = series.pages[0]
        if any(
            (s.shape, s.dtype, s.axes) != (series.shape, series.dtype, series.axes)
            for s in file.series
        ):
            raise ValueError(
                f"{path} holds {len(file.series)} images of different sizes or kinds; split it first"
            )
        check_size(path, sum(math.prod(s.shape) for s in file.series), max_pixels)
        try:
            pixels = np.stack([s.asarray() for s in file.series])
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{path} is damaged or truncated: {error}") from None
        axes = "I" + series.axes
        if len(pixels) == 1:
            pixels, axes = pixels[0], series.axes
        if pixels.dtype.kind not in "buif":
            raise ValueError(f"{path} has pixels of dtype {pixels.dtype}; expected real numbers")
        samples = "S" in axes
        if samples and axes.index("S") < axes.index("Y"):  # planes stored one after another
            pixels = np.moveaxis(pixels, axes.index("S"), -1)
            axes = axes.replace("S", "") + "S"
        lead_axes = axes.removesuffix("S").removesuffix("YX")
        if len(axes) != len(lead_axes) + 2 + samples:
            raise ValueError(f"{path} has axes {axes}; expected Y and X last")
        lead = pixels.shape[: len(lead_axes)]
        if page.photometric == 3 and page.colormap is not None:
            colours = (page.colormap >> 8).astype(np.uint8)  # TIFF's palettes always have 16 bits
            pixels, samples = np.moveaxis(colours[:, pixels], 0, -1), True
        meta = tiff_meta(file, page)
        alpha = samples and len(page.extrasamples) == 1 and pixels.shape[-1] in (2, 4)
        pages = pixels.reshape((-1, *pixels.shape[len(lead_axes) :]))
    return split_alpha(pages, meta, lead_axes, lead or (1,), alpha=alpha)


def tiff_meta(file, page):
    """The metadata of a file, in a form that can be written again.

    Parameters
    ----------
    file : tifffile.TiffFile
    page : tifffile.TiffPage
        Its first page.

    Returns
    -------
    dict
    """
    meta = {"tags": [], "byteorder": file.byteorder}
    for code in _TEXT_TAGS:
        if code in page.tags:
            tag = page.tags[code]
            meta["tags"].append((code, int(tag.dtype), tag.count, tag.value, True))
    if 34675 in page.tags:
        meta["icc_profile"] = bytes(page.tags[34675].value)
    if 282 in page.tags and 283 in page.tags:
        unit = page.tags[296].value if 296 in page.tags else 2
        fractions = page.tags[282].value, page.tags[283].value
        if all(np.shape(f) == (2,) and f[1] for f in fractions) and unit in (1, 2, 3):
            meta["resolution"] = (*fractions, int(unit))
    if page.compression in (5, 8, 32773, 32946, 34925, 50000):  # lossless: LZW, Deflate, ...
        meta["compression"] = int(page.compression)
    elif page.compression != 1:
        meta["compression"] = 8
    if page.is_tiled:
        meta["tile"] = (page.tilelength, page.tilewidth)
    if file.is_imagej:
        meta["imagej"] = dict(file.imagej_metadata or {})
    elif file.is_ome:
        meta["ome"] = _ome_scale(file.ome_metadata)
    elif page.description and not page.description.startswith('{"shape"'):
        meta["description"] = page.description
    meta |= _read_sub_files(file, page)
    return meta


def _ome_scale(xml):
    """The physical size of a pixel, the only part of OME metadata that is kept."""
    from xml.etree import ElementTree

    for node in ElementTree.fromstring(xml).iter():
        if node.tag.endswith("}Pixels"):
            return {k: v for k, v in node.attrib.items() if k.startswith("PhysicalSize")}
    return {}


def _read_sub_files(file, page):
    """The EXIF and GPS directories in Pillow's form, which can be written again."""
    found = {}
    for code, name in _SUB_FILES.items():
        if code in page.tags and not file.is_bigtiff:
            tag = page.tags[code]
            file.filehandle.seek(tag.valueoffset)  # the position of the directory itself
            directory = _tiff_directory(file.byteorder)
            directory.load(file.filehandle)
            found[name] = dict(directory), dict(directory.tagtype)
    return found


def _tiff_directory(byteorder):
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    start = b"II*\0\x08\0\0\0" if byteorder == "<" else b"MM\0*\0\0\0\x08"
    return ImageFileDirectory_v2(start)


def write_tiff(temporary, picture):
    """Write a `Picture` as a TIFF file."""
    import tifffile

    meta = picture.meta
    pixels = joined(picture)
    samples = pixels.ndim == 4
    colours = pixels.shape[-1] - (picture.alpha is not None) if samples else 1
    axes = picture.axes + "YX" + "S" * samples
    pixels = pixels.reshape((picture.lead if picture.axes else ()) + pixels.shape[1:])
    kind, options = _write_options(meta, axes, colours, picture.alpha is not None)
    with tifffile.TiffWriter(
        temporary, byteorder=meta.get("byteorder"), bigtiff=pixels.nbytes > BIG, **kind
    ) as writer:
        writer.write(pixels, **options)
    for code, name in _SUB_FILES.items():
        if name in meta:
            _append_sub_file(temporary, code, *meta[name])


def create_tiff(path, shape, dtype, axes, meta, *, alpha=False):
    """Create an uncompressed TIFF file whose pixels are written later, in any order.

    Parameters
    ----------
    path : Path
    shape : tuple of int
    dtype : dtype
    axes : str
        The axes of the array, in tifffile's letters; the last are Y and X, and S for samples.
    meta : dict
        Metadata as read by `tiff_meta`.
    alpha : bool, default False
        Whether the last sample is alpha.

    Returns
    -------
    int
        Position of the pixels in the file, which are contiguous.
    """
    import tifffile

    colours = shape[-1] - alpha if axes.endswith("S") else 1
    meta = {k: v for k, v in meta.items() if k not in ("compression", "tile", *_SUB_FILES.values())}
    kind, options = _write_options(meta, axes, colours, alpha)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if kind.get("imagej") and size > BIG:
        kind, options = _write_options(meta | {"imagej": None}, axes, colours, alpha)
    row = size // math.prod(shape[: axes.index("Y") + 1])
    options["rowsperstrip"] = max(1, (1 << 22) // row)
    with tifffile.TiffWriter(
        path, byteorder=meta.get("byteorder"), bigtiff=size > BIG, **kind
    ) as writer:
        writer.write(None, shape=shape, dtype=dtype, **options)
    with tifffile.TiffFile(path) as file:
        return file.series[0].dataoffset


def _write_options(meta, axes, colours, alpha):
    """The options of `tifffile.TiffWriter` and of its ``write``."""
    tags = list(meta.get("tags", []))
    # tifffile does not write pointers to directories: these tags reserve the entries that
    # `_append_sub_file` overwrites.
    tags += [(code - 1, 4, 1, 0, True) for code, name in _SUB_FILES.items() if name in meta]
    options = {
        "photometric": "rgb" if colours == 3 else "minisblack",
        "iccprofile": meta.get("icc_profile"),
        "compression": meta.get("compression"),
        "tile": meta.get("tile"),
        "description": meta.get("description"),
        "extratags": tags,
        "software": False,
    }
    if alpha:
        options["extrasamples"] = ["unassalpha"]
    if axes.endswith("S"):
        options["planarconfig"] = "contig"
    if "resolution" in meta:
        *options["resolution"], options["resolutionunit"] = meta["resolution"]
    kind, metadata = {}, {"axes": axes} if axes.removesuffix("S") != "YX" else None
    if meta.get("imagej") is not None:
        kind = {"imagej": True}
        keep = {k: v for k, v in meta["imagej"].items() if k not in ("ImageJ", "axes", "shape")}
        metadata = keep | {"axes": axes}
        options |= {"compression": None, "tile": None}
        tags[:] = [tag for tag in tags if tag[0] != 305]
    elif "ome" in meta:
        kind = {"ome": True}
        metadata = {"axes": axes} | meta["ome"]
    options = {key: value for key, value in options.items() if value is not None}
    return kind, options | {"metadata": metadata}


def _append_sub_file(path, code, values, types):
    """Append an EXIF or GPS directory to a TIFF file and point the reserved tag to it."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        order = "little" if file.byteorder == "<" else "big"
        tag = file.pages[0].tags[code - 1]
        directory = _tiff_directory(file.byteorder)
    directory.tagtype.update(types)
    for number, value in values.items():
        directory[number] = value
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.write(b"\0" * (end % 2))
        start = file.tell()
        file.write(directory.tobytes(start))
        file.seek(tag.offset)
        file.write(code.to_bytes(2, order))
        file.seek(tag.valueoffset)
        file.write(start.to_bytes(4, order))
