"""The function that scripts call to fill in an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from difffilter.inpainting.catalog import make_inpainter
from difffilter.inpainting.inpainter import Callback, Inpainter

__all__ = ["inpaint"]


def inpaint(
    image: ArrayLike,
    mask: ArrayLike | None = None,
    method: str | Inpainter = "edge_enhancing",
    *,
    ignore: ArrayLike | None = None,
    channel_axis: int | None = None,
    spacing: float | Sequence[float] | None = None,
    callback: Callback | None = None,
    **parameters: Any,
) -> NDArray:
    """Fill in pixels of an image from those around them.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    mask : array_like of bool, optional
        Of the image's spatial shape: True where it is to be filled in; ``None``: where it is NaN.
    method : str or Inpainter, default "edge_enhancing"
        A name of `inpainters`, alone or with parameters, or an Inpainter.
    ignore : array_like of bool, optional
        Of the image's spatial shape: True for pixels that are neither used nor filled in.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    spacing : float or sequence of float, optional
        Size of a pixel along each spatial axis; ``None``: 1.
    callback : callable, optional
        Called now and then with the number of steps that are done, and of all.
    **parameters
        Parameters of the method.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input. Known pixels are unchanged, to the bit.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above, or there is no known pixel.

    Examples
    --------
    >>> import numpy as np
    >>> inpaint(np.array([[0.0, np.nan, np.nan, 0.75]]), method="harmonic").round(6).tolist()
    [[0.0, 0.25, 0.5, 0.75]]
    """
    if isinstance(method, str):
        method = make_inpainter(method, **parameters)
    elif not callable(method):
        raise TypeError(f"method is {method!r}; expected a name or an Inpainter")
    elif parameters:
        raise TypeError(
            f"parameters are {', '.join(parameters)}; expected none beside an Inpainter, which has its own"
        )
    return method(
        image, mask, ignore=ignore, channel_axis=channel_axis, spacing=spacing, callback=callback
    )
