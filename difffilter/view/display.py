"""Pixels as they are shown on a screen: 8 bits, red, green and blue."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from difffilter.image import DataRange, like
from difffilter.io.picture import Picture, rgb_of_cmyk

__all__ = ["Display", "display_of", "png"]

# The longest side of an image that is shown as a whole, larger than most screens.
LONGEST = 1600


@dataclass(frozen=True)
class Display:
    """The intensities to show as black and as white.

    Attributes
    ----------
    black, white : float
        In units of the scaled image.
    cmyk : bool
        Whether the channels are cyan, magenta, yellow and black.
    """

    black: float = 0.0
    white: float = 1.0
    cmyk: bool = False

    @property
    def stretched(self) -> bool:
        """Whether anything but [0, 1] is shown."""
        return (self.black, self.white) != (0.0, 1.0)

    def __call__(self, image: NDArray) -> NDArray:
        """The image ``(H, W)`` or ``(H, W, C)`` as uint8, ``(H, W)`` or ``(H, W, 3)``."""
        if self.cmyk:
            return rgb_of_cmyk(Picture(image[None], meta={"colours": "CMYK"}))
        shown = (image - np.float32(self.black)) / np.float32(self.white - self.black)
        eight = like(shown, np.empty(0, np.uint8))
        if eight.ndim == 3 and eight.shape[2] != 3:  # of other channels, the first three
            blank = np.zeros((*eight.shape[:2], 3), np.uint8)
            blank[..., : min(3, eight.shape[2])] = eight[..., :3]
            return blank
        return eight


def display_of(picture: Picture, page: NDArray, data_range: DataRange) -> Display:
    """The display of a page: [0, 1], or nearly all of its intensities where those say little.

    Grey images of more than 8 bits often use a small part of their range, and floats have any.
    """
    if picture.meta.get("colours") and picture.channel_axis is not None:
        return Display(cmyk=page.shape[-1] == 4)
    grey = picture.channel_axis is None and picture.pages.dtype.itemsize > 1
    outside = page.size > 0 and (page.min() < 0 or page.max() > 1)
    if data_range is not None or not (grey or outside):
        return Display()
    black, white = (float(x) for x in np.percentile(page, (0.1, 99.9)))
    return Display(black, white) if white > black else Display(black, black + 1)


def png(pixels: NDArray, longest: int | None = None) -> bytes:
    """A PNG file of uint8 pixels.

    Parameters
    ----------
    pixels : uint8 ndarray
    longest : int, optional
        Make larger images smaller, to this side.
    """
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    if longest is not None and max(picture.size) > longest:
        scale = longest / max(picture.size)
        width, height = (max(1, round(scale * n)) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
