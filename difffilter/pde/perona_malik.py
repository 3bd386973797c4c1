"""Nonlinear isotropic diffusion: ∂u/∂t = div(g(|∇u|) ∇u)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from difffilter.denoiser import Denoiser
from difffilter.devices import as_array
from difffilter.noise.estimation import check_sigma
from difffilter.pde.backends.arrays import home_of
from difffilter.pde.choose.kappa import PEAKS, check_kappa, contrast
from difffilter.pde.choose.risk_side_by_side import best_candidate
from difffilter.pde.evolving import Biased, Stepping, least_risk
from difffilter.pde.solve.schemes import (
    DIFFUSIVITIES,
    Diffusion,
    as_state,
    check_choice,
    check_mask,
    check_positive,
    check_spacing,
    check_step,
    spatial_shape,
)
from difffilter.pde.solve.steps import SCHEMES, settle
from difffilter.search_space import Choice, Range

__all__ = ["PeronaMalik", "perona_malik"]


def perona_malik(
    image,
    time=None,
    kappa=None,
    *,
    sigma=None,
    diffusivity="exponential",
    presmooth=0.0,
    fidelity=0.0,
    spacing=None,
    mask=None,
    channel_axis=None,
    coupled=True,
    scheme="auto",
    step=None,
    tol=None,
    callback=None,
    full_output=False,
    device=None,
):
    """Smooth an image, but not across its edges: ∂u/∂t = div(g(|∇u|) ∇u) [1]_.

    Where the gradient s is below κ, the image diffuses; where it is above, it hardly does.

    Parameters
    ----------
    image : array_like or Tensor
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1]. A
        `torch.Tensor` is filtered on its device, without a gradient.
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least risk (see
        Notes).
    kappa : float or {"mad", "quantile", "sigma"}, optional
        Contrast parameter κ, in units of intensity per unit of length, or a rule that sets it by
        the gradients that the diffusivity looks at. ``"mad"``: the flux s·g(s) is greatest at their
        robust standard deviation, 1.4826 times the median of their absolute values [3]_.
        ``"quantile"``: 90 % of them are below κ [1]_. ``"sigma"``: κ is the standard deviation that
        the noise gives to them, √2 σ between neighbours. ``None``: of several multiples of σ the
        one of least risk.
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
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls u back to the image f (biased diffusion [8]_), in units of
        one over time. With it the evolution ends in a state that keeps some of the image. The steps
        of the scheme and of this term take turns (see `difffilter.pde.evolving.Biased`).
    spacing : float or sequence of float, optional
        Distance of the pixels along each spatial axis; ``None``: 1.
    mask : array_like of bool, optional
        Of the image's spatial shape. Nothing changes where it is false, and nothing flows through.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    coupled : bool
        Whether one diffusivity, from the norm of the gradient over the channels, serves all of
        them; if not, each channel is filtered as an image of its own (with the same parameters).
    scheme : {"auto", "explicit", "fsi", "aos"}
        How to step in time; all conserve the mean. ``"explicit"``: forward Euler, the reference,
        which keeps the extrema. ``"fsi"``: cycles of explicit steps that extrapolate, n of them
        covering the time of n(n+1)/3 (fast semi-iterative scheme [6]_). ``"aos"``: implicit steps
        of any size, which keep the extrema (additive operator splitting [7]_). ``"auto"``:
        explicit if there is a step or a callback; else cycles if they keep to the tolerance with
        fewer steps than 0.8 of the stability bound asks for, which they do for long times; else
        explicit steps that keep to it.
    step : float, optional
        Largest time step of the explicit scheme, at most 1/(2 Σ 1/h²) (1/4 in 2-D and 1/6 in 3-D
        with spacing 1); or of an implicit step; or the length of a cycle. ``None``: chosen to keep
        to the tolerance, or, for the explicit scheme without one, 0.8 of the bound.
    tol : float, optional
        How far, root mean square, the steps in time may lead from the solution, in units of
        intensity, as judged on a part of the image; not used with a step. ``None``: 0.5/255.
    callback : callable, optional
        Called as ``callback(time, image)`` after every step or cycle, with a copy of the image so
        far; the evolution stops when it returns a true value.
    full_output : bool
        Whether to return what was chosen, too.
    device : str, optional
        Where to filter: a PyTorch device, such as ``"cuda"``, or ``"auto"``, which is CUDA if there
        is one. Arrays filtered elsewhere come back as arrays, tensors to where they were. ``None``:
        where the image is.

    Returns
    -------
    ndarray or Tensor
        As the input is; same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed), kappa, time (that was
        reached), diffusivity, presmooth, scheme, step (the actual size of a step or cycle) and
        steps (of the cycles as well).

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, the step is above the stability bound, there is no
        such device, or the scheme is ``"aos"`` elsewhere than on the CPU.

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
    .. [6] D. Hafner, P. Ochs, J. Weickert, M. Reißel, S. Grewenig, "FSI schemes: fast
       semi-iterative solvers for PDEs and optimisation methods", GCPR 2016.
    .. [7] J. Weickert, B. M. ter Haar Romeny, M. A. Viergever, "Efficient and reliable schemes for
       nonlinear diffusion filtering", IEEE Trans. Image Processing 7(3), 1998.
    .. [8] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.

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
    ['diffusivity', 'kappa', 'presmooth', 'scheme', 'sigma', 'step', 'steps', 'time']
    """
    home = home_of(image, device)
    image = home.as_float(image, channel_axis)
    if scheme == "auto" and callback is not None:
        scheme = "explicit"
    u, flow, plan, chosen = _settle(
        home, image, time, kappa, sigma, diffusivity, presmooth, fidelity, spacing, mask, channel_axis,
        coupled, scheme, step, tol,
    )  # fmt: skip
    if fidelity:
        biased = Biased(Stepping(flow, plan.scheme, plan.size), fidelity, u.copy())
        advance = partial(biased.evolve, time=plan.size)
    else:
        advance = partial(home.run, replace(plan, count=1), flow)
    if callback is not None:
        u, done = _watch(home, u, advance, plan, callback, image.shape, channel_axis)
        chosen["time"] = done * plan.size
        chosen["steps"] = replace(plan, count=done).steps(u.shape[2:], flow.spacing)
    else:
        u = biased.evolve(u, chosen["time"]) if fidelity else home.run(plan, flow, u)
    result = home.as_image(u, image.shape, channel_axis)
    return (result, chosen) if full_output else result


def _settle(
    home, image, time, kappa, sigma, diffusivity, presmooth, fidelity, spacing, mask, channel_axis,
    coupled, scheme, step, tol, weight=None, deviation=None,
):  # fmt: skip
    """Check every argument and choose what is None: state, diffusion, plan, what was chosen."""
    _check(time, kappa, diffusivity, presmooth, fidelity, scheme, step, tol)
    home.check(scheme, kappa, fidelity)
    shape = spatial_shape(image, channel_axis)
    spacing = check_spacing(spacing, len(shape))
    flow = Diffusion(
        spacing=(1.0,) * (3 - len(shape)) + spacing,
        mask=check_mask(as_array(mask), shape),
    )
    if scheme in ("auto", "explicit"):
        check_step(step, shape, spacing)
    if sigma is not None:
        sigma = check_sigma(sigma, home.extremes(image))
    u = home.as_state(image, channel_axis, coupled=coupled)
    seen = home.judged(u)
    if sigma is None and (None in (time, kappa, diffusivity, presmooth) or kappa == "sigma"):
        sigma = home.estimate_sigma(image, channel_axis, flow.mask)
    if isinstance(kappa, str) and None not in (diffusivity, presmooth):
        flow = replace(flow, kind=DIFFUSIVITIES[diffusivity], presmooth=presmooth)
        kappa = _by_rule(kappa, seen, sigma, flow)
    if None in (time, kappa, diffusivity, presmooth):
        weight, deviation = (
            None if array is None else as_state(array, channel_axis, coupled=coupled)
            for array in (weight, deviation)
        )
        flow, time = _choose(
            seen, sigma, flow, time, kappa, diffusivity, presmooth, fidelity, weight, deviation
        )
    else:
        flow = replace(flow, kind=DIFFUSIVITIES[diffusivity], kappa=kappa, presmooth=presmooth)
    if fidelity and scheme == "auto":
        scheme = "explicit"  # a cycle is too long to take turns with
    plan = settle(seen, flow, time, scheme, step, tol)
    chosen = {"sigma": sigma, "kappa": flow.kappa, "time": time, "diffusivity": NAMES[flow.kind]}
    chosen |= {"presmooth": flow.presmooth, "scheme": plan.scheme, "step": plan.size}
    return u, flow, plan, chosen | {"steps": plan.steps(u.shape[2:], flow.spacing)}


def _by_rule(rule, u, sigma, flow):
    """κ by a rule of `contrast`, for the gradients that a diffusion looks at."""
    seen = u
    if flow.presmooth:
        seen = np.empty_like(u)
        flow.smooth(u, seen)
    return contrast(
        rule, seen, sigma, flow.spacing, mask=flow.mask, presmoothed=flow.presmooth > 0,
        gain=_gradient_gain(flow, u.shape[2:]), peak=PEAKS[NAMES[flow.kind]],
    )  # fmt: skip


def _check(time, kappa, diffusivity, presmooth, fidelity, scheme, step, tol):
    """The arguments that can be judged without an image."""
    if time is not None:
        check_positive("time", time, zero=True)
    check_kappa(kappa)
    check_positive("fidelity", fidelity, zero=True)
    if diffusivity is not None:
        check_choice("diffusivity", diffusivity, DIFFUSIVITIES)
    if presmooth is not None:
        check_positive("presmooth", presmooth, zero=True)
    check_choice("scheme", scheme, SCHEMES)
    if step is not None:
        check_positive("step", step)
    if tol is not None:
        check_positive("tol", tol)


def _watch(home, u, advance, plan, callback, shape, channel_axis):
    """One step or cycle after the other, until the end or the callback says stop; and how many."""
    for done in range(1, plan.count + 1):
        u = advance(u)
        if callback(done * plan.size, home.as_image(home.copy(u), shape, channel_axis)):
            return u, done
    return u, plan.count


NAMES = {code: name for name, code in DIFFUSIVITIES.items()}

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


def _choose(
    u, sigma, flow, time, kappa, diffusivity, presmooth, fidelity, weight, deviation
):  # fmt: skip
    """The diffusion and the time with the least estimated risk; what is not None stays."""
    if sigma == 0:  # nothing to remove
        kind = DIFFUSIVITIES[diffusivity or "exponential"]
        settled = replace(flow, kind=kind, presmooth=presmooth or 0.0)
        if isinstance(kappa, str):
            kappa = _by_rule(kappa, u, sigma, settled)
        return replace(settled, kappa=kappa or 1.0), 0.0 if time is None else time
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
        for k in (kappas if kappa is None or isinstance(kappa, str) else [kappa])
    ]
    if isinstance(kappa, str):
        flows = dict.fromkeys(replace(f, kappa=_by_rule(kappa, u, sigma, f)) for f in flows)
    if fidelity or weight is not None or deviation is not None:
        noise = sigma if deviation is None else deviation
        best, at = least_risk(u, noise, [Stepping(f) for f in flows], time, fidelity, weight)
        return best.diffusion, at
    best = best_candidate(u, sigma, flows, time)
    return best.diffusion, _rounded(best.time) if time is None else time


def _rounded(value):
    """Four digits: as good, and better to read and to pass on."""
    return float(f"{value:.4g}")


def _gradient_gain(flow, volume):
    """The standard deviation of a measured derivative of white noise with σ = 1."""
    long = [axis for axis, n in enumerate(volume) if n > 1]
    if not (flow.presmooth and long):
        return math.sqrt(2) / min(flow.spacing[-2:])
    # By the response to a single dot, away from the border.
    reach = math.ceil(6 * flow.presmooth / min(flow.spacing)) + 2
    dot = np.zeros((1, 1, *(2 * reach + 1 if n > 1 else 1 for n in volume)))
    dot[tuple(n // 2 for n in dot.shape)] = 1.0
    smooth = np.empty_like(dot)
    flow.smooth(dot, smooth)
    slope = np.gradient(smooth, flow.spacing[long[-1]], axis=2 + long[-1])
    return math.sqrt(np.square(slope).sum())


@dataclass(frozen=True)
class PeronaMalik(Denoiser):
    """Perona–Malik diffusion as a Denoiser.

    Attributes
    ----------
    kappa, time, diffusivity, presmooth : optional
        As for `perona_malik`; ``None``: chosen from the noisy image.
    spacing, coupled, scheme, step, tol, fidelity, device
        As for `perona_malik`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> PeronaMalik(diffusivity="rational").choose(noisy, 0.1).kappa >= 0.07
    True
    """

    SEARCH: ClassVar[dict] = {
        "diffusivity": Choice(tuple(DIFFUSIVITIES)),
        "presmooth": Choice((0.0, 0.5, 0.7)),
        "kappa": Range(0.03, 5, per_sigma=True),
        "time": Range(0.1, 200, along=True),
    }

    kappa: float | str | None = None
    time: float | None = None
    diffusivity: str | None = None
    presmooth: float | None = None
    spacing: float | tuple[float, ...] | None = None
    coupled: bool = True
    scheme: str = "auto"
    step: float | None = None
    tol: float | None = None
    fidelity: float = 0.0
    device: str | None = None

    def __post_init__(self):
        _check(
            self.time,
            self.kappa,
            self.diffusivity,
            self.presmooth,
            self.fidelity,
            self.scheme,
            self.step,
            self.tol,
        )

    def choose(self, noisy, sigma=None, *, channel_axis=None, weight=None, deviation=None):
        """A copy with every parameter that is None, and the scheme, set to suit image and noise.

        With `weight`, of the image's shape, errors count as much as it says; with `deviation`, the
        noise has that standard deviation at each pixel.
        """
        home = home_of(noisy, self.device)
        image = home.as_float(noisy, channel_axis)
        given = asdict(self)
        del given["device"]
        *_, chosen = _settle(
            home, image, mask=None, sigma=sigma, channel_axis=channel_axis, weight=weight,
            deviation=deviation, **given,
        )  # fmt: skip
        keys = ["kappa", "time", "diffusivity", "presmooth"]
        if self.step is None and chosen["steps"]:
            # Rounded up, which leaves the number of steps as it is.
            chosen["step"] = float(f"{chosen['step'] * 1.0005:.4g}")
            keys += ["scheme", "step"]
        return replace(self, **{key: chosen[key] for key in keys})

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return perona_malik(noisy, sigma=sigma, channel_axis=channel_axis, **asdict(self))
