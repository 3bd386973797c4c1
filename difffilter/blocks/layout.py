"""The axes of an array: those of an image, and those that number the images."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Layout"]


@dataclass(frozen=True)
class Layout:
    """The images in an array: one for each position along its leading axes.

    Attributes
    ----------
    axes : str
        The axes of the array, in tifffile's letters.
    shape : tuple of int
        The shape of the array.
    volume : bool
        Whether an image is a volume, whose third axis is Z or else the last one before Y and X.

    Examples
    --------
    >>> layout = Layout("TZYX", (5, 9, 40, 50), True)
    >>> layout.images, layout.spatial
    (5, (9, 40, 50))
    >>> layout.index(2, ((0, 4), (0, 40), (10, 20)))
    (slice(2, 3, None), slice(0, 4, None), slice(0, 40, None), slice(10, 20, None))
    """

    axes: str
    shape: tuple[int, ...]
    volume: bool

    @property
    def _own(self):
        """The positions in the array of an image's spatial axes: z, y, x."""
        found = [self.axes.index("Y"), self.axes.index("X")]
        others = [k for k, letter in enumerate(self.axes) if letter not in "YXS"]
        if self.volume and others:
            found.insert(0, self.axes.index("Z") if "Z" in self.axes else others[-1])
        return found

    @property
    def _lead(self):
        return [k for k in range(len(self.axes)) if k not in self._own and self.axes[k] != "S"]

    @property
    def _order(self):
        """The axes of the array: those that number the images first, and samples last."""
        return (*self._lead, *self._own, *([self.axes.index("S")] if "S" in self.axes else []))

    @property
    def kept(self):
        """The positions in the array of all axes of an image, samples included."""
        return self._order[len(self._lead) :]

    @property
    def spatial(self):
        """The shape of an image without its channels."""
        return tuple(self.shape[k] for k in self._own)

    @property
    def channels(self):
        """Number of samples of a pixel; None if the array has no such axis."""
        return self.shape[self.axes.index("S")] if "S" in self.axes else None

    @property
    def images(self):
        """Number of images."""
        return math.prod(self.shape[k] for k in self._lead)

    def index(self, image, box):
        """The index of a box of an image in the array: a slice for each axis."""
        places = np.unravel_index(image, [self.shape[k] for k in self._lead]) if self._lead else ()
        index = [slice(0, n) for n in self.shape]
        for k, place in zip(self._lead, places, strict=True):
            index[k] = slice(int(place), int(place) + 1)
        for k, (start, stop) in zip(self._own, box, strict=True):
            index[k] = slice(start, stop)
        return tuple(index)

    def spatial_of(self, sizes):
        """Select, from one number for each axis of the array, those of the spatial axes."""
        return tuple(sizes[k] for k in self._own)

    def as_image(self, values):
        """Turn what was read at an `index` into an image, channels last."""
        values = values.transpose(self._order)
        return values.reshape(values.shape[len(self._lead) :])

    def as_array(self, image):
        """Undo `as_image`."""
        image = image.reshape((1,) * len(self._lead) + image.shape)
        return image.transpose(np.argsort(self._order))

    def boxes(self, block):
        """(image, box) of all blocks of a shape; the last along an axis may be smaller."""
        spans = [
            [(a, min(a + size, n)) for a in range(0, n, size)]
            for n, size in zip(self.spatial, block, strict=True)
        ]
        return [(image, box) for image in range(self.images) for box in itertools.product(*spans)]
