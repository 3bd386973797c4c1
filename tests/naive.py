"""Slow, readable oracles for the fast kernels."""

import math

import numpy as np
import scipy.ndimage

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


# --- tensor diffusion -----------------------------------------------------------------------


def gaussian(a, deviation, spacing):
    """``a`` (channels, spatial...) after a Gaussian cut off at 3.5 standard deviations."""
    for axis, h in enumerate(spacing, start=1):
        if deviation and a.shape[axis] > 1:
            radius = math.ceil(3.5 * deviation / h)
            kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * h / deviation) ** 2)
            a = scipy.ndimage.correlate1d(a, kernel / kernel.sum(), axis, mode="reflect")
    return a


def diffusion_tensors(u, kind, kappa, presmooth, integration, alpha, spacing):
    """D for every pixel of u (C, spatial...): an array (spatial..., n, n), axes as in u."""
    n = u.ndim - 1
    v = gaussian(u, presmooth, spacing)
    gradient = []
    for axis, h in enumerate(spacing, start=1):
        padded = np.pad(v, [(2 * int(a == axis),) * 2 for a in range(n + 1)], mode="symmetric")
        size = v.shape[axis]
        w2, w1, _, e1, e2 = (padded.take(np.arange(k, k + size), axis) for k in range(5))
        gradient.append((8 * (e1 - w1) - (e2 - w2)) / (12 * h))
    outer = np.array([[(p * q).sum(axis=0) for p in gradient] for q in gradient])
    smooth = gaussian(outer.reshape(n * n, *u.shape[1:]), integration, spacing)
    mu, vectors = np.linalg.eigh(np.moveaxis(smooth, 0, -1).reshape(*u.shape[1:], n, n))
    with np.errstate(divide="ignore", over="ignore"):
        if kind == "edge":
            g = np.maximum(1 - np.exp(-3.31488 / (np.maximum(mu, 0) / kappa**2) ** 4), alpha)
        else:
            g = alpha + (1 - alpha) * np.exp(-((kappa**2 / (mu[..., -1:] - mu)) ** 2))
    return np.einsum("...ik,...k,...jk->...ij", vectors, g, vectors)


def selling(d):
    """ρ ≥ 0 and integer vectors e with d = Σ ρ e eᵀ (2×2 or 3×3), by an obtuse superbase."""
    n = len(d)
    base = [*np.eye(n, dtype=int), -np.ones(n, int)]
    pairs = [(i, j) for i in range(n + 1) for j in range(i + 1, n + 1)]
    while True:
        sharp = [(i, j) for i, j in pairs if base[i] @ d @ base[j] > 1e-12 * np.trace(d)]
        if not sharp:
            break
        i, j = sharp[0]
        if n == 2:
            base = [-base[i], base[j], base[i] - base[j]]
        else:
            k, m = (x for x in range(4) if x not in (i, j))
            base = [-base[i], base[j], base[k] + base[i], base[m] + base[i]]
    terms = []
    for i, j in pairs:
        others = [base[k] for k in range(n + 1) if k not in (i, j)]
        e = np.array([-others[0][1], others[0][0]]) if n == 2 else np.cross(*others)
        terms.append((max(0.0, -base[i] @ d @ base[j]), e))
    return terms


def tensor_diffusion(u, time, kind, kappa, presmooth, integration, alpha, step, spacing):
    """u (C, spatial...) in float64, each D serving for `step`, with stable steps in between.

    They are stable, too, where the weights of a pixel sum up to 1.2 times those of a constant D.
    """
    long = np.array(u.shape[1:]) > 1
    inverse_h2 = 1 / np.square(spacing)[long if long.any() else ...]
    trace = inverse_h2.sum() - (kind == "coherence") * (1 - alpha) * inverse_h2.min()
    u = u.astype(np.float64)
    shape = u.shape[1:]
    count = math.ceil(time / step * (1 - 1e-9))
    for _ in range(count):
        tensors = diffusion_tensors(u, kind, kappa, presmooth, integration, alpha, spacing)
        tensors = tensors / np.multiply.outer(spacing, spacing)
        weights = np.zeros((math.prod(shape),) * 2)
        for p in np.ndindex(shape):
            for rho, e in selling(tensors[p]):
                for q in (p + e, p - e):
                    if all(0 <= i < s for i, s in zip(q, shape, strict=True)):
                        at, end = np.ravel_multi_index(p, shape), np.ravel_multi_index(q, shape)
                        weights[at, end] += rho / 2
                        weights[end, at] += rho / 2
        laplacian = weights - np.diag(weights.sum(axis=1))
        largest = max(weights.sum(axis=1).max(), 1.2 * 2 * trace)
        inner = math.ceil(time / count * largest * (1 - 1e-9))
        for _ in range(inner):
            flat = u.reshape(len(u), -1)
            u = (flat + time / count / inner * flat @ laplacian).reshape(u.shape)
    return u


# --- total-variation flow -------------------------------------------------------------------


def tv_flow(u, time, epsilon, step, spacing, mask=None):
    """u (C, spatial...) in float64: the mean over the axes of implicit steps along each (AOS)."""
    u = u.astype(np.float64)
    n = u.ndim - 1
    mask = np.ones(u.shape[1:], bool) if mask is None else mask
    long = [axis for axis in range(n) if u.shape[axis + 1] > 1]
    steps = math.ceil(time / step * (1 - 1e-9))
    for _ in range(steps):
        slopes = []
        for axis, h in enumerate(spacing):
            near, far = neighbours(axis, n)
            forward, backward = np.zeros_like(u), np.zeros_like(u)
            forward[(slice(None), *near)] = backward[(slice(None), *far)] = (
                np.diff(u, axis=axis + 1) / h * (mask[near] & mask[far])
            )
            slopes.append(np.maximum(forward * backward, 0).sum(axis=0))
        results = []
        for axis in long:
            near, far = neighbours(axis, n)
            squares = (np.diff(u, axis=axis + 1) ** 2).sum(axis=0) / spacing[axis] ** 2
            squares += sum((s[near] + s[far]) / 2 for a, s in enumerate(slopes) if a != axis)
            g = (mask[near] & mask[far]) / np.sqrt(squares + epsilon**2)
            lines, faces = np.moveaxis(u, axis + 1, -1), np.moveaxis(g, axis, -1)
            solved = np.empty_like(lines)
            for at in np.ndindex(faces.shape[:-1]):
                w = faces[at] / spacing[axis] ** 2
                matrix = np.diag(w, 1) + np.diag(w, -1)
                matrix -= np.diag(matrix.sum(axis=1))
                system = np.eye(len(matrix)) - len(long) * time / steps * matrix
                solved[(slice(None), *at)] = np.linalg.solve(system, lines[(slice(None), *at)].T).T
            results.append(np.moveaxis(solved, -1, axis + 1))
        u = sum(results) / len(results) if results else u
    return u


# --- curvature motion -----------------------------------------------------------------------


def curvature_motion(u, time, step, spacing, epsilon, mask=None):
    """u (spatial...) in float64: Δu - nᵀ H n with n = ∇u/|∇u|, all by central differences.

    A neighbour that is not there equals the pixel itself, a diagonal one those on the way to it.
    """
    u = u.astype(np.float64)
    n = u.ndim
    mask = np.ones(u.shape, bool) if mask is None else mask
    axes = max(1, sum(size > 1 for size in u.shape))
    steps = math.ceil(time / step * (1 - 1e-9))

    def shifted(a, by, **beyond):
        padded = np.pad(a, 1, **beyond or {"mode": "edge"})
        return padded[
            tuple(slice(1 + s, 1 + s + size) for s, size in zip(by, a.shape, strict=True))
        ]

    for _ in range(steps):

        def at(*by, u=u):
            there = shifted(mask, by, constant_values=False)
            ways = [np.multiply(by, e) for e in np.eye(n, dtype=int) if np.dot(by, e)]
            if len(ways) == 1:
                return np.where(there, shifted(u, by), u)
            open_ = [shifted(mask, way, constant_values=False) for way in ways]
            total = sum(np.where(o, shifted(u, way), 0) for o, way in zip(open_, ways, strict=True))
            on_the_way = np.where(sum(open_), total / np.maximum(np.sum(open_, axis=0), 1), u)
            return np.where(there & (open_[0] | open_[1]), shifted(u, by), on_the_way)

        unit = np.eye(n, dtype=int)
        gradient = [(at(*e) - at(*-e)) / (2 * h) for e, h in zip(unit, spacing, strict=True)]
        along, laplacian = 0.0, 0.0
        for i in range(n):
            second = (at(*unit[i]) - 2 * u + at(*-unit[i])) / spacing[i] ** 2
            laplacian = laplacian + second
            along = along + gradient[i] ** 2 * second
            for j in range(i):
                corners = [a * b * at(*a * unit[i] + b * unit[j]) for a in (1, -1) for b in (1, -1)]
                mixed = sum(corners) / (4 * spacing[i] * spacing[j])
                along = along + 2 * gradient[i] * gradient[j] * mixed
        square = sum(g**2 for g in gradient)
        change = laplacian - (along + epsilon**2 * laplacian / axes) / (square + epsilon**2)
        u = u + time / steps * change * mask
    return u


# --- forward-and-backward diffusion ---------------------------------------------------------


def forward_backward(u, time, kappa, alpha, step, spacing, mask=None):
    """u (C, spatial...) in float64: c of the pixels, a face taking the mean of its two."""
    u = u.astype(np.float64)
    mask = np.ones(u.shape[1:], bool) if mask is None else mask
    steps = math.ceil(time / step * (1 - 1e-9))
    for _ in range(steps):
        square = np.zeros(u.shape[1:])
        for axis, h in enumerate(spacing):
            near, far = neighbours(axis, u.ndim - 1)
            forward, backward = np.zeros_like(u), np.zeros_like(u)
            d = np.diff(u, axis=axis + 1) / h * (mask[near] & mask[far])
            forward[(slice(None), *near)], backward[(slice(None), *far)] = d, d
            square += np.maximum(forward * backward, 0).sum(axis=0)
        s = np.sqrt(square)
        c = 1 / (1 + (s / kappa) ** 4) - alpha / (1 + ((s - 2 * kappa) / (kappa / 2)) ** 2)

        def face(axis, d, c=c):
            near, far = neighbours(axis, c.ndim)
            return (c[near] + c[far]) / 2

        u = step_with(u, time / steps, spacing, mask, face)
    return u


# --- speckle-reducing diffusion -------------------------------------------------------------


def srad(u, time, q0, step, spacing, mask=None):
    """u (C, spatial...) in float64: c from mean and variance of each pixel's listed neighbours."""
    u = u.astype(np.float64)
    shape = u.shape[1:]
    mask = np.ones(shape, bool) if mask is None else mask
    long = [axis for axis, n in enumerate(shape) if n > 1]
    total = 2 * sum(1 / spacing[axis] ** 2 for axis in long)
    steps = math.ceil(time / step * (1 - 1e-9))
    for _ in range(steps):
        c = np.zeros(shape)
        for at in np.ndindex(shape):
            places, weights = [], []
            for axis in long:
                for by in (-1, 1):
                    place = list(at)
                    place[axis] = min(max(place[axis] + by, 0), shape[axis] - 1)
                    places.append(tuple(place) if mask[tuple(place)] else at)
                    weights.append(1 / spacing[axis] ** 2 / total)
            weights = np.array(weights)
            values = np.array([u[(slice(None), *place)] for place in places]).reshape(-1, len(u))
            mean = weights @ values if places else u[(slice(None), *at)]
            variance = weights @ (values - mean) ** 2 / (1 - (weights**2).sum()) if places else 0.0
            q = np.sqrt(np.sum(variance) / np.sum(mean**2))
            c[at] = min(1.0, 1 / (1 + (q**2 - q0**2) / (q0**2 * (1 + q0**2))) if q >= q0 else 1.0)

        def face(axis, d, c=c):
            near, far = neighbours(axis, c.ndim)
            return (c[near] + c[far]) / 2

        u = step_with(u, time / steps, spacing, mask, face)
    return u


def learned_step(u, f, stage, scale=None):
    """One step of a learned diffusion of u (C, H, W) in units of σ: u − Wᵀ φ(W u) − λ (u − f)."""
    channels, height, width = u.shape
    s, margin = stage.cell, 3 * stage.cell

    def cells(image):
        """(C s², lines, columns) of the image, which goes on as in a mirror."""
        before = margin + stage.offset
        after = [margin + -(n + stage.offset) % s for n in (height, width)]
        pads = [(0, 0), (before, after[0]), (before, after[1])]
        x = np.pad(image, pads, mode="symmetric")
        lines, columns = x.shape[1] // s, x.shape[2] // s
        x = x.reshape(len(image), lines, s, columns, s).transpose(0, 2, 4, 1, 3)
        return x.reshape(-1, lines, columns)

    def correlated(x, filters):
        """Sums over 3×3 cells: one less on either side."""
        lines, columns = x.shape[1] - 2, x.shape[2] - 2
        return sum(
            np.einsum("fc,cyx->fyx", filters[:, :, i, j], x[:, i : i + lines, j : j + columns])
            for i in range(3)
            for j in range(3)
        )

    def tall(vector):
        return vector[:, None, None]

    sigma = np.ones((1, 1, 1)) if scale is None else cells(scale[None]).mean(axis=0)[None]
    inner = slice(1, -1) if scale is not None else slice(None)
    h = correlated(cells(u), stage.filters)
    local = tall(stage.kappa) * sigma[:, inner, inner]
    n = np.divide(h, local, out=np.zeros_like(h), where=local > 0)
    z = n / np.sqrt(1 + n**2)
    v = np.maximum(0, correlated(z, stage.mixing) + tall(stage.bias))
    local = local[:, inner, inner]
    phi = local * (np.einsum("fg,gyx->fyx", stage.influence, v) + tall(stage.level))
    adjoint = stage.filters.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    d = correlated(phi, adjoint)
    lines, columns = d.shape[1:]
    d = d.reshape(channels, s, s, lines, columns).transpose(0, 3, 1, 4, 2)
    d = d.reshape(channels, s * lines, s * columns)
    d = d[:, stage.offset : stage.offset + height, stage.offset : stage.offset + width]
    return u - d - stage.fidelity * (u - f)


def convex_energy(u, f, banks, scale=None):
    """E(u) = Σ ψ(W u) + ½ |u − f|² and its gradient, of images (C, H, W) that are not mirrored.

    Filters begin wherever they fit in; `scale` has the σ of each bank by cells of 4×4 pixels.
    """
    energy, gradient = 0.5 * np.sum((u - f) ** 2), u - f
    for number, bank in enumerate(banks):
        size = bank.filters.shape[2]
        slopes = np.append(bank.slopes, np.zeros((len(bank.slopes), 1)), axis=1)
        for y in range(0, u.shape[1] - size + 1, bank.stride):
            for x in range(0, u.shape[2] - size + 1, bank.stride):
                sigma = 1.0 if scale is None else scale[number, y // 4, x // 4]
                part = (slice(None), slice(y, y + size), slice(x, x + size))
                for w, knots, slope in zip(bank.filters, bank.knots, slopes, strict=True):
                    h = np.sum(w * u[part])
                    # The integral of a function that is linear between the knots.
                    at = np.concatenate([[0.0], np.minimum(sigma * knots, abs(h)), [abs(h)]])
                    at[-1] = max(at[-1], at[-2])
                    rise = np.append(0.0, np.cumsum(slope * np.diff(at)))
                    energy += np.sum((rise[1:] + rise[:-1]) / 2 * np.diff(at))
                    gradient[part] += w * np.sign(h) * rise[-1]
    return energy, gradient
