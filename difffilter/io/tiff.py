"""Reading and writing of TIFF files: pages, volumes, palettes and metadata."""

from __future__ import annotations

import logging
import math
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from difffilter.io.picture import check_size, joined, split_alpha
from difffilter.io.tiff_pixels import CFA, COLOURS, alpha_is_last, are_pages, is_inverted, shown

# Without a handler, tifffile's warnings about damaged files would go to standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

# Tags that a new file does not get as they are: those that describe how pixels are stored, that
# point to other parts of the file, or that are written by other means.
_OWN_TAGS = {
    *range(254, 271), 273, *range(277, 285), 288, 289, 290, 291, 292, 293, 296, 301, 317, 320, 321,
    *range(322, 331), 332, 338, 339, 340, 341, 347, *range(512, 522), *range(529, 533),
    32995, 32996, 32997, 32998, 33628, 33629, 33630, 33631, 34118, 34412, 34665, 34675, 34853,
    40965, 50838, 50839,
}  # fmt: skip
_SUB_FILES = {34665: "exif_directory", 34853: "gps_directory"}
XMP = 700

# Compressions of bitmaps.
FAX = (2, 3, 4)

# Larger tags are not copied to a new file.
LONGEST_TAG = 1 << 24

# Files with more bytes of pixels than this are written as BigTIFF.
BIG = 2**32 - 2**25


def read_tiff(path, max_pixels=None):
    """Read a TIFF file; parameters, result and errors are those of `difffilter.io.files.read`."""
    with opened(path) as file:
        images = images_of(file)
        check_size(path, sum(math.prod(i.shape) for i in images), max_pixels)
        first, *others = [_read_image(path, file, image) for image in images]
    first.source, first.others = path, others
    return first


@contextmanager
def opened(path):
    """Open a TIFF file; of one that belongs to an OME series over several files, itself only.

    Raises
    ------
    ValueError
        If the file is damaged or has no image.
    """
    import tifffile

    try:
        file = tifffile.TiffFile(path, _multifile=False)
    except tifffile.TiffFileError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    with file:
        if not file.series:
            raise ValueError(f"{path} is damaged: it has no image")
        yield file


@dataclass(frozen=True)
class TiffImage:
    """Images of the same shape and kind in a TIFF file: an array.

    Attributes
    ----------
    series : list of tifffile.TiffPageSeries
        The parts of the array, one after the other.
    """

    series: list

    @property
    def page(self):
        """The page that stands for all."""
        return self.series[0].keyframe

    @property
    def shape(self):
        first = self.series[0].shape
        return first if len(self.series) == 1 else (len(self.series), *first)

    @property
    def axes(self):
        """The axes of the array, in tifffile's letters; S are samples."""
        axes = self.series[0].axes
        if are_pages(self.page, self.series[0].kind):
            axes = axes.replace("S", "C" if "C" not in axes else "R")
        return axes if len(self.series) == 1 else "I" + axes


def images_of(file):
    """The images of a TIFF file, without thumbnails and the levels of pyramids.

    Parameters
    ----------
    file : tifffile.TiffFile

    Returns
    -------
    list of TiffImage
    """
    groups = {}
    for number, series in enumerate(file.series):
        if number and is_smaller_copy(series):
            continue
        page = series.keyframe
        kind = (series.shape, series.dtype, series.axes, page.photometric, tuple(page.extrasamples))
        groups.setdefault(kind, []).append(series)
    return [TiffImage(group) for group in groups.values()]


def is_smaller_copy(series):
    """Whether a series is a thumbnail or the level of a pyramid."""
    return bool(series.keyframe.is_reduced or series.keyframe.is_subifd)


def _read_image(path, file, image):
    page, axes = image.page, image.axes
    pixels = _decoded(path, image).reshape(image.shape)
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"{path} has pixels of dtype {pixels.dtype}; expected real numbers")
    if page.photometric == CFA:
        raise ValueError(
            f"{path} is a camera's mosaic of colour filters; expected an image: develop it first"
        )
    if "S" in axes:  # planes are stored one after another
        pixels = np.moveaxis(pixels, axes.index("S"), -1)
        axes = axes.replace("S", "") + "S"
    lead_axes = axes.removesuffix("S").removesuffix("YX")
    if len(axes) != len(lead_axes) + 2 + ("S" in axes):
        raise ValueError(f"{path} has axes {axes}; expected Y and X last")
    lead = pixels.shape[: len(lead_axes)]
    pages = shown(pixels.reshape((-1, *pixels.shape[len(lead_axes) :])), page)
    alpha = pages.ndim == 4 and alpha_is_last(page, image.series[0].kind)
    return split_alpha(pages, tiff_meta(file, page), lead_axes, lead or (1,), alpha=alpha)


def _decoded(path, image):
    """The pixels of an image, by tifffile or by libtiff, which knows some kinds better."""
    readers = [_by_tifffile, _by_libtiff]
    if image.page.compression in FAX:
        readers.reverse()
    errors = []
    for reader in readers:
        try:
            pixels = reader(path, image)
            if pixels.size == math.prod(image.shape) and pixels.dtype == image.page.dtype:
                return pixels
        except MemoryError:
            raise
        except Exception as error:  # decoders may raise anything on a damaged file
            errors.append((reader, error))
    reasons = [str(error) for reader, error in errors if reader is _by_tifffile]
    reason = reasons[0] if reasons else "its size is not as stated"
    what = "cannot be read" if "not supported" in reason else "is damaged or truncated"
    raise ValueError(f"{path} {what}: {reason}")


def _by_tifffile(path, image):
    return np.stack([series.asarray() for series in image.series])


def _by_libtiff(path, image):
    from PIL import Image

    pages = [page.aspage() for series in image.series for page in series.pages]
    found = []
    with Image.open(path) as file:
        for page in pages:
            if page.tags.valueof(274, 1) != 1:
                raise ValueError("Pillow would turn it")
            file.seek(page.index)
            pixels = np.asarray(file)
            found.append(np.invert(pixels) if is_inverted(page) else pixels)
    return np.stack(found)


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
    for tag in page.tags:
        if tag.code not in _OWN_TAGS and tag.valuebytecount < LONGEST_TAG:
            file.filehandle.seek(tag.valueoffset)
            value = file.filehandle.read(tag.valuebytecount)
            meta["tags"].append((tag.code, int(tag.dtype), tag.count, value, True))
    if 274 in page.tags:
        meta["orientation"] = int(page.tags[274].value)
    if page.photometric in COLOURS:
        meta["colours"] = COLOURS[page.photometric]
        meta["cmyk"] = page.photometric == 5
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
        if len(file.series) == 1 and _in_order(file.series[0]):
            meta["description"] = file.ome_metadata
    elif page.description and not page.description.startswith('{"shape"'):
        meta["description"] = page.description
    meta |= _read_sub_files(file, page)
    return meta


def for_other_formats(path, meta):
    """The metadata of a TIFF file as PNG, JPEG and the like hold it.

    Parameters
    ----------
    path : Path
        The file.
    meta : dict
        As returned by `tiff_meta`.

    Returns
    -------
    dict
        With ``exif``, ``xmp``, ``dpi`` and ``comment`` as far as there are any.
    """
    from PIL import Image

    found = {}
    for code, _, _, value, _ in meta["tags"]:
        if code == XMP:
            found["xmp"] = value.rstrip(b"\0")
    if "description" in meta:
        found["comment"] = _bytes(meta["description"])
    if "resolution" in meta:
        (a, b), (c, d), unit = meta["resolution"]
        if unit in (2, 3):
            found["dpi"] = tuple(n * (2.54 if unit == 3 else 1) for n in (a / b, c / d))
    exif = Image.Exif()
    with suppress(Exception), Image.open(path) as file:  # Pillow does not read every TIFF
        for code, value in file.getexif().items():
            if code not in _OWN_TAGS - {270, 282, 283, 296} and code != XMP:
                exif[code] = value
        for code in _SUB_FILES:
            if directory := file.getexif().get_ifd(code):
                exif.get_ifd(code).update(directory)
        if len(exif):
            found["exif"] = exif.tobytes().removeprefix(b"Exif\0\0")
    return meta | found


def _of_other_formats(meta):
    """Metadata of PNG, JPEG and the like as `tiff_meta` returns it."""
    import io

    import tifffile

    found = {"tags": []}
    if "exif" in meta:
        # (Damaged tags are not kept.)
        with suppress(Exception), tifffile.TiffFile(io.BytesIO(meta["exif"])) as file:
            found = tiff_meta(file, file.pages[0])
    if "xmp" in meta:
        found["tags"].append((XMP, 1, len(meta["xmp"]), meta["xmp"], True))
    if "comment" in meta:
        found.setdefault("description", meta["comment"])
    if "dpi" in meta:
        found["resolution"] = (*((round(float(d) * 1000), 1000) for d in meta["dpi"]), 2)
    return meta | found


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")


def _ome_scale(xml):
    """The physical size of a pixel, the only part of OME metadata that is kept."""
    from xml.etree import ElementTree

    for node in ElementTree.fromstring(xml).iter():
        if node.tag.endswith("}Pixels"):
            return {k: v for k, v in node.attrib.items() if k.startswith("PhysicalSize")}
    return {}


def _in_order(series):
    """Whether the planes of an array are the pages of the file, in order."""
    numbers = [page.index for page in series.pages if page is not None]
    return numbers == list(range(math.prod(series.shape) // series.keyframe.size))


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

    meta = picture.meta if "tags" in picture.meta else _of_other_formats(picture.meta)
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
        "photometric": _photometric(meta, colours),
        "iccprofile": meta.get("icc_profile"),
        "compression": meta.get("compression"),
        "tile": meta.get("tile"),
        "description": _bytes(meta["description"]) if "description" in meta else None,
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
    elif "ome" in meta and "description" in meta:
        metadata = None  # the description already says everything
    elif "ome" in meta:
        kind = {"ome": True}
        metadata = {"axes": axes} | meta["ome"]
    options = {key: value for key, value in options.items() if value is not None}
    return kind, options | {"metadata": metadata}


def _photometric(meta, colours):
    # (The signed channels of CIELab were made positive, as in ICCLab.)
    default = "rgb" if colours == 3 else "minisblack"
    return {"CMYK": "separated", "CIELab": "icclab"}.get(meta.get("colours"), default)


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
