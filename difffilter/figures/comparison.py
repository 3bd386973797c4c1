"""Methods side by side on one image: a table and a figure."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from difffilter.catalog import spell
from difffilter.denoiser import Identity, prepare
from difffilter.metrics import psnr, ssim

__all__ = ["Entry", "compare", "figure", "table"]


@dataclass(frozen=True)
class Entry:
    """One method's result.

    Attributes
    ----------
    label : str
        What it is called in tables and figures.
    denoiser : Denoiser
        With the parameters that were chosen.
    image : ndarray
        The result, clipped to [0, 1].
    seconds : float
        The call's duration, the choice of parameters included.
    psnr, ssim : float or None
        Against the clean image, where there is one.
    """

    label: str
    denoiser: object
    image: np.ndarray
    seconds: float
    psnr: float | None = None
    ssim: float | None = None


def compare(noisy, denoisers, sigma=None, *, clean=None, channel_axis=None):
    """Denoise one image by several methods.

    Parameters
    ----------
    noisy : array_like
        ``(H, W)``, or with channels.
    denoisers : dict of str to Denoiser
        What to compare, under the names to show.
    sigma : float, optional
        Standard deviation of the noise; ``None``: each method estimates it.
    clean : array_like, optional
        The image without noise; ``None``: there are no scores.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    list of Entry
        In the order of `denoisers`.

    Examples
    --------
    >>> import numpy as np
    >>> from difffilter import make
    >>> clean = np.full((32, 32), 0.5)
    >>> noisy = clean + np.random.default_rng(0).normal(0, 0.1, (32, 32))
    >>> [entry] = compare(noisy, {"heat": make("heat")}, clean=clean)
    >>> entry.psnr > psnr(clean, noisy)
    True
    """
    image, _ = prepare(noisy, 0.0 if sigma is None else sigma, channel_axis)
    entries = []
    for label, denoiser in denoisers.items():
        _warm_up(denoiser, image, channel_axis)
        start = time.perf_counter()
        if hasattr(denoiser, "choose"):
            denoiser = denoiser.choose(image, sigma, channel_axis=channel_axis)
        result = denoiser(image, sigma, channel_axis=channel_axis)
        seconds = time.perf_counter() - start
        result = np.clip(result, 0, 1)
        scores = {}
        if clean is not None:
            scores = {
                "psnr": psnr(clean, result, channel_axis=channel_axis),
                "ssim": ssim(clean, result, channel_axis=channel_axis),
            }
        entries.append(Entry(label, denoiser, result, seconds, **scores))
    return entries


def _warm_up(denoiser, image, channel_axis):
    """Compile and load what the first call needs, on a corner of the image."""
    corner = tuple(
        slice(None) if channel_axis is not None and axis == channel_axis % image.ndim else slice(16)
        for axis in range(image.ndim)
    )
    denoiser(image[corner], 0.1, channel_axis=channel_axis)


def table(entries):
    """The scores as lines of text.

    Examples
    --------
    >>> from difffilter import Identity
    >>> print(table([Entry("identity", Identity(), None, 0.25, 20.17, 0.4)]))
    method    PSNR (dB)    SSIM  seconds  parameters
    identity      20.17  0.4000    0.250  identity
    """
    width = max(len("method"), *(len(e.label) for e in entries))
    scored = entries[0].psnr is not None
    head = f"{'method':<{width}}" + ("  PSNR (dB)    SSIM" if scored else "")
    lines = [head + "  seconds  parameters"]
    for e in entries:
        scores = f"  {e.psnr:9.2f}  {e.ssim:6.4f}" if scored else ""
        lines.append(f"{e.label:<{width}}{scores}  {e.seconds:7.3f}  {spell(e.denoiser)}")
    return "\n".join(lines)


def figure(noisy, entries, *, clean=None, sigma=None, channel_axis=None):
    """The images, a detail of each, and what each method left wrong or took away.

    Parameters
    ----------
    noisy, clean, channel_axis
        As for `compare`.
    entries : list of Entry
        The results.
    sigma : float, optional
        Standard deviation of the noise, for the scale of the differences; ``None``: that of the
        largest difference shown.

    Returns
    -------
    matplotlib.figure.Figure
        A column for each image. The third row shows result - clean, or, without a clean image,
        noisy - result, which should look like noise alone.
    """
    from matplotlib.figure import Figure

    def shown(image):
        image = np.clip(np.asarray(image, np.float32), 0, 1)
        return image if channel_axis is None else np.moveaxis(image, channel_axis, -1)

    columns = [] if clean is None else [("clean", clean, None)]
    columns.append((_title("noisy", noisy, clean, channel_axis), noisy, clean))
    for entry in entries:
        if isinstance(entry.denoiser, Identity):  # the noisy image is there already
            continue
        name = entry.label
        if entry.psnr is not None:
            name += f"\n{entry.psnr:.2f} dB, SSIM {entry.ssim:.3f}"
        columns.append((f"{name}\n{entry.seconds:.2f} s", entry.image, clean))
    window = _busiest_window(shown(noisy if clean is None else clean))
    if sigma is None:
        sigma = max(float(np.std(np.subtract(noisy, e.image))) for e in entries)
    limit = max(2 * sigma, 1e-3)
    size = np.array(shown(noisy).shape[:2])
    tall = 2.6 * size[0] / size[1]
    result = Figure(
        figsize=(2.6 * len(columns), tall + 2 * 2.6 + 0.9), layout="constrained", dpi=120
    )
    axes = result.subplots(3, len(columns), squeeze=False, height_ratios=[tall, 2.6, 2.6])
    for (top, middle, bottom), (name, image, reference) in zip(axes.T, columns, strict=True):
        picture = shown(image)
        options = {"cmap": "gray", "vmin": 0, "vmax": 1} if picture.ndim == 2 else {}
        top.imshow(picture, **options)
        top.set_title(name, fontsize=9)
        ys, xs = window
        top.plot(*_outline(ys, xs), color="tab:orange", linewidth=1)
        middle.imshow(picture[window], interpolation="nearest", **options)
        if reference is not None:
            difference = np.subtract(image, reference)
        elif clean is None and image is not noisy:
            difference = np.subtract(noisy, image)
        else:
            difference = None
        if difference is not None:
            if channel_axis is not None:
                difference = difference.mean(axis=channel_axis)
            bottom.imshow(difference[window], cmap="RdBu_r", vmin=-limit, vmax=limit)
        for axis in (top, middle, bottom):
            axis.set_axis_off()
    what = "result - clean" if clean is not None else "noisy - result"
    result.supxlabel(f"bottom: {what}, ±{limit:.2f}, in the framed detail", fontsize=8)
    return result


def _title(name, image, clean, channel_axis):
    if clean is None:
        return name
    return f"{name}\n{psnr(clean, np.clip(image, 0, 1), channel_axis=channel_axis):.2f} dB"


def _busiest_window(picture, share=0.25):
    """The quarter of the image, each way, in which most happens: that is what smoothing may lose."""
    grey = picture if picture.ndim == 2 else picture.mean(axis=-1)
    side = max(1, int(min(grey.shape) * share))
    energy = sum(np.square(g) for g in np.gradient(grey)) if min(grey.shape) > 1 else grey
    total = np.zeros((grey.shape[0] + 1, grey.shape[1] + 1))
    total[1:, 1:] = energy.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    window = (
        total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    )
    y, x = np.unravel_index(np.argmax(window), window.shape)
    return slice(y, y + side), slice(x, x + side)


def _outline(ys, xs):
    return (
        [xs.start, xs.stop - 1, xs.stop - 1, xs.start, xs.start],
        [ys.start, ys.start, ys.stop - 1, ys.stop - 1, ys.start],
    )
