"""Pixels as a TIFF file stores them, and as they look."""

from __future__ import annotations

import numpy as np

__all__ = [
    "CFA", "COLOURS", "alpha_is_last", "are_pages", "becomes_rgb", "bits", "is_inverted",
    "same_when_shown", "shown", "stored",
]  # fmt: skip

MINISWHITE, PALETTE, SEPARATED, YCBCR, CIELAB, ICCLAB = 0, 3, 5, 6, 8, 9
CFA = 32803
JPEG = (6, 7)

# TIFF's name of colours that only some formats hold.
COLOURS = {SEPARATED: "CMYK", CIELAB: "CIELab", ICCLAB: "CIELab"}


def is_inverted(page):
    """Whether larger integers are darker (MinIsWhite)."""
    return page.photometric == MINISWHITE and np.dtype(page.dtype).kind in "bui"


def bits(page):
    """The bits of a sample that is stored in fewer than its dtype has, such as 4 or 12; else None."""
    count, dtype = page.bitspersample, np.dtype(page.dtype)
    if dtype.kind != "u" or not isinstance(count, int) or count >= 8 * dtype.itemsize:
        return None
    return count


def becomes_rgb(page):
    """Whether the pixels are converted to RGB: those of palettes and YCbCr."""
    return _has_palette(page) or page.photometric == YCBCR


def same_when_shown(page):
    """Whether `shown` does no more to the pixels of a page than invert them."""
    converted = page.photometric == YCBCR and page.compression not in JPEG
    return not (converted or _has_palette(page) or page.photometric in (PALETTE, CIELAB, CFA))


def alpha_is_last(page, kind):
    """Whether the last sample is alpha.

    Parameters
    ----------
    page : tifffile.TiffPage
    kind : str
        tifffile's name of the kind of series. Its own stacks of four pages are tagged as RGBA in
        planes, unless told otherwise: those are pages.
    """
    extra = [int(sample) for sample in page.extrasamples]
    return len(extra) == 1 and extra[0] in (1, 2) and not are_pages(page, kind)


def are_pages(page, kind):
    """Whether what is tagged as planes of RGBA is a stack of four pages."""
    planes = page.planarconfig == 2 and page.photometric == 2 and page.samplesperpixel == 4
    return planes and kind == "shaped"


def shown(pixels, page):
    """Convert pixels from their stored form: brighter is larger, over the whole range of the dtype.

    Parameters
    ----------
    pixels : ndarray
        As tifffile reads them, samples last.
    page : tifffile.TiffPage
        A page that they come from.

    Returns
    -------
    ndarray
        Palettes and YCbCr as RGB, MinIsWhite inverted, 1 < bits < 8 · itemsize scaled up, and the
        signed channels of CIELab shifted to positive numbers.
    """
    count = bits(page)
    if _has_palette(page):
        return _with_palette(pixels, page)
    if page.photometric == YCBCR and page.compression not in JPEG and pixels.dtype == np.uint8:
        return _converted(pixels, "YCbCr", "RGB")
    if count:
        pixels = _scaled(pixels, 2**count - 1, np.iinfo(pixels.dtype).max)
    if is_inverted(page):
        pixels = np.invert(pixels)
    return _with_signs_changed(pixels, page)


def stored(pixels, page):
    """Convert pixels back to the form in which the page stores them: undo `shown`.

    RGB that `becomes_rgb` made stays as it is.
    """
    count = bits(page)
    if becomes_rgb(page):
        return pixels
    pixels = _with_signs_changed(pixels, page)
    if is_inverted(page):
        pixels = np.invert(pixels)
    return _scaled(pixels, np.iinfo(pixels.dtype).max, 2**count - 1) if count else pixels


def _has_palette(page):
    return page.photometric == PALETTE and page.colormap is not None


def _with_palette(pixels, page):
    colours = (page.colormap >> 8).astype(np.uint8)  # TIFF's palettes always have 16 bits
    if colours.max(initial=0) == 0:  # unless a program took them for 8
        colours = page.colormap.astype(np.uint8)
    if page.samplesperpixel == 1:
        return np.moveaxis(colours[:, pixels.astype(np.intp)], 0, -1)
    rgb = np.moveaxis(colours[:, pixels[..., 0].astype(np.intp)], 0, -1)
    return np.concatenate([rgb, pixels[..., 1:].astype(np.uint8)], axis=-1)


def _scaled(pixels, old, new):
    return np.rint(pixels * (new / old)).astype(pixels.dtype)


def _with_signs_changed(pixels, page):
    if page.photometric != CIELAB or pixels.dtype.kind != "u":
        return pixels
    pixels = pixels.copy()
    pixels[..., 1:3] ^= pixels.dtype.type(1 << (8 * pixels.dtype.itemsize - 1))
    return pixels


def _converted(pixels, mode, other):
    from PIL import Image

    flat = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[-2], 3)
    image = Image.frombytes(mode, flat.shape[1::-1], flat.tobytes()).convert(other)
    return np.asarray(image).reshape(pixels.shape)
