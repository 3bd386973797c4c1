"""The DDPM as a Denoiser: which weights, which way back, and from which σ."""

import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike

import numpy as np
import torch

from difffilter.ddpm import weights as weight_files
from difffilter.ddpm.memory import memory_errors
from difffilter.ddpm.process import posterior_mean, reverse
from difffilter.ddpm.threads import one_thread
from difffilter.ddpm.tiles import SMALLEST_TILE, TILE, TiledNetwork, cut, overlap_of
from difffilter.denoiser import prepare
from difffilter.devices import find_device, multiplies_bfloat16

MODES = ("mmse", "sample", "average")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Beyond this the network, which expects [0, 1], could overflow.
FARTHEST = 1e6

# Samples are drawn side by side, as many as have this many pixels together. The number is fixed
# and not a matter of the device, since the noise of the samples depends on it.
SIDE_BY_SIDE = 2**22


@dataclass(frozen=True)
class DDPM:
    """Denoise by a DDPM: find the step at which it sees the image's noise, and go back to 0.

    Parameters
    ----------
    weights : str or Path, optional
        A name in `difffilter.ddpm.available` or a file. None chooses ``"natural-color"`` for
        three channels and ``"natural-gray"``, channel by channel, for any other number.
    mode : {"mmse", "sample", "average"}, default "mmse"
        ``"mmse"`` is the posterior mean, one call of the network: the best PSNR, a little soft.
        ``"sample"`` is one draw from the posterior by the reverse process: sharp as the original,
        up to 3 dB lower. ``"average"`` is the mean of `samples` draws, 10·log₁₀(1 + 1/samples) dB
        below the mean for perfect draws.
    steps : int, optional
        Steps of the reverse process. None takes each step of the schedule below t(σ), which is 57
        for σ = 25/255; with fewer, samples lose some of their texture.
    samples : int, default 16
        Draws of ``"average"``.
    eta : float, default 1
        Noise of the reverse process: 1 is DDPM, 0 is the deterministic DDIM.
    seed : int, default 0
        Of the draws.
    device : str, default "auto"
        A PyTorch device. ``"auto"`` is CUDA if there is one, else the CPU.
    dtype : {"auto", "float32", "bfloat16", "float16"}, default "auto"
        What the layers compute in. ``"auto"`` is bfloat16 where the hardware multiplies in it (GPUs
        since 2020, processors with AVX512-BF16), which takes three quarters of the time or less
        and costs 0.002 dB, else float32.
    tile : int, optional
        Largest side of a tile in pixels; larger images are cut into tiles that overlap by 32 and
        are blended. None is 128.
    batch : int, optional
        Tiles a network call. None is 1 on the CPU and 256 on CUDA.

    Raises
    ------
    FileNotFoundError
        If there are no such weights.
    ValueError
        If another parameter is not as above, or there is no such device.

    Notes
    -----
    An image in [0, 1] with noise σ has σ̃ = 2σ in the network's [−1, 1]; t(σ) is the step with
    √((1 − ᾱ_t)/ᾱ_t) = σ̃, interpolated between whole ones.

    References
    ----------
    Ho, Jain & Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020.
    Blau & Michaeli, "The perception-distortion tradeoff", CVPR 2018, for the three modes.

    Examples
    --------
    >>> import numpy as np
    >>> noisy = 0.5 + 0.1 * np.random.default_rng(0).standard_normal((64, 64))
    >>> smooth = DDPM()(noisy, sigma=0.1)
    >>> bool(smooth.std() < 0.02)
    True
    """

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

    def __post_init__(self):
        if self.weights is not None:
            weight_files.find(self.weights)
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}; expected one of {', '.join(MODES)}")
        if self.dtype not in ("auto", *DTYPES):
            raise ValueError(f"dtype is {self.dtype!r}; expected one of auto, {', '.join(DTYPES)}")
        for name, least in (
            ("steps", 1),
            ("samples", 1),
            ("seed", 0),
            ("tile", SMALLEST_TILE),
            ("batch", 1),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(f"{name} is {value!r}; expected a whole number from {least} up")
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta is {self.eta!r}; expected a number from 0 (DDIM) to 1 (DDPM)")
        find_device(self.device)

    def choose(self, noisy, sigma=None, *, channel_axis=None):
        """A copy in which `weights` and `steps` are those that the call would take.

        Parameters
        ----------
        noisy, sigma, channel_axis
            Those of the call.

        Returns
        -------
        DDPM
        """
        image, sigma = prepare(noisy, sigma, channel_axis)
        channels = 1 if channel_axis is None else image.shape[channel_axis]
        trained = self._trained(channels)
        return replace(
            self,
            weights=self.weights or default_weights(channels),
            steps=self._steps(trained, clamped(sigma, trained)),
        )

    def __call__(self, noisy, sigma=None, *, channel_axis=None):
        """Denoise an image or, slice by slice, a volume.

        Parameters
        ----------
        noisy : array_like
            (H, W) or (D, H, W), or either with channels; integers are scaled to [0, 1]. It is not
            written to.
        sigma : float, optional
            Standard deviation of the noise in units of intensity. None estimates it. Outside the
            range the weights were trained on it is clamped, with a warning if it was given. Below
            that range what is changed in the image shrinks in proportion, so that little noise
            means little change.
        channel_axis : int, optional
            The axis of the channels; None if there are none.

        Returns
        -------
        ndarray
            Same shape; float32, or float64 for float64 input.

        Raises
        ------
        TypeError, ValueError
            If `noisy` is no image, `sigma` no noise, or the weights are damaged.
        """
        return self.part(noisy, sigma, None, channel_axis=channel_axis)

    def layout(self, shape):
        """The tiles of a whole image of shape (H, W): their size and starts along either axis.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        list of (int, list of int)

        Raises
        ------
        ValueError
            If the mode draws samples, whose noise belongs to the whole image.
        """
        if self.mode != "mmse":
            raise ValueError(
                f"mode={self.mode!r} cannot go block by block, for its noise belongs to the whole "
                "image; mode='mmse' can"
            )
        tile, multiple = self.tile or TILE, self._trained(1).net.config.multiple
        tile = tile // multiple * multiple
        return [cut(extent, tile, overlap_of(tile), multiple) for extent in shape]

    @memory_errors()
    def part(self, noisy, sigma, layout, *, channel_axis=None):
        """Denoise a part of an image by those tiles of the whole's `layout` that it consists of.

        Parameters
        ----------
        noisy, sigma, channel_axis
            As for a call.
        layout : list of (int, list of int) or None
            Size and starts, within the part, of the tiles along either axis; None: as for an image
            of its own.

        Returns
        -------
        ndarray
        """
        estimated = sigma is None
        image, sigma = prepare(noisy, sigma, channel_axis)
        if sigma == 0:
            return image.copy()
        if max(-image.min(), image.max()) > FARTHEST:
            raise ValueError(
                f"image has values from {image.min():.3g} to {image.max():.3g}; the weights know "
                "images in [0, 1]: scale it"
            )
        last = image[..., None] if channel_axis is None else np.moveaxis(image, channel_axis, -1)
        height, width, channels = last.shape[-3:]
        y = 2 * np.moveaxis(last.reshape(-1, height, width, channels), 3, 1) - 1  # (B, C, H, W)

        trained = self._trained(channels)
        if not estimated and clamped(sigma, trained) != sigma:
            warnings.warn(
                f"sigma={sigma:.4g} is outside the range {trained.sigma_range[0]:.4g} ... "
                f"{trained.sigma_range[1]:.4g} the weights were trained on, and is clamped to it",
                stacklevel=3,
            )
        with one_thread():
            x0 = self._restore(torch.from_numpy(y), sigma, trained, layout).numpy()

        last = (np.moveaxis(x0, 1, 3).reshape(last.shape) + 1) / 2
        last = last[..., 0] if channel_axis is None else np.moveaxis(last, -1, channel_axis)
        return np.ascontiguousarray(last)

    def _trained(self, channels):
        return load(self.weights or default_weights(channels), self.device)

    def _dtype(self, trained):
        if self.dtype != "auto":
            return DTYPES[self.dtype]
        device = next(trained.net.parameters()).device
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32

    def _steps(self, trained, sigma):
        if self.steps is not None:
            return self.steps
        return max(1, round(trained.schedule.step_of(2 * sigma)))

    def _restore(self, y, sigma, trained, layout):
        """x_0 for noisy images y (B, C, H, W) in [−1, 1], for networks of any channel number."""
        own = trained.net.config.channels
        if y.shape[1] == own:
            return self._go_back(y, sigma, trained, layout)
        if self.weights is not None:
            warnings.warn(
                f"weights {str(self.weights)!r} are for {own} channels, the image has "
                f"{y.shape[1]}: each channel is denoised by itself",
                stacklevel=4,
            )
        alone = y.reshape(-1, 1, *y.shape[2:]).expand(-1, own, -1, -1)
        # n equal channels are √n times as noisy along the grey axis as n independent ones.
        x0 = self._go_back(alone, math.sqrt(own) * sigma, trained, layout)
        return x0.mean(dim=1, keepdim=True).reshape(y.shape)

    def _go_back(self, y, sigma, trained, layout):
        """x_0 for noisy images y (B, C, H, W) in [−1, 1] with as many channels as the network."""
        known = clamped(sigma, trained)
        steps, schedule = self._steps(trained, known), trained.schedule
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
        return x0 if known <= sigma else y + (sigma / known) * (x0 - y)


def default_weights(channels):
    """The name of the weights for an image of so many channels."""
    color = channels == 3 and "natural-color" in weight_files.available()
    return "natural-color" if color else "natural-gray"


def load(weights, device):
    """The weights of a name or file, with their network on the device of a name."""
    path = weight_files.find(weights)
    return load_once(path, path.stat().st_mtime_ns, find_device(device))


@lru_cache(maxsize=4)
def load_once(path, modified, device):
    """Weights on a device, read once as long as the file is not `modified`."""
    with one_thread():
        trained = weight_files.load(path)
        trained.net.to(device, memory_format=torch.channels_last)
    return trained


def clamped(sigma, trained):
    """σ within the range of the weights."""
    low, high = trained.sigma_range
    return min(max(sigma, low), high)


def keyed_generator(*key):
    """A torch.Generator whose numbers depend on all of the integers given."""
    seed = np.random.SeedSequence(key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(seed[0]))
