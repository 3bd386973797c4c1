"""Reading and writing image files."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from difffilter.io import medical
from difffilter.io.rasters import HEIC_BRANDS, WRITABLE, encoded, read_raster
from difffilter.io.rasters import READABLE as RASTERS
from difffilter.io.raw import MAGIC as RAW_MAGIC
from difffilter.io.raw import SUFFIXES as RAW
from difffilter.io.raw import is_raw, read_raw
from difffilter.io.tiff import for_other_formats, read_tiff, write_tiff
from difffilter.io.tiff_replace import CannotReplace, replace_pixels

__all__ = [
    *(
        "RAW",
        "READABLE",
        "SUFFIXES",
        "check_target",
        "format_suffix",
        "name_parts",
        "read",
        "replacing",
        "suffix_of",
    ),
    "write",
]

TIFF = (".tif", ".tiff")
SUFFIXES = (*WRITABLE, *TIFF, *medical.SUFFIXES)
READABLE = (*RASTERS, *TIFF, *medical.SUFFIXES, *RAW)

# Bytes by which kinds of files are recognised: the position, the bytes and the suffix.
MAGIC = (
    (128, b"DICM", medical.DICOM),  # whose first 128 bytes may be those of a TIFF
    *RAW_MAGIC,
    *((0, start, ".tif") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (0, b"\x89PNG", ".png"),
    (0, b"\xff\xd8", ".jpg"),
    (8, b"WEBP", ".webp"),
    (0, b"GIF8", ".gif"),
    (0, b"BM", ".bmp"),
    (4, b"ftypavif", ".avif"),
    *((4, b"ftyp" + brand, ".heic") for brand in HEIC_BRANDS),
)


def read(path, max_pixels=None):
    """Read an image file.

    Parameters
    ----------
    path : path-like
        A PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF or TIFF file, recognised by its content rather
        than its name, or a camera's raw file, which is developed; or a DICOM or NIfTI file.
    max_pixels : int, optional
        Refuse larger files; ``None``: the default limits of `picture.check_size`.

    Returns
    -------
    Picture

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is not an image, is damaged, is of an unsupported kind, or is too large.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; expected an image file")
    with open(path, "rb") as file:
        head = file.read(132)
    if not head:
        raise ValueError(f"{path} is empty (0 bytes)")
    try:
        kind = suffix_of(head)
        if kind == medical.DICOM:
            return medical.read_dicom(path, max_pixels)
        if is_raw(path, head) or (kind is None and path.suffix.lower() in RAW):
            return read_raw(path, max_pixels)
        if kind in TIFF:
            return read_tiff(path, max_pixels)
        if format_suffix(path) in medical.NIFTI:
            return medical.read_nifti(path, max_pixels)
        return read_raster(path, head, max_pixels)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # decoders may raise anything on a damaged file
        if isinstance(error, ValueError) and str(path) in str(error):
            raise
        raise ValueError(f"{path} is damaged: {error}") from error


def suffix_of(head):
    """The usual suffix of a file that begins with these bytes; None if its kind is unknown.

    Parameters
    ----------
    head : bytes
        At least 12 bytes.

    Returns
    -------
    str or None

    Examples
    --------
    >>> suffix_of(b"GIF89a" + bytes(26))
    '.gif'
    """
    return next((suffix for at, magic, suffix in MAGIC if head[at:].startswith(magic)), None)


def write(path, picture):
    """Write an image file, whole or not at all.

    Parameters
    ----------
    path : path-like
        The format follows from the suffix, one of `SUFFIXES`.
    picture : Picture
        Pixels and metadata. A picture that the format cannot hold (16 bits or alpha in JPEG,
        several pages outside TIFF) is an error.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    ValueError
        If the suffix is unknown or the format cannot hold the picture.
    """
    path = Path(path)
    try:
        suffix = _check_suffix(path, SUFFIXES)
        if suffix in COPIES:
            with replacing(path) as temporary:
                COPIES[suffix](temporary, picture)
        else:
            data = encoded(_ready_for_raster(picture), path)
            with replacing(path) as temporary:
                temporary.write_bytes(data)
    except (MemoryError, OSError, ValueError):
        raise
    except Exception as error:  # encoders may raise anything on odd metadata
        raise ValueError(f"{path} cannot be written: {error!r}") from error


def _write_tiff(temporary, picture):
    """Copy the TIFF file that was read with other pixels, or else make a new one."""
    if picture.source is not None:
        with suppress(CannotReplace):
            return replace_pixels(temporary, picture)
    return write_tiff(temporary, picture)


COPIES = {
    **dict.fromkeys(TIFF, _write_tiff),
    **dict.fromkeys(medical.NIFTI, medical.write_nifti),
    medical.DICOM: medical.write_dicom,
}


def _ready_for_raster(picture):
    """The picture with the metadata of a TIFF file in the form that other formats have."""
    if picture.source is None:
        return picture
    return replace(picture, meta=for_other_formats(picture.source, picture.meta))


def check_target(path, overwrite, suffixes=None):
    """Raise an error if a result could not be written to this file, before any work is done.

    Parameters
    ----------
    path : path-like
    overwrite : bool
        Whether a file that exists may be replaced.
    suffixes : iterable of str, optional
        The suffixes of the formats that can be written; ``None``: any.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    ValueError
        If the file exists and may not be replaced, or its suffix is unknown.
    """
    path = Path(path)
    if suffixes is not None:
        _check_suffix(path, suffixes)
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists already; pass --overwrite to replace it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"cannot write in the folder {path.parent}: permission denied")


def _check_suffix(path, suffixes):
    suffix = format_suffix(path)
    if suffix not in suffixes:
        raise ValueError(f"{path} has suffix {suffix!r}; expected one of {', '.join(suffixes)}")
    return suffix


def name_parts(path):
    """The name of a file before its suffix, and the suffix, which may have two dots.

    Examples
    --------
    >>> name_parts("scans/head.nii.gz"), name_parts("cells.ome.tif"), name_parts("photo.small.png")
    (('head', '.nii.gz'), ('cells', '.ome.tif'), ('photo.small', '.png'))
    """
    path = Path(path)
    stem, _, last = path.name.rpartition(".")
    if path.name.lower().endswith((".nii.gz", ".ome.tif", ".ome.tiff", ".ome.zarr")):
        stem, _, first = stem.rpartition(".")
        return stem, f".{first}.{last}"
    return path.stem, path.suffix


def format_suffix(path):
    """The suffix that tells the format of a file, in lower case.

    Examples
    --------
    >>> format_suffix("head.NII.gz"), format_suffix("cells.ome.tif"), format_suffix("cells")
    ('.nii.gz', '.tif', '')
    """
    return name_parts(path)[1].lower().removeprefix(".ome")


@contextmanager
def replacing(path):
    """Write a file whole or not at all.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    Path
        A temporary file in the same folder, renamed to `path` if the block ends without an error
        and deleted otherwise.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} in")
    stem, suffix = name_parts(path)
    temporary = path.with_name(f".{stem[:100]}.{secrets.token_hex(4)}{suffix}")
    try:  # an interrupt may come as soon as the file is there
        try:
            open(temporary, "xb").close()
        except OSError as error:
            message = f"cannot write in the folder {path.parent}: {error.strerror}"
            raise type(error)(message) from error
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # not made yet, or renamed already
            os.unlink(temporary)
        raise
