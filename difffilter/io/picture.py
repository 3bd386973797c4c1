"""The content of an image file: pages of pixels, alpha, and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from difffilter.image import as_float, like

__all__ = ["Picture", "check_size", "joined", "rgb_of_cmyk", "split_alpha"]

# A file with more than MOST_PIXELS pixels, or with more than LARGE_ENOUGH at over MOST_PER_BYTE
# pixels per byte, is taken for a decompression bomb.
MOST_PIXELS, LARGE_ENOUGH, MOST_PER_BYTE = 178_956_970, 1 << 23, 200

# The orientations of EXIF and TIFF: quarter turns to the left, after mirroring left and right.
TURNS = {
    2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True),
    6: (3, False), 7: (3, True), 8: (1, False),
}  # fmt: skip
ORIENTATION = 274


@dataclass
class Picture:
    """The content of an image file.

    Attributes
    ----------
    pages : ndarray
        ``(N, H, W)`` or ``(N, H, W, C)``, in the file's dtype; N is 1 except for multi-page TIFF.
        Palettes are converted to colours.
    alpha : ndarray or None
        ``(N, H, W)``, in the file's dtype; copied unfiltered.
    axes : str
        The leading axes of a TIFF, in tifffile's letters.
    lead : tuple of int
        The lengths of those axes; their product is N.
    meta : dict
        Metadata: ICC profile, EXIF, resolution, compression and the like. With ``developed``, pixels
        of 16 bits are written in 8 bits where the format has no more.
    source : Path or None
        The TIFF file that was read, which is copied with other pixels if the result is a TIFF, too.
    others : list of Picture
        Images of other sizes or kinds in the same file.
    """

    pages: np.ndarray
    alpha: np.ndarray | None = None
    axes: str = ""
    lead: tuple[int, ...] = ()
    meta: dict = field(default_factory=dict)
    source: Path | None = None
    others: list[Picture] = field(default_factory=list)

    @property
    def channel_axis(self):
        """The axis of the channels of a page or a volume: -1, or None for grey."""
        return -1 if self.pages.ndim == 4 else None

    def upright(self):
        """The pages, turned and mirrored as the orientation in the metadata says they are shown."""
        turns, mirrored = TURNS.get(_orientation(self.meta), (0, False))
        pages = self.pages[:, :, ::-1] if mirrored else self.pages
        return np.rot90(pages, turns, axes=(1, 2))

    def as_stored(self, pages):
        """Pages that are turned as `upright` turns them, as they are stored: undo `upright`."""
        turns, mirrored = TURNS.get(_orientation(self.meta), (0, False))
        pages = np.rot90(pages, -turns, axes=(1, 2))
        return pages[:, :, ::-1] if mirrored else pages

    def volumes(self):
        """The pages as volumes ``(N, D, H, W[, C])``, stacked along Z or else the last leading axis."""
        stacked = self.pages.reshape(self.lead + self.pages.shape[1:])
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        stacked = np.moveaxis(stacked, depth, len(self.lead) - 1)
        return stacked.reshape((-1, self.lead[depth], *self.pages.shape[1:]))

    def with_volumes(self, volumes):
        """A copy with other volumes of the same dtype, in the order of `volumes`."""
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        others = self.lead[:depth] + self.lead[depth + 1 :]
        stacked = volumes.reshape((*others, self.lead[depth], *self.pages.shape[1:]))
        stacked = np.moveaxis(stacked, len(self.lead) - 1, depth)
        return self.with_pages(stacked.reshape(self.pages.shape))

    def with_pages(self, pages):
        """A copy with other pages of the same dtype."""
        return replace(self, pages=pages)


def _orientation(meta):
    """The number of the orientation, from 1 to 8; 1 is upright."""
    if "orientation" in meta:  # of a TIFF
        return meta["orientation"]
    if not meta.get("exif") or not isinstance(meta["exif"], bytes):
        return 1
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(meta["exif"])
        return exif.get(ORIENTATION, 1)
    except Exception:  # damaged metadata may raise anything, and say nothing
        return 1


def check_size(path, pixels, max_pixels=None, most=MOST_PIXELS):
    """Raise an error if a file has too many pixels to be read.

    Parameters
    ----------
    path : Path
        The file.
    pixels : int
        Number of pixels, as stated in the file.
    max_pixels : int, optional
        Largest number accepted; ``None``: `most`, or `LARGE_ENOUGH` for a file that is smaller than
        any photograph of that many pixels.
    most : int, optional
        Largest number accepted by default.

    Raises
    ------
    ValueError
        If there are more.
    """
    if pixels > (most if max_pixels is None else max_pixels):
        raise ValueError(
            f"{path} is refused: it has {pixels} pixels; pass --max-pixels {pixels} if that is right"
        )
    size = path.stat().st_size if path.is_file() else pixels
    if max_pixels is None and pixels > max(LARGE_ENOUGH, MOST_PER_BYTE * size):
        raise ValueError(
            f"{path} is refused: {size} bytes would become {pixels} pixels; "
            f"pass --max-pixels {pixels} if that is right"
        )


def split_alpha(pages, meta, axes="", lead=(1,), alpha=None):
    """Make a picture of pages of which the last channel may be alpha.

    Parameters
    ----------
    pages : ndarray
        ``(N, H, W)`` or ``(N, H, W, C)``.
    meta, axes, lead
        As for `Picture`.
    alpha : bool, optional
        Whether the last channel is alpha; ``None``: if there are 2 or 4 channels, and no CMYK.

    Returns
    -------
    Picture
    """
    if alpha is None:
        alpha = pages.ndim == 4 and pages.shape[-1] in (2, 4) and not meta.get("colours")
    if alpha:
        colour, alpha = pages[..., :-1], pages[..., -1]
        if colour.shape[-1] == 1:
            colour = colour[..., 0]
        return Picture(np.ascontiguousarray(colour), np.ascontiguousarray(alpha), axes, lead, meta)
    return Picture(pages, None, axes, lead, meta)


def joined(picture):
    """The pages with alpha as their last channel: undo `split_alpha`."""
    if picture.alpha is None:
        return picture.pages
    pages = picture.pages if picture.pages.ndim == 4 else picture.pages[..., None]
    return np.concatenate([pages, picture.alpha[..., None]], axis=-1)


def rgb_of_cmyk(picture):
    """The first page of a picture in cyan, magenta, yellow and black as red, green and blue.

    Returns
    -------
    uint8 ndarray (H, W, 3)
    """
    from PIL import Image

    page = like(as_float(picture.pages[0], -1), np.empty(0, np.uint8))
    image = Image.frombytes("CMYK", page.shape[1::-1], page.tobytes())
    return np.asarray(image.convert("RGB"))
