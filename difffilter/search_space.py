"""Where to search for a parameter: a range of numbers, or a choice of values."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Choice", "Range"]


@dataclass(frozen=True)
class Range:
    """Positive numbers, searched on a logarithmic scale.

    Attributes
    ----------
    low, high : float
        The ends, both included.
    per_sigma : bool, default False
        Whether the ends are multiples of the noise's standard deviation σ, as suits a parameter
        that intensities are compared with.
    whole : bool, default False
        Whether only whole numbers are allowed.
    along : bool, default False
        Whether the parameter is the time of an evolution: running for t and then for s is running
        for t + s, so that a single run shows all times.

    Examples
    --------
    >>> Range(0.5, 2, per_sigma=True).clipped(0.3, sigma=0.1)
    0.2
    """

    low: float
    high: float
    per_sigma: bool = False
    whole: bool = False
    along: bool = False

    def clipped(self, value, sigma):
        """The nearest value in the range at this σ, to four digits."""
        unit = sigma if self.per_sigma else 1.0
        value = min(max(value, self.low * unit), self.high * unit)
        return round(value) if self.whole else float(f"{value:.4g}")

    def middle(self, sigma):
        """The geometric mean of the ends."""
        return self.clipped(
            math.sqrt(self.low * self.high) * (sigma if self.per_sigma else 1.0), sigma
        )


@dataclass(frozen=True)
class Choice:
    """A few values, each of which is tried.

    Attributes
    ----------
    values : tuple
    """

    values: tuple
