"""The command ``difffilter smooth`` that saves what the page shows."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from difffilter.blocks.folders import plan_tasks
from difffilter.image import DataRange
from difffilter.spelling import quoted
from difffilter.view.session import Setting

__all__ = ["arguments", "default_target", "shown"]


def default_target(source: str | Path) -> Path:
    """The default path of the result of ``difffilter smooth``."""
    [task] = plan_tasks([Path(source)])
    return task.target


def arguments(
    source: str | Path,
    setting: Setting,
    target: str | Path | None = None,
    *,
    data_range: DataRange = None,
    max_pixels: int | None = None,
    overwrite: bool = False,
) -> list[str]:
    """The arguments of ``difffilter`` on the command line.

    Parameters
    ----------
    source : path-like
    setting : Setting
        Its page aside: all pages are smoothed.
    target : path-like, optional
        ``None``: the default.
    data_range, max_pixels, overwrite
        Options of the same names.

    Returns
    -------
    list of str

    Examples
    --------
    >>> arguments("a.png", Setting("heat(time=2)", strength=0.5))
    ['smooth', 'a.png', '-m', 'heat(time=2)', '--strength', '0.5']
    """
    words = ["smooth", _as_path(source), "-m", setting.method]
    if setting.sigma is not None:
        words += ["--sigma", _number(setting.sigma)]
    if setting.noise is not None:
        words += ["--noise", setting.noise]
    if setting.strength != 1:
        words += ["--strength", _number(setting.strength)]
    if setting.chroma is not None:
        words += ["--chroma", _number(setting.chroma)]
    if data_range is not None:
        words += ["--data-range", ",".join(_number(limit) for limit in np.atleast_1d(data_range))]
    if max_pixels is not None:
        words += ["--max-pixels", str(max_pixels)]
    if target is not None and Path(target) != default_target(source):
        words += ["-o", _as_path(target)]
    return [*words, "--overwrite"] if overwrite else words


def shown(words: Iterable[str]) -> str:
    """A command as one types it into a shell.

    Examples
    --------
    >>> print(shown(["smooth", "a.png", "-m", "perona_malik(diffusivity='tukey')"]))
    difffilter smooth a.png -m "perona_malik(diffusivity='tukey')"
    """
    texts = [quoted(word) if "(" in word and "'" in word else shlex.quote(word) for word in words]
    return " ".join(["difffilter", *texts])


def _number(value):
    return np.format_float_positional(value, trim="-")


def _as_path(path):
    """A path that is not taken for an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text
