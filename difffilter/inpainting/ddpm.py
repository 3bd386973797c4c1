"""Filling in with a DDPM, which has learned what photographs look like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.conditional import Turning, draw, most_probable
from difffilter.ddpm.contrast import check_levels, levels
from difffilter.ddpm.denoiser import DTYPES, SIDE_BY_SIDE
from difffilter.ddpm.loading import check_reversible, default_weights, load
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.process import keyed_generator
from difffilter.ddpm.threads import one_thread
from difffilter.ddpm.tiles import TiledNetwork
from difffilter.ddpm.weights import Weights
from difffilter.devices import find_device, multiplies_bfloat16
from difffilter.inpainting.graph import HOLE, KNOWN, OUTSIDE
from difffilter.inpainting.harmonic import Harmonic
from difffilter.inpainting.inpainter import Callback, Inpainter, Problem, place, prepare

__all__ = ["DDPM"]

MODES = ("map", "sample", "average")

# σ at which mode "map" ends, for an image in [0, 1]; with noise of known pixels above that, at its σ, below
# which they would hardly count.
END = 0.006

# Where the process starts, as a share of the range: if known pixels form areas, and if they are scattered
# among holes. Between areas it has to leave the harmonic filling, for lines to be continued; scattered pixels
# hold details, which noise would cover.
AREAS_START, SCATTERED_START = 0.25, 0.125


@dataclass(frozen=True, kw_only=True)
class DDPM(Inpainter):
    """Fill in with a DDPM: learned from photographs, continues edges; slow without a GPU.

    Best for scattered pixels and narrow holes, such as text; in holes some 30 pixels wide its errors
    are no smaller than those of the harmonic filling, from which it starts. Of a volume each slice
    along the first axis is filled in by itself, but for the start. Pixels that are ignored are
    imagined like holes, and the result is discarded.

    Parameters
    ----------
    weights : str or Path, optional
        A name in `difffilter.ddpm.available`, or a file, for as many channels as the image has, or
        for one. ``None``: ``"natural-color"`` for three channels and ``"natural-gray"``, channel by
        channel, for any other number.
    mode : {"map", "sample", "average"}, default "map"
        ``"map"`` is the most probable filling, from `steps` calls of the network: the best PSNR,
        a little soft. ``"sample"`` is one draw from the fillings that are probable, by the reverse
        process: as sharp as the rest of the image, several dB lower. ``"average"`` is the mean of
        `samples` draws.
    sigma : float, default 0
        Standard deviation of the noise of known pixels, in units of intensity. Above 0 the whole
        image is denoised too.
    steps : int, default 16
        Steps from `start` to the end.
    start : float, optional
        Standard deviation of the noise from which the process starts, as a share of the range
        from black to white. With more, wider holes leave the harmonic filling; with less, single
        pixels keep more detail. ``None``: 0.25 for draws; in mode ``"map"`` between that and
        0.125, the more known pixels are beside a hole.
    samples : int, default 8
        Draws of ``"average"`` and `fillings`.
    eta : float, default 1
        Noise of the reverse process: 1 is DDPM, 0 the deterministic DDIM.
    seed : int, default 0
        Seed of the draws.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default "auto"
        Precision of the layers; ``"auto"`` is bfloat16 where the hardware multiplies in it.
    black, white : float, optional
        Intensities that the network sees as 0 and 1. ``None``: about the range of known pixels
        without their noise.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If another parameter is out of range, or the device cannot be used.

    Notes
    -----
    In y = x_t/√ᾱ_t = x_0 + σ̃ε on [−1, 1], and with w = σ̃²/(σ̃² + σ̃_n²), where σ̃_n is the noise of
    known pixels f (w = 1 if there is none):

    ``"map"`` repeats y ← x̂_0(y, σ̃), and w f + (1 − w) x̂_0 where pixels are known, for falling σ̃. In
    a fixed point the score of holes is 0. Without noise known pixels become f + (f − x̂_0)/2 instead:
    details that the network takes away come back stronger, as in iterative regularisation.

    A draw is the reverse process, in which the network sees y in holes, and elsewhere
    w f + (1 − w) y + σ̃ e, where e is w times the noise that it found there in the step before. If
    the prior is Gaussian and e has converged, what it finds in holes is exactly E[ε | y, f], and
    draws are those of the posterior. They are not with fresh noise in known pixels (Lugmayr et al.
    2022), or with x̂_0 alone replaced there (Wang et al. 2023).

    References
    ----------
    Zhang et al., "Plug-and-play image restoration with deep denoiser prior", TPAMI 2022.
    Zhu et al., "Denoising diffusion models for plug-and-play image restoration", CVPRW 2023.
    Lugmayr et al., "RePaint: inpainting using denoising diffusion probabilistic models", CVPR 2022.
    Wang, Yu & Zhang, "Zero-shot image restoration using denoising diffusion null-space model",
    ICLR 2023.
    Osher, Burger, Goldfarb, Xu & Yin, "An iterative regularization method for total variation-based image
    restoration", Multiscale Modeling & Simulation 4(2), 2005.
    Meng et al., "SDEdit: guided image synthesis and editing with stochastic differential
    equations", ICLR 2022, for the start.

    Examples
    --------
    >>> image = np.tile(np.linspace(0, 1, 32), (32, 1))
    >>> image[8:24, 14:18] = np.nan
    >>> filled = DDPM(steps=4)(image)
    >>> bool(np.isfinite(filled).all())
    True
    """

    draws = True

    weights: str | PathLike | None = None
    mode: str = "map"
    sigma: float = 0.0
    steps: int = 16
    start: float | None = None
    samples: int = 8
    eta: float = 1.0
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    black: float | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        if self.weights is not None:
            weight_files.find(self.weights)
        check_choice("mode", self.mode, MODES)
        check_choice("dtype", self.dtype, ("auto", *DTYPES))
        for name, least in (("steps", 1), ("samples", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least=least)
        check_number("sigma", self.sigma, least=0)
        if self.start is not None:
            check_number("start", self.start, least=0.01, most=10)
        check_number("eta", self.eta, least=0, most=1)
        check_levels(self.black, self.white)
        find_device(self.device)

    def replaced(self, state: NDArray) -> NDArray:
        """Holes; if known pixels are noisy, these too."""
        return state == HOLE if self.sigma == 0 else state != OUTSIDE

    def fill(self, problem: Problem, callback: Callback | None) -> NDArray:
        draws = {"map": 0, "sample": 1, "average": self.samples}[self.mode]
        estimate = self._estimates(problem, draws, callback).mean(axis=0)
        return estimate[self.replaced(problem.state)]

    def fillings(
        self,
        image: ArrayLike,
        mask: ArrayLike | None = None,
        *,
        ignore: ArrayLike | None = None,
        channel_axis: int | None = None,
        spacing: float | Sequence[float] | None = None,
        callback: Callback | None = None,
    ) -> NDArray:
        """Draw several fillings, whatever the mode.

        Their spread shows where the image does not decide what belongs into a hole. Parameters and
        errors are those of the call.

        Returns
        -------
        ndarray (samples, ...)
            The image with each of its fillings, as the call returns it.

        Examples
        --------
        >>> image = np.tile(np.linspace(0, 1, 32), (32, 1))
        >>> image[8:24, 14:18] = np.nan
        >>> DDPM(steps=2, samples=3).fillings(image).shape
        (3, 32, 32)
        """
        problem, result = prepare(image, mask, ignore, channel_axis, spacing)
        replaced, results = self.replaced(problem.state), []
        for estimate in self._estimates(problem, self.samples, callback):
            results.append(result.copy())
            place(estimate[replaced], replaced, results[-1], channel_axis)
        return np.stack(results)

    def _estimates(self, problem: Problem, draws: int, callback: Callback | None) -> NDArray:
        """Estimates (K, ..., C) of the whole image: draws, or the most probable one for 0 draws."""
        known = problem.state == KNOWN
        start, channels = harmonic(problem), problem.image.shape[-1]
        if self.sigma == 0 and known.all():
            return np.stack([problem.image] * max(draws, 1))
        trained = load(self.weights or default_weights(channels), self.device)
        check_reversible(trained, self.weights)
        own = trained.net.config.channels
        if own not in (1, channels):
            expected = "1" if channels == 1 else f"{channels} or 1"
            raise ValueError(
                f"weights is {str(self.weights)!r}, for {own} channels; expected weights for {expected}"
            )
        black, white = levels(start, self.sigma, -1)
        black = black if self.black is None else self.black
        white = white if self.white is None else self.white
        if black >= white:
            raise ValueError(
                f"black is {black:g} and white is {white:g}; expected white above black: set both"
            )
        span = white - black

        def stack(array):  # (B, own, H, W), float32
            planes = np.moveaxis(array.reshape(-1, *array.shape[-3:]), 3, 1)
            planes = planes.reshape(-1, own, *planes.shape[2:])
            return torch.from_numpy(np.ascontiguousarray(planes, np.float32))

        values = stack(2 * ((np.where(known[..., None], problem.image, start) - black) / span) - 1)
        where = stack(np.broadcast_to(known[..., None], start.shape)) > 0
        with memory_errors(), one_thread():
            estimates = self._run(trained, values, where, 2 * self.sigma / span, draws, callback)
        batch = estimates.reshape(len(estimates), -1, channels, *values.shape[2:]).numpy()
        images = np.moveaxis(batch, 2, -1).reshape(-1, *start.shape)
        return black + span / 2 * (images.astype(start.dtype) + 1)

    def _run(
        self,
        trained: Weights,
        values: Tensor,
        known: Tensor,
        noise: float,
        draws: int,
        callback: Callback | None,
    ) -> Tensor:
        """Estimates (K, B, C, H, W) of images whose holes are filled for a start, in [−1, 1]."""
        at_once = max(1, SIDE_BY_SIDE // values[:, 0].numel())
        total, done = self.steps * max(1, math.ceil(draws / at_once)), 0

        def report() -> None:
            nonlocal done
            done += 1
            if callback is not None:
                callback(done, total)

        schedule = trained.schedule
        start = 2 * (self.start or (AREAS_START if draws else start_of(known)))
        with TiledNetwork(trained.net, self._dtype(trained), calls=total) as eps_theta:
            if draws == 0:
                end = max(2 * END, noise)
                falling = np.geomspace(max(start, end), end, self.steps)
                return most_probable(
                    Turning(eps_theta), values, known, schedule, falling, noise, report=report
                )[None]
            parts = []
            for first in range(0, draws, at_once):
                count = min(at_once, draws - first)
                some = draw(
                    eps_theta,
                    values.repeat(count, 1, 1, 1),
                    known.repeat(count, 1, 1, 1),
                    schedule,
                    start,
                    noise,
                    steps=self.steps,
                    eta=self.eta,
                    generator=keyed_generator(self.seed, first),
                    report=report,
                )
                parts.append(some.unflatten(0, (count, -1)))
        return torch.cat(parts)

    def _dtype(self, trained: Weights) -> torch.dtype:
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        device = next(trained.net.parameters()).device
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32


def start_of(known: Tensor) -> float:
    """Where mode "map" starts, for known pixels (B, C, H, W)."""
    # (The mean over 3×3 pixels is less than 1 beside a hole.)
    around = avg_pool2d(known[:, :1].float(), 3, 1, 1, count_include_pad=False)
    scattered = float((around[known[:, :1]] < 0.999).float().mean()) if known.any() else 1.0
    return AREAS_START + scattered * (SCATTERED_START - AREAS_START)


def harmonic(problem: Problem) -> NDArray:
    """The image (..., C) with its harmonic filling, in holes and where pixels are ignored."""
    unknown = problem.state != KNOWN
    filled = problem.image.copy()
    if unknown.any():
        state = np.where(unknown, np.uint8(HOLE), np.uint8(KNOWN))
        filled[unknown] = Harmonic().fill(Problem(filled, state, problem.spacing), None)
    return filled
