"""Total-variation flow: ∂u/∂t = div(∇u / |∇u|)."""

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
from difffilter.pde.kernels import tv_flow as kernels
from difffilter.pde.solve.evolution import Evolution
from difffilter.pde.solve.halo import aos_halo, steps_taken
from difffilter.pde.solve.stability import equal_steps

__all__ = ["TVFlow", "TotalVariationDiffusion", "tv_flow"]

# ε in units of intensity per unit of length, and the largest step in units of intensity times length,
# as shares of the range of intensities.
EPSILON, STEP = 1e-4, 0.005

# Steps of an evolution at most: an image of large numbers, in which it takes long, would otherwise
# never be done. Any step is stable.
MOST_STEPS = 400

# The diffusivity 1/|∇u| that the flow is taken to have, for its halo: flat pieces exchange
# intensity at once, but what they exchange is little.
SPREAD = 300.0


@shared
@keeps_labels
def tv_flow(
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
    """Smooth an image into flat pieces: total-variation flow ∂u/∂t = div(∇u / |∇u|) [1]_.

    The total variation ∫|∇u| falls as fast as it can. Edges stay where they are and as sharp as
    they are; what they enclose loses contrast at the rate of its circumference over its area: a disc
    of radius R loses 2/R per unit of time, so small things vanish first. There is no contrast
    parameter to choose.

    Parameters
    ----------
    %(image)s
    time : float, optional
        How long to diffuse, in units of intensity times length; ``None``: the time of least
        estimated risk (see Notes).
    epsilon : float, optional
        ε, which regularises |∇u| to √(|∇u|² + ε²), in units of intensity per unit of length;
        ``None``: 0.0001 of the range of intensities.
    fidelity : float, default 0
        λ of a term λ(f - u) that pulls u back to the image f, in units of one over time. After a
        long time the image then minimises ∫|∇u| + λ/2 ∫(u - f)² (Rudin, Osher & Fatemi [3]_).
    %(spacing)s
    step : float, optional
        Largest time step; ``None``: 0.005 of the range of intensities. Any step is stable; short
        ones are accurate. Steps are longer where there would be more than 400.
    %(call)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(errors)s

    Notes
    -----
    Where the image is flat the diffusivity is 1/ε, and explicit steps would have to be as short as
    ε/4. The scheme is additive operator splitting [2]_ with the diffusivity of the step before: the
    mean over the axes of implicit steps along each of them, stable whatever the step. It conserves
    the mean and makes no new extremum. |∇u| at the face between two pixels is made of the
    difference across it and, along the other axes, of the products of forward and backward
    differences. Channels share |∇u|.

    %(choosing)s

    References
    ----------
    .. [1] F. Andreu, C. Ballester, V. Caselles, J. M. Mazón, "Minimizing total variation flow",
       Differential and Integral Equations 14(3), 2001.
    .. [2] J. Weickert, B. M. ter Haar Romeny, M. A. Viergever, "Efficient and reliable schemes for
       nonlinear diffusion filtering", IEEE Trans. Image Processing 7(3), 1998.
    .. [3] L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal
       algorithms", Physica D 60, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> bar = np.zeros((9, 60))
    >>> bar[:, 20:30] = 1.0  # it loses two units of flux over ten pixels
    >>> round(float(tv_flow(bar, 1.0)[4, 25]), 2)
    0.8
    """
    return TVFlow(
        time=time, epsilon=epsilon, fidelity=fidelity, spacing=spacing, step=step
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True)
class TotalVariationDiffusion(Evolution):
    """∂u/∂t = div(∇u / √(|∇u|² + ε²)), by semi-implicit steps.

    Attributes
    ----------
    epsilon : float
        ε, in units of intensity per unit of length.
    sigma : float
        Standard deviation of the noise, by which to look for the least risk.
    step : float
        Largest time step, in units of intensity times length.
    spacing, mask
        As in `Evolution`.
    """

    epsilon: float
    sigma: float

    @property
    def first(self):
        return 0.1 * self.sigma * min(self.spacing[-2:])

    def largest_step(self, volume):
        return self.step

    def steps(self, volume, time):
        return equal_steps(time, max(self.step, time / MOST_STEPS))

    def coarsened(self, step):
        return self.with_step(max(self.step, step))

    def evolve(self, u, time):
        # Each step is the mean over the axes of implicit ones along each axis alone (AOS), with the
        # diffusivity of the state before it.
        h, workers = np.asarray(self.spacing), numba.get_num_threads()
        count, size = self.steps(u.shape[2:], time)
        # In a step much longer than the contrast, rounding would grow with the diffusivity.
        epsilon = u.dtype.type(max(self.epsilon, 1e-5 * size / min(self.spacing)))
        masked = self.mask is not None
        batch, channels, depth, height, width = u.shape
        inverse = (1 / h**2).astype(u.dtype)
        slope = np.empty((batch, 3, depth, height, width), u.dtype)
        g = np.empty((batch, depth, height, width), u.dtype)
        long = [axis for axis in range(3) if u.shape[2 + axis] > 1]
        between = [_open_faces(self.masks(u), axis) for axis in range(3)] if masked else []
        for _ in range(count):
            kernels.slopes(u, inverse, slope)
            for axis, open_ in enumerate(between):  # a slope has two faces
                slope[:, axis] *= open_ & np.roll(open_, 1, axis + 1)
            v = u.copy()
            for axis in long:
                kernels.face_diffusivity(u, slope, axis, inverse, epsilon, g)
                if masked:
                    g *= between[axis]
                rate = u.dtype.type(len(long) * size / h[axis] ** 2)
                share = u.dtype.type(1 / len(long))
                if axis == 2:
                    kernels.implicit_along_rows(u, g, v, rate, share, workers)
                elif axis == 1:
                    kernels.implicit_along_columns(u, g, v, rate, share, workers)
                else:
                    planes = (batch, channels, 1, depth, height * width)
                    kernels.implicit_along_columns(
                        u.reshape(planes), g.reshape(batch, 1, depth, height * width),
                        v.reshape(planes), rate, share, workers,
                    )  # fmt: skip
            u = v
        return u


def _open_faces(mask, axis):
    """Whether each pixel and the next along an axis both are in the mask; the border is closed."""
    open_ = mask & np.roll(mask, -1, axis + 1)
    open_.swapaxes(0, axis + 1)[-1] = False
    return open_


@dataclass(frozen=True, kw_only=True)
class TVFlow(PDEFilter):
    """Total-variation flow: flat regions with sharp edges, for drawings and segmentation.

    Parameters are those of `tv_flow`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> TVFlow().choose(noisy, 0.1).time > 0.1
    True
    """

    time: float | None = None
    epsilon: float | None = None
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float | None = None

    OF_RANGE: ClassVar = {"epsilon": EPSILON, "step": STEP}

    def evolutions(self, spacing, sigma):
        return [TotalVariationDiffusion(self.epsilon, sigma, spacing=spacing, step=self.step)]

    def _halo(self, spacing):
        steps, size = steps_taken(self.time, max(self.step, self.time / MOST_STEPS), self.fidelity)
        return aos_halo(steps, SPREAD * size, spacing)
