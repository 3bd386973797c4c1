"""One image: its pages, what is chosen for them, and the filtered part that is looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from difffilter.blocks.filter import BlockFilter, sample_boxes
from difffilter.blocks.folders import check_options
from difffilter.catalog import for_noise, for_strength, make
from difffilter.denoiser import Box, Denoiser, known_noise
from difffilter.image import DataRange, as_float, check_data_range, scaled
from difffilter.io.files import read
from difffilter.noise.measure import estimate_noise
from difffilter.noise.model import NoiseModel, Sigma
from difffilter.view.display import Display, display_of

__all__ = ["Chosen", "Session", "Setting"]

# Images of no more pixels are filtered as a whole, wherever one looks.
SMALL = 600_000

# The side of the tiles in which a large image is filtered as a whole, between which it can be given up.
SIDE = 768

Report = Callable[[str], None]


def silent(doing: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Setting:
    """The options of ``difffilter smooth``, and the page to look at.

    Attributes
    ----------
    method : str
        A method with the parameters that are given, as `make` takes it.
    sigma : float or None
        Standard deviation of the noise; ``None``: estimated.
    noise : str or None
        The kind of noise; ``None``: the method's own.
    strength : float
        Share of the change.
    chroma : float or None
        The same for colours alone; ``None``: as `strength`.
    page : int
        The page of a file with several.
    """

    method: str = "auto"
    sigma: float | None = None
    noise: str | None = None
    strength: float = 1.0
    chroma: float | None = None
    page: int = 0


@dataclass(frozen=True)
class Chosen:
    """The method and the noise of a page, with every parameter chosen.

    Attributes
    ----------
    method : Denoiser
        With every parameter set.
    sigma : float, NoiseModel or ndarray
        The noise, as given or as estimated.
    on_tiles : bool
        Whether it was chosen on a part of the page.
    """

    method: Denoiser
    sigma: Sigma
    on_tiles: bool


class Session:
    """An image file that is looked at.

    Parameters
    ----------
    path : path-like
        A file that `difffilter.io.files.read` can read.
    data_range : float or (float, float), optional
        As for `denoise`.
    max_pixels : int, optional
        Refuse larger files; ``None``: the default limit of `read`.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or the range is not one.
    """

    def __init__(
        self, path: str | Path, data_range: DataRange = None, max_pixels: int | None = None
    ):
        if data_range is not None:
            check_data_range(data_range)
        self.path, self.data_range = Path(path), data_range
        self.picture = read(path, max_pixels)
        self.channel_axis = self.picture.channel_axis
        self._upright = self.picture.upright()
        self._page: tuple[int, NDArray] | None = None
        self._chosen: dict[Setting, Chosen] = {}
        self._whole: tuple[Setting, NDArray] | None = None
        self._models: dict[int, NoiseModel] = {}
        self._displays: dict[int, Display] = {}

    @property
    def count(self) -> int:
        """The number of pages."""
        return len(self._upright)

    @property
    def shape(self) -> tuple[int, int]:
        """The height and the width of a page as it is shown."""
        height, width = self._upright.shape[1:3]
        return height, width

    @property
    def small(self) -> bool:
        """Whether a page is always filtered as a whole."""
        return math.prod(self.shape) <= SMALL

    def page(self, number: int) -> NDArray:
        """A page in floating point, upright, in the unit of σ."""
        if self._page is None or self._page[0] != number:
            page = scaled(np.ascontiguousarray(self._upright[number]), self.data_range)
            self._page = number, as_float(page, self.channel_axis)
        return self._page[1]

    def display(self, number: int) -> Display:
        """The display of a page and of its results."""
        if number not in self._displays:
            page = self.page(number)
            self._displays[number] = display_of(self.picture, page, self.data_range)
        return self._displays[number]

    def noise(self, number: int) -> NoiseModel:
        """The noise of a page, measured from it alone."""
        if number not in self._models:
            page = self.page(number)
            self._models[number] = estimate_noise(page, channel_axis=self.channel_axis)
        return self._models[number]

    def check(self, setting: Setting) -> Denoiser:
        """The Denoiser of a setting, strength aside.

        Raises
        ------
        TypeError, ValueError
            If the setting has something that `difffilter smooth` would refuse.
        """
        denoiser = for_noise(make(setting.method), setting.noise)
        for_strength(denoiser, setting.strength, setting.chroma)
        check_options([self.path], setting.sigma, self.data_range)
        return denoiser

    def chosen(self, setting: Setting, report: Report = silent) -> Chosen:
        """The parameters for a page: those of a setting, and the others chosen from the page.

        They do not depend on the strength. A large page is chosen on by evenly spread tiles.
        """
        key = replace(setting, strength=1.0, chroma=None)
        if key in self._chosen:
            return self._chosen[key]
        denoiser = self.check(setting)
        report("choosing parameters")
        page = self.page(setting.page)
        sigma: Sigma | None = setting.sigma
        boxes = [box for _, box in sample_boxes(self.shape)]
        if sigma is not None:
            sigma = known_noise(denoiser, sigma, page, self.channel_axis, page)
        else:  # from the whole page, as `smooth` does
            sigma = denoiser.estimate_noise(page, channel_axis=self.channel_axis)
        if len(boxes) == 1:
            method = denoiser.choose(page, sigma, channel_axis=self.channel_axis)
        else:
            tiles = np.stack([page[_slices(box)] for box in boxes])
            method = denoiser.choose_on(tiles, sigma, channel_axis=self.channel_axis)
        while len(self._chosen) >= 256:
            del self._chosen[next(iter(self._chosen))]
        self._chosen[key] = Chosen(method, sigma, len(boxes) > 1)
        return self._chosen[key]

    def filtered(self, setting: Setting, box: Box, report: Report = silent) -> NDArray:
        """A box of a page, filtered as it is when the whole page is.

        Parameters
        ----------
        setting : Setting
        box : tuple of (int, int)
            The start and the stop of rows and of columns.
        report : callable, optional
            Called with words for the user, often enough to give up by raising an error.

        Returns
        -------
        ndarray
        """
        chosen, page = self.chosen(setting, report), self.page(setting.page)
        if self._whole is not None and self._whole[0] == setting:
            return self._whole[1][_slices(box)]
        method = for_strength(chosen.method, setting.strength, setting.chroma)
        sigma = None if chosen.method.is_settled() else chosen.sigma
        blocks = BlockFilter(method, sigma, self.channel_axis, self.shape)
        whole = tuple((0, n) for n in self.shape)
        if self.small or blocks.halo is None:
            report("filtering")
            self._whole = setting, blocks(page, whole)
            return self._whole[1][_slices(box)]
        result = np.empty_like(page[_slices(box)])
        tiles = list(_tiles(box))
        for done, tile in enumerate(tiles):
            report(
                "filtering" if len(tiles) == 1 else f"filtering, part {done + 1} of {len(tiles)}"
            )
            inside = tuple((a - lo, b - lo) for (a, b), (lo, _) in zip(tile, box, strict=True))
            result[_slices(inside)] = blocks(page[_slices(blocks.with_halo(tile))], tile)
        if box == whole:
            self._whole = setting, result
        return result


def _slices(box):
    return tuple(slice(a, b) for a, b in box)


def _tiles(box):
    (top, bottom), (left, right) = box
    for y in range(top, bottom, SIDE):
        for x in range(left, right, SIDE):
            yield (y, min(bottom, y + SIDE)), (x, min(right, x + SIDE))
