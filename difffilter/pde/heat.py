"""Linear diffusion: ∂u/∂t = Δu."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from difffilter.checks import check_choice
from difffilter.denoiser import rounded
from difffilter.docstring import shared
from difffilter.image import as_float, spatial_shape, unmasked
from difffilter.labels import keeps_labels
from difffilter.noise.model import NoiseModel, Sigma
from difffilter.pde.filter import Callback, PDEFilter, Spacing, least_risk_of
from difffilter.pde.problem import pose, with_ample_range
from difffilter.pde.solve.halo import heat_halo
from difffilter.pde.solve.schemes import Diffusion
from difffilter.pde.solve.stability import check_step
from difffilter.search_space import Range

__all__ = ["Heat", "heat"]


@shared
@keeps_labels
def heat(
    image: Any,
    time: float | None = None,
    *,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    scheme: str = "exact",
    step: float | None = None,
    device: str | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image by the heat equation ∂u/∂t = Δu with reflecting borders [1]_.

    Time t blurs by a Gaussian of standard deviation √(2t).

    Parameters
    ----------
    image : array_like or Tensor
        One or more axes besides the channels (up to three for the explicit scheme, two or three to
        have the time chosen); integers are scaled to [0, 1]. A `torch.Tensor` is filtered on its
        device, without a gradient.
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least risk. For a
        linear filter Stein's estimate of the mean squared error is a sum over the cosine modes and
        needs no simulation [2]_.
    %(fidelity)s
    %(spacing)s
    scheme : {"exact", "explicit"}
        ``"exact"`` solves the equation discretised in space exactly: the cosine mode k decays by
        e^(-rt) with r = 4 Σ sin²(πk/2N)/h², and with a fidelity term by (λ + r e^(-(λ+r)t))/(λ+r).
        ``"explicit"`` is forward Euler; a mask or a callback implies it.
    step : float, optional
        Largest time step of the explicit scheme, at most 1/(2 Σ 1/h²); ``None``: 0.8 of that.
    device : str, optional
        Where to filter, as for `perona_malik`.
    sigma : float, optional
        Standard deviation of the noise in units of intensity, for the choice of the time; ``None``:
        estimated from the image.
    channel_axis : int, optional
        The axis of the channels, which do not mix; ``None``: no channels.
    mask : array_like of bool, optional
        Of the image's spatial shape. Nothing changes where it is false, and nothing flows through.
    callback : callable, optional
        Called as ``callback(time, image)`` after every time step, with a copy of the image so far;
        the evolution stops when it returns a true value.
    full_output : bool, default False
        Whether to return what was chosen as well.

    Returns
    -------
    ndarray or Tensor
        As the input is; same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed), every parameter, the time
        that was reached, and the number of time steps (0 for the exact scheme).

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above, or the step is above the stability bound.

    References
    ----------
    .. [1] A. P. Witkin, "Scale-space filtering", IJCAI 1983.
    .. [2] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Annals of
       Statistics 9(6), 1981.

    Examples
    --------
    >>> import numpy as np
    >>> dot = np.zeros((9, 9))
    >>> dot[4, 4] = 1.0
    >>> round(float(heat(dot, 0.5)[4, 4]), 3)
    0.217
    """
    return Heat(
        time=time, fidelity=fidelity, spacing=spacing, scheme=scheme, step=step, device=device
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Heat(PDEFilter):
    """Heat equation: a Gaussian blur of known width, for scale spaces.

    Parameters are those of `heat`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> Heat().choose(noisy, 0.1).time > 5
    True
    """

    time: float | None = None
    fidelity: float = 0.0
    spacing: Spacing = None
    scheme: str = "exact"
    step: float | None = None
    device: str | None = None

    takes_tensors: ClassVar[bool] = True
    SEARCH: ClassVar = {"time": Range(1e-3, 1e3)}

    def __post_init__(self):
        super().__post_init__()
        check_choice("scheme", self.scheme, ("exact", "explicit"))
        if self.scheme == "exact" and self.step is not None:
            raise ValueError(
                f"step is {self.step}, which goes with scheme='explicit'; expected None"
            )

    def with_gradient(self, noisy, sigma=None, *, channel_axis=None):
        return self._differentiated(noisy, sigma, channel_axis)

    def choose_on(self, tiles, sigma=None, *, channel_axis=None):
        if isinstance(sigma, NoiseModel):  # which is one of the image's own channels
            return super().choose_on(tiles, sigma, channel_axis=channel_axis)
        # Linear, so that tiles may pass for channels, which leaves no seams between them.
        last = np.moveaxis(tiles, 0, -1)
        spatial = tiles.shape[1:] if channel_axis is None else tiles.shape[1:-1]
        return self.choose(last.reshape(*spatial, -1), sigma, channel_axis=-1)

    def solve(self, image, sigma=None, *, mask=None, callback=None, **options):
        image, mask = unmasked(image, mask, options.get("channel_axis"))
        if self.scheme == "exact" and not (mask is None and callback is None):
            explicit = replace(self, scheme="explicit")
            return explicit.solve(image, sigma, mask=mask, callback=callback, **options)
        return super().solve(image, sigma, mask=mask, callback=callback, **options)

    def _pose(self, image, sigma, channel_axis, mask=None):
        problem = pose(
            image, sigma, channel_axis, spacing=self.spacing, mask=mask, device=self.device,
            axes=None if self.scheme == "exact" else (1, 2, 3),
        )  # fmt: skip
        problem.backend.check(fidelity=self.fidelity)
        if self.scheme == "explicit":
            check_step(self.step, problem.volume, problem.spacing)
        return with_ample_range(problem)

    def _settle(self, problem):
        flow = Diffusion(spacing=problem.spacing, mask=problem.mask, step=self.step)
        if self.time is not None:
            return self, flow
        image, channel_axis = problem.backend.host_image(problem.image, problem.channel_axis)
        image = as_float(image, channel_axis)  # which has 2 or 3 axes besides the channels
        sigma = problem.strength()
        uneven = (problem.weight, problem.deviation, problem.mask, problem.model)
        if sigma == 0:
            time = 0.0
        elif any(each is not None for each in uneven):
            _, time = least_risk_of(problem, [flow], fidelity=self.fidelity)
        else:
            time = _time_of_least_risk(image, sigma, channel_axis, _spacing(problem), self.fidelity)
        return replace(self, time=time), flow

    def _solution(self, problem, evolution, callback):
        if self.scheme == "explicit":
            return super()._solution(problem, evolution, callback)
        image, channel_axis, spacing = problem.image, problem.channel_axis, _spacing(problem)
        shape, axes = spatial_shape(image, channel_axis), _spatial_axes(image, channel_axis)
        if self.fidelity:
            factors = _held_back(shape, spacing, self.time, self.fidelity)
            factors = [factors if channel_axis is None else np.expand_dims(factors, channel_axis)]
        else:
            factors = [
                factor.reshape((-1,) + (1,) * (image.ndim - 1 - axis))
                for axis, factor in zip(axes, _decay(shape, spacing, self.time), strict=True)
            ]
        result = problem.backend.damped(image, axes, factors)
        return problem.in_dtype(result), {"time": self.time, "steps": 0}

    def _halo(self, spacing):
        return heat_halo(self.time, spacing)


def _spacing(problem):
    """h for the spatial axes that the image has."""
    return problem.spacing[-len(spatial_shape(problem.image, problem.channel_axis)) :]


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
    return min([0.0, *(rounded(t) for t in times)], key=risk_held_back if fidelity else risk)
