"""Coherence transport: intensities move from the border of a hole inwards, along lines and edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from difffilter.checks import check_number
from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.inpainting.harmonic import Holes
from difffilter.inpainting.inpainter import Callback, Inpainter, Problem
from difffilter.inpainting.transport import arrival, products, transport

__all__ = ["CoherenceTransport", "Window"]

# Offsets (n, 2) from the middle of a window, and weights (n,).
Window = tuple[NDArray, NDArray]

# Radius of the windows of Gaussians, in standard deviations.
TRUNCATED = 2.5

# Pixels whose arrival times differ by no more than this, by rounding, belong to one front.
ROUNDING = 1e-9

# Pixels between two calls of a callback, at least.
PIECE = 4096


@dataclass(frozen=True, kw_only=True)
class CoherenceTransport(Inpainter):
    """Fill in by coherence transport, which continues lines and edges through wide gaps.

    Pixels of holes are filled in once, in the order of their distance to the known ones. Pixel x becomes the
    mean of the pixels y that are known by then and not farther than ε, with the weights [1]_

        w(x, y) = 1/|x − y| · exp(−(μ/ε)²/2 · ⟨n, x − y⟩²),      μ = s (μ₁ − μ₂) / (μ₁ + μ₂ + κ²),

    where n is the direction across the line that arrives, the first eigenvector of the structure tensor of
    the known pixels, and μ₁ ≥ μ₂ are its eigenvalues. Where they differ much, the mean is along the line.

    Parameters
    ----------
    radius : float, default 5
        ε, in pixels.
    kappa : float, default 0.01
        Contrast parameter κ, in units of intensity per pixel: steeper slopes count as lines and edges.
    sharpness : float, default 18
        s ≥ 0: means reach about ε/s to either side of a line. The larger, the sharper the lines; 0: means
        in all directions.
    presmooth : float, default 1.4
        Standard deviation in pixels of the Gaussian by which pixels count in the slope at another.
    integration : float, default 4
        Standard deviation ρ of the Gaussian by which slopes count in the structure tensor, in pixels. The
        larger, the wider the gaps through which lines keep their direction.

    Notes
    -----
    Lines from two sides of a hole are joined where their fronts meet, if they point at each other. Means are
    within the range of the pixels around them. Where pixels are not square, the larger side is the unit of
    length.

    Two things differ from [1]_: there, μ depends on μ₁ − μ₂ alone, and slopes are differences of the smoothed
    image, not those of planes fitted to the known pixels. Distances are the times at which a front of speed 1
    arrives, by fast marching [2]_; it goes around pixels that are ignored.

    References
    ----------
    .. [1] F. Bornemann, T. März, "Fast image inpainting based on coherence transport", J. Mathematical
       Imaging and Vision 28, 2007.
    .. [2] J. A. Sethian, "A fast marching level set method for monotonically advancing fronts", Proceedings
       of the National Academy of Sciences 93(4), 1996.

    Examples
    --------
    >>> import numpy as np
    >>> line = np.full((32, 32), 0.2)
    >>> line[:, 14:18] = 0.8
    >>> hole = np.zeros((32, 32), bool)
    >>> hole[8:24] = True
    >>> bool(np.array_equal(CoherenceTransport()(line, hole) > 0.5, line > 0.5))
    True
    """

    radius: float = 5.0
    kappa: float = 0.01
    sharpness: float = 18.0
    presmooth: float = 1.4
    integration: float = 4.0

    def __post_init__(self) -> None:
        check_number("radius", self.radius, above=0)
        check_number("kappa", self.kappa, above=0)
        check_number("sharpness", self.sharpness, least=0)
        check_number("presmooth", self.presmooth, above=0)
        check_number("integration", self.integration, above=0)

    def fill(self, problem: Problem, callback: Callback | None) -> NDArray:
        if problem.state.ndim == 3:
            raise ValueError("image has 3 spatial axes; expected 2, as for CoherenceTransport")
        if (problem.state == OUTSIDE).any():
            Holes(problem)  # raises if some pixels are cut off
        image, state, hole = problem.image.copy(), problem.state.copy(), problem.state == HOLE
        known = image[state == KNOWN]
        largest = max(problem.spacing)  # so that windows reach some pixels along each axis
        spacing = problem.spacing[0] / largest, problem.spacing[1] / largest
        windows = self._windows(spacing)
        order, fronts = _in_fronts(arrival(state, spacing), hole)
        tensors = np.zeros((*state.shape, 3))
        reach = 2 * abs(windows[2][0]).max(axis=0) + 1
        near = np.argwhere(maximum_filter(hole, reach) & (state == KNOWN))
        products(image, state, near, spacing, windows[1], tensors)
        for piece in _pieces(fronts):
            transport(
                image, state, order, piece, spacing, self.radius, self.kappa, self.sharpness,
                windows, tensors,
            )  # fmt: skip
            if callback is not None:
                callback(int(piece[-1]), len(order))
        # (A mean of equal numbers may differ from them by rounding.)
        return np.clip(image[hole], known.min(axis=0), known.max(axis=0))

    def _windows(self, spacing: tuple[float, float]) -> tuple[Window, Window, Window]:
        """The windows of means, of slopes, and of the structure tensor."""
        ball, distance = _offsets(self.radius, spacing)
        nearness = np.divide(1, distance, out=np.zeros_like(distance), where=distance > 0)
        windows = [(ball, nearness)]
        for deviation in (self.presmooth, self.integration):
            offsets, distance = _offsets(TRUNCATED * deviation, spacing)
            windows.append((offsets, np.exp(-0.5 * np.square(distance / deviation))))
        return windows[0], windows[1], windows[2]


def _offsets(radius: float, spacing: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Offsets (n, 2) up to a radius, and those of the eight neighbours; and their lengths (n,)."""
    reach = [max(int(radius / h), 1) for h in spacing]
    y, x = np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    distance = np.hypot(y * spacing[0], x * spacing[1])
    chosen = (distance <= radius) | (np.maximum(abs(y), abs(x)) <= 1)
    return np.stack([y[chosen], x[chosen]], axis=1), distance[chosen]


def _in_fronts(times: NDArray, hole: NDArray) -> tuple[NDArray, NDArray]:
    """The pixels of holes (n, 2) by arrival time, and where each front begins among them, and n."""
    pixels, times = np.argwhere(hole), times[hole]
    order = np.argsort(times, kind="stable")
    first = np.diff(times[order], prepend=-1) > ROUNDING
    return pixels[order], np.append(np.flatnonzero(first), len(order))


def _pieces(fronts: NDArray) -> list[NDArray]:
    """The fronts in pieces of `PIECE` pixels or more, each with its end."""
    pieces, start = [], 0
    while start < len(fronts) - 1:
        end = min(int(np.searchsorted(fronts, fronts[start] + PIECE)), len(fronts) - 1)
        pieces.append(fronts[start : end + 1])
        start = end
    return pieces
