"""Mean curvature motion ∂u/∂t = |∇u| div(∇u/|∇u|): explicit steps by central differences."""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import parallel


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
        How many share the work.
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
                    line[1 : width + 1] = source
                    line[0], line[width + 1] = source[0], source[width - 1]
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
