"""The initial value problem that a filter solves: an image on its grid, and its noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from difffilter.devices import as_array, is_tensor
from difffilter.image import spatial_shape
from difffilter.noise.estimation import estimate_sigma
from difffilter.noise.model import NoiseModel, Sigma, check_noise_given
from difffilter.pde.backends import backend_of, differentiable
from difffilter.pde.backends.arrays import Arrays
from difffilter.pde.solve.state import as_state, check_mask, check_spacing

__all__ = ["Problem", "pose"]

# The quantiles between which intensities range, and about the number of pixels to find them from.
RANGE, SAMPLE = (0.001, 0.999), 1 << 15


@dataclass
class Problem:
    """An image to be filtered, checked and converted once.

    Attributes
    ----------
    image : ndarray or Tensor
        Floating point, where the backend filters it.
    channel_axis : int or None
    backend : Arrays or Tensors
    spacing : tuple of 3 float
        h for the axes z, y, x.
    mask : ndarray (1, D, H, W) of bool, or None
        True where diffusion takes place.
    coupled : bool
        Whether the channels share one diffusivity; otherwise each is a separate image.
    noise : str
        The kind of noise.
    sigma : float or None
        Its strength, if it was given; `strength` estimates it otherwise.
    model : NoiseModel or None
        More about it, if it was given or is estimated and not white.
    weight, deviation : ndarray or None
        Of the image's shape: how much the error of each pixel counts, and the standard deviation of
        its noise.
    dtype : dtype or None
        Of the result; ``None``: that of `image`.
    kept : ndarray or Tensor
        What stands beyond the mask, once there is a `state`.
    """

    image: Any
    channel_axis: int | None
    backend: Arrays
    spacing: tuple[float, ...]
    mask: NDArray | None = None
    coupled: bool = True
    noise: str = "gaussian"
    sigma: float | None = None
    model: NoiseModel | None = None
    weight: NDArray | None = None
    deviation: NDArray | None = None
    dtype: Any = None
    kept: Any = None

    @cached_property
    def state(self):
        """The image as a state (B, C, D, H, W), which an evolution may write to.

        Beyond the mask it is 0, so that what stands there makes no difference, by rounding or
        otherwise. Such pixels add the same to the estimated risk of every candidate at every time.
        """
        state = self.backend.as_state(self.image, self.channel_axis, coupled=self.coupled)
        if self.mask is not None:
            outside = ~self.mask[0]
            self.kept = state[:, :, outside]
            state[:, :, outside] = 0
        return state

    @cached_property
    def host_state(self):
        """The state as an array, or as an object that `sample` can cut tiles out of."""
        return self.backend.host_state(self.state)

    @cached_property
    def intensity_range(self) -> float:
        """The range of intensities where diffusion takes place, to which tolerances refer.

        It is that between the 0.1 % and the 99.9 % quantile of a sample, so that single bright or
        dark pixels do not count, unless nearly all pixels are equal; 1 for a constant image.
        """
        # An odd distance meets all columns of an image of even width.
        step = max(1, math.prod(self.volume) // SAMPLE) | 1
        pixels = self.backend.every(step, self.state, self.mask)
        if not pixels.size:
            return 1.0
        low, high = np.quantile(pixels, RANGE)
        if low == high:
            pixels = self.backend.every(1, self.state, self.mask)
            low, high = pixels.min(), pixels.max()
        return float(high - low) or 1.0

    @property
    def volume(self) -> tuple[int, ...]:
        """(D, H, W)."""
        return tuple(self.state.shape[2:])

    @property
    def size(self) -> int:
        """The number of numbers of the image."""
        return math.prod(self.image.shape)

    @property
    def channels(self) -> int:
        return 1 if self.channel_axis is None else self.image.shape[self.channel_axis]

    def strength(self) -> float:
        """σ as it was given, or as it is estimated."""
        if self.sigma is None:
            if self.noise == "gaussian":
                model = self.backend.assumed_noise(self.image, self.channel_axis, self.mask)
                self.sigma = model.sigma
                self.model = None if model.plain else model
            else:
                self.sigma = estimate_sigma(
                    self.image,
                    channel_axis=self.channel_axis,
                    mask=self.mask,
                    noise=self.noise,
                )
        return self.sigma

    def with_gradient(self, image: Any) -> Problem:
        """The same problem of a tensor, whose solution PyTorch can differentiate."""
        backend = differentiable(image)
        image = backend.as_float(image, self.channel_axis, axes=None)
        return replace(self, image=image, backend=backend, dtype=None)

    def as_state(self, array: NDArray | None) -> NDArray | None:
        """An array of the image's shape as a state."""
        if array is None:
            return None
        return as_state(array, self.channel_axis, coupled=self.coupled)

    def as_image(self, state):
        """The result: a state as an image of the shape and dtype that came in."""
        if self.mask is not None:
            state[:, :, ~self.mask[0]] = self.kept
        image = self.backend.as_image(state, self.image.shape, self.channel_axis)
        return self.in_dtype(image)

    def in_dtype(self, image):
        """A result in the dtype that the image had."""
        return image if self.dtype is None else image.astype(self.dtype, copy=False)


def pose(
    image: ArrayLike,
    sigma: Sigma | None,
    channel_axis: int | None,
    *,
    spacing: float | Sequence[float] | None = None,
    mask: ArrayLike | None = None,
    coupled: bool = True,
    device: str | None = None,
    noise: str = "gaussian",
    axes: tuple[int, ...] | None = (2, 3),
) -> Problem:
    """Pose a `Problem`: check every argument and bring the image to its backend's device."""
    backend = backend_of(image, device)
    given, image = image, backend.as_float(image, channel_axis, axes=axes)
    shape = spatial_shape(image, channel_axis)
    h = check_spacing(spacing, len(shape))
    problem = Problem(
        image=image,
        channel_axis=channel_axis,
        backend=backend,
        spacing=(1.0,) * (3 - len(shape)) + h,
        mask=check_mask(as_array(mask), shape),
        coupled=coupled,
        noise=noise,
    )
    if sigma is not None:
        known = check_noise_given(sigma, problem.image, channel_axis, backend.extremes(given))
        if noise != "gaussian" and (known.map is not None or known.model is not None):
            raise ValueError(f"sigma is not a number; expected one for {noise} noise")
        problem.sigma, problem.model, problem.deviation = known.sigma, known.model, known.map
    return problem


def arrays_only(image: Any) -> None:
    """Raise TypeError for a tensor."""
    if is_tensor(image):
        raise TypeError(
            "image is a torch.Tensor, which only heat and perona_malik take; expected an array: "
            "image.cpu().numpy()"
        )


def with_ample_range(problem: Problem) -> Problem:
    """The problem in float64 if products of gradients would overflow or underflow float32.

    Processors are slow with numbers so small that they are subnormal.
    """
    image = problem.image
    if is_tensor(image):
        return problem
    seen = image if problem.mask is None else problem.state
    if image.dtype == np.float32 and not 1e-9 <= max(-seen.min(), seen.max()) <= 1e9:
        problem.dtype, problem.image = image.dtype, image.astype(np.float64)
        vars(problem).pop("state", None)  # to be made anew
    return problem
