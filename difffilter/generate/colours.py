"""The main colours of pictures, as adjectives for their captions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from difffilter.generate.captioned import Captioned
from difffilter.generate.rendering import RGB

__all__ = ["main_colour", "with_colours"]

# Names and their colours: those of scenes, and the greys.
NAMED = RGB | {"white": (245, 245, 245), "gray": (140, 140, 140), "black": (25, 25, 25)}

# Pictures of groups that begin like this get no colour: it would be read as that of a skin.
PEOPLE = "people"

# The share of a picture that its main colour covers, at least.
LEAST = 0.4


def main_colour(picture: NDArray) -> str:
    """The colour of most of a picture, or "" if there is none.

    Parameters
    ----------
    picture : uint8 ndarray (H, W, 4)
        Red, green, blue and alpha.

    Returns
    -------
    str
        One of eight colours, white, gray or black, whichever is nearest in CIELAB to at least 0.4 of the
        pixels that are more opaque than not.

    Examples
    --------
    >>> import numpy as np
    >>> main_colour(np.full((2, 2, 4), (40, 170, 60, 255), np.uint8))
    'green'
    """
    names = list(NAMED)
    pixels = picture[picture[..., 3] > 127][:, :3]
    if not len(pixels):
        return ""
    lab, known = (rgb2lab(np.asarray(rgb, float) / 255) for rgb in (pixels, list(NAMED.values())))
    nearest = np.square(lab[:, None] - known).sum(axis=2).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(names))
    return names[int(counts.argmax())] if counts.max() >= LEAST * len(pixels) else ""


def with_colours(captioned: Captioned) -> Captioned:
    """Pictures with their main colours, which captions then name now and then; grey ones stay as they are."""
    if captioned.channels != 3:
        return captioned
    colours = (
        "" if group.startswith(PEOPLE) else main_colour(image)
        for image, group in zip(captioned.images, captioned.groups, strict=True)
    )
    return replace(captioned, colours=tuple(colours))
