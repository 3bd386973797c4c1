"""Pictures of scenes: antialiased shapes on light grey textures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_whole
from difffilter.generate.scenes import Scene

__all__ = ["RADII", "RGB", "coverage", "render"]

# Far apart in CIELAB from each other, and from the greys of the backgrounds.
RGB = {
    "red": (215, 35, 40),
    "orange": (250, 145, 15),
    "yellow": (245, 220, 20),
    "green": (45, 160, 65),
    "blue": (30, 110, 225),
    "purple": (135, 45, 165),
    "pink": (250, 130, 190),
    "brown": (124, 70, 35),
}

# In pixels of a picture 64 wide, whose cells are 21.3 wide.
RADII = {"small": 4.5, "medium": 7.0, "large": 9.5}

# How far a rendered thing may be from its nominal self.
SHIFT = 1.5  # pixels of a picture 64 wide; less if the thing would leave its cell
GROWTH = 0.08
TURN = math.radians(6)
TINT = 8  # of 255, in each of red, green and blue

# Periods of the textures in pixels of a picture 64 wide. Blurred checks and dots differ only in the distance
# of neighbours, which for checks is 1/√2 of the period: hence so large a one.
PERIODS = {"striped": (8, 12), "checked": (18, 24), "dotted": (8, 11)}

GRAIN = 5  # pixels of a picture up to 64 wide; a larger one is that picture enlarged

SAMPLES = 4  # along each side of a pixel


# The shapes, for a radius of 1, with y pointing up. Turned by up to `TURN`, each fits [−1, 1]².
def circle(x: NDArray, y: NDArray) -> NDArray:
    """x² + y² ≤ 1, of area π."""
    return x * x + y * y <= 1


def square(x: NDArray, y: NDArray) -> NDArray:
    """A square of side 1.76, of area 3.10."""
    return np.maximum(abs(x), abs(y)) <= 0.88


def triangle(x: NDArray, y: NDArray) -> NDArray:
    """An equilateral triangle with a circumradius of 1.05, of area 1.43."""
    y = y + 0.25 * 1.05  # centres its height
    return (y >= -0.525) & (math.sqrt(3) * abs(x) + y <= 1.05)


def star(x: NDArray, y: NDArray) -> NDArray:
    """Five points at a distance of 1, five notches at 0.5; of area 1.47."""
    # Between a point and a notch, the edge is the line r·cos(angle − normal) = cos(normal).
    normal = math.atan2(1 - 0.5 * math.cos(math.pi / 5), 0.5 * math.sin(math.pi / 5))
    fifths = np.arctan2(x, y) / (2 * math.pi / 5)
    angle = 2 * math.pi / 5 * abs(fifths - np.rint(fifths))
    return np.sqrt(x * x + y * y) * np.cos(angle - normal) <= math.cos(normal)


def heart(x: NDArray, y: NDArray) -> NDArray:
    """A square of side 1.12 on its corner and half a circle on each upper side, of area 2.24."""
    x, y = abs(x), y + 0.082  # centres its height
    corner, middle = 0.56 * math.sqrt(2), 0.56 / math.sqrt(2)
    return (x + abs(y) <= corner) | ((x - middle) ** 2 + (y - middle) ** 2 <= 0.56**2)


def ring(x: NDArray, y: NDArray) -> NDArray:
    """The unit circle with a hole of radius 0.55, of area 2.19."""
    square_of_r = x * x + y * y
    return (square_of_r <= 1) & (square_of_r >= 0.55**2)


INSIDE: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    function.__name__: function for function in (circle, square, triangle, star, heart, ring)
}


def coverage(
    shape: str, centre: tuple[float, float], radius: float, angle: float, size: int
) -> tuple[tuple[slice, slice], NDArray]:
    """Share of each pixel that a shape covers.

    Parameters
    ----------
    shape : str
        One of `difffilter.generate.scenes.SHAPES`.
    centre : tuple of float
        Row and column in pixels; pixel i reaches from i to i + 1.
    radius : float
        In pixels.
    angle : float
        Turn to the left, in radians.
    size : int
        Height and width of the picture.

    Returns
    -------
    window : tuple of slice
        Rows and columns of the picture around the shape.
    covered : float32 ndarray
        In [0, 1], one value for each pixel of the window.
    """
    window, axes = [], []
    for middle in centre:
        start = max(int(middle - radius), 0)
        stop = min(int(middle + radius) + 1, size)
        window.append(slice(start, stop))
        samples = start + (np.arange((stop - start) * SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
        axes.append((samples - float(middle)) / radius)
    down, right = axes[0][:, None], axes[1][None]
    cos, sin = math.cos(angle), math.sin(angle)
    inside = INSIDE[shape](cos * right - sin * down, -cos * down - sin * right)
    height, width = (extent // SAMPLES for extent in inside.shape)
    # Rows first, which is faster than both at once.
    counts = inside.view(np.uint8).reshape(height, SAMPLES, -1).sum(1, dtype=np.uint8)
    counts = counts.reshape(height, width, SAMPLES).sum(2, dtype=np.uint8)
    return (window[0], window[1]), counts.astype(np.float32) / SAMPLES**2


def wave(u: NDArray, period: float) -> NDArray:
    """A square wave from 0 to 1, of u in periods, with edges as wide as a pixel."""
    return np.clip(0.5 + period / (2 * math.pi) * np.sin(2 * math.pi * u), 0, 1)


def texture(background: str, size: int, rng: np.random.Generator) -> NDArray:
    """The grey levels of a background, from 0 to 255; float32 (size, size)."""
    light = rng.uniform(208, 240)
    contrast = rng.uniform(16, 28)
    if background == "plain":
        return np.full((size, size), light, np.float32)
    if background == "grainy":
        # Means of squares of white noise, whose side is the width of a grain.
        grain = max(GRAIN, GRAIN * size // 64)
        white = rng.standard_normal((size + grain, size + grain), np.float32)
        for _ in range(2):
            sums = white.cumsum(axis=0)
            white = ((sums[grain:] - sums[:-grain]) / grain).T
        return (light - contrast / 2) + contrast * (0.28 * grain) * white
    period = rng.uniform(*PERIODS[background]) * size / 64
    angle = rng.uniform(0, np.pi)
    pixels = (np.arange(size, dtype=np.float32) + 0.5) / period
    cos, sin = math.cos(angle), math.sin(angle)
    start = rng.random(2, np.float32)
    u = start[0] + cos * pixels + sin * pixels[:, None]
    v = start[1] + cos * pixels[:, None] - sin * pixels
    if background == "striped":
        dark = wave(u, period)
    elif background == "checked":
        one, other = wave(u, period), wave(v, period)
        dark = one + other - 2 * one * other
    else:
        u, v = u - np.rint(u), v - np.rint(v)  # from the centre of the nearest dot
        r = np.sqrt(u * u + v * v)
        dark = np.clip((0.3 - r) * period + 0.5, 0, 1)
    return light - contrast * dark


def render(scene: Scene, rng: np.random.Generator, *, size: int = 64) -> NDArray:
    """Draw the picture of a scene.

    What the scene leaves open is random: the greys and the pattern of the background, and for each
    thing a shift of up to 1.5 pixels (of 64), a change of size of up to 8 %, a turn of up to 6° and a
    slight change of colour. A thing stays in its cell of the 3×3 grid.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
    size : int, default 64
        Height and width of the picture in pixels, at least 32.

    Returns
    -------
    uint8 ndarray (size, size, 3)
        Red, green and blue.

    Raises
    ------
    ValueError
        If the size is not a whole number ≥ 32.

    Examples
    --------
    >>> from difffilter.generate.scenes import draw_scene
    >>> rng = np.random.default_rng(0)
    >>> render(draw_scene(rng), rng).shape
    (64, 64, 3)
    """
    check_whole("size", size, least=32)
    picture = np.empty((size, size, 3), np.uint8)
    picture[:] = to_bytes(texture(scene.background, size, rng))[:, :, None]
    scale, cell = size / 64, size / 3
    for thing in scene.things:
        radius = RADII[thing.size] * scale * rng.uniform(1 - GROWTH, 1 + GROWTH)
        shift = min(SHIFT * scale, cell / 2 - radius)
        row, column = (np.array(thing.cell) + 0.5) * cell + rng.uniform(-shift, shift, 2)
        colour = (RGB[thing.colour] + rng.uniform(-TINT, TINT, 3)).astype(np.float32)
        window, covered = coverage(
            thing.shape, (row, column), radius, rng.uniform(-TURN, TURN), size
        )
        behind = picture[window]
        picture[window] = to_bytes(behind + covered[:, :, None] * (colour - behind))
    return picture


def to_bytes(levels: NDArray) -> NDArray:
    """Levels from 0 to 255, rounded to uint8."""
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
