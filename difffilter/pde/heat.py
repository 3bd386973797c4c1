"""Linear diffusion: ∂u/∂t = Δu."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from difffilter.denoiser import prepare
from difffilter.pde.homes import home_of
from difffilter.pde.planning import Plan
from difffilter.pde.schemes import (
    Diffusion,
    check_choice,
    check_positive,
    check_spacing,
    check_step,
    plan,
    spatial_shape,
)

__all__ = ["Heat", "heat"]


def heat(image, time, *, spacing=None, channel_axis=None, scheme="exact", step=None, device=None):
    """Smooth an image by the heat equation ∂u/∂t = Δu with reflecting borders.

    Time t blurs by a Gaussian of standard deviation √(2t).

    Parameters
    ----------
    image : array_like or Tensor
        One or more axes besides the channels (up to three for the explicit scheme); integers are
        scaled to [0, 1].
    time : float
        How long to diffuse, in units of length squared (pixels squared with spacing 1); ≥ 0.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    channel_axis : int, optional
        The axis of the channels, which do not mix; ``None``: no channels.
    scheme : {"exact", "explicit"}
        ``"exact"`` solves the equation discretised in space exactly: the cosine mode k decays by
        exp(-4t Σ sin²(πk/2N)/h²). ``"explicit"`` is the textbook's forward Euler.
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
    shape = spatial_shape(image, channel_axis)
    spacing = check_spacing(spacing, len(shape))
    if scheme == "explicit":
        steps = Plan("explicit", *plan(time, check_step(step, shape, spacing)))
        diffusion = Diffusion(spacing=(1.0,) * (3 - len(shape)) + spacing)
        u = home.run(steps, diffusion, home.as_state(image, channel_axis))
        return home.as_image(u, image.shape, channel_axis)
    if step is not None:
        raise ValueError("step goes with scheme='explicit'; the exact scheme takes none")
    return home.damped(image, _spatial_axes(image, channel_axis), _decay(shape, spacing, time))


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


@dataclass(frozen=True)
class Heat:
    """The heat equation as a Denoiser.

    Attributes
    ----------
    time : float, optional
        As for `heat`; ``None``: the time of least risk. For a linear filter Stein's estimate of
        the mean squared error is a sum over the cosine modes and needs no simulation.
    spacing : float or tuple of float, optional
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

    time: float | None = None
    spacing: float | tuple[float, ...] | None = None
    device: str | None = None

    def __post_init__(self):
        if self.time is not None:
            check_positive("time", self.time, zero=True)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy with the time that suits this image and noise."""
        if self.time is not None:
            return self
        home = home_of(noisy, self.device)
        noisy, channel_axis = home.shown(home.as_float(noisy, channel_axis), channel_axis)
        image, sigma = prepare(noisy, sigma, channel_axis)
        spacing = check_spacing(self.spacing, len(spatial_shape(image, channel_axis)))
        return replace(self, time=_time_of_least_risk(image, sigma, channel_axis, spacing))

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        chosen = self.choose(noisy, sigma, channel_axis=channel_axis)
        return heat(
            noisy, chosen.time, spacing=self.spacing, channel_axis=channel_axis, device=self.device
        )


def _time_of_least_risk(image, sigma, channel_axis, spacing):
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

    times = min(spacing) ** 2 * np.geomspace(1e-3, 1e3, 139)  # a tenth more each time
    return min([0.0, *(float(f"{t:.4g}") for t in times)], key=risk)
