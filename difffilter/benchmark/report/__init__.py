"""The report of a study, as Markdown and as one HTML page."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

from difffilter.benchmark.report.markdown import markdown
from difffilter.benchmark.report.summary import Results, read
from difffilter.benchmark.report.webpage import html
from difffilter.io.files import replacing

__all__ = ["Results", "html", "markdown", "read", "write"]


def write(results, output=None):
    """Write ``report.md`` and ``report.html``, each whole or not at all.

    Parameters
    ----------
    results : path-like
        A results folder, with ``rows.csv`` and ``study.json``.
    output : path-like, optional
        The folder to write to, created if need be; ``None``: the results folder.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    OSError, ValueError
        If the results cannot be read or the files cannot be written; `MissingExtra` if Jinja2 is not
        installed. In all cases neither file is touched.
    """
    found = read(results)
    folder = Path(results if output is None else output)
    data = _link(Path(results), folder)
    texts = {"report.md": markdown(found, data), "report.html": html(found, data)}
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as both:  # neither replaces the old one before both are written
        for name, text in texts.items():
            both.enter_context(replacing(folder / name)).write_text(text, "utf-8")
    return [folder / name for name in texts]


def _link(results, folder):
    """The URL of the results folder for a page in another folder: relative if it can be."""
    if folder.resolve() == results.resolve():
        return ""
    try:
        return quote(Path(os.path.relpath(results.resolve(), folder.resolve())).as_posix()) + "/"
    except ValueError:  # on another drive of Windows
        return results.resolve().as_uri() + "/"
