"""Names beside points and at the ends of curves, placed so that they can be read."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from difffilter.benchmark.report.plots.style import GREY, colour, gid, line_style, shortened

__all__ = ["beside", "label_ends", "label_points", "spaced"]

# Where a name may stand: its offset from the point (in 1/72 inch) and its alignment there; beside
# it, above and below first, then further away.
PLACES = [
    (dx, dy, side)
    for far in (1, 2, 3.2, 4.5)
    for dx, dy, side in [
        (9, 0, "left"), (-9, 0, "right"), (0, 11 * far, "center"), (0, -11 * far, "center"),
        (7 * far, 9 * far, "left"), (7 * far, -9 * far, "left"),
        (-7 * far, 9 * far, "right"), (-7 * far, -9 * far, "right"),
    ]
]  # fmt: skip
# The share of a name's width that lies left of its anchor.
SHARE = {"left": 0.0, "center": 0.5, "right": 1.0}


def label_points(results, axes, points, lines):
    """Write names beside points; a thin line leads to those that are far from their point.

    Parameters
    ----------
    results : Results
    axes : matplotlib.axes.Axes
        Complete but for the names: its limits must not change afterwards.
    points : dict of str to (float, float)
        Label to position.
    lines : list of list of (float, float)
        Corners of lines that names should not cross.
    """
    if not points:
        return
    axes.figure.draw_without_rendering()  # settles the layout and the limits,
    axes.figure.set_layout_engine("none")  # which stay as they are
    scale = 72 / axes.figure.dpi
    names = [shortened(results.shown(label), 24) for label in points]
    places = beside(
        scale * axes.transData.transform(list(points.values())),
        [(0.58 * 10 * len(name) + 6, 12) for name in names],
        [scale * axes.transData.transform(line) for line in lines if line],
        scale * axes.get_window_extent().extents,
    )
    for label, name, (dx, dy, side) in zip(points, names, places, strict=True):
        arrow = {
            "arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4,
            "relpos": (SHARE[side], 0.5),
        }  # fmt: skip
        axes.annotate(
            name, points[label], (dx, dy), textcoords="offset points", fontsize=10, ha=side,
            va="center", color=colour(results, label), gid=gid(results, label), parse_math=False,
            arrowprops=arrow if math.hypot(dx, dy) > 16 else None,
        )  # fmt: skip


# (adjustText and textalloc were tried: on 16 charts of four studies, adjustText with the best of
# 36 settings puts 11 names on markers and 5 on lines, textalloc more; this one does so once each.)
def beside(points, sizes, lines, frame):
    """For each point the place of its name that covers least, chosen one after the other.

    Parameters
    ----------
    points : (n, 2) array_like
        In 1/72 inch.
    sizes : (n, 2) array_like
        Width and height of the names.
    lines : list of (m, 2) array_like
        Corners of lines that names should not cross.
    frame : tuple of float
        Left, bottom, right and top of the room for names.

    Returns
    -------
    list of (float, float, str)
        Offset from the point, and ``"left"``, ``"center"`` or ``"right"`` alignment.

    Examples
    --------
    >>> beside([(50, 50)], [(40, 12)], [], (0, 0, 100, 100))
    [(9, 0, 'left')]
    >>> beside([(90, 50)], [(40, 12)], [], (0, 0, 100, 100))
    [(-9, 0, 'right')]
    """
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in points]
    for line in lines:
        for start, end in pairwise(line):
            for x, y in np.linspace(start, end, 40):
                taken.append((x - 1, y - 1, x + 1, y + 1))
    chosen = [None] * len(points)
    for n in sorted(range(len(points)), key=lambda n: -points[n][1]):
        boxes = np.array([_box(points[n], sizes[n], place) for place in PLACES])
        costs = _covered(boxes, np.array(taken)) + 100 * _outside(boxes, frame)
        costs += [0.5 * math.hypot(dx, dy) for dx, dy, _ in PLACES]
        best = int(np.argmin(costs))
        chosen[n] = PLACES[best]
        taken.append(tuple(boxes[best]))
    return chosen


def _box(point, size, place):
    left = point[0] + place[0] - SHARE[place[2]] * size[0]
    bottom = point[1] + place[1] - size[1] / 2
    return left, bottom, left + size[0], bottom + size[1]


def _covered(boxes, taken):
    """The area of what is taken that each box covers."""
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)


def _outside(boxes, frame):
    """The lengths by which boxes exceed the frame, summed over its sides."""
    low = np.clip(np.subtract(frame[:2], boxes[:, :2]), 0, None)
    high = np.clip(np.subtract(boxes[:, 2:], frame[2:]), 0, None)
    return (low + high).sum(axis=1)


def label_ends(results, axes, ends):
    """Write names right of curves, moved apart, each joined by a thin line to its curve's end.

    Parameters
    ----------
    results : Results
    axes : matplotlib.axes.Axes
    ends : dict of str to (float, float)
        Label to the last point of its curve.
    """
    if not ends:
        return
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    room = axes.get_window_extent().height / axes.figure.dpi * 72
    order = sorted(ends, key=lambda label: ends[label][1])
    wanted = [float(np.clip((ends[label][1] - low) / (high - low), 0, 1)) for label in order]
    size = min(11.0, max(7.0, 0.9 * room / len(order)))
    for label, height in zip(order, spaced(wanted, 1.15 * size / room), strict=True):
        x, y = ends[label]
        shade, marked = colour(results, label), gid(results, label)
        options = {"clip_on": False, "gid": marked, "scalex": False, "scaley": False}
        beginning = right + 0.04 * (right - left), low + height * (high - low)
        axes.plot(
            [x, beginning[0]], [min(max(y, low), high), beginning[1]],
            color=shade, linewidth=0.7, alpha=0.7, **options,
        )  # fmt: skip
        # The marker again, because several names may have one colour.
        look = line_style(results, label) | {"linestyle": "none", "markersize": 0.45 * size}
        axes.plot(*([at] for at in beginning), **look, **options)
        axes.text(
            1.06, height, shortened(results.shown(label), 20), color=shade, fontsize=size,
            va="center", transform=axes.transAxes, gid=marked, parse_math=False,
        )  # fmt: skip


def spaced(wanted, gap):
    """Positions in [0, 1] as near as possible to the wanted ones, at least `gap` apart.

    Parameters
    ----------
    wanted : list of float
        In ascending order.
    gap : float
        Reduced if there is not enough room.

    Returns
    -------
    list of float

    Examples
    --------
    >>> spaced([0.5, 0.5], 0.2)
    [0.4, 0.6]
    """
    from scipy.optimize import isotonic_regression

    gap = min(gap, 1 / max(1, len(wanted) - 1))
    offsets = gap * np.arange(len(wanted))
    # Positions less their offsets must not decrease: least squares under that constraint.
    places = np.clip(isotonic_regression(wanted - offsets).x, 0, 1 - offsets[-1]) + offsets
    return places.round(9).tolist()
