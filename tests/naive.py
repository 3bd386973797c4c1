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


def perona_malik(u, time, kappa, diffusivity, *, step, spacing=None, mask=None, presmooth=0.0):
    """u (C, spatial...) in float64, evolved by equal explicit steps of at most `step`."""
    u = u.astype(np.float64)
    shape = u.shape[1:]
    spacing = spacing or (1.0,) * len(shape)
    mask = np.ones(shape, bool) if mask is None else mask
    g = G[diffusivity]
    steps = math.ceil(time / step * (1 - 1e-9))
    bound = 1 / max(2 * sum(1 / h**2 for h, n in zip(spacing, shape, strict=True) if n > 1), 1)
    for _ in range(steps):
        if presmooth == 0:

            def face(axis, d):
                return g(np.sqrt((d**2).sum(axis=0)), kappa)
        else:
            v = u
            blurs = math.ceil(presmooth**2 / bound * (1 - 1e-9))
            for _ in range(blurs):
                v = step_with(v, presmooth**2 / 2 / blurs, spacing, mask, lambda axis, d: 1.0)
            pixel = g(gradient_norm(v, spacing, mask), kappa)

            def face(axis, d, pixel=pixel):
                near, far = neighbours(axis, pixel.ndim)
                return (pixel[near] + pixel[far]) / 2

        u = step_with(u, time / steps, spacing, mask, face)
    return u


def heat_mode(shape, mode, spacing, time):
    """A cosine mode with reflecting borders, and the factor by which the heat equation shrinks it."""
    wave, rate = np.ones(shape), 0.0
    for axis, (n, k, h) in enumerate(zip(shape, mode, spacing, strict=True)):
        cosine = np.cos(np.pi * k * (np.arange(n) + 0.5) / n)
        wave = wave * cosine.reshape([-1 if a == axis else 1 for a in range(len(shape))])
        rate += 4 * math.sin(math.pi * k / (2 * n)) ** 2 / h**2
    return wave, math.exp(-time * rate)
