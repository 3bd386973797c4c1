"""Evolutions ∂u/∂t = F(u) of any kind, and the choice of one, and of its time, by their risk."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import ClassVar, Protocol

import numpy as np

from difffilter.denoiser import Denoiser
from difffilter.devices import is_tensor
from difffilter.image import as_float
from difffilter.noise.estimation import EXPONENTS, check_sigma, estimate_sigma
from difffilter.pde.choose.kappa import KAPPA_RULES, contrast
from difffilter.pde.choose.risk_side_by_side import PROBE, least
from difffilter.pde.solve.schemes import (
    SAFETY,
    Diffusion,
    as_image,
    as_state,
    check_positive,
    check_spacing,
    plan,
    spatial_shape,
    stability_bound,
)
from difffilter.pde.solve.steps import Plan
from difffilter.pde.solve.tiles import sample

__all__ = ["Biased", "Evolving", "Flow", "Stepping", "least_risk"]

# When to look for the least risk: how much later each time is, and how much later the last may be.
LATER, LAST = 1.4, 1200

# Rounds of the choice: on how many pixels, in evenly spread tiles if the image has more, and how
# many of the flows go on.
ROUNDS = ((1 << 15, 2), (1 << 17, 1))
TILE = {2: (1, 64, 64), 3: (16, 32, 32)}

# How far the fidelity term may go at once, as a share of the way back to its image.
BIAS = 0.05

# The standard deviation of the Gaussian for local means, in pixels.
LOCAL = 1.5


class Flow(Protocol):
    """An evolution, discretised in space and time.

    Attributes
    ----------
    first : float
        A time after which a little has happened: the first at which to look for the least risk.
    step : float or None
        Largest time step; ``None``: 0.8 of the stability bound of explicit steps.
    spacing : tuple of 3 float
        h for the axes z, y, x.
    """

    first: float
    step: float | None
    spacing: tuple[float, float, float]

    def evolve(self, u, time):
        """The state that ``u`` (B, C, D, H, W) becomes after `time`; ``u`` may be written to.

        The images b evolve each on its own.
        """


@dataclass(frozen=True)
class Stepping:
    """A diffusion by a scheme in steps or cycles of one size: a `Flow`.

    Attributes
    ----------
    diffusion : Diffusion
        What moves.
    scheme : {"explicit", "fsi", "aos"}
        By which scheme.
    step : float, optional
        Largest step, or length of a cycle; ``None``: 0.8 of the stability bound.
    """

    diffusion: Diffusion
    scheme: str = "explicit"
    step: float | None = None

    @property
    def spacing(self):
        """h for the axes z, y, x."""
        return self.diffusion.spacing

    @property
    def first(self):
        """A time after which a little has happened."""
        return 0.02 * min(self.spacing[-2:]) ** 2

    def tiled(self, tile):
        """The same where the image is replaced by some tiles of it."""
        return replace(self, diffusion=replace(self.diffusion, mask=tile(self.diffusion.mask)))

    def evolve(self, u, time):
        """The state ``u`` (B, C, D, H, W) after `time`; ``u`` may be written to."""
        step = self.step or SAFETY * stability_bound(u.shape[2:], self.spacing)
        return Plan(self.scheme, *plan(time, step)).run(self.diffusion, u)


@dataclass(frozen=True)
class Biased:
    """∂u/∂t = F(u) + λ(f - u): an evolution that is held back by the image it started from [1]_.

    In turn, for a short time each, the image moves by the flow alone and by the fidelity term
    alone, which takes it exactly from u to f + (u - f) exp(-λt); the first and the last piece of
    the flow are half as long as the others, which makes the error one of second order (Strang's
    splitting [2]_).

    Attributes
    ----------
    flow : Flow
        ∂u/∂t = F(u).
    fidelity : float
        λ, in units of one over time.
    source : ndarray (B, C, D, H, W)
        f.

    References
    ----------
    .. [1] K. N. Nordström, "Biased anisotropic diffusion: a unified regularization and diffusion
       approach to edge detection", Image and Vision Computing 8(4), 1990.
    .. [2] G. Strang, "On the construction and comparison of difference schemes", SIAM J. Numerical
       Analysis 5(3), 1968.
    """

    flow: Flow
    fidelity: float
    source: np.ndarray

    def evolve(self, u, time):
        """The state that ``u`` becomes after `time`; ``u`` may be written to."""
        step = self.flow.step
        if step is None:
            step = SAFETY * stability_bound(u.shape[2:], self.flow.spacing)
        count, size = turns(time, step, self.fidelity)
        if count == 0:
            return u
        keep = u.dtype.type(math.exp(-self.fidelity * size))
        u = self.flow.evolve(u, size / 2)
        for left in reversed(range(count)):
            u -= self.source
            u *= keep
            u += self.source
            u = self.flow.evolve(u, size if left else size / 2)
        return u


def turns(time, step, fidelity):
    """How often flow and fidelity term take turns, and for how long each, as `plan` does."""
    return plan(time, 1 / max(1 / step, fidelity / BIAS))


@dataclass(frozen=True)
class Evolving(Denoiser):
    """What the Denoisers that let an image evolve share.

    They are frozen dataclasses with the fields ``time`` and ``spacing``, and one for each parameter
    of their flow, of the same name; those that are ``None`` are chosen, and so is a ``kappa`` that
    names a rule.

    Attributes
    ----------
    fidelity : float, default 0
        λ of a term λ(f - u), which pulls the evolution back to the image f that it started from
        (`Biased`), in units of one over time; it makes an evolution end in a state that keeps
        some of the image.
    """

    fidelity: float = field(default=0.0, kw_only=True)

    # The kind of noise that the choice supposes, of `difffilter.noise.estimation.EXPONENTS`.
    noise: ClassVar[str] = "gaussian"

    def _flows(self, spacing, sigma):
        """The flows to choose from, given h for the axes z, y, x, and σ."""
        raise NotImplementedError

    def choose(self, noisy, sigma=None, *, channel_axis=None, weight=None, deviation=None):
        """A copy with all that is None set to what suits this image and noise.

        With `weight`, of the image's shape, errors count as much as it says; with `deviation`, the
        noise has that standard deviation at each pixel.
        """
        image = _ample(_array(noisy, channel_axis))
        return self._settle(image, sigma, channel_axis, weight, deviation)[0]

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return self.filter(noisy, sigma, channel_axis, full_output=False)

    def filter(self, image, sigma, channel_axis, full_output):
        """The filtered image and, if asked for, a dict of σ and of all parameters."""
        given = _array(image, channel_axis)
        image = _ample(given)
        chosen, flow, sigma = self._settle(image, sigma, channel_axis)
        state = as_state(image, channel_axis)
        if chosen.fidelity:
            flow = Biased(flow, chosen.fidelity, state.copy())
        result = as_image(flow.evolve(state, chosen.time), image.shape, channel_axis)
        result = result.astype(given.dtype, copy=False)
        return (result, {"sigma": sigma} | asdict(chosen)) if full_output else result

    def _settle(self, image, sigma, channel_axis, weight=None, deviation=None):
        """A copy with nothing None but, maybe, spacing; its flow; σ, if it was needed."""
        check_positive("fidelity", self.fidelity, zero=True)
        if sigma is not None:
            sigma = check_sigma(sigma, image)
        shape = spatial_shape(image, channel_axis)
        spacing = (1.0,) * (3 - len(shape)) + check_spacing(self.spacing, len(shape))
        rule = getattr(self, "kappa", None)
        if rule in KAPPA_RULES:
            if sigma is None and rule == "sigma":
                sigma = estimate_sigma(image, channel_axis)
            kappa = contrast(rule, as_state(image, channel_axis), sigma, spacing)
            settled = replace(self, kappa=kappa)
            return settled._settle(image, sigma, channel_axis, weight, deviation)
        open_ = [f.name for f in fields(self) if getattr(self, f.name) is None]
        names = [name for name in open_ if name not in ("time", "spacing")]
        if not names and self.time is not None:
            return self, self._flows(spacing, 1.0)[0], sigma
        if sigma is None:
            sigma = estimate_sigma(image, channel_axis, noise=self.noise)
        if sigma == 0:  # nothing to remove
            flow, time = self._flows(spacing, 1.0)[0], self.time or 0.0
        else:
            state = as_state(image, channel_axis)
            if deviation is None:
                deviation = local_deviation(state, sigma, EXPONENTS[self.noise], spacing)
            else:
                deviation = as_state(deviation, channel_axis)
            # κ is held against a gradient that adds up over the channels, as does its noise.
            channels = 1 if channel_axis is None else image.shape[channel_axis]
            together = math.sqrt(channels) if hasattr(self, "kappa") else 1.0
            flows = self._flows(spacing, together * sigma)
            weight = None if weight is None else as_state(weight, channel_axis)
            flow, time = least_risk(state, deviation, flows, self.time, self.fidelity, weight)
        return replace(self, time=time, **{n: getattr(flow, n) for n in names}), flow, sigma


def _ample(image):
    """The image as float64 if products of its gradients would overflow float32."""
    if image.dtype == np.float32 and max(-image.min(), image.max()) > 1e9:
        return image.astype(np.float64)
    return image


def _array(image, channel_axis):
    if is_tensor(image):
        raise TypeError(
            "image is a torch.Tensor, which only heat and perona_malik take; convert it: "
            "image.cpu().numpy()"
        )
    return as_float(image, channel_axis)


def local_deviation(state, sigma, exponent, spacing):
    """The noise's standard deviation: σ, or σ·mᵖ at each pixel, m being a local mean.

    Returns
    -------
    float or ndarray (B, C, D, H, W)
    """
    if exponent == 0:
        return sigma
    from scipy.ndimage import gaussian_filter

    widths = [LOCAL * min(spacing[-2:]) / h for h in spacing]
    mean = gaussian_filter(state, (0, 0, *widths), mode="reflect", truncate=3.0)
    return state.dtype.type(sigma) * np.clip(mean, 0, None) ** state.dtype.type(exponent)


def least_risk(state, sigma, flows, time=None, fidelity=0.0, weight=None):
    """The flow and the stopping time of least risk, by Monte Carlo SURE (see `stopping`).

    Where the noise is not equally strong everywhere, Stein's estimate has its local strength under
    the sums: Σ (f(y) - y)² - σ² + 2 σ² ∂f/∂y, and the probe is of that strength.

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The noisy image.
    sigma : float or ndarray (B, C, D, H, W)
        Standard deviation of its noise, above 0; or that of each pixel.
    flows : iterable of Flow
        What to choose from; the first of equals wins. One that
        looks at more than the state has a method ``tiled(tile)`` (see `sample`).
    time : float, optional
        The stopping time, if it is settled; ``None``: it is chosen as well.
    fidelity : float
        λ of the fidelity term (see `Biased`).
    weight : ndarray (B, C, D, H, W), optional
        How much the squared error of each pixel counts; ``None``: 1.

    Returns
    -------
    tuple of (Flow, float)
    """
    for enough, keep in ROUNDS:
        y, tile = sample(state, enough, TILE[2 if state.shape[2] == 1 else 3])
        deviation = tile(sigma) if np.ndim(sigma) else sigma
        counts = 1.0 if weight is None else tile(weight)
        found = []
        for flow in flows:
            tiled = flow.tiled(tile) if hasattr(flow, "tiled") else flow
            times, risks = zip(*_risks(y, deviation, tiled, time, fidelity, counts), strict=True)
            at, risk = least(times, np.array(risks), flow.first)
            # (Four digits are as good, and better to read and to pass on.)
            found.append((risk, float(f"{at:.4g}") if time is None else time, flow))
        found.sort(key=lambda each: each[0])
        flows = [flow for _, _, flow in found[:keep]]
        if y is state:  # the next round would see no more
            break
    _, time, flow = found[0]
    return flow, time


def _risks(y, sigma, flow, time, fidelity, weight):
    """(time, risk) along one evolution, until the risk has long passed its minimum."""
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    sign = sign.astype(y.dtype)
    u = np.concatenate([y, y + PROBE * sigma * sign])
    variance = np.mean(weight * np.square(sigma), dtype=np.float64)
    moving = Biased(flow, fidelity, u.copy()) if fidelity else flow
    lowest, turn, now = np.inf, 0.0, 0.0
    for at in _times(flow.first) if time is None else [time]:
        u = moving.evolve(u, at - now)
        now = at
        change, response = u[: len(y)] - y, u[len(y) :] - u[: len(y)]
        residual = np.mean(weight * np.square(change), dtype=np.float64)
        # σ² times the divergence.
        spread = np.mean(weight * sigma * sign * response, dtype=np.float64) / PROBE
        risk = residual - variance + 2 * spread
        yield at, risk
        if risk < lowest:
            lowest, turn = risk, at
        elif at > 1.2 * turn + 2 * flow.first:
            return


def _times(first):
    """0, then ever larger times."""
    yield 0.0
    time = first
    while time < LAST * first:
        yield time
        time *= LATER
