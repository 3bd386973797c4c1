"""Arguments judged: one grammar of errors, *argument* is *value*; expected *what*."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

__all__ = ["check_choice", "check_number", "check_whole", "nearest"]


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """A finite number within limits, as a float.

    Parameters
    ----------
    name : str
        What to call it in messages.
    value : float
    above, least, most : float, optional
        What it must exceed, must reach, must not exceed; ``None``: no such limit.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is NaN, infinite, or outside the limits.

    Examples
    --------
    >>> check_number("kappa", 0.1, above=0)
    0.1
    >>> check_number("kappa", -1, above=0)
    Traceback (most recent call last):
    ValueError: kappa is -1; expected a finite number > 0
    """
    limits = [f"> {above:g}"] if above is not None else []
    limits += [f"≥ {least:g}"] if least is not None else []
    limits += [f"≤ {most:g}"] if most is not None else []
    expected = " ".join(["a finite number", " and ".join(limits)]).strip()
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}; expected {expected}") from None
    if (
        not math.isfinite(number)
        or (above is not None and number <= above)
        or (least is not None and number < least)
        or (most is not None and number > most)
    ):
        raise ValueError(f"{name} is {value}; expected {expected}")
    return number


def check_whole(name: str, value: Any, *, least: int) -> int:
    """A whole number from `least` up.

    Examples
    --------
    >>> check_whole("steps", 0, least=1)
    Traceback (most recent call last):
    ValueError: steps is 0; expected a whole number ≥ 1
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; expected a whole number ≥ {least}")
    return value


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of some words.

    Examples
    --------
    >>> check_choice("scheme", "explict", ["explicit", "aos"])
    Traceback (most recent call last):
    ValueError: scheme is 'explict'; expected one of explicit, aos; did you mean 'explicit'?
    """
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        close = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(choices)}{hint}")
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean ...?``, or a list of what there is.

    Examples
    --------
    >>> nearest("haet", ["heat", "srad"]), nearest("x", ["heat", "srad"])
    ("; did you mean 'heat'?", '; there are: heat, srad')
    """
    known = list(known)
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
