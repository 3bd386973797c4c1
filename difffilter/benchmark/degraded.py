"""Images to be restored, with the information that methods may use."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Degraded"]


class Degraded(NamedTuple):
    """An image to be restored, with its noise, its holes, and the clean image for scores.

    Attributes
    ----------
    image : ndarray
        ``(H, W)`` or ``(H, W, 3)``, in [0, 1] but for noise; 0 in holes.
    clean : ndarray
        The clean image, which only an oracle may look at.
    channel_axis : int or None
        The axis of the channels.
    sigma : float or None
        The strength of the noise; ``None``: unknown, or withheld from methods.
    mask : bool ndarray (H, W) or None
        True in holes: only their pixels are scored. ``None``: there are none, and all pixels are scored.
    """

    image: Any
    clean: Any
    channel_axis: int | None = None
    sigma: float | None = None
    mask: Any = None

    def corner(self, side):
        """The upper left corner, a square; of an image with holes, with a hole and a known pixel."""
        square = slice(side), slice(side)
        image, mask = self.image[square], self.mask
        if mask is not None:
            image, mask = image.copy(), mask[square].copy()
            mask[0, 0], mask[-1, -1] = True, False
            image[mask] = 0
        return self._replace(image=image, clean=self.clean[square], mask=mask)
