"""Gaussian blur by convolution along each axis, with reflection at the border."""

import numpy as np
from numba import prange

from difffilter.pde.kernels.common import (
    inner,
    parallel,
    reflected,
    reflected_within,
    room_around,
)

# Number of pixels whose sums are accumulated together, in the first-level cache.
STRETCH = 2048


@inner
def convolve(source, target, first, last, step, half):
    """Convolve pixels ``step`` apart with the symmetric kernel of right half ``half``.

    The pixels from ``first`` to ``last`` of ``source`` become those from the beginning of ``target``.
    """
    for start in range(first, last, STRETCH):
        n = min(STRETCH, last - start)
        out, here = target[start - first : start - first + n], source[start : start + n]
        h = half[0]
        for i in range(n):
            out[i] = h * here[i]
        for k in range(1, len(half)):
            before, after = source[start - k * step :], source[start + k * step :]
            h = half[k]
            for i in range(n):
                out[i] += h * (before[i] + after[i])


@parallel
def blur_slices(a, result, half_y, half_x, workers):
    """Blur the slices ``a[n, y, x]``, given the right halves of the Gaussians along y and x."""
    count, height, width = a.shape
    ry, rx = len(half_y) - 1, len(half_x) - 1
    stride = width + 2 * rx
    for worker in prange(workers):
        lines = np.zeros((height + 2 * ry) * stride, a.dtype)
        blurred = np.empty(height * stride, a.dtype)
        for n in range(worker * count // workers, (worker + 1) * count // workers):
            for y in range(-ry, height + ry):
                line, here = lines[(y + ry) * stride + rx :], a[n, reflected(y, height)]
                for i in range(width):
                    line[i] = here[i]
            convolve(lines, blurred, ry * stride, (ry + height) * stride, stride, half_y)
            for y in range(height):
                line = blurred[y * stride : (y + 1) * stride]
                for k in range(rx):
                    line[rx - 1 - k] = line[rx + reflected(-1 - k, width)]
                    line[rx + width + k] = line[rx + reflected(width + k, width)]
            convolve(blurred, lines, rx, height * stride - rx, 1, half_x)
            for y in range(height):
                line, out = lines[y * stride :], result[n, y]
                for i in range(width):
                    out[i] = line[i]


@parallel
def blur_depth(a, result, half, workers):
    """Blur ``a[n, z, i]`` along z, given the right half of the Gaussian."""
    count, depth, size = a.shape
    jobs = count * depth
    for worker in prange(workers):
        for job in range(worker * jobs // workers, (worker + 1) * jobs // workers):
            n, z = job // depth, job % depth
            for start in range(0, size, STRETCH):
                m = min(STRETCH, size - start)
                out, here = result[n, z, start : start + m], a[n, z, start : start + m]
                h = half[0]
                for i in range(m):
                    out[i] = h * here[i]
                for k in range(1, len(half)):
                    before = a[n, reflected(z - k, depth), start : start + m]
                    after = a[n, reflected(z + k, depth), start : start + m]
                    h = half[k]
                    for i in range(m):
                        out[i] += h * (before[i] + after[i])


@parallel
def blur_within(a, mask, half, axis, result, workers):
    """Blur ``a[b, c, z, y, x]`` along an axis within masks (B, D, H, W), reflected beyond them too.

    Values outside the masks are meaningless.
    """
    batch, channels, depth, height, width = a.shape
    rows = batch * channels * depth * height
    for worker in prange(workers):
        for row in range(worker * rows // workers, (worker + 1) * rows // workers):
            b, c = row // (channels * depth * height), row // (depth * height) % channels
            z, y = row // height % depth, row % height
            for x in range(width):
                here = (z, y, x)
                total = half[0] * a[b, c][here]
                if mask[b][here]:
                    before, after = room_around(mask[b], here, axis, len(half) - 1)
                    for k in range(1, len(half)):
                        total += half[k] * (
                            a[b, c][reflected_within(here, axis, before, after, -k)]
                            + a[b, c][reflected_within(here, axis, before, after, k)]
                        )
                result[b, c, z, y, x] = total
