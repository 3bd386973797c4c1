"""Curvature motion: ∂u/∂t = |∇u| div(∇u / |∇u|)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import ArrayLike

from difffilter.docstring import shared
from difffilter.labels import keeps_labels
from difffilter.noise.model import Sigma
from difffilter.pde.filter import Callback, PDEFilter, Spacing
from difffilter.pde.kernels import curvature_motion as kernels
from difffilter.pde.solve.evolution import Evolution

__all__ = ["CurvatureMotion", "LevelLineMotion", "curvature_motion"]

# ε in units of intensity per unit of length, as a share of the range of intensities.
EPSILON = 1e-4


@shared
@keeps_labels
def curvature_motion(
    image: ArrayLike,
    time: float | None = None,
    *,
    epsilon: float | None = None,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    step: float | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image along its level lines: curvature motion ∂u/∂t = |∇u| div(∇u/|∇u|) [1]_.

    This is diffusion along level lines only (in a volume, level surfaces): each moves towards its
    centre of curvature, as fast as it is curved, whatever the contrast. A disc of radius r₀ has the
    radius √(r₀² - 2t) at time t, a ball √(r₀² - 4t); straight edges stay, and noise, whose level
    lines are small, vanishes.

    Parameters
    ----------
    %(image)s
    %(time)s
    epsilon : float, optional
        Where the gradient is far below ε, in units of intensity per unit of length, there is no
        level line (see Notes); ``None``: 0.0001 of the range of intensities.
    %(fidelity)s
    %(spacing)s
    %(explicit_step)s
    %(call)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(errors)s

    Notes
    -----
    Explicit steps with central differences for all derivatives; channels move independently. Where
    the gradient is far below ε there is no level line, and the Laplacian divided by the number of
    axes (the mean over all directions) replaces the right-hand side. The mean is not conserved,
    nor does the equation conserve it; extrema are not kept exactly, because the mixed derivative
    has weights of both signs.

    %(choosing)s

    References
    ----------
    .. [1] L. Alvarez, P.-L. Lions, J.-M. Morel, "Image selective smoothing and edge detection by
       nonlinear diffusion II", SIAM J. Numerical Analysis 29(3), 1992.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64] - 31.5
    >>> cone = 20 - np.hypot(x, y)  # positive on a disc of radius 20
    >>> smaller = curvature_motion(cone, 72.0)
    >>> round(float(np.sqrt((smaller > 0).sum() / np.pi)))  # √(20² - 2·72)
    16
    """
    return CurvatureMotion(
        time=time, epsilon=epsilon, fidelity=fidelity, spacing=spacing, step=step
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True)
class LevelLineMotion(Evolution):
    """∂u/∂t = |∇u| div(∇u/|∇u|), by explicit steps.

    Attributes
    ----------
    epsilon : float
        ε, in units of intensity per unit of length.
    spacing, step, mask
        As in `Evolution`.
    """

    epsilon: float

    def evolve(self, u, time):
        volume = u.shape[2:]
        number = u.dtype.type
        inverse = (1 / np.asarray(self.spacing)).astype(u.dtype)
        axes = max(1, sum(n > 1 for n in volume))
        a = u.reshape(-1, *volume)
        b = np.empty_like(a)
        mask = np.repeat(self.masks(u), u.shape[1], axis=0)
        count, size = self.steps(volume, time)
        for _ in range(count):
            given = number(size), inverse, axes, number(self.epsilon), numba.get_num_threads()
            if mask.size:
                kernels.explicit_within(a, b, mask, *given)
            else:
                kernels.explicit(a, b, *given)
            a, b = b, a
        return a.reshape(u.shape)


@dataclass(frozen=True, kw_only=True)
class CurvatureMotion(PDEFilter):
    """Curvature motion: simplifies shapes, and removes specks of any contrast.

    Parameters are those of `curvature_motion`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> CurvatureMotion().choose(noisy, 0.1).time > 1
    True
    """

    time: float | None = None
    epsilon: float | None = None
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float | None = None

    OF_RANGE: ClassVar = {"epsilon": EPSILON}
    RADIUS: ClassVar = 1

    def evolutions(self, spacing, sigma):
        return [LevelLineMotion(self.epsilon, spacing=spacing, step=self.step)]
