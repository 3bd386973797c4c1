"""The two diffusions side by side: an image under a PDE and under a DDPM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from difffilter.catalog import make, spell
from difffilter.checks import check_choice, check_whole
from difffilter.denoiser import as_denoiser
from difffilter.image import as_float
from difffilter.pde.heat import Heat, heat
from difffilter.scale_spaces import VISIBLE, pde_for, scale_space

__all__ = ["ANIMATED", "Way", "animate", "draw", "two_diffusions"]

# The suffixes of animations, and Pillow's options for each.
ANIMATED = {
    ".gif": {"format": "GIF", "optimize": False},
    ".webp": {"format": "WEBP", "quality": 80, "method": 4},
}
FRAME = 125  # milliseconds

# Where to look for the time at which a PDE retains a fraction of the variance.
TIMES = np.geomspace(1e-3, 300, 32)


@dataclass(frozen=True)
class Way:
    """One image under one of the diffusions.

    Attributes
    ----------
    title : str
        The name of the diffusion.
    images : list of ndarray
        ``(H, W)`` or ``(H, W, 3)``; noise may exceed [0, 1].
    captions : list of str
        The time or step of each image.
    """

    title: str
    images: list[np.ndarray]
    captions: list[str]


def two_diffusions(
    image,
    *,
    method="heat",
    frames=7,
    last=1000,
    size=256,
    weights=None,
    steps=100,
    seed=0,
    channel_axis=None,
    device="auto",
):
    """Diffuse an image by a PDE and by a DDPM and, given weights, reverse the latter.

    The DDPM's x_t retains a fraction ᾱ_t of the variance of the image; the rest is noise. Each x_t
    is shown with the solution of the PDE that retains the same fraction. The heat equation removes
    fine scales first and leaves the coarse ones free of noise [1]_; the DDPM keeps all scales but
    buries them in noise, fine ones first [2]_. Other PDEs keep edges; one that still retains more at
    the time 300 is shown at times that rise up to it.

    Parameters
    ----------
    image : array_like
        ``(H, W)``, or with one or three channels; integers are scaled to [0, 1].
    method : str or Denoiser, default "heat"
        The PDE, as for `scale_space`. Parameters that are ``None`` are chosen as for noise of a tenth
        of the range of intensities, or more if there is more, so that an image without noise
        evolves as well.
    frames : int, default 7
        Number of images, spaced more closely where there is little noise.
    last : int, default 1000
        Last step, from 1 to the T = 1000 of the schedule.
    size : int, default 256
        Longest side in pixels; larger images are shrunk.
    weights : str or Path, optional
        Weights for the reverse process from step `last`: a name, a file, or ``"auto"`` for those
        that fit the number of channels. ``None``: no reverse process.
    steps : int, default 100
        Number of reverse steps.
    seed : int, default 0
        Seed of the noise.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.
    device : str, default "auto"
        PyTorch device for the reverse process.

    Returns
    -------
    list of Way
        The PDE, the DDPM forward and, with weights, the DDPM in reverse; each in ascending order
        of t.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        If the image is invalid, the method is not a PDE, a number is out of range, or the weights
        are missing or do not fit.

    References
    ----------
    .. [1] A. P. Witkin, "Scale-space filtering", IJCAI 1983.
    .. [2] J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
       figure 2.

    Examples
    --------
    >>> picture = np.random.default_rng(0).random((16, 24))
    >>> blur, noise = two_diffusions(picture, frames=3)
    >>> blur.captions, noise.captions
    (['T = 0', 'T = 0.0876', 'T = 54.2'], ['t = 0', 't = 250', 't = 1000'])
    """
    from difffilter.ddpm.evolution import evolve
    from difffilter.ddpm.loading import default_weights
    from difffilter.ddpm.schedule import NoiseSchedule

    schedule = NoiseSchedule()
    check_whole("frames", frames, least=2)
    if not 1 <= last <= schedule.T:
        raise ValueError(f"last is {last}; expected a step from 1 to {schedule.T}")
    picture = _shrunk(as_float(image, channel_axis, axes=(2,)), size, channel_axis)
    channels = 1 if channel_axis is None else picture.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"image has {channels} channels; expected 1 or 3")
    axis = None if channel_axis is None else -1
    t = sorted({round(last * (i / (frames - 1)) ** 2) for i in range(frames)})
    backward = default_weights(channels) if weights == "auto" else weights
    pde = make(method) if isinstance(method, str) else as_denoiser(method)
    if pde != Heat():  # whose times are found exactly
        pde = pde_for(picture, pde, channel_axis=axis, faint=VISIBLE)
    there, back = evolve(
        picture, t, channel_axis=axis, backward=backward, steps=steps, seed=seed, device=device
    )
    shares = [schedule.alpha_bar(step) for step in t]
    if pde == Heat():
        times = [_time_of_share(picture, share, axis) for share in shares]
    else:
        times = _times_of_shares(picture, pde, shares, axis)
    evolved = list(scale_space(picture, pde, times, channel_axis=axis))
    at = [f"t = {step}" for step in t]
    ways = [
        Way(
            spell(pde).partition("(")[0].replace("heat", "heat equation"),
            evolved,
            [f"T = {time:.0f}" if time >= 100 else f"T = {time:.3g}" for time in times],
        ),
        Way("DDPM, forward", there, at),
    ]
    return [*ways, Way("DDPM, reverse", back, at)] if back else ways


def _shrunk(picture, size, channel_axis):
    """The image with its channels last, shrunk so that no side is longer than `size`."""
    from skimage.transform import resize

    check_whole("size", size, least=1)
    last = picture if channel_axis is None else np.moveaxis(picture, channel_axis, -1)
    scale = size / max(last.shape[:2])
    if scale >= 1:
        return last
    shape = [max(1, round(n * scale)) for n in last.shape[:2]]
    return resize(last, (*shape, *last.shape[2:]), anti_aliasing=True).astype(picture.dtype)


def _time_of_share(picture, share, channel_axis):
    """The time at which the heat equation retains this fraction of the variance."""
    from scipy.optimize import brentq

    def variance(time):
        blurred = heat(picture.astype(np.float64), time, channel_axis=channel_axis)
        return np.var(blurred, axis=(0, 1)).sum()

    if share >= 1 or np.ptp(picture, axis=(0, 1)).max() == 0:
        return 0.0
    wanted = share * variance(0.0)

    def excess(log_time):
        return variance(np.exp(log_time)) - wanted

    # At this time the slowest mode has decayed by a factor of e^-50.
    longest = np.log(25 * max(picture.shape[:2]) ** 2)
    return float(np.exp(brentq(excess, -20, longest, xtol=1e-4)))


def _times_of_shares(picture, pde, shares, channel_axis):
    """The times at which a PDE retains these fractions, falling from 1, of the variance.

    Fractions that it does not come down to by the last of `TIMES` get rising times up to that.
    """

    def variance(u):
        return float(np.var(u, axis=(0, 1), dtype=np.float64).sum())

    whole, kept = variance(picture), []
    if np.ptp(picture, axis=(0, 1)).max() == 0:
        return [0.0] * len(shares)
    for u in scale_space(picture, pde, TIMES, channel_axis=channel_axis):
        kept.append(min([variance(u) / whole, *kept[-1:]]))
        if kept[-1] <= shares[-1]:
            break
    reached = [share for share in shares if 1 > share >= kept[-1]]
    fall, logs = -np.log(np.maximum(kept, 1e-300)), np.log(TIMES[: len(kept)])
    times = list(np.exp(np.interp(-np.log(reached), fall, logs)))
    left = len(shares) - 1 - len(times)
    times += list(np.geomspace(times[-1] if times else TIMES[0], TIMES[-1], left + 1)[1:])
    return [0.0, *map(float, times)]


def draw(ways):
    """Draw the results of `two_diffusions` as rows of a figure.

    Parameters
    ----------
    ways : list of Way

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    columns = len(ways[0].images)
    height, width = ways[0].images[0].shape[:2]
    side = 1.8
    figure = Figure(
        figsize=(side * columns + 0.4, (side * height / width + 0.25) * len(ways)),
        layout="constrained",
        dpi=150,
    )
    for row, way in zip(figure.subplots(len(ways), columns, squeeze=False), ways, strict=True):
        for axes, image, caption in zip(row, way.images, way.captions, strict=True):
            _show(axes, image)
            axes.set_title(caption, fontsize=9)
        row[0].set_ylabel(way.title, fontsize=9)
    return figure


def animate(ways, path, *, pause=8):
    """Write an animation of the forward and, if there is one, the reverse process.

    Parameters
    ----------
    ways : list of Way
        The results of `two_diffusions`. During the reverse process the PDE, which cannot be
        reversed, stands still.
    path : str or Path
        The file to write: .webp, or .gif, which is several times as large and has 64 shades of grey
        or 256 colours, dithered.
    pause : int, default 8
        Number of frames to hold at each end.

    Raises
    ------
    ValueError
        If the suffix is another one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    suffix = check_choice("suffix", Path(path).suffix.lower(), ANIMATED)
    (blur, noise), back = ways[:2], ways[2:]
    count = len(blur.images)
    scenes = [((blur, i), (noise, i)) for i in range(count)]
    ends = {count - 1}
    scenes += [((blur, count - 1), (way, i)) for way in back for i in reversed(range(count - 1))]
    ends |= {len(scenes) - 1}
    height, width = blur.images[0].shape[:2]
    figure = Figure(figsize=(6, 3 * height / width + 0.6), layout="constrained", dpi=100)
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    shown = [_show(axes, way.images[i]) for axes, (way, i) in zip(panels, scenes[0], strict=True)]
    frames = []
    for scene in scenes:
        for axes, image, (way, i) in zip(panels, shown, scene, strict=True):
            image.set_data(_clipped(way.images[i]))
            axes.set_title(f"{way.title}, {way.captions[i]}", fontsize=9)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    if suffix == ".gif":
        # (64 shades take two thirds of the bytes of 256, and dithering hides their steps.)
        frames = _dithered(frames, 64 if blur.images[0].ndim == 2 else 256)
    durations = [FRAME * (1 + pause * (n in ends)) for n in range(len(frames))]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0,
        **ANIMATED[suffix],
    )  # fmt: skip


def _dithered(frames, colours):
    """The frames, dithered, with one palette for all, so that no colour flickers."""
    from PIL import Image

    samples = frames[:: max(1, len(frames) // 8)]
    width, height = frames[0].size
    sheet = Image.new("RGB", (width, height * len(samples)))
    for n, frame in enumerate(samples):
        sheet.paste(frame, (0, n * height))
    palette = sheet.quantize(colours)
    return [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]


def _show(axes, image):
    """Draw an image without ticks; returns Matplotlib's AxesImage."""
    axes.set(xticks=[], yticks=[], frame_on=False)
    return axes.imshow(_clipped(image), cmap="gray", vmin=0, vmax=1)


def _clipped(image):
    """The image, clipped to [0, 1]."""
    return np.clip(image, 0, 1)
