"""Evolutions ∂u/∂t = F(u) of any kind, and the choice of one, and of its time, by their risk."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Protocol

import numpy as np

from difffilter.image import as_float
from difffilter.pde.sample import sample
from difffilter.pde.schemes import as_image, as_state, check_spacing, spatial_shape
from difffilter.pde.stopping import PROBE
from difffilter.sigma import check_sigma, estimate_sigma

__all__ = ["Evolving", "Flow", "least_risk"]

# When to look for the least risk: how much later each time is, and how much later the last may be.
LATER, LAST = 1.25, 1200

# Rounds of the choice: on how many pixels, in evenly spread tiles if the image has more, and how
# many of the flows go on.
ROUNDS = ((1 << 15, 2), (1 << 17, 1))
TILE = {2: (1, 64, 64), 3: (16, 32, 32)}


class Flow(Protocol):
    """An evolution, discretised in space and time.

    Attributes
    ----------
    first : float
        A time after which a little has happened: the first at which to look for the least risk.
    """

    first: float

    def evolve(self, u, time):
        """The state that ``u`` (B, C, D, H, W) becomes after `time`; ``u`` may be written to.

        The images b evolve each on its own.
        """


class Evolving:
    """What the Denoisers that let an image evolve share.

    They are frozen dataclasses with the fields ``time`` and ``spacing``, and one for each parameter
    of their flow, of the same name; those that are ``None`` are chosen.
    """

    def _flows(self, spacing, sigma):
        """The flows to choose from, given h for the axes z, y, x, and σ."""
        raise NotImplementedError

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy with all that is None set to what suits this image and noise."""
        return self._settle(_ample(as_float(noisy, channel_axis)), sigma, channel_axis)[0]

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        return self.filter(noisy, sigma, channel_axis, full_output=False)

    def filter(self, image, sigma, channel_axis, full_output):
        """The filtered image and, if asked for, a dict of σ and of all parameters."""
        given = as_float(image, channel_axis)
        image = _ample(given)
        chosen, flow, sigma = self._settle(image, sigma, channel_axis)
        state = flow.evolve(as_state(image, channel_axis), chosen.time)
        result = as_image(state, image.shape, channel_axis).astype(given.dtype, copy=False)
        return (result, {"sigma": sigma} | asdict(chosen)) if full_output else result

    def _settle(self, image, sigma, channel_axis):
        """A copy with nothing None but, maybe, spacing; its flow; σ, if it was needed."""
        if sigma is not None:
            sigma = check_sigma(sigma, image)
        shape = spatial_shape(image, channel_axis)
        spacing = (1.0,) * (3 - len(shape)) + check_spacing(self.spacing, len(shape))
        open_ = [f.name for f in fields(self) if getattr(self, f.name) is None]
        names = [name for name in open_ if name not in ("time", "spacing")]
        if not names and self.time is not None:
            return self, self._flows(spacing, 1.0)[0], sigma
        if sigma is None:
            sigma = estimate_sigma(image, channel_axis)
        if sigma == 0:  # nothing to remove
            flow, time = self._flows(spacing, 1.0)[0], self.time or 0.0
        else:
            state = as_state(image, channel_axis)
            flow, time = least_risk(state, sigma, self._flows(spacing, sigma), self.time)
        return replace(self, time=time, **{n: getattr(flow, n) for n in names}), flow, sigma


def _ample(image):
    """The image as float64 if products of its gradients would overflow float32."""
    if image.dtype == np.float32 and max(-image.min(), image.max()) > 1e9:
        return image.astype(np.float64)
    return image


def least_risk(state, sigma, flows, time=None):
    """The flow and the stopping time of least risk, by Monte Carlo SURE (see `stopping`).

    Parameters
    ----------
    state : ndarray (B, C, D, H, W)
        The noisy image.
    sigma : float
        Standard deviation of its noise, above 0.
    flows : iterable of Flow
        What to choose from; the first of equals wins.
    time : float, optional
        The stopping time, if it is settled; ``None``: it is chosen as well.

    Returns
    -------
    tuple of (Flow, float)
    """
    for enough, keep in ROUNDS:
        y, _ = sample(state, enough, TILE[2 if state.shape[2] == 1 else 3])
        found = []
        for flow in flows:
            at, risk = min(_risks(y, sigma, flow, time), key=lambda pair: pair[1])
            found.append((risk, at, flow))
        found.sort(key=lambda each: each[0])
        flows = [flow for _, _, flow in found[:keep]]
        if y is state:  # the next round would see no more
            break
    _, time, flow = found[0]
    return flow, time


def _risks(y, sigma, flow, time):
    """(time, risk) along one evolution, until the risk has long passed its minimum."""
    sign = np.random.default_rng(0).integers(0, 2, y.shape, np.int8) * 2 - 1
    sign = sign.astype(y.dtype)
    u = np.concatenate([y, y + y.dtype.type(PROBE * sigma) * sign])
    lowest, turn, now = np.inf, 0.0, 0.0
    for at in _times(flow.first) if time is None else [time]:
        u = flow.evolve(u, at - now)
        now = at
        change, response = u[: len(y)] - y, u[len(y) :] - u[: len(y)]
        residual = np.square(change).mean(dtype=np.float64)
        divergence = (sign * response).mean(dtype=np.float64) / (PROBE * sigma)
        risk = residual - sigma**2 + 2 * sigma**2 * divergence
        yield at, risk
        if risk < lowest:
            lowest, turn = risk, at
        elif at > 1.2 * turn + 2 * flow.first:
            return


def _times(first):
    """0, then ever larger times of four digits: as good, and better to read and to pass on."""
    yield 0.0
    time = first
    while time < LAST * first:
        yield float(f"{time:.4g}")
        time *= LATER
