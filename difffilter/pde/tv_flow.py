"""Total-variation flow: ∂u/∂t = div(∇u / |∇u|)."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from difffilter.pde.evolving import Evolving
from difffilter.pde.kernels import tv_flow as kernels
from difffilter.pde.solve.schemes import check_positive, plan

__all__ = ["TVFlow", "TotalVariationDiffusion", "tv_flow"]

# What |∇u| is at least, in units of intensity per unit of length, and the largest step, in units
# of intensity times length: for images in [0, 1] on pixels of size 1.
EPSILON, STEP = 1e-4, 0.005

# Steps of an evolution at most: an image of large numbers, in which it takes long, would else never
# be done. Any step is stable.
MOST_STEPS = 400


@dataclass(frozen=True)
class TotalVariationDiffusion:
    """∂u/∂t = div(∇u / √(|∇u|² + ε²)).

    Attributes
    ----------
    epsilon : float
        ε, in units of intensity per unit of length.
    step : float
        Largest time step, in units of intensity times length.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    first : float
        The first time at which to look for the least risk.
    """

    epsilon: float
    step: float
    spacing: tuple[float, float, float]
    first: float

    def evolve(self, u, time):
        """The state ``u`` (B, C, D, H, W) after `time`; ``u`` is written to.

        Each step is the mean over the axes of implicit ones along each axis alone (AOS), with the
        diffusivity of the state before it.
        """
        h, workers = np.asarray(self.spacing), numba.get_num_threads()
        epsilon = u.dtype.type(self.epsilon)
        batch, channels, depth, height, width = u.shape
        inverse = (1 / h**2).astype(u.dtype)
        slope = np.empty((batch, 3, depth, height, width), u.dtype)
        g = np.empty((batch, depth, height, width), u.dtype)
        long = [axis for axis in range(3) if u.shape[2 + axis] > 1]
        count, size = plan(time, max(self.step, time / MOST_STEPS))
        for _ in range(count):
            kernels.slopes(u, inverse, slope)
            v = u.copy()
            for axis in long:
                kernels.face_diffusivity(u, slope, axis, inverse, epsilon, g)
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


def tv_flow(
    image,
    time=None,
    *,
    sigma=None,
    epsilon=EPSILON,
    fidelity=0.0,
    spacing=None,
    channel_axis=None,
    step=STEP,
    full_output=False,
):
    """Smooth an image into flat pieces: total-variation flow ∂u/∂t = div(∇u / |∇u|) [1]_.

    The total variation ∫|∇u| falls as fast as it can. Edges stay where they are and as sharp as
    they are; what they enclose loses contrast at the rate of its circumference over its area: that
    of a disc of radius R falls by 2/R per unit of time, so small things vanish first. There is no
    contrast parameter to choose.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    time : float, optional
        How long to diffuse, in units of intensity times length; ``None``: the time of least risk
        (as `perona_malik` chooses it: for white Gaussian noise).
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, for what is chosen here; ``None``:
        it is estimated. Not used when time is given.
    epsilon : float, default 0.0001
        What regularises |∇u| to √(|∇u|² + ε²), in units of intensity per unit of length.
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f [3]_; in units of one over time.
        After a long time the image is then the one that minimises ∫|∇u| + λ/2 ∫(u - f)², of Rudin,
        Osher and Fatemi [4]_.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which share |∇u|; ``None``: no channels.
    step : float, default 0.005
        Largest time step. Any is stable; short ones are accurate. Steps are longer where they would
        be more than 400.
    full_output : bool
        Whether to return what was chosen, too.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed) and the fields of `TVFlow` with
        what was chosen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.

    Notes
    -----
    Where the image is flat the diffusivity is 1/ε, and explicit steps would have to be as short as
    ε/4. The scheme is additive operator splitting [2]_ with the diffusivity of the step before: the
    mean over the axes of implicit steps along each of them, stable whatever the step; it keeps the
    mean, and makes no new extremum. |∇u| at the face between two pixels is made of the difference
    across it and, along the other axes, of the products of forward and backward differences.

    References
    ----------
    .. [1] F. Andreu, C. Ballester, V. Caselles, J. M. Mazón, "Minimizing total variation flow",
       Differential and Integral Equations 14(3), 2001.
    .. [2] J. Weickert, B. M. ter Haar Romeny, M. A. Viergever, "Efficient and reliable schemes for
       nonlinear diffusion filtering", IEEE Trans. Image Processing 7(3), 1998.
    .. [3] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.
    .. [4] L. I. Rudin, S. Osher, E. Fatemi, "Nonlinear total variation based noise removal
       algorithms", Physica D 60, 1992.

    Examples
    --------
    >>> import numpy as np
    >>> bar = np.zeros((9, 60))
    >>> bar[:, 20:30] = 1.0  # it loses two units of flux over ten pixels
    >>> round(float(tv_flow(bar, 1.0)[4, 25]), 2)
    0.8
    """
    return TVFlow(time, epsilon, spacing, step, fidelity=fidelity).filter(
        image, sigma, channel_axis, full_output
    )


@dataclass(frozen=True)
class TVFlow(Evolving):
    """Total-variation flow as a Denoiser.

    Attributes
    ----------
    time : float, optional
        As for `tv_flow`; ``None``: chosen from the noisy image.
    epsilon, spacing, step, fidelity
        As for `tv_flow`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> TVFlow().choose(noisy, 0.1).time > 0.1
    True
    """

    time: float | None = None
    epsilon: float = EPSILON
    spacing: float | tuple[float, ...] | None = None
    step: float = STEP

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)
        check_positive("epsilon", self.epsilon)
        check_positive("step", self.step)

    def _flows(self, spacing, sigma):
        first = 0.1 * sigma * min(spacing[-2:])
        return [TotalVariationDiffusion(self.epsilon, self.step, spacing, first)]
