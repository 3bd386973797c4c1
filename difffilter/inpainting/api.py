"""The function that scripts call to fill in an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from difffilter.docstring import shared
from difffilter.inpainting.catalog import make_inpainter
from difffilter.inpainting.inpainter import Callback, Inpainter
from difffilter.labels import keeps_labels

__all__ = ["inpaint"]


@shared
@keeps_labels
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
    %(holes)s
    method : str or Inpainter, default "edge_enhancing"
        A name of `inpainters`, alone or with parameters, or an Inpainter.
    %(filling)s
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
