"""The results of a study as figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from difffilter.benchmark.report.labels import SHARE, beside, spaced
from difffilter.benchmark.report.summary import METRICS
from difffilter.catalog import parse

__all__ = ["Drawing", "colour", "curves", "drawings", "front", "pareto", "plane", "save", "spread"]

# Eight colours, dark enough to read text in on white, that were searched for so that any two differ
# for the colour-blind too (by 13 in CIEDE2000 at least). The noisy image, no method, is grey.
COLOURS = (
    "#1068de", "#9d1440", "#687300", "#196f62", "#5e164f", "#7c6390", "#103e00", "#002bb2",
)  # fmt: skip
GREY = "#6b7480"
INK = "#1b2026"
LINE = "#dfe3e8"
MARKERS = "osD^vP*X"
SIZE = 6.0  # of a marker, in points
WIDTH, HEIGHT = 5.8, 4.3  # inches
DEEP = -6.0  # dB, below which a method's distance to the best needs no picture


@dataclass(frozen=True)
class Drawing:
    """A figure with its words.

    Attributes
    ----------
    name : str
        Unique among a study's drawings, fit for a file name.
    title, caption : str
        For above and below it.
    figure : matplotlib.figure.Figure
    level : float or None
        σ·255 that it is about; ``None``: all of them.
    """

    name: str
    title: str
    caption: str
    figure: object
    level: float | None = None


def drawings(results, noise):
    """Every figure that one kind of noise gives.

    Parameters
    ----------
    results : Results
        What to draw.
    noise : str
        The kind of noise.

    Yields
    ------
    Drawing
        Curves against σ only where there are two levels or more, and what needs a metric only
        where it was measured.
    """
    levels = results.levels(noise)
    measured = results.metrics
    if len(levels) > 1:
        if "psnr" in measured:
            yield Drawing(
                f"{noise}-psnr",
                "PSNR against noise",
                "Mean over images. Dashed: an oracle, which looked at the clean image. A method that "
                "failed on some of the images has no point there.",
                curves(results, noise, "psnr"),
            )
            yield Drawing(
                f"{noise}-behind",
                "How far behind the best",
                "Mean PSNR less that of the best method at each level, oracles left out of the "
                f"choice. Cut off {-DEEP:g} dB below.",
                curves(results, noise, "psnr", relative=True),
            )
        for metric in ("ssim", "texture"):
            if metric in measured:
                about = METRICS[metric]
                yield Drawing(
                    f"{noise}-{metric}",
                    f"{about.title} against noise",
                    f"Mean over images; {about.better} is better."
                    + (" The noisy image is left out." if metric == "texture" else ""),
                    curves(results, noise, metric),
                )
    for level in levels:
        best = results.best(noise, level)
        if best is None:
            continue
        if "seconds" in measured:
            yield Drawing(
                f"{noise}-{level:g}-pareto",
                "PSNR against time",
                "Median seconds an image; up and left is better. The line joins the methods that "
                "no other beats in both. Hollow: an oracle, which takes no part in it. "
                + _noisy(results, noise, level, "psnr"),
                pareto(results, noise, level),
                level,
            )
        if "texture" in measured:
            yield Drawing(
                f"{noise}-{level:g}-plane",
                "Perception against distortion",
                "Down and left is better: closer to the clean pixels, and closer to their texture. "
                "A thin line joins the modes of one method. "
                + _noisy(results, noise, level, "texture"),
                plane(results, noise, level),
                level,
            )
        if len(results.per_image(noise, level, best, "psnr")) > 1:
            yield Drawing(
                f"{noise}-{level:g}-spread",
                "Image by image",
                f"PSNR less that of {best} on the same image: a dot an image, the bar the mean "
                "with its 95 % confidence interval.",
                spread(results, noise, level),
                level,
            )


def save(results, folder, suffix=".svg"):
    """Write every figure into a folder, one file each, named as the drawings are.

    Parameters
    ----------
    results : Results
        What to draw.
    folder : Path
        Where to; it must exist.
    suffix : str
        ``.svg``, ``.png`` or what else Matplotlib writes.
    """
    from difffilter.io.files import replacing

    for noise in results.noises:
        for drawing in drawings(results, noise):
            with replacing(folder / f"{_file_name(drawing.name)}{suffix}") as temporary:
                drawing.figure.savefig(temporary, dpi=160, facecolor="white")


def colour(results, label):
    """The colour of a method, the same in every chart, as ``#rrggbb``.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> values = {("gaussian", 25.0, label, "psnr"): {} for label in ("identity", "heat")}
    >>> colour(Results(values=values), "heat") == COLOURS[0]
    True
    """
    index = _index(results, label)
    return GREY if index is None else COLOURS[index % len(COLOURS)]


# --- the figures ----------------------------------------------------------------------------


def curves(results, noise, metric, *, relative=False):
    """A metric against the level of noise, a line a method.

    Where a method failed on some of the images it has no point, for it would not be comparable.
    The noisy image is left out where it would squeeze the others together.

    Parameters
    ----------
    results : Results
        What to draw.
    noise, metric : str
        Of which noise, and what.
    relative : bool
        Less the best method's at each level.

    Returns
    -------
    matplotlib.figure.Figure
    """
    about = METRICS[metric]
    figure, axes = _figure(right=0.7)
    levels = results.levels(noise)
    best = {level: results.best(noise, level, metric) for level in levels}
    ends = {}
    for label in _methods(results) if relative or metric == "texture" else results.methods:
        heights = []
        for level in levels:
            score = results.score(noise, level, label, metric)
            if score is None or not score.complete or (relative and best[level] is None):
                heights.append(math.nan)  # a gap: no line where nothing was measured
                continue
            zero = results.score(noise, level, best[level], metric).mean if relative else 0.0
            heights.append(score.mean - zero)
        there = [n for n, height in enumerate(heights) if not math.isnan(height)]
        if there:
            style = _style(results, label)
            axes.plot(levels, heights, linewidth=1.8, gid=_gid(results, label), zorder=3, **style)
            ends[label] = (levels[there[-1]], heights[there[-1]])
    axes.set_xlabel("noise σ·255")
    ticks = _apart(levels)
    axes.set_xticks(ticks, [f"{level:g}" for level in ticks])
    unit = f" ({about.unit})" if about.unit else ""
    axes.set_ylabel(f"{about.title} less the best's{unit}" if relative else f"{about.title}{unit}")
    if relative:
        axes.set_ylim(bottom=max(axes.get_ylim()[0], DEEP))
    _label_ends(results, axes, ends)
    return figure


def pareto(results, noise, level):
    """PSNR against seconds an image, with the Pareto front.

    Parameters
    ----------
    results : Results
        What to draw.
    noise : str
        The kind of noise.
    level : float
        σ·255.

    Returns
    -------
    matplotlib.figure.Figure
    """
    points = {}
    for label in _methods(results):
        score = results.score(noise, level, label, "psnr")
        seconds = results.seconds(noise, level, label)
        if score and score.complete and math.isfinite(score.mean) and seconds > 0:
            points[label] = (seconds, score.mean)
    figure, axes = _figure()
    best = front({label: at for label, at in points.items() if label not in results.oracles})
    axes.set_xscale("log")
    tips = {label: f"{y:.2f} dB, {_seconds(x)}" for label, (x, y) in points.items()}
    _scatter(results, axes, points, tips)
    xs, ys = [points[label][0] for label in best], [points[label][1] for label in best]
    axes.step(xs, ys, where="post", color=GREY, linewidth=1.2, zorder=2)
    axes.xaxis.set_major_formatter(lambda value, _: _seconds(value))
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set_xlabel("median seconds an image")
    axes.set_ylabel("PSNR (dB)")
    # A step's corners: along from each point to the next one's time, then up to it.
    corners = [at for n, x in enumerate(xs) for at in [(x, ys[max(0, n - 1)]), (x, ys[n])]]
    _label_points(results, axes, points, [corners])
    return figure


def plane(results, noise, level):
    """Texture distance against the error: the perception–distortion plane.

    Parameters
    ----------
    results : Results
        What to draw.
    noise : str
        The kind of noise.
    level : float
        σ·255.

    Returns
    -------
    matplotlib.figure.Figure
    """
    points = {}
    for label in _methods(results):
        psnrs = results.per_image(noise, level, label, "psnr")
        score = results.score(noise, level, label, "texture")
        if psnrs and score and score.complete:
            errors = [255 * 10 ** (-value / 20) for value in psnrs.values()]
            points[label] = (float(np.mean(errors)), score.mean)
    figure, axes = _figure()
    groups = _families(results.study.get("denoisers", {}), points)
    lines = [sorted(points[label] for label in group) for group in groups]
    for line in lines:
        axes.plot(*zip(*line, strict=True), color=GREY, linewidth=1, zorder=2)
    tips = {label: f"RMSE {x:.2f}, texture {y:.3g}" for label, (x, y) in points.items()}
    _scatter(results, axes, points, tips)
    axes.set_xlabel("distortion: RMSE·255")
    axes.set_ylabel("perception: texture distance")
    _label_points(results, axes, points, lines)
    return figure


def spread(results, noise, level):
    """Each image's PSNR less that of the best method on the same image.

    Parameters
    ----------
    results : Results
        What to draw.
    noise : str
        The kind of noise.
    level : float
        σ·255.

    Returns
    -------
    matplotlib.figure.Figure
    """
    best = results.best(noise, level)
    reference = results.per_image(noise, level, best, "psnr")
    gaps = {}
    for label in _methods(results):
        images = results.per_image(noise, level, label, "psnr")
        both = [images[image] - reference[image] for image in images if image in reference]
        if both and label != best:
            gaps[label] = both
    order = sorted(gaps, key=lambda label: np.mean(gaps[label]))
    figure, axes = _figure(left=0.32, height=max(2.2, 0.36 * len(order) + 1.1))
    jitter = np.random.default_rng(0)
    for row, label in enumerate(order):
        shade = colour(results, label)
        gid = _gid(results, label)
        rows = row + jitter.uniform(-0.22, 0.22, len(gaps[label]))
        lead = results.lead(noise, level, label, best)
        half = 0.0 if math.isnan(lead.half) else lead.half
        axes.plot(
            [lead.mean - half, lead.mean + half], [row, row], color=shade, linewidth=7,
            alpha=0.3, solid_capstyle="butt", gid=gid,
        )  # fmt: skip
        axes.scatter(gaps[label], rows, s=14, color=shade, alpha=0.7, linewidth=0, gid=gid)
        axes.plot([lead.mean] * 2, [row - 0.32, row + 0.32], color=shade, linewidth=2, gid=gid)
        axes.text(
            -0.02, row, _short(results.shown(label), 22), color=shade, ha="right", va="center", gid=gid,
            parse_math=False, transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.2, zorder=1)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_yticks([])
    axes.grid(visible=True, axis="x")
    axes.set_xlabel(f"PSNR less that of {_short(best, 26)} (dB)", parse_math=False)
    return figure


def front(points):
    """The Pareto front: the labels of the points that no other is both left of and above.

    Examples
    --------
    >>> front({"quick": (1, 20), "slow": (9, 30), "worse": (10, 25)})
    ['quick', 'slow']
    """
    best, kept = -math.inf, []
    for label, (_, y) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if y > best:
            best = y
            kept.append(label)
    return kept


# --- what they share ------------------------------------------------------------------------


def _figure(left=0.14, right=0.96, height=HEIGHT):
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    look = {
        "font.size": 11,
        "text.color": INK,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": LINE,
        "grid.linewidth": 0.8,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
    }
    with rc_context(look):
        figure = Figure(figsize=(WIDTH, height), facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        axes.minorticks_off()
    figure.subplots_adjust(left, 0.62 / height, right, 1 - 0.15 / height)
    return figure, axes


def _apart(levels):
    """Those that leave room for their numbers on the axis; the last is one of them."""
    kept = []
    for level in reversed(levels):
        if not kept or kept[-1] - level >= 0.09 * (levels[-1] - levels[0]):
            kept.append(level)
    return kept[::-1]


def _methods(results):
    """Without the noisy image, which lies so far off that the others would fall into one."""
    return [label for label in results.methods if label != "identity"]


def _noisy(results, noise, level, metric):
    score = results.score(noise, level, "identity", metric)
    if score is None:
        return ""
    value = f"{score.mean:.2f} dB" if metric == "psnr" else f"{score.mean:.3g}"
    return f"The noisy image ({value}) is left out."


def _index(results, label):
    labels = _methods(results)
    return labels.index(label) if label in labels else None


def _gid(results, label, tip=""):
    """Marks what belongs to a method in the SVG, with the words to show on hovering."""
    return f"method-{results.methods.index(label)}|{tip or results.shown(label)}"


def _style(results, label):
    index = _index(results, label)
    oracle = label in results.oracles
    return {
        "color": colour(results, label),
        "marker": "." if index is None else MARKERS[_marker(index)],
        "markersize": SIZE,
        "markerfacecolor": "white" if oracle else colour(results, label),
        "linestyle": (0, (4, 2)) if oracle else "-",
    }


def _marker(index):
    """Another one when the colours come round again."""
    return (index + index // len(COLOURS)) % len(MARKERS)


def _scatter(results, axes, points, tips):
    for label, (x, y) in points.items():
        style = _style(results, label) | {"linestyle": "none", "markersize": SIZE + 2}
        gid = _gid(results, label, f"{results.shown(label)}: {tips[label]}")
        axes.plot([x], [y], gid=gid, zorder=3, **style)
    axes.margins(0.12, 0.12)


def _label_ends(results, axes, ends):
    """Names at the right of the curves, moved apart, with a thin line to where each ends."""
    if not ends:
        return
    low, high = axes.get_ylim()
    room = axes.get_window_extent().height / axes.figure.dpi * 72
    order = sorted(ends, key=lambda label: ends[label][1])
    wanted = [float(np.clip((ends[label][1] - low) / (high - low), 0, 1)) for label in order]
    size = min(11.0, max(7.0, 0.9 * room / len(order)))
    right = axes.get_xlim()[1]
    for label, height in zip(order, spaced(wanted, 1.15 * size / room), strict=True):
        x, y = ends[label]
        shade, gid = colour(results, label), _gid(results, label)
        axes.plot(
            [x, right + 0.025 * (right - axes.get_xlim()[0])],
            [max(y, low), low + height * (high - low)],
            color=shade, linewidth=0.7, alpha=0.7, clip_on=False, gid=gid, scalex=False,
            scaley=False,
        )  # fmt: skip
        axes.text(
            1.035, height, _short(results.shown(label), 20), color=shade, fontsize=size, va="center",
            transform=axes.transAxes, gid=gid, parse_math=False,
        )  # fmt: skip


def _label_points(results, axes, points, lines):
    """Names beside the points; what ends up far from its point gets a thin line to it."""
    if not points:
        return
    axes.autoscale_view()
    scale = 72 / axes.figure.dpi
    labels = list(points)
    names = [_short(results.shown(label), 24) for label in labels]
    places = beside(
        scale * axes.transData.transform(list(points.values())),
        [(0.58 * 10 * len(name), 12) for name in names],
        [scale * axes.transData.transform(line) for line in lines if line],
        scale * axes.get_window_extent().extents,
    )
    for label, name, (dx, dy, side) in zip(labels, names, places, strict=True):
        arrow = {
            "arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4,
            "relpos": (SHARE[side], 0.5),
        }  # fmt: skip
        axes.annotate(
            name, points[label], (dx, dy), textcoords="offset points", fontsize=10, ha=side,
            va="center", color=colour(results, label), gid=_gid(results, label), parse_math=False,
            arrowprops=arrow if math.hypot(dx, dy) > 16 else None,
        )  # fmt: skip


def _families(texts, points):
    """Labels of one method in several modes, such as a posterior's mean and its samples."""
    modes, families = set(), {}
    for label in points:
        try:
            name, parameters = parse(str(texts.get(label, label)))
        except ValueError:
            continue
        families.setdefault(name, []).append(label)
        if "mode" in parameters:
            modes.add(name)
    return [labels for name, labels in families.items() if name in modes and len(labels) > 1]


def _seconds(value):
    """Few digits and a unit: 0.02 s, 3 s, 120 s."""
    digits = max(0, -math.floor(math.log10(value))) if value > 0 else 0
    if value < 10 and round(value, digits) != round(value, digits + 1):
        digits += 1
    return f"{value:.{digits}f} s"


def _short(label, length):
    label = " ".join(str(label).split())
    return label if len(label) <= length else label[: length - 1] + "…"


def _file_name(name):
    return "".join(c if c.isalnum() or c in "-._" else "_" for c in name)
