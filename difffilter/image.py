"""Conventions for images: dtype, range, channel axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LUMA", "as_float", "grey", "like"]

# Shares of red, green and blue in the luma of ITU-R BT.601, by which test sets become grey.
LUMA = (0.299, 0.587, 0.114)


def as_float(
    image: ArrayLike,
    channel_axis: int | None = None,
    *,
    name: str = "image",
    axes: tuple[int, ...] | None = (2, 3),
) -> NDArray:
    """Check an image, and convert it to floating point.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, of any real or boolean dtype, or either of them with one more
        axis of channels. Integers of up to 32 bits are scaled so that their full range becomes
        [0, 1] (signed ones: [-1, 1]). Floats are taken as they are, and so are integers of 64 bits,
        which NumPy makes of Python's whatever their range.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    name : str, default "image"
        The name of the argument in messages.
    axes : tuple of int or None, default (2, 3)
        The numbers of spatial axes accepted; ``None``: any number from 1.

    Returns
    -------
    ndarray
        float64 for float64 or longer, in the machine's byte order; float32 for everything else. It
        may share memory with `image`.

    Raises
    ------
    TypeError
        If the dtype is not real.
    ValueError
        If the array is empty, has another number of axes, holds NaN or infinity, or has masked
        values.

    Examples
    --------
    >>> import numpy as np
    >>> as_float(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    if np.ma.is_masked(image):
        raise ValueError(
            f"{name} has masked values; expected none: only the PDE filters take a mask"
        )
    image = np.asarray(image)
    if image.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {image.dtype}; expected real numbers")
    check_shape(image.shape, channel_axis, name=name, axes=axes)
    kind = image.dtype.kind
    if kind == "f":
        result = image.astype(np.float64 if image.itemsize >= 8 else np.float32, copy=False)
        # A sum is not finite if an element is not, and needs no temporary array. As it may also
        # overflow, the elements decide if it is not finite.
        with np.errstate(all="ignore"):
            finite = np.isfinite(result.sum()) or np.isfinite(result).all()
        if not finite:
            raise not_finite(name, np.size(result) - np.count_nonzero(np.isfinite(result)))
        return result
    if kind == "b" or image.itemsize == 8:
        return image.astype(np.float32)
    # Dividing in float64 makes the largest value exactly 1.
    return (image / np.float64(np.iinfo(image.dtype).max)).astype(np.float32)


def check_shape(shape, channel_axis, *, name="image", axes=(2, 3)):
    """Raise ValueError unless a shape is that of an image; parameters are those of `as_float`."""
    dimensions = len(shape)
    if channel_axis is not None and not isinstance(channel_axis, (int, np.integer)):
        raise TypeError(f"channel_axis is {channel_axis!r}; expected a whole number or None")
    if channel_axis is not None and not -dimensions <= channel_axis < dimensions:
        raise ValueError(
            f"channel_axis is {channel_axis}; expected one of the {dimensions} axes of {name}"
        )
    spatial = dimensions - (channel_axis is not None)
    if spatial < 1 or (axes is not None and spatial not in axes):
        accepted = "at least 1 axis" if axes is None else " or ".join(map(str, axes)) + " axes"
        hint = ""
        if spatial == 4 and shape[-1] in (2, 3, 4):
            hint = "; did you mean channel_axis=-1?"
        elif spatial == 4:
            hint = "; filter a series frame by frame: [denoise(frame) for frame in image]"
        raise ValueError(
            f"{name} has shape {tuple(shape)} with channel_axis={channel_axis}; expected {accepted} "
            f"besides channels{hint}"
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(shape)}")


def unmasked(image: Any, mask: Any, channel_axis: int | None) -> tuple[Any, Any]:
    """The data of a masked array, and a mask that leaves out the pixels with a masked value.

    Examples
    --------
    >>> unmasked(np.ma.masked_equal([[1, 2]], 2), None, None)[1]
    array([[ True, False]])
    """
    if not np.ma.is_masked(image):
        return image, mask
    usable: Any = ~np.ma.getmaskarray(image)
    if channel_axis is not None:
        usable = usable.all(axis=channel_axis)
    return image.data, usable if mask is None else usable & np.asarray(mask, bool)


def filled_beyond(image: Any, mask: Any, channel_axis: int | None) -> Any:
    """An image with 0 in place of what is not finite beyond a mask; itself if there is nothing.

    Examples
    --------
    >>> filled_beyond(np.array([[1.0, np.nan]]), np.array([[True, False]]), None)
    array([[1., 0.]])
    """
    if mask is None or not isinstance(image, np.ndarray) or image.dtype.kind != "f":
        return image
    beyond = ~np.asarray(mask, bool)
    if channel_axis is not None:
        beyond = np.expand_dims(beyond, channel_axis)
    if beyond.ndim != image.ndim or np.isfinite(image).all():
        return image
    return np.where(beyond & ~np.isfinite(image), image.dtype.type(0), image)


def not_finite(name, count):
    """Make the ValueError for an image with `count` pixels that are NaN or infinite."""
    return ValueError(
        f"{name} has {int(count)} pixels that are NaN or infinite; "
        "replace them, or exclude them with a mask after filling them with a number"
    )


def mosaic(tiles: NDArray, axes: int) -> NDArray:
    """Arrange tiles side by side along the last two spatial axes, in a nearly square grid.

    Parameters
    ----------
    tiles : ndarray
        ``(N, H, W)`` or ``(N, D, H, W)``, or either with channels last.
    axes : int
        Number of spatial axes of a tile.

    Returns
    -------
    ndarray
        The tiles as one image; those that would not fill a row are left out.

    Examples
    --------
    >>> import numpy as np
    >>> mosaic(np.arange(4).reshape(4, 1, 1), 2)
    array([[0, 2],
           [1, 3]])
    """
    rows = math.isqrt(len(tiles))
    columns = len(tiles) // rows
    grid = tiles[: rows * columns].reshape(rows, columns, *tiles.shape[1:])
    return np.concatenate(np.concatenate(grid, axis=axes), axis=axes - 2)


def like(result: NDArray, original: NDArray) -> NDArray:
    """Convert a float image to the dtype of another: undo `as_float`.

    Parameters
    ----------
    result : ndarray
        Floating point, in the units of `as_float`.
    original : ndarray
        The array whose dtype is wanted.

    Returns
    -------
    ndarray
        Of the dtype of `original`; integers are rounded, and clipped to their range.

    Examples
    --------
    >>> import numpy as np
    >>> like(np.array([-0.1, 0.5, 2.0]), np.zeros(3, np.uint8))
    array([  0, 128, 255], dtype=uint8)
    """
    dtype = np.asarray(original).dtype
    if dtype.kind == "f":
        return result.astype(dtype, copy=False)
    if dtype.kind == "b":
        return result >= 0.5
    limits = np.iinfo(dtype)
    if limits.bits == 64:  # float64 does not hold the upper limit
        top = np.nextafter(float(limits.max), 0)
        return np.clip(np.rint(result, dtype=np.float64), limits.min, top).astype(dtype)
    return np.clip(np.rint(result * np.float64(limits.max)), limits.min, limits.max).astype(dtype)


def grey(image: NDArray) -> NDArray:
    """The luma of a colour image, in the dtype of the image.

    Parameters
    ----------
    image : ndarray
        ``(..., 3)``: red, green and blue; floating point, or unsigned integers of 8 or 16 bits.

    Returns
    -------
    ndarray
        ``(...)``. Integers are rounded in fixed point with 16 bits, as Pillow rounds them.

    Examples
    --------
    >>> import numpy as np
    >>> grey(np.array([[255, 255, 255], [255, 0, 0]], np.uint8))
    array([255,  76], dtype=uint8)
    """
    if image.dtype.kind == "f":
        return image @ np.array(LUMA, image.dtype)
    shares = np.rint(np.array(LUMA) * 2**16).astype(np.uint32)
    return ((image.astype(np.uint32) @ shares + 2**15) >> 16).astype(image.dtype)
