"""Several methods on one image: a table and a figure."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import numpy as np

from difffilter.catalog import spell
from difffilter.denoiser import Denoiser, as_denoiser, choose_and_apply
from difffilter.html import html_png, html_table
from difffilter.image import as_float
from difffilter.metrics import psnr, ssim
from difffilter.noise.estimation import check_sigma

__all__ = ["Comparison", "Entry", "compare", "figure", "table"]


@dataclass(frozen=True)
class Entry:
    """One method's result.

    Attributes
    ----------
    label : str
        Its name in tables and figures.
    denoiser : Denoiser
        The method with the parameters that were chosen.
    image : ndarray
        The result, clipped to [0, 1].
    seconds : float
        Duration of the call, including the choice of parameters.
    psnr, ssim : float or None
        Scores against the clean image, if there is one.
    """

    label: str
    denoiser: Denoiser
    image: np.ndarray
    seconds: float
    psnr: float | None = None
    ssim: float | None = None


class Comparison(list):
    """Results of several methods, which a notebook shows as a table and a figure.

    Parameters
    ----------
    entries : list of Entry
    noisy, sigma, clean, channel_axis
        As for `compare`.
    """

    def __init__(self, entries, noisy, sigma=None, clean=None, channel_axis=None):
        super().__init__(entries)
        self.noisy, self.sigma, self.clean = noisy, sigma, clean
        self.channel_axis = channel_axis

    def _repr_html_(self):
        if not self:
            return ""
        scored = self[0].psnr is not None
        head = ["method", *(("PSNR (dB)", "SSIM") if scored else ()), "seconds", "parameters"]
        rows = []
        for e in self:
            scores = (f"{e.psnr:.2f}", f"{e.ssim:.4f}") if scored else ()
            rows.append((e.label, *scores, f"{e.seconds:.3f}", spell(e.denoiser)))
        parts = [html_table(head, rows)]
        if np.ndim(self.noisy) - (self.channel_axis is not None) == 2:
            drawn = figure(
                self.noisy,
                self,
                clean=self.clean,
                sigma=self.sigma,
                channel_axis=self.channel_axis,
            )
            with io.BytesIO() as file:
                drawn.savefig(file, dpi=80)
                parts.append(html_png(file.getvalue(), ", ".join(e.label for e in self)))
        return "".join(parts)


def compare(noisy, denoisers, sigma=None, *, clean=None, channel_axis=None):
    """Denoise one image by several methods.

    Parameters
    ----------
    noisy : array_like
        ``(H, W)``, or with channels.
    denoisers : dict of str to Denoiser
        The methods, by the names to show.
    sigma : float, optional
        Standard deviation of the noise; ``None``: each method estimates it.
    clean : array_like, optional
        The clean image; ``None``: no scores.
    channel_axis : int, optional
        The axis of the channels; ``None``: no channels.

    Returns
    -------
    Comparison
        A list of `Entry` in the order of `denoisers`; a notebook shows it as a table and a figure.

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
    image = as_float(noisy, channel_axis)
    if sigma is not None:
        sigma = check_sigma(sigma, noisy)
    entries = []
    for label, denoiser in denoisers.items():
        denoiser = as_denoiser(denoiser)
        _warm_up(denoiser, image, channel_axis)
        start = time.perf_counter()
        result, settled, _ = choose_and_apply(denoiser, image, sigma, channel_axis=channel_axis)
        seconds = time.perf_counter() - start
        result = np.clip(result, 0, 1)
        scores = {}
        if clean is not None:
            scores = {
                "psnr": psnr(clean, result, channel_axis=channel_axis),
                "ssim": ssim(clean, result, channel_axis=channel_axis),
            }
        entries.append(Entry(label, settled, result, seconds, **scores))
    return Comparison(entries, image, sigma, clean, channel_axis)


def _warm_up(denoiser, image, channel_axis):
    """Filter a corner of the image, so that compilation and loading are not timed."""
    corner = tuple(
        slice(None) if channel_axis is not None and axis == channel_axis % image.ndim else slice(16)
        for axis in range(image.ndim)
    )
    denoiser(image[corner], 0.1, channel_axis=channel_axis)


def table(entries):
    """Format the scores as text.

    Parameters
    ----------
    entries : list of Entry
        The results.

    Returns
    -------
    str

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
    """Draw the results, a detail of each, and their differences.

    Parameters
    ----------
    noisy, clean, channel_axis
        As for `compare`.
    entries : list of Entry
        The results. One that equals the noisy image is not drawn twice.
    sigma : float, optional
        Standard deviation of the noise, which sets the colour scale of the differences; ``None``:
        the largest standard deviation of the differences.

    Returns
    -------
    matplotlib.figure.Figure
        One column for each image. The third row shows result - clean or, without a clean image,
        noisy - result, in which only noise should be visible.
    """
    from matplotlib.figure import Figure

    def shown(image):
        image = np.clip(np.asarray(image, np.float32), 0, 1)
        return image if channel_axis is None else np.moveaxis(image, channel_axis, -1)

    noisy = as_float(noisy, channel_axis)
    columns = [] if clean is None else [("clean", clean, None)]
    columns.append((_title("noisy", noisy, clean, channel_axis), noisy, clean))
    for entry in entries:
        if np.array_equal(entry.image, np.clip(noisy, 0, 1)):
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
    what = "result − clean" if clean is not None else "noisy − result"
    result.supxlabel(
        f"middle: framed detail; bottom: {what}, ±{limit:.2f} (blue to red)", fontsize=8
    )
    return result


def _title(name, image, clean, channel_axis):
    """The name of an image, with its PSNR if there is a clean image."""
    if clean is None:
        return name
    return f"{name}\n{psnr(clean, np.clip(image, 0, 1), channel_axis=channel_axis):.2f} dB"


def _busiest_window(picture, share=0.25):
    """The square with the most gradient energy, a quarter of the image wide."""
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
    """The x and y coordinates of the outline of a window."""
    return (
        [xs.start, xs.stop - 1, xs.stop - 1, xs.start, xs.start],
        [ys.start, ys.start, ys.stop - 1, ys.stop - 1, ys.start],
    )
