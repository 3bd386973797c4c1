"""Where to write names in a chart so that they can be read: geometry alone."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

__all__ = ["beside", "spaced"]

# Offsets from a point, in points, and alignment: beside, above and below first, then further away.
PLACES = [
    (dx, dy, side)
    for far in (1, 2, 3.2, 4.5)
    for dx, dy, side in [
        (9, 0, "left"), (-9, 0, "right"), (0, 11 * far, "center"), (0, -11 * far, "center"),
        (7 * far, 9 * far, "left"), (7 * far, -9 * far, "left"),
        (-7 * far, 9 * far, "right"), (-7 * far, -9 * far, "right"),
    ]
]  # fmt: skip
SHARE = {"left": 0.0, "center": 0.5, "right": 1.0}  # of a name's width that lies left of its anchor


def spaced(wanted, gap, low=0.0, high=1.0):
    """Places near the wanted ones, at least `gap` apart.

    Parameters
    ----------
    wanted : list of float
        In ascending order.
    gap : float
        Made smaller if there is not room enough.
    low, high : float
        The room.

    Returns
    -------
    list of float

    Examples
    --------
    >>> spaced([0.5, 0.5], 0.2)
    [0.4, 0.6]
    """
    gap = min(gap, (high - low) / max(1, len(wanted) - 1))
    blocks = []  # [where it begins, how many]: neighbours that collide merge around their mean
    for at in wanted:
        blocks.append([at, 1])
        while len(blocks) > 1 and blocks[-2][0] + gap * blocks[-2][1] > blocks[-1][0]:
            (a, n), (b, m) = blocks[-2:]
            blocks[-2:] = [[(n * a + m * (b - gap * n)) / (n + m), n + m]]
    places = [begin + gap * k for begin, count in blocks for k in range(count)]
    for k in range(len(places)):  # keep inside, from below and then from above
        places[k] = max(places[k], low + gap * k)
    for k in range(len(places)):
        places[-1 - k] = min(places[-1 - k], high - gap * k)
    return [round(place, 9) for place in places]


def beside(points, sizes, lines, frame):
    """For each point the place of its name where it covers least, chosen one after the other.

    Parameters
    ----------
    points : (n, 2) array_like
        In points of the page (1/72 inch).
    sizes : (n, 2) array_like
        Width and height of the names.
    lines : list of (m, 2) array_like
        Lines that names had better not cross.
    frame : tuple of float
        Left, bottom, right and top of the room.

    Returns
    -------
    list of (float, float, str)
        Offset from the point and ``"left"``, ``"center"`` or ``"right"`` alignment.

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
        costs = _covered(boxes, np.array(taken)) + 20 * _outside(boxes, frame)
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
    """How much of what is taken each box covers, in square points."""
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2).sum(axis=1)


def _outside(boxes, frame):
    """How far each box sticks out of the frame, in points."""
    low = np.clip(np.subtract(frame[:2], boxes[:, :2]), 0, None)
    high = np.clip(np.subtract(boxes[:, 2:], frame[2:]), 0, None)
    return (low + high).sum(axis=1)
