"""Several pictures in one file."""

from __future__ import annotations

__all__ = ["grid", "write_grid"]


def grid(images, columns=None):
    """Pictures (n, H, W) or (n, H, W, 3) as one, beside each other.

    Parameters
    ----------
    images : ndarray
    columns : int, optional
        Pictures in a row; ``None``: as many as there are rows.
    """
    from skimage.util import montage

    if len(images) == 1:
        return images[0]
    channel_axis = -1 if images.ndim == 4 else None
    fill = 1.0 if channel_axis is None else (1.0,) * images.shape[-1]
    shape = None if columns is None else (-(-len(images) // columns), columns)
    return montage(images, fill=fill, padding_width=2, channel_axis=channel_axis, grid_shape=shape)


def write_grid(target, images, origin, columns=None):
    """Write pictures (n, H, W) or (n, H, W, 3) as one image, with metadata on their origin."""
    import numpy as np

    from difffilter.image import like
    from difffilter.io.files import write
    from difffilter.io.picture import Picture

    pages = like(grid(images, columns), np.empty(0, np.uint8))[None]
    write(target, Picture(pages, meta=origin))
