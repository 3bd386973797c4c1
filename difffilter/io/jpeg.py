"""JPEG: the strength of compression, and the segments that hold metadata."""

from __future__ import annotations

import io

import numpy as np

__all__ = ["quality_of", "tables_of"]

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
        One table, or two if the image has colours.
    """
    used = list(dict.fromkeys(component[3] for component in image.layer))[:2]
    return [list(image.quantization[number]) for number in used if number in image.quantization]


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
