"""JPEG: the strength of compression, and the segments that hold metadata."""

from __future__ import annotations

import io
import re
import struct

import numpy as np

__all__ = [
    "made_segments",
    "quality_of",
    "quality_of_stream",
    "split",
    "tables_of",
    "with_segments",
]

APP0, APP1, APP2, ADOBE, COMMENT, EOI, SOS = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xD9, 0xDA
EXIF, XMP, ICC, MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"MPF\0"
LONGEST, YCBCR = 65533, b"\x01"

# A marker among compressed data. (FF 00 is data, FF D0 to FF D7 restart the decoder.)
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

# The table of the standard for luminance, Annex K.1, which libjpeg scales by the quality.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def tables_of(image):
    """The quantisation tables of a JPEG's luminance and chrominance.

    Parameters
    ----------
    image : PIL.JpegImagePlugin.JpegImageFile

    Returns
    -------
    list of list of int
        One for luminance, and one for chrominance if the image has colours.
    """
    numbers = [component[3] for component in image.layer[:2]]
    return [list(image.quantization[number]) for number in numbers if number in image.quantization]


def quality_of(tables):
    """The quality, from 1 to 100, with which libjpeg's tables would be most like these.

    Parameters
    ----------
    tables : list of list of int
        As `tables_of` returns them.

    Returns
    -------
    int

    Examples
    --------
    >>> quality_of([LUMINANCE])
    50
    """
    scale = 100 * np.sum(tables[0]) / np.sum(LUMINANCE)
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return int(np.clip(np.rint(quality), 1, 100))


def quality_of_stream(data, tables=None):
    """The quality of a JPEG in memory, whose tables may be apart as in TIFF; None if unknown."""
    from PIL import Image

    if tables:
        data = tables[:-2] + data[2:]
    try:
        with Image.open(io.BytesIO(data)) as image:
            return quality_of(tables_of(image))
    except (OSError, SyntaxError, ValueError, IndexError, AttributeError):
        return None


def split(data):
    """Divide a JPEG file.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    segments : list of (int, bytes)
        The marker and the content of each segment with metadata: APP0 to APP15, and comments.
    rest : bytes
        The compressed image, with the other segments and SOI, without EOI.
    trailer : bytes
        Everything after EOI, such as further images or a film.
    """
    segments, rest, at = [], [data[:2]], 2
    while True:
        found = MARKER.search(data, at)
        if found is None:
            return segments, b"".join([*rest, data[at:]]), b""
        rest.append(data[at : found.start()])  # compressed data, after the first scan began
        marker, at = data[found.start() + 1], found.end()
        if marker == EOI:
            return segments, b"".join(rest), data[at:]
        if marker == 0x01 or at + 2 > len(data):
            rest.append(data[found.start() : at])
            continue
        size = int.from_bytes(data[at : at + 2], "big")
        if APP0 <= marker <= 0xEF or marker == COMMENT:
            segments.append((marker, data[at + 2 : at + size]))
        else:
            rest.append(data[found.start() : at + size])
        at += max(size, 2)


def with_segments(data, segments, trailer=b""):
    """A JPEG file with other metadata.

    Parameters
    ----------
    data : bytes
        A file made by Pillow.
    segments : list of (int, bytes)
        As `split` returns them. The colour space in Adobe's segment stays that of `data`.
    trailer : bytes, default b""
        Data after the image.

    Returns
    -------
    bytes
    """
    own, rest, _ = split(data)
    adobe = [(marker, content) for marker, content in own if marker == ADOBE]
    kept = [
        (marker, content) for marker, content in segments
        if not _is_adobe(marker, content) or (not adobe and content.endswith(YCBCR))
    ]  # fmt: skip
    image = b"".join(_packed(m, c) for m, c in kept + adobe) + rest[2:] + b"\xff\xd9"
    return rest[:2] + _with_places(image, segments, trailer) + trailer


def _is_adobe(marker, content):
    return marker == ADOBE and content.startswith(b"Adobe")


def _packed(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _with_places(image, segments, trailer):
    """The image, where the list of all images (MPF, multi-picture format) has their new places."""
    size = 2 + len(image)
    second = size + max(trailer.find(b"\xff\xd8\xff"), 0)
    for marker, content in segments:
        if marker == APP2 and content.startswith(MPF):
            at = image.find(content)
            patched = _moved(content, size, second - (2 + at + len(MPF)))
            return image[:at] + patched + image[at + len(content) :]
    return image


def _moved(content, size, second):
    """The list of images, of which the first now has `size` bytes, and where the second begins."""
    order = "<" if content[4:6] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", content, 8)
        (count,) = struct.unpack_from(order + "H", content, 4 + directory)
        for k in range(count):
            entry = 6 + directory + 12 * k
            code, _, length, place = struct.unpack_from(order + "HHII", content, entry)
            if code != 0xB002:
                continue
            images = list(struct.iter_unpack(order + "IIIHH", content[4 + place :][:length]))
            first = min((offset for _, _, offset, *_ in images[1:] if offset), default=0)
            moved = [(images[0][0], size, *images[0][2:])] + [
                (kind, length, offset and offset - first + second, *rest)
                for kind, length, offset, *rest in images[1:]
            ]
            packed = b"".join(struct.pack(order + "IIIHH", *image) for image in moved)
            return content[: 4 + place] + packed + content[4 + place + len(packed) :]
    except (struct.error, IndexError):
        pass
    return content


def made_segments(meta):
    """Metadata of another format as segments.

    Parameters
    ----------
    meta : dict
        With any of ``icc_profile``, ``exif``, ``xmp``, ``dpi`` and ``comment``.

    Returns
    -------
    list of (int, bytes)
    """
    made = []
    if "dpi" in meta:
        dots = [min(max(round(float(dpi)), 1), 65535) for dpi in meta["dpi"]]
        made.append((APP0, struct.pack(">5sHBHHBB", b"JFIF\0", 0x101, 1, *dots, 0, 0)))
    if "exif" in meta:
        made.append((APP1, EXIF + meta["exif"]))
    if "xmp" in meta:
        made.append((APP1, XMP + meta["xmp"]))
    if "icc_profile" in meta:
        profile, most = meta["icc_profile"], LONGEST - len(ICC) - 2
        parts = [profile[k : k + most] for k in range(0, len(profile), most)]
        made += [
            (APP2, ICC + bytes([k, len(parts)]) + part) for k, part in enumerate(parts[:255], 1)
        ]
    if "comment" in meta:
        made.append((COMMENT, meta["comment"]))
    return [(marker, content) for marker, content in made if len(content) <= LONGEST]
