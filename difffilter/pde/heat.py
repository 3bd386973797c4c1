"""Linear diffusion: ∂u/∂t = Δu."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from difffilter.denoiser import Denoiser, prepare
from difffilter.pde.backends.arrays import home_of
from difffilter.pde.evolving import Biased, Stepping, least_risk
from difffilter.pde.solve.schemes import (
    Diffusion,
    as_state,
    check_choice,
    check_positive,
    check_spacing,
    check_step,
    plan,
    spatial_shape,
)
from difffilter.pde.solve.steps import Plan
from difffilter.search_space import Range

__all__ = ["Heat", "heat"]


def heat(
    image, time, *, fidelity=0.0, spacing=None, channel_axis=None, scheme="exact", step=None,
    device=None,
):  # fmt: skip
    """Smooth an image by the heat equation ∂u/∂t = Δu with reflecting borders.

    Time t blurs by a Gaussian of standard deviation √(2t).

    Parameters
    ----------
    image : array_like or Tensor
        One or more axes besides the channels (up to three for the explicit scheme); integers are
        scaled to [0, 1].
    time : float
        How long to diffuse, in units of length squared (pixels squared with spacing 1); ≥ 0.
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f [2]_; in units of one over time.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which do not mix; ``None``: no channels.
    scheme : {"exact", "explicit"}
        ``"exact"`` solves the equation discretised in space exactly: the cosine mode k decays by
        e^(-rt) with r = 4 Σ sin²(πk/2N)/h², and with a fidelity term by (λ + r e^(-(λ+r)t))/(λ+r).
        ``"explicit"`` is the textbook's forward Euler.
    step : float, optional
        Largest time step of the explicit scheme, at most 1/(2 Σ 1/h²); ``None``: 0.8 of that.
    device : str, optional
        As for `perona_malik`.

    Returns
    -------
    ndarray or Tensor
        As the input is; same shape; float32, or float64 for float64 input.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the step is above the stability bound.

    References
    ----------
    .. [1] A. P. Witkin, "Scale-space filtering", IJCAI 1983.
    .. [2] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.

    Examples
    --------
    >>> import numpy as np
    >>> dot = np.zeros((9, 9))
    >>> dot[4, 4] = 1.0
    >>> round(float(heat(dot, 0.5)[4, 4]), 3)
    0.217
    """
    check_choice("scheme", scheme, ("exact", "explicit"))
    home = home_of(image, device)
    image = home.as_float(image, channel_axis, axes=None if scheme == "exact" else (1, 2, 3))
    time = check_positive("time", time, zero=True)
    fidelity = check_positive("fidelity", fidelity, zero=True)
    home.check(fidelity=fidelity)
    shape = spatial_shape(image, channel_axis)
    spacing = check_spacing(spacing, len(shape))
    if scheme == "explicit":
        u = home.as_state(image, channel_axis)
        diffusion = Diffusion(spacing=(1.0,) * (3 - len(shape)) + spacing)
        step = check_step(step, shape, spacing)
        if fidelity:
            u = Biased(Stepping(diffusion, step=step), fidelity, u.copy()).evolve(u, time)
        else:
            u = home.run(Plan("explicit", *plan(time, step)), diffusion, u)
        return home.as_image(u, image.shape, channel_axis)
    if step is not None:
        raise ValueError("step goes with scheme='explicit'; the exact scheme takes none")
    axes = _spatial_axes(image, channel_axis)
    if fidelity:
        factors = _held_back(shape, spacing, time, fidelity)
        factors = [factors if channel_axis is None else np.expand_dims(factors, channel_axis)]
    else:
        factors = [
            factor.reshape((-1,) + (1,) * (image.ndim - 1 - axis))
            for axis, factor in zip(axes, _decay(shape, spacing, time), strict=True)
        ]
    return home.damped(image, axes, factors)


def _spatial_axes(image, channel_axis):
    axes = list(range(image.ndim))
    if channel_axis is not None:
        del axes[channel_axis]
    return axes


def _decay(shape, spacing, time):
    """For each axis, the factors exp(-4t sin²(πk/2N)/h²); their product belongs to a mode."""
    return [
        np.exp(-4 * time * (np.sin(np.pi * np.arange(n) / (2 * n)) / h) ** 2)
        for n, h in zip(shape, spacing, strict=True)
    ]


def _held_back(shape, spacing, time, fidelity):
    """(λ + r e^(-(λ+r)t)) / (λ + r), r being the rate at which a mode decays; λ > 0."""
    rate = 0.0
    for n, h in zip(shape, spacing, strict=True):
        rate = np.add.outer(rate, 4 * (np.sin(np.pi * np.arange(n) / (2 * n)) / h) ** 2)
    both = fidelity + rate
    return (fidelity + rate * np.exp(-time * both)) / both


@dataclass(frozen=True)
class Heat(Denoiser):
    """The heat equation as a Denoiser.

    Attributes
    ----------
    time : float, optional
        As for `heat`; ``None``: the time of least risk. For a linear filter Stein's estimate of
        the mean squared error is a sum over the cosine modes and needs no simulation.
    spacing, fidelity
        As for `heat`.
    device : str, optional
        As for `heat`.

    References
    ----------
    .. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Annals of
       Statistics 9(6), 1981.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> Heat().choose(noisy, 0.1).time > 5
    True
    """

    SEARCH: ClassVar[dict] = {"time": Range(1e-3, 1e3)}

    time: float | None = None
    spacing: float | tuple[float, ...] | None = None
    fidelity: float = 0.0
    device: str | None = None

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)
        check_positive("fidelity", self.fidelity, zero=True)

    def choose(self, noisy, sigma=None, *, channel_axis=None, weight=None, deviation=None):
        """A copy with the time that suits this image and noise.

        With `weight`, of the image's shape, errors count as much as it says; with `deviation`, the
        noise has that standard deviation at each pixel.
        """
        if self.time is not None:
            return self
        home = home_of(noisy, self.device)
        noisy, channel_axis = home.shown(home.as_float(noisy, channel_axis), channel_axis)
        image, sigma = prepare(noisy, sigma, channel_axis)
        spacing = check_spacing(self.spacing, len(spatial_shape(image, channel_axis)))
        if sigma > 0 and not (weight is None and deviation is None):
            state, weight, noise = (
                None if array is None else as_state(array, channel_axis)
                for array in (image, weight, deviation)
            )
            flow = Stepping(Diffusion(spacing=(1.0,) * (3 - len(spacing)) + spacing))
            _, time = least_risk(
                state, sigma if noise is None else noise, [flow], None, self.fidelity, weight
            )
            return replace(self, time=time)
        time = _time_of_least_risk(image, sigma, channel_axis, spacing, self.fidelity)
        return replace(self, time=time)

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        chosen = self.choose(noisy, sigma, channel_axis=channel_axis)
        return heat(
            noisy, chosen.time, fidelity=self.fidelity, spacing=self.spacing,
            channel_axis=channel_axis, device=self.device,
        )  # fmt: skip


def _time_of_least_risk(image, sigma, channel_axis, spacing, fidelity):
    """argmin over t of  Σ_k (1 - m_k)² Y_k² + 2σ² Σ_k m_k,  m_k being mode k's factor at t."""
    from scipy.fft import dctn

    if sigma == 0:
        return 0.0
    planes = image[None] if channel_axis is None else np.moveaxis(image, channel_axis, 0)
    axes = tuple(range(1, planes.ndim))
    power = np.square(dctn(planes.astype(np.float64), axes=axes, norm="ortho")).sum(axis=0)

    def weighted(power, time):  # Σ_k m_k(t) P_k, one axis after the other
        for factor in _decay(planes.shape[1:], spacing, time):
            power = np.tensordot(factor, power, axes=(0, 0))
        return float(power)

    def risk(time):  # m_k(t)² = m_k(2t)
        traces = [factor.sum() for factor in _decay(planes.shape[1:], spacing, time)]
        residual = weighted(power, 2 * time) - 2 * weighted(power, time)
        return residual + 2 * sigma**2 * len(planes) * np.prod(traces)

    def risk_held_back(time):
        m = _held_back(planes.shape[1:], spacing, time, fidelity)
        return ((m - 1) ** 2 * power).sum() + 2 * sigma**2 * len(planes) * m.sum()

    times = min(spacing) ** 2 * np.geomspace(1e-3, 1e3, 139)  # a tenth more each time
    return min([0.0, *(float(f"{t:.4g}") for t in times)], key=risk_held_back if fidelity else risk)
