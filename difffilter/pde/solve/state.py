"""Images as states ``(B, C, D, H, W)``, and the arguments that describe their grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.checks import check_number
from difffilter.pde.kernels.common import empty

__all__ = ["as_image", "as_state", "check_mask", "check_spacing"]


def as_state(image: NDArray, channel_axis: int | None, *, coupled: bool = True) -> NDArray:
    """Copy an image to a C-contiguous state ``(B, C, D, H, W)``.

    Channels that are not coupled become separate images b.
    """
    planes = image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    planes = planes.reshape(len(planes), *(1,) * (4 - planes.ndim), *planes.shape[1:])
    planes = planes[None] if coupled else planes[:, None]
    state = empty(planes.shape, planes.dtype)
    state[...] = planes
    return state


def as_image(state: NDArray, shape: Sequence[int], channel_axis: int | None) -> NDArray:
    """Undo `as_state`: a C-contiguous image of the given shape, which may share memory."""
    if channel_axis is None:
        return state.reshape(shape)
    lengths = list(shape)
    channels = lengths.pop(channel_axis)
    return np.ascontiguousarray(np.moveaxis(state.reshape([channels, *lengths]), 0, channel_axis))


def check_spacing(spacing: float | Sequence[float] | None, axes: int) -> tuple[float, ...]:
    """Check `spacing`, and return h for each spatial axis; ``None``: 1, a number: the same for all."""
    if spacing is None:
        return (1.0,) * axes
    values = (spacing,) * axes if isinstance(spacing, (int, float)) else tuple(np.ravel(spacing))
    if len(values) != axes:
        raise ValueError(
            f"spacing is {spacing!r}; expected one number, or one for each of the {axes} spatial axes"
        )
    return tuple(check_number("spacing", h, above=0) for h in values)


def check_mask(mask: ArrayLike | None, shape: Sequence[int]) -> NDArray | None:
    """Check a mask, and return it as a boolean ``(1, D, H, W)``, or None."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise ValueError(
            f"mask has shape {mask.shape}; expected the image's spatial shape {tuple(shape)}"
        )
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise ValueError(f"mask has dtype {mask.dtype}; expected booleans (or 0 and 1)")
    return np.ascontiguousarray(mask.reshape((1,) * (4 - mask.ndim) + mask.shape), np.bool_)
