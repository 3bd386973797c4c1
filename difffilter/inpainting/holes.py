"""Masks of holes of several kinds, for tests and comparisons."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from difffilter.checks import check_choice, check_number, check_whole, nearest
from difffilter.spelling import parse

__all__ = ["KINDS", "check_holes", "make_holes"]

# Letters of straight strokes, each from (x, y) to (x, y), where x is from 0 to 2 and y from 0 to 4.
LETTERS = {
    "E": "00-04 00-20 02-22 04-24",
    "F": "00-04 00-20 02-22",
    "H": "00-04 20-24 02-22",
    "I": "10-14",
    "K": "00-04 20-02 02-24",
    "L": "00-04 04-24",
    "M": "04-00 00-12 12-20 20-24",
    "N": "04-00 00-24 24-20",
    "T": "00-20 10-14",
    "V": "00-14 14-20",
    "X": "00-24 20-04",
    "Z": "00-20 20-04 04-24",
}

# In multiples of the height of a letter: its width, the distances of letters and of lines, and the width of
# strokes.
GLYPH, ADVANCE, LEADING, STROKE = 0.5, 0.75, 1.5, 0.125

# Of scratches: standard deviation of the change of direction, in radians a step; length of a step in pixels;
# length in diagonals of the image.
BEND, STEP, LENGTH = 0.015, 0.5, 1.5

# Places that are drawn for a block, at most.
TRIES = 1000


# --- the kinds: each draws a mask (H, W), True in holes -----------------------------------------


@dataclass(frozen=True, kw_only=True)
class Text:
    """Words of capital letters over a share of the pixels; `size` is the height of letters."""

    share: float = 0.1
    size: int = 20

    def __post_init__(self) -> None:
        _check_share(self.share)
        check_whole("size", self.size, least=8)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
        mask, missing = _covered(self.share, shape, self._letters(shape, rng))
        if missing:
            most = int(100 * mask.mean()) / 100
            raise ValueError(f"share is {self.share}; expected at most {most}, a page full of text")
        return mask

    def _letters(self, shape, rng):
        """The pixels of each letter, word by word in random order."""
        glyphs = [_glyph(strokes, self.size) for strokes in LETTERS.values()]
        advance, leading = round(ADVANCE * self.size), round(LEADING * self.size)
        down, right = rng.integers(0, leading), rng.integers(0, advance)
        words = []
        for y in range(-int(down), shape[0], leading):
            x = -int(right)
            while x < shape[1]:
                letters = int(rng.integers(2, 9))
                words.append([(y, x + k * advance) for k in range(letters)])
                x += (letters + 1) * advance
        for number in rng.permutation(len(words)):
            for place in words[number]:
                yield _within(place + glyphs[rng.integers(len(glyphs))], shape)


@dataclass(frozen=True, kw_only=True)
class Scratches:
    """Long curves, about `width` pixels wide, over a share of the pixels."""

    share: float = 0.05
    width: float = 3.0

    def __post_init__(self) -> None:
        _check_share(self.share)
        check_number("width", self.width, least=1)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
        return _covered(self.share, shape, self._curves(shape, rng))[0]

    def _curves(self, shape, rng):
        """The pixels of one curve after the other, without end."""
        steps = 2 + int(LENGTH * np.hypot(*shape) / STEP)
        radius = max(self.width / 2, np.sqrt(0.5))  # less would leave gaps
        near = np.arange(-int(radius), int(radius) + 2)
        around = np.stack(np.meshgrid(near, near, indexing="ij"), axis=-1).reshape(-1, 2)
        while True:
            angles = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, BEND, steps))
            path = np.cumsum(STEP * np.stack([np.sin(angles), np.cos(angles)], axis=1), axis=0)
            path += rng.uniform(0, shape) - path[steps // 2]
            pixels = np.floor(path).astype(int)[:, None] + around
            close = np.sum(np.square(pixels - path[:, None]), axis=2) <= radius**2
            yield _within(pixels[close], shape)


@dataclass(frozen=True, kw_only=True)
class Random:
    """A share of the pixels, each drawn by itself."""

    share: float = 0.8

    def __post_init__(self) -> None:
        _check_share(self.share)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
        mask = np.zeros(shape, bool)
        mask.flat[rng.permutation(mask.size)[: _number(self.share, mask.size)]] = True
        return mask


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """Squares of `side` pixels that do not touch each other, `count` of them."""

    side: int = 32
    count: int = 4

    def __post_init__(self) -> None:
        check_whole("side", self.side, least=1)
        check_whole("count", self.count, least=1)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
        mask = np.zeros(shape, bool)
        left, tries = self.count, TRIES if self.side < max(shape) and self.side <= min(shape) else 0
        while left and tries:
            y, x = (int(rng.integers(0, n - self.side + 1)) for n in shape)
            tries -= 1
            if not mask[max(0, y - 1) : y + self.side + 1, max(0, x - 1) : x + self.side + 1].any():
                mask[y : y + self.side, x : x + self.side] = True
                left, tries = left - 1, TRIES
        if left:
            raise ValueError(
                f"count is {self.count}; expected blocks of side {self.side} that fit into an image of "
                f"shape {shape}"
            )
        return mask


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """All but a share of the pixels, which are known and are drawn one by one."""

    share: float = 0.05

    def __post_init__(self) -> None:
        _check_share(self.share)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> NDArray:
        return ~Random(share=self.share).draw(shape, rng)


KINDS: dict[str, Any] = {
    "text": Text,
    "scratches": Scratches,
    "random": Random,
    "blocks": Blocks,
    "sparse": Sparse,
}


def make_holes(
    shape: tuple[int, int], kind: str, rng: np.random.Generator | int | None = None
) -> NDArray:
    """Make a mask of holes of some kind.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the mask, of 2 pixels or more.
    kind : str
        The kind of holes, alone or with parameters, such as ``"random(share=0.5)"``:

        - ``"text"``: words over a `share` of the pixels, 0.1 by default, in letters `size` pixels
          high, 20 by default
        - ``"scratches"``: long curves over a `share` of the pixels, 0.05 by default, about `width`
          pixels wide, 3 by default
        - ``"random"``: a `share` of the pixels, 0.8 by default, each drawn by itself
        - ``"blocks"``: squares, `count` of them, 4 by default, of `side` pixels, 32 by default; they do
          not touch each other
        - ``"sparse"``: all pixels but a `share` that is known, 0.05 by default, each drawn by itself
    rng : numpy.random.Generator or int, optional
        The generator of the holes, or its seed; ``None``: seed 0, the same holes each time.

    Returns
    -------
    bool ndarray (H, W)
        True in holes. Shares are exact up to rounding; at least one pixel is True, and one False.

    Raises
    ------
    ValueError
        If the kind or a parameter is unknown or out of range, or the holes do not fit into the shape.
        `TypeError` if a parameter has the wrong type.

    Examples
    --------
    >>> mask = make_holes((64, 64), "text(share=0.125)", rng=0)
    >>> mask.shape, float(mask.mean())
    ((64, 64), 0.125)
    """
    found = tuple(shape)
    whole = all(isinstance(n, (int, np.integer)) and n >= 1 for n in found)
    if len(found) != 2 or not whole or found[0] * found[1] < 2:
        raise ValueError(f"shape is {shape}; expected height and width, of 2 pixels or more")
    mask: NDArray = check_holes(kind).draw(
        (int(found[0]), int(found[1])), np.random.default_rng(0 if rng is None else rng)
    )
    return mask


def check_holes(kind: str) -> Any:
    """The kind of holes with its parameters, whose ``draw(shape, rng)`` makes the mask.

    Parameters
    ----------
    kind : str
        As for `make_holes`.

    Raises
    ------
    TypeError, ValueError
        As `make_holes` does, whatever the shape.

    Examples
    --------
    >>> check_holes("sparse(share=1/4)")
    Sparse(share=0.25)
    """
    name: str = kind
    given: dict[str, Any] = {}
    if isinstance(kind, str) and "(" in kind:
        name, given = parse(kind, "kind of holes")
    made = KINDS[check_choice("kind", name, KINDS)]
    known = inspect.signature(made).parameters
    for key in given:
        if key not in known:
            raise ValueError(f"{name} has no parameter {key!r}{nearest(key, known)}")
    return made(**given)


# --- the parts of the kinds ---------------------------------------------------------------------


def _check_share(share: float) -> None:
    if check_number("share", share, above=0) >= 1:
        raise ValueError(f"share is {share}; expected a finite number > 0 and < 1")


def _number(share: float, size: int) -> int:
    """A share of the pixels as a number: not none of them, and not all."""
    return min(max(round(share * size), 1), size - 1)


def _covered(
    share: float, shape: tuple[int, int], pieces: Iterable[NDArray]
) -> tuple[NDArray, int]:
    """A mask of pieces that covers a share of the pixels, and how many it lacks where they do not suffice.

    Pieces are numbers of pixels; of the last one, only the first are taken.
    """
    mask = np.zeros(shape, bool)
    missing = _number(share, mask.size)
    for piece in pieces:
        fresh = piece[~mask.flat[piece]]
        fresh = fresh[np.sort(np.unique(fresh, return_index=True)[1])][:missing]
        mask.flat[fresh] = True
        missing -= len(fresh)
        if not missing:
            break
    return mask, missing


def _within(pixels: NDArray, shape: tuple[int, int]) -> NDArray:
    """The numbers, row by row, of the pixels (n, 2) that lie in the image."""
    y, x = pixels.T
    inside = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return y[inside] * shape[1] + x[inside]


def _glyph(strokes: str, size: int) -> NDArray:
    """The pixels (n, 2) of a letter, relative to the upper left corner of its box."""
    margin = round(STROKE * size)
    rows = np.arange(-margin, size + margin)
    columns = np.arange(-margin, round(GLYPH * size) + margin)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    drawn = np.zeros(y.shape, bool)
    for ax, ay, bx, by in _ends(strokes, size):
        along = (x - ax) * (bx - ax) + (y - ay) * (by - ay)
        t = np.clip(along / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        distance = np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay))
        drawn |= distance <= STROKE * size / 2
    return np.stack([y[drawn], x[drawn]], axis=1)


def _ends(strokes: str, size: int) -> Iterator[tuple[float, float, float, float]]:
    """The ends (x, y, x, y) of each stroke of a letter, in pixels."""
    for stroke in strokes.split():
        ax, ay, bx, by = (int(digit) for digit in stroke.replace("-", ""))
        wide, high = GLYPH * size / 2, size / 4
        yield ax * wide, ay * high, bx * wide, by * high
