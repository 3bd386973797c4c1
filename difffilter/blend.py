"""A share of the change that a method makes, for luminance and colour apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from difffilter.catalog import as_text, make
from difffilter.checks import check_share
from difffilter.denoiser import Denoiser, as_denoiser
from difffilter.image import LUMA, check_axis, filled_beyond, unmasked
from difffilter.pde.problem import pose

__all__ = ["Blended", "blend"]


def blend(
    image: Any,
    denoised: Any,
    strength: float,
    chroma: float | None = None,
    channel_axis: int | None = None,
) -> Any:
    """Blend an image with its denoised version: u + s·Y(v − u) + c·(v − u − Y(v − u)).

    Parameters
    ----------
    image, denoised : ndarray or Tensor
        u and v, floating point, of the same shape.
    strength : float
        s, the share of the change of luminance.
    chroma : float, optional
        c, the share of the rest of the change; ``None``: s, so that the result is u + s·(v − u).
    channel_axis : int, optional
        The axis of red, green and blue, of which Y is the luma, the same for all three.

    Returns
    -------
    ndarray or Tensor
        `denoised` itself if both shares are 1.

    Examples
    --------
    >>> blend(np.zeros(2), np.array([0.0, 1.0]), 0.5)
    array([0. , 0.5])
    """
    chroma = strength if chroma is None else chroma
    if strength == chroma == 1:
        return denoised
    change = denoised - image
    if strength == chroma:
        return image + strength * change
    assert channel_axis is not None  # or there is no chroma
    before = (slice(None),) * (channel_axis % image.ndim)
    channels = [(*before, k) for k in range(3)]
    luma = sum(share * change[at] for share, at in zip(LUMA, channels, strict=True))
    for at in channels:
        change[at] = chroma * change[at] + (strength - chroma) * luma
    return image + change


@dataclass(frozen=True, kw_only=True)
class Blended(Denoiser):
    """Blend with the input: a share of what another method changes, for luminance and colour apart.

    Parameters
    ----------
    method : str or Denoiser, default "auto"
        The method, as `make` takes it. What it leaves to be chosen is chosen as if it were alone.
    strength : float, default 1
        The share of its change, from 0 (the image unchanged) to 1 (the method's result).
    chroma : float, optional
        For colour images, the share of the change of chroma, from 0 to 1; `strength` is then that of
        luminance alone. ``None``: the same as `strength`.

    Notes
    -----
    A colour image has three channels: red, green and blue. Its luminance is the luma of ITU-R BT.601,
    Y = 0.299·R + 0.587·G + 0.114·B; what changes Y changes all channels alike, and the rest of a
    change is that of chroma, which leaves Y as it is.

    Examples
    --------
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64, 3))
    >>> colours = Blended(method="heat(time=2)", strength=0, chroma=1)(noisy, channel_axis=-1)
    >>> bool(np.allclose(colours @ LUMA, noisy @ LUMA))
    True
    >>> grey = noisy[..., 0]
    >>> half = Blended(method="heat(time=2)", strength=0.5)(grey)
    >>> bool(np.allclose(half, (grey + make("heat(time=2)")(grey)) / 2))
    True
    """

    method: str | Denoiser = "auto"
    strength: float = 1.0
    chroma: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "method", as_text(self.method))
        object.__setattr__(self, "strength", check_share("strength", self.strength))
        if self.chroma is not None:
            object.__setattr__(self, "chroma", check_share("chroma", self.chroma))
        self.inner  # noqa: B018 (raises if there is no such method)

    @property
    def inner(self) -> Denoiser:
        """The method as a Denoiser."""
        return make(self.method) if isinstance(self.method, str) else as_denoiser(self.method)

    @property
    def changes_nothing(self) -> bool:
        """Whether the result is the image."""
        return self.strength == 0 and not self.chroma

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        self.check_shape(np.shape(noisy), channel_axis)
        if self.strength == 1 and self.chroma in (None, 1):
            return self.inner(noisy, sigma, channel_axis=channel_axis)
        # The image in the form of a result. What is masked and not finite stays as it is.
        given, mask = unmasked(noisy, None, channel_axis)
        filled = filled_beyond(given, mask, channel_axis)
        problem = pose(filled, sigma, channel_axis)
        image = problem.as_image(problem.state)
        beyond = None if filled is given else ~np.isfinite(given)
        if not self.changes_nothing:
            result = self.inner(noisy, sigma, channel_axis=channel_axis)
            result = result if beyond is None else np.where(beyond, image, result)
            image = blend(image, result, self.strength, self.chroma, channel_axis)
        return image if beyond is None else np.where(beyond, given.astype(image.dtype), image)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        self.check_shape(np.shape(noisy), channel_axis)
        return self._with(self.inner.choose, noisy, sigma, channel_axis=channel_axis)

    def choose_weighted(self, noisy, sigma, *, channel_axis=None, weight=None, deviation=None):
        self.check_shape(np.shape(noisy), channel_axis)
        return self._with(
            self.inner.choose_weighted, noisy, sigma, channel_axis=channel_axis, weight=weight,
            deviation=deviation,
        )  # fmt: skip

    def choose_on(self, tiles, sigma=None, *, channel_axis=None):
        self.check_shape(tiles.shape[1:], channel_axis)
        return self._with(self.inner.choose_on, tiles, sigma, channel_axis=channel_axis)

    def is_settled(self, sigma=None):
        return self.changes_nothing or self.inner.is_settled(sigma)

    def estimate_sigma(self, noisy, *, channel_axis=None):
        return self.inner.estimate_sigma(noisy, channel_axis=channel_axis)

    def estimate_noise(self, noisy, *, channel_axis=None):
        return self.inner.estimate_noise(noisy, channel_axis=channel_axis)

    def check_shape(self, shape, channel_axis=None):
        self.inner.check_shape(shape, channel_axis)
        if self.chroma is None:
            return
        if channel_axis is None:
            raise ValueError(f"chroma is {self.chroma:g}; expected none for a grey image")
        check_axis("channel_axis", channel_axis, shape)
        if shape[channel_axis] != 3:
            raise ValueError(
                f"chroma is {self.chroma:g}; expected none for an image whose {shape[channel_axis]} "
                "channels are not red, green and blue"
            )

    def halo(self, axes):
        return (0,) * axes if self.changes_nothing else self.inner.halo(axes)

    def block(self, box, shape):
        if self.changes_nothing:
            return box, self
        padded, part = self.inner.block(box, shape)
        return padded, self.replace(method=part)

    def warm_up(self, dtype=np.float32):
        if not self.changes_nothing:
            self.inner.warm_up(dtype)

    def wrapped(self, wrap):
        return self.replace(method=self.inner.wrapped(wrap))

    @property
    def noise(self):
        return self.inner.noise

    @property
    def takes_models(self):
        return self.inner.takes_models

    @property
    def blocks_at_once(self):
        return self.inner.blocks_at_once

    def _with(self, choose, *arguments, **options):
        """A copy with the method that is chosen."""
        if self.changes_nothing:
            return self
        return self.replace(method=choose(*arguments, **options))
