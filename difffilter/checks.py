"""Checks of arguments, with one grammar of errors: *argument* is *value*; expected *what*."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

__all__ = ["check_choice", "check_number", "check_share", "check_whole", "nearest"]


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> float:
    """Check a finite number, and return it as a float.

    Parameters
    ----------
    name : str
        The name of the argument in messages.
    value : float
    above, least, most : float, optional
        Lower limit (exclusive), lower limit (inclusive), upper limit (inclusive); ``None``: none.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If the value is not a number.
    ValueError
        If the value is NaN, infinite, or outside the limits.

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
        if isinstance(value, str):
            raise TypeError
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


def check_share(name: str, value: Any) -> float:
    """Check a number from 0 to 1, and return it as a float.

    Raises
    ------
    TypeError
        If the value is not a number.
    ValueError
        If it is NaN, or outside the limits.

    Examples
    --------
    >>> check_share("strength", 1.5)
    Traceback (most recent call last):
    ValueError: strength is 1.5; expected a number from 0 to 1
    """
    expected = "expected a number from 0 to 1"
    try:
        return check_number(name, value, least=0, most=1)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; {expected}") from None
    except ValueError:
        raise ValueError(f"{name} is {value}; {expected}") from None


def check_whole(name: str, value: Any, *, least: int) -> int:
    """Check a whole number ≥ `least`, and return it.

    Raises
    ------
    ValueError
        If the value is not an int, or too small.

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
    """Check that a value is one of several words, and return it.

    Raises
    ------
    ValueError
        If it is not; the message suggests the nearest one.

    Examples
    --------
    >>> check_choice("scheme", "explict", ["explicit", "aos"])
    Traceback (most recent call last):
    ValueError: scheme is 'explict'; expected one of explicit, aos; did you mean 'explicit'?
    """
    choices = list(choices)
    if not isinstance(value, str) or value not in choices:
        plain = {choice.lower(): choice for choice in choices}
        close = difflib.get_close_matches(str(value).lower(), plain, n=1)
        hint = f"; did you mean {plain[close[0]]!r}?" if close else ""
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(choices)}{hint}")
    return value


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: a suggestion, or a list of the known ones.

    Examples
    --------
    >>> nearest("haet", ["heat", "srad"]), nearest("x", ["heat", "srad"])
    ("; did you mean 'heat'?", '; there are: heat, srad')
    """
    known = list(known)
    plain = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(word).lower(), plain, n=1, cutoff=0.5)
    return f"; did you mean {plain[close[0]]!r}?" if close else f"; there are: {', '.join(known)}"
