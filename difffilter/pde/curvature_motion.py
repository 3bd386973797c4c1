"""Curvature motion: ∂u/∂t = |∇u| div(∇u / |∇u|)."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from difffilter.pde.evolving import Evolving
from difffilter.pde.kernels import curvature_motion as kernels
from difffilter.pde.solve.schemes import SAFETY, check_positive, plan, stability_bound

__all__ = ["CurvatureMotion", "LevelCurveMotion", "curvature_motion"]

# The gradient below which an image counts as flat, in units of intensity per unit of length.
EPSILON = 1e-4


@dataclass(frozen=True)
class LevelCurveMotion:
    """∂u/∂t = |∇u| div(∇u/|∇u|).

    Attributes
    ----------
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    """

    step: float | None
    spacing: tuple[float, float, float]

    @property
    def first(self):
        """A time after which a little has happened."""
        return 0.05 * min(self.spacing[-2:]) ** 2

    def evolve(self, u, time):
        """The state ``u`` (B, C, D, H, W) after `time`, by explicit steps; ``u`` is written to."""
        volume = u.shape[2:]
        bound = stability_bound(volume, self.spacing)
        step = SAFETY * bound if self.step is None else self.step
        if step > bound * (1 + 1e-12):
            raise ValueError(f"step={step:g} is above the stability bound 1/(2 Σ 1/h²) = {bound:g}")
        number = u.dtype.type
        inverse = (1 / np.asarray(self.spacing)).astype(u.dtype)
        axes = max(1, sum(n > 1 for n in volume))
        a = u.reshape(-1, *volume)
        b = np.empty_like(a)
        count, size = plan(time, step)
        for _ in range(count):
            kernels.explicit(
                a, b, number(size), inverse, axes, number(EPSILON), numba.get_num_threads()
            )
            a, b = b, a
        return a.reshape(u.shape)


def curvature_motion(
    image,
    time=None,
    *,
    sigma=None,
    fidelity=0.0,
    spacing=None,
    channel_axis=None,
    step=None,
    full_output=False,
):
    """Smooth an image along its level lines: curvature motion ∂u/∂t = |∇u| div(∇u/|∇u|) [1]_.

    It is diffusion along level lines only (in a volume, level surfaces): each moves towards its
    centre of curvature, as fast as it is curved, whatever the contrast. A disc of radius r₀ has the
    radius √(r₀² - 2t) at time t, a ball √(r₀² - 4t); straight edges stay, and noise, whose level
    lines are small, vanishes.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    time : float, optional
        How long, in units of length squared; ``None``: the time of least risk (as `perona_malik`
        chooses it: for white Gaussian noise).
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, for what is chosen here; ``None``:
        it is estimated. Not used when time is given.
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f [2]_; in units of one over time.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which move each on its own; ``None``: no channels.
    step : float, optional
        Largest time step, at most 1/(2 Σ 1/h²) (1/4 in 2-D and 1/6 in 3-D with spacing 1);
        ``None``: 0.8 of that.
    full_output : bool
        Whether to return what was chosen, too.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed) and the fields of
        `CurvatureMotion` with what was chosen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the step is above the stability bound.

    Notes
    -----
    Explicit steps with central differences for all derivatives. Where the gradient is far below
    1e-4 there is no level line, and the Laplacian divided by the number of axes (the mean over all
    directions) takes the place of the equation. Neither is the mean conserved, which curvature
    motion does not do either, nor are extrema kept exactly, for the mixed derivative takes
    weights of both signs.

    References
    ----------
    .. [1] L. Alvarez, P.-L. Lions, J.-M. Morel, "Image selective smoothing and edge detection by
       nonlinear diffusion II", SIAM J. Numerical Analysis 29(3), 1992.
    .. [2] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64] - 31.5
    >>> cone = 20 - np.hypot(x, y)  # positive on a disc of radius 20
    >>> smaller = curvature_motion(cone, 72.0)
    >>> round(float(np.sqrt((smaller > 0).sum() / np.pi)))  # √(20² - 2·72)
    16
    """
    return CurvatureMotion(time, spacing, step, fidelity=fidelity).filter(
        image, sigma, channel_axis, full_output
    )


@dataclass(frozen=True)
class CurvatureMotion(Evolving):
    """Curvature motion as a Denoiser.

    Attributes
    ----------
    time : float, optional
        As for `curvature_motion`; ``None``: chosen from the noisy image.
    spacing, step, fidelity
        As for `curvature_motion`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> CurvatureMotion().choose(noisy, 0.1).time > 1
    True
    """

    time: float | None = None
    spacing: float | tuple[float, ...] | None = None
    step: float | None = None

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)
        if self.step is not None:
            check_positive("step", self.step)

    def _flows(self, spacing, sigma):
        return [LevelCurveMotion(self.step, spacing)]
