"""Perona–Malik diffusion ∂u/∂t = div(g(|∇u|) ∇u) by explicit steps, written plainly.

A state is an array ``u[b, c, z, y, x]``: independent images ``b``, coupled channels ``c``, and three
spatial axes, of which ``z`` has length 1 in 2-D. Intensity moves through the *faces* between
neighbouring pixels. With d = u(neighbour) - u(pixel), a face of the axis with spacing h carries

    flux = τ/h² · g(s) · d,          s² = Σ_c (d_c / h)²,

and a step adds the fluxes through all its faces to a pixel. Every flux enters one pixel and leaves
another, so the mean is conserved; faces of the border and of the mask carry nothing. The heat
equation is the case g = 1.

This is the reference for the fast kernels, which take the same steps: `strips` (many steps at a time
on a part of the image), `presmoothed` (g from the gradient of a smoothed image) and `implicit`
(the weights of the faces).
"""

import math

from difffilter.pde.kernels.common import (
    CHARBONNIER,
    EXPONENTIAL,
    RATIONAL,
    TUKEY,
    WEICKERT,
    WEICKERT_C,
    inner,
    kernel,
)

__all__ = ["diffusivity", "step"]


@kernel
def diffusivity(kind, q):
    """g(s) for q = (s/κ)²."""
    if kind == EXPONENTIAL:
        return math.exp(-q)
    if kind == RATIONAL:
        return 1 / (1 + q)
    if kind == CHARBONNIER:
        return 1 / math.sqrt(1 + q)
    if kind == TUKEY:
        return (1 - q) ** 2 if q < 1 else 0.0
    if kind == WEICKERT:
        return 1 - math.exp(-WEICKERT_C / q**4)
    return 1.0


@kernel
def step(u, v, kind, inverse, rate, g, mask):
    """v = u + τ div(g ∇u).

    Parameters
    ----------
    u, v : array (B, C, D, H, W)
        The state, and the array that receives the next.
    kind : int
        Code of the diffusivity.
    inverse : array (3,)
        1/(κh)² for the axes z, y, x.
    rate : array (3,)
        τ/h² for the axes z, y, x.
    g : array (B, D, H, W)
        The diffusivity of each pixel, a face taking the mean of its two; if empty, it follows from
        the difference across the face.
    mask : array (M, D, H, W), bool
        True where diffusion takes place, image b using mask b mod M; if empty: everywhere.
    """
    batch, channels, depth, height, width = u.shape
    for b in range(batch):
        for z in range(depth):
            for y in range(height):
                for x in range(width):
                    here = (z, y, x)
                    for c in range(channels):
                        v[b, c, z, y, x] = u[b, c, z, y, x]
                    for axis, there in (
                        (0, (z - 1, y, x)), (0, (z + 1, y, x)),
                        (1, (z, y - 1, x)), (1, (z, y + 1, x)),
                        (2, (z, y, x - 1)), (2, (z, y, x + 1)),
                    ):  # fmt: skip
                        if is_open(b, here, there, u, mask):
                            weight = rate[axis] * of_face(b, here, there, u, kind, inverse[axis], g)
                            z1, y1, x1 = there
                            for c in range(channels):
                                v[b, c, z, y, x] += weight * (
                                    u[b, c, z1, y1, x1] - u[b, c, z, y, x]
                                )


@inner
def is_open(b, here, there, u, mask):
    """Whether intensity may move from one pixel to the other."""
    z, y, x = there
    if not (0 <= z < u.shape[2] and 0 <= y < u.shape[3] and 0 <= x < u.shape[4]):
        return False
    if mask.size:
        m = b % mask.shape[0]
        return mask[m][here] and mask[m][there]
    return True


@inner
def of_face(b, here, there, u, kind, inverse, g):
    """The diffusivity of the face between two pixels."""
    if g.size:
        return (g[b][here] + g[b][there]) / 2
    square = 0.0
    for c in range(u.shape[1]):
        d = u[b, c][there] - u[b, c][here]
        square += d * d
    return diffusivity(kind, square * inverse)
