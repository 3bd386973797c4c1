"""The DDPM for a part of a large image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike, NDArray

from difffilter.ddpm.maps import rows_and_columns, strengths
from difffilter.ddpm.tiles import Layout
from difffilter.denoiser import Denoiser
from difffilter.image import as_float
from difffilter.noise.model import NoiseModel, Sigma

__all__ = ["DDPMTiles"]


@dataclass(frozen=True, kw_only=True)
class DDPMTiles(Denoiser):
    """A DDPM for a part of a large image, on those tiles of the whole that the part consists of.

    Parameters
    ----------
    ddpm : DDPM
    layout : tuple of (int, tuple of int)
        Size and starts of the tiles along either axis, counted from the first tile.
    inner : tuple of slice
        Rows and columns of the part that the tiles cover. The rest is returned as it is.
    """

    ddpm: Any
    layout: Layout
    inner: tuple[slice, ...]

    def __call__(
        self, noisy: ArrayLike, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> NDArray:
        image = as_float(noisy, channel_axis)
        ddpm, deviation = self.ddpm._settled(image, sigma, channel_axis, noisy)
        if isinstance(deviation, NoiseModel):
            deviation = strengths(deviation, image, channel_axis)
        within = [slice(None)] * image.ndim
        for axis, extent in zip(
            rows_and_columns(image.ndim, channel_axis), self.inner, strict=True
        ):
            within[axis] = extent
        inner, result = tuple(within), image.copy()
        known = None if deviation is None else deviation[inner]
        result[inner] = ddpm._apply(image[inner], channel_axis, self.layout, known)
        return result

    def is_settled(self, sigma: Sigma | None = None) -> bool:
        return self.ddpm.is_settled(sigma)
