"""Nonlinear isotropic diffusion: ∂u/∂t = div(g(|∇u|) ∇u)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from difffilter.checks import check_choice
from difffilter.denoiser import rounded
from difffilter.docstring import shared
from difffilter.labels import keeps_labels
from difffilter.noise.model import Sigma
from difffilter.pde.choose.kappa import PEAKS, contrast
from difffilter.pde.filter import Callback, PDEFilter, Spacing, least_risk_of
from difffilter.pde.kernels.threads import threads_for
from difffilter.pde.problem import pose, with_ample_range
from difffilter.pde.solve.halo import FARTHEST, aos_halo, heat_halo, steps_taken
from difffilter.pde.solve.schemes import DIFFUSIVITIES, Diffusion
from difffilter.pde.solve.stability import SAFETY, check_step, equal_steps, stability_bound
from difffilter.pde.solve.steps import CHOICES as SCHEMES
from difffilter.pde.solve.steps import TOLERANCE, Plan, plan_steps
from difffilter.search_space import Choice, Range

__all__ = ["PeronaMalik", "perona_malik"]

NAMES = {code: name for name, code in DIFFUSIVITIES.items()}

# Candidates that did best together on training photographs: diffusivity and presmooth, and κ in
# multiples of σ.
CHOICES = {
    ("rational", 0.0): (0.7, 1.0),
    ("rational", 0.5): (0.1, 0.15, 0.3, 0.7),
    ("rational", 0.7): (0.07,),
    ("rational", 1.0): (0.3,),
}

# For other diffusivities and presmoothing: κ in multiples of the standard deviation that the noise
# gives to the gradient.
MULTIPLES = (0.5, 0.7, 1.0, 1.4, 2.0)


@shared
@keeps_labels
def perona_malik(
    image: Any,
    time: float | None = None,
    *,
    kappa: float | str | None = None,
    diffusivity: str | None = None,
    presmooth: float | None = None,
    coupled: bool = True,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    scheme: str = "auto",
    step: float | None = None,
    tol: float | None = None,
    device: str | None = None,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image, but not across its edges: ∂u/∂t = div(g(|∇u|) ∇u) [1]_.

    Where the gradient s is below κ, the image diffuses; where it is above, it hardly does.

    Parameters
    ----------
    image : array_like or Tensor
        ``(H, W)`` or ``(D, H, W)``, or either with channels; integers are scaled to [0, 1]. A
        `torch.Tensor` is filtered on its device, without a gradient.
    %(time)s
    kappa : float or {"mad", "quantile", "sigma"}, optional
        Contrast parameter κ, in units of intensity per unit of length, or a rule that sets it by
        the gradients that the diffusivity depends on. ``"mad"``: the flux s·g(s) is greatest at their
        robust standard deviation, 1.4826 times the median of their absolute values [3]_.
        ``"quantile"``: 90 % of them are below κ [1]_. ``"sigma"``: κ is the standard deviation that
        the noise gives to them, √2 σ between neighbours. ``None``: of several multiples of σ, the
        one of least risk.
    diffusivity : str, optional
        With q = (s/κ)²: ``"exponential"`` exp(-q) and ``"rational"`` 1/(1+q) [1]_,
        ``"charbonnier"`` 1/√(1+q), ``"tukey"`` (1-q)² below κ and 0 above [3]_, ``"weickert"``
        1 - exp(-3.31488/q⁴) [4]_; ``None``: of those in `CHOICES`, the one of least risk.
    presmooth : float, optional
        0: the paper's own scheme, in which the diffusivity of a face between two pixels follows
        from their difference. Above 0: it follows from the gradient of the image smoothed by a
        Gaussian of this standard deviation, in units of length (regularised diffusion [2]_);
        ``None``: of those in `CHOICES`, the one of least risk.
    coupled : bool, default True
        Whether one diffusivity, from the norm of the gradient over the channels, serves all of
        them; if not, each channel is filtered as an image of its own (with the same parameters).
    fidelity : float, default 0
        λ of a term λ(f - u) that pulls u back to the image f (biased diffusion [8]_), in units of
        one over time. The evolution then ends in a state that keeps some of the image. The steps
        of the scheme and of this term take turns (Strang splitting).
    %(spacing)s
    scheme : {"auto", "explicit", "fsi", "aos"}
        How to step in time; all conserve the mean. ``"explicit"``: forward Euler, the reference,
        which keeps the extrema. ``"fsi"``: cycles of explicit steps that extrapolate, n of them
        covering the time of n(n+1)/3 (fast semi-iterative scheme [6]_). ``"aos"``: implicit steps
        of any size, which keep the extrema (additive operator splitting [7]_). ``"auto"``:
        explicit with a step, a callback or a fidelity term; otherwise cycles if they keep to the
        tolerance with fewer steps than 0.8 of the stability bound asks for, which they do for long
        times, and explicit steps that keep to it if not.
    step : float, optional
        Largest time step of the explicit scheme, at most 1/(2 Σ 1/h²) (1/4 in 2-D and 1/6 in 3-D
        with spacing 1); or of an implicit step; or the length of a cycle. ``None``: chosen to keep
        to the tolerance, or, for the explicit scheme without one, 0.8 of the bound.
    tol : float, optional
        Largest root-mean-square error of the time stepping, in units of intensity, as estimated on
        a sample of the image; not used with a step. ``None``: 0.5/255 of the range of
        intensities.
    device : str, optional
        A PyTorch device that filters, such as ``"cuda"``, or ``"auto"``, which is CUDA if available;
        ``None``: the device of the image. Results are arrays for arrays, and for tensors they are
        tensors on the device of the image.
    sigma : float, optional
        Standard deviation of the noise in units of intensity, for what is chosen; ``None``:
        estimated from the image. Not used where every parameter is given.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    mask : array_like of bool, optional
        Of the image's spatial shape. Nothing changes where it is false, and nothing flows through.
    callback : callable, optional
        Called as ``callback(time, image)`` after every step or cycle, with a copy of the image so
        far; the evolution stops when it returns a true value.
    full_output : bool, default False
        Whether to return what was chosen as well.

    Returns
    -------
    ndarray or Tensor
        As the input is; same shape; float32, or float64 for float64 input.
    dict
        Only with ``full_output``: sigma (None if it was not needed), every parameter, the time
        that was reached, and the number of time steps, those of cycles included.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described above, the step is above the stability bound, there is no
        such device, or the scheme is ``"aos"`` on another device than the CPU.

    Notes
    -----
    %(choosing)s

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
       2008: see Notes.
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
    >>> chosen["diffusivity"], chosen["steps"] > 0
    ('rational', True)
    """
    return PeronaMalik(
        time=time, kappa=kappa, diffusivity=diffusivity, presmooth=presmooth, coupled=coupled,
        fidelity=fidelity, spacing=spacing, scheme=scheme, step=step, tol=tol, device=device,
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PeronaMalik(PDEFilter):
    """Perona–Malik diffusion: fast, keeps edges in place; for large images and volumes.

    Parameters are those of `perona_malik`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> PeronaMalik(diffusivity="rational").choose(noisy, 0.1).kappa >= 0.07
    True
    """

    time: float | None = None
    kappa: float | str | None = None
    diffusivity: str | None = None
    presmooth: float | None = None
    coupled: bool = True
    fidelity: float = 0.0
    spacing: Spacing = None
    scheme: str = "auto"
    step: float | None = None
    tol: float | None = None
    device: str | None = None

    takes_tensors: ClassVar[bool] = True
    CHOSEN: ClassVar = ("kappa", "diffusivity", "presmooth")
    SEARCH: ClassVar = {
        "diffusivity": Choice(tuple(DIFFUSIVITIES)),
        "presmooth": Choice((0.0, 0.5, 0.7)),
        "kappa": Range(0.03, 5, per_sigma=True),
        "time": Range(0.1, 200, along=True),
    }

    def __post_init__(self):
        super().__post_init__()
        if self.diffusivity is not None:
            check_choice("diffusivity", self.diffusivity, DIFFUSIVITIES)
        check_choice("scheme", self.scheme, SCHEMES)
        if not isinstance(self.coupled, bool | np.bool_):
            raise TypeError(f"coupled is {self.coupled!r}; expected True or False")

    def with_gradient(self, noisy, sigma=None, *, channel_axis=None):
        return self._differentiated(noisy, sigma, channel_axis)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        return self._chosen(self._pose(noisy, sigma, channel_axis))

    def choose_weighted(self, noisy, sigma, *, channel_axis=None, weight=None, deviation=None):
        problem = self._pose(noisy, sigma, channel_axis)
        problem.weight, problem.deviation = weight, deviation
        return self._chosen(problem)

    def is_settled(self, sigma=None):
        return super().is_settled() and (
            self.time == 0
            or self.step is not None
            or (self.scheme == "explicit" and self.tol is None)
        )

    def solve(self, image, sigma=None, *, callback=None, **options):
        if callback is not None and self.scheme == "auto":
            return replace(self, scheme="explicit").solve(
                image, sigma, callback=callback, **options
            )
        return super().solve(image, sigma, callback=callback, **options)

    def _pose(self, image, sigma, channel_axis, mask=None):
        problem = pose(
            image, sigma, channel_axis,
            spacing=self.spacing, mask=mask, coupled=self.coupled, device=self.device,
        )  # fmt: skip
        problem.backend.check(self.scheme, self.kappa, self.fidelity)
        if self.scheme in ("auto", "explicit"):
            check_step(self.step, problem.volume, problem.spacing)
        return with_ample_range(problem)

    def _chosen(self, problem):
        """The settled filter, with a step that reads well: `smooth -v` prints it, `-m` takes it."""
        with threads_for(problem.size):
            chosen, _ = self._settle(problem)
        if self.step is not None or chosen.step is None:
            return replace(chosen, scheme=self.scheme, step=self.step)
        # Rounded up, which leaves the number of steps as it is.
        return replace(chosen, step=rounded(chosen.step * 1.0005))

    def _settle(self, problem):
        flow = Diffusion(spacing=problem.spacing, mask=problem.mask)
        kappa = self.kappa
        if isinstance(kappa, str) and None not in (self.diffusivity, self.presmooth):
            kind = DIFFUSIVITIES[self.diffusivity]
            kappa = _by_rule(kappa, problem, replace(flow, kind=kind, presmooth=self.presmooth))
        if None in (self.time, kappa, self.diffusivity, self.presmooth) or isinstance(kappa, str):
            flow, time = self._least_risk(problem, flow, kappa)
        else:
            kind = DIFFUSIVITIES[self.diffusivity]
            flow = replace(flow, kind=kind, kappa=kappa, presmooth=self.presmooth)
            time = self.time
        return self.settled_as(problem, flow, time)

    def settled_as(self, problem, flow, time):
        scheme = "explicit" if self.fidelity and self.scheme == "auto" else self.scheme
        plan = plan_steps(
            problem.host_state, flow, time, scheme, self.step, self.tol,
            usual_tol=TOLERANCE * problem.intensity_range,
        )  # fmt: skip
        chosen = replace(
            self, time=time, kappa=flow.kappa, diffusivity=NAMES[flow.kind],
            presmooth=flow.presmooth, scheme=plan.scheme, step=plan.size or None,
        )  # fmt: skip
        return chosen, plan.of(flow)

    def _least_risk(self, problem, flow, kappa):
        """The diffusion and the time of least estimated risk; what is given stays."""
        sigma = problem.strength()
        if sigma == 0:  # nothing to remove
            kind = DIFFUSIVITIES[self.diffusivity or "exponential"]
            flow = replace(flow, kind=kind, presmooth=self.presmooth or 0.0)
            if isinstance(kappa, str):
                kappa = _by_rule(kappa, problem, flow)
            return replace(flow, kappa=kappa or 1.0), self.time or 0.0
        return least_risk_of(
            problem,
            self.candidates(problem, kappa),
            self.time,
            fidelity=self.fidelity,
            side_by_side=not self.fidelity and problem.weight is None,
        )

    def candidates(self, problem, kappa=None):
        sigma, flow = problem.strength(), Diffusion(spacing=problem.spacing, mask=problem.mask)
        choices = {
            (kind, blur): [m * sigma for m in multiples]
            for (kind, blur), multiples in CHOICES.items()
            if self.diffusivity in (None, kind) and self.presmooth in (None, blur)
        }
        if not choices:
            for blur in (0.0, 0.5) if self.presmooth is None else (self.presmooth,):
                noise = sigma * _gradient_gain(replace(flow, presmooth=blur), problem.volume)
                choices[self.diffusivity or "rational", blur] = [m * noise for m in MULTIPLES]
        candidates = {}  # by what tells them apart
        for (kind, blur), kappas in choices.items():
            for k in kappas if kappa is None else [kappa]:
                each = replace(flow, kind=DIFFUSIVITIES[kind], presmooth=blur)
                k = _by_rule(k, problem, each) if isinstance(k, str) else rounded(k)
                candidates[kind, blur, k] = replace(each, kappa=k)
        return list(candidates.values())

    def _halo(self, spacing):
        axes = len(spacing)
        if not self.time:
            return (0,) * axes
        bound = stability_bound((2,) * axes, spacing)
        scheme = "explicit" if self.scheme == "auto" else self.scheme
        plan = Plan(scheme, *steps_taken(self.time, self.step or SAFETY * bound, self.fidelity))
        radius = 1  # of the stencil of a step
        if self.presmooth:
            radius = 2 + equal_steps(self.presmooth**2 / 2, bound / 2)[0]
        if scheme == "aos":
            tail = aos_halo(plan.count, plan.size, spacing)
            return tuple(t + plan.count * (radius - 1) for t in tail)
        exact = plan.steps((2,) * axes, spacing) * radius
        if exact <= FARTHEST[axes] and scheme == "explicit":
            return (exact,) * axes
        # Presmoothing adds its variance to that of the diffusion, in every step.
        margin = self.presmooth**2 / 2 * plan.count
        return tuple(min(exact, tail) for tail in heat_halo(self.time + margin, spacing))


def _by_rule(rule, problem, flow):
    """κ by a rule of `contrast`, for the gradients that the diffusivity depends on."""
    smooth = u = problem.host_state
    if flow.presmooth:
        smooth = np.empty_like(u)
        flow.smooth(u, smooth)
    return contrast(
        rule, smooth, problem.strength() if rule == "sigma" else None, flow.spacing,
        mask=flow.mask, presmoothed=flow.presmooth > 0,
        gain=_gradient_gain(flow, u.shape[2:]), peak=PEAKS[NAMES[flow.kind]],
    )  # fmt: skip


def _gradient_gain(flow, volume):
    """The standard deviation of a measured derivative of white noise with σ = 1."""
    long = [axis for axis, n in enumerate(volume) if n > 1]
    if not (flow.presmooth and long):
        return math.sqrt(2) / min(flow.spacing[-2:])
    # The response to a unit impulse, away from the border.
    radius = math.ceil(6 * flow.presmooth / min(flow.spacing)) + 2
    dot = np.zeros((1, 1, *(2 * radius + 1 if n > 1 else 1 for n in volume)))
    dot[tuple(n // 2 for n in dot.shape)] = 1.0
    smooth = np.empty_like(dot)
    flow.smooth(dot, smooth)
    slope = np.gradient(smooth, flow.spacing[long[-1]], axis=2 + long[-1])
    return math.sqrt(np.square(slope).sum())
