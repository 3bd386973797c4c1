"""All figures of a study, with their titles and captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from difffilter.benchmark.report.plots.curves import DEEPEST, curves
from difffilter.benchmark.report.plots.pareto import pareto
from difffilter.benchmark.report.plots.plane import plane
from difffilter.benchmark.report.plots.spread import spread
from difffilter.benchmark.report.summary import METRICS
from difffilter.benchmark.report.words import baseline, in_holes

__all__ = ["Drawing", "drawings", "save"]


@dataclass(frozen=True)
class Drawing:
    """A figure with its title and caption.

    Attributes
    ----------
    name : str
        Unique among the drawings of a study.
    title, caption : str
        The text above and below the figure.
    figure : matplotlib.figure.Figure
    level : float or None
        The σ·255 that it shows; ``None``: all of them.
    """

    name: str
    title: str
    caption: str
    figure: Any
    level: float | None = None


def drawings(results, noise):
    """All figures for one kind of noise.

    Parameters
    ----------
    results : Results
    noise : str
        The kind of noise.

    Yields
    ------
    Drawing
        Curves over σ only if there are two levels or more; figures that need a metric only if it
        was measured.
    """
    levels = results.levels(noise)
    if len(levels) > 1:
        yield from _over_levels(results, noise)
    for level in levels:
        if results.best(noise, level) is not None:
            yield from _at_level(results, noise, level)


def _over_levels(results, noise):
    free = _capital(f"{baseline(noise)} (identity) is drawn only as far as the methods reach.")
    if "psnr" in results.metrics:
        yield Drawing(
            f"{noise}-psnr",
            f"{in_holes('PSNR', noise)} by noise level",
            "Mean over images. Hollow: an oracle, which is shown the clean image. A method that "
            f"failed on some images has no point there. {free}",
            curves(results, noise, "psnr"),
        )
        yield Drawing(
            f"{noise}-behind",
            "Distance to the best method",
            "Mean PSNR minus that of the best method at each level, which is never an oracle. Cut off "
            f"at −{-DEEPEST:g} dB.",
            curves(results, noise, "psnr", relative=True),
        )
    for metric in ("ssim", "texture"):
        if metric in results.metrics:
            about = METRICS[metric]
            yield Drawing(
                f"{noise}-{metric}",
                f"{in_holes(about.title, noise)} by noise level",
                f"Mean over images; {about.better} is better. {free}",
                curves(results, noise, metric),
            )


def _at_level(results, noise, level):
    best = results.best(noise, level)
    if "seconds" in results.metrics:
        yield Drawing(
            f"{noise}-{level:g}-pareto",
            f"{in_holes('PSNR', noise)} against time",
            "Median seconds per image; up and to the left is better. The line joins the methods that "
            "no other beats in both. Hollow: an oracle, which does not compete. "
            + _omitted(results, noise, level, "psnr"),
            pareto(results, noise, level),
            level,
        )
    if "texture" in results.metrics:
        yield Drawing(
            f"{noise}-{level:g}-plane",
            "Perception against distortion",
            "Down and to the left is better: closer to the clean image pixel by pixel, and closer "
            "in texture. A thin line joins the modes of one method. "
            + _omitted(results, noise, level, "texture"),
            plane(results, noise, level),
            level,
        )
    if len(results.per_image(noise, level, best, "psnr")) > 1:
        yield Drawing(
            f"{noise}-{level:g}-spread",
            "Image by image",
            f"PSNR minus that of {best} on the same image: a dot for each image; the bar shows the "
            "mean and its 95 % confidence interval.",
            spread(results, noise, level),
            level,
        )


def _omitted(results, noise, level, metric):
    """A sentence about the noisy image or the like, which point charts omit."""
    score = results.score(noise, level, "identity", metric)
    if score is None:
        return ""
    value = f"{score.mean:.2f} dB" if metric == "psnr" else f"{score.mean:.3g}"
    return _capital(f"{baseline(noise)} ({value}) is omitted.")


def _capital(text):
    return text[:1].upper() + text[1:]


def save(results, folder, suffix=".svg"):
    """Write every figure into a folder, each into a file named after its drawing.

    Parameters
    ----------
    results : Results
    folder : Path
        An existing folder.
    suffix : str, default ".svg"
        ``.svg``, ``.png`` or any other format of Matplotlib.
    """
    from difffilter.io.files import replacing

    for noise in results.noises:
        for drawing in drawings(results, noise):
            name = "".join(c if c.isalnum() or c in "-._" else "_" for c in drawing.name)
            with replacing(folder / f"{name}{suffix}") as temporary:
                drawing.figure.savefig(temporary, dpi=160, facecolor="white")
