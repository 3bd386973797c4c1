"""Nonlinear isotropic diffusion: ∂u/∂t = div(g(|∇u|) ∇u)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np

from difffilter.image import as_float
from difffilter.pde.schemes import (
    DIFFUSIVITIES,
    Diffusion,
    as_image,
    as_state,
    check_choice,
    check_mask,
    check_positive,
    check_spacing,
    check_step,
    plan,
    spatial_shape,
)
from difffilter.pde.stopping import best_candidate
from difffilter.sigma import check_sigma, estimate_sigma

__all__ = ["PeronaMalik", "perona_malik"]


def perona_malik(
    image,
    time=None,
    kappa=None,
    *,
    sigma=None,
    diffusivity="exponential",
    presmooth=0.0,
    spacing=None,
    mask=None,
    channel_axis=None,
    coupled=True,
    scheme="explicit",
    step=None,
    callback=None,
    full_output=False,
):
    """Smooth an image, but not across its edges: ∂u/∂t = div(g(|∇u|) ∇u) [1]_.

    Where the gradient s is below κ, the image diffuses; where it is above, it hardly does.

    Parameters
    ----------
    image : array_like
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1].
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least risk (see
        Notes).
    kappa : float, optional
        Contrast parameter κ, in units of intensity per unit of length; ``None``: of several
        multiples of σ the one of least risk.
    sigma : float, optional
        Standard deviation of the noise, in units of intensity, for what is chosen here; ``None``:
        it is estimated. Not used when time, kappa and diffusivity are given.
    diffusivity : str, optional
        With q = (s/κ)²: ``"exponential"`` exp(-q) and ``"rational"`` 1/(1+q) [1]_,
        ``"charbonnier"`` 1/√(1+q), ``"tukey"`` (1-q)² below κ and 0 above [3]_, ``"weickert"``
        1 - exp(-3.31488/q⁴) [4]_; ``None``: of those in `CHOICES` the one of least risk.
    presmooth : float, optional
        0: the paper's own scheme, in which the diffusivity of a face between two pixels follows
        from their difference. Above 0: it follows from the gradient of the image smoothed by a
        Gaussian of this standard deviation, in units of length (regularised diffusion [2]_);
        ``None``: of those in `CHOICES` the one of least risk.
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    mask : array_like of bool, optional
        Of the image's spatial shape. Nothing changes where it is false, and nothing flows through.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    coupled : bool
        Whether one diffusivity, from the norm of the gradient over the channels, serves all of
        them; if not, each channel is filtered as an image of its own (with the same parameters).
    scheme : {"explicit"}
        Forward Euler in time, with face fluxes that conserve the mean.
    step : float, optional
        Largest time step, at most 1/(2 Σ 1/h²) (1/4 in 2-D and 1/6 in 3-D with spacing 1), up to
        which the extrema are kept; ``None``: 0.8 of that.
    callback : callable, optional
        Called as ``callback(time, image)`` after every step, with a copy of the image so far;
        the evolution stops when it returns a true value.
    full_output : bool
        Whether to return what was chosen, too.

    Returns
    -------
    ndarray
        Same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed), kappa, time (that was
        reached), diffusivity, presmooth, step (its actual size) and steps.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the step is above the stability bound.

    Notes
    -----
    What is ``None`` is chosen from the image alone, and always alike: each combination of
    diffusivity and κ evolves beside a copy with a trace of extra noise, which gives an unbiased
    estimate of the mean squared error at every time (MC-SURE [5]_); the least of all wins. Large
    images are judged by evenly spread tiles. The estimate supposes white Gaussian noise.

    References
    ----------
    .. [1] P. Perona, J. Malik, "Scale-space and edge detection using anisotropic diffusion", IEEE
       Trans. Pattern Analysis and Machine Intelligence 12(7), 1990.
    .. [2] F. Catté, P.-L. Lions, J.-M. Morel, T. Coll, "Image selective smoothing and edge
       detection by nonlinear diffusion", SIAM J. Numerical Analysis 29(1), 1992.
    .. [3] M. J. Black, G. Sapiro, D. H. Marimont, D. Heeger, "Robust anisotropic diffusion", IEEE
       Trans. Image Processing 7(3), 1998.
    .. [4] J. Weickert, "Anisotropic Diffusion in Image Processing", Teubner, 1998.
    .. [5] S. Ramani, T. Blu, M. Unser, "Monte-Carlo SURE", IEEE Trans. Image Processing 17(9),
       2008.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> step_edge = np.repeat([0.2, 0.8], 32) * np.ones((64, 1))
    >>> noisy = step_edge + rng.normal(0, 0.05, (64, 64))
    >>> smooth, chosen = perona_malik(noisy, full_output=True)
    >>> bool(np.abs(smooth - step_edge).mean() < np.abs(noisy - step_edge).mean() / 3)
    True
    >>> sorted(chosen)
    ['diffusivity', 'kappa', 'presmooth', 'sigma', 'step', 'steps', 'time']
    """
    image = as_float(image, channel_axis)
    u, flow, chosen = _settle(
        image, time, kappa, sigma, diffusivity, presmooth, spacing, mask, channel_axis, coupled,
        scheme, step,
    )  # fmt: skip
    count, size = chosen["steps"], chosen["step"]
    if callback is None:
        u, _ = flow.explicit(u, np.empty_like(u), count, size)
    else:
        u, chosen["steps"] = _evolve(u, flow, count, size, callback, image.shape, channel_axis)
        chosen["time"] = chosen["steps"] * size
    result = as_image(u, image.shape, channel_axis)
    return (result, chosen) if full_output else result


def _settle(
    image, time, kappa, sigma, diffusivity, presmooth, spacing, mask, channel_axis, coupled,
    scheme, step,
):  # fmt: skip
    """Check every argument and choose what is None: the state, its diffusion, what was chosen."""
    _check(time, kappa, diffusivity, presmooth, scheme)
    shape = spatial_shape(image, channel_axis)
    spacing = check_spacing(spacing, len(shape))
    flow = Diffusion(
        spacing=(1.0,) * (3 - len(shape)) + spacing,
        mask=check_mask(mask, shape),
    )
    step = check_step(step, shape, spacing)
    if sigma is not None:
        sigma = check_sigma(sigma, image)
    u = as_state(image, channel_axis, coupled=coupled)
    if None in (time, kappa, diffusivity, presmooth):
        if sigma is None:
            sigma = estimate_sigma(image, channel_axis, mask=mask)
        flow, time = _choose(u, sigma, flow, time, kappa, diffusivity, presmooth)
    else:
        flow = replace(flow, kind=DIFFUSIVITIES[diffusivity], kappa=kappa, presmooth=presmooth)
    count, size = plan(time, step)
    names = {code: name for name, code in DIFFUSIVITIES.items()}
    chosen = {"sigma": sigma, "kappa": flow.kappa, "time": time, "diffusivity": names[flow.kind]}
    return u, flow, chosen | {"presmooth": flow.presmooth, "step": size, "steps": count}


def _check(time, kappa, diffusivity, presmooth, scheme):
    """The arguments that can be judged without an image."""
    if time is not None:
        check_positive("time", time, zero=True)
    if kappa is not None:
        check_positive("kappa", kappa)
    if diffusivity is not None:
        check_choice("diffusivity", diffusivity, DIFFUSIVITIES)
    if presmooth is not None:
        check_positive("presmooth", presmooth, zero=True)
    check_choice("scheme", scheme, ("explicit",))


def _evolve(u, flow, count, size, callback, shape, channel_axis):
    """Step by step, until the end or until the callback says stop; the steps that were taken."""
    spare = np.empty_like(u)
    for done in range(1, count + 1):
        u, spare = flow.explicit(u, spare, 1, size)
        if callback(done * size, as_image(u.copy(), shape, channel_axis)):
            return u, done
    return u, count


# --- choosing -------------------------------------------------------------------------------

# Candidates that did best together on training photographs: diffusivity and presmooth, and κ in
# multiples of σ.
CHOICES = {
    ("rational", 0.0): (0.7, 1.0),
    ("rational", 0.5): (0.1, 0.15, 0.3, 0.7),
    ("rational", 0.7): (0.07,),
    ("rational", 1.0): (0.3,),
}

# Where diffusivity and presmooth are settled otherwise: κ in multiples of the standard deviation
# that the noise gives to the gradient.
MULTIPLES = (0.5, 0.7, 1.0, 1.4, 2.0)


def _choose(u, sigma, flow, time, kappa, diffusivity, presmooth):
    """The diffusion and the time with the least estimated risk; what is not None stays."""
    if sigma == 0:  # nothing to remove
        kind = DIFFUSIVITIES[diffusivity or "exponential"]
        settled = replace(flow, kind=kind, kappa=kappa or 1.0, presmooth=presmooth or 0.0)
        return settled, 0.0 if time is None else time
    choices = {
        (kind, blur): [m * sigma for m in multiples]
        for (kind, blur), multiples in CHOICES.items()
        if diffusivity in (None, kind) and presmooth in (None, blur)
    }
    if not choices:
        for blur in (0.0, 0.5) if presmooth is None else (presmooth,):
            noise = sigma * _gradient_gain(replace(flow, presmooth=blur), u.shape[2:])
            choices[diffusivity or "rational", blur] = [m * noise for m in MULTIPLES]
    flows = [
        replace(flow, kind=DIFFUSIVITIES[kind], presmooth=blur, kappa=_rounded(k))
        for (kind, blur), kappas in choices.items()
        for k in ([kappa] if kappa else kappas)
    ]
    best = best_candidate(u, sigma, flows, time)
    return best.diffusion, _rounded(best.time) if time is None else time


def _rounded(value):
    """Four digits: as good, and better to read and to pass on."""
    return float(f"{value:.4g}")


def _gradient_gain(flow, volume):
    """The standard deviation of a measured derivative of white noise with σ = 1."""
    if not flow.presmooth:
        return math.sqrt(2) / min(flow.spacing[-2:])
    # By the response to a single dot, away from the border.
    reach = math.ceil(6 * flow.presmooth / min(flow.spacing)) + 2
    dot = np.zeros((1, 1, *(2 * reach + 1 if n > 1 else 1 for n in volume)))
    dot[tuple(n // 2 for n in dot.shape)] = 1.0
    smooth, _ = flow.smoothed(dot, np.empty_like(dot), np.empty_like(dot))
    return math.sqrt(np.square(np.gradient(smooth, flow.spacing[-1], axis=-1)).sum())


@dataclass(frozen=True)
class PeronaMalik:
    """Perona–Malik diffusion as a Denoiser.

    Attributes
    ----------
    kappa, time, diffusivity, presmooth : optional
        As for `perona_malik`; ``None``: chosen from the noisy image.
    spacing, coupled, scheme, step
        As for `perona_malik`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> PeronaMalik(diffusivity="rational").choose(noisy, 0.1).kappa >= 0.07
    True
    """

    kappa: float | None = None
    time: float | None = None
    diffusivity: str | None = None
    presmooth: float | None = None
    spacing: float | tuple[float, ...] | None = None
    coupled: bool = True
    scheme: str = "explicit"
    step: float | None = None

    def __post_init__(self):
        _check(self.time, self.kappa, self.diffusivity, self.presmooth, self.scheme)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy with kappa, time, diffusivity and presmooth that suit this image and noise."""
        image = as_float(noisy, channel_axis)
        _, _, chosen = _settle(
            image, mask=None, sigma=sigma, channel_axis=channel_axis, **asdict(self)
        )
        keys = ("kappa", "time", "diffusivity", "presmooth")
        return replace(self, **{key: chosen[key] for key in keys})

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return perona_malik(noisy, sigma=sigma, channel_axis=channel_axis, **asdict(self))
