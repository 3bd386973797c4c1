"""How to step in time: the state of an evolution, stable steps, the explicit scheme."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np

from difffilter.pde import kernels

__all__ = ["DIFFUSIVITIES", "SAFETY", "Diffusion", "plan", "stability_bound"]

DIFFUSIVITIES = {
    "exponential": kernels.EXPONENTIAL,
    "rational": kernels.RATIONAL,
    "charbonnier": kernels.CHARBONNIER,
    "tukey": kernels.TUKEY,
    "weickert": kernels.WEICKERT,
}

# At the bound itself a checkerboard only changes its sign; at 0.8 of it, it decays.
SAFETY = 0.8


@dataclass(frozen=True)
class Diffusion:
    """∂u/∂t = div(g ∇u), discretised in space: what a scheme steps through time.

    Attributes
    ----------
    kind : int
        Code of the diffusivity (`kernels.CONSTANT` for linear diffusion).
    kappa : float
        Its contrast parameter κ, in units of intensity per unit of length.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    presmooth : float
        The standard deviation of the Gaussian that precedes the gradient, in units of length;
        0: g comes from the difference across each face.
    mask : ndarray (M, D, H, W) of bool, or None
        True where diffusion takes place; ``None``: everywhere.
    """

    kind: int = kernels.CONSTANT
    kappa: float = 1.0
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    presmooth: float = 0.0
    mask: np.ndarray | None = None

    def explicit(self, u, spare, steps, step):
        """`steps` explicit steps of size `step`; returns the array with the result, and the other.

        ``u`` and ``spare`` are C-contiguous ``(B, C, D, H, W)`` and both are written to.
        """
        h = np.asarray(self.spacing)
        rate = (step / h**2).astype(u.dtype)
        # κ² must not vanish nor overflow in float32: far beyond any contrast it makes no difference.
        tiny = np.finfo(u.dtype).tiny
        inverse = np.clip((1 / (self.kappa * h)) ** 2, tiny, 1e37).astype(u.dtype)
        mask = np.empty((0, 0, 0, 0), np.bool_) if self.mask is None else self.mask
        workers = numba.get_num_threads()
        if not self.presmooth or self.kind == kernels.CONSTANT:
            nothing = np.empty((0, 0, 0, 0), u.dtype)
            result = kernels.explicit(
                u, spare, steps, self.kind, inverse, rate, nothing, mask, workers
            )
        else:
            g = np.empty((u.shape[0], *u.shape[2:]), u.dtype)
            smooth, other = np.empty_like(u), np.empty_like(u)
            result = u
            for _ in range(steps):
                smooth, other = self.smoothed(u, smooth, other)
                kernels.pixel_diffusivity(smooth, self.kind, inverse / 4, mask, g)
                result = kernels.explicit(u, spare, 1, self.kind, inverse, rate, g, mask, workers)
                u, spare = result, (spare if result is u else u)
        return result, (spare if result is u else u)

    def smoothed(self, u, smooth, other):
        """``u`` after a Gaussian of standard deviation `presmooth`, in one of the two spaces given.

        That is the heat equation at time presmooth²/2, which respects mask and border. Returns
        the space with the result, and the other one.
        """
        # Half the stable step leaves no frequency with a negative factor.
        bound = stability_bound(u.shape[2:], self.spacing)
        count, size = plan(self.presmooth**2 / 2, bound / 2)
        blur = replace(self, kind=kernels.CONSTANT)
        smooth, _ = blur.explicit(u, smooth, 1, size)  # a single step does not write to u
        return blur.explicit(smooth, other, count - 1, size)


def stability_bound(shape, spacing):
    """The largest explicit step for g ≤ 1: 1 / (2 Σ 1/h²) over the axes longer than 1.

    Examples
    --------
    >>> stability_bound((512, 512), (1, 1))
    0.25
    """
    total = sum(1 / h**2 for n, h in zip(shape, spacing, strict=True) if n > 1)
    return 1 / (2 * total) if total else 1.0  # of a single pixel nothing flows: any step will do


def plan(time, step):
    """The number of equal steps, none above `step`, that make up `time`; and their size.

    Examples
    --------
    >>> plan(1.0, 0.25)
    (4, 0.25)
    """
    count = math.ceil(time / step * (1 - 1e-9))
    return count, (time / count if count else 0.0)


# --- images as states -----------------------------------------------------------------------


def as_state(image, channel_axis, *, coupled=True):
    """A fresh C-contiguous ``(B, C, D, H, W)`` of an image.

    Channels that are not coupled become images of their own.
    """
    planes = image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    planes = planes.reshape(len(planes), *(1,) * (4 - planes.ndim), *planes.shape[1:])
    planes = planes[None] if coupled else planes[:, None]
    return np.array(planes, order="C")


def as_image(state, shape, channel_axis):
    """Undo `as_state`: a C-contiguous image of the given shape, which may share the memory."""
    if channel_axis is None:
        return state.reshape(shape)
    shape = list(shape)
    channels = shape.pop(channel_axis)
    return np.ascontiguousarray(np.moveaxis(state.reshape([channels, *shape]), 0, channel_axis))


# --- arguments that the solvers share -------------------------------------------------------


def check_positive(name, value, *, zero=False):
    """A finite float above 0, or from 0 where zero is allowed."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number; got {value!r}") from None
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be a finite number {'≥' if zero else '>'} 0; got {value}")
    return number


def check_choice(name, value, choices):
    """One of some words."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return value


def check_spacing(spacing, axes):
    """h for each spatial axis; None: 1, a number: the same for all."""
    if spacing is None:
        return (1.0,) * axes
    values = (spacing,) * axes if np.ndim(spacing) == 0 else tuple(spacing)
    if len(values) != axes:
        raise ValueError(
            f"spacing must have one number for each of the {axes} spatial axes; got {spacing!r}"
        )
    return tuple(check_positive("spacing", h) for h in values)


def check_mask(mask, shape):
    """A boolean ``(1, D, H, W)``, or None."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != tuple(shape):
        raise ValueError(
            f"mask must have the image's spatial shape {tuple(shape)}; got {mask.shape}"
        )
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise ValueError("mask must hold booleans (or 0 and 1)")
    return np.ascontiguousarray(mask.reshape((1,) * (4 - mask.ndim) + mask.shape), np.bool_)


def check_step(step, shape, spacing):
    """An explicit step within the stability bound; None: 0.8 of the bound."""
    bound = stability_bound(shape, spacing)
    if step is None:
        return SAFETY * bound
    step = check_positive("step", step)
    if step > bound * (1 + 1e-12):
        raise ValueError(f"step={step:g} is above the stability bound 1/(2 Σ 1/h²) = {bound:g}")
    return step


def spatial_shape(image, channel_axis):
    """The shape without the channels."""
    shape = list(image.shape)
    if channel_axis is not None:
        del shape[channel_axis]
    return tuple(shape)
