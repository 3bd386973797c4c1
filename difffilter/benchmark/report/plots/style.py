"""The look that all figures share: colours, markers, axes, and texts cut to length."""

from __future__ import annotations

import math

__all__ = [
    "COLOURS", "DASHES", "GREY", "INK", "LINE", "colour", "competitors", "draw_points", "gid",
    "line_style", "marker_outline", "new_figure", "seconds_text", "shortened",
]  # fmt: skip

# Methods differ by colour, marker and dashes. The first eight have solid lines, each in its own
# colour; of the next eight, with the same colours, each has another marker and dashes, and so on.
# Eight colours, dark enough for text on white, found by a search such that any two differ for the
# colour-blind too (by at least 13 in CIEDE2000). The noisy image, which is not a method, is grey.
COLOURS = (
    "#1068de", "#9d1440", "#687300", "#196f62", "#5e164f", "#7c6390", "#103e00", "#002bb2",
)  # fmt: skip
GREY = "#6b7480"
INK = "#1b2026"
LINE = "#dfe3e8"
MARKERS = "osD^vP*X"
# In widths of the line: lengths of dashes and gaps; the first is solid.
DASHES = ((), (4.5, 1.5), (1.2, 1.2), (6, 1.5, 1.2, 1.5))
SIZE = 6.0  # of a marker, in points
WIDTH, HEIGHT = 5.8, 4.3  # inches

LOOK = {
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


def new_figure(height=HEIGHT):
    """A figure with one pair of axes; margins are made as wide as its text needs."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(LOOK):
        figure = Figure(figsize=(WIDTH, height), facecolor="none", layout="constrained")
        axes = figure.subplots()
        axes.set_facecolor("none")
        axes.minorticks_off()
    return figure, axes


def competitors(results):
    """The methods without the noisy image, which lies too far off to be drawn beside them."""
    return [label for label in results.methods if label != "identity"]


def colour(results, label):
    """The colour of a method, the same in every figure, as ``#rrggbb``.

    Examples
    --------
    >>> from difffilter.benchmark.report.summary import Results
    >>> values = {("gaussian", 25.0, label, "psnr"): {} for label in ("identity", "heat")}
    >>> colour(Results(values=values), "heat") == COLOURS[0]
    True
    """
    index = _index(results, label)
    return GREY if index is None else COLOURS[index % len(COLOURS)]


def line_style(results, label):
    """Keyword arguments of `Axes.plot` for a method; the markers of an oracle are hollow."""
    index = _index(results, label)
    oracle = label in results.oracles
    return {
        "color": colour(results, label),
        "marker": "." if index is None else _marker(index),
        "markersize": SIZE,
        "markerfacecolor": "white" if oracle else colour(results, label),
        "linestyle": (0, _dashes(index)) if _dashes(index) else "-",
    }


def _index(results, label):
    labels = competitors(results)
    return labels.index(label) if label in labels else None


def _marker(index):
    """A marker, shifted by one each time the colours repeat."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def _dashes(index):
    """The dashes of a line, others each time the colours repeat; solid for the noisy image."""
    return DASHES[(index or 0) // len(COLOURS) % len(DASHES)]


def marker_outline(marker):
    """The outline of a marker of Matplotlib: x and y of its corners, from -0.5 to 0.5, y downwards.

    Examples
    --------
    >>> marker_outline("s")
    [(-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5), (-0.5, 0.5)]
    """
    from matplotlib.markers import MarkerStyle

    style = MarkerStyle(marker)
    # (A circle is made of curves, which need a size to become corners.)
    [outline] = style.get_path().transformed(style.get_transform().scale(20)).to_polygons()
    return [(round(x / 20, 3), round(-y / 20, 3)) for x, y in outline.tolist()]


def gid(results, label, tip=""):
    """The id that marks an artist as a method's in the SVG, with its tooltip."""
    return f"method-{results.methods.index(label)}|{tip or results.shown(label)}"


def draw_points(results, axes, points, tips):
    """Draw a marker for each method.

    Parameters
    ----------
    results : Results
    axes : matplotlib.axes.Axes
    points : dict of str to (float, float)
    tips : dict of str to str
        The end of each tooltip.
    """
    for label, (x, y) in points.items():
        style = line_style(results, label) | {"linestyle": "none", "markersize": SIZE + 2}
        marked = gid(results, label, f"{results.shown(label)}: {tips[label]}")
        axes.plot([x], [y], gid=marked, zorder=3, **style)
    axes.margins(0.12, 0.12)


def shortened(label, length):
    """A label in one line of at most so many characters.

    Examples
    --------
    >>> shortened("non-local means", 10)
    'non-local…'
    """
    label = " ".join(str(label).split())
    return label if len(label) <= length else label[: length - 1] + "…"


def seconds_text(value):
    """Seconds with few digits and the unit.

    Examples
    --------
    >>> seconds_text(0.02), seconds_text(3), seconds_text(120)
    ('0.02 s', '3 s', '120 s')
    """
    digits = max(0, -math.floor(math.log10(value))) if value > 0 else 0
    if value < 10 and round(value, digits) != round(value, digits + 1):
        digits += 1
    return f"{value:.{digits}f} s"
