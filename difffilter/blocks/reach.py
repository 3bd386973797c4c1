"""How far a filter looks: how much of its surroundings a block needs to come out as in the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difffilter.denoiser import Identity
from difffilter.pde.anisotropic import EDGE_INTEGRATION, CoherenceEnhancing, EdgeEnhancing
from difffilter.pde.curvature_motion import CurvatureMotion
from difffilter.pde.evolving import turns
from difffilter.pde.forward_backward import ForwardBackward
from difffilter.pde.heat import Heat
from difffilter.pde.perona_malik import PeronaMalik
from difffilter.pde.solve.schemes import SAFETY, plan, stability_bound
from difffilter.pde.solve.steps import Plan
from difffilter.pde.srad import SRAD
from difffilter.pde.tv_flow import MOST_STEPS, TVFlow

__all__ = ["Reach", "reach"]

# What diffusion may carry past a halo, as a share of what stands there.
LEAK = 1e-7

# Pixels: where the exact dependence goes farther, the halo ends where next to nothing arrives.
FARTHEST = {2: 512, 3: 64}


@dataclass(frozen=True)
class Reach:
    """How far a result depends on the image around it.

    Attributes
    ----------
    pixels : tuple of int
        Along each spatial axis.
    exact : bool
        Whether nothing at all depends on what is farther away; if not, next to nothing does.
    """

    pixels: tuple[int, ...]
    exact: bool


def reach(denoiser, axes):
    """How far the results of a Denoiser depend on the image around them.

    Parameters
    ----------
    denoiser : Denoiser
        With every parameter set (see ``choose``). One of another module may have a method
        ``reach(axes)`` of its own that returns pixels, a number or one for each axis, or a `Reach`.
    axes : int
        How many spatial axes the image has, 2 or 3.

    Returns
    -------
    Reach
        Exact for explicit schemes: each step looks one pixel farther, or as far as its presmoothing
        and gradient do. For schemes that look everywhere at once, and for very many steps, it ends
        where the linear diffusion of the same time (g = 1, as fast as it gets) has carried all but
        1e-7.

    Raises
    ------
    ValueError
        If a parameter is not set, or the Denoiser does not say how far it reaches.

    Examples
    --------
    >>> from difffilter.pde.perona_malik import PeronaMalik
    >>> settled = PeronaMalik(0.1, 2.0, "rational", 0.0, step=0.2)
    >>> reach(settled, 2)
    Reach(pixels=(10, 10), exact=True)
    """
    if type(denoiser) in _REACH:
        return _REACH[type(denoiser)](denoiser, axes)
    if hasattr(denoiser, "reach"):
        pixels = denoiser.reach(axes)
        if isinstance(pixels, Reach):
            return pixels
        return Reach((pixels,) * axes if np.ndim(pixels) == 0 else tuple(pixels), True)
    raise ValueError(
        f"{denoiser!r} does not say how far it looks, so it cannot go block by block; give it a "
        "method reach(axes) that returns a number of pixels"
    )


def _spacing(denoiser, axes):
    if denoiser.spacing is None or np.ndim(denoiser.spacing) == 0:
        return (float(denoiser.spacing or 1),) * axes
    if len(denoiser.spacing) != axes:
        raise ValueError(
            f"spacing must have one number for each of the {axes} spatial axes; "
            f"got {denoiser.spacing!r}"
        )
    return tuple(denoiser.spacing)


def _identity(denoiser, axes):
    return Reach((0,) * axes, True)


def _heat(denoiser, axes):
    return _leaky(denoiser.time, _spacing(denoiser, axes))


def _perona_malik(denoiser, axes):
    _settled(denoiser)
    spacing = _spacing(denoiser, axes)
    bound = stability_bound((2,) * axes, spacing)
    scheme = "explicit" if denoiser.scheme == "auto" else denoiser.scheme
    if denoiser.step is None and (denoiser.scheme != "explicit" or denoiser.tol is not None):
        if denoiser.time:
            raise ValueError(f"{denoiser!r} has no step; call choose first")
        return Reach((0,) * axes, True)
    way = Plan(scheme, *_pieces(denoiser, denoiser.step or SAFETY * bound))
    look = 1  # what a step needs to know of its surroundings
    if denoiser.presmooth:
        look = 2 + plan(denoiser.presmooth**2 / 2, bound / 2)[0]
    if scheme == "aos":
        tail = [_tail_aos(way.count, axes * way.size / h**2, axes) for h in spacing]
        return Reach(tuple(t + way.count * (look - 1) for t in tail), False)
    exact = way.steps((2,) * axes, spacing) * look
    if exact <= FARTHEST[axes] and scheme == "explicit":
        return Reach((exact,) * axes, True)
    # What the presmoothing adds to the way grows like its variance does.
    margin = denoiser.presmooth**2 / 2 * way.count
    tail = _leaky(denoiser.time + margin, spacing).pixels
    return Reach(tuple(min(exact, t) for t in tail), exact <= min(tail))


def _tensor(denoiser, axes):
    """Each D follows from its surroundings; the rest is diffusion, in links of several pixels."""
    _settled(denoiser)
    spacing = _spacing(denoiser, axes)
    integration = getattr(denoiser, "integration", EDGE_INTEGRATION * min(spacing[-2:]))
    variance = denoiser.presmooth**2 + integration**2
    rounds, _ = _pieces(denoiser, denoiser.step)
    tail = _leaky(denoiser.time + rounds * variance / 2, spacing).pixels
    look = [math.ceil(3.5 * (denoiser.presmooth + integration) / h) + 2 for h in spacing]
    return Reach(tuple(t + n for t, n in zip(tail, look, strict=True)), False)


def _tv_flow(denoiser, axes):
    """Flat pieces exchange intensity at once, but what they exchange is little: see `SPREAD`."""
    _settled(denoiser)
    spacing = _spacing(denoiser, axes)
    rounds, size = _pieces(denoiser, max(denoiser.step, denoiser.time / MOST_STEPS))
    return Reach(
        tuple(_tail_aos(rounds, axes * size * SPREAD / h**2, axes) for h in spacing), False
    )


# The diffusivity 1/|∇u| that total-variation flow is taken to have, for its reach.
SPREAD = 300.0


def _curvature(denoiser, axes):
    return _steps(denoiser, axes, 1)


def _forward_backward(denoiser, axes):
    return _steps(denoiser, axes, 2)


def _srad(denoiser, axes):
    return _steps(denoiser, axes, 2)


def _pieces(denoiser, step):
    """How many steps there are, and how long they are at most.

    The fidelity term itself looks nowhere, but the steps between whose turns it comes are shorter,
    and the first of them is cut in two. (It weakens what comes from afar.)
    """
    if not denoiser.fidelity:
        return plan(denoiser.time, step)
    size = plan(denoiser.time, step)[1]
    count, size = turns(denoiser.time, size, denoiser.fidelity) if size else (0, 0.0)
    return (count + 1 if count else 0), size


def _steps(denoiser, axes, look):
    """Explicit steps, each of which looks so far."""
    _settled(denoiser)
    spacing = _spacing(denoiser, axes)
    step = denoiser.step or SAFETY * stability_bound((2,) * axes, spacing)
    exact = _pieces(denoiser, step)[0] * look
    if exact <= FARTHEST[axes]:
        return Reach((exact,) * axes, True)
    return Reach(tuple(min(exact, 2 * t) for t in _leaky(denoiser.time, spacing).pixels), False)


def _settled(denoiser):
    names = ("time", "kappa", "presmooth", "integration", "diffusivity", "q0")
    # (κ by the name of a rule would be another one in each block.)
    if any(getattr(denoiser, name, 0.0) is None for name in names) or isinstance(
        getattr(denoiser, "kappa", 0.0), str
    ):
        raise ValueError(f"{denoiser!r} has parameters that are not set; call choose first")


def _leaky(time, spacing):
    return Reach(tuple(_tail_heat(time / h**2) for h in spacing), False)


def _tail_heat(time):
    """The least n for which linear diffusion carries at most `LEAK` farther than n pixels.

    By Chernoff's bound: what a dot becomes after time t has the sum exp(2t (cosh θ - 1)) with the
    weights exp(θ x), for any θ.
    """
    if time is None:
        raise ValueError("the time is not set; call choose first")
    if time == 0:
        return 0
    theta = np.geomspace(1e-4, 20, 400)
    return _chernoff(theta, 2 * time * (np.cosh(theta) - 1))


def _tail_aos(steps, rate, axes):
    """The same for steps that are the mean over the axes of (1 - rate ∂²)⁻¹ along each."""
    if not steps:
        return 0
    theta = np.geomspace(1e-4, 20, 2000)
    left = 1 - 2 * rate * (np.cosh(theta) - 1)
    theta, left = theta[left > 0], left[left > 0]
    return _chernoff(theta, steps * np.log(1 - 1 / axes + 1 / (axes * left)))


def _chernoff(theta, log_moment):
    return math.ceil(((math.log(2 / LEAK) + log_moment) / theta).min())


_REACH = {
    Identity: _identity,
    Heat: _heat,
    PeronaMalik: _perona_malik,
    EdgeEnhancing: _tensor,
    CoherenceEnhancing: _tensor,
    TVFlow: _tv_flow,
    CurvatureMotion: _curvature,
    ForwardBackward: _forward_backward,
    SRAD: _srad,
}
