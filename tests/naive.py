"""Slow, readable oracles for the fast kernels."""

import math

import numpy as np

G = {
    "exponential": lambda s, k: np.exp(-((s / k) ** 2)),
    "rational": lambda s, k: 1 / (1 + (s / k) ** 2),
    "charbonnier": lambda s, k: 1 / np.sqrt(1 + (s / k) ** 2),
    "tukey": lambda s, k: np.where(s < k, (1 - (s / k) ** 2) ** 2, 0),
    "weickert": lambda s, k: np.where(
        s > 0, 1 - np.exp(-3.31488 / (np.where(s > 0, s, 1) / k) ** 8), 1
    ),
}


def neighbours(axis, ndim):
    """Index of every pixel but the last along an axis, and of its next neighbour."""
    near, far = [slice(None)] * ndim, [slice(None)] * ndim
    near[axis], far[axis] = slice(None, -1), slice(1, None)
    return tuple(near), tuple(far)


def step_with(u, tau, spacing, mask, face_diffusivity):
    """One explicit step of u (C, spatial...): what leaves one pixel through a face enters the other."""
    new = u.copy()
    for axis, h in enumerate(spacing):
        near, far = neighbours(axis, u.ndim - 1)
        d = np.diff(u, axis=axis + 1) / h
        open_ = mask[near] & mask[far]
        flux = face_diffusivity(axis, d) * d * open_
        new[(slice(None), *near)] += tau / h * flux
        new[(slice(None), *far)] -= tau / h * flux
    return new


def gradient_norm(v, spacing, mask):
    """|∇v| over all channels by central differences; a closed neighbour counts as the pixel itself."""
    total = np.zeros(v.shape[1:])
    for axis, h in enumerate(spacing):
        near, far = neighbours(axis, v.ndim - 1)
        forward, backward = np.zeros_like(v), np.zeros_like(v)
        d = np.diff(v, axis=axis + 1) * (mask[near] & mask[far])
        forward[(slice(None), *near)] = d
        backward[(slice(None), *far)] = d
        total += (((forward + backward) / (2 * h)) ** 2).sum(axis=0)
    return np.sqrt(total)


def face_diffusivity(u, kappa, diffusivity, spacing, mask, presmooth):
    """g as a function of the axis and of the difference quotients across its faces."""
    g = G[diffusivity]
    if presmooth == 0:
        return lambda axis, d: g(np.sqrt((d**2).sum(axis=0)), kappa)
    bound = 1 / max(2 * sum(1 / h**2 for h, n in zip(spacing, mask.shape, strict=True) if n > 1), 1)
    v = u
    blurs = math.ceil(presmooth**2 / bound * (1 - 1e-9))
    for _ in range(blurs):
        v = step_with(v, presmooth**2 / 2 / blurs, spacing, mask, lambda axis, d: 1.0)
    pixel = g(gradient_norm(v, spacing, mask), kappa)

    def face(axis, d):
        near, far = neighbours(axis, pixel.ndim)
        return (pixel[near] + pixel[far]) / 2

    return face


def perona_malik(
    u, time, kappa, diffusivity, *, step, scheme="explicit", spacing=None, mask=None, presmooth=0.0
):
    """u (C, spatial...) in float64, evolved by equal steps or cycles of at most `step`."""
    u = u.astype(np.float64)
    shape = u.shape[1:]
    spacing = spacing or (1.0,) * len(shape)
    mask = np.ones(shape, bool) if mask is None else mask
    count = math.ceil(time / step * (1 - 1e-9))

    def diffusivities(u):
        return face_diffusivity(u, kappa, diffusivity, spacing, mask, presmooth)

    for _ in range(count):
        if scheme == "fsi":
            u = fsi_cycle(u, time / count, spacing, mask, diffusivities)
        else:
            advance = aos_step if scheme == "aos" else step_with
            u = advance(u, time / count, spacing, mask, diffusivities(u))
    return u


def fsi_cycle(u, time, spacing, mask, diffusivities):
    """n explicit steps that extrapolate by α_k, as few as a stable step τ allows."""
    total = sum(1 / h**2 for h, n in zip(spacing, mask.shape, strict=True) if n > 1)
    bound = 1 / (2 * total) if total else 1.0
    n = 1
    while bound * n * (n + 1) / 3 < time * (1 - 1e-9):
        n += 1
    before = u
    for k in range(n):
        alpha = (4 * k + 2) / (2 * k + 3)
        euler = step_with(u, 3 * time / (n * (n + 1)), spacing, mask, diffusivities(u))
        u, before = alpha * euler + (1 - alpha) * before, u
    return u


def aos_step(u, tau, spacing, mask, face):
    """The mean over the axes of (I - d τ A)⁻¹ u, with A as a dense matrix for each line."""
    axes = [axis for axis, n in enumerate(mask.shape) if n > 1]
    total = np.zeros_like(u)
    for axis in axes:
        near, far = neighbours(axis, mask.ndim)
        d = np.diff(u, axis=axis + 1) / spacing[axis]
        weight = face(axis, d) * (mask[near] & mask[far]) * len(axes) * tau / spacing[axis] ** 2
        lines = np.moveaxis(u, axis + 1, -1)
        weights = np.moveaxis(weight, axis, -1)
        solved = np.empty_like(lines)
        for place in np.ndindex(weights.shape[:-1]):
            matrix = np.eye(mask.shape[axis])
            for i, w in enumerate(weights[place]):
                matrix[i : i + 2, i : i + 2] += [[w, -w], [-w, w]]
            for c in range(len(u)):
                solved[(c, *place)] = np.linalg.solve(matrix, lines[(c, *place)])
        total += np.moveaxis(solved, -1, axis + 1)
    return total / len(axes) if axes else u


def heat_mode(shape, mode, spacing, time):
    """A cosine mode with reflecting borders, and the factor by which the heat equation shrinks it."""
    wave, rate = np.ones(shape), 0.0
    for axis, (n, k, h) in enumerate(zip(shape, mode, spacing, strict=True)):
        cosine = np.cos(np.pi * k * (np.arange(n) + 0.5) / n)
        wave = wave * cosine.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        rate += 4 * math.sin(math.pi * k / (2 * n)) ** 2 / h**2
    return wave, math.exp(-time * rate)
