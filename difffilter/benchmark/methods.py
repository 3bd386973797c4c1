"""The methods of a study, from the text in its TOML file."""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager

from difffilter.benchmark.oracle import Oracle
from difffilter.catalog import make

__all__ = ["is_oracle", "method_of", "on_path"]

ORACLE = re.compile(r"\s*oracle\((.*)\)\s*", re.DOTALL)


def method_of(text):
    """The function that a study calls: ``method(noisy, sigma, clean, channel_axis)``.

    Only an oracle looks at the clean image.

    Parameters
    ----------
    text : str
        What `make` takes, or the same within ``"oracle(...)"``.

    Raises
    ------
    ValueError
        As `make` and `Oracle` do.
    """
    if oracle := ORACLE.fullmatch(text):
        return Oracle(oracle[1])
    denoiser = make(text)

    def blind(noisy, sigma, clean, channel_axis):
        return denoiser(noisy, sigma, channel_axis=channel_axis)

    return blind


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
