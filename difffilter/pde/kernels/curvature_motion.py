"""Mean curvature motion ∂u/∂t = |∇u| div(∇u/|∇u|): explicit steps by central differences."""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import inner, inside, moved, padded, parallel, side


@parallel
def explicit(u, v, step, inverse, axes, epsilon, workers):
    """v = u + step · (Δu - (∇uᵀ H ∇u + ε² Δu / axes) / (|∇u|² + ε²)), H being the Hessian.

    That is |∇u| div(∇u/|∇u|), or its mean over all directions where ∇u vanishes. Pixels beyond the
    border equal the nearest one inside.

    Parameters
    ----------
    u, v : array (N, D, H, W)
        The state, and the array that receives the next.
    step, epsilon : float, of u's dtype
        The time step and ε.
    inverse : array (3,), of u's dtype
        1/h for the axes z, y, x.
    axes : int
        How many axes are longer than 1.
    workers : int
        Number of workers.
    """
    count, depth, height, width = u.shape
    rows = count * depth * height
    tiny = epsilon * epsilon
    mean = tiny / u.dtype.type(axes)
    half, quarter = u.dtype.type(0.5), u.dtype.type(0.25)
    iz, iy, ix = inverse
    for worker in prange(workers):
        lines = np.empty((3, 3, width + 2), u.dtype)  # the rows at z - 1, z, z + 1 and y - 1, ...
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            n, z, y = row // (depth * height), row // height % depth, row % height
            for k in range(3):
                z1 = min(max(z + k - 1, 0), depth - 1)
                for j in range(3):
                    line, source = lines[k, j], u[n, z1, min(max(y + j - 1, 0), height - 1)]
                    padded(source, line)
            up, here, down = lines[1, 0], lines[1, 1], lines[1, 2]
            up1, here1, down1 = up[1:], here[1:], down[1:]
            up2, here2, down2 = up[2:], here[2:], down[2:]
            out = v[n, z, y]
            if depth == 1:
                for i in range(width):
                    x = half * ix * (here2[i] - here[i])
                    y_ = half * iy * (down1[i] - up1[i])
                    xx = ix * ix * (here2[i] - here1[i] - (here1[i] - here[i]))
                    yy = iy * iy * (down1[i] - here1[i] - (here1[i] - up1[i]))
                    xy = quarter * ix * iy * (down2[i] - down[i] - (up2[i] - up[i]))
                    laplacian = xx + yy
                    along = x * x * xx + y_ * y_ * yy + u.dtype.type(2.0) * x * y_ * xy
                    out[i] = here1[i] + step * (
                        laplacian - (along + mean * laplacian) / (x * x + y_ * y_ + tiny)
                    )
                continue
            front, back = lines[0, 1], lines[2, 1]
            front1, back1, front2, back2 = front[1:], back[1:], front[2:], back[2:]
            front_up, front_down = lines[0, 0, 1:], lines[0, 2, 1:]
            back_up, back_down = lines[2, 0, 1:], lines[2, 2, 1:]
            for i in range(width):
                x = half * ix * (here2[i] - here[i])
                y_ = half * iy * (down1[i] - up1[i])
                z_ = half * iz * (back1[i] - front1[i])
                xx = ix * ix * (here2[i] - here1[i] - (here1[i] - here[i]))
                yy = iy * iy * (down1[i] - here1[i] - (here1[i] - up1[i]))
                zz = iz * iz * (back1[i] - here1[i] - (here1[i] - front1[i]))
                xy = quarter * ix * iy * (down2[i] - down[i] - (up2[i] - up[i]))
                xz = quarter * ix * iz * (back2[i] - back[i] - (front2[i] - front[i]))
                yz = quarter * iy * iz * (back_down[i] - back_up[i] - (front_down[i] - front_up[i]))
                laplacian = xx + yy + zz
                along = (
                    x * x * xx
                    + y_ * y_ * yy
                    + z_ * z_ * zz
                    + u.dtype.type(2.0) * (x * y_ * xy + x * z_ * xz + y_ * z_ * yz)
                )
                out[i] = here1[i] + step * (
                    laplacian - (along + mean * laplacian) / (x * x + y_ * y_ + z_ * z_ + tiny)
                )


@inner
def corner(u, mask, here, i, way_i, j, way_j):
    """The diagonal neighbour along the axes i and j, as it is seen past the two pixels on the way.

    Where it is beyond the border or the mask, it equals those of the two that are not.
    """
    one, other = moved(here, i, way_i), moved(here, j, way_j)
    there = moved(one, j, way_j)
    if not inside(mask, one):
        return u[here] if not inside(mask, other) else side(u, mask, other, i, way_i)
    if inside(mask, there) or not inside(mask, other):
        return side(u, mask, one, j, way_j)
    return 0.5 * (u[one] + u[other])


@parallel
def explicit_within(u, v, mask, step, inverse, axes, epsilon, workers):
    """`explicit` for the pixels of a mask (N, D, H, W); the others stay as they are."""
    count, depth, height, width = u.shape
    rows = count * depth * height
    tiny = epsilon * epsilon
    for worker in prange(workers):
        slope = np.empty(3)
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            n, z, y = row // (depth * height), row // height % depth, row % height
            a, m = u[n], mask[n]
            for x in range(width):
                here = (z, y, x)
                v[n, z, y, x] = a[here]
                if not m[here]:
                    continue
                laplacian, along, square = 0.0, 0.0, 0.0
                for i in range(3):
                    before, after = side(a, m, here, i, -1), side(a, m, here, i, 1)
                    slope[i] = 0.5 * inverse[i] * (after - before)
                    second = inverse[i] ** 2 * (after - a[here] - (a[here] - before))
                    laplacian += second
                    square += slope[i] ** 2
                    along += slope[i] ** 2 * second
                    for j in range(i):
                        mixed = 0.25 * inverse[i] * inverse[j] * (
                            corner(a, m, here, i, 1, j, 1) - corner(a, m, here, i, -1, j, 1)
                            - corner(a, m, here, i, 1, j, -1) + corner(a, m, here, i, -1, j, -1)
                        )  # fmt: skip
                        along += 2.0 * slope[i] * slope[j] * mixed
                v[n, z, y, x] += step * (
                    laplacian - (along + tiny / axes * laplacian) / (square + tiny)
                )
