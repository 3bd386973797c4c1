"""Images, their holes and their fillings beside each other, as one self-contained HTML page."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from difffilter.benchmark.report.template import rendered
from difffilter.image import like
from difffilter.io.picture import Picture
from difffilter.io.rasters import encoded

__all__ = ["example", "page"]

# The longer side of a picture on the page, at most; larger ones are scaled down by a whole number.
SIDE = 2048

# The colour of holes: rare in photographs, and visible beside any that is not.
MARK = (255, 0, 255)


def page(examples, failures=()):
    """A page with a slider between images, their holes and their fillings.

    Parameters
    ----------
    examples : list of dict
        As returned by `example`, one for each image.
    failures : iterable of (path-like, str), optional
        The images that failed, and the reasons.

    Returns
    -------
    str
        HTML that needs no network and no other file.

    Raises
    ------
    MissingExtra
        If Jinja2 is not installed.
    """
    number = "1 image" if len(examples) == 1 else f"{len(examples)} images"
    return rendered(
        "fillings.html",
        title="difffilter inpaint",
        headline=f"{number} filled in",
        examples=list(examples),
        failures=[(str(image), reason) for image, reason in failures],
    )


def example(name, case, filling):
    """One image of the page, with its pictures already encoded.

    Parameters
    ----------
    name : path-like
        The image.
    case : str
        A description.
    filling : difffilter.inpainting.files.Filling

    Returns
    -------
    dict
        As from `difffilter.benchmark.report.webpage.examples`, with ``left``, the picture on the
        left side of the slider.
    """
    before, after = _drawable(filling.before), [_drawable(image) for image in filling.after]
    known = ~filling.hole & np.isfinite(before.sum(axis=-1))
    low, high = _range(before[known])
    shown = {"image": _bytes(before, low, high)}
    shown["holes"] = np.where(filling.hole[..., None], np.uint8(MARK), shown["image"])
    shown["mask"] = np.uint8(255) * filling.hole[..., None]
    names = ["filling"] if len(after) == 1 else [f"filling {n + 1}" for n in range(len(after))]
    for label, image in zip(names, after, strict=True):
        shown[label] = _bytes(image, low, high)
    factor = -(-max(known.shape) // SIDE)
    return {
        "image": str(name),
        "case": case,
        "left": "holes",
        "best": names[0],
        "pictures": [
            {
                "label": label,
                "score": f"scaled down by {factor}" if factor > 1 else "",
                "source": _source(pixels, factor),
            }
            for label, pixels in shown.items()
        ],
    }


def _drawable(image):
    """An image (H, W, 1) or (H, W, 3); of any other number of channels, their mean."""
    if image.ndim == 2:
        return image[..., None]
    return image if image.shape[-1] == 3 else image.mean(axis=-1, keepdims=True)


def _range(known):
    """The values to show as black and white: those of the type for 8 bits, otherwise of known pixels.

    Floats within [0, 1] are shown as they are.
    """
    if known.dtype == np.uint8:
        return 0, 255
    low, high = (known.min(), known.max()) if known.size else (0, 1)
    if known.dtype.kind in "fb" and low >= 0 and high <= 1:
        return 0, 1
    return float(low), float(high)


def _bytes(image, low, high):
    """An image in 8 bits, black where it is not a number."""
    unit = (np.nan_to_num(np.asarray(image, np.float64), nan=low) - low) / ((high - low) or 1)
    return like(unit, np.uint8(0))


def _source(pixels, factor):
    """Pixels (H, W, 1 or 3) of 8 bits, scaled down, as the address of a PNG image."""
    pixels = np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if factor > 1:
        from PIL import Image

        pixels = np.asarray(Image.fromarray(pixels).reduce(factor))
    data = encoded(Picture(pixels[None]), Path("picture.png"))
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
