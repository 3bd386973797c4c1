"""What an image is: dtype, range, channel axis."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["LUMA", "as_float", "grey", "like"]

# Shares of red, green and blue in the luma of ITU-R BT.601, by which test sets become grey.
LUMA = (0.299, 0.587, 0.114)


def as_float(image, channel_axis=None, *, name="image", axes=(2, 3)):
    """The image as floating point, checked.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, of any real or boolean dtype, or either of them with one more
        axis of channels. Integers are scaled so that their full range becomes [0, 1] (signed
        ones: [-1, 1]); floats are taken as they are.
    channel_axis : int, optional
        The axis of the channels; ``None`` means that there is none.
    name : str
        What to call the array in messages.
    axes : tuple of int, optional
        How many axes it may have besides the channels; ``None``: any number from 1.

    Returns
    -------
    ndarray
        float64 for float64, float32 for everything else. It may share memory with ``image``.

    Raises
    ------
    TypeError
        If the dtype is not real.
    ValueError
        If the array is empty, has another number of axes, or holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> as_float(np.array([[0, 255]], np.uint8))
    array([[0., 1.]], dtype=float32)
    """
    image = np.asarray(image)
    if image.dtype.kind not in "buif":
        raise TypeError(f"{name} must hold real numbers; got dtype {image.dtype}")
    check_shape(image.shape, channel_axis, name=name, axes=axes)
    kind = image.dtype.kind
    if kind == "f":
        result = image if image.dtype == np.float64 else image.astype(np.float32, copy=False)
        # A sum is not finite when an element is not, and costs no temporary; it may also overflow.
        with np.errstate(all="ignore"):
            finite = np.isfinite(result.sum()) or np.isfinite(result).all()
        if not finite:
            raise not_finite(name, np.size(result) - np.count_nonzero(np.isfinite(result)))
        return result
    if kind == "b":
        return image.astype(np.float32)
    # The division is done in float64 so that the largest value becomes exactly 1.
    return (image / np.float64(np.iinfo(image.dtype).max)).astype(np.float32)


def check_shape(shape, channel_axis, *, name="image", axes=(2, 3)):
    """Raise ValueError unless this is the shape of an image, as `as_float` describes it."""
    dimensions = len(shape)
    if channel_axis is not None and not -dimensions <= channel_axis < dimensions:
        raise ValueError(f"channel_axis={channel_axis} is outside {name} of {dimensions} axes")
    spatial = dimensions - (channel_axis is not None)
    if spatial < 1 or (axes is not None and spatial not in axes):
        accepted = "at least 1 axis" if axes is None else " or ".join(map(str, axes)) + " axes"
        hint = "; if one holds colours, say which: channel_axis=-1" if dimensions == 4 else ""
        raise ValueError(
            f"{name} must have {accepted} besides channels; got shape {tuple(shape)} "
            f"with channel_axis={channel_axis}{hint}"
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(shape)}")


def not_finite(name, count):
    """The error of an image with so many pixels that are not numbers."""
    return ValueError(
        f"{name} has {int(count)} pixels that are NaN or infinite; "
        "replace them, or exclude them with a mask after filling them with a number"
    )


def mosaic(tiles, axes):
    """Tiles side by side along the last two spatial axes, as near to a square as they go.

    Parameters
    ----------
    tiles : ndarray
        ``(N, H, W)`` or ``(N, D, H, W)``, or either with channels last.
    axes : int
        How many spatial axes a tile has.

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


def like(result, original):
    """Bring a float image back to the dtype of the image that it was made from.

    Parameters
    ----------
    result : ndarray
        Floating point, in the units that `as_float` gives.
    original : ndarray
        The array whose dtype is wanted.

    Returns
    -------
    ndarray
        Integers are clipped to their range and rounded.

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
    # float64 holds every integer up to 32 bits; the upper limit of 64 bits is rounded down to it.
    top = float(limits.max) if limits.bits < 64 else np.nextafter(float(limits.max), 0)
    return np.clip(np.rint(result * np.float64(limits.max)), limits.min, top).astype(dtype)


def grey(image):
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
