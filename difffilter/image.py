"""Conventions for images: dtype, range, axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.devices import is_tensor

__all__ = ["LUMA", "DataRange", "as_float", "check_data_range", "grey", "like", "scaled"]

# The intensity that becomes 1, or those that become 0 and 1; ``None``: those of the dtype.
DataRange = float | Sequence[float] | None

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


def check_data_range(data_range: Any) -> tuple[float, float]:
    """Check a data range, and return the intensities that become 0 and 1.

    Raises
    ------
    TypeError
        If it is neither a number nor a pair of numbers.
    ValueError
        If the range is empty or not finite.

    Examples
    --------
    >>> check_data_range(4095), check_data_range((-1024, 3071))
    ((0.0, 4095.0), (-1024.0, 3071.0))
    >>> check_data_range(-1)
    Traceback (most recent call last):
    ValueError: data_range is -1; expected a positive number, or a pair (low, high) with low < high
    """
    expected = "expected a positive number, or a pair (low, high) with low < high"
    pair = data_range
    if isinstance(data_range, Real):
        pair = (0, data_range)
    elif isinstance(data_range, np.ndarray):
        pair = data_range.tolist()
    if (
        not isinstance(pair, (tuple, list))
        or len(pair) != 2
        or not all(isinstance(limit, Real) for limit in pair)
    ):
        raise TypeError(f"data_range is {data_range!r}; {expected}")
    low, high = map(float, pair)
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"data_range is {data_range}; {expected}")
    return low, high


def scaled(image: Any, data_range: DataRange) -> Any:
    """Scale an image by its data range instead of by that of its dtype.

    Parameters
    ----------
    image : array_like, dask.array.Array or Tensor
        A dask array is scaled lazily, and a masked array keeps its mask. Nothing is checked here.
    data_range : float or (float, float), optional
        The intensity that becomes 1, or the two that become 0 and 1. Others become numbers beyond
        those; nothing is clipped. ``None``: the image is returned as it is.

    Returns
    -------
    array
        float64 for float64 or longer, float32 for everything else.

    Examples
    --------
    >>> import numpy as np
    >>> scaled(np.array([[0, 4095]], np.uint16), 4095)
    array([[0., 1.]], dtype=float32)
    >>> scaled(np.array([[-1024, 3071]], np.int16), (-1024, 3071))
    array([[0., 1.]], dtype=float32)
    """
    if data_range is None:
        return image
    low, high = check_data_range(data_range)
    if is_tensor(image):
        if image.is_complex():
            return image
        unit = (image.double() - low) / (high - low)
        return unit if image.element_size() == 8 and image.is_floating_point() else unit.float()
    if type(image).__module__.startswith("dask.array"):
        if image.dtype.kind not in "buif":
            return image
        return image.map_blocks(scaled, (low, high), dtype=_unit_dtype(image.dtype))
    if isinstance(image, np.ma.MaskedArray):
        return np.ma.array(scaled(image.data, data_range), mask=image.mask)
    image = np.asarray(image)
    if image.dtype.kind not in "buif":
        return image
    with np.errstate(all="ignore"):  # what is not finite is found by `as_float`
        if low:
            unit = np.subtract(image, low, dtype=np.float64)
            unit /= high - low
        else:
            unit = np.divide(image, high, dtype=np.float64)
        return unit.astype(_unit_dtype(image.dtype), copy=False)


def _unit_dtype(dtype):
    """The dtype of an image in [0, 1], by that of the original."""
    return np.dtype(np.float64 if dtype.kind == "f" and dtype.itemsize >= 8 else np.float32)


def check_axis(name, axis, shape, of="image"):
    """Raise unless the argument `name` is an axis of a shape."""
    if not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{name} is {axis!r}; expected a whole number or None")
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name} is {axis}; expected one of the {len(shape)} axes of {of}")


def check_shape(shape, channel_axis, *, name="image", axes=(2, 3)):
    """Raise ValueError unless a shape is that of an image; parameters are those of `as_float`."""
    dimensions = len(shape)
    if channel_axis is not None:
        check_axis("channel_axis", channel_axis, shape, name)
    spatial = dimensions - (channel_axis is not None)
    if spatial < 1 or (axes is not None and spatial not in axes):
        accepted = "at least 1 axis" if axes is None else " or ".join(map(str, axes)) + " axes"
        hint = ""
        if spatial == 4 and shape[-1] in (2, 3, 4):
            hint = "; did you mean channel_axis=-1?"
        elif spatial == 4:
            hint = "; filter a series frame by frame: denoise(image, time_axis=0)"
        raise ValueError(
            f"{name} has shape {tuple(shape)} with channel_axis={channel_axis}; expected {accepted} "
            f"besides channels{hint}"
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty: its shape is {tuple(shape)}")


def spatial_shape(image: Any, channel_axis: int | None) -> tuple[int, ...]:
    """The shape of an image without its channels."""
    shape = list(image.shape)
    if channel_axis is not None:
        del shape[channel_axis]
    return tuple(shape)


def check_boolean_mask(name: str, mask: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    """Check a mask of booleans, and return it as an array."""
    found = np.asarray(mask)
    if found.dtype != bool:
        raise TypeError(f"{name} has dtype {found.dtype}; expected bool")
    if found.shape != shape:
        raise ValueError(
            f"{name} has shape {found.shape}; expected {shape}, the spatial shape of the image"
        )
    return found


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


def like(result: NDArray, original: NDArray, data_range: DataRange = None) -> NDArray:
    """Convert a float image to the dtype and the unit of another: undo `as_float` or `scaled`.

    Parameters
    ----------
    result : ndarray
        Floating point, in the units of `as_float` or `scaled`.
    original : ndarray
        The array whose dtype is wanted.
    data_range : float or (float, float), optional
        As for `scaled`.

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
    if data_range is not None:
        low, high = check_data_range(data_range)
        result = np.multiply(result, high - low, dtype=np.float64) + low
    elif dtype.kind in "ui" and dtype.itemsize < 8:
        result = result * np.float64(np.iinfo(dtype).max)
    if dtype.kind == "f":
        return result.astype(dtype, copy=False)
    if dtype.kind == "b":
        return result >= 0.5
    limits = np.iinfo(dtype)
    # float64 does not hold the upper limit of 64 bits.
    top = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
    return np.clip(np.rint(result, dtype=np.float64), limits.min, top).astype(dtype)


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
