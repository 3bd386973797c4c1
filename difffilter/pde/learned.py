"""Learned diffusion: a PDE whose filters and influence functions were learned."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from difffilter.checks import check_number
from difffilter.docstring import shared
from difffilter.labels import keeps_labels
from difffilter.noise.model import Sigma
from difffilter.pde.filter import PDE, Callback, local_deviation
from difffilter.pde.problem import arrays_only, pose, with_ample_range
from difffilter.pde.weights import find, load

__all__ = ["Learned", "learned"]

GREY, COLOUR = "deep-gray", "deep-color"


@shared
@keeps_labels
def learned(
    image: ArrayLike,
    time: float | None = None,
    *,
    weights: str | PathLike | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image by a diffusion that was learned from photographs.

    Perona–Malik diffusion has two filters, the derivatives, and one influence function of the
    gradient, made by hand. Here are dozens of filters W, and influence functions φ that look at all
    of their responses [1]_:

        u ← u − Wᵀ φ(W u) − λ (u − f)
        φ(h) = κσ · (B max(0, A z + a) + b),    z = n/√(1 + n²),    n = h/κσ

    A few such steps, each with weights of its own, were trained from end to end: the ``deep`` weights.
    With the ``convex`` ones the result is the minimum of an energy [2]_, to which the diffusion
    u_t = −∇E(u) leads from everywhere:

        E(u) = Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|²,    ∇E(u) = Wᵀ φ(W u) + u − f,    φ = ψ′

    Each φ is a spline, and E is convex, since no φ falls too steeply.

    Parameters
    ----------
    %(image)s
    time : float, optional
        Deep weights: the number of steps to take; between two steps the image is interpolated.
        ``None``: all. Convex weights: the time of the diffusion; ``None``: without end, to the
        minimum.
    weights : str or path-like, optional
        A name that `difffilter weights` lists, or a file; ``None``: ``"deep-gray"``, or
        ``"deep-color"`` for three channels. Weights for one channel are applied to each.
    %(call)s

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma, weights, the time reached, the number of steps, and for
        the minimum its residual, the root mean square of ∇E in units of σ.

    Raises
    ------
    %(errors)s

    Notes
    -----
    One set of weights serves all strengths of noise, because it takes the image in units of σ: like
    the other PDEs it commutes with every change of scale and offset of the intensities. Unlike
    them it does not conserve the mean exactly, since the image is mirrored at its
    border, nor does it commute with rotations, and new extrema may arise. It is computed in float32,
    volumes plane by plane.

    What stands beyond a mask makes no difference: the image is continued there by its nearest pixels.

    The energy of ``convex-gray`` is 0.05-strongly convex, for the image with a margin of 8 pixels, where it
    goes on as in a mirror. Its minimum is therefore unique, as near as 20 times the residual, and, σ being
    fixed, it changes at most 20 times as much as the image. Blocks of a large image depend on all of it.

    References
    ----------
    .. [1] Y. Chen, T. Pock, "Trainable nonlinear reaction diffusion: a flexible framework for fast and
       effective image restoration", IEEE Trans. Pattern Analysis and Machine Intelligence 39(6),
       2017.
    .. [2] A. Goujon, S. Neumayer, M. Unser, "Learning weakly convex regularizers for convergent
       image-reconstruction algorithms", SIAM Journal on Imaging Sciences 17(1), 2024.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> bool(learned(noisy, sigma=0.1).std() < 0.02)
    True
    """
    return Learned(weights=weights, time=time).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Learned(PDE):
    """Learned diffusion: the best PDE for photographs with white noise.

    Parameters
    ----------
    weights : str or path-like, optional
        As for `learned`.
    time : float, optional
        As for `learned`.
    sigma : float, optional
        σ, the strength of the noise; ``None``: that of the call, or else estimated.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> Learned().choose(noisy, 0.1)
    Learned(weights='deep-gray', time=8.0, sigma=0.1)
    """

    weights: str | PathLike | None = None
    time: float | None = None
    sigma: float | None = None

    def __post_init__(self):
        if self.weights is not None:
            find(self.weights)
        for name in ("time", "sigma"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), least=0)

    def is_settled(self, sigma=None):
        given = sigma if self.sigma is None else self.sigma
        if self.weights is None or given is None:
            return False
        return self.time is not None or load(self.weights).longest is None

    def halo(self, axes):
        if self.weights is None:
            raise ValueError(f"{self!r} has parameters that are not set; call choose first")
        radius = load(self.weights).radius
        return None if radius is None else (0,) * (axes - 2) + (radius, radius)

    def block(self, box, shape):
        """The pixels that a block depends on, from a multiple of the cells' side."""
        wide, _ = super().block(box, shape)
        if self.halo(len(shape)) is None:
            return wide, self
        multiple = load(self.weights).multiple
        return tuple(
            (start // multiple * multiple, stop) if axis >= len(wide) - 2 else (start, stop)
            for axis, (start, stop) in enumerate(wide)
        ), self

    @property
    def autonomous(self):
        return False  # each step has weights of its own, or refers to the first image

    def warm_up(self, dtype=np.float32):
        channels = load(self._name(1)).channels
        self(np.repeat(np.eye(16, dtype=dtype)[..., None], channels, axis=2), 0.1, channel_axis=2)

    def _pose(self, image, sigma, channel_axis, mask=None):
        arrays_only(image)
        problem = pose(image, sigma if self.sigma is None else self.sigma, channel_axis, mask=mask)
        own = load(self._name(problem.channels)).channels
        if own not in (1, problem.channels):
            raise ValueError(
                f"weights {str(self.weights)!r} are for {own} channels; the image has "
                f"{problem.channels}: expected {GREY!r}"
            )
        problem.coupled = own == problem.channels
        return with_ample_range(problem)

    def _name(self, channels):
        """The weights, which the number of channels decides if they are not given."""
        return self.weights or (COLOUR if channels == 3 else GREY)

    def _settle(self, problem):
        name = self._name(problem.channels)
        diffusion = load(name)
        if self.is_settled():
            return self, diffusion
        time = diffusion.longest if self.time is None else self.time
        sigma = None if _varies(problem) else problem.strength()
        return replace(self, weights=name, time=time, sigma=sigma), diffusion

    def _solution(self, problem, diffusion, callback):
        sigma, state = problem.strength(), problem.state
        if sigma == 0:
            time = math.inf if self.time is None else self.time
            return problem.as_image(state.copy()), {"time": time, "steps": 0}
        deviation = local_deviation(problem, sigma) if _varies(problem) else None
        if callable(deviation):
            deviation = deviation(state, problem.mask)
        filled = state if problem.mask is None else continued(state, problem.mask)
        f, middle = as_planes(filled), float(filled.mean())
        f = ((f - middle) / sigma).astype(np.float32)
        scale = None
        if deviation is not None:
            per_channel = as_planes(np.broadcast_to(deviation, state.shape))
            rms = np.sqrt(np.square(per_channel).mean(axis=1)) / sigma
            scale = np.ascontiguousarray(rms, np.float32)

        def image_of(u):
            change = from_planes(sigma * (u - f).astype(state.dtype), state.shape)
            return problem.as_image(state + change)

        watch = None if callback is None else lambda time, u: callback(time, image_of(u))
        u, found = diffusion.evolve(f, self.time, scale, watch)
        return image_of(u), found


def _varies(problem):
    """Whether the noise is stronger at some pixels than at others."""
    problem.strength()  # which estimates the model as well
    model = problem.model
    return problem.deviation is not None or not (model is None or model.uniform)


def as_planes(state: NDArray) -> NDArray:
    """A state (B, C, D, H, W) as planes (B D, C, H, W)."""
    return np.moveaxis(state, 2, 1).reshape(-1, state.shape[1], *state.shape[3:])


def from_planes(planes: NDArray, shape: tuple[int, ...]) -> NDArray:
    """The inverse of `as_planes`."""
    batch, channels, depth, height, width = shape
    return np.moveaxis(planes.reshape(batch, depth, channels, height, width), 1, 2)


def continued(state: NDArray, mask: NDArray) -> NDArray:
    """A state (B, C, D, H, W), beyond a mask (1, D, H, W) continued by the nearest pixels."""
    if not mask.any():
        return state
    z, y, x = distance_transform_edt(~mask[0], return_distances=False, return_indices=True)
    return state[:, :, z, y, x]
