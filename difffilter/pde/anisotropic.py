"""Anisotropic diffusion ∂u/∂t = div(D ∇u): edge- and coherence-enhancing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import ArrayLike

from difffilter.denoiser import rounded
from difffilter.docstring import shared
from difffilter.labels import keeps_labels
from difffilter.noise.model import Sigma
from difffilter.pde.filter import Callback, PDEFilter, Spacing
from difffilter.pde.kernels import anisotropic as kernels
from difffilter.pde.kernels import gaussian
from difffilter.pde.kernels import tensor_plane as plane
from difffilter.pde.kernels import tensor_volume as volume_kernels
from difffilter.pde.solve.evolution import Evolution
from difffilter.pde.solve.halo import heat_halo, steps_taken
from difffilter.pde.solve.stability import equal_steps
from difffilter.search_space import Choice, Range

__all__ = [
    "CoherenceEnhancing",
    "EdgeEnhancing",
    "TensorDiffusion",
    "coherence_enhancing",
    "edge_enhancing",
]

# The smallest eigenvalue of D. As it vanishes links grow long, up to its inverse square root or so.
COHERENCE_ALPHA = 0.01

# How long one D is used, in units of length squared.
EDGE_STEP, COHERENCE_STEP = 0.5, 1.0

# The weights that meet in a pixel may sum up to more where D turns than where it is constant. Up to
# this factor, steps are as short as if they did everywhere, so that a block takes the same steps as
# the whole image.
TURNING = 1.2

# Width of the Gaussian that makes the direction of an edge more certain, in pixels.
EDGE_INTEGRATION = 0.9

# Weights of the differences of the nearest neighbours and of the next nearest in a derivative of
# fourth order.
DERIVATIVE = np.array([2 / 3, -1 / 12])

# Candidates that did best together. Edge-enhancing: α, presmooth, and κ in multiples of σ;
# coherence-enhancing: ρ, and κ in multiples of σ. (The kernels for the plane are faster for an α above
# 1/17.9, and again above 1/37.9.)
EDGE_CHOICES = {
    0.027: {0.5: (0.55,), 1.0: (0.2,), 0.7: (0.3,)},
    0.06: {0.5: (0.4, 0.55)},
}
COHERENCE_CHOICES = {1.0: (0.05,), 1.6: (0.05,), 2.5: (0.05,)}


@shared
@keeps_labels
def edge_enhancing(
    image: ArrayLike,
    time: float | None = None,
    *,
    kappa: float | str | None = None,
    presmooth: float | None = None,
    alpha: float | None = None,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    step: float = EDGE_STEP,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image, and its edges along themselves: edge-enhancing diffusion [1]_.

    ∂u/∂t = div(D ∇u), where D has the eigenvectors of the structure tensor J = G ∗ Σ ∇u_s ∇u_sᵀ
    (the sum is over the channels of the image smoothed by a Gaussian of standard deviation s; G is
    one of 0.9 pixels, which makes the direction more certain) and, for its eigenvalue μ, the
    eigenvalue max(α, 1 - exp(-3.31488/(μ/κ²)⁴)). Along an edge μ = 0 and the image diffuses freely,
    which removes noise from the edges too, where Perona–Malik leaves it. Across it μ = |∇u_s|² and
    the image diffuses at the rate α only: an edge widens like √(2αt).

    Parameters
    ----------
    %(image)s
    %(time)s
    %(kappa)s
    presmooth : float, optional
        Standard deviation s of the Gaussian that precedes the gradient, in units of length;
        ``None``: of 0.5, 0.7 and 1, the one of least risk.
    alpha : float, optional
        Smallest eigenvalue α of D, above 0 and at most 1; ``None``: of 0.027 and 0.06, the one of
        least risk. Smaller ones keep edges sharper for long times, and take longer.
    %(fidelity)s
    %(spacing)s
    step : float, default 0.5
        How long one D is used, at most, in units of time. (The steps within are as short as their
        stability bound asks for.)
    %(call)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(errors)s

    Notes
    -----
    The stencil is the non-negative one of [2]_: D is a sum of ρ e eᵀ with ρ ≥ 0 and integer
    vectors e (Selling's algorithm), and intensity is exchanged between the pixels that an e
    connects. Explicit steps are stable, and make no new extremum, up to 1 over the largest sum of
    the weights that meet in a pixel (1/4 in 2-D where D is the identity); that sum is computed for
    each D. An eigenvalue of at least α keeps the vectors short. The mean is conserved. Channels
    share one D.

    %(choosing)s

    References
    ----------
    .. [1] J. Weickert, "Anisotropic Diffusion in Image Processing", Teubner, 1998.
    .. [2] J. Fehrenbach, J.-M. Mirebeau, "Sparse non-negative stencils for anisotropic diffusion",
       J. Mathematical Imaging and Vision 49(1), 2014.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> slanted_edge = np.where(x > y / 2 + 16, 0.8, 0.2)
    >>> noisy = slanted_edge + np.random.default_rng(0).normal(0, 0.05, (64, 64))
    >>> smooth = edge_enhancing(noisy)
    >>> bool(np.abs(smooth - slanted_edge).mean() < np.abs(noisy - slanted_edge).mean() / 3)
    True
    """
    return EdgeEnhancing(
        time=time, kappa=kappa, presmooth=presmooth, alpha=alpha, fidelity=fidelity,
        spacing=spacing, step=step,
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@shared
@keeps_labels
def coherence_enhancing(
    image: ArrayLike,
    time: float | None = None,
    *,
    kappa: float | str | None = None,
    presmooth: float = 0.5,
    integration: float | None = None,
    alpha: float = COHERENCE_ALPHA,
    fidelity: float = 0.0,
    spacing: Spacing = None,
    step: float = COHERENCE_STEP,
    sigma: Sigma | None = None,
    channel_axis: int | None = None,
    mask: ArrayLike | None = None,
    callback: Callback = None,
    full_output: bool = False,
) -> Any:
    """Smooth an image along its lines, and close their gaps: coherence-enhancing diffusion [1]_.

    ∂u/∂t = div(D ∇u), where D has the eigenvectors of the structure tensor J = G_ρ ∗ Σ ∇u_s ∇u_sᵀ
    (the sum is over the channels of the image smoothed by a Gaussian of standard deviation s; G_ρ
    is one of standard deviation ρ) and, for each of its eigenvalues μ, the eigenvalue
    α + (1 - α) exp(-(κ²/(μ₁ - μ))²), μ₁ being the largest. The image diffuses along the direction,
    or in a volume the plane, in which it changes less than across, and hardly (α) otherwise.

    Parameters
    ----------
    %(image)s
    time : float, optional
        How long to diffuse, in units of length squared; ``None``: the time of least estimated risk
        (see Notes), which removes noise. Closing gaps takes about the square of their length.
    kappa : float or {"mad", "quantile", "sigma"}, optional
        Contrast parameter κ, in units of intensity per unit of length: μ₁ - μ = κ² counts as
        coherent; or a rule that sets it by the differences between neighbours (see
        `perona_malik`); ``None``: of several multiples of σ, the one of least risk.
    presmooth : float, default 0.5
        Standard deviation s of the Gaussian that precedes the gradient, in units of length.
    integration : float, optional
        Standard deviation ρ, in units of length: how far to look for the direction; ``None``: of 1,
        1.6 and 2.5, the one of least risk.
    alpha : float, default 0.01
        Smallest eigenvalue of D, above 0 and at most 1.
    %(fidelity)s
    %(spacing)s
    step : float, default 1
        How long one D is used, at most, in units of time. (The steps within are as short as their
        stability bound asks for.)
    %(call)s

    Returns
    -------
    %(returns)s

    Raises
    ------
    %(errors)s

    Notes
    -----
    Stencil and stability are those of `edge_enhancing`. Channels share one D.

    %(choosing)s

    References
    ----------
    .. [1] J. Weickert, "Coherence-enhancing diffusion filtering", International J. Computer Vision
       31(2/3), 1999.

    Examples
    --------
    >>> import numpy as np
    >>> y, x = np.mgrid[:64, :64]
    >>> ridges = 0.5 + 0.4 * np.cos((x + y / 2) / 1.5)
    >>> broken = np.where(abs(y - 32) < 2, 0.5, ridges)
    >>> healed = coherence_enhancing(broken, 20, kappa=0.01, presmooth=0.7, integration=4)
    >>> bool(np.abs(healed - ridges)[32].mean() < np.abs(broken - ridges)[32].mean() / 2)
    True
    """
    return CoherenceEnhancing(
        time=time, kappa=kappa, presmooth=presmooth, integration=integration, alpha=alpha,
        fidelity=fidelity, spacing=spacing, step=step,
    ).solve(
        image, sigma, channel_axis=channel_axis, mask=mask, callback=callback,
        full_output=full_output,
    )  # fmt: skip


@dataclass(frozen=True)
class TensorDiffusion(Evolution):
    """∂u/∂t = div(D ∇u), D following from the smoothed structure tensor of u.

    Attributes
    ----------
    kind : int
        `kernels.EDGE` or `kernels.COHERENCE`.
    kappa : float
        Contrast parameter κ, in units of intensity per unit of length.
    presmooth, integration : float
        Standard deviations of the Gaussians that precede and follow the making of the structure
        tensor, in units of length.
    alpha : float
        Smallest eigenvalue of D, above 0.
    step : float
        How long one D is used, at most, in units of time.
    cyclic : bool
        Whether, in a plane with square pixels, the steps within are those of a cycle of the fast
        semi-iterative scheme where it takes fewer of them. Such steps are stable, but may make new
        extrema.
    spacing, mask
        As in `Evolution`.
    """

    kind: int
    kappa: float
    presmooth: float
    integration: float
    alpha: float
    cyclic: bool = False

    def largest_step(self, volume):
        return self.step

    def coarsened(self, step):
        return replace(self, step=max(self.step, step), cyclic=True)

    def evolve(self, u, time):
        # While one D is used, explicit steps within the stability bound, which follows from the
        # weights of its links, go on: no step makes a new extremum. There are as many of them
        # wherever the weights sum up to no more than `usual_sum`.
        square = u.shape[2] == 1 and self.spacing[1] == self.spacing[2]
        if square and self.alpha >= 1 / max(plane.ENOUGH) and self.mask is None:
            return self._evolve_plane(u, time)
        batch, channels, *volume = u.shape
        size, terms = math.prod(volume), 3 if volume[0] == 1 else 6
        tensor = np.empty((batch, terms, *volume), u.dtype)
        weight = np.empty((batch, size, terms), u.dtype)
        link = np.empty((batch, size, 2 * terms), np.int32)
        h, workers = np.asarray(self.spacing), numba.get_num_threads()
        taps = np.multiply.outer(1 / h, DERIVATIVE).astype(u.dtype)
        spare, mask = np.empty_like(u), self.masks(u)
        make_links = (kernels if terms == 3 else volume_kernels).make_links
        count, span = self.steps(u.shape[2:], time)
        for _ in range(count):
            smooth = self._blurred(u, self.presmooth, mask)
            if mask.size:
                kernels.structure_within(smooth, mask, taps, tensor, workers)
            else:
                kernels.structure(smooth, taps, tensor, workers)
            reach = make_links(
                self._blurred(tensor, self.integration, mask),
                self.kind, self.kappa**2, self.alpha, 1 / h, weight, link, workers,
            )  # fmt: skip
            if mask.size:
                kernels.cut_links(link, mask)
            largest = max(kernels.largest_sum(weight, link, reach), self.usual_sum(volume))
            steps, size = equal_steps(span, 1 / largest)
            swapped = kernels.explicit(
                u.reshape(batch, channels, -1), spare.reshape(batch, channels, -1), steps,
                u.dtype.type(size), weight, link, reach,
            )  # fmt: skip
            u, spare = (spare, u) if swapped else (u, spare)
        return u

    def usual_sum(self, volume):
        """The largest sum of the weights that meet in a pixel, where D turns slowly."""
        # (Axes of length 1 do not count, so that it makes no difference which of the three they are.)
        long = [h for n, h in zip(volume, self.spacing, strict=True) if n > 1]
        inverse_h2 = [1 / h**2 for h in long or self.spacing]
        trace = sum(inverse_h2)
        if self.kind == kernels.COHERENCE:  # one eigenvalue is the smallest
            trace -= (1 - self.alpha) * min(inverse_h2)
        return TURNING * 2 * trace

    def _evolve_plane(self, u, time):
        """`evolve` by the faster kernels for the plane with square pixels and moderate D."""
        batch, channels, _, height, width = u.shape
        number, h = u.dtype.type, self.spacing[2]
        vectors = plane.VECTORS[: next(n for r, n in plane.ENOUGH.items() if self.alpha * r >= 1)]
        reach = int(vectors.max())
        before, after = (
            _half_gaussian(deviation / h).astype(u.dtype)
            for deviation in (self.presmooth, self.integration)
        )
        radii = len(before) - 1, len(after) - 1
        pad = max(radii[0] + plane.DERIVATIVE, radii[1], reach)
        stride = 16 * math.ceil((width + 2 * pad) / 16)
        inside = slice(reach, reach + height), slice(pad, pad + width)
        state = np.zeros((batch, channels, height + 2 * reach, stride), u.dtype)
        state[:, :, *inside] = u[:, :, 0]
        flat = state.reshape(batch, channels, -1)
        faces = np.zeros((batch, len(vectors), flat.shape[2]), u.dtype)
        workers = numba.get_num_threads()
        space = plane.room(height, stride, len(vectors), radii, u.dtype, workers)
        count, span = self.steps(u.shape[2:], time)
        # Far beyond any contrast the powers of κ make no difference.
        kappa2 = min(max(self.kappa**2, 1e-37), 1e37)
        flat = plane.evolve(
            flat, flat.copy(), faces, width, stride, pad, np.full(count, span), self.kind,
            number(kappa2), number(1 / kappa2), number(self.alpha),
            number(DERIVATIVE[0] / h), number(DERIVATIVE[1] / h), 1 / h**2,
            self.usual_sum((1, height, width)), self.cyclic, before, after, vectors, space,
        )  # fmt: skip
        return np.ascontiguousarray(flat.reshape(state.shape)[:, :, None, *inside])

    def _blurred(self, a, deviation, mask):
        """``a[b, c, z, y, x]`` after a Gaussian cut off at 3.5 standard deviations."""
        if not deviation:
            return a
        slices, volumes = (-1, *a.shape[3:]), (-1, a.shape[2], a.shape[3] * a.shape[4])
        depth, height, width = (
            _half_gaussian(deviation / h if n > 1 else 0).astype(a.dtype)
            for n, h in zip(a.shape[2:], self.spacing, strict=True)
        )
        result, workers = np.empty_like(a), numba.get_num_threads()
        if mask.size:
            for axis, half in enumerate((depth, height, width)):
                a, source = np.empty_like(a), a
                gaussian.blur_within(source, mask, half, axis, a, workers)
            return a
        gaussian.blur_slices(a.reshape(slices), result.reshape(slices), height, width, workers)
        if len(depth) > 1:
            source, result = result, np.empty_like(a)
            gaussian.blur_depth(source.reshape(volumes), result.reshape(volumes), depth, workers)
        return result


def _half_gaussian(deviation):
    """A Gaussian's right half, its middle first, with the sum of the whole being 1."""
    reach = np.arange(math.ceil(3.5 * deviation) + 1)
    half = np.exp(-0.5 * (reach / max(deviation, 1e-9)) ** 2)
    return half / (2 * half.sum() - 1)


@dataclass(frozen=True, kw_only=True)
class EdgeEnhancing(PDEFilter):
    """Edge-enhancing diffusion: smooths along edges, for photographs, scans and drawings.

    Parameters are those of `edge_enhancing`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> EdgeEnhancing().choose(noisy, 0.1).time > 1
    True
    """

    time: float | None = None
    kappa: float | str | None = None
    presmooth: float | None = None
    alpha: float | None = None
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float = EDGE_STEP

    CHOSEN: ClassVar = ("kappa", "presmooth", "alpha")
    SEARCH: ClassVar = {
        "presmooth": Choice((0.5, 0.7, 1.0, 1.5)),
        "alpha": Choice((0.027, 0.06)),
        "kappa": Range(0.1, 2, per_sigma=True),
        "time": Range(0.1, 100, along=True),
    }

    def evolutions(self, spacing, sigma):
        integration = EDGE_INTEGRATION * min(spacing[-2:])
        choices = EDGE_CHOICES
        if self.alpha is not None:
            choices = {self.alpha: choices.get(self.alpha, next(iter(choices.values())))}
        return [
            TensorDiffusion(
                kernels.EDGE, kappa, blur, integration, alpha, spacing=spacing, step=self.step
            )
            for alpha, pairs in choices.items()
            for blur, kappa in _candidates(self.presmooth, self.kappa, pairs, sigma)
        ]

    def _halo(self, spacing):
        return _tensor_halo(self, EDGE_INTEGRATION * min(spacing[-2:]), spacing)


@dataclass(frozen=True, kw_only=True)
class CoherenceEnhancing(PDEFilter):
    """Coherence-enhancing diffusion: closes gaps in lines, for fingerprints and fibres.

    Parameters are those of `coherence_enhancing`.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (64, 64))
    >>> CoherenceEnhancing(integration=2.0).choose(noisy, 0.1).time > 1
    True
    """

    time: float | None = None
    kappa: float | str | None = None
    presmooth: float = 0.5
    integration: float | None = None
    alpha: float = COHERENCE_ALPHA
    fidelity: float = 0.0
    spacing: Spacing = None
    step: float = COHERENCE_STEP

    CHOSEN: ClassVar = ("kappa", "integration")

    def evolutions(self, spacing, sigma):
        return [
            TensorDiffusion(
                kernels.COHERENCE,
                kappa,
                self.presmooth,
                reach,
                self.alpha,
                spacing=spacing,
                step=self.step,
            )
            for reach, kappa in _candidates(self.integration, self.kappa, COHERENCE_CHOICES, sigma)
        ]

    def _halo(self, spacing):
        return _tensor_halo(self, self.integration, spacing)


def _candidates(width, kappa, choices, sigma):
    """Pairs of a Gaussian's width and κ; what is not None stays."""
    multiples = {width: sum(choices.values(), ())} if width not in (None, *choices) else choices
    return [
        (blur, rounded(multiple * sigma) if kappa is None else kappa)
        for blur, several in multiples.items()
        for multiple in (several if kappa is None else several[:1])
        if width in (None, blur)
    ]


def _tensor_halo(settled, integration, spacing):
    """The halo: that of each D, plus that of diffusion along links of several pixels."""
    variance = settled.presmooth**2 + integration**2
    rounds, _ = steps_taken(settled.time, settled.step, settled.fidelity)
    tail = heat_halo(settled.time + rounds * variance / 2, spacing)
    margin = [math.ceil(3.5 * (settled.presmooth + integration) / h) + 2 for h in spacing]
    return tuple(t + n for t, n in zip(tail, margin, strict=True))
