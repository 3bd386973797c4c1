"""An image to be restored, and what is known of it."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Degraded"]


class Degraded(NamedTuple):
    """An image to be restored, and what is known of it.

    Attributes
    ----------
    image : ndarray
        ``(H, W)`` or ``(H, W, 3)``, in [0, 1] but for noise; 0 in holes.
    clean : ndarray
        What it should become, which only an oracle may look at.
    channel_axis : int or None
        The axis of the channels.
    sigma : float or None
        The strength of the noise; ``None``: unknown, or not to be told.
    mask : bool ndarray (H, W) or None
        True in holes, whose pixels alone are scored; ``None``: there are none, and all are.
    """

    image: Any
    clean: Any
    channel_axis: int | None = None
    sigma: float | None = None
    mask: Any = None

    def corner(self, side):
        """A square at its upper left corner, with a hole and a known pixel if it has holes at all."""
        square = slice(side), slice(side)
        image, mask = self.image[square], self.mask
        if mask is not None:
            image, mask = image.copy(), mask[square].copy()
            mask[0, 0], mask[-1, -1] = True, False
            image[mask] = 0
        return self._replace(image=image, clean=self.clean[square], mask=mask)
