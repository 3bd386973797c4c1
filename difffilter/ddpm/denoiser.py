"""The DDPM as a Denoiser."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from difffilter.checks import check_choice, check_number, check_whole
from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.bias_free import BiasFreeUNet
from difffilter.ddpm.contrast import check_levels, levels, limited, limits
from difffilter.ddpm.loading import check_reversible, clamped, default_weights, least_of, load
from difffilter.ddpm.maps import REACH, by_levels, strengths
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.part import DDPMTiles
from difffilter.ddpm.process import keyed_generator, posterior_mean, reverse
from difffilter.ddpm.threads import one_thread
from difffilter.ddpm.tiles import SMALLEST_TILE, Layout, TiledNetwork, cut, overlap_of
from difffilter.ddpm.weights import Weights
from difffilter.denoiser import Box, Denoiser
from difffilter.devices import find_device, multiplies_bfloat16
from difffilter.docstring import shared
from difffilter.image import as_float
from difffilter.noise.measure import estimate_noise
from difffilter.noise.model import NoiseModel, Sigma, check_noise_given

__all__ = ["DDPM"]

MODES = ("mmse", "sample", "average")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Samples are drawn side by side, as many as have this many pixels together. The number is fixed
# rather than a matter of the device, since the noise of the samples depends on it.
SIDE_BY_SIDE = 2**22


@dataclass(frozen=True, kw_only=True)
class DDPM(Denoiser):
    """DDPM: learned from photographs, removes the most noise from them; slow without a GPU.

    It finds the step at which the DDPM sees the image's noise, and goes back to 0.

    Parameters
    ----------
    weights : str or Path, optional
        A name in `difffilter.ddpm.available`, or a file, which may be an ONNX file of
        `difffilter.ddpm.export_onnx`. ``None``: ``"natural-color"`` for three
        channels and ``"natural-gray"``, channel by channel, for any other number; in mode ``"mmse"``
        ``"natural-color-real"`` and ``"natural-gray-real"``, for noise of cameras and JPEG of any
        strength, if σ is estimated and the noise is not white or not the same everywhere.
    mode : {"mmse", "sample", "average"}, default "mmse"
        ``"mmse"`` is the posterior mean, one call of the network: the best PSNR, a little soft.
        ``"sample"`` is one draw from the posterior by the reverse process: as sharp as the
        original, up to 3 dB lower. ``"average"`` is the mean of `samples` draws, which for perfect
        draws is 10·log₁₀(1 + 1/samples) dB below the posterior mean.
    steps : int, optional
        Steps of the reverse process. ``None``: each step of the schedule below t(σ), 57 for
        σ = 25/255; with fewer, samples lose some of their texture.
    samples : int, default 16
        Draws of ``"average"``.
    eta : float, default 1
        Noise of the reverse process: 1 is DDPM, 0 the deterministic DDIM.
    seed : int, default 0
        Seed of the draws.
    device : str, default "auto"
        A PyTorch device; ``"auto"`` is CUDA if there is one, else the CPU.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default "auto"
        Precision of the layers. ``"auto"`` is bfloat16 where the hardware multiplies in it (GPUs
        since 2020, processors with AVX512-BF16), which takes three quarters of the time or less
        and costs 0.002 dB, else float32.
    tile : int, optional
        Largest side of a tile in pixels; larger images are cut into tiles that overlap by 32 and
        are blended. ``None``: 128, or 288 for networks without normalisation.
    batch : int, optional
        Tiles per call of the network. ``None``: 1 on the CPU and 256 on CUDA.
    sigma : float, optional
        Standard deviation of the noise; it takes precedence over that of the call. ``None``: that
        of the call, or else estimated. If a call has a map, the results for several σ are
        interpolated, unless the network takes maps, as that of ``"bias-free-gray"`` does.
    black, white : float, optional
        Intensities that the network sees as 0 and 1. ``None``: about the range of the image
        without its noise; where σ would be below the weights' range, up to 1 % of the pixels at either
        end are beyond, and the network sees them as black and white.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    TypeError, ValueError
        If another parameter is out of range, or the device cannot be used.

    Notes
    -----
    In the network's [−1, 1] the noise is σ̃ = 2σ/(white − black); t(σ) is the step with
    √((1 − ᾱ_t)/ᾱ_t) = σ̃, interpolated between whole ones.

    Outside the range that the weights were trained on, σ is clamped to it, with a warning if it
    was given. Below that range the change of the image shrinks in proportion, so that little noise
    means little change.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Blau & Michaeli, "The perception-distortion tradeoff", CVPR 2018, for the three modes.

    Examples
    --------
    >>> noisy = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((64, 64))
    >>> smooth = DDPM()(noisy, sigma=0.1)
    >>> bool(smooth.std() < 0.02)
    True
    """

    # The network takes all cores for one block.
    blocks_at_once: ClassVar[int | None] = 1
    takes_models: ClassVar[bool] = True

    weights: str | PathLike | None = None
    mode: str = "mmse"
    steps: int | None = None
    samples: int = 16
    eta: float = 1.0
    seed: int = 0
    device: str = "auto"
    dtype: str = "auto"
    tile: int | None = None
    batch: int | None = None
    sigma: float | None = None
    black: float | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        if self.weights is not None:
            self.check_weights(self.weights)
        check_choice("mode", self.mode, MODES)
        check_choice("dtype", self.dtype, ("auto", *DTYPES))
        for name, least in (("samples", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least=least)
        for name, least in (("steps", 1), ("tile", SMALLEST_TILE), ("batch", 1)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), least=least)
        check_number("eta", self.eta, least=0, most=1)
        if self.sigma is not None:
            check_number("sigma", self.sigma, least=0)
        check_levels(self.black, self.white)
        find_device(self.device)

    @shared
    def __call__(
        self, noisy: ArrayLike, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> NDArray:
        """Denoise an image or, slice by slice, a volume.

        Parameters
        ----------
        %(noisy)s

        Returns
        -------
        %(denoised)s

        Raises
        ------
        TypeError, ValueError
            If `noisy` is not an image, `sigma` is out of range, or the weights are damaged.
        MemoryError
            If the image does not fit into memory.
        """
        image = as_float(noisy, channel_axis)
        settled, deviation = self._settled(image, sigma, channel_axis, noisy)
        return settled._apply(image, channel_axis, deviation=deviation)

    def with_gradient(
        self, noisy: Tensor, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> Tensor:
        """Denoise a tensor so that PyTorch can differentiate the result with respect to it.

        Parameters and errors are those of `Denoiser.with_gradient`.
        """
        given = noisy.detach().cpu().numpy()
        image = as_float(given, channel_axis)
        settled, deviation = self._settled(image, sigma, channel_axis, given)
        if deviation is not None:
            raise ValueError("sigma differs between pixels; expected a number for a gradient")
        return settled._differentiated(noisy, channel_axis)

    def choose(
        self, noisy: ArrayLike, sigma: Sigma | None = None, *, channel_axis: int | None = None
    ) -> DDPM:
        """A copy with what is None set, for this image and noise.

        Applying the copy depends on nothing but its fields, and a map of σ if one is given.
        Parameters are those of the call.
        """
        image = as_float(noisy, channel_axis)
        settled, deviation = self._settled(image, sigma, channel_axis, noisy)
        return settled if deviation is None else replace(settled, sigma=None)

    def is_settled(self, sigma: Sigma | None = None) -> bool:
        given = sigma if self.sigma is None else self.sigma
        needed = (self.weights, self.steps, given, self.black, self.white)
        return all(each is not None for each in needed)

    def halo(self, axes: int) -> tuple[int, ...]:
        self._check_blocks()
        reach = REACH + (self.tile or self._trained(1).net.config.tile)
        return (0,) * (axes - 2) + (reach, reach)

    def block(self, box: Box, shape: tuple[int, ...]) -> tuple[Box, Denoiser]:
        """The pixels of the tiles that reach into a block, and a Denoiser for those tiles.

        With them come some pixels around them, since the strength of the noise is read from a blurred
        image. Parameters are those of `Denoiser.block`.

        Raises
        ------
        ValueError
            If the mode draws samples, whose noise belongs to the whole image.
        """
        self._check_blocks()
        config = self._trained(1).net.config
        multiple = config.multiple
        largest = (self.tile or config.tile) // multiple * multiple
        needed, layout, inner = list(box[:-2]), [], []
        for (low, high), extent in zip(box[-2:], shape[-2:], strict=True):
            size, starts = cut(extent, largest, overlap_of(largest), multiple)
            touching = [start for start in starts if start < high and start + size > low]
            first, last = touching[0], min(touching[-1] + size, extent)
            needed.append((max(0, first - REACH), min(last + REACH, extent)))
            inner.append(slice(first - needed[-1][0], last - needed[-1][0]))
            layout.append((size, tuple(start - first for start in touching)))
        part = DDPMTiles(ddpm=self, layout=tuple(layout), inner=tuple(inner))
        return tuple(needed), part

    def warm_up(self, dtype: Any = np.float32) -> None:
        """Load the weights, those for grey if none are set."""
        self._trained(1)

    def check_weights(self, weights: str | PathLike) -> None:
        """Raise an error unless there are such weights; a class of other weights overrides it."""
        weight_files.find(weights)

    def load_weights(self, weights: str | PathLike) -> Weights:
        """The network of weights, on the device; a class of other weights overrides it."""
        return load(weights, self.device)

    def _check_blocks(self) -> None:
        if self.mode != "mmse":
            raise ValueError(
                f"mode={self.mode!r} cannot go block by block: its noise belongs to the whole "
                "image; mode='mmse' can"
            )

    def _trained(self, channels: int) -> Weights:
        return self.load_weights(self.weights or default_weights(channels))

    def estimate_sigma(self, noisy: ArrayLike, *, channel_axis: int | None = None) -> float:
        image = as_float(noisy, channel_axis)
        blind = self._trained(1 if channel_axis is None else image.shape[channel_axis]).blind
        if blind is not None:  # the network does not need it, and an estimate may be 0
            return blind * float(np.ptp(image))
        return super().estimate_sigma(image, channel_axis=channel_axis)

    def estimate_noise(self, noisy: ArrayLike, *, channel_axis: int | None = None) -> Sigma:
        image = as_float(noisy, channel_axis)
        blind = self._trained(1 if channel_axis is None else image.shape[channel_axis]).blind
        if blind is not None:
            return blind * float(np.ptp(image))
        if self.weights is None and self.mode == "mmse":  # the weights for real noise tell texture
            model = estimate_noise(image, channel_axis=channel_axis)
            return model.sigma if model.plain else model
        return super().estimate_noise(image, channel_axis=channel_axis)

    def _settled(
        self, image: NDArray, sigma: Sigma | None, channel_axis: int | None, noisy: ArrayLike
    ) -> tuple[DDPM, NDArray | NoiseModel | None]:
        """This or a copy, with every parameter set, and the noise if its strength varies.

        The noise is a map of σ or, for a network that takes maps, a model.

        Warns of given parameters that do not fit. To be called where the user calls in, so that the
        warnings point there; `noisy` is the image as it was given there.
        """
        if self.is_settled():
            return self, None
        channels = 1 if channel_axis is None else image.shape[channel_axis]
        given = sigma if self.sigma is None else self.sigma
        if given is None:
            noise = check_noise_given(
                self.estimate_noise(image, channel_axis=channel_axis), image, channel_axis, image
            )
        else:
            noise = check_noise_given(given, image, channel_axis, noisy)
        model = noise.model if self.mode == "mmse" else None
        model = None if model is None or model.plain else model
        weights = self.weights or default_weights(channels, real=model is not None)
        trained = self.load_weights(weights)
        sigma = noise.sigma
        deviation: NDArray | NoiseModel | None = noise.map
        if deviation is not None and self.mode != "mmse":
            raise ValueError(f"sigma is not a number; expected one for mode={self.mode!r}")
        if model is not None and isinstance(trained.net, BiasFreeUNet):
            deviation = model
        white_sigma = sigma
        if trained.blind is not None:
            deviation = None
            sigma = trained.blind * float(np.ptp(image))
            white_sigma = super().estimate_sigma(image, channel_axis=channel_axis)
        black, white = levels(image, white_sigma, channel_axis, least_of(trained))
        black = black if self.black is None else self.black
        white = white if self.white is None else self.white
        if black >= white:
            raise ValueError(
                f"black is {black:g} and white is {white:g}; expected white above black: set both"
            )
        span = white - black
        needed = trained.blind is None and given is not None and sigma > 0
        if needed and clamped(sigma / span, trained) != sigma / span:
            low, high = (span * limit for limit in trained.sigma_range)
            warnings.warn(
                f"sigma={sigma:.4g} is outside the range {low:.4g} ... {high:.4g} that the weights "
                "were trained on for this image's contrast, and is clamped to it",
                stacklevel=3,
            )
        own = trained.net.config.channels
        if self.weights is not None and channels != own and sigma > 0:
            warnings.warn(
                f"weights {str(self.weights)!r} are for {own} channels, the image has "
                f"{channels}: each channel is denoised by itself",
                stacklevel=3,
            )
        if self.mode != "mmse":
            check_reversible(trained, self.weights)
        steps = self.steps
        if steps is None and trained.blind is not None:
            steps = 1
        elif steps is None:
            # Of a channel by itself the network sees `own` copies; see _restore.
            seen = (1 if channels == own else math.sqrt(own)) * sigma / span
            steps = max(1, round(trained.schedule.step_of(2 * clamped(seen, trained))))
        settled = replace(self, weights=weights, steps=steps, sigma=sigma, black=black, white=white)
        return settled, deviation

    def _apply(
        self,
        image: NDArray,
        channel_axis: int | None,
        layout: Layout | None = None,
        deviation: NDArray | NoiseModel | None = None,
    ) -> NDArray:
        """The result for an image, or for a part of one that consists of the tiles of a layout.

        `deviation` takes the place of ``self.sigma``: a map of the image's shape, or a model.
        """
        if self.sigma == 0:
            return image.copy()
        if isinstance(deviation, NoiseModel):
            deviation = strengths(deviation, image, channel_axis)
        black, span = cast(float, self.black), cast(float, self.white) - cast(float, self.black)
        trained = self._trained(1 if channel_axis is None else image.shape[channel_axis])
        if deviation is not None and not isinstance(trained.net, BiasFreeUNet):
            return by_levels(
                lambda sigma: replace(self, sigma=sigma)._apply(image, channel_axis, layout),
                image,
                deviation,
            )
        seen = limited(
            image, cast(float, self.sigma), black, cast(float, self.white), least_of(trained)
        )

        def stacked(array: NDArray) -> NDArray:  # (B, C, H, W)
            last = (
                array[..., None] if channel_axis is None else np.moveaxis(array, channel_axis, -1)
            )
            return np.moveaxis(last.reshape(-1, *last.shape[-3:]), 3, 1)

        y = torch.from_numpy(2 * ((stacked(seen) - black) / span) - 1)
        sigma = None if deviation is None else torch.from_numpy(stacked(deviation) / span).to(y)

        with memory_errors(), one_thread():
            x0 = self._restore(y, layout, sigma).numpy()

        last = seen[..., None] if channel_axis is None else np.moveaxis(seen, channel_axis, -1)
        last = black + span / 2 * (np.moveaxis(x0, 1, 3).reshape(last.shape) + 1)
        last = last[..., 0] if channel_axis is None else np.moveaxis(last, -1, channel_axis)
        return np.ascontiguousarray(last if seen is image else last + (image - seen))

    def _differentiated(self, noisy: Tensor, channel_axis: int | None) -> Tensor:
        """`_apply` with tensors throughout."""
        if self.sigma == 0:
            return noisy.clone()
        sigma, black, white = (cast(float, each) for each in (self.sigma, self.black, self.white))
        trained = self._trained(1 if channel_axis is None else noisy.shape[channel_axis])
        seen = noisy.clamp(*limits(sigma, black, white, least_of(trained)))
        last = seen[..., None] if channel_axis is None else seen.movedim(channel_axis, -1)
        stack = last.reshape(-1, *last.shape[-3:]).movedim(3, 1).cpu()  # (B, C, H, W)
        y = 2 * ((stack - black) / (white - black)) - 1

        with memory_errors(), one_thread():
            x0 = self._restore(y, None)

        last = black + (white - black) / 2 * (x0.to(noisy).movedim(1, 3).reshape(last.shape) + 1)
        last = last[..., 0] if channel_axis is None else last.movedim(-1, channel_axis)
        return last + (noisy - seen)

    def _restore(self, y: Tensor, layout: Layout | None, sigmas: Tensor | None = None) -> Tensor:
        """x_0 for noisy images y (B, C, H, W) in [−1, 1], for any number of channels.

        `sigmas` (B, C, H, W) takes the place of ``self.sigma``, as a share of the range of intensities.
        """
        black, white = cast(float, self.black), cast(float, self.white)
        trained, sigma = self._trained(y.shape[1]), cast(float, self.sigma) / (white - black)
        own = trained.net.config.channels

        def go_back(y: Tensor, factor: float, sigmas: Tensor | None) -> Tensor:
            if sigmas is None:
                return self._go_back(y, factor * sigma, trained, layout)
            return self._go_back_mapped(y, factor * sigmas, trained, layout)

        if y.shape[1] == own:
            mean = None if sigmas is None else sigmas.square().mean(dim=1, keepdim=True).sqrt()
            return go_back(y, 1.0, mean)
        alone = y.reshape(-1, 1, *y.shape[2:]).expand(-1, own, -1, -1)
        each = None if sigmas is None else sigmas.reshape(-1, 1, *y.shape[2:])
        # n equal channels are √n times as noisy along the grey axis as n independent ones.
        return go_back(alone, math.sqrt(own), each).mean(dim=1, keepdim=True).reshape(y.shape)

    def _go_back_mapped(
        self, y: Tensor, sigmas: Tensor, trained: Weights, layout: Layout | None
    ) -> Tensor:
        """The posterior mean of images y (B, C, H, W) with noise of strengths (B, 1, H, W)."""
        known = sigmas.clamp(*trained.sigma_range)
        with TiledNetwork(
            trained.net, self._dtype(trained), tile=self.tile, batch=self.batch, layout=layout
        ) as eps_theta:
            noise = 2 * known * eps_theta(y, 2 * known)
        return y - (sigmas / known).clamp(max=1) * noise

    def _go_back(self, y: Tensor, sigma: float, trained: Weights, layout: Layout | None) -> Tensor:
        """x_0 for noisy images y (B, C, H, W) in [−1, 1] with as many channels as the network."""
        known = clamped(sigma, trained) if trained.blind is None else trained.blind
        steps, schedule = cast(int, self.steps), trained.schedule
        at_once = max(1, SIDE_BY_SIDE // y[:, 0].numel())
        draws = {"mmse": 0, "sample": 1, "average": self.samples}[self.mode]
        calls = 1 if draws == 0 else steps * math.ceil(draws / at_once)
        with TiledNetwork(
            trained.net,
            self._dtype(trained),
            tile=self.tile,
            batch=self.batch,
            calls=calls,
            layout=layout,
        ) as eps_theta:
            if self.mode == "mmse":
                x0 = posterior_mean(eps_theta, y, 2 * known, schedule)
            else:
                x0 = torch.zeros_like(y)
                for first in range(0, draws, at_once):
                    count = min(at_once, draws - first)
                    some = reverse(
                        eps_theta,
                        y.repeat(count, 1, 1, 1),
                        2 * known,
                        schedule,
                        steps=steps,
                        eta=self.eta,
                        generator=keyed_generator(self.seed, first),
                    )
                    x0 += some.unflatten(0, (count, -1)).sum(dim=0)
                x0 /= draws
        if trained.blind is not None or known <= sigma:
            return x0
        return y + (sigma / known) * (x0 - y)

    def _dtype(self, trained: Weights) -> torch.dtype:
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        device = next(trained.net.parameters()).device
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
