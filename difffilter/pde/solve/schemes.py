"""How to step in time: the state of an evolution, stable steps, the explicit scheme."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numba
import numpy as np

from difffilter.pde.kernels import common as kernels
from difffilter.pde.kernels.common import empty
from difffilter.pde.kernels.implicit import implicit
from difffilter.pde.kernels.pixel_diffusivity import pixel_diffusivity
from difffilter.pde.kernels.presmoothed import MOST_BLURS, evolve_presmoothed
from difffilter.pde.kernels.strips import evolve, pieces, room

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

# Columns that the implicit scheme solves side by side.
COLUMNS = 128


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

    def explicit(self, u, steps, step):
        """`steps` explicit steps of size `step` on ``u`` (B, C, D, H, W), C-contiguous, in place."""
        self._evolve(u, u, steps, np.ones(1), step)

    def semi_iterative(self, u, spare, cycles, steps, time):
        """`cycles` cycles of the fast semi-iterative scheme, of `steps` steps and length `time` each.

        Both ``u`` and ``spare`` are written to; returns the one with the result, and the other.
        """
        if steps == 1:
            self.explicit(u, cycles, time)
            return u, spare
        k = np.arange(steps)
        step = 3 * time / (steps * (steps + 1))
        return self._evolve(u, spare, cycles * steps, (4 * k + 2) / (2 * k + 3), step)

    def implicit(self, u, spare, steps, step):
        """`steps` steps by additive operator splitting: (1/d) Σ_axes (1 - d τ A_axis)⁻¹ u.

        Both ``u`` and ``spare`` are written to; returns the one with the result, and the other.
        """
        axes = [axis for axis in range(3) if u.shape[2 + axis] > 1]
        inverse, mask = self._inverse(u.dtype), self._mask()
        workers = numba.get_num_threads()
        weights = np.empty((workers, 3, COLUMNS), u.dtype)
        for _ in range(steps if axes else 0):
            g, place = self._diffusivity(u), -2
            self._update(g, u, spare)
            spare[:] = 0
            for axis in axes:
                rate = u.dtype.type(len(axes) * step / self.spacing[axis] ** 2)
                # With this axis in the place of y; g is turned on, so that there are never three of it.
                g = np.ascontiguousarray(np.swapaxes(np.swapaxes(g, place, -2), axis - 3, -2))
                place = axis - 3
                solved, turned_mask = (np.swapaxes(array, place, -2).copy() for array in (u, mask))
                ratio = np.empty((workers, solved.shape[-2], COLUMNS), u.dtype)
                implicit(solved, self.kind, inverse[axis], rate, g, turned_mask, ratio, weights)
                spare += np.swapaxes(solved, place, -2)
                del solved, turned_mask  # before the next ones take their room
            spare /= len(axes)
            u, spare = spare, u
        return u, spare

    def _evolve(self, u, v, steps, alpha, step):
        """The steps of `strips.evolve`; the array with the result, and the other."""
        rate = (alpha[:, None] * step / np.square(self.spacing)).astype(u.dtype)
        alpha, inverse, mask = alpha.astype(u.dtype), self._inverse(u.dtype), self._mask()
        workers = numba.get_num_threads()
        blurs, blur = self._blur(u)
        in_one_pass = self.mask is None and blurs <= MOST_BLURS[3 if u.shape[2] > 1 else 2]
        if self._presmoothed and in_one_pass:
            blur_rate = (blur / np.square(self.spacing)).astype(u.dtype)
            result = evolve_presmoothed(
                u, v, steps, blurs, alpha, self.kind, inverse / 4, rate, blur_rate, workers
            )
            return (u, v) if result is u else (v, u)
        g = self._diffusivity(u)
        strips, at_once = pieces(u.shape, u.itemsize * (1 if v is u else 2), workers)
        together = 1 if len(g) else max(1, steps)  # a new g for each step
        slopes, space = room(u.shape, u.dtype, strips, min(at_once, together), workers)
        smooth = empty(u.shape, u.dtype) if len(g) else None
        for done in range(0, steps, together):
            self._update(g, u, smooth)
            evolve(u, v, done % len(alpha), min(together, steps), alpha, self.kind, inverse,
                           rate, g, mask, slopes, space)  # fmt: skip
            if together % 2:
                u, v = v, u
        return u, v

    def _inverse(self, dtype):
        """1/(κh)² for the axes z, y, x."""
        # It must not vanish nor overflow in float32: far beyond any contrast it makes no difference.
        inverse = (self.kappa * np.asarray(self.spacing)) ** -2.0
        return np.clip(inverse, np.finfo(dtype).tiny, 1e37).astype(dtype)

    def _mask(self):
        return np.empty((0, 0, 0, 0), np.bool_) if self.mask is None else self.mask

    @property
    def _presmoothed(self):
        """Whether there is a g for each pixel."""
        return self.presmooth > 0 and self.kind != kernels.CONSTANT

    def _diffusivity(self, u):
        """Room for g at each pixel; empty if it is not needed."""
        return empty((len(u) if self._presmoothed else 0, *u.shape[2:]), u.dtype)

    def _update(self, g, u, smooth):
        """g of the presmoothed u, if it is needed; ``smooth`` is scratch."""
        if len(g):
            self.smooth(u, smooth)
            inverse = self._inverse(u.dtype) / 4
            workers = numba.get_num_threads()
            pixel_diffusivity(smooth, self.kind, inverse, self._mask(), g, workers)

    def smooth(self, u, result):
        """``u`` after a Gaussian of standard deviation `presmooth`, to ``result``.

        That is the heat equation at time presmooth²/2, which respects mask and border.
        """
        np.copyto(result, u)
        replace(self, kind=kernels.CONSTANT).explicit(result, *self._blur(u))

    def _blur(self, u):
        """How many steps `smooth` takes, and of which size."""
        # Half the stable step leaves no frequency with a negative factor.
        return plan(self.presmooth**2 / 2, stability_bound(u.shape[2:], self.spacing) / 2)


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
    state = empty(planes.shape, planes.dtype)
    state[...] = planes
    return state


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
