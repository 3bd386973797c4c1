"""Settings of the widget: a method, the parameters that are given, and the noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from difffilter.api import Parameters, estimate_parameters
from difffilter.catalog import CATALOG, WRAPPERS, MissingExtra, describe, spell, unwrapped
from difffilter.image import DataRange
from difffilter.integrations.napari.axes import Axes
from difffilter.spelling import parse

__all__ = ["Recipe", "offered", "recipe_from"]


@dataclass(frozen=True)
class Recipe:
    """A method with the parameters that are given; others are chosen for each slice.

    Attributes
    ----------
    method : str
        A name of the catalog.
    parameters : dict
        The parameters that are not at their defaults.
    sigma, noise, strength, data_range
        As for `difffilter.denoise`.
    """

    method: str
    parameters: dict[str, Any] = field(default_factory=dict)
    sigma: float | None = None
    noise: str | None = None
    strength: float = 1.0
    data_range: DataRange = None

    def choose(self, image: NDArray, axes: Axes) -> Parameters:
        """The parameters for a slice, as `difffilter.estimate_parameters` chooses them."""
        parameters = dict(self.parameters)
        if axes.spacing is not None and "spacing" in describe(self.method)[1]:
            parameters["spacing"] = axes.spacing
        return estimate_parameters(
            image, self.sigma, self.method, channel_axis=axes.channel_axis, noise=self.noise,
            strength=self.strength, data_range=self.data_range, **parameters,
        )  # fmt: skip


def recipe_from(chosen: Parameters) -> tuple[str, dict[str, Any]]:
    """The method that was chosen and its parameters, without what is around it.

    The spacing, which is the layer's, and σ are left out.
    """
    method, parameters = parse(spell(unwrapped(chosen.method)))
    return method, {
        name: value for name, value in parameters.items() if name not in ("sigma", "spacing")
    }


def offered() -> list[str]:
    """The methods that can be made here, in the order of the catalog and the default first.

    The widget's noise and strength stand for those that wrap another.
    """
    return sorted(filter(_can_be_made, CATALOG), key=lambda name: name != "auto")


def _can_be_made(name):
    if name == "identity" or name in WRAPPERS:
        return False
    try:
        describe(name)
    except MissingExtra:
        return False
    return True
