"""Images with labels: arrays of xarray, images of SimpleITK and ITK, tables of pandas.

None of these packages is imported: an object tells by its type's module what it is.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Labelled", "keeps_labels", "unlabelled"]

# Names of axes, in lower case, that are no axes of space.
CHANNELS = ("c", "ch", "channel", "channels", "band", "rgb", "colour", "color")
TIMES = ("t", "time", "frame", "frames")

# Coordinates count as evenly spaced if their steps differ by less than this share.
UNEVEN = 1e-3

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Labelled:
    """The pixels of an image, and how to give a result the labels of the image.

    Attributes
    ----------
    array : ndarray
    restored : callable
        ``restored(result)`` is an object like the image, with the values of an array of its shape.
    channel_axis, time_axis : int or None
        Axes that the image says are of channels or of time.
    spacing : tuple of float or None
        Distances of pixels along the other axes, in those of the nearest ones; ``None``: all alike, or
        unknown.
    """

    array: NDArray
    restored: Callable[[NDArray], Any]
    channel_axis: int | None = None
    time_axis: int | None = None
    spacing: tuple[float, ...] | None = None

    def options(self, taken: Any, given: dict[str, Any]) -> dict[str, Any]:
        """Options that the labels supply, of those that are accepted and were not given."""
        found = {
            "channel_axis": self.channel_axis,
            "time_axis": self.time_axis,
            "spacing": self.spacing,
        }
        return {
            name: value
            for name, value in found.items()
            if value is not None and name in taken and given.get(name) is None
        }


def unlabelled(image: Any) -> Labelled | None:
    """The pixels of an image with labels; ``None`` for an array.

    Parameters
    ----------
    image : xarray.DataArray, SimpleITK.Image, itk.Image, pandas.DataFrame or other

    Returns
    -------
    Labelled or None

    Raises
    ------
    ValueError
        If there are labels of several axes of channels or of time.
    """
    package, name = type(image).__module__.partition(".")[0], type(image).__name__
    if package == "itk" and name.startswith("itkImage"):  # and the type and number of its axes
        return of_itk(image)
    read = READERS.get((package, name))
    return None if read is None else read(image)


def keeps_labels(function: Function) -> Function:
    """Let a function of an image take images with labels, and return such.

    Its first argument becomes an array. Axes of channels or time and the spacing are those of the
    labels unless they are given, and a result of the image's shape gets the labels.

    Parameters
    ----------
    function : callable
        Returns an array, or a tuple that begins with one.

    Returns
    -------
    callable
    """
    parameters = inspect.signature(function).parameters
    first = next(iter(parameters))

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        image = args[0] if args else kwargs.get(first)
        labels = unlabelled(image)
        if labels is None:
            return function(*args, **kwargs)
        rest = dict(kwargs)
        rest.pop(first, None)
        rest |= labels.options(parameters, rest)
        result = function(labels.array, *args[1:], **rest)
        if isinstance(result, tuple):
            return (relabelled(labels, result[0]), *result[1:])
        return relabelled(labels, result)

    return cast(Function, call)


def relabelled(labels: Labelled, result: Any) -> Any:
    """A result with labels, if it is an array of the image's shape."""
    same = isinstance(result, np.ndarray) and result.shape == labels.array.shape
    return labels.restored(result) if same else result


def of_xarray(image: Any) -> Labelled:
    """A ``xarray.DataArray``, whose dimensions have names."""
    dims = [str(name).lower() for name in image.dims]
    channel_axis, time_axis = (only(dims, names) for names in (CHANNELS, TIMES))
    space = [axis for axis in range(len(dims)) if axis not in (channel_axis, time_axis)]
    steps = [step_of(image.coords.get(image.dims[axis])) for axis in space]

    def restored(result: NDArray) -> Any:
        return image.copy(data=result)

    return Labelled(image.values, restored, channel_axis, time_axis, relative(steps))


def of_pandas(image: Any) -> Labelled:
    """A ``pandas.DataFrame``, whose rows and columns have names."""

    def restored(result: NDArray) -> Any:
        return type(image)(result, index=image.index, columns=image.columns)

    return Labelled(image.to_numpy(), restored)


def of_simpleitk(image: Any) -> Labelled:
    """A ``SimpleITK.Image``, which has an origin, a spacing and a direction."""
    import SimpleITK as sitk

    vectors = image.GetNumberOfComponentsPerPixel() > 1

    def restored(result: NDArray) -> Any:
        made = sitk.GetImageFromArray(result, isVector=vectors)
        made.CopyInformation(image)
        for key in image.GetMetaDataKeys():
            made.SetMetaData(key, image.GetMetaData(key))
        return made

    steps = list(image.GetSpacing()[::-1])  # of x, y and z, as ITK has it
    array = sitk.GetArrayFromImage(image)
    return Labelled(array, restored, array.ndim - 1 if vectors else None, None, relative(steps))


def of_itk(image: Any) -> Labelled:
    """An ``itk.Image``, which has an origin, a spacing and a direction."""
    import itk

    array = itk.array_from_image(image)
    vectors = array.ndim > image.GetImageDimension()

    def restored(result: NDArray) -> Any:
        made = itk.image_from_array(np.ascontiguousarray(result), is_vector=vectors)
        made.CopyInformation(image)
        return made

    steps = list(image.GetSpacing())[::-1]
    return Labelled(array, restored, array.ndim - 1 if vectors else None, None, relative(steps))


READERS: dict[tuple[str, str], Callable[[Any], Labelled]] = {
    ("xarray", "DataArray"): of_xarray,
    ("pandas", "DataFrame"): of_pandas,
    ("SimpleITK", "Image"): of_simpleitk,
}


def only(dims: list[str], names: tuple[str, ...]) -> int | None:
    """The axis that has one of some names."""
    found = [axis for axis, name in enumerate(dims) if name in names]
    if len(found) > 1:
        raise ValueError(
            f"image has the dimensions {dims}; expected one of {', '.join(names)} at most"
        )
    return found[0] if found else None


def step_of(coordinates: ArrayLike | None) -> float | None:
    """The step of evenly spaced numbers, in their unit; ``None`` for others."""
    values = np.asarray([] if coordinates is None else coordinates)
    if values.ndim != 1 or len(values) < 2 or values.dtype.kind not in "iuf":
        return None
    steps = np.abs(np.diff(values.astype(float)))
    even = steps.min() > 0 and np.ptp(steps) <= UNEVEN * steps.mean()
    return float(steps.mean()) if even else None


def relative(steps: list[float | None]) -> tuple[float, ...] | None:
    """Distances in those of the nearest pixels; ``None`` if they are alike, or one is unknown."""
    known = [step for step in steps if step is not None]
    if len(known) < len(steps) or not known:
        return None
    found = tuple(step / min(known) for step in known)
    return None if max(found) < 1 + UNEVEN else found
