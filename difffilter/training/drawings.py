"""Drawings at random: boards, bricks, stripes, grids, shapes and letters, for crops unlike photographs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["drawing"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?()     "
# Half of the drawings have smooth edges: they are drawn so many times as large, then averaged.
LARGER = 3


def drawing(side: int, channels: int, rng: np.random.Generator) -> NDArray:
    """A drawing in flat colours; every third is lit from one side.

    Parameters
    ----------
    side : int
        In pixels.
    channels : {1, 3}
    rng : numpy.random.Generator

    Returns
    -------
    float32 ndarray (channels, side, side)
        In [0, 1].

    Examples
    --------
    >>> drawing(32, 3, np.random.default_rng(0)).shape
    (3, 32, 32)
    """
    larger = LARGER if rng.random() < 0.5 else 1
    count = int(rng.integers(2, 7))
    inks = rng.random((count, channels))
    if rng.random() < 0.5:
        inks[:2] = [[0], [1]]
    draw = (pattern, shapes, letters)[rng.choice(3, p=(0.5, 0.25, 0.25))]
    chosen = draw(side * larger, larger, count, rng)
    image = inks[rng.permutation(count)][chosen]
    image = image.reshape(side, larger, side, larger, channels).mean(axis=(1, 3))
    if rng.random() < 1 / 3:
        rows, columns = np.mgrid[:side, :side] / side
        low, angle = rng.uniform(0.3, 1), rng.uniform(0, 2 * math.pi)
        across = (rows - 0.5) * math.sin(angle) + (columns - 0.5) * math.cos(angle)
        image *= (low + (1 - low) * (0.5 + across / math.sqrt(2)))[..., None]
    return np.moveaxis(image, 2, 0).astype(np.float32)


def pattern(side: int, unit: int, count: int, rng: np.random.Generator) -> NDArray:
    """Numbers of inks (side, side): a chequerboard, bricks, stripes or a grid, turned or not."""
    angle = rng.uniform(0, math.pi) if rng.random() < 0.5 else 0.0
    rows, columns = np.mgrid[:side, :side] + rng.uniform(0, side, (2, 1, 1))
    u = columns * math.cos(angle) + rows * math.sin(angle)
    v = rows * math.cos(angle) - columns * math.sin(angle)
    width, height = unit * np.exp(rng.uniform(math.log(2), math.log(32), 2))
    row = np.floor(v / height).astype(int)
    kind = rng.integers(4)
    if kind == 0:
        return (np.floor(u / width).astype(int) + row) % 2
    if kind == 1:
        return row % count
    gap = rng.uniform(0.1, 0.4) * min(width, height)
    u = u + (row % 2) * width / 2 * (kind == 2)  # bricks, else a grid
    return ((u % width > gap) & (v % height > gap)).astype(int)


def shapes(side: int, unit: int, count: int, rng: np.random.Generator) -> NDArray:
    """Numbers of inks (side, side): polygons, ellipses and lines, one upon the other."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 16)):
        ink = int(rng.integers(count))
        centre, reach = rng.uniform(0, side, 2), side * np.exp(rng.uniform(-3.5, -1))
        corners = centre + rng.uniform(-reach, reach, (int(rng.integers(3, 6)), 2))
        kind = rng.integers(3)
        if kind == 0:
            draw.polygon([tuple(corner) for corner in corners], fill=ink)
        elif kind == 1:
            draw.ellipse([*corners.min(axis=0), *corners.max(axis=0)], fill=ink)
        else:
            ends = rng.uniform(0, side, 4).tolist()
            draw.line(ends, fill=ink, width=unit * int(rng.integers(1, 6)))
    return np.asarray(image)


def letters(side: int, unit: int, count: int, rng: np.random.Generator) -> NDArray:
    """Numbers of inks (side, side): lines of random letters."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    draw.fontmode = "1"  # each pixel has one ink
    size = unit * float(np.exp(rng.uniform(math.log(9), math.log(40))))
    font, ink = ImageFont.load_default(size), int(rng.integers(1, count))
    top = rng.uniform(-size, 0)
    while top < side:
        text = "".join(rng.choice(list(LETTERS), math.ceil(3 * side / size)))
        draw.text((rng.uniform(-size, 0), top), text, fill=ink, font=font)
        top += 1.3 * size
    return np.asarray(image)
