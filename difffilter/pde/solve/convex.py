"""The minimum of a learned convex energy, Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|²."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from difffilter.pde.kernels import convex as kernels
from difffilter.pde.solve.banks import (
    Bank,
    bounds,
    from_cells,
    matrices,
    strengths,
    to_cells,
)

__all__ = ["TOLERANCE", "Convex", "Minimum"]

# The root mean square of ∇E, in units of σ, at which the minimum counts as reached.
TOLERANCE = 1e-3

# Rounding to float32 may leave a residual of up to this share of an image's largest value.
ROUNDING = 8 * float(np.finfo(np.float32).eps)

# The share of the decrease of E along the gradient that a step has to reach.
SUFFICIENT = 1e-4

# Standard deviation in pixels of the Gaussian whose blur is nearer to the minimum than the image is.
BLUR = 0.8


@dataclass(frozen=True)
class Convex:
    """A learned energy E(u) = Σᵢ ψᵢ(Wᵢ u) + ½ |u − f|² that is convex, of images in units of σ.

    Attributes
    ----------
    channels : int
        1 for grey, 3 for colour.
    banks : tuple of Bank
    convexity, steepness : float
        Bounds m and M of the eigenvalues of the Hessian of E, m > 0: E has one minimum u, with
        |u − v| ≤ |∇E(v)| / m for every v, and u is Lipschitz continuous in f with the constant 1/m.
    sha256 : str
        Checksum of the weight file, in hexadecimal.
    """

    channels: int
    banks: tuple[Bank, ...]
    convexity: float
    steepness: float
    sha256: str = ""

    # None: a block depends on the whole image, and there is no time after which nothing changes.
    radius: ClassVar[None] = None
    longest: ClassVar[None] = None

    @classmethod
    def of(cls, banks: Sequence[Bank]) -> Convex:
        """The energy of filters and influence functions, with its bounds.

        Raises
        ------
        ValueError
            If it is not known to be convex.
        """
        rise, fall = bounds(banks)
        if fall >= 1:
            raise ValueError(
                f"the energy is not convex: φ′ falls to {-fall:.3g}; expected above -1"
            )
        return cls(banks[0].filters.shape[1], tuple(banks), 1 - fall, 1 + rise)

    def minimum(
        self,
        f: NDArray,
        scale: NDArray | None = None,
        *,
        start: NDArray | None = None,
        tolerance: float = TOLERANCE,
        most: int = 1000,
        callback: Callable[[float, NDArray], Any] | None = None,
    ) -> Minimum:
        """The minimum of E, by steps of Barzilai and Borwein that raise it by no more than rounding.

        Parameters
        ----------
        f : float32 ndarray (N, C, H, W)
            In units of σ.
        scale : float32 ndarray (N, H, W), optional
            The strength of the noise at each pixel, in these units; ``None``: 1 everywhere.
        start : float32 ndarray (N, C, H, W), optional
            The image to begin with; ``None``: `f`, slightly blurred.
        tolerance : float, default 1e-3
            The root mean square of ∇E, of each image, at which to stop; at least the rounding of
            float32.
        most : int, default 1000
            The largest number of steps, after which the image is returned as it is.
        callback : callable, optional
            Called after each step with the sum of their lengths and the image; a true value ends them.

        Returns
        -------
        Minimum

        References
        ----------
        J. Barzilai, J. M. Borwein, "Two-point step size gradient methods", IMA Journal of Numerical
        Analysis 8(1), 1988.
        """
        if start is None:
            start = gaussian_filter(f, (0, 0, BLUR, BLUR), mode="reflect")
        u = to_cells(start)
        del start  # an image less in memory
        descent, time = Descent(self, f, scale, u), 0.0
        largest = np.maximum(f.max(axis=(1, 2, 3)), -f.min(axis=(1, 2, 3)))
        enough = np.maximum(tolerance, ROUNDING * largest)
        while (moving := descent.residual > enough).any() and len(descent.energies) <= most:
            time += float(descent.advance(moving).max())
            if callback is not None and callback(time, descent.image()):
                break
        residual, energies, u = descent.residual, np.array(descent.energies), descent.u
        del descent  # frees three images before the next is made
        reached = bool((residual <= enough).all())
        return Minimum(from_cells(u, f.shape), time, residual, energies, reached)

    def evolve(
        self,
        f: NDArray,
        time: float | None,
        scale: NDArray | None = None,
        callback: Callable[[float, NDArray], Any] | None = None,
    ) -> tuple[NDArray, dict[str, Any]]:
        """The minimum of E, or the gradient flow towards it for a time.

        Parameters
        ----------
        f, scale, callback
            As for `minimum`.
        time : float or None
            That of the flow; ``None``: infinite.

        Returns
        -------
        u : float32 ndarray
        found : dict
            time, infinite where the minimum was reached, and steps; without a given time also
            residual, the largest of the images, in units of σ.
        """
        if time is not None:
            return self.flow(f, time, scale, callback)
        found = self.minimum(f, scale, callback=callback)
        time = math.inf if found.reached else found.time
        steps, residual = len(found.energies) - 1, float(found.residual.max())
        return found.u, {"time": time, "steps": steps, "residual": residual}

    def flow(
        self,
        f: NDArray,
        time: float,
        scale: NDArray | None = None,
        callback: Callable[[float, NDArray], Any] | None = None,
    ) -> tuple[NDArray, dict[str, Any]]:
        """The gradient flow ∂u/∂t = −∇E(u) from f, by explicit steps.

        Parameters
        ----------
        f, scale
            As for `minimum`.
        time : float
            t ≥ 0.
        callback : callable, optional
            Called with time and image after each step; a true value ends the flow.

        Returns
        -------
        u : float32 ndarray (N, C, H, W)
        found : dict
            The time that was reached, and the number of steps.
        """
        count = math.ceil(time * self.steepness)
        descent = Descent(self, f, scale, to_cells(f))
        for done in range(1, count + 1):
            if (descent.residual <= TOLERANCE).all():  # nothing moves any more
                return descent.image(), {"time": time, "steps": done - 1}
            descent.move(np.full(len(f), time / count))
            if callback is not None and callback(done * time / count, descent.image()):
                return descent.image(), {"time": done * time / count, "steps": done}
        return descent.image(), {"time": time, "steps": count}

    @cached_property
    def matrices(self) -> tuple[NDArray, ...]:
        """W and Wᵀ as the kernel takes them."""
        return matrices(self.channels, self.banks)


@dataclass(frozen=True)
class Minimum:
    """The minimum of a convex energy, as far as it was reached.

    Attributes
    ----------
    u : float32 ndarray (N, C, H, W)
    time : float
        The sum of the lengths of the steps; of several images, the longest.
    residual : float64 ndarray (N,)
        The root mean square of ∇E, in units of σ.
    energies : float64 ndarray (steps + 1, N)
        E at the start and after each step.
    reached : bool
        Whether all residuals are below the tolerance.
    """

    u: NDArray
    time: float
    residual: NDArray
    energies: NDArray
    reached: bool


class Descent:
    """Images on their way down a convex energy, with the gradient there.

    Attributes
    ----------
    u : float32 ndarray (N, 16 C, lines, columns)
        The images, in cells.
    energies : list of float64 ndarray (N,)
        E, now and before each step.
    """

    def __init__(self, convex: Convex, f: NDArray, scale: NDArray | None, u: NDArray):
        self.convex, self.shape = convex, f.shape
        self.f, self.u = to_cells(f), u
        self.scale = np.zeros((0, 0, 0, 0), np.float32)
        if scale is not None:
            self.scale = strengths(scale, convex.banks)
        self.g = np.zeros_like(self.u)
        self.after, self.slope = np.empty_like(self.u), np.empty_like(self.u)
        _, _, lines, columns = self.u.shape
        blocks = -(-lines // kernels.TALL) * -(-columns // kernels.WIDE)
        self.sums = np.zeros((len(f), blocks, 3))
        self.energies: list[NDArray] = []
        self.lengths = np.full(len(f), 2 / convex.steepness)
        self.move(np.zeros(len(f)))  # nowhere, for the gradient at the start

    @property
    def residual(self) -> NDArray:
        """The root mean square of ∇E (N,)."""
        return np.sqrt(self.square / self.u[0].size)

    def image(self) -> NDArray:
        return from_cells(self.u, self.shape)

    def trial(self, lengths: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """The energy after a step against the gradient, |∇E|² there, and its product with ∇E here."""
        self.sums[:] = 0
        kernels.gradient(
            self.u, self.g, lengths.astype(np.float32), self.f, self.scale, self.after, self.slope,
            self.sums, *self.convex.matrices,
        )  # fmt: skip
        energy, square, product = self.sums.sum(axis=1).T
        return energy, square, product

    def accept(self, energy: NDArray, square: NDArray) -> None:
        """Go where the last trial was."""
        self.u, self.after = self.after, self.u
        self.g, self.slope = self.slope, self.g
        self.square = square
        self.energies.append(energy)

    def move(self, lengths: NDArray) -> None:
        """One step of given length."""
        energy, square, _ = self.trial(lengths)
        self.accept(energy, square)

    def advance(self, moving: NDArray | bool = True) -> NDArray:
        """One step of Barzilai and Borwein, or a shorter one where E would not fall.

        Parameters
        ----------
        moving : bool ndarray (N,), optional
            The images that take a step.

        Returns
        -------
        float64 ndarray (N,)
            The lengths of the steps.
        """
        shortest = 1 / self.convex.steepness
        lengths, last = np.where(moving, self.lengths, 0.0), self.energies[-1]
        energy, square, product = self.trial(lengths)
        rounding = 1e-6 * np.abs(last)  # near the minimum, E falls by less
        high = energy > last - SUFFICIENT * lengths * self.square + rounding
        if high.any():
            lengths = np.where(high & np.asarray(moving), shortest, lengths)
            energy, square, product = self.trial(lengths)
        # With s the step and y the change of ∇E: |s|² / s·y and s·y / |y|² in turn.
        sy = lengths * (self.square - product)
        yy = square - 2 * product + self.square
        with np.errstate(divide="ignore", invalid="ignore"):
            odd = len(self.energies) % 2 == 1
            found = lengths**2 * self.square / sy if odd else sy / yy
        longest = 1 / self.convex.convexity
        self.lengths = np.clip(np.nan_to_num(found, nan=shortest), shortest, longest)
        self.accept(energy, square)
        return lengths
