"""The contract that every method of filling in keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.docstring import shared
from difffilter.image import as_float, check_boolean_mask, check_shape, spatial_shape
from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.pde.solve.state import check_spacing

__all__ = ["Callback", "Inpainter", "Problem", "place", "prepare", "shares"]

# Called with the number of steps that are done, and of all.
Callback = Callable[[int, int], Any]


def shares(callback: Callback | None, count: int) -> Iterator[Callback | None]:
    """Callbacks for the parts of a task, one after the other, which have the same number of steps.

    Examples
    --------
    >>> first, second = shares(print, 2)
    >>> first(3, 5), second(1, 5)
    3 10
    6 10
    (None, None)
    """
    for before in range(count):
        yield None if callback is None else _share(callback, before, count)


def _share(callback: Callback, before: int, count: int) -> Callback:
    return lambda done, total: callback(before * total + done, count * total)


class Inpainter:
    """Fills in pixels of an image from those around them.

    An Inpainter is a frozen dataclass whose fields, keyword-only, are its parameters. A class defines
    `fill`; the call checks and prepares its arguments, and leaves known pixels as they are, to the bit.

    Attributes
    ----------
    draws : bool
        Whether the class has a parameter ``samples`` and a method ``fillings``, which draws as many.
    halo : int or None
        Width of the border around holes that determines their filling, in pixels; ``None``: the whole
        image does.
    """

    draws: ClassVar[bool] = False
    halo: ClassVar[int | None] = None

    @shared
    def __call__(
        self,
        image: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        ignore: ArrayLike | None = None,
        channel_axis: int | None = None,
        spacing: float | Sequence[float] | None = None,
        callback: Callback | None = None,
    ) -> NDArray:
        """Fill in an image.

        Parameters
        ----------
        %(holes)s
        %(filling)s

        Returns
        -------
        ndarray
            Same shape; float32, or float64 for float64 input. Never the input itself.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described above, or there is no known pixel.
        """
        problem, result = prepare(image, mask, ignore, channel_axis, spacing)
        if self.replaced(problem.state).any():
            values = self.fill(problem, callback)
            place(values, self.replaced(problem.state), result, channel_axis)
        return result

    def replaced(self, state: NDArray) -> NDArray:
        """The pixels whose values `fill` returns: those of holes."""
        return state == HOLE

    def fill(self, problem: Problem, callback: Callback | None) -> NDArray:
        """The values (n, C) of the pixels that are replaced, in their order in the image.

        Parameters
        ----------
        problem : Problem
        callback : callable or None
        """
        raise NotImplementedError(f"{type(self).__name__} must define fill")


@dataclass(frozen=True)
class Problem:
    """An image with holes.

    Attributes
    ----------
    image : float ndarray (H, W, C) or (D, H, W, C)
        0 where it is not known.
    state : uint8 ndarray (H, W) or (D, H, W)
        KNOWN, HOLE, or OUTSIDE, for pixels that are neither used nor filled in.
    spacing : tuple of float
        Size of a pixel along each axis.
    """

    image: NDArray
    state: NDArray
    spacing: tuple[float, ...]


def prepare(
    image: ArrayLike,
    mask: ArrayLike | None,
    ignore: ArrayLike | None,
    channel_axis: int | None,
    spacing: float | Sequence[float] | None,
) -> tuple[Problem, NDArray]:
    """Check the arguments of an Inpainter; the problem, and the image to be filled in.

    The latter may be that of the problem, and is never that of the caller.
    """
    array = np.asarray(image)
    check_shape(array.shape, channel_axis)
    shape, real = spatial_shape(array, channel_axis), array.dtype.kind == "f"
    hole = (
        not_a_number(array, channel_axis)
        if mask is None
        else check_boolean_mask("mask", mask, shape)
    )
    state = hole.astype(np.uint8, order="C")  # HOLE and KNOWN
    if ignore is not None:
        state[check_boolean_mask("ignore", ignore, shape)] = OUTSIDE
    known = state == KNOWN
    if not known.any():
        raise ValueError(
            f"mask is True for all {np.count_nonzero(state == HOLE)} pixels that are not ignored; "
            "expected some that are known"
        )
    usable = known if channel_axis is None else np.expand_dims(known, channel_axis)
    if real:  # whatever stands in holes and in pixels that are ignored
        values = as_float(np.where(usable, array, array.dtype.type(0)), channel_axis)
    else:
        values = as_float(array, channel_axis)
        values = np.where(usable, values, values.dtype.type(0))
    # Holes are overwritten later; a second copy is needed only if ignored pixels have become 0.
    result = values
    if ignore is not None:
        result = array.astype(values.dtype) if real else as_float(array, channel_axis)
    work = values[..., None] if channel_axis is None else np.moveaxis(values, channel_axis, -1)
    return Problem(work, state, check_spacing(spacing, state.ndim)), result


def not_a_number(array: NDArray, channel_axis: int | None) -> NDArray:
    """Pixels that are NaN in a channel or more, of which there must be one."""
    found = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    if channel_axis is not None:
        found = found.any(axis=channel_axis)
    if not found.any():
        raise ValueError("mask is None; expected a mask, as the image has no NaN")
    return found


def place(values: NDArray, replaced: NDArray, result: NDArray, channel_axis: int | None) -> None:
    """Write values (n, C) into the pixels of an image that are replaced."""
    view = result[..., None] if channel_axis is None else np.moveaxis(result, channel_axis, -1)
    view[replaced] = values
