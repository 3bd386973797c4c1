"""Camera raw files, developed by LibRaw."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress

import numpy as np

from difffilter.io.picture import Picture, check_size
from difffilter.io.tiff_pixels import CFA

__all__ = ["MAGIC", "SUFFIXES", "is_raw", "read_raw"]

SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".kdc",
    ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf",
    ".srw", ".x3f",
)  # fmt: skip

# Bytes by which raw files are recognised, whatever their name: the position, the bytes, the suffix.
MAGIC = (
    (8, b"CR\2", ".cr2"), (4, b"ftypcrx ", ".cr3"), (6, b"HEAPCCDR", ".crw"),
    (0, b"FUJIFILMCCD-RAW", ".raf"), (0, b"IIRO", ".orf"), (0, b"IIRS", ".orf"),
    (0, b"MMOR", ".orf"), (0, b"IIU\0", ".rw2"), (0, b"\0MRM", ".mrw"), (0, b"FOVb", ".x3f"),
)  # fmt: skip
TIFF = (b"II*\0", b"MM\0*")
DNG_VERSION = 50706

# What is kept of the first directory: description, camera, dates, people.
KEPT = (270, 271, 272, 305, 306, 315, 316, 33432)
EXIF, GPS = 34665, 34853
# What is not kept of the EXIF directory: the maker's notes, which are lost when they are moved, and
# the size and the position of other directories.
LOST = (37500, 40962, 40963, 40965)
COLOUR_SPACE, SRGB = 40961, 1

# The boxes of a CR3 file that hold directories.
BOXES = {b"CMT1": None, b"CMT2": EXIF, b"CMT4": GPS}
BOXES_END = 1 << 20


def is_raw(path, head):
    """Whether a file is a camera's raw file.

    Parameters
    ----------
    path : Path
    head : bytes
        The beginning of the file, at least 24 bytes.

    Returns
    -------
    bool
    """
    if any(head[at:].startswith(magic) for at, magic, _ in MAGIC):
        return True
    # Most others are TIFF files of a kind of their own.
    return head.startswith(TIFF) and (path.suffix.lower() in SUFFIXES or _has_mosaic(path))


def _has_mosaic(path):
    """Whether a TIFF file is a DNG, or its first image a preview of a camera's mosaic."""
    import tifffile

    with suppress(Exception), tifffile.TiffFile(path) as file:  # reported when the file is read
        first = file.pages.first
        return DNG_VERSION in first.tags or any(p.photometric == CFA for p in first.pages or ())
    return False


def read_raw(path, max_pixels):
    """Develop a raw file: 16 bits, sRGB, upright, with the camera's white balance.

    The brightness is that of the exposure, and nothing is done about noise.

    Parameters
    ----------
    path : Path
    max_pixels : int or None
        As for `difffilter.io.files.read`, as are the errors.

    Returns
    -------
    Picture
    """
    try:
        import rawpy
    except ModuleNotFoundError:
        raise ValueError(
            f"{path} is a camera's raw file, which needs rawpy: pip install 'difffilter[raw]'"
        ) from None
    try:
        with rawpy.imread(str(path)) as raw:
            sizes = raw.sizes
            check_size(path, sizes.raw_width * sizes.raw_height, max_pixels)
            # (Without brightening, which clips highlights by the share of bright pixels.)
            pixels = raw.postprocess(
                use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=(2.4, 12.92)
            )
            exif = _exif(path.read_bytes(), raw)
    except rawpy.LibRawFileUnsupportedError:
        raise ValueError(f"{path} is a raw file of a kind that LibRaw does not know") from None
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args else repr(error)
        raise ValueError(f"{path} is damaged or truncated: {reason}") from None
    if pixels.shape[-1] == 1:  # a camera without colours
        pixels = pixels[..., 0]
    meta = {"format": "raw", "developed": True}
    return Picture(np.ascontiguousarray(pixels[None]), meta=meta | ({"exif": exif} if exif else {}))


# --- metadata -------------------------------------------------------------------------------


def _exif(data, raw):
    """New EXIF with the tags of the file that describe the photograph; None if there are none."""
    from PIL import Image

    result = Image.Exif()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata may say anything
        for source, code in _sources(data, raw):
            with suppress(Exception):
                _add(result, source, code)
        with suppress(Exception):
            if len(result):
                result.get_ifd(EXIF)[COLOUR_SPACE] = SRGB
                return result.tobytes().removeprefix(b"Exif\0\0")
    return None


def _add(result, source, code):
    """Add the directories of TIFF data to EXIF; `code`: what its first one is, if it is another."""
    from PIL import Image

    found = Image.Exif()
    found.load(source)
    first = dict(found)
    if code is None:
        result.update({k: first[k] for k in KEPT if k in first})
    for sub in (EXIF, GPS):
        values = first if code == sub else found.get_ifd(sub) if code is None else {}
        if kept := {k: v for k, v in values.items() if k not in LOST}:
            result.get_ifd(sub).update(kept)


def _sources(data, raw):
    """TIFF data in a raw file, and what their first directories are."""
    if data[:2] in (b"II", b"MM"):  # ORF and RW2 have another number in the place of TIFF's
        yield data[:2] + (b"*\0" if data[:2] == b"II" else b"\0*") + data[4:], None
    elif data[4:12] == b"ftypcrx ":
        for name, code in BOXES.items():
            start = data.find(name, 0, BOXES_END)
            if start >= 4:
                size = int.from_bytes(data[start - 4 : start], "big")
                yield data[start + 4 : start - 4 + size], code
    else:  # that of the camera's own JPEG
        yield _of_preview(raw), None


def _of_preview(raw):
    import rawpy
    from PIL import Image

    with suppress(rawpy.LibRawError, OSError):
        thumb = raw.extract_thumb()
        if thumb.format == rawpy.ThumbFormat.JPEG:
            return Image.open(io.BytesIO(thumb.data)).info.get("exif", b"")
    return b""
