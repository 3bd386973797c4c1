"""The report of a study: rows in, Markdown and one HTML page out."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

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
        Where to; made if it does not exist. ``None``: into the results folder.

    Returns
    -------
    list of Path
        The two files.

    Raises
    ------
    OSError, ValueError
        If the results cannot be read, or the files not be written; `MissingExtra` if Jinja2 is not
        installed. Neither file is touched then.
    """
    found = read(results)
    texts = {"report.md": markdown(found), "report.html": html(found)}
    folder = Path(results if output is None else output)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as both:  # neither takes its place before both are written
        for name, text in texts.items():
            both.enter_context(replacing(folder / name)).write_text(text, "utf-8")
    return [folder / name for name in texts]
