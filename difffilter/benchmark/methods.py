"""The methods of a study, from the text in its TOML file."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager

from difffilter.benchmark.filling import filler
from difffilter.benchmark.oracle import Oracle
from difffilter.catalog import make

__all__ = ["is_oracle", "method_of", "on_path"]

ORACLE = re.compile(r"\s*oracle\((.*)\)\s*", re.DOTALL)


def method_of(text, *, filling=False):
    """The function that a study calls: ``method(degraded)``.

    Only an oracle looks at the clean image.

    Parameters
    ----------
    text : str
        What `make` takes, or the same within ``"oracle(...)"``; or what `filler` takes.
    filling : bool, default False
        Whether the method is to fill in holes rather than to remove noise.

    Raises
    ------
    ValueError
        As `make`, `Oracle` and `filler` do.
    """
    if filling:
        return filler(text)
    if oracle := ORACLE.fullmatch(text):
        best = Oracle(oracle[1])
        return lambda given: best(given.image, given.sigma, given.clean, given.channel_axis)
    denoiser = make(text)
    return lambda given: denoiser(given.image, given.sigma, channel_axis=given.channel_axis)


def is_oracle(text):
    """Whether the method looks at the clean image.

    Examples
    --------
    >>> is_oracle("oracle(heat)"), is_oracle("heat")
    (True, False)
    """
    return ORACLE.fullmatch(text) is not None


@contextmanager
def on_path(folder):
    """Let modules be imported from a folder, after all other places."""
    sys.path.append(os.fspath(folder))
    try:
        yield
    finally:
        sys.path.remove(os.fspath(folder))
