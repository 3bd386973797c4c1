"""Forward-and-backward diffusion: smooths where the gradient is small, sharpens where it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from difffilter.pde.choose.kappa import check_kappa
from difffilter.pde.evolving import Evolving
from difffilter.pde.kernels import forward_backward as kernels
from difffilter.pde.solve.schemes import SAFETY, check_positive, plan, stability_bound

__all__ = ["ForwardBackward", "ForwardBackwardDiffusion", "forward_backward"]

ALPHA = 0.25


@dataclass(frozen=True)
class ForwardBackwardDiffusion:
    """∂u/∂t = div(c(|∇u|) ∇u), c being negative around s = 2κ.

    Attributes
    ----------
    kappa : float
        κ, in units of intensity per unit of length.
    alpha : float
        How strong the backward diffusion is.
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    """

    kappa: float
    alpha: float
    step: float | None
    spacing: tuple[float, float, float]

    @property
    def first(self):
        """A time after which a little has happened."""
        return 0.05 * min(self.spacing[-2:]) ** 2

    def evolve(self, u, time):
        """The state ``u`` (B, C, D, H, W) after `time`, by explicit steps; ``u`` is written to."""
        bound = stability_bound(u.shape[2:], self.spacing)
        step = SAFETY * bound if self.step is None else self.step
        if step > bound * (1 + 1e-12):
            raise ValueError(f"step={step:g} is above the stability bound 1/(2 Σ 1/h²) = {bound:g}")
        number, workers = u.dtype.type, numba.get_num_threads()
        inverse = 1 / np.asarray(self.spacing) ** 2
        g, v = np.empty((u.shape[0], *u.shape[2:]), u.dtype), np.empty_like(u)
        count, size = plan(time, step)
        for _ in range(count):
            kernels.diffusivity(
                u, inverse.astype(u.dtype), number(self.kappa), number(2 * self.kappa),
                number(self.kappa / 2), number(self.alpha), g, workers,
            )  # fmt: skip
            kernels.explicit(u, v, g, (size * inverse).astype(u.dtype), workers)
            u, v = v, u
        return u


def forward_backward(
    image,
    time=None,
    kappa=None,
    *,
    sigma=None,
    alpha=ALPHA,
    fidelity=0.0,
    spacing=None,
    channel_axis=None,
    step=None,
    full_output=False,
):
    """Smooth an image where its gradient is small, sharpen it where it is moderate [1]_.

    ∂u/∂t = div(c(s) ∇u) with s = |∇u| and c(s) = 1/(1 + (s/κ)⁴) - α/(1 + ((s - 2κ)/(κ/2))²): where
    the gradient is below κ the image diffuses; around 2κ the equation runs backwards, which makes
    slopes steeper; far above, nothing happens.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least risk (as
        `perona_malik` chooses it: for white Gaussian noise).
    kappa : float or {"mad", "quantile", "sigma"}, optional
        Contrast parameter κ, in units of intensity per unit of length, or a rule that sets it by
        the differences between neighbours (see `perona_malik`); ``None``: of several multiples of
        σ the one of least risk.
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, for what is chosen here; ``None``:
        it is estimated. Not used when time and kappa are given.
    alpha : float, default 0.25
        How strong the backward diffusion is, from 0 to 1.
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f [3]_; in units of one over time.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which share |∇u|; ``None``: no channels.
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
        `ForwardBackward` with what was chosen.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the step is above the stability bound.

    Notes
    -----
    s² at a pixel is made of the products of its forward and its backward differences, where they
    are positive, so that it is 0 at every extremum [2]_: since c(0) > 0.94 and c > -α ≥ -1, a face
    takes the mean of its two pixels' c, and no extremum grows by what flows through its own faces.
    The mean is conserved.

    References
    ----------
    .. [1] G. Gilboa, N. Sochen, Y. Y. Zeevi, "Forward-and-backward diffusion processes for adaptive
       image enhancement and denoising", IEEE Trans. Image Processing 11(7), 2002.
    .. [2] M. Welk, G. Gilboa, J. Weickert, "Theoretical foundations for discrete
       forward-and-backward diffusion filtering", SSVM 2009.
    .. [3] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> soft_edge = 0.5 + 0.4 * np.tanh((np.arange(64) - 31.5) / 3) * np.ones((9, 1))
    >>> sharp = forward_backward(soft_edge, 5.0, 0.05)
    >>> bool(np.diff(sharp).max() > 1.5 * np.diff(soft_edge).max())
    True
    """
    return ForwardBackward(kappa, time, alpha, spacing, step, fidelity=fidelity).filter(
        image, sigma, channel_axis, full_output
    )


# Multiples of σ that did best together on training photographs.
MULTIPLES = (0.5, 0.3, 1.0, 1.5)


@dataclass(frozen=True)
class ForwardBackward(Evolving):
    """Forward-and-backward diffusion as a Denoiser.

    Attributes
    ----------
    kappa, time : float, optional
        As for `forward_backward`; ``None``: chosen from the noisy image.
    alpha, spacing, step, fidelity
        As for `forward_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> ForwardBackward().choose(noisy, 0.1).kappa >= 0.03
    True
    """

    kappa: float | str | None = None
    time: float | None = None
    alpha: float = ALPHA
    spacing: float | tuple[float, ...] | None = None
    step: float | None = None

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)
        check_kappa(self.kappa)
        if check_positive("alpha", self.alpha, zero=True) > 1:
            raise ValueError(f"alpha must be at most 1; got {self.alpha}")
        if self.step is not None:
            check_positive("step", self.step)

    def _flows(self, spacing, sigma):
        kappas = [float(f"{m * sigma:.4g}") for m in MULTIPLES]
        return [
            ForwardBackwardDiffusion(kappa, self.alpha, self.step, spacing)
            for kappa in (kappas if self.kappa is None else [self.kappa])
        ]
