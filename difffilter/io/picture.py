"""What an image file holds: pages of pixels, alpha, and all that goes with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Picture", "check_size", "joined", "split_alpha"]

# A file that holds more pixels than this, or more than 2^23 of which each byte is to become more
# than 200, is taken for one that was made to fill up the memory.
MOST_PIXELS, LARGE_ENOUGH, MOST_PER_BYTE = 178_956_970, 1 << 23, 200


@dataclass
class Picture:
    """An image file's content.

    Attributes
    ----------
    pages : ndarray
        ``(N, H, W)`` or ``(N, H, W, C)``, in the file's dtype; N is 1 but for multi-page TIFF.
        Palettes are resolved to colours.
    alpha : ndarray or None
        ``(N, H, W)``, in the file's dtype; no filter touches it.
    axes : str
        What the leading axes of a TIFF are, in tifffile's letters.
    lead : tuple of int
        The lengths of those axes; their product is N.
    meta : dict
        What else the file carries: ICC profile, EXIF, resolution, compression.
    """

    pages: np.ndarray
    alpha: np.ndarray | None = None
    axes: str = ""
    lead: tuple[int, ...] = ()
    meta: dict = field(default_factory=dict)

    @property
    def channel_axis(self):
        """-1 for colour, None for grey: of one page and of a volume alike."""
        return -1 if self.pages.ndim == 4 else None

    def volumes(self):
        """The pages as stacks ``(D, H, W[, C])``: along Z if there is such an axis, else the last."""
        stacked = self.pages.reshape(self.lead + self.pages.shape[1:])
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        stacked = np.moveaxis(stacked, depth, len(self.lead) - 1)
        return stacked.reshape((-1, self.lead[depth], *self.pages.shape[1:]))

    def with_volumes(self, volumes):
        """A picture like this one with the pages of other volumes, in the order of `volumes`."""
        depth = self.axes.index("Z") if "Z" in self.axes else len(self.lead) - 1
        others = self.lead[:depth] + self.lead[depth + 1 :]
        stacked = volumes.reshape((*others, self.lead[depth], *self.pages.shape[1:]))
        stacked = np.moveaxis(stacked, len(self.lead) - 1, depth)
        return self.with_pages(stacked.reshape(self.pages.shape))

    def with_pages(self, pages):
        """A picture like this one with other pixels of the same dtype."""
        return Picture(pages, self.alpha, self.axes, self.lead, self.meta)


def check_size(path, pixels, max_pixels=None, most=MOST_PIXELS):
    """Whether so many pixels may be read from a file.

    Parameters
    ----------
    path : Path
    pixels : int
        How many it says that it holds.
    max_pixels : int, optional
        How many are too many; ``None``: those above `most`, and those above `LARGE_ENOUGH` that
        stand in so few bytes that no photograph would.
    most : int

    Raises
    ------
    ValueError
        If they are too many.
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
    """A picture of pages whose last channel, if they have 2 or 4 of them, is alpha."""
    if alpha is None:
        alpha = pages.ndim == 4 and pages.shape[-1] in (2, 4) and not meta.get("cmyk")
    if alpha:
        colour, alpha = pages[..., :-1], pages[..., -1]
        if colour.shape[-1] == 1:
            colour = colour[..., 0]
        return Picture(np.ascontiguousarray(colour), np.ascontiguousarray(alpha), axes, lead, meta)
    return Picture(pages, None, axes, lead, meta)


def joined(picture):
    """Colours and alpha in one array again."""
    if picture.alpha is None:
        return picture.pages
    pages = picture.pages if picture.pages.ndim == 4 else picture.pages[..., None]
    return np.concatenate([pages, picture.alpha[..., None]], axis=-1)
