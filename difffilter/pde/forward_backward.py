"""Forward-and-backward diffusion: smooths where the gradient is small, sharpens where it is moderate."""

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
from difffilter.pde.kernels import forward_backward as kernels
from difffilter.pde.solve.evolution import Evolution

__all__ = ["ForwardBackward", "ForwardBackwardDiffusion", "forward_backward"]

ALPHA = 0.25

# κ in multiples of σ: those that did best together on training photographs.
MULTIPLES = (0.5, 0.3, 1.0, 1.5)


@shared
@keeps_labels
def forward_backward(
    image: ArrayLike,
    time: float | None = None,
    *,
    kappa: float | str | None = None,
    alpha: float = ALPHA,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    step: float | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image where its gradient is small, sharpen it where it is moderate [1]_.

    ∂u/∂t = div(c(s) ∇u) with s = |∇u| and c(s) = 1/(1 + (s/κ)⁴) - α/(1 + ((s - 2κ)/(κ/2))²): where
    the gradient is below κ the image diffuses; around 2κ the equation runs backwards, which makes
    slopes steeper; far above, nothing happens.

    Parameters
    ----------
    %(image)s
    %(time)s
    %(kappa)s
    alpha : float, default 0.25
        Strength of the backward diffusion, from 0 to 1.
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
    s² at a pixel is the sum of the products of its forward and backward differences, where they
    are positive, so that it is 0 at every extremum [2]_: since c(0) > 0.94 and c > -α ≥ -1, and a
    face takes the mean of its two pixels' c, no extremum grows by what flows through its own faces.
    The mean is conserved. Channels share |∇u|.

    %(choosing)s

    References
    ----------
    .. [1] G. Gilboa, N. Sochen, Y. Y. Zeevi, "Forward-and-backward diffusion processes for adaptive
       image enhancement and denoising", IEEE Trans. Image Processing 11(7), 2002.
    .. [2] M. Welk, G. Gilboa, J. Weickert, "Theoretical foundations for discrete
       forward-and-backward diffusion filtering", SSVM 2009.

    Examples
    --------
    >>> import numpy as np
    >>> soft_edge = 0.5 + 0.4 * np.tanh((np.arange(64) - 31.5) / 3) * np.ones((9, 1))
    >>> sharp = forward_backward(soft_edge, 5.0, kappa=0.05)
    >>> bool(np.diff(sharp).max() > 1.5 * np.diff(soft_edge).max())
    True
    """
    return ForwardBackward(
        time=time, kappa=kappa, alpha=alpha, fidelity=fidelity, spacing=spacing, step=step
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True)
class ForwardBackwardDiffusion(Evolution):
    """∂u/∂t = div(c(|∇u|) ∇u), c being negative around s = 2κ, by explicit steps.

    Attributes
    ----------
    kappa : float
        κ, in units of intensity per unit of length.
    alpha : float
        Strength of the backward diffusion.
    spacing, step, mask
        As in `Evolution`.
    """

    kappa: float
    alpha: float

    def evolve(self, u, time):
        number, workers = u.dtype.type, numba.get_num_threads()
        inverse = 1 / np.asarray(self.spacing) ** 2
        mask, v = self.masks(u), np.empty_like(u)
        g = np.empty((u.shape[0], *u.shape[2:]), u.dtype)
        count, size = self.steps(u.shape[2:], time)
        for _ in range(count):
            given = (
                inverse.astype(u.dtype), number(self.kappa), number(2 * self.kappa),
                number(self.kappa / 2), number(self.alpha), g,
            )  # fmt: skip
            if mask.size:
                kernels.diffusivity_within(u, mask, *given)
            else:
                kernels.diffusivity(u, *given, workers)
            u, v = kernels.step(u, v, mask, g, (size * inverse).astype(u.dtype), workers)
        return u


@dataclass(frozen=True, kw_only=True)
class ForwardBackward(PDEFilter):
    """Forward-and-backward diffusion: makes edges steeper, for slightly blurred images.

    Parameters are those of `forward_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> ForwardBackward().choose(noisy, 0.1).kappa >= 0.03
    True
    """

    time: float | None = None
    kappa: float | str | None = None
    alpha: float = ALPHA
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float | None = None

    RADIUS: ClassVar = 2
    CHOSEN: ClassVar = ("kappa",)
    LIMITS: ClassVar = PDEFilter.LIMITS | {"alpha": {"least": 0, "most": 1}}

    def evolutions(self, spacing, sigma):
        kappas = [rounded(m * sigma) for m in MULTIPLES] if self.kappa is None else [self.kappa]
        return [
            ForwardBackwardDiffusion(k, self.alpha, spacing=spacing, step=self.step) for k in kappas
        ]
