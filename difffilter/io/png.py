"""PNG: the chunks that hold metadata."""

from __future__ import annotations

import struct
import zlib

__all__ = ["chunks_of", "made_chunks", "with_chunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = len(SIGNATURE) + 25  # the IHDR chunk takes 25 bytes

# Chunks that depend on how pixels are stored: palettes and transparent colours become channels.
OF_PIXELS = {b"PLTE", b"IDAT", b"IHDR", b"IEND", b"tRNS", b"hIST", b"acTL", b"fcTL", b"fdAT"}

# Chunks whose form follows from the kind of pixels, and which are kept only if that is the same.
OF_KIND = {b"bKGD", b"sBIT"}


def chunks_of(data):
    """The metadata of a PNG file.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    list of (bytes, bytes, bool)
        The name and the content of each chunk, and whether it stands before the pixels.
    """
    found, before, at = [], True, len(SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        before &= name != b"IDAT"
        if name not in OF_PIXELS and len(content) == size and name[:1].islower():
            found.append((name, content, before))
        at += 12 + size
    return found


def with_chunks(data, chunks, kind=None):
    """A PNG file with metadata.

    Parameters
    ----------
    data : bytes
        A file without.
    chunks : list of (bytes, bytes, bool)
        As `chunks_of` returns them.
    kind : bytes, optional
        The bit depth and the colour type, two bytes, of the file that the chunks come from;
        ``None``: another one's.

    Returns
    -------
    bytes
    """
    same = kind == data[24:26]
    chunks = [c for c in chunks if same or c[0] not in OF_KIND]
    before = b"".join(_packed(name, content) for name, content, early in chunks if early)
    after = b"".join(_packed(name, content) for name, content, early in chunks if not early)
    end = data.rindex(b"\0\0\0\0IEND")
    return data[:HEADER_END] + before + data[HEADER_END:end] + after + data[end:]


def made_chunks(meta):
    """Metadata of another format as chunks.

    Parameters
    ----------
    meta : dict
        With any of ``icc_profile``, ``exif``, ``xmp``, ``dpi`` and ``comment``.

    Returns
    -------
    list of (bytes, bytes, bool)
    """
    made = []
    if "icc_profile" in meta:
        made.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(meta["icc_profile"]), True))
    if "dpi" in meta:
        pixels = [round(float(dpi) / 0.0254) for dpi in meta["dpi"]]
        if all(0 < n < 1 << 31 for n in pixels):
            made.append((b"pHYs", struct.pack(">IIB", *pixels, 1), True))
    if "exif" in meta:
        made.append((b"eXIf", meta["exif"], True))
    if "xmp" in meta:
        made.append((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + meta["xmp"], True))
    if "comment" in meta:
        made.append((b"iTXt", b"Comment\0\0\0\0\0" + _utf8(meta["comment"]), True))
    return made


def _packed(name, content):
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _utf8(text):
    try:
        return text.decode("utf-8").encode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1").encode("utf-8")
