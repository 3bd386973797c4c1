"""Stable time steps, and how many of them make up a time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from difffilter.checks import check_number

__all__ = ["SAFETY", "check_step", "equal_steps", "stability_bound"]

# At the bound itself a checkerboard only changes its sign; at 0.8 of it, it decays.
SAFETY = 0.8


def stability_bound(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """The largest explicit step for g ≤ 1: 1/(2 Σ 1/h²) over the axes longer than 1.

    Examples
    --------
    >>> stability_bound((512, 512), (1, 1))
    0.25
    """
    total = sum(1 / h**2 for n, h in zip(shape, spacing, strict=True) if n > 1)
    return 1 / (2 * total) if total else 1.0  # nothing flows out of a single pixel


def check_step(step: float | None, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """An explicit step within the stability bound; ``None``: 0.8 of the bound."""
    bound = stability_bound(shape, spacing)
    if step is None:
        return SAFETY * bound
    step = check_number("step", step, above=0)
    if step > bound * (1 + 1e-12):
        raise ValueError(f"step is {step:g}; expected at most the bound 1/(2 Σ 1/h²) = {bound:g}")
    return step


def equal_steps(time: float, step: float) -> tuple[int, float]:
    """The number of equal steps, none above `step`, that make up `time`; and their size.

    Examples
    --------
    >>> equal_steps(1.0, 0.25)
    (4, 0.25)
    """
    count = math.ceil(time / step * (1 - 1e-9))
    return count, (time / count if count else 0.0)
