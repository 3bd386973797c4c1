"""Warnings in a worker process, given again in the process that waits for its result.

A worker would print them in Python's own form, and each worker those that the others have printed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["recorded", "relayed"]


def recorded(function: Callable, *arguments: Any) -> tuple[Any, list[str]]:
    """Call a function in a worker process.

    Returns
    -------
    result : Any
    messages : list of str
        The warnings that it gave.
    """
    with warnings.catch_warnings(record=True) as caught:
        result = function(*arguments)
    return result, [str(warning.message) for warning in caught]


def relayed(result: Any, messages: list[str]) -> Any:
    """The result of `recorded`, after giving its warnings; those of one text are shown once.

    Examples
    --------
    >>> relayed(*recorded(max, 3, 4))
    4
    """
    for message in messages:
        warnings.warn(message, stacklevel=1)
    return result
