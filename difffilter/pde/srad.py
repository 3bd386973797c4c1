"""Speckle-reducing diffusion: ∂u/∂t = div(c(q) ∇u), q being the local coefficient of variation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import ArrayLike

from difffilter.denoiser import rounded
from difffilter.docstring import shared
from difffilter.labels import keeps_labels
from difffilter.noise.model import Sigma
from difffilter.pde.filter import Callback, PDEFilter, Spacing
from difffilter.pde.kernels import forward_backward as flux_kernels
from difffilter.pde.kernels import srad as kernels
from difffilter.pde.solve.evolution import Evolution

__all__ = ["SRAD", "SpeckleDiffusion", "srad"]

# q₀ in multiples of σ: those that did best together on training photographs.
MULTIPLES = (0.3, 0.5, 0.7, 1.0)


@shared
@keeps_labels
def srad(
    image: ArrayLike,
    time: float | None = None,
    *,
    q0: float | None = None,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    step: float | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth speckle, whose strength is proportional to the image: SRAD [1]_.

    ∂u/∂t = div(c(q) ∇u) with c = 1/(1 + (q² - q₀²)/(q₀²(1 + q₀²))), at most 1, where q is the
    coefficient of variation (standard deviation over mean) of a pixel's neighbours. Where q is not
    above q₀, that of speckle, the image diffuses; where it is far above, there is an edge.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
        Intensities, not decibels; none should be below 0.
    %(time)s
    q0 : float, optional
        q₀, without unit; ``None``: of several multiples of σ, the one of least risk.
    %(fidelity)s
    %(spacing)s
    %(explicit_step)s
    sigma : float, optional
        Coefficient of variation of the speckle, as `add_noise` defines it (1/√L for L looks at an
        intensity), for what is chosen; ``None``: estimated from homogeneous patches by
        `estimate_sigma`. Not used where every parameter is given.
    channel_axis : int, optional
        The axis of the channels, which share q; ``None``: no channels.
    mask : array_like of bool, optional
        Of the image's spatial shape. Nothing changes where it is false, and nothing flows through;
        σ and the parameters are chosen by the pixels where it is true.
    callback : callable, optional
        Called as ``callback(time, image)`` after every time step, with a copy of the image so far;
        the evolution stops when it returns a true value.
    full_output : bool, default False
        Whether to return what was chosen as well.

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(errors)s

    Notes
    -----
    The paper's q² = (½|∇u|²/u² - (Δu/u)²/16)/(1 + Δu/4u)² is the squared coefficient of variation
    of the four neighbours. Here it is computed as that, with the unbiased variance, so that it
    carries over to volumes (six neighbours), to spacing (weights 1/h²) and to colour (variances and
    squared means are summed). A face takes the mean of its two pixels' c; with c ≤ 1 mean and
    extrema are kept, and multiplying the image by a constant multiplies the result.

    The paper lets q₀ fall with time, because speckle weakens as it is smoothed. Here q₀ is constant
    and the evolution autonomous: the time and a q₀ below σ are chosen together, by Stein's estimate
    of the risk for noise of the local standard deviation σ·u.

    References
    ----------
    .. [1] Y. Yu, S. T. Acton, "Speckle reducing anisotropic diffusion", IEEE Trans. Image
       Processing 11(11), 2002.

    Examples
    --------
    >>> import numpy as np
    >>> step_edge = np.repeat([0.2, 0.8], 32) * np.ones((64, 1))
    >>> speckled = step_edge * (1 + np.random.default_rng(0).normal(0, 0.1, (64, 64)))
    >>> smooth = srad(speckled)
    >>> bool(np.abs(smooth - step_edge).mean() < np.abs(speckled - step_edge).mean() / 3)
    True
    """
    return SRAD(time=time, q0=q0, fidelity=fidelity, spacing=spacing, step=step).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True)
class SpeckleDiffusion(Evolution):
    """∂u/∂t = div(c(q) ∇u), by explicit steps.

    Attributes
    ----------
    q0 : float
        The coefficient of variation up to which the image diffuses freely.
    spacing, step, mask
        As in `Evolution`.
    """

    q0: float

    def evolve(self, u, time):
        volume = u.shape[2:]
        number, workers = u.dtype.type, numba.get_num_threads()
        inverse = 1 / np.asarray(self.spacing) ** 2
        weight = inverse * (np.asarray(volume) > 1)
        weight /= max(2 * weight.sum(), np.finfo(np.float64).tiny)
        unbiased = number(1 / (1 - 2 * np.square(weight).sum()))
        mask, v = self.masks(u), np.empty_like(u)
        g = np.empty((u.shape[0], *volume), u.dtype)
        count, size = self.steps(volume, time)
        for _ in range(count):
            given = weight.astype(u.dtype), unbiased, number(self.q0), number(1e-37), g
            if mask.size:
                kernels.diffusivity_within(u, mask, *given)
            else:
                kernels.diffusivity(u, *given, workers)
            u, v = flux_kernels.step(u, v, mask, g, (size * inverse).astype(u.dtype), workers)
        return u


@dataclass(frozen=True, kw_only=True)
class SRAD(PDEFilter):
    """Speckle-reducing diffusion (SRAD): for speckle in radar and ultrasound images.

    Parameters are those of `srad`.

    Examples
    --------
    >>> import numpy as np
    >>> speckled = 0.5 * (1 + np.random.default_rng(0).normal(0, 0.1, (64, 64)))
    >>> SRAD().choose(speckled).q0 >= 0.02
    True
    """

    time: float | None = None
    q0: float | None = None
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float | None = None

    noise = "speckle"
    takes_models: ClassVar = False
    RADIUS: ClassVar = 2
    CHOSEN: ClassVar = ("q0",)

    def evolutions(self, spacing, sigma):
        values = [rounded(m * sigma) for m in MULTIPLES] if self.q0 is None else [self.q0]
        return [SpeckleDiffusion(q0, spacing=spacing, step=self.step) for q0 in values]
