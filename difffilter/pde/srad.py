"""Speckle-reducing diffusion: ∂u/∂t = div(c(q) ∇u), q being the local coefficient of variation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numba
import numpy as np

from difffilter.pde.evolving import Evolving
from difffilter.pde.kernels import forward_backward as forward_backward_kernels
from difffilter.pde.kernels import srad as srad_kernels
from difffilter.pde.solve.schemes import SAFETY, check_positive, plan, stability_bound

__all__ = ["SRAD", "SpeckleDiffusion", "srad"]


@dataclass(frozen=True)
class SpeckleDiffusion:
    """∂u/∂t = div(c(q) ∇u).

    Attributes
    ----------
    q0 : float
        The coefficient of variation up to which the image diffuses freely.
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    """

    q0: float
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
        number, workers = u.dtype.type, numba.get_num_threads()
        inverse = 1 / np.asarray(self.spacing) ** 2
        weight = inverse * (np.asarray(volume) > 1)
        weight /= max(2 * weight.sum(), np.finfo(np.float64).tiny)
        unbiased = number(1 / (1 - 2 * np.square(weight).sum()))
        g, v = np.empty((u.shape[0], *volume), u.dtype), np.empty_like(u)
        count, size = plan(time, step)
        for _ in range(count):
            srad_kernels.diffusivity(
                u, weight.astype(u.dtype), unbiased, number(self.q0), number(1e-37), g, workers
            )
            forward_backward_kernels.explicit(u, v, g, (size * inverse).astype(u.dtype), workers)
            u, v = v, u
        return u


def srad(
    image,
    time=None,
    q0=None,
    *,
    sigma=None,
    fidelity=0.0,
    spacing=None,
    channel_axis=None,
    step=None,
    full_output=False,
):
    """Smooth speckle, whose strength is proportional to the image: SRAD [1]_.

    ∂u/∂t = div(c(q) ∇u) with c = 1/(1 + (q² - q₀²)/(q₀²(1 + q₀²))), at most 1, where q is the
    coefficient of variation (standard deviation over mean) of a pixel's neighbours: where it is not
    above q₀, that of speckle, the image diffuses, and where it is far above there is an edge.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        Intensities, not decibels; none should be below 0.
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least risk (see
        Notes).
    q0 : float, optional
        q₀, without unit; ``None``: of several multiples of σ the one of least risk.
    sigma : float, optional
        The coefficient of variation of the speckle, as `add_noise` has it (of L looks at an
        intensity it is 1/√L), for what is chosen here; ``None``: it is estimated from homogeneous
        patches by `estimate_sigma`. Not used when time and q0 are given.
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f [2]_; in units of one over time.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which share q; ``None``: no channels.
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
        Only with ``full_output``: sigma (None if it was not needed) and the fields of `SRAD` with
        what was chosen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the step is above the stability bound.

    Notes
    -----
    The paper's q² = (½|∇u|²/u² - (Δu/u)²/16)/(1 + Δu/4u)² is the squared coefficient of variation
    of the four neighbours. Here it is computed as that, with the unbiased variance, so that it
    carries over to volumes (six neighbours), to spacing (weights 1/h²) and to colour (variances and
    squared means are summed). A face takes the mean of its two pixels' c; with c ≤ 1 mean and
    extrema are kept, and multiplying the image by a constant multiplies the result.

    The paper lets q₀ fall with time, for speckle weakens as it is smoothed. Here q₀ is constant and
    the evolution autonomous: the time and a q₀ below σ are chosen together. The estimate of
    the risk is Stein's for noise of the local standard deviation σ·u.

    References
    ----------
    .. [1] Y. Yu, S. T. Acton, "Speckle reducing anisotropic diffusion", IEEE Trans. Image
       Processing 11(11), 2002.
    .. [2] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> step_edge = np.repeat([0.2, 0.8], 32) * np.ones((64, 1))
    >>> speckled = step_edge * (1 + np.random.default_rng(0).normal(0, 0.1, (64, 64)))
    >>> smooth = srad(speckled)
    >>> bool(np.abs(smooth - step_edge).mean() < np.abs(speckled - step_edge).mean() / 3)
    True
    """
    return SRAD(q0, time, spacing, step, fidelity=fidelity).filter(
        image, sigma, channel_axis, full_output
    )


# Multiples of σ that did best together on training photographs.
MULTIPLES = (0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class SRAD(Evolving):
    """Speckle-reducing diffusion (SRAD) as a Denoiser.

    Attributes
    ----------
    q0, time : float, optional
        As for `srad`; ``None``: chosen from the noisy image.
    spacing, step, fidelity
        As for `srad`.

    Examples
    --------
    >>> import numpy as np
    >>> speckled = 0.5 * (1 + np.random.default_rng(0).normal(0, 0.1, (64, 64)))
    >>> SRAD().choose(speckled).q0 >= 0.02
    True
    """

    q0: float | None = None
    time: float | None = None
    spacing: float | tuple[float, ...] | None = None
    step: float | None = None

    noise: ClassVar[str] = "speckle"

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)
        if self.q0 is not None:
            check_positive("q0", self.q0)
        if self.step is not None:
            check_positive("step", self.step)

    def _flows(self, spacing, sigma):
        values = [float(f"{m * sigma:.4g}") for m in MULTIPLES]
        return [
            SpeckleDiffusion(q0, self.step, spacing)
            for q0 in (values if self.q0 is None else [self.q0])
        ]
