"""Widgets for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from difffilter.checks import check_whole
from difffilter.denoiser import Denoiser
from difffilter.image import as_float
from difffilter.scale_spaces import scale_space

__all__ = ["time_slider"]


def time_slider(
    image: ArrayLike,
    method: str | Denoiser = "perona_malik",
    *,
    longest: float = 100.0,
    steps: int = 24,
    channel_axis: int | None = None,
) -> Any:
    """A slider for the time of a diffusion, beside the image at that time.

    All images are computed first, so that the slider moves without delay.

    Parameters
    ----------
    image : array_like
        ``(H, W)``, or with channels.
    method : str or Denoiser, default "perona_malik"
        A PDE, as `scale_space` takes it.
    longest : float, default 100
        The last time. Times are evenly spaced in their square root, as widths are that diffusion
        has reached.
    steps : int, default 24
        Number of times after 0.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    ipywidgets.VBox
        Its first child is the slider, its second the picture.

    Raises
    ------
    ModuleNotFoundError
        Without ipywidgets.
    TypeError, ValueError
        If the image is not two-dimensional, or the method is no PDE.

    Examples
    --------
    >>> time_slider(np.eye(16), "heat", steps=2)  # doctest: +SKIP
    """
    import ipywidgets

    check_whole("steps", steps, least=1)
    first = as_float(image, channel_axis)
    if first.ndim - (channel_axis is not None) != 2:
        raise ValueError(f"image has shape {first.shape}; expected (H, W), or with channels")
    times = longest * np.linspace(0, 1, steps + 1) ** 2
    frames = [first, *scale_space(image, method, times[1:].tolist(), channel_axis=channel_axis)]
    pictures = [_png(frame, channel_axis) for frame in frames]
    slider = ipywidgets.SelectionSlider(
        options=[(f"{t:.3g}", k) for k, t in enumerate(times)], value=0, description="time"
    )
    shown = ipywidgets.Image(value=pictures[0], format="png")
    slider.observe(lambda change: setattr(shown, "value", pictures[change["new"]]), names="value")
    return ipywidgets.VBox([slider, shown])


def _png(image, channel_axis):
    """The bytes of a PNG file of an image, clipped to [0, 1]."""
    import io

    from PIL import Image

    pixels = image if channel_axis is None else np.moveaxis(image, channel_axis, -1)
    eight = (255 * np.clip(pixels, 0, 1)).round().astype(np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(eight).save(file, "PNG")
        return file.getvalue()
